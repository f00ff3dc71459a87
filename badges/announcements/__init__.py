"""The public signals of this package: what they say (``signals``) and how they reach the event bus (``bus``)."""

from badges.announcements.signals import announce, badge_data

__all__ = ["announce", "badge_data"]
