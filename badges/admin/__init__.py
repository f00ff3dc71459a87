"""The admin pages: designers make templates here, operators see what happened and try dead letters again."""

from badges import issuers
from badges.admin import credentials, inbox, learners, outbox, progress, revisions, templates

__all__ = ["credentials", "inbox", "learners", "outbox", "progress", "revisions", "templates"]

# The pages of the providers.
issuers.import_modules("admin")
