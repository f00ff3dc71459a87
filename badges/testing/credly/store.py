"""The stand-in's memory."""

from __future__ import annotations

from badges.testing import standin
from badges.testing.credly.records import RECORDS


class Store(standin.Store):
    """The tables of the stand-in Credly."""

    records = RECORDS
    indexes = (
        "CREATE INDEX IF NOT EXISTS badge_by_email ON badge (template_id, lower(recipient_email))",
        "CREATE INDEX IF NOT EXISTS badge_by_earner ON badge (template_id, issuer_earner_id)",
        "CREATE INDEX IF NOT EXISTS badge_of_earner ON badge (issuer_earner_id)",
        "CREATE INDEX IF NOT EXISTS template_by_organization ON template (organization_id, state)",
        "CREATE INDEX IF NOT EXISTS call_by_endpoint ON call (endpoint)",
    )
