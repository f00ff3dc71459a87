"""The admin pages: designers edit templates, operators see rows of the pipeline and retry dead letters."""

from badges import issuers
from badges.admin import (
    activities,
    backfill,
    credentials,
    differences,
    event_log,
    event_types,
    flows,
    inbox,
    learners,
    outbox,
    progress,
    providers,
    revisions,
    runs,
    template_parts,
    templates,
)

__all__ = [
    "activities",
    "backfill",
    "credentials",
    "differences",
    "event_log",
    "event_types",
    "flows",
    "inbox",
    "learners",
    "outbox",
    "progress",
    "providers",
    "revisions",
    "runs",
    "template_parts",
    "templates",
]

# The pages of the providers.
issuers.import_modules("admin")
