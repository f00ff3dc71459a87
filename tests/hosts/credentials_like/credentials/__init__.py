"""The host's app ``credentials``."""
