"""
What an operator relies on when a machine fails: badges at Credly are neither lost nor issued twice.

The worker is a separate process that is killed with SIGKILL. The stand-in for Credly is another one. It stores a badge
before it answers, and the tests check its list. Its template allows duplicates, so it would accept a second badge.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from badges import delivery
from badges.awarding.models import UserCredential
from badges.issuers import registry
from badges.issuers.credly.models import CredlyBadge, CredlyOrganization
from badges.outbox.mailbox import NewMessage, post
from badges.testing.credly import CredlyProcess
from tests.factories import UserCredentialFactory, credly_issuer, make_template
from tests.services.processes import Process

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

AFTER_THE_LEASE = timedelta(minutes=10)


@pytest.fixture
def credly(credly: CredlyProcess, settings: Any, transactional_db: None) -> CredlyProcess:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "credly": {"CREDLY_API_BASE_URL": credly.url}}
    organization = CredlyOrganization(uuid=credly.organization, name="Analytical Society")
    organization.token = credly.token
    organization.save()
    return credly


@pytest.fixture
def template(credly: CredlyProcess) -> str:
    return credly.add_template(name="Analytical engine", allows_duplicates=True).id


@pytest.fixture
def worker(credly: CredlyProcess, run_manage: Callable[..., Process]) -> Callable[[], Process]:
    return lambda: run_manage("badges_drain", "--forever", env={"CREDLY_URL": credly.url})


def award(credly: CredlyProcess, template: str, *, learners: int) -> list[UserCredential]:
    """Award a badge to ``learners`` learners, as the pipeline does: credential, row of the provider, outbox message."""
    awarded_template = make_template(issuers=[credly_issuer(credly.organization, template)])
    with transaction.atomic():
        awarded = UserCredentialFactory.create_batch(learners, template=awarded_template)
        registry.prepare([(credential, ("credly", credly.organization, template)) for credential in awarded])
        post(
            NewMessage(
                channel="credly",
                key=str(credential.learner_template_id),
                type="issue",
                payload={"credential": str(credential.id)},
            )
            for credential in awarded
        )
    return awarded


def assert_one_badge_each(credly: CredlyProcess, credentials: list[UserCredential]) -> None:
    earners = {badge.issuer_earner_id: badge.id for badge in credly.badges}
    assert Counter(badge.issuer_earner_id for badge in credly.badges) == Counter(earners.keys())
    bound = {str(row.credential.learner.uuid): str(row.external_uuid) for row in CredlyBadge.objects.all()}
    assert bound == earners
    assert len(bound) == len(credentials)


def finish(*, now: Any = None) -> delivery.DeliveryResult:
    return delivery.drain(now=now or timezone.now() + AFTER_THE_LEASE)


def test_a_worker_killed_between_credlys_answer_and_our_commit_leaves_one_badge_bound_once(
    credly: CredlyProcess, template: str, worker: Callable[[], Process]
) -> None:
    credentials = award(credly, template, learners=1)
    credly.slow_down(seconds=30, on="issue", times=1)
    process = worker()
    process.wait_until(lambda: credly.badges, what="a badge at Credly")
    process.kill()
    (badge,) = credly.badges
    assert finish().delivered == 1
    assert credly.badges == [badge]
    assert_one_badge_each(credly, credentials)


def test_workers_killed_at_random_moments_neither_lose_nor_double_a_badge(
    credly: CredlyProcess, template: str, worker: Callable[[], Process]
) -> None:
    moments = random.Random(1843)  # the same kills in every run
    credentials: list[UserCredential] = []
    credly.slow_down(seconds=0.05, on="issue")
    # How much a worker does before its end depends on the machine: only kills that leave work behind are counted.
    interrupted = 0
    while interrupted < (8 if connection.vendor == "postgresql" else 4):
        credentials += award(credly, template, learners=25)  # a killed worker leaves up to 20 rows with a lease
        before = len(credly.badges)
        process = worker()
        process.wait_until(lambda before=before: len(credly.badges) > before, what="another badge at Credly")
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        interrupted += len(credly.badges) < before + 25
    credly.recover()
    done = finish()
    assert done.dead == 0
    assert_one_badge_each(credly, credentials)


def test_credly_killed_in_the_middle_and_back_again_has_one_badge_for_each_learner(
    credly: CredlyProcess, template: str
) -> None:
    credentials = award(credly, template, learners=12)
    delivery.drain(limit=4)
    credly.drop(on="issue", times=1)
    delivery.drain(limit=2)
    credly.kill()
    assert delivery.drain(limit=3).delivered == 0
    credly.start()
    for round_ in range(1, 4):
        finish(now=timezone.now() + round_ * AFTER_THE_LEASE)
    assert_one_badge_each(credly, credentials)
