"""
An answer in sentences that can be sent to the learner, in the active language.

The sentences say "the badge" and "a person": they read well to the learner and to whoever helps. Pure: they are made of
the answer alone.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from badges.awarding.models import CredentialStatus
from badges.catalog.causes import CauseKind
from badges.explanations.answers import (
    PERSONAL,
    Answer,
    CauseFacts,
    CredentialFacts,
    CriteriaFacts,
    EventFacts,
    FulfillmentFacts,
    GroupFacts,
    RequirementFacts,
    RuleFacts,
    State,
)
from badges.explanations.reading import Hindrance

# So many credentials are told of, the newest ones.
MOST_CREDENTIALS = 3
# So many past fulfilments of each requirement are told of, the newest ones.
MOST_PAST = 2
MOST_CHARACTERS = 80  # of a value of an event


def sentences(answer: Answer) -> list[str]:
    """Return the answer as lines of one or more sentences, the most important first."""
    found = [
        _headline(answer),
        *(" ".join(_credential(row)) for row in answer.credentials[:MOST_CREDENTIALS]),
        *_template(answer),
        *_requirements(answer),
        *_limits(answer),
    ]
    return [_writable(text) for text in found]


def _headline(answer: Answer) -> str:
    names = {"badge": answer.template.name}
    if answer.state is State.HELD:
        return _("The badge “%(badge)s” is held.") % names
    return _("The badge “%(badge)s” is not held.") % names


# --- credentials -----------------------------------------------------------------------------------------------------


def _credential(row: CredentialFacts) -> Iterator[str]:
    yield _("It was awarded on %(time)s.") % {"time": _time(row.awarded_at)}
    yield from _cause(row.cause)
    if row.status == CredentialStatus.AWARDED and row.valid_until:
        yield _("It is valid until %(time)s.") % {"time": _time(row.valid_until)}
    if row.status == CredentialStatus.EXPIRED:
        yield _("It expired on %(time)s.") % {"time": _time(row.valid_until or row.ended_at)}
        yield _("What was done for it before does not count any more. It can be earned again.")
    if row.status == CredentialStatus.REPLACED:
        yield _("It was renewed on %(time)s: a newer one took its place.") % {"time": _time(row.ended_at)}
    if row.status == CredentialStatus.REVOKED:
        yield _("It was revoked on %(time)s.") % {"time": _time(row.revoked_at)}
        if row.revocation:
            yield from _cause(row.revocation)
        if row.public_reason:
            yield _("Reason: %(reason)s") % {"reason": row.public_reason}
    if row.blocked:
        yield _("It is blocked: it is not awarded again until the block is lifted.")
    if row.block_lifted_at:
        yield _("The block was lifted on %(time)s. It can be earned again.") % {"time": _time(row.block_lifted_at)}


def _cause(cause: CauseFacts) -> Iterator[str]:
    yield _("Cause: %(cause)s.") % {"cause": _cause_words(cause)}
    if cause.template_revision is not None:
        yield _("Revision %(number)d of the template decided.") % {"number": cause.template_revision}


def _cause_words(cause: CauseFacts) -> str:
    values = {"id": cause.event_id, "time": _time(cause.event_time)}
    words = {
        CauseKind.EVENT: _("the event %(id)s of %(time)s"),
        CauseKind.CONDITION: _("the activity %(id)s of %(time)s"),
        CauseKind.PERSON: _("a person decided it"),
        CauseKind.TIME: _("time passed, until %(time)s"),
        CauseKind.EXPIRED: _("the badge expired"),
    }
    return words.get(CauseKind(cause.kind), _("another program decided it")) % values


# --- the template ----------------------------------------------------------------------------------------------------


def _template(answer: Answer) -> Iterator[str]:
    if answer.state is State.RETIRED:
        yield _("The data of this person was removed, or belongs to another learner now.")
    if answer.state is State.HELD:
        return
    if answer.template.archived_at is not None:
        archived = {"time": _time(answer.template.archived_at)}
        yield _("The badge was archived on %(time)s. Nobody gets it any more.") % archived
    elif not answer.template.is_active:
        yield _("The badge is switched off at the moment. Events do not count for it until it is active again.")
    if answer.template.award_once and answer.credentials:
        yield _("It is awarded once only, so it cannot be earned again.")
    if answer.condition_holds is not None:
        yield _("It is given for XP, days in a row and activities.")
        yield (
            _("They are enough now: it comes with the next activity.")
            if answer.condition_holds
            else _("They are not enough yet.")
        )
    elif not answer.groups:
        yield _("No event gives this badge. People award it.")


# --- what it demands -------------------------------------------------------------------------------------------------


def _requirements(answer: Answer) -> Iterator[str]:
    if answer.groups:
        numbers = {"done": answer.fulfilled_groups, "total": answer.total_groups}
        yield _("Steps done: %(done)d of %(total)d.") % numbers
    for group in answer.groups:
        yield from _group(group, answer)
    if answer.state is State.COMPLETE:
        yield _("All steps are done, and no event has come since that could award it. The next one that counts does.")


def _group(group: GroupFacts, answer: Answer) -> Iterator[str]:
    told = [row for row in group.requirements if row.fulfillment or not group.fulfilled]
    if len(told) > 1 and not group.fulfilled:
        yield _("One of the next %(number)d is enough:") % {"number": len(told)}
    for row in told:
        yield from _requirement(row, answer)


def _requirement(row: RequirementFacts, answer: Answer) -> Iterator[str]:
    names = {"requirement": row.description}
    if row.fulfillment:
        yield _("Done: %(requirement)s") % names
        yield " ".join(_fulfilled(row.fulfillment))
        return
    yield _("Still open: %(requirement)s") % names
    if details := " ".join(_open(row, answer)):
        yield details


def _open(row: RequirementFacts, answer: Answer) -> Iterator[str]:
    for past in row.past[-MOST_PAST:]:
        yield from _fulfilled(past)
    if row.reset and row.void_until:
        yield _("What was done for it up to %(time)s does not count.") % {"time": _time(row.void_until)}
        yield from _cause(row.reset)
    if row.problem:
        yield _("It cannot be fulfilled at the moment, because its rules cannot be used.")
        return
    if not row.event_type:
        yield from _document(row, answer.criteria)
        return
    for event in row.uncounted:
        yield from _uncounted(event)
    if row.closest:
        yield _closest(row.closest)
    elif not row.events_read:
        yield _("No event of this type is known: %(title)s.") % {"title": row.event_title}


def _fulfilled(row: FulfillmentFacts) -> Iterator[str]:
    yield _("It was fulfilled on %(time)s.") % {"time": _time(row.fulfilled_at)}
    yield from _cause(row.cause)
    if row.reset_at:
        yield _("It was reset on %(time)s.") % {"time": _time(row.reset_at)}
        if row.reset:
            yield from _cause(row.reset)


def _document(row: RequirementFacts, criteria: CriteriaFacts | None) -> Iterator[str]:
    for text in row.missing:
        yield _("Missing: %(what)s.") % {"what": text}
    if criteria is None:
        return
    if criteria.satisfied or criteria.earned_at:
        yield _("It is satisfied now, or was earlier, and did not count then. The next event that it reads decides.")
    if criteria.events_before and criteria.counts_from:
        values = {"number": criteria.events_before, "time": _time(criteria.counts_from)}
        yield _("Events that do not count, because they arrived before %(time)s: %(number)d.") % values


def _closest(event: EventFacts) -> str:
    failed = "; ".join(_difference(rule) for rule in event.rules if not rule.holds)
    values = {"id": event.id, "time": _time(event.time), "differences": failed}
    return _("It came closest with the event %(id)s of %(time)s: %(differences)s.") % values


def _difference(rule: RuleFacts) -> str:
    values = {"path": rule.path, "observed": observed_text(rule), "expected": rule.expected}
    if rule.note == PERSONAL:
        return _("%(path)s is personal and not shown (expected: %(expected)s)") % values
    if rule.observed is None:
        return _("%(path)s was missing (expected: %(expected)s)") % values
    return _("%(path)s was %(observed)s (expected: %(expected)s)") % values


def _uncounted(event: EventFacts) -> Iterator[str]:
    yield _("The event %(id)s of %(time)s fits.") % {"id": event.id, "time": _time(event.time)}
    words = {
        Hindrance.PENDING: _("It waits to be decided."),
        Hindrance.DEAD: _("It could not be decided; staff can try it again."),
        Hindrance.EARLIER_REVISION: _("It was decided earlier than the badge was last changed."),
        Hindrance.VOID: _("It does not count, because of the reset."),
    }
    if event.hindrance is not None:
        yield words[event.hindrance]


def _limits(answer: Answer) -> Iterator[str]:
    is_cut = not answer.is_complete or (answer.criteria is not None and not answer.criteria.is_complete)
    if is_cut:
        yield _("Only the newest events were looked at; there are older ones.")


# --- words -----------------------------------------------------------------------------------------------------------


def _time(moment: dt.datetime | None) -> str:
    """Return a time in the current time zone, which it names, in the reader's language."""
    if moment is None:
        return "?"
    local = timezone.localtime(moment)
    return f"{formats.date_format(local, 'DATETIME_FORMAT')} {formats.date_format(local, 'T')}"


def observed_text(rule: RuleFacts) -> str:
    """Return what an event had at the path of a rule: text in quotes, other JSON as it is; a dash for nothing."""
    observed = rule.observed
    if observed is None:
        return "-"
    text = f"“{observed}”" if isinstance(observed, str) else json.dumps(observed, ensure_ascii=False)
    return _writable(text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…")


def _writable(text: str) -> str:
    """Return a text without halves of characters, which events may hold and no encoding has."""
    return text.encode("utf-8", "replace").decode("utf-8")
