"""The stand-in's memory."""

from __future__ import annotations

from badges.testing import standin
from badges.testing.accredible.records import RECORDS


class Store(standin.Store):
    """The tables of the stand-in Accredible."""

    records = RECORDS
    indexes = (
        "CREATE INDEX IF NOT EXISTS credential_by_email ON credential (group_id, lower(recipient_email))",
        "CREATE INDEX IF NOT EXISTS credential_by_recipient ON credential (group_id, recipient_id)",
        "CREATE INDEX IF NOT EXISTS call_by_endpoint ON call (endpoint)",
    )
