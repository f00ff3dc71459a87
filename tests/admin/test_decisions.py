"""What staff rely on who award and revoke in the admin: one badge, once, with reasons, and a page that says so."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from badges import api
from badges.exceptions import Retryable
from badges.models import BadgeProgress, Learner, UserCredential
from tests.admin.pages import errors
from tests.factories import (
    NOON,
    REVOKED,
    BadgeProgressFactory,
    FulfillmentFactory,
    LearnerFactory,
    UserCredentialFactory,
    UserFactory,
    credly_issuer,
    make_template,
)
from tests.support.learner_factories import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.tables]


@pytest.fixture
def manager(staff: Callable[..., Any]) -> Client:
    """Somebody who may award and revoke, and view what that is about."""
    verbs = ("view", "award", "revoke")
    permissions = (*(f"{verb}_usercredential" for verb in verbs), "view_learner", "view_badgetemplate")
    return signed_in(staff(*permissions, username="fantasio"))


def page_of(row: Any) -> str:
    return f"/admin/lms_badges/{row._meta.model_name}/{row.pk}/change/"


def form_of(row: Any, verb: str) -> str:
    return reverse(f"admin:lms_badges_{row._meta.model_name}_{verb}", args=[row.pk])


def text(page: Any) -> str:
    assert page.status_code == 200, page.status_code
    body = re.sub(r"<(script|style).*?</\1>", "", page.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def press(client: Client, page: str, button: str) -> str:
    """Return the address that a button of a page leads to."""
    found = re.search(rf'<a [^>]*href="([^"]+)"[^>]*>{button}</a>', client.get(page).content.decode())
    assert found, f"there is no button {button}"
    return html.unescape(found[1])


def buttons(client: Client, page: str) -> list[str]:
    return re.findall(r">(Revoke|Lift block|Award a badge|Award to a learner)</a>", client.get(page).content.decode())


def blocked(**given: Any) -> UserCredential:
    return UserCredentialFactory(**{**REVOKED, "revocation_kind": "person", "blocked": True, **given})


def test_a_badge_is_revoked_from_its_page_and_the_page_then_says_who_when_and_why(manager: Client) -> None:
    credential = UserCredentialFactory()
    address = press(manager, page_of(credential), "Revoke")
    given = {"public_reason": "Awarded by mistake.", "internal_reason": "See the <b>minutes</b>.", "block": "on"}
    page = manager.post(address, given, follow=True)
    assert page.redirect_chain == [(page_of(credential), 302)]
    shown = text(page)
    assert "The badge was revoked." in shown
    assert "fantasio did it by hand, under revision 1 of the template." in shown
    assert "Awarded by mistake." in shown
    assert "See the <b>minutes</b>." in shown
    assert "does not get this badge again until staff lift the block" in shown
    credential.refresh_from_db()
    assert (credential.status, credential.blocked, credential.revocation_person.username) == (
        "revoked",
        True,
        "fantasio",
    )
    assert buttons(manager, page_of(credential)) == ["Lift block"]


def test_the_form_says_who_can_read_the_reason_of_a_revocation(manager: Client) -> None:
    shown = text(manager.get(form_of(UserCredentialFactory(), "revoke")))
    assert "The learner and everybody who can open the public page of the badge can read it" in shown


def test_without_the_check_mark_nothing_is_blocked(manager: Client) -> None:
    credential = UserCredentialFactory()
    page = manager.post(form_of(credential, "revoke"), {"public_reason": "Awarded too early."}, follow=True)
    assert "The learner can get this badge again." in text(page)
    credential.refresh_from_db()
    assert (credential.status, credential.blocked) == ("revoked", False)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "This field is required."),
        ({"public_reason": "h" * 256}, "at most 255 characters (it has 256)"),
        ({"public_reason": "houba", "internal_reason": "h" * 501}, "at most 500 characters (it has 501)"),
        ({"public_reason": "hou\0ba"}, "Null characters are not allowed."),
    ],
)
def test_a_wrong_reason_is_told_at_its_field_and_changes_nothing(
    manager: Client, given: dict[str, str], error: str
) -> None:
    credential = UserCredentialFactory()
    page = manager.post(form_of(credential, "revoke"), given)
    assert error in " ".join(errors(page))
    assert 'aria-invalid="true"' in page.content.decode()
    credential.refresh_from_db()
    assert credential.status == "awarded"


def test_lines_end_in_one_character_as_browsers_count_them(manager: Client) -> None:
    credential = UserCredentialFactory()
    reason = "\r\n".join("h" * 50)  # 99 characters in the browser
    manager.post(form_of(credential, "revoke"), {"public_reason": "houba", "internal_reason": reason})
    credential.refresh_from_db()
    assert credential.internal_reason == "\n".join("h" * 50)


def test_a_form_that_was_open_too_long_revokes_no_badge_that_came_later(manager: Client) -> None:
    old = UserCredentialFactory()
    slug = old.template.slug
    address = press(manager, page_of(old), "Revoke")
    api.revoke(old.learner, slug)
    new = api.award(old.learner, slug)
    page = manager.post(address, {"public_reason": "Awarded by mistake."}, follow=True)
    assert "does not hold this badge any more" in text(page)
    new.refresh_from_db()
    assert new.status == "awarded"


def test_a_block_is_lifted_from_the_page_which_then_says_who_did_it_and_why(manager: Client) -> None:
    credential = blocked()
    address = press(manager, page_of(credential), "Lift block")
    page = manager.post(address, {"reason": "It was another learner."}, follow=True)
    assert page.redirect_chain == [(page_of(credential), 302)]
    assert "The block was lifted. The learner can get the badge again." in text(page)
    assert "Lifted by fantasio, " in text(page)
    assert ": It was another learner." in text(page)
    assert buttons(manager, page_of(credential)) == []
    again = manager.post(address, {}, follow=True)
    assert "There is no block to lift." in text(again)


def test_lifting_the_block_of_a_learner_who_has_everything_leads_to_the_new_credential(manager: Client) -> None:
    progress = BadgeProgressFactory()
    FulfillmentFactory(progress=progress)
    credential = blocked(learner=progress.learner, template=progress.template)
    page = manager.post(form_of(credential, "lift_block"), {}, follow=True)
    new = UserCredential.objects.get(active_key="active")
    assert page.redirect_chain == [(page_of(new), 302)]
    assert "so the learner got the badge again" in text(page)


def test_a_learner_is_awarded_one_of_the_templates(manager: Client) -> None:
    learner, template = LearnerFactory(), make_template(slug="algebra-star")
    address = press(manager, page_of(learner), "Award a badge")
    assert '<option value="algebra-star">' in manager.get(address).content.decode()
    page = manager.post(address, {"template": "algebra-star", "reason": "Won the race."}, follow=True)
    credential = UserCredential.objects.get()
    assert page.redirect_chain == [(page_of(credential), 302)]
    assert "The badge was awarded." in text(page)
    assert "fantasio did it by hand: Won the race., under revision 1" in text(page)
    assert (credential.learner, credential.template) == (learner, template)


def test_only_what_can_be_awarded_is_suggested(manager: Client) -> None:
    learner = LearnerFactory()
    held = UserCredentialFactory(learner=learner).template
    by_hand = make_template(slug="by-hand", is_active=False, requirements=[])
    inactive = make_template(is_active=False)
    page = manager.get(form_of(learner, "award")).content.decode()
    assert f'value="{by_hand.slug}"' in page
    assert f'value="{held.slug}"' not in page
    assert f'value="{inactive.slug}"' not in page


def test_a_template_is_awarded_to_an_account_that_has_no_learner_yet(manager: Client) -> None:
    template = make_template()
    user = UserFactory(username="marsupilami")
    address = press(manager, page_of(template), "Award to a learner")
    page = manager.post(address, {"person": " marsupilami ", "reason": ""}, follow=True)
    credential = UserCredential.objects.get()
    assert page.redirect_chain == [(page_of(credential), 302)]
    assert (credential.learner.user, credential.template) == (user, template)


@pytest.mark.parametrize("named_by", ["username", "lms_user_id", "uuid"])
def test_a_learner_can_be_named_in_each_way(manager: Client, named_by: str) -> None:
    learner, _other = LearnerFactory(), LearnerFactory()
    names = {"username": learner.user.username, "lms_user_id": learner.lms_user_id, "uuid": learner.uuid}
    manager.post(form_of(make_template(), "award"), {"person": str(names[named_by])})
    assert UserCredential.objects.get().learner == learner


@pytest.mark.parametrize("person", ["", "nobody", "987654", "9" * 255, "9" * 256, "\0", "好", "0" * 36])
def test_a_wrong_learner_is_told_at_the_field(manager: Client, person: str) -> None:
    page = manager.post(form_of(make_template(), "award"), {"person": person})
    assert errors(page)
    assert "person" in page.context["adminform"].form.errors
    assert not Learner.objects.exists()


@pytest.mark.parametrize("slug", ["", "no-such-template", "\0", "h" * 151])
def test_a_wrong_template_is_told_at_the_field(manager: Client, slug: str) -> None:
    page = manager.post(form_of(LearnerFactory(), "award"), {"template": slug})
    assert errors(page)
    assert "template" in page.context["adminform"].form.errors


def test_what_is_in_the_way_of_an_award_is_told_with_a_link_to_it(manager: Client) -> None:
    held, ended = UserCredentialFactory(), blocked()
    for credential, words in ((held, "holds the badge"), (ended, "Lift the block first.")):
        page = manager.post(form_of(credential.learner, "award"), {"template": credential.template.slug})
        assert words in " ".join(errors(page))
        assert f'<a href="{page_of(credential)}">Open the credential.</a>' in page.content.decode()
        page = manager.post(form_of(credential.template, "award"), {"person": credential.learner.lms_user_id})
        assert words in " ".join(errors(page))
    assert UserCredential.objects.count() == 2


def test_a_database_that_does_not_answer_leaves_what_was_written_in_the_form(
    manager: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **given: Any) -> None:
        raise Retryable("The database did not answer for 30 seconds; nothing was changed.")

    credential = UserCredentialFactory()
    monkeypatch.setattr(api, "revoke", fail)
    page = manager.post(form_of(credential, "revoke"), {"public_reason": "Awarded by mistake."})
    assert "nothing was changed" in " ".join(errors(page))
    assert "Awarded by mistake." in page.content.decode()


def test_looking_at_a_form_decides_nothing(manager: Client) -> None:
    credential = UserCredentialFactory()
    assert manager.get(form_of(credential, "revoke"), {"public_reason": "Awarded by mistake."}).status_code == 200
    credential.refresh_from_db()
    assert credential.status == "awarded"


def test_a_form_of_another_site_decides_nothing(manager: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = manager.cookies
    credential = UserCredentialFactory()
    given = {"public_reason": "Awarded by mistake.", "person": credential.learner.lms_user_id}
    addresses = [form_of(credential, "revoke"), form_of(blocked(), "lift_block")]
    addresses += [form_of(make_template(), "award"), form_of(LearnerFactory(), "award")]
    assert [strict.post(address, given).status_code for address in addresses] == [403] * 4


def test_every_button_needs_its_permission_and_the_one_to_view_the_page(staff: Callable[..., Any]) -> None:
    held, ended = UserCredentialFactory(), blocked()
    rows = {
        (held, "revoke"): "view_usercredential",
        (ended, "lift_block"): "view_usercredential",
        (held.learner, "award"): "view_learner",
        (held.template, "award"): "view_badgetemplate",
    }
    for (row, verb), view in rows.items():
        needed = "award_usercredential" if verb == "award" else "revoke_usercredential"
        viewer, decider = signed_in(staff(view)), signed_in(staff(needed))
        assert buttons(viewer, page_of(row)) == []
        for client in (viewer, decider):
            assert client.get(form_of(row, verb)).status_code == 403
            assert client.post(form_of(row, verb), {"public_reason": "houba"}).status_code == 403
        assert signed_in(staff(view, needed)).get(form_of(row, verb)).status_code == 200
    assert UserCredential.objects.filter(active_key="active").get() == held


def test_who_may_not_view_credentials_stays_on_the_page_of_the_learner(staff: Callable[..., Any]) -> None:
    learner, template = LearnerFactory(), make_template()
    client = signed_in(staff("view_learner", "award_usercredential"))
    page = client.post(form_of(learner, "award"), {"template": template.slug}, follow=True)
    assert page.redirect_chain == [(page_of(learner), 302)]
    assert "The badge was awarded." in text(page)
    again = client.post(form_of(learner, "award"), {"template": template.slug})
    assert "Open the credential." not in again.content.decode()


@pytest.mark.parametrize("pk", ["x", "9" * 400, "00000000-0000-0000-0000-000000000005", "_00"])
def test_addresses_of_rows_that_are_not_there_are_404(manager: Client, pk: str) -> None:
    for page in ("usercredential/{}/revoke", "usercredential/{}/lift-block", "learner/{}/award"):
        assert manager.get(f"/admin/lms_badges/{page.format(pk)}/").status_code == 404
    assert manager.get(f"/admin/lms_badges/badgetemplate/{pk}/award/").status_code == 404


def test_a_retired_learner_is_awarded_nothing(manager: Client) -> None:
    learner, template = LearnerFactory(), make_template()
    api.retire(learner)
    assert buttons(manager, page_of(learner)) == []
    page = manager.post(form_of(learner, "award"), {"template": template.slug})
    assert errors(page)
    assert not UserCredential.objects.exists()


def test_decisions_are_in_the_history_of_the_credential_and_name_no_learner(manager: Client) -> None:
    learner = LearnerFactory()
    manager.post(form_of(make_template(), "award"), {"person": learner.user.username})
    credential = UserCredential.objects.get()
    manager.post(form_of(credential, "revoke"), {"public_reason": "houba", "block": "on"})
    manager.post(form_of(credential, "lift_block"), {})
    entries = LogEntry.objects.filter(object_id=str(credential.pk)).order_by("pk")
    assert [entry.user.username for entry in entries] == ["fantasio"] * 3
    assert not any(learner.user.username in f"{entry.object_repr} {entry.change_message}" for entry in entries)


def test_the_page_tells_what_else_revoked_a_badge(manager: Client) -> None:
    event = UserCredentialFactory(
        **REVOKED,
        revocation_event_source="openedx/lms/web",
        revocation_event_id="event-of-penalty",
        revocation_event_type="org.openedx.houba.v1",
        revocation_event_time=NOON - dt.timedelta(minutes=5),
        revocation_revision=None,
    )
    program = UserCredentialFactory()
    api.revoke(program.learner, program.template.slug, reason="The host says so.")
    shown = text(manager.get(page_of(event)))
    assert "The event event-of-penalty of openedx/lms/web (org.openedx.houba.v1) of March 14, 2026" in shown
    assert "Other code did it, under revision 1 of the template." in text(manager.get(page_of(program)))
    assert "Revocation" not in text(manager.get(page_of(UserCredentialFactory())))


def test_an_award_by_other_code_is_told_with_its_reason(manager: Client) -> None:
    credential = api.award(LearnerFactory(), make_template().slug, reason="Imported.")
    assert "Other code did it: Imported., under revision 1 of the template." in text(manager.get(page_of(credential)))


def test_all_outbox_messages_of_a_learner_are_found(staff: Callable[..., Any], manager: Client) -> None:

    learner, other = LearnerFactory(), LearnerFactory()
    template = make_template(issuers=[credly_issuer()])
    credential = api.award(learner, template.slug)
    api.award(other, template.slug)
    api.revoke(learner, template.slug)
    support = signed_in(staff("view_outboxmessage", "view_learner", "view_usercredential"))

    def found(address: str) -> list[tuple[str, str]]:
        return sorted((row.channel, row.type) for row in support.get(address).context["cl"].result_list)

    everything = [
        ("announce", "badge.awarded"),
        ("announce", "badge.revoked"),
        ("credly", "issue"),
        ("credly", "revoke"),
    ]
    for term in (learner.lms_user_id, learner.user.username, learner.uuid):
        assert found(f"/admin/lms_badges/outboxmessage/?q={term}") == everything
    for row, words in ((learner, "All deliveries of this learner"), (credential, "all of this learner")):
        assert found(press(support, page_of(row), words)) == everything
    assert found(press(support, page_of(credential), "of this badge at the providers")) == everything[2:]


def test_a_search_finds_learners_and_their_rows_by_uuid(staff: Callable[..., Any]) -> None:
    progress = BadgeProgressFactory()
    BadgeProgressFactory()
    support = signed_in(staff("view_badgeprogress"))
    page = support.get("/admin/lms_badges/badgeprogress/", {"q": str(progress.learner.uuid)})
    assert list(page.context["cl"].result_list) == [progress]
    assert BadgeProgress.objects.count() == 2


def test_the_credential_that_an_answer_names_is_found_by_its_id(staff: Callable[..., Any]) -> None:
    credential, _other = UserCredentialFactory(), UserCredentialFactory()
    support = signed_in(staff("view_usercredential"))
    page = support.get("/admin/lms_badges/usercredential/", {"q": str(credential.pk)})
    assert list(page.context["cl"].result_list) == [credential]
