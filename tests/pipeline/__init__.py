"""The conductor inwards."""
