"""
A penalty from end to end: a pack, files of events, and the badges at Credly, by commands alone.

The peer that this plugin replaces revokes a badge although an alternative is still fulfilled, and never gives it again.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from badges.awarding.models import UserCredential
from badges.testing import events
from badges.testing.credly import CredlyProcess
from tests.acceptance.delivery_helpers import host_env
from tests.factories import credly_issuer, penalty, requirement, template_entry
from tests.services.processes import Process

pytestmark = pytest.mark.django_db(transaction=True)

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def line(minute: int, course: str, *, person: int, passes: bool) -> str:
    return events.passing_status(
        time=NOON + dt.timedelta(minutes=minute),
        course_key=course,
        is_passing=passes,
        lms_user_id=person,
        username=f"learner{person}",
        email=f"learner{person}@example.org",
        name=f"Lea Rner{person}",
    ).line


@pytest.mark.tables
def test_badges_are_revoked_and_given_again_at_credly_as_the_times_of_events_say(
    credly: CredlyProcess, run_manage: Callable[..., Process], tmp_path: Path
) -> None:
    template = credly.add_template(name="Either course", allows_duplicates=True).id
    entry = template_entry(
        slug="either",
        issuers=[credly_issuer(credly.organization, template)],
        requirements=[
            requirement("algebra", course=ALGEBRA, group="either"),
            requirement("botany", course=BOTANY, group="either"),
        ],
        penalties=[penalty("algebra", course=ALGEBRA), penalty("botany", course=BOTANY)],
    )

    def run(*arguments: str) -> str:
        process = run_manage(*arguments, env=host_env(credly))
        assert process.wait() == 0, process.output()
        return process.output()

    def arrive(name: str, *lines: str) -> str:
        file = tmp_path / name
        file.write_text("".join(f"{each}\n" for each in lines))
        told = run("consume_badge_events", "--bus", "file", "--input", str(file))
        run("badges_drain")
        return told

    pack = tmp_path / "pack.json"
    pack.write_text(json.dumps({"pack": 1, "templates": [entry]}))
    run("badges_pack", "apply", str(pack))

    arrive(
        "first.jsonl",
        line(1, ALGEBRA, person=1, passes=True),
        *(line(1, course, person=2, passes=True) for course in (ALGEBRA, BOTANY)),
        line(5, ALGEBRA, person=3, passes=False),  # nobody knows this person yet
    )
    assert at_credly(credly) == {"learner1": ["pending"], "learner2": ["pending"]}

    told = arrive(
        "second.jsonl",
        *(line(5, ALGEBRA, person=person, passes=False) for person in (1, 2)),
        line(3, ALGEBRA, person=3, passes=True),  # older than the penalty that has arrived already
    )
    assert "1 revoked" in told
    assert at_credly(credly) == {"learner1": ["revoked"], "learner2": ["pending"]}

    arrive("third.jsonl", *(line(9, ALGEBRA, person=person, passes=True) for person in (1, 3)))

    assert at_credly(credly) == {
        "learner1": ["pending", "revoked"],
        "learner2": ["pending"],
        "learner3": ["pending"],
    }
    assert UserCredential.objects.filter(status="awarded").count() == 3


def at_credly(credly: CredlyProcess) -> dict[str, list[str]]:
    """Return the states of the badges of each learner, by the beginning of the address they were sent to."""
    found: dict[str, list[str]] = {}
    badges: Any = credly.badges
    for badge in badges:
        found.setdefault(badge.recipient_email.partition("@")[0], []).append(badge.state)
    return {name: sorted(states) for name, states in found.items()}
