"""Version 1 of the activities of learners, which give XP and streaks."""
