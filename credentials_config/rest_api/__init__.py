"""The REST door of scheduled credentials: every view names all of its own ways, whatever the host's defaults are."""
