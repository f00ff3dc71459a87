"""
Retire a person who left: remove their personal data from all tables and files, of this app and of others.

The hooks of all apps run in one transaction (``badges.common.retirement``), in which the learner is locked. Then the
learner loses the LMS user id and the account. Keyed hashes of both stay (``badges.intake.retired``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q

from badges import delivery
from badges.awarding.models import UserCredential
from badges.backfill import models as backfilled
from badges.bulk import personal_data as bulk_data
from badges.catalog.causes import Caused
from badges.catalog.learner_paths import ExternalIdentity
from badges.common.retirement import RetiringPerson, clear_account_references, retirement_hooks
from badges.conf import user_lms_id_field
from badges.database import retry_transient
from badges.engagement import activities
from badges.flows import idempotency
from badges.flows import personal_data as flow_data
from badges.history import event_log
from badges.inserts import insert
from badges.intake import checks, flow_events, inbox, learners, retired
from badges.intake.models import Learner
from badges.issuers import registry
from badges.mail import opting_out
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage
from badges.progress import resets
from badges.runs import personal_data

APP_LABEL = "lms_badges"


@dataclass(frozen=True, slots=True)
class RetirementResult:
    """
    What a retirement changed.

    ``counts`` holds the numbers of changed rows, by app and by what was removed. ``found`` tells whether there was a
    learner or an account. ``is_remembered`` is true when the LMS user id is known: late events of the person are
    ignored.
    """

    found: bool
    is_remembered: bool
    counts: Mapping[str, Mapping[str, int]]

    @property
    def total(self) -> int:
        """The number of changed rows; 0 when there was nothing to remove."""
        return sum(sum(counts.values()) for counts in self.counts.values())


NOT_ALL_RETIRED = (
    "{number} learners could not be retired; the others were. The log names their rows and the errors. Remove the "
    "cause; the next sweep tries them again."
)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How many learners a sweep has retired, and how many it could not retire."""

    retired: int
    failed: int


def retire(
    learner: Q, *, user: Q | None, lms_user_id: int | None, now: dt.datetime, plan: bool = False
) -> RetirementResult:
    """
    Retire one person, and return what was changed; with ``plan``, what would be, and nothing is changed.

    ``learner`` and ``user`` are the conditions by which the learner and the account are found, ``lms_user_id`` is the
    LMS user id if it was given. Raises Retryable when the database did not answer for longer than the setting
    ``intake.give_up_seconds``.
    """
    if lms_user_id is not None and not 0 < lms_user_id < 2**63:
        lms_user_id = None  # nobody has it, and no database stores it
    # A consumer writes the inbox row first and locks the learner second. Here it is the other way round, so there can
    # be a deadlock. The transaction that the database ends is tried again; if it is the caller's, the caller has to do
    # that.
    return retry_transient(lambda: _retire(learner, user, lms_user_id, now, plan))


def _retire(condition: Q, user: Q | None, lms_user_id: int | None, now: dt.datetime, plan: bool) -> RetirementResult:
    with transaction.atomic():
        condition = learners.same_person(condition)
        if lms_user_id is None:
            lms_user_id = _lms_user_id(condition, user)
        account = _account(user, lms_user_id)
        added = []
        # In this order: whoever creates this learner now waits for the second insert, and then finds the first.
        if lms_user_id is not None:
            retired.remember(lms_user_id, now=now)
            added.append(Learner(lms_user_id=lms_user_id, created_at=now))
            insert(added, unique="lms_user_id")
            condition |= Q(lms_user_id=lms_user_id)
        if account is not None:
            retired.remember_account(account, now=now)
            added.append(Learner(user_id=account, created_at=now))
            insert(added[-1:], unique="user")
            condition |= Q(user=account)
        # In two statements: PostgreSQL does not lock what an outer join may not find, such as an account.
        found = list(Learner.objects.filter(condition).values_list("pk", flat=True))
        rows = list(Learner.objects.select_for_update().filter(pk__in=found).order_by("pk"))
        ours = [row for row in rows if row.uuid in {each.uuid for each in added}]
        known = [row for row in rows if row not in ours]
        counts: dict[str, dict[str, int]] = {}
        people: list[Learner | None] = [*known] or [None]
        for learner in people:
            user_id = (learner.user_id if learner else None) or account
            _run_hooks(RetiringPerson(learner.pk if learner else None, lms_user_id, user_id), counts, now)
            if learner:
                if learner.user_id is not None:
                    retired.remember_account(learner.user_id, now=now)
                learners.retire(learner)
        Learner.objects.filter(pk__in=[row.pk for row in ours]).delete()
        if plan:
            transaction.set_rollback(True)
    return RetirementResult(bool(known) or account is not None, lms_user_id is not None, counts)


def delete_personal_data(person: RetiringPerson, *, now: dt.datetime) -> dict[str, int]:
    """Remove a person from the tables of this app, except the learner; return how many rows changed."""
    names = learners.names_of(person.learner_id, person.user_id)
    all_names = [*names, *flow_events.account_names(person.learner_id, names)]
    counts = {"events": inbox.clear_personal_data(inbox.rows_about(person.lms_user_id, all_names), now=now)}
    keys = {event_log.person_key(person.lms_user_id), event_log.person_key(None, person.learner_id)}
    counts["logged events"] = sum(event_log.delete_events_of(key) for key in keys if key is not None)
    counts["badges of backfills"] = backfilled.delete_of([key for key in keys if key is not None])
    counts["resets of requirements"] = sum(resets.delete_of(key) for key in keys if key is not None)
    if person.learner_id is not None:
        counts["checks"] = checks.delete_of(person.learner_id)
        counts["activities"] = activities.delete_of(person.learner_id)
        counts["mail settings"] = opting_out.delete_of(person.learner_id)
        counts |= flow_data.delete_of(person.learner_id)
        counts["reasons of messages"] = delivery.clear_reasons(_outbox_keys(person.learner_id))
        counts["badges at providers"] = _forget_at_providers(person.learner_id, now)
    counts["dead letters without a person"] = inbox.clear_unreadable_payloads(now=now)
    counts |= personal_data.delete(_identifiers(person, names))
    counts["reasons"] = _clear_reasons(person.learner_id) if person.learner_id is not None else 0
    counts["reasons"] += bulk_data.clear_reasons(person.learner_id, person.user_id)
    counts |= {"causes": 0, "answers": 0}
    if person.user_id is not None:
        counts["answers"] = idempotency.delete_of(person.user_id)
        others = [model for model in apps.get_app_config(APP_LABEL).get_models() if model is not Learner]
        counts["causes"] = clear_account_references(others, person.user_id, get_user_model())
    return counts


def _outbox_keys(learner_id: int) -> set[str]:
    """Return the keys of the outbox messages about a learner."""
    credentials = UserCredential.objects.filter(learner=learner_id)
    return {str(learner_id), *map(str, credentials.values_list("learner_template_id", flat=True).distinct())}


def _forget_at_providers(learner_id: int, now: dt.datetime) -> int:
    """Let the badges of a learner be deleted at the providers that can do so; return how many."""
    keys = dict(UserCredential.objects.filter(learner=learner_id).values_list("pk", "learner_template_id"))
    messages = [
        NewMessage(channel=slug, key=str(keys[pk]), type="forget", payload={"credential": str(pk)})
        for pk, slugs in registry.forgettable(keys).items()
        for slug in slugs
    ]
    mailbox.post(messages, now=now)
    return len(messages)


def _run_hooks(person: RetiringPerson, counts: dict[str, dict[str, int]], now: dt.datetime) -> None:
    for name, hook in retirement_hooks().items():
        of_app = counts.setdefault(name, {})
        for what, number in hook(person, now=now).items():
            of_app[what] = of_app.get(what, 0) + number


def _identifiers(person: RetiringPerson, names: Iterable[str | ExternalIdentity]) -> set[str]:
    """Return the texts that identify a person: ids, username, and what the host's account says."""
    texts = {name.subject if isinstance(name, ExternalIdentity) else name for name in names}
    if person.lms_user_id is not None:
        texts.add(str(person.lms_user_id))
    if person.user_id is not None:
        account = get_user_model()._default_manager.filter(pk=person.user_id).first()
        texts |= {str(getattr(account, name, "") or "") for name in ("email", "full_name")}
        texts.add(f"{getattr(account, 'first_name', '')} {getattr(account, 'last_name', '')}".strip())
    return {text for text in texts if len(text) > 1 or text.isdigit()}


def _clear_reasons(learner_id: int) -> int:
    """Remove what people wrote about the awards and the progress of a learner."""
    changed = 0
    for model in apps.get_app_config(APP_LABEL).get_models():
        if not issubclass(model, Caused):
            continue
        of_learner = "learner_id" if issubclass(model, UserCredential) else "progress__learner_id"
        for field in model._meta.concrete_fields:
            if field.name.endswith("_reason"):
                rows = model._base_manager.filter(**{of_learner: learner_id, f"{field.name}__isnull": False})
                changed += rows.exclude(**{field.name: ""}).update(**{field.name: ""})
    return changed


def _lms_user_id(condition: Q, user: Q | None) -> int | None:
    """Return the LMS user id of a person who was named in another way, from the learner or the account."""
    known = Learner.objects.filter(condition, lms_user_id__isnull=False).values_list("lms_user_id", flat=True).first()
    if known is None and user is not None and (field_name := user_lms_id_field()):
        accounts = get_user_model()._default_manager.filter(user)
        text = str(accounts.values_list(field_name, flat=True).first())
        known = int(text) if text.isascii() and text.isdigit() else None
    return known


def _account(user: Q | None, lms_user_id: int | None) -> Any:
    """Return the primary key of the host's account of a person without a learner, or None."""
    if user is None and lms_user_id is not None and (field_name := user_lms_id_field()):
        user = Q(**{field_name: lms_user_id})
    if user is None:
        return None
    return get_user_model()._default_manager.filter(user).values_list("pk", flat=True).first()
