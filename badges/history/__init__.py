"""What happened, remembered per person: the event log."""
