"""What the store does not have."""


class ItemNotFoundError(Exception):
    """There is no such block."""
