"""Accredible."""
