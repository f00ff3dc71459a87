"""Staff map certifications to badges, and see what other services have told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from badges.models import (
    CertificationAward,
    CertificationCompletion,
    CertificationMapping,
    InboxMessage,
    Learner,
    StickerClaim,
    WelcomeAward,
)
from tests.factories import LearnerFactory, make_template
from tests.flows.senders import claimed, completed, registered, take, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]
TOLD = (StickerClaim, CertificationCompletion, CertificationAward, WelcomeAward)
MAPPINGS = "/admin/lms_badges/certificationmapping/"


@pytest.fixture
def learner(settings: Any) -> Learner:
    settings.LMS_BADGES_CONFIG = {"flows": {"welcome_badge": "star"}}
    template = make_template(slug="star")
    CertificationMapping.objects.create(certification_id="Knots & <ropes>", template=template)
    learner, other = LearnerFactory(user__username="ada"), LearnerFactory(user__username="grace")
    for each in (learner, other):
        take(claimed(each, "star"), completed(each, "Knots & <ropes>"), registered(each), now=timezone.now())
    return learner


@pytest.mark.parametrize("model", TOLD)
def test_who_may_view_finds_what_was_told_about_a_learner_and_changes_nothing(
    client: Any, staff: Callable[..., Any], learner: Learner, model: Any
) -> None:
    name = model._meta.model_name
    client.force_login(staff(f"view_{name}"))
    url = f"/admin/lms_badges/{name}/"
    found = client.get(url, {"q": "ada"}).context["cl"].result_list
    assert [row.learner for row in found] == [learner]
    page = client.get(f"{url}{found[0].pk}/change/")
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    assert client.get(f"{url}add/").status_code == 403


@pytest.mark.parametrize("model", [*TOLD, CertificationMapping])
def test_who_may_not_view_sees_none_of_it(client: Any, staff: Callable[..., Any], model: Any) -> None:
    client.force_login(staff("view_learner"))
    assert client.get(f"/admin/lms_badges/{model._meta.model_name}/").status_code == 403


def test_staff_map_a_certification_to_a_badge(client: Any, staff: Callable[..., Any]) -> None:
    template = make_template(slug="rust")
    client.force_login(staff(*(f"{verb}_certificationmapping" for verb in ("view", "add", "change", "delete"))))
    page = client.post(f"{MAPPINGS}add/", {"certification_id": "Rust-101", "template": template.pk})
    assert page.status_code == 302, page.context["errors"]
    mapping = CertificationMapping.objects.get()
    assert (mapping.certification_id, mapping.template) == ("Rust-101", template)
    again = client.post(f"{MAPPINGS}add/", {"certification_id": "Rust-101", "template": template.pk})
    assert "already exists" in again.content.decode()
    empty = client.post(f"{MAPPINGS}add/", {"certification_id": "", "template": template.pk})
    assert "This field is required." in empty.content.decode()
    assert client.post(f"{MAPPINGS}{mapping.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not CertificationMapping.objects.exists()


def test_the_page_of_a_learner_tells_how_many_badges_are_held_and_claimed(
    client: Any, staff: Callable[..., Any], learner: Learner
) -> None:
    client.force_login(staff("view_learner"))
    assert "1 held, 1 claimed" in client.get(f"/admin/lms_badges/learner/{learner.pk}/change/").content.decode()


def test_the_inbox_shows_an_event_about_an_account_and_tries_a_dead_letter_again(
    client: Any, staff: Callable[..., Any], learner: Learner
) -> None:
    client.force_login(staff("view_inboxmessage", "retry_inboxmessage"))
    take(claimed(learner, "comet"), now=timezone.now())
    row = InboxMessage.objects.get(state="dead")
    page = client.get(f"/admin/lms_badges/inboxmessage/{row.pk}/change/").content.decode()
    assert "users.stickerClaimed.v1" in page
    assert "There is no badge template with this slug or UUID." in page
    make_template(slug="comet")
    pressed = {"action": "retry_dead_letters", "_selected_action": [str(row.pk)]}
    assert client.post("/admin/lms_badges/inboxmessage/", pressed).status_code == 302
    work(now=timezone.now())
    assert StickerClaim.objects.filter(learner=learner).count() == 2
