"""The host's app ``badges``."""
