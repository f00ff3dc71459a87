"""What people rely on when they rely on ``badges.testing``."""
