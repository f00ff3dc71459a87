"""The host's app ``core``."""
