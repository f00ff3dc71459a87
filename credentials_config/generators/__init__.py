"""Generators, the plug-ins that make documents for scheduled credentials. One is included: ``pdf``."""
