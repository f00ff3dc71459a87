"""The same answer by REST, by the command, on the admin's page and on the learner's page; and who may have it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse

from badges import api
from tests.explanations.scenes import MAY_ASK, REST, ask, command, command_json, passes
from tests.factories import (
    REVOKED,
    BadgeProgressFactory,
    LearnerFactory,
    LoggedEventFactory,
    UserCredentialFactory,
    UserFactory,
    make_template,
)
from tests.support.learner_factories import signed_in, somebody

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

PAGE = "/admin/lms_badges/learner/why/"


@pytest.fixture
def support() -> Client:
    """Somebody who may ask about everybody."""
    return signed_in(somebody(*MAY_ASK, is_staff=True))


def answer_on(client: Any, address: str) -> list[str]:
    """Return the sentences of an admin page."""
    page = client.get(address).content.decode()
    block = re.search(r'<div class="lms-badges-sentences".*?</div>', page, re.DOTALL)
    return [html.unescape(text) for text in re.findall(r"<p>(.*?)</p>", block[0])] if block else []


def sent(client: Any, **given: str) -> Any:
    """Send the form of the admin's page."""
    return client.post(PAGE, {"language": "", **given})


def test_rest_the_command_and_both_pages_say_the_same(support: Client) -> None:
    make_template("star", {"key": "pass"}, name="Star <b>")
    learner = LearnerFactory(lms_user_id=41)
    passes(41, is_passing=False)
    body = ask(support, template="star", lms_user_id=41)
    told = body["sentences"]
    assert told[0] == "The badge “Star <b>” is not held."
    assert {name: value for name, value in body.items() if name != "at"} == command_json(41, "star")
    assert command(41, "star").splitlines() == told
    assert answer_on(support, f"{PAGE}?lms_user_id=41&template=star") == told
    client = signed_in(learner.user)
    assert ask(client, template="star")["sentences"] == told
    own = client.get("/badges/why/star/").content.decode()
    assert [html.unescape(text) for text in re.findall(r"<p><bdi>(.*?)</bdi></p>", own)] == told
    assert api.answer_sentences(api.why(41, "star")) == told


def test_an_answer_with_everything_in_it_is_as_the_document_of_the_api_says(support: Client) -> None:
    template = make_template(
        slug="star",
        criteria={"event": "org.openedx.learning.course.passing.status.updated.v1"},
        requirements=[],
    )
    learner = UserCredentialFactory(template=template, **REVOKED).learner
    BadgeProgressFactory(learner=learner, template=template)
    LoggedEventFactory(person=learner.lms_user_id)
    body = ask(support, template="star", learner=learner.uuid)
    assert (body["credentials"][0]["status"], body["criteria"]["events_read"]) == ("revoked", 1)
    assert body["criteria"]["trace"]["children"] is not None


# --- who may ask -----------------------------------------------------------------------------------------------------


def test_learners_ask_about_themselves_in_every_way_and_about_nobody_else() -> None:
    make_template("star", {"key": "pass"})
    learner, other = LearnerFactory(), LearnerFactory()
    client = signed_in(learner.user)
    for own in (
        {},
        {"username": learner.user.username},
        {"lms_user_id": learner.lms_user_id},
        {"learner": learner.uuid},
    ):
        assert ask(client, template="star", **own)["person"]["lms_user_id"] == learner.lms_user_id
    for others in (
        {"username": other.user.username},
        {"username": "nobody"},
        {"lms_user_id": other.lms_user_id},
        {"lms_user_id": 999_999},
        {"learner": other.uuid},
        {"username": other.user.email},
    ):
        for slug in ("star", "no-such-star"):
            assert ask(client, template=slug, **others)["status"] == 403


@pytest.mark.parametrize("missing", MAY_ASK)
def test_staff_need_the_permission_for_each_table_that_an_answer_is_made_of(missing: str) -> None:
    make_template("star", {"key": "pass"})
    other = LearnerFactory()
    client = signed_in(somebody(*(each for each in MAY_ASK if each != missing), "view_learner", is_staff=True))
    assert ask(client, template="star", lms_user_id=other.lms_user_id)["status"] == 403
    assert client.get(f"{PAGE}?learner={other.uuid}&template=star").status_code == 403
    assert sent(client, person=other.user.username, template="star").status_code == 403
    page = client.get(reverse("admin:lms_badges_learner_change", args=[other.pk])).content.decode()
    assert "/why/" not in page


def test_a_template_that_learners_are_not_shown_is_unknown_to_them_until_they_have_begun_it(settings: Any) -> None:
    learner = LearnerFactory()
    client, draft = signed_in(learner.user), make_template(slug="draft", is_active=False)
    assert ask(client, template="draft")["status"] == ask(client, template="nothing")["status"] == 404
    assert client.get("/badges/why/draft/").status_code == client.get("/badges/why/nothing/").status_code == 404
    make_template(slug="open")
    assert client.get("/badges/why/open/").status_code == 200
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "pages": {"list_templates": False}}
    assert ask(client, template="open")["status"] == client.get("/badges/why/open/").status_code == 404
    UserCredentialFactory(learner=learner, template=draft, **REVOKED)
    assert "is switched off at the moment" in " ".join(ask(client, template="draft")["sentences"])
    assert client.get("/badges/why/draft/").status_code == 200


def test_the_learners_page_needs_a_login_and_shows_only_ones_own(client: Any) -> None:
    make_template(slug="star")
    assert client.get("/badges/why/star/").status_code == 302
    holder = UserCredentialFactory(template=make_template(slug="moon")).learner
    client = signed_in(somebody(*MAY_ASK))
    assert "is not held" in client.get(f"/badges/why/moon/?learner={holder.uuid}").content.decode()


def test_pages_of_learners_lead_to_the_answers(client: Any) -> None:
    learner = UserCredentialFactory(template=make_template(slug="moon")).learner
    make_template(slug="star")
    client.force_login(learner.user)
    page = client.get("/badges/").content.decode()
    assert "/badges/why/moon/" in page
    assert "/badges/why/star/" in page


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_staff_find_people_by_every_name_and_the_address_holds_ids_alone(support: Client) -> None:
    make_template("star", {"key": "pass"})
    learner = LearnerFactory(lms_user_id=41, user=UserFactory(username="अपु", email="Apu@palombia.example"))
    account = UserFactory(username="spip", email="spip@champignac.example")
    for name in ("अपु", "apu@PALOMBIA.example", "41", str(learner.uuid), " अपु "):
        answer = sent(support, person=name, template="star")
        assert answer.headers["Location"] == f"{PAGE}?learner={learner.uuid}&template=star"
        assert answer_on(support, answer.headers["Location"])
    for name in ("spip", "spip@champignac.example"):
        answer = sent(support, person=name, template="star", language="de")
        assert answer.headers["Location"] == f"{PAGE}?account={account.pk}&template=star&language=de"
        assert answer_on(support, answer.headers["Location"])[0] == "Das Badge „The star badge“ ist nicht verliehen."
    assert command("apu@palombia.example", "star") == command(41, "star")
    for e_mail in ("Apu@palombia.example", "spip@champignac.example"):
        assert ask(support, template="star", username=e_mail)["status"] == 404


def test_an_address_that_several_accounts_have_is_refused(support: Client) -> None:
    make_template("star", {"key": "pass"})
    UserFactory.create_batch(2, email="twins@palombia.example")
    page = sent(support, person="twins@palombia.example", template="star").content.decode()
    assert "Several accounts have this e-mail address." in page
    with pytest.raises(CommandError, match="Several accounts"):
        command("twins@palombia.example", "star")


@pytest.mark.parametrize(
    "nobody", ["houba", "houba@palombia.example", "77", "0", "9" * 19, "9" * 30, "٣", "\0", "?", "@"]
)
def test_somebody_unknown_and_a_template_unknown_are_said_at_the_field(support: Client, nobody: str) -> None:
    make_template("star", {"key": "pass"})
    page = sent(support, person=nobody, template="star").content.decode()
    assert "Nothing is known here of this person." in page or "Null characters" in page
    with pytest.raises(CommandError, match=r"Nothing is known here of this person\."):
        command(nobody, "star")
    assert ask(support, template="star", username=nobody)["status"] in (400, 404)
    LearnerFactory(lms_user_id=41)
    assert "There is no template with this slug." in sent(support, person="41", template="moon").content.decode()
    with pytest.raises(CommandError, match="There is no template moon"):
        command(41, "moon")
    assert ask(support, template="moon", lms_user_id=41)["status"] == 404


@pytest.mark.parametrize(
    "query",
    ["learner=x", "lms_user_id=-1", "lms_user_id=" + "9" * 30, "account=x", "account=" + "9" * 30, "learner=%00", ""],
)
def test_an_address_that_names_nobody_shows_the_form(support: Client, query: str) -> None:
    make_template("star", {"key": "pass"})
    answer = support.get(f"{PAGE}?{query}&template=star&language=xx")
    assert answer.status_code == 200
    assert 'name="person"' in answer.content.decode()
    assert "lms-badges-sentences" not in answer.content.decode()


@pytest.mark.parametrize(
    "query",
    [{}, {"template": "star", "username": "a", "lms_user_id": 4}, {"template": "star", "e_mail": "a@b.example"}],
)
def test_rest_refuses_what_it_does_not_know_with_the_remedy(support: Client, query: dict[str, Any]) -> None:
    assert ask(support, **query)["status"] == 400


def test_rest_answers_in_the_readers_language(support: Client) -> None:
    make_template("star", {"key": "pass"})
    LearnerFactory(lms_user_id=41)
    address = f"{REST}?{urlencode({'template': 'star', 'lms_user_id': 41})}"
    told = support.get(address, headers={"Accept-Language": "fr"}).json()["sentences"]
    assert told[0] == "Le badge « The star badge » n’est pas attribué."
    assert command(41, "star", "--language", "fr").splitlines() == told
    with pytest.raises(CommandError, match="is no language of Django"):
        command(41, "star", "--language", "klingon")


@pytest.mark.parametrize("page", ["badgeprogress", "usercredential", "learner", "badgetemplate"])
def test_admin_pages_lead_to_the_answer(admin_client: Any, page: str, staff_of: Callable[..., Any]) -> None:
    template = make_template(slug="star")
    progress = BadgeProgressFactory(template=template)
    credential = UserCredentialFactory(template=template, learner=progress.learner)
    rows = {
        "badgeprogress": progress,
        "usercredential": credential,
        "learner": progress.learner,
        "badgetemplate": template,
    }
    address = reverse(f"admin:lms_badges_{page}_change", args=[rows[page].pk])
    found = re.findall(rf'href="({PAGE}[^"]*)"', admin_client.get(address).content.decode())
    assert found
    assert admin_client.get(html.unescape(found[-1])).status_code == 200
    without = staff_of(f"view_{page}").get(address).content.decode()
    assert PAGE not in without


@pytest.fixture
def staff_of() -> Callable[..., Client]:
    """Sign in as staff with these permissions."""
    return lambda *permissions: signed_in(somebody(*permissions, is_staff=True))
