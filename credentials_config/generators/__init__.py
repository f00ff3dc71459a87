"""Generators, the plug-ins that make what scheduled credentials give: ``pdf`` documents, and ``badge`` awards."""
