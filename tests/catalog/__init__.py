"""Which badges exist and what they demand."""
