"""The door for signals sent in this process: the stock ``consume_events`` and the host's own code."""


def connect() -> None:
    """Connect a receiver to every configured event type."""
