"""The tables of scheduled credentials, over time."""
