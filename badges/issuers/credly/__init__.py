"""Credly."""
