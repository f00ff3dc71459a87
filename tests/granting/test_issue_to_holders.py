"""Badges that were awarded before their template got a provider are issued there on request."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from badges import api, delivery
from badges.catalog.models import TemplateIssuer
from badges.exceptions import Permanent
from badges.models import OutboxMessage, Run, UserCredential
from badges.runs import queue, worker
from badges.runs.models import RunMode
from badges.testing.credly import CredlyStandIn
from tests.factories import NOON, LearnerFactory, make_template

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


@pytest.fixture
def holders(credly: CredlyStandIn) -> list[UserCredential]:
    """Four learners with a badge, one of whom lost it. Then Credly was added to the template."""
    template = make_template(slug="star")
    held = [api.award(LearnerFactory(), template.slug, now=NOON) for _ in range(4)]
    api.revoke(held[0].learner, template.slug, now=NOON)
    TemplateIssuer.objects.create(
        template=template,
        provider="credly",
        organization=credly.organization,
        external_template=credly.add_template().id,
    )
    return held


def run(mode: RunMode) -> Run:
    started = queue.start("issue_to_holders", mode=mode, parameters={"template": "star"})
    worker.work()
    started.refresh_from_db()
    assert started.state == "done", started.note
    return started


def counts(run: Run) -> Any:
    return json.loads(run.counts)


def test_those_who_hold_the_badge_get_it_and_repeating_it_does_nothing(
    credly: CredlyStandIn, holders: list[UserCredential]
) -> None:
    assert counts(run(RunMode.PLAN)) == {"to be issued at credly": 3}
    assert not OutboxMessage.objects.filter(channel="credly").exists()
    assert counts(run(RunMode.APPLY)) == {"to be issued at credly": 3}
    delivery.drain()
    assert sorted(badge.issuer_earner_id or "" for badge in credly.badges) == sorted(
        str(credential.learner.uuid) for credential in holders[1:]
    )
    assert {badge.issued_at for badge in credly.badges} == {NOON}
    assert counts(run(RunMode.APPLY)) == {"to be issued at credly": 0}
    assert OutboxMessage.objects.filter(channel="credly").count() == 3


def test_who_loses_the_badge_meanwhile_does_not_keep_it(credly: CredlyStandIn, holders: list[UserCredential]) -> None:
    run(RunMode.APPLY)
    api.revoke(holders[1].learner, "star", now=NOON + dt.timedelta(seconds=1))
    delivery.drain()
    assert str(holders[1].learner.uuid) not in {badge.issuer_earner_id for badge in credly.badges}


@pytest.mark.parametrize("parameters", [{}, {"template": "moon"}, {"template": 7}, {"template": "star", "x": 1}])
def test_wrong_parameters_are_refused(holders: list[UserCredential], parameters: dict[str, Any]) -> None:
    with pytest.raises(Permanent, match=r"^(template|x): "):
        queue.start("issue_to_holders", mode=RunMode.APPLY, parameters=parameters)


def test_staff_start_it_from_the_list_of_templates(
    credly: CredlyStandIn, holders: list[UserCredential], admin_client: Any
) -> None:
    other = make_template(slug="moon")
    template = holders[0].template
    chosen = {"action": "issue_to_holders", "_selected_action": [template.pk, other.pk]}
    page = admin_client.post("/admin/lms_badges/badgetemplate/", chosen, follow=True).content.decode()
    assert "Template moon: template: there is no template with this slug that is issued at a provider." in page
    assert str(Run.objects.get().pk) in page
    worker.work()
    delivery.drain()
    assert len(credly.badges) == 3
