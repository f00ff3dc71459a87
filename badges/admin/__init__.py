"""The admin pages: designers make templates here, operators see what happened and try dead letters again."""

from badges.admin import credentials, credly, inbox, learners, outbox, progress, revisions, templates

__all__ = ["credentials", "credly", "inbox", "learners", "outbox", "progress", "revisions", "templates"]
