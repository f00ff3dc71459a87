"""The admin pages: designers edit templates, operators see rows of the pipeline and retry dead letters."""

from badges.admin import credentials, credly, inbox, learners, outbox, progress, revisions, templates

__all__ = ["credentials", "credly", "inbox", "learners", "outbox", "progress", "revisions", "templates"]
