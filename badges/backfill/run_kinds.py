"""
The kind ``backfill`` of runs: logged events are decided for chosen templates.

Each chunk of people is a step: progress, credentials, outbox messages, the rows of the result and the progress of the
run are one transaction. So a run that is killed goes on with the next chunk, and nothing is done twice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy

from badges.backfill import decisions, people, results
from badges.backfill.decisions import Decided
from badges.backfill.evidence import LogRules, log_rules
from badges.backfill.people import Chunk
from badges.catalog import snapshot
from badges.catalog.api import CompiledTemplate, count_earlier_events
from badges.catalog.models import BadgeTemplate
from badges.common.permissions import permission
from badges.exceptions import Permanent
from badges.history.event_log import first_arrival
from badges.intake.models import Learner
from badges.rules import canonical_time
from badges.runs.kinds import Job, RunKind, Step
from badges.runs.models import Run, RunMode

KIND = "backfill"

# How often a chunk is decided when somebody else creates one of its learners at the same time.
ATTEMPTS = 3
MOST_TEMPLATES = 50
SUBJECT_LENGTH = 255

NOT_ACTIVE = "templates: {slug} is not active, so it gives no badges. Activate it, and plan again."
UNKNOWN = "templates: there is no badge template with the slug {slug}."
NOTHING_DEMANDED = "templates: {slug} has no requirements and no criteria, so no event gives it."
UNUSABLE = "templates: {slug} cannot be used as it is stored; save it again, and correct what the page says."
EDITED = (
    "templates: {slug} was edited or switched off since this run was asked for. What was given until then stays. Plan "
    "again, so that people see what the edited template would give."
)


class Backfill(RunKind):
    """
    Gives the badges of templates to those who have earned them by events of the event log.

    Parameters:

    - ``templates``: slugs, or an object with the UUID of a revision by slug. A run is for these revisions; it fails
      when a template is edited meanwhile.
    - ``since``: leave out events that happened before this time (RFC 3339); None: all logged events count.
    - ``event_time``: whether the badges count as awarded when the event happened that completed them.
    """

    label = gettext_lazy("backfill")
    is_started_by_staff = False  # the page of a template starts it, which asks for its own permission
    start_permission = permission("backfill", BadgeTemplate)
    apply_permission = permission("backfill", BadgeTemplate)
    result_permission = permission("view", Learner)

    def check(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        unknown = sorted(parameters.keys() - {"templates", "since", "event_time"})
        if unknown:
            raise Permanent(f"{unknown[0]}: there is no such parameter. Give templates, since and event_time.")
        event_time = parameters.get("event_time", False)
        if not isinstance(event_time, bool):
            raise Permanent("event_time: write true or false.")
        since = _read_time(parameters.get("since"))
        revisions = _read_templates(parameters.get("templates"))
        return {
            "templates": {slug: str(_revision_of(slug, given)) for slug, given in sorted(revisions.items())},
            "since": canonical_time(since) if since else None,
            "event_time": event_time,
        }

    def subject(self, parameters: Mapping[str, Any]) -> str:
        slugs = ", ".join(sorted(parameters["templates"]))
        if len(slugs) <= SUBJECT_LENGTH:
            return slugs
        return hashlib.sha256(slugs.encode()).hexdigest()

    def total(self, job: Job) -> int:
        return count_people(job.parameters)

    def plan(self, job: Job) -> Iterator[Step]:
        for chunk in people.chunks(_rules(job.parameters), job.cursor):
            yield Step(cursor=chunk.cursor, done=len(chunk.ids), work=partial(_plan, job, chunk))

    def apply(self, job: Job) -> Iterator[Step]:
        rules = _rules(job.parameters)
        if job.cursor is None:
            # First, so that what people do meanwhile is decided by all that they have done.
            yield Step(cursor=None, work=partial(_count_earlier_events, rules))
        for chunk in people.chunks(rules, job.cursor):
            decisions.create_learners(chunk, rules)
            yield Step(cursor=chunk.cursor, done=len(chunk.ids), work=partial(_apply, job, chunk))

    def result(self, job: Job) -> tuple[str, bytes]:
        """Return a CSV file of the badges that were given, or would be."""
        mode = Run.objects.values_list("mode", flat=True).get(pk=job.run_id)
        name = "backfill-plan.csv" if mode == RunMode.PLAN else "backfill.csv"
        return name, results.as_csv(results.rows_of(job.run_id))


def count_people(parameters: Mapping[str, Any]) -> int:
    """Return how many people a run with these parameters has to look at, as far as it is known now."""
    return people.count_people(_rules(parameters))


# --- parameters ------------------------------------------------------------------------------------------------------


def _read_time(given: Any) -> dt.datetime | None:
    if given in (None, ""):
        return None
    try:
        moment = given if isinstance(given, dt.datetime) else dt.datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise Permanent("since: write a time such as 2026-09-01T00:00:00+00:00.") from None
    if moment.tzinfo is None:
        raise Permanent("since: the time needs an offset, such as +00:00 at its end.")
    return moment


def _read_templates(given: Any) -> dict[str, Any]:
    """Return the given revisions by slug, None where none is given."""
    if isinstance(given, Mapping):
        found = dict(given)
    elif isinstance(given, list | tuple):
        found = {slug: None for slug in given if isinstance(slug, str)}
        if len(found) != len(given):
            raise Permanent("templates: give each template once, by its slug.")
    else:
        found = {}
    if not found:
        raise Permanent('templates: give a list of slugs, such as ["algebra-star"].')
    if len(found) > MOST_TEMPLATES:
        raise Permanent(f"templates: give at most {MOST_TEMPLATES} templates; start several runs for more.")
    return found


def _revision_of(slug: str, given: Any) -> Any:
    """Return the UUID of the revision that a run is for. Raises Permanent when that gives nothing, or was edited."""
    row = BadgeTemplate.objects.filter(slug=slug).values_list("current_revision__uuid", "is_active", "archived_at")
    found = row.first()
    if found is None:
        raise Permanent(UNKNOWN.format(slug=slug))
    revision, is_active, archived_at = found
    if given is not None and str(given) != str(revision):
        raise Permanent(EDITED.format(slug=slug))
    if not is_active or archived_at is not None:
        raise Permanent(NOT_ACTIVE.format(slug=slug))
    template = snapshot.current().compiled.get(revision)
    if template is None:
        raise Permanent(UNUSABLE.format(slug=slug))
    if not template.groups:
        raise Permanent(NOTHING_DEMANDED.format(slug=slug))
    return revision


def _rules(parameters: Mapping[str, Any]) -> LogRules:
    """Return the rules of a run's templates. Raises Permanent when one was edited since the run was asked for."""
    catalog = snapshot.current()
    templates: list[CompiledTemplate] = []
    for slug, revision in parameters["templates"].items():
        template = catalog.compiled.get(uuid.UUID(revision))
        if template is None:
            raise Permanent(EDITED.format(slug=slug))
        templates.append(template)
    return log_rules(templates, catalog.definitions, _read_time(parameters["since"]))


# --- the steps -------------------------------------------------------------------------------------------------------


def _plan(job: Job, chunk: Chunk) -> dict[str, int]:
    by_event_time = job.parameters["event_time"]
    decided = decisions.plan_chunk(chunk, _rules(job.parameters), now=job.clock(), by_event_time=by_event_time)
    return _written(job, decided)


def _apply(job: Job, chunk: Chunk) -> dict[str, int]:
    by_event_time = job.parameters["event_time"]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                decided = decisions.decide_chunk(
                    chunk, _rules(job.parameters), now=job.clock(), by_event_time=by_event_time
                )
            break
        except IntegrityError:  # somebody else has just created or retired one of these people
            if attempt == ATTEMPTS:
                raise
    return _written(job, decided)


def _written(job: Job, decided: Decided) -> dict[str, int]:
    results.write_rows(job.run_id, decided.gains)
    return {f"{slug}: {outcome}": number for (slug, outcome), number in decided.counts.items()}


def _count_earlier_events(rules: LogRules) -> dict[str, int]:
    """Let the events that are decided count for criteria documents from now on, too."""
    moments = {}
    for template in rules.templates.values():
        if template.criteria is not None:
            moment = rules.since or first_arrival(template.criteria.event_types)
            if moment is not None:
                moments[template.id] = moment
    if moments:
        count_earlier_events(moments)
    return {}
