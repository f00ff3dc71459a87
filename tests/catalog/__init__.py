"""The catalog of badge templates."""
