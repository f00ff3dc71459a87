"""Commands of scheduled credentials."""
