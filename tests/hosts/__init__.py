"""Hosts that the plugin is installed into by tests."""
