"""Which learner holds which badge, and why."""
