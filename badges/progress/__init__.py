"""How far learners are on badge templates."""
