"""The pipeline: from events to credentials and outbox rows."""
