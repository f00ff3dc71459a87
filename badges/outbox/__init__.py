"""What must happen outside, written down with the decision that demands it."""
