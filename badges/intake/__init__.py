"""How events come in: consumers, signal receivers, the inbox, dead letters, and the learners that events are about."""
