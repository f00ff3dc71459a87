"""Engagement: the activities of learners, and what they give: XP and streaks."""
