"""A learner sees what they hold, what they have begun, what is missing and what else there is; and nobody else's."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from badges import api
from badges.api import ActivityData
from badges.awarding.models import UserCredential
from badges.common import holdings
from badges.conf import PASSING_STATUS
from credentials_config.models import CredentialStatus
from tests.credentials_config.factories import CredentialFactory
from tests.factories import (
    ALGEBRA,
    GEOMETRY,
    NOON,
    REVOKED,
    WORKSHOP,
    BadgeProgressFactory,
    FulfillmentFactory,
    LearnerFactory,
    LoggedEventFactory,
    UserCredentialFactory,
    UserFactory,
    make_event_type,
    make_template,
    requirement,
)

PAGE = "/badges/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


@pytest.fixture
def learner() -> Any:
    return LearnerFactory()


@pytest.fixture
def signed_in(learner: Any, client: Any) -> Any:
    client.force_login(learner.user)
    return client


def read(client: Any, address: str = PAGE) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return unescape(answer.content.decode())


def section(page: str, name: str) -> str:
    """Return the section with this id, or nothing."""
    found = re.search(rf'<section id="{name}".*?</section>', page, flags=re.DOTALL)
    return found[0] if found else ""


def titles(page: str, name: str) -> list[str]:
    return re.findall(r"<h3><bdi>(.*?)</bdi>", section(page, name))


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def link(page: str, label: str) -> str:
    """Return the address of the link that begins with these words."""
    found = re.search(rf'href="([^"]*)"[^>]*>{re.escape(label)}', page)
    assert found is not None, label
    return found[1]


def configure(settings: Any, **pages: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"pages": pages}


def share(client: Any, credential_id: Any, public: str = "yes", **more: Any) -> Any:
    return client.post(f"/badges/credentials/{credential_id}/share/", {"public": public, **more})


def is_shared(credential: Any) -> bool:
    return bool(UserCredential.objects.get(pk=credential.pk).is_public)


# --- who may see what -------------------------------------------------------------------------------------------------


def test_the_page_is_for_those_who_are_signed_in(client: Any, settings: Any) -> None:
    settings.LOGIN_URL = "/sign-in/"
    credential = UserCredentialFactory()
    for answer in (client.get(PAGE), share(client, credential.pk)):
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/sign-in/?next=/badges/")
    assert not is_shared(credential)


def test_a_learner_sees_what_is_theirs_and_staff_no_more_than_others(learner: Any, signed_in: Any) -> None:
    mine = UserCredentialFactory(learner=learner, template=make_template(name="My nest"))
    UserCredentialFactory(template=make_template(name="Her nest"))
    CredentialFactory(learner=LearnerFactory(), context_name="Her course")
    BadgeProgressFactory(template=make_template(name="Her beginning"))
    learner.user.is_superuser = learner.user.is_staff = True
    learner.user.save()
    page = read(signed_in)
    assert titles(page, "held") == ["My nest"]
    assert titles(page, "begun") == []
    assert "Her course" not in page
    assert str(mine.pk) in page


def test_a_learner_shares_a_badge_and_takes_it_back(learner: Any, signed_in: Any) -> None:
    credential, other = UserCredentialFactory(learner=learner), UserCredentialFactory(learner=learner)
    page = f"/badges/credentials/{credential.pk}/"
    assert "Only you can see this badge." in read(signed_in)
    answer = share(signed_in, credential.pk)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{PAGE}#badge-{credential.pk}")
    assert (is_shared(credential), is_shared(other)) == (True, False)
    assert Client().get(page).status_code == 200
    assert f'value="http://testserver{page}"' in read(signed_in)
    share(signed_in, credential.pk, "no")
    assert Client().get(page).status_code == 404
    assert f'value="http://testserver{page}"' not in read(signed_in)


def test_nobody_shares_or_hides_the_badge_of_another_learner(signed_in: Any) -> None:
    private, public = UserCredentialFactory(), UserCredentialFactory(is_public=True)
    answers = [share(signed_in, private.pk), share(signed_in, public.pk, "no"), share(signed_in, uuid.uuid4())]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert (is_shared(private), is_shared(public)) == (False, True)


@pytest.mark.parametrize("sharing", ["always", "never", "nobody"])
def test_where_the_host_decides_a_learner_has_no_choice(
    learner: Any, signed_in: Any, settings: Any, sharing: str
) -> None:
    credential = UserCredentialFactory(learner=learner)
    configure(settings, sharing=sharing)
    page = read(signed_in)
    assert "<form" not in page
    assert ("Public address" in page) == (sharing == "always")
    assert share(signed_in, credential.pk).status_code == 404
    assert not is_shared(credential)


@pytest.mark.parametrize("middleware", [True, False])
def test_sharing_needs_a_post_with_the_token_of_the_page(learner: Any, settings: Any, middleware: bool) -> None:
    if not middleware:  # a host that protects its views one by one
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
    credential = UserCredentialFactory(learner=learner)
    client = Client(enforce_csrf_checks=True)
    client.force_login(learner.user)
    assert share(client, credential.pk).status_code == 403
    assert client.get(f"/badges/credentials/{credential.pk}/share/").status_code == 405
    assert not is_shared(credential)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', read(client))
    assert token is not None
    assert share(client, credential.pk, csrfmiddlewaretoken=token[1]).status_code == 302
    assert is_shared(credential)


@pytest.mark.parametrize("data", [{}, {"public": ""}, {"public": "maybe"}, {"public": "\0"}])
def test_a_choice_that_is_none_changes_nothing(learner: Any, signed_in: Any, data: Any) -> None:
    credential = UserCredentialFactory(learner=learner, is_public=True)
    assert signed_in.post(f"/badges/credentials/{credential.pk}/share/", data).status_code == 404
    assert is_shared(credential)


@pytest.mark.parametrize(
    "query",
    ["held=x", "held=WzBd", "more=x", "more=WzAsICJcdTAwMDAiXQ==", "progress=0", "progress=x", "progress=99999"],
)
def test_an_address_that_nobody_has_made_is_not_found(signed_in: Any, query: str) -> None:
    assert signed_in.get(f"{PAGE}?{query}").status_code == 404


# --- what I hold ------------------------------------------------------------------------------------------------------


def test_badges_and_certificates_are_on_one_list_the_newest_first(learner: Any, signed_in: Any, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {"public_url": "https://credentials.palombia.example"}
    UserCredentialFactory(learner=learner, template=make_template(name="Nest"), awarded_at=NOON)
    certificate = CredentialFactory(learner=learner, issued_at=NOON + dt.timedelta(hours=1), context_name="Squirrels")
    UserCredentialFactory(learner=learner, template=make_template(name="Tail"), awarded_at=NOON + dt.timedelta(hours=2))
    page = read(signed_in)
    assert titles(page, "held") == ["Tail", certificate.configuration.credential_type.name, "Nest"]
    assert "Squirrels" in page
    verification = f"https://credentials.palombia.example/credentials/verify/{certificate.verification_code}"
    assert f'value="{verification}"' in page
    assert link(page, "Download").startswith("https://credentials.palombia.example/credentials/document/")


def test_what_has_ended_is_shown_when_asked_for_with_the_public_reason(learner: Any, signed_in: Any) -> None:
    UserCredentialFactory(
        learner=learner,
        template=make_template(name="Lost"),
        **REVOKED,
        public_reason="The exam was copied.",
        internal_reason="Zorglub",
    )
    CredentialFactory(
        learner=learner, status=CredentialStatus.INVALIDATED, invalidated_at=NOON, public_reason="A wrong name."
    )
    assert titles(read(signed_in), "held") == []
    page = read(signed_in, link(read(signed_in), "Show also what was revoked").replace("?", f"{PAGE}?"))
    assert len(titles(page, "held")) == 2
    for text in ("The exam was copied.", "A wrong name.", "revoked"):
        assert text in page
    assert "Zorglub" not in page


def test_without_certificates_the_page_shows_badges(
    learner: Any, signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdings, "_sources", {})
    UserCredentialFactory(learner=learner, template=make_template(name="Nest"))
    CredentialFactory(learner=learner)
    assert titles(read(signed_in), "held") == ["Nest"]


def test_linkedin_gets_the_badge_the_organization_and_the_public_page(
    learner: Any, signed_in: Any, settings: Any
) -> None:
    configure(settings, issuer_name="Palombia University & Co")
    credential = UserCredentialFactory(
        learner=learner, template=make_template(name="Nest & tail"), is_public=True, awarded_at=NOON
    )
    address = urlsplit(link(read(signed_in), "Add to LinkedIn"))
    assert (address.netloc, address.path) == ("www.linkedin.com", "/profile/add")
    assert parse_qs(address.query) == {
        "startTask": ["CERTIFICATION_NAME"],
        "name": ["Nest & tail"],
        "organizationName": ["Palombia University & Co"],
        "issueYear": ["2026"],
        "issueMonth": ["3"],
        "certUrl": [f"http://testserver/badges/credentials/{credential.pk}/"],
        "certId": [str(credential.pk)],
    }
    configure(settings, linkedin_organization="1337")
    query = parse_qs(urlsplit(link(read(signed_in), "Add to LinkedIn")).query)
    assert query["organizationId"] == ["1337"]
    assert "organizationName" not in query


def test_a_revoked_badge_is_not_offered_to_linkedin(learner: Any, signed_in: Any) -> None:
    UserCredentialFactory(learner=learner, is_public=True, **REVOKED)
    page = read(signed_in, f"{PAGE}?ended=yes")
    assert "Public address" in page
    assert "LinkedIn" not in page


def test_a_renewed_badge_is_called_renewed_and_not_expired(learner: Any, signed_in: Any) -> None:
    template, ended = make_template(), dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
    old = UserCredentialFactory(
        learner=learner, template=template, status="replaced", active_key=None, valid_until=ended, ended_at=ended
    )
    UserCredentialFactory(learner=learner, template=template, replaces=old)
    page = " ".join(re.sub(r"<[^>]*>", " ", read(signed_in, f"{PAGE}?ended=yes")).split())
    assert "Renewed on May 4, 2026" in page
    assert "xpired on" not in page
    assert page.count(" renewed ") == 1


def test_pages_hold_every_badge_once_and_lead_back(learner: Any, signed_in: Any) -> None:
    template = make_template(name="Nest")
    ended = {**REVOKED, "learner": learner, "template": template}
    rows = [UserCredentialFactory(**ended, awarded_at=NOON + dt.timedelta(minutes=n // 2)) for n in range(45)]
    address, found, pages = f"{PAGE}?ended=yes&progress=1", [], []
    for _ in range(3):
        page = section(read(signed_in, address), "held")
        found += re.findall(r'<li id="badge-([^"]+)"', page)
        pages.append(address)
        address = link(page, "Next page") if "Next page" in page else ""
    assert address == ""
    assert sorted(found) == sorted(str(row.pk) for row in rows)
    assert "ended=yes" in pages[1]
    back = read(signed_in, link(section(read(signed_in, pages[1]), "held"), "Previous page"))
    assert re.findall(r'<li id="badge-([^"]+)"', back) == found[:20]


def test_sharing_leads_back_to_the_page_of_the_list(learner: Any, signed_in: Any) -> None:
    for n in range(21):
        UserCredentialFactory(learner=learner, awarded_at=NOON + dt.timedelta(minutes=n))
    second = read(signed_in, link(read(signed_in), "Next page"))
    (last,) = re.findall(r'<li id="badge-([^"]+)"', second)
    (cursor,) = re.findall(r'name="held" value="([^"]+)"', second)
    answer = share(signed_in, last, held=cursor)
    assert re.findall(r'<li id="badge-([^"]+)"', read(signed_in, answer.headers["Location"])) == [last]
    evil = share(signed_in, last, held="//zorglub.example", next="//zorglub.example")
    assert evil.headers["Location"].startswith(f"{PAGE}?held=%2F%2F")


# --- what I can earn --------------------------------------------------------------------------------------------------


def test_what_was_begun_says_what_is_done_and_what_is_missing(learner: Any, signed_in: Any) -> None:
    template = make_template(
        name="Mathematician",
        requirements=[
            requirement("algebra", group="either", description="Pass algebra"),
            requirement("geometry", group="either", course=GEOMETRY, description="Pass geometry"),
            requirement("numbers", description="Pass number theory"),
        ],
        criteria={"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 5}}},
    )
    progress = BadgeProgressFactory(learner=learner, template=template)
    FulfillmentFactory(progress=progress, requirement=template.requirements.get(key="geometry"))
    LoggedEventFactory.create_batch(3, person=learner.lms_user_id)
    page = read(signed_in)
    assert titles(page, "begun") == ["Mathematician"]
    told = words(section(page, "begun"))
    assert "1 of 3 steps done" in told
    assert "Done: One of these: ○ Still open: Pass algebra ✓ Done: Pass geometry" in told
    assert "Still open: Pass number theory" in told
    assert "Still open: earned when: at least 5 “course passing status updated” events" in told
    assert "3 of 5 events" in told


def test_a_requirement_that_nobody_has_described_is_told_by_its_rules(learner: Any, signed_in: Any) -> None:
    BadgeProgressFactory(learner=learner)
    told = words(section(read(signed_in), "begun"))
    assert f"Still open: is_passing is true and course.course_key is {ALGEBRA}" in told


def test_event_types_of_this_site_are_called_by_their_titles(learner: Any, signed_in: Any) -> None:
    make_event_type(title="Workshop attended")
    make_template(
        slug="handy", requirements=[{"key": "any", "event_type": WORKSHOP, "rules": []}], criteria={"event": WORKSHOP}
    )
    told = words(section(read(signed_in), "others"))
    assert "Every event of the type “Workshop attended” counts." in told
    assert "earned when: one “Workshop attended” event" in told


def test_what_is_nearest_to_its_end_comes_first(learner: Any, signed_in: Any) -> None:
    for name, keys, done, hours in [
        ("Two open, one of them a group", ["a:g", "b:g", "c"], [], 9),
        ("Three open", ["a", "b", "c"], [], 8),
        ("One open", ["a", "b", "c"], ["a", "b"], 1),
        ("One open, begun later", ["a:g", "b:g", "c"], ["a", "b"], 2),
    ]:
        demanded = [requirement(key[0], group="g" if ":" in key else None) for key in keys]
        template = make_template(name=name, requirements=demanded)
        progress = BadgeProgressFactory(learner=learner, template=template, created_at=NOON + dt.timedelta(hours=hours))
        for key in done:
            FulfillmentFactory(progress=progress, requirement=template.requirements.get(key=key))
    assert titles(read(signed_in), "begun") == [
        "One open, begun later",
        "One open",
        "Two open, one of them a group",
        "Three open",
    ]


def test_a_reset_fulfilment_is_open_again(learner: Any, signed_in: Any) -> None:
    template = make_template(requirements=[requirement("a", description="Pass algebra"), requirement("b")])
    progress = BadgeProgressFactory(learner=learner, template=template)
    reset = {"active_key": None, "reset_at": NOON, "reset_kind": "event"}
    FulfillmentFactory(progress=progress, requirement=template.requirements.get(key="a"), **reset)
    told = words(section(read(signed_in), "begun"))
    assert "0 of 2 steps done" in told
    assert "Still open: Pass algebra" in told


def test_what_cannot_be_earned_any_more_is_not_shown(learner: Any, signed_in: Any) -> None:
    held, blocked, once = make_template(), make_template(), make_template(award_once=True)
    UserCredentialFactory(learner=learner, template=held)
    UserCredentialFactory(learner=learner, template=blocked, **REVOKED, blocked=True)
    UserCredentialFactory(learner=learner, template=once, **REVOKED)
    inactive = make_template(is_active=False)
    for template in (held, blocked, once, inactive):
        BadgeProgressFactory(learner=learner, template=template)
    again = make_template(name="Once more")
    UserCredentialFactory(learner=learner, template=again, **REVOKED)
    page = read(signed_in)
    assert (titles(page, "begun"), titles(page, "others")) == ([], ["Once more"])
    UserCredential.objects.all().delete()
    page = read(signed_in)
    assert len(titles(page, "begun")) == 3
    assert titles(page, "others") == ["Once more"]


def test_other_badges_say_what_they_demand_and_how_far_the_learner_is(learner: Any, signed_in: Any) -> None:
    make_template(
        slug="busy",
        name="Busy",
        requirements=[],
        criteria={"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 4}}},
    )
    make_template(slug="50_xp", name="Fifty", requirements=[])
    LoggedEventFactory.create_batch(3, person=learner.lms_user_id)
    page = read(signed_in)
    assert titles(page, "others") == ["Fifty", "Busy"]
    assert "3 of 4 events" in words(section(page, "others"))
    assert "It is given for your XP" in words(section(page, "others"))


def test_an_account_without_a_learner_sees_what_there_is_to_earn(client: Any) -> None:
    make_template(name="Nest")
    client.force_login(UserFactory())
    page = read(client)
    assert (titles(page, "held"), titles(page, "begun"), titles(page, "others")) == ([], [], ["Nest"])


def test_a_host_may_keep_to_itself_what_else_there_is(learner: Any, signed_in: Any, settings: Any) -> None:
    configure(settings, list_templates=False)
    make_template(name="Secret")
    assert "Secret" not in read(signed_in)


def test_xp_and_streak_are_those_of_the_learner(learner: Any, signed_in: Any) -> None:
    assert "XP" not in read(signed_in)
    api.record_activity(learner, ActivityData("quiz", "web", "q1", dt.datetime.now(dt.UTC), score=37))
    told = words(read(signed_in))
    assert "XP 37 Days in a row 1 Most days in a row 1" in told


# --- cost -------------------------------------------------------------------------------------------------------------


def test_a_page_costs_the_same_number_of_statements_however_much_there_is(learner: Any, signed_in: Any) -> None:
    api.record_activity(learner, ActivityData("quiz", "web", "q1", dt.datetime.now(dt.UTC), score=37))
    document = {"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 50}}}

    def add() -> None:
        UserCredentialFactory(learner=learner)
        CredentialFactory(learner=learner)
        begun = make_template(criteria=document)
        FulfillmentFactory(
            progress=BadgeProgressFactory(learner=learner, template=begun),
            requirement=begun.requirements.get(key="pass"),
        )
        make_template(criteria=document)
        LoggedEventFactory(person=learner.lms_user_id)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            read(signed_in)
        return len(queries)

    add()
    read(signed_in)
    one = cost()
    assert one <= 22
    for _ in range(25):
        add()
    read(signed_in)  # compiles the new templates
    assert cost() == one
