"""System checks: what an operator should know before the first event comes."""
