"""Pages for people who are no staff: what a learner holds and may earn, and the public page of a credential."""
