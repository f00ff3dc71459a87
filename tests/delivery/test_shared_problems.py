"""What is wrong for all badges of an organization, or of a template there, is one problem, and nothing dies of it."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from badges import delivery
from badges.awarding.models import UserCredential
from badges.catalog.models import BadgeTemplate, TemplateIssuer
from badges.exceptions import SharedProblem
from badges.issuers.credly.models import CredlyBadge, CredlyOrganization
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from badges.testing.credly import CredlyStandIn
from badges.testing.standin import Refused
from tests.acceptance.delivery_helpers import pass_course
from tests.delivery.telegraph import NOW, Telegraph, later, post
from tests.factories import REVOKED, credly_issuer, make_template

pytestmark = [pytest.mark.tables, pytest.mark.django_db]


@pytest.fixture
def credly(settings: Any) -> Any:
    with CredlyStandIn() as stand_in:
        settings.LMS_BADGES_CONFIG = {
            **settings.LMS_BADGES_CONFIG,
            "credly": {"CREDLY_API_BASE_URL": stand_in.url, "timeout": 5},
        }
        yield stand_in


def enter_token(credly: CredlyStandIn, token: str) -> CredlyOrganization:
    organization, _created = CredlyOrganization.objects.get_or_create(uuid=credly.organization)
    organization.token = token
    organization.save()
    return organization


def issue_to(*learners: int, organization: str, template: str) -> BadgeTemplate:
    made = make_template(issuers=[credly_issuer(organization, template)])
    pass_course(*learners)
    return made


def waiting() -> int:
    return OutboxMessage.objects.filter(channel="credly", state=OutboxState.PENDING, attempts=0).count()


def drain(minutes: float = 0) -> delivery.DeliveryResult:
    return delivery.drain(now=timezone.now() + dt.timedelta(minutes=minutes))


def test_a_wrong_token_is_told_once_and_no_badge_dies_of_it(
    credly: CredlyStandIn, caplog: pytest.LogCaptureFixture, admin_client: Any
) -> None:
    organization = enter_token(credly, "stale-token")
    template = credly.add_template().id
    issue_to(*range(1, 11), organization=credly.organization, template=template)
    with caplog.at_level(logging.WARNING, logger="badges"):
        for minutes in range(0, 60 * 24, 30):
            assert drain(minutes).dead == 0
    assert waiting() == 10
    assert sum(credly.counts.values()) <= 24 * 2 + 1  # one probe each time, and none beside it
    (problem,) = Circuit.objects.filter(reason="problem")
    assert problem.name == f"credly:{credly.organization}"
    assert "401" in problem.message
    assert "stale-token" not in problem.message
    assert len([record for record in caplog.records if "401" in record.getMessage()]) == 1

    # The operator enters the right token in the admin: badges go on at once.
    address = reverse("admin:lms_badges_credlyorganization_change", args=[organization.pk])
    answer = admin_client.post(address, {"uuid": organization.uuid, "name": "Academy", "new_token": credly.token})
    assert answer.status_code == 302
    assert delivery.drain().delivered == 10
    assert len(credly.badges) == 10
    assert not Circuit.objects.exclude(open_until=None).exists()


def test_a_faulty_template_is_one_problem_and_other_templates_go_on(credly: CredlyStandIn) -> None:
    enter_token(credly, credly.token)
    faulty, fine = (credly.add_template(name=name).id for name in ("faulty", "fine"))
    credly.archive_template(faulty)
    issue_to(*range(1, 6), organization=credly.organization, template=faulty)
    issue_to(*range(1, 6), organization=credly.organization, template=fine)
    done = drain()
    assert done.dead == 0
    assert {badge.template_id for badge in credly.badges} == {fine}
    assert credly.counts["template"] == 1
    assert Circuit.objects.get(reason="problem").name == f"credly:{credly.organization}:{faulty}"

    # It is activated again at Credly: a badge finds out after ten minutes, and the others follow.
    credly.change_template(faulty, state="active")
    assert drain(11).delivered == 5
    assert waiting() == 0


def test_after_the_correction_of_a_template_a_retry_issues_all(credly: CredlyStandIn) -> None:
    enter_token(credly, credly.token)
    issue_to(*range(1, 6), organization=credly.organization, template=str(uuid4()))
    assert drain().dead == 0
    TemplateIssuer.objects.update(external_template=credly.add_template().id)
    assert delivery.try_now(OutboxMessage.objects.filter(channel="credly")) == 5
    assert delivery.drain().delivered == 5
    assert CredlyBadge.objects.filter(state="pending").count() == 5


def test_a_badge_that_is_refused_alone_does_not_hold_up_the_others(credly: CredlyStandIn) -> None:
    enter_token(credly, credly.token)
    issue_to(*range(1, 6), organization=credly.organization, template=credly.add_template().id)
    get_user_model().objects.filter(username="learner1").update(email="learner1@forbidden.example.org")
    issue = credly.issue

    def refuse_some(organization: Any, body: Any) -> Any:
        if "forbidden" in body["recipient_email"]:
            raise Refused(403, "Not to this domain")
        return issue(organization, body)

    credly.issue = refuse_some  # type: ignore[method-assign]
    for minutes in range(0, 60, 11):
        drain(minutes)
    assert len(credly.badges) == 4
    assert OutboxMessage.objects.filter(channel="credly", state=OutboxState.DEAD).count() == 1


def test_a_row_without_anything_to_ask_solves_no_problem(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    telegraph.always = SharedProblem("The token is wrong.")
    post("one")
    delivery.drain(now=NOW)
    post("old")
    telegraph.out_of_date = {"old"}
    done = delivery.drain(now=later(700))
    assert (done.delivered, done.dead) == (1, 0)
    assert telegraph.tried == ["one", "one"]  # it has probed in the place of the old one
    assert Circuit.objects.get().reason == "problem"

    telegraph.always = None
    delivery.drain(now=later(3000))
    assert telegraph.sent == ["one"]


def test_a_revocation_tells_nothing_about_a_faulty_template(credly: CredlyStandIn) -> None:
    enter_token(credly, credly.token)
    template = credly.add_template().id
    issue_to(1, organization=credly.organization, template=template)
    assert drain().dead == 0
    credly.archive_template(template)
    pass_course(2, 3)
    drain()
    assert waiting() == 2

    issued = UserCredential.objects.get(credly_badge__state="pending")
    UserCredential.objects.filter(pk=issued.pk).update(**REVOKED)
    with transaction.atomic():
        mailbox.post([NewMessage("credly", str(issued.learner_id), "revoke", {"credential": str(issued.pk)})])
    for minutes in (11, 22, 33):
        assert drain(minutes).dead == 0
    assert [badge.state for badge in credly.badges] == ["revoked"]
    assert Circuit.objects.get(reason="problem").open_until is not None
    assert waiting() == 2
