"""Remove what the rows of bulk runs say about a person who left."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from badges.bulk.models import BulkRow


def clear_reasons(learner_id: int | None, account_id: Any) -> int:
    """Remove the reasons of a person's rows; return how many rows changed. The rows stay."""
    about = Q(pk__in=[])
    if learner_id is not None:
        about |= Q(learner=learner_id)
    if account_id is not None:
        about |= Q(account=account_id)
    return BulkRow.objects.filter(about).exclude(reason="").update(reason="")
