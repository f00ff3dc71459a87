"""Version 1 of the API: what is here stays compatible."""
