"""
Kinds of runs. A kind is an entry point of the group ``badges.run_kinds``, which names a subclass of ``RunKind``.

A kind yields steps. The worker commits each of them with the progress of the run, so a kind says only what there is to
do and where it goes on::

    class Backfill(RunKind):
        label = _("backfill")
        modes = (RunMode.APPLY,)

        def apply(self, job):
            for people in chunks_after(job.cursor):
                yield Step(cursor=people[-1], done=len(people), work=lambda: award(people, job.parameters["template"]))
"""

from __future__ import annotations

import datetime as dt
import uuid
from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from badges.common.entry_points import EntryPointLoader
from badges.conf import config
from badges.exceptions import Permanent
from badges.outbox.worker_notifications import CARRY_OUT_RUNS
from badges.runs.models import RunMode, RunState

GROUP = "badges.run_kinds"


@dataclass(frozen=True, slots=True)
class Job:
    """
    What a kind knows of its run.

    ``cursor`` is the cursor of the last step that was committed, None at the beginning. ``undoes`` is the id of the run
    to be undone. ``done`` and ``counts`` are those of the committed steps, when this worker began. ``now`` is when it
    began; ``clock`` returns the time of a later step.
    """

    run_id: uuid.UUID
    parameters: Mapping[str, Any]
    now: dt.datetime
    cursor: Any = None
    asked_by_id: Any = None
    undoes: uuid.UUID | None = None
    done: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    clock: Callable[[], dt.datetime] = timezone.now


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends: its state, and a note of at most 500 characters that says why, or what to do."""

    state: RunState = RunState.DONE
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """
    The limits of a run: how long a step may take, how often one is tried and when, how long a closed run is kept.

    All times but ``keep_days`` are seconds. ``keep_days``: None keeps runs for ever.
    """

    lease_seconds: float
    max_attempts: int
    base_delay: float
    max_delay: float
    keep_days: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """
    One transaction of a run.

    ``work`` is called in the transaction that stores the progress, and may be called again after a transient error of
    the database; it returns what it has counted, by name. It only writes to the database: what must happen outside
    becomes an outbox row. ``cursor`` is a JSON value: where the run goes on after this step. ``done`` is how much of
    the run's total this step deals with. ``ends`` is called after ``work`` in the same transaction, with the counts of
    the run so far. When it returns an ``Ending``, the run is closed with it, without a result, and no other step is
    asked for.
    """

    cursor: Any
    done: int = 0
    work: Callable[[], Mapping[str, int] | None] = lambda: None
    ends: Callable[[Mapping[str, int]], Ending | None] = lambda counts: None


class RunKind(ABC):
    """
    A kind of long work.

    The methods for steps are called outside of a transaction. They may raise ``Retryable``: the run goes on at its
    cursor later; or ``Permanent``: the run fails, and the message tells a person what to do.
    """

    label: Any
    """What the admin calls it."""

    modes: tuple[RunMode, ...] = (RunMode.PLAN, RunMode.APPLY)
    """What may be asked for. A kind with UNDO can take back what it has applied."""

    task: str = CARRY_OUT_RUNS
    """The Celery task whose workers carry out runs of this kind."""

    starts_over: bool = False
    """
    Whether a run cannot go on at a cursor. Each worker then begins anew, progress and counts begin at zero, and all
    claims count as attempts. Use a ``task`` that gives it enough time.
    """

    is_started_by_staff: bool = True
    """Whether the page of runs offers this kind. Otherwise only code starts it, with ``badges.api.start_run``."""

    start_permission: str = ""
    """The permission that starting needs by REST, as ``user.has_perm`` takes it; "": that of starting runs."""

    apply_permission: str = ""
    """The permission that applying a plan needs, as ``user.has_perm`` takes it; "": that of starting runs."""

    undo_permission: str = ""
    """The permission that undoing needs besides that of changing runs, as ``user.has_perm`` takes it; "": none."""

    result_permission: str = ""
    """The permission that reading the result needs besides that of viewing runs, as ``user.has_perm`` takes it."""

    people: tuple[str, ...] = ()
    """
    The parameters that name people, by LMS user id or username, as whole values or in lists. A retirement sets such a
    value to null, and leaves it out of a list. No other parameter, no cursor, count or subject may name a person.
    """

    result_names_people: bool = True
    """
    Whether a result may name people. A retirement removes a result that does. A result is text in UTF-8 that names each
    person by LMS user id, username, e-mail address or full name; any other file is removed by every retirement.
    """

    def limits(self) -> RunLimits:
        """Return the limits of runs of this kind; by default those of the settings."""
        return default_limits()

    def check(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters as they are stored. Raises Permanent, which names the parameter and the remedy."""
        return dict(parameters)

    def subject(self, parameters: Mapping[str, Any]) -> str:
        """Return what the run is about, such as the slug of a template. One run of a kind and subject may be open."""
        return ""

    def total(self, job: Job) -> int | None:
        """Return how much there is to do, for the progress; None when that is not known."""
        return None

    def plan(self, job: Job) -> Iterator[Step]:
        """Yield the steps that find out what ``apply`` would do. They change nothing but the run's progress."""
        raise NotImplementedError

    def apply(self, job: Job) -> Iterator[Step]:
        """Yield the steps of the work, from ``job.cursor`` on."""
        raise NotImplementedError

    def undo(self, job: Job) -> Iterator[Step]:
        """Yield the steps that take back what the run ``job.undoes`` has applied."""
        raise NotImplementedError

    def prepare_apply(self, plan_id: uuid.UUID, run_id: uuid.UUID) -> None:  # noqa: B027 -- most have parameters only
        """
        Give a run what its plan has besides the parameters, such as rows of a table of the kind's own.

        It is called in the transaction that writes the run, when a person applies a plan that is done.
        """

    def result(self, job: Job) -> tuple[str, bytes] | None:
        """Return the name and the content of a file for the person who asked. It is called after the last step."""
        return None

    def page(self, run_id: uuid.UUID) -> str | None:
        """Return the address of an admin page that shows more of a run, or None."""
        return None

    def failed(self, job: Job, note: str) -> None:  # noqa: B027 -- most kinds have nothing to do
        """Do what has to be done when a run fails. It is called in the transaction that closes the run."""


_kinds: EntryPointLoader[RunKind] = EntryPointLoader(
    GROUP,
    noun="kind of run",
    kind=RunKind,
    error=Permanent,
    remedy="start another kind of run",
    instantiate=True,
)


def names() -> list[str]:
    """Return the names of all installed kinds, loading none."""
    return _kinds.names()


def get(name: str) -> RunKind:
    """Return the kind with this name. Raises Permanent, which names the remedy, when there is no working one."""
    return _kinds.get(name)


def register(name: str, kind: RunKind) -> None:
    """Use this kind in this process, before any entry point of that name."""
    _kinds.register(name, kind)


def unregister(name: str) -> None:
    """Undo ``register``."""
    _kinds.unregister(name)


def default_limits() -> RunLimits:
    """Return the limits that the settings have for all kinds."""
    return RunLimits(
        lease_seconds=config.runs["lease_seconds"],
        max_attempts=config.runs["max_attempts"],
        base_delay=2.0,
        max_delay=600.0,
        keep_days=config.runs["keep_days"],
    )


def limits_of(name: str) -> RunLimits:
    """Return the limits of a kind; those of the settings when there is no working kind of this name."""
    try:
        return get(name).limits()
    except Permanent:
        return default_limits()


def steps_of(kind: RunKind, mode: str, job: Job) -> Iterator[Step]:
    """Return the steps of a kind in a mode."""
    return {RunMode.PLAN: kind.plan, RunMode.APPLY: kind.apply, RunMode.UNDO: kind.undo}[RunMode(mode)](job)
