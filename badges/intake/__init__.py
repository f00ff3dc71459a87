"""How events come in: doors, the inbox, learners, dead letters."""
