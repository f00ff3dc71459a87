"""Tests of delivery: rows, announcements, tasks and commands."""
