"""The reference host."""
