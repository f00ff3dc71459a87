"""What Credly tells: only what we fetched ourselves counts, in whatever order it arrives."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from badges.awarding.models import UserCredential
from badges.catalog.models import BadgeTemplate
from badges.exceptions import Permanent, Retryable
from badges.intake.models import Learner
from badges.issuers import registry
from badges.issuers.base import BadgeFact
from badges.issuers.credly import states
from badges.issuers.credly.models import CredlyBadge, CredlyState
from badges.issuers.models import ProviderTemplate, TemplateState
from badges.outbox.models import OutboxMessage
from badges.testing.credly import CredlyStandIn
from tests.factories import credly_issuer, make_template

pytestmark = pytest.mark.django_db(transaction=True)
NOON = dt.datetime(2026, 3, 14, 12, 0, tzinfo=dt.UTC)
NOBODY = "5d1f0a36-4a3c-4f1a-8c39-0f3a1c0b7e11"


def fetch(credly: CredlyStandIn, *events: Any) -> None:
    """Deliver the messages of webhooks about these events, as a worker does."""
    for event in events:
        payload = {"organization": credly.organization, "about": {"event": getattr(event, "id", event)}}
        registry.ProviderChannel("credly")(OutboxMessage(type="fetch", channel="credly", payload=json.dumps(payload)))


@pytest.fixture
def issued(credly: CredlyStandIn, award: Callable[..., UserCredential]) -> CredlyBadge:
    """A badge that Credly has, and that is known here."""
    template = credly.add_template()
    credential = award(organization=credly.organization, external_template=template.id)
    registry.get("credly").issue(credential.pk)
    return CredlyBadge.objects.get()


def pause() -> None:
    """Let what comes next have another time: Credly's have milliseconds."""
    time.sleep(0.002)


def state() -> str:
    return CredlyBadge.objects.get().state


# --- badges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        ("accept_badge", CredlyState.ACCEPTED),
        ("reject_badge", CredlyState.REJECTED),
        ("revoke_badge", CredlyState.REVOKED),
        ("replace_badge", CredlyState.REPLACED),
        ("delete_badge", CredlyState.DELETED),
    ],
)
def test_what_happens_to_a_badge_there_is_shown_here_and_the_credential_stays(credly, issued, done, expected):
    getattr(credly, done)(str(issued.external_uuid))
    fetch(credly, credly.events[-1])
    assert state() == expected
    assert UserCredential.objects.get().status == "awarded"


def test_the_order_and_the_number_of_the_events_do_not_matter(credly, issued):
    pause()
    credly.accept_badge(str(issued.external_uuid))
    pause()
    credly.set_badge_privacy(str(issued.external_uuid), public=False)
    pause()
    credly.reject_badge(str(issued.external_uuid))
    events = [event for event in credly.events if event.event_type.startswith("badge.")]
    assert len(events) == 4
    for order in itertools.permutations(events):
        CredlyBadge.objects.update(state=CredlyState.PENDING, state_at=issued.state_at)
        fetch(credly, *order, *order[:2])
        assert state() == CredlyState.REJECTED


def test_a_badge_that_was_revoked_by_us_does_not_come_back(credly, issued):
    credly.accept_badge(str(issued.external_uuid))
    accepted = credly.events[-1]
    registry.get("credly").revoke(issued.pk, "")
    CredlyBadge.objects.update(state_at=None)
    fetch(credly, accepted)
    assert state() == CredlyState.REVOKED


def test_a_webhook_may_come_before_the_answer_to_our_own_call(credly, award):
    template = credly.add_template()
    credential = award(organization=credly.organization, external_template=template.id.upper())
    credly.drop()  # the badge is there, and the answer is lost
    with pytest.raises(Retryable):
        registry.get("credly").issue(credential.pk)
    badge = credly.badges[0]
    credly.accept_badge(badge.id)
    assert state() == CredlyState.NO_RESPONSE
    fetch(credly, credly.events[-1])
    row = CredlyBadge.objects.get()
    assert (str(row.external_uuid), row.state) == (badge.id, CredlyState.ACCEPTED)
    assert row.url.endswith(badge.id)
    calls = credly.counts["issue"]
    registry.get("credly").issue(credential.pk)
    assert (state(), credly.counts["issue"], len(credly.badges)) == (CredlyState.ACCEPTED, calls, 1)


def test_the_answer_to_our_call_may_come_after_its_webhook(credly, award, learner):
    """The same badge, but the two workers overlap: the webhook is written while the issuing one waits."""
    template = credly.add_template()
    credential = award(organization=credly.organization, external_template=template.id)
    issuer = registry.get("credly")
    facts = [BadgeFact(NOBODY, "accepted", NOON, earner=str(learner.uuid), template=template.id)]
    assert issuer.write_badges(credly.organization, facts, now=NOON) == 0  # Credly was not asked yet
    CredlyBadge.objects.update(
        state=CredlyState.NO_RESPONSE, organization=credly.organization, external_template=template.id
    )
    assert issuer.write_badges(credly.organization, facts, now=NOON) == 1
    assert CredlyBadge.objects.get(pk=credential.pk).external_uuid == uuid.UUID(NOBODY)


def test_a_badge_of_another_learner_or_template_is_never_taken(credly, award, learner):
    template = credly.add_template()
    award(organization=credly.organization, external_template=template.id)
    CredlyBadge.objects.update(
        state=CredlyState.NO_RESPONSE, organization=credly.organization, external_template=template.id
    )
    wrong = [
        BadgeFact(str(uuid.uuid4()), "pending", NOON, earner=earner, template=of)
        for earner, of in ((str(learner.uuid), NOBODY), (NOBODY, template.id), (None, template.id), ("x", template.id))
    ]
    assert registry.get("credly").write_badges(credly.organization, wrong, now=NOON) == 0
    elsewhere = [BadgeFact(NOBODY, "pending", NOON, earner=str(learner.uuid), template=template.id)]
    assert registry.get("credly").write_badges(NOBODY, elsewhere, now=NOON) == 0
    assert state() == CredlyState.NO_RESPONSE


@pytest.mark.parametrize(
    ("before", "told", "minutes", "is_news"),
    [
        ("pending", "accepted", 1, True),
        ("pending", "accepted", -1, False),
        ("pending", "unheard-of", 1, False),
        ("pending", "created", 1, False),  # our own word
        ("accepted", "revoked", 1, True),
        ("revoked", "accepted", 1, False),
        ("revoked", "deleted", -1, True),
        ("deleted", "accepted", 1, False),
        ("replaced", "revoked", 1, False),
    ],
)
def test_older_news_and_news_after_the_end_change_nothing(before, told, minutes, is_news):
    assert states.is_news(before, NOON, told, NOON + dt.timedelta(minutes=minutes)) is is_news


def test_the_statements_do_not_grow_with_the_badges(credly, award, someone, django_assert_num_queries):
    template = credly.add_template()
    rows = []
    for number in range(12):
        somebody: Learner = someone(
            name=f"Ada{number} Lovelace",
            username=f"ada{number}",
            email=f"a{number}@example.com",
            lms_user_id=number + 1,
        )
        credential = award(somebody, organization=credly.organization, external_template=template.id)
        registry.get("credly").issue(credential.pk)
        rows.append(CredlyBadge.objects.get(pk=credential.pk))
    facts = [BadgeFact(str(row.external_uuid), "accepted", NOON.replace(year=2040)) for row in rows]
    with django_assert_num_queries(6):  # BEGIN is one of them; nothing was awaited
        assert registry.get("credly").write_badges(credly.organization, facts, now=NOON) == 12


# --- what nothing is believed of -------------------------------------------------------------------------------------


def test_the_type_of_an_event_is_that_of_the_fetched_one(credly, issued):
    """A request that calls an event "deleted" gets what the event is: the template stays."""
    template = credly.templates[0]
    ours = make_template(slug="ours", issuers=[credly_issuer(credly.organization, template.id)])
    credly.accept_badge(str(issued.external_uuid))
    fetch(credly, credly.events[-1])
    assert BadgeTemplate.objects.get(pk=ours.pk).archived_at is None


def test_an_event_that_credly_does_not_know_changes_nothing(credly, issued):
    fetch(credly, NOBODY)
    assert state() == CredlyState.PENDING
    assert credly.counts["event"] == 1


def test_an_event_of_another_organization_is_not_seen(credly, issued):
    other = credly.add_organization(name="Elsewhere")
    credly.add_template(organization=other.id)
    fetch(credly, credly.events[-1])
    assert not ProviderTemplate.objects.exists()


def test_an_unknown_organization_is_a_problem_and_not_a_missing_event(credly, settings):
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {NOBODY: credly.token}
    payload = {"organization": NOBODY, "about": {"event": NOBODY}}
    with pytest.raises(Permanent, match="organization"):
        registry.ProviderChannel("credly")(OutboxMessage(type="fetch", payload=json.dumps(payload)))


@pytest.mark.parametrize(
    "body",
    [
        "null",
        "[]",
        '{"data": null}',
        '{"data": {"id": "x"}}',
        json.dumps({"data": {"id": NOBODY, "event_type": "badge.deleted"}}),
    ],
)
def test_an_answer_about_something_else_is_no_answer(credly, issued, body):
    credly.answer(status=200, body=body)
    with pytest.raises(Retryable):
        fetch(credly, credly.events[-1])
    assert state() == CredlyState.PENDING


def test_events_of_unknown_types_and_shapes_change_nothing(credly, issued):
    event = credly.events[-1]
    described = {"id": event.id, "event_type": "badge.state.changed", "occurred_at": "2040-01-01T00:00:00Z"}
    odd: list[dict[str, Any]] = [
        {"event_type": "something.new"},
        {"event_type": None},
        {"occurred_at": "yesterday"},
        {"badge": None},
        {"badge": {"id": "x", "state": "accepted"}},
        {"badge": {"id": str(issued.external_uuid), "state": 7}},
        {"event_type": "badge_template.deleted", "badge_template": {"id": "../badges"}},
    ]
    for each in odd:
        credly.answer(status=200, body=json.dumps({"data": {**described, **each}}))
        fetch(credly, event)
    assert state() == CredlyState.PENDING


# --- templates -------------------------------------------------------------------------------------------------------


def test_a_template_that_is_archived_or_deleted_there_is_archived_here_and_loses_nothing(credly):
    for end in ("archive_template", "delete_template"):
        template = credly.add_template(name=end)
        ours = make_template(slug=end, issuers=[credly_issuer(credly.organization, template.id)])
        getattr(credly, end)(template.id)
        fetch(credly, credly.events[-1])
        ours.refresh_from_db()
        assert ours.archived_at is not None
        assert not ours.is_active
        assert ours.requirements.count() == 1
        assert ours.revisions.count() == 2


def test_late_news_does_not_bring_a_deleted_template_back(credly):
    template = credly.add_template()
    pause()
    credly.change_template(template.id, name="Changed")
    pause()
    credly.delete_template(template.id)
    created, changed, deleted = credly.events
    for order in itertools.permutations([created, changed, deleted]):
        ProviderTemplate.objects.all().delete()
        BadgeTemplate.objects.all().delete()
        fetch(credly, *order)
        if order[0] is deleted:
            assert not BadgeTemplate.objects.exists()
        assert ProviderTemplate.objects.get().state == TemplateState.GONE


def test_a_changed_name_is_taken_over_unless_somebody_has_edited_it_here(credly):
    template = credly.add_template(name="Bonn", description="On the Rhine")
    fetch(credly, credly.events[-1])
    ours = BadgeTemplate.objects.get()
    assert (ours.name, ours.description, ours.is_active) == ("Bonn", "On the Rhine", False)
    credly.change_template(template.id, name="Berlin")
    fetch(credly, credly.events[-1])
    ours.refresh_from_db()
    assert (ours.name, ours.description) == ("Berlin", "On the Rhine")
    make_template(
        slug=ours.slug,
        name="Hauptstadt",
        description="On the Rhine",
        requirements=[],
        is_active=False,
        issuers=[credly_issuer(credly.organization, template.id)],
    )
    credly.change_template(template.id, name="Bonn", description="On the Spree")
    fetch(credly, credly.events[-1])
    ours.refresh_from_db()
    assert (ours.name, ours.description) == ("Hauptstadt", "On the Spree")
