"""Providers that issue our credentials: one folder each, with the same file names."""
