"""The pages for learners, and the public page of a credential."""
