"""Descriptions of operators, kinds of values and causes for people."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.awarding.models import UserCredential
from badges.catalog import event_types
from badges.catalog.causes import Caused, CauseKind
from badges.catalog.learner_paths import Naming
from badges.catalog.models import TemplateRevision
from badges.catalog.rule_words import OPERATORS
from badges.common.admin import format_time
from badges.issuers.base import Issued
from badges.outbox.models import OutboxMessage, OutboxState
from badges.progress.models import Fulfillment, RequirementReset
from badges.rules import Kind, operator_names, split_path

ALIASES = {"neq"}  # accepted, but not offered

KINDS = {
    Kind.TEXT: gettext_lazy("text"),
    Kind.INTEGER: gettext_lazy("whole number"),
    Kind.NUMBER: gettext_lazy("number"),
    Kind.BOOLEAN: gettext_lazy("true or false"),
    Kind.TIME: gettext_lazy("time"),
    Kind.LIST: gettext_lazy("list"),
    Kind.MAP: gettext_lazy("map"),
    Kind.OBJECT: gettext_lazy("object"),
    Kind.ANY: gettext_lazy("text or number"),
}


NAMINGS = {
    Naming.USER_DATA: gettext_lazy("UserData: LMS user id, and the names if the sender gave them"),
    Naming.LMS_USER_ID: gettext_lazy("LMS user id"),
    Naming.USERNAME: gettext_lazy("username"),
    Naming.EXTERNAL: gettext_lazy("id at another system"),
}

# What values look like, by the kind of value and by the last key of well-known key paths of openedx-events.
EXAMPLES = {
    Kind.NUMBER: gettext_lazy("such as 0.8"),
    Kind.INTEGER: gettext_lazy("such as 5"),
    Kind.TIME: gettext_lazy("such as 2026-03-01T09:30:00Z"),
}
KNOWN_VALUES = {
    "percent_grade": gettext_lazy("a share from 0 to 1: 0.8 is 80 %"),
    "letter_grade": gettext_lazy("a grade of the course's grading policy, such as A; empty when not passed"),
    "course_key": gettext_lazy("such as course-v1:Org+Course+Run"),
    "usage_key": gettext_lazy("such as block-v1:Org+Course+Run+type@problem+block@name"),
    "mode": gettext_lazy("the enrollment mode, such as audit, honor or verified"),
}


def describe_values(path: str, kind: Kind, note: str | None = None) -> str:
    """
    Return what values at a key path look like: their kind, and the scale or an example where that is known.

    ``note`` is what the author of an event type has said about them.
    """
    shown = note or KNOWN_VALUES.get(split_path(path)[-1]) or EXAMPLES.get(kind)
    return f"{KINDS[kind]}, {shown}" if shown else str(KINDS[kind])


def describe_naming(event_type: str) -> str:
    """Return how events of a type name their learner, or "-" when the type is not configured."""
    definition = event_types.configured().get(event_type)
    naming = definition.naming if definition else None
    return str(NAMINGS[naming]) if naming else "-"


def operator_choices() -> list[tuple[str, Any]]:
    """Return all operators with labels. Operators of other packages have their names as labels."""
    return [(name, OPERATORS.get(name, name)) for name in operator_names() if name not in ALIASES]


def describe_cause(cause: Caused) -> str:
    """Return a description of a cause: the event, the person or other code; the reason, and the template's revision."""
    return _describe(cause, "cause", reason=cause.cause_reason, revision=cause.revision)


def describe_revocation(credential: UserCredential) -> str:
    """Return a description of the cause of a revocation, without the reasons; "-" when there was none."""
    if not credential.revocation_kind:
        return "-"
    return _describe(credential, "revocation", reason="", revision=credential.revocation_revision)


def describe_issued(badge: Issued) -> SafeString:
    """Return where a badge was issued, its state there, and a link to it."""
    text = format_html("{}: {}", badge.provider, badge.label)
    if badge.issued_at:
        text = format_html("{}, {}", text, format_time(badge.issued_at))
    if badge.url:
        text = format_html('{} (<a href="{}" rel="noreferrer">{}</a>)', text, badge.url, badge.external_id or badge.url)
    elif badge.external_id:
        text = format_html("{} ({})", text, badge.external_id)
    return text


def describe_waiting(message: OutboxMessage, *, now: dt.datetime) -> str:
    """Return what an outbox message waits for, as far as the row itself knows; "-" when it does not wait."""
    if message.state != OutboxState.PENDING or message.due_at is None:
        return "-"
    if message.postponed_for:
        return _("the circuit %(name)s") % {"name": message.postponed_for}
    if message.due_at <= now:
        return _("a worker, or an earlier row of its key")
    return _("a worker that has it now") if message.claim else _("its next try")


def describe_fulfillment_reset(fulfillment: Fulfillment) -> str:
    """Return a description of the reset of a past fulfilment, with its cause; empty when it was not reset."""
    if not fulfillment.reset_kind:
        return ""
    return _("Reset: %(cause)s") % {"cause": _describe(fulfillment, "reset", reason="", revision=None)}


def describe_reset(reset: RequirementReset) -> str:
    """Return a description of the last reset of a requirement by a penalty."""
    return _(
        "Reset by the event %(id)s of %(source)s (%(type)s) at %(time)s, under revision %(number)s of the template. "
        "Facts up to then do not count."
    ) % {
        "id": reset.event_id,
        "source": reset.event_source or "?",
        "type": reset.event_type,
        "time": format_time(reset.void_until),
        "number": reset.revision.number,
    }


def _describe(row: Any, prefix: str, *, reason: str, revision: TemplateRevision | None) -> str:
    """Return a description of a cause. ``prefix`` is the beginning of the names of its columns."""
    kind = getattr(row, f"{prefix}_kind")
    if kind == CauseKind.EVENT:
        text = _("The event %(id)s of %(source)s (%(type)s)") % {
            "id": getattr(row, f"{prefix}_event_id"),
            "source": getattr(row, f"{prefix}_event_source") or "?",
            "type": getattr(row, f"{prefix}_event_type"),
        }
        if time := getattr(row, f"{prefix}_event_time"):
            text += _(" of %(time)s") % {"time": format_time(time)}
    elif kind == CauseKind.CONDITION:
        text = _("The badge condition held after the activity %(id)s (%(type)s) of %(time)s") % {
            "id": getattr(row, f"{prefix}_event_id"),
            "type": getattr(row, f"{prefix}_event_type"),
            "time": format_time(getattr(row, f"{prefix}_event_time")),
        }
    elif kind == CauseKind.PERSON:
        person = getattr(row, f"{prefix}_person") or _("Somebody whose account is gone")
        text = _bulk_run(row, prefix, person) or _("%(person)s did it by hand") % {"person": person}
    elif kind == CauseKind.TIME:
        text = _("Time passed, until %(time)s") % {"time": format_time(getattr(row, f"{prefix}_event_time"))}
    elif kind == CauseKind.EXPIRED:
        text = _("The badge expired; facts up to %(time)s counted for it") % {
            "time": format_time(getattr(row, f"{prefix}_event_time"))
        }
    else:
        text = _bulk_run(row, prefix, _("Other code")) or _("Other code did it")
    if reason:
        text += f": {reason}"
    if revision is None:
        return f"{text}."
    return text + _(", under revision %(number)s of the template.") % {"number": revision.number}


def _bulk_run(row: Any, prefix: str, who: Any) -> str:
    """Return what a decision in a bulk run is called; empty when it was not made in one."""
    if not getattr(row, f"{prefix}_event_type"):
        return ""
    run = getattr(row, f"{prefix}_event_id")
    return _("%(who)s did it in the bulk run %(run)s") % {"who": who, "run": run}


def pretty(text: str | None) -> SafeString:
    """Return stored JSON as indented and escaped HTML. Text that is not JSON stays as it is."""
    with contextlib.suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text or ""), ensure_ascii=False, indent=2)
    return format_html('<pre class="lms-badges-document">{}</pre>', text or "")
