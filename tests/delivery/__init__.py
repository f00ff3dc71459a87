"""Tests of delivery: the conductor, announcements, tasks and commands."""
