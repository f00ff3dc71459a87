"""The REST API of scheduled credentials. Every view names all of its own settings, whatever the host's defaults are."""
