"""Generators make the documents of scheduled credentials. Each is a plug-in; ``pdf`` is the one that ships."""
