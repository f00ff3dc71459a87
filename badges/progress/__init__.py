"""The progress of learners on badge templates."""
