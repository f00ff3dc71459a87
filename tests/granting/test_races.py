"""Many workers decide about the same badges at once: nothing is doubled, and what is announced fits together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from badges import api, pipeline
from badges.exceptions import AlreadyHeldError, NotHeldError
from badges.models import Learner, OutboxMessage, UserCredential
from tests.factories import ALGEBRA, LearnerFactory, UserFactory, make_passing, make_template
from tests.support.threads import outcomes_at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

WORKERS = 8


def at_once(works: Sequence[Callable[[], list[str]]]) -> list[str]:
    """Run works at the same time; return what they returned, or how they failed."""
    outcomes = outcomes_at_once(works)
    return [one for outcome in outcomes for one in ([repr(outcome)] if isinstance(outcome, Exception) else outcome)]


def awarding(people: Sequence[Any], slug: str) -> Callable[[], list[str]]:
    def work() -> list[str]:
        outcomes = []
        for person in people:
            try:
                api.award(person, slug)
                outcomes.append("awarded")
            except AlreadyHeldError:
                outcomes.append("held")
        return outcomes

    return work


def revoking(people: Sequence[Any], slug: str) -> Callable[[], list[str]]:
    def work() -> list[str]:
        outcomes = []
        for person in people:
            try:
                api.revoke(person, slug)
                outcomes.append("revoked")
            except NotHeldError:
                outcomes.append("not held")
        return outcomes

    return work


def deciding(events: Sequence[Any]) -> Callable[[], list[str]]:
    def work() -> list[str]:
        return ["awarded by an event"] * pipeline.handle(events).awarded

    return work


def test_of_parallel_awards_one_makes_a_credential_and_the_others_say_that_it_is_held() -> None:
    learners, slug = [LearnerFactory() for _ in range(5)], make_template().slug
    outcomes = at_once([awarding(learners, slug)] * WORKERS)
    assert sorted(set(outcomes)) == ["awarded", "held"]
    assert outcomes.count("awarded") == len(learners)
    assert len(outcomes) == WORKERS * len(learners)
    assert UserCredential.objects.filter(active_key="active").count() == len(learners)
    assert OutboxMessage.objects.filter(channel="announce", type="badge.awarded").count() == len(learners)


def test_of_parallel_first_awards_to_an_account_one_makes_the_learner() -> None:
    users, slug = [UserFactory() for _ in range(3)], make_template().slug
    outcomes = at_once([awarding(users, slug)] * WORKERS)
    assert sorted(set(outcomes)) == ["awarded", "held"]
    assert outcomes.count("awarded") == Learner.objects.count() == len(users)


def test_events_awards_and_revocations_of_the_same_learners_end_in_one_badge_and_alternating_announcements() -> None:
    learners, template = [LearnerFactory() for _ in range(6)], make_template()
    backwards = list(reversed(learners))

    def passing(of: Sequence[Learner]) -> list[Any]:
        return [make_passing(course_key=ALGEBRA, lms_user_id=each.lms_user_id, username=str(each)) for each in of]

    events = [deciding(passing(learners)), deciding(passing(backwards))]
    awards = [awarding(learners * 2, template.slug), awarding(backwards * 2, template.slug)] * 2
    revocations = [revoking(learners * 2, template.slug), revoking(backwards * 2, template.slug)]
    outcomes = at_once([*events, *awards, *revocations])

    known = {"awarded", "held", "revoked", "not held", "awarded by an event"}
    assert set(outcomes) <= known, set(outcomes) - known
    awarded = outcomes.count("awarded") + outcomes.count("awarded by an event")
    assert UserCredential.objects.count() == awarded
    assert UserCredential.objects.filter(status="revoked").count() == outcomes.count("revoked")
    for learner in learners:
        held = UserCredential.objects.filter(learner=learner, active_key="active").count()
        announced = OutboxMessage.objects.filter(channel="announce", key=str(learner.pk)).order_by("sequence")
        types = list(announced.values_list("type", flat=True))
        expected = itertools.islice(itertools.cycle(["badge.awarded", "badge.revoked"]), len(types))
        assert types == list(expected)
        assert held == len(types) % 2
        credentials = [message.read()["credential"] for message in announced]
        assert credentials[1::2] == credentials[: len(credentials) // 2 * 2 : 2]  # what is revoked was awarded before
