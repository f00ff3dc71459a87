"""The table of credentials: which learner holds which badge, and why. ``badges.granting`` writes it."""
