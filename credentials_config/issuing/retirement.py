"""What a retirement removes from the tables and files of scheduled credentials."""

from __future__ import annotations

import datetime as dt

from django.apps import apps
from django.contrib.auth import get_user_model

from badges import api as badges
from badges.common.retirement import clear_account_references
from credentials_config.issuing import documents, lifecycle
from credentials_config.models import Credential, CredentialStatus

_WIPED: dict[str, object] = {
    "learner_name": "",
    "language": "",
    "document": "",
    "reissue": {},
    "claim": None,
    "due_at": None,
    "error": "",
    "internal_note": "",
}


def delete_personal_data(person: badges.RetiringPerson, *, now: dt.datetime) -> dict[str, int]:
    """
    Remove the names and the documents of a learner who left; return how many rows changed.

    This is the retirement hook of this app. The codes of the credentials can still be verified, which tells nothing
    about the person. Credentials whose documents were not made yet are invalidated. Safe to repeat.
    """
    counts = {"certificates": 0, "documents": 0, "runs": 0}
    if person.user_id is not None:
        models = apps.get_app_config("lms_credentials_config").get_models()
        counts["runs"] = clear_account_references(models, person.user_id, get_user_model())
    if person.learner_id is None:
        return counts
    found = Credential.objects.select_for_update().filter(learner=person.learner_id).exclude(learner_name="")
    rows = list(found.order_by("pk"))
    documents.discard(lifecycle.files_of(rows))
    unfinished = [row.pk for row in rows if row.status in (CredentialStatus.GENERATING, CredentialStatus.ERROR)]
    Credential.objects.filter(pk__in=unfinished).update(
        status=CredentialStatus.INVALIDATED, active_key=None, invalidated_at=now
    )
    counts["certificates"] = Credential.objects.filter(pk__in=[row.pk for row in rows]).update(**_WIPED)
    counts["documents"] = sum(1 for row in rows if row.document)
    return counts
