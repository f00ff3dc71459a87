"""Scheduled credentials: documents for everyone eligible in a course, lesson or pathway."""
