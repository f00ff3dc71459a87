"""Read-only pages for operators and support: badges with their holders, causes and states."""

from __future__ import annotations

import datetime as dt
import html
import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges import api
from badges.catalog.causes import CauseKind
from badges.issuers.credly.models import CredlyBadge
from badges.models import (
    Activity,
    BadgeProgress,
    Circuit,
    InboxMessage,
    Learner,
    LoggedEvent,
    OutboxMessage,
    TemplateRevision,
    UserCredential,
)
from tests.factories import (
    ALGEBRA,
    GEOMETRY,
    NOON,
    REVOKED,
    BadgeProgressFactory,
    FulfillmentFactory,
    InboxMessageFactory,
    LearnerFactory,
    LoggedEventFactory,
    OutboxMessageFactory,
    UserCredentialFactory,
    UserFactory,
    credly_issuer,
    make_template,
    requirement,
)

pytestmark = [pytest.mark.django_db, pytest.mark.tables]
SHOWN = (
    Activity,
    BadgeProgress,
    Circuit,
    CredlyBadge,
    InboxMessage,
    Learner,
    LoggedEvent,
    OutboxMessage,
    TemplateRevision,
    UserCredential,
)


def address(model: Any, row: Any = None, page: str = "change") -> str:
    base = f"/admin/lms_badges/{model._meta.model_name}/"
    return base if row is None else f"{base}{row.pk}/{page}/"


def text(client: Any, where: str) -> str:
    """What a page says, without its tags."""
    page = client.get(where)
    assert page.status_code == 200, page.status_code
    page_text = re.sub(r"<(script|style).*?</\1>", "", page.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page_text)).split())


def rows(client: Any, where: str) -> int:
    page = client.get(where)
    assert page.status_code == 200, page.status_code
    return len(page.context["cl"].result_list)


@pytest.fixture
def world() -> dict[Any, Any]:
    """A learner who is on the way, one row of everything."""
    template = make_template(
        slug="geometry",
        issuers=[credly_issuer()],
        requirements=[
            requirement("algebra", group="either"),
            requirement("geometry", group="either", course=GEOMETRY),
            requirement("any", rules=[], description=""),
        ],
    )
    learner = LearnerFactory(user__username="marsupilami", lms_user_id=4711)
    progress = BadgeProgressFactory(learner=learner, template=template)
    FulfillmentFactory(
        progress=progress, requirement=template.requirements.get(key="algebra"), cause_event_id="event-of-algebra"
    )
    FulfillmentFactory(
        progress=progress,
        requirement=template.requirements.get(key="any"),
        active_key=None,
        reset_at=NOON,
        reset_kind="event",
        cause_event_id="event-of-long-ago",
    )
    credential = UserCredentialFactory(learner=learner, template=template, cause_event_id="event-of-award")
    badge = CredlyBadge.objects.create(
        credential=credential,
        organization="org",
        external_template="tpl",
        external_uuid=uuid.UUID(int=77),
        state="accepted",
        issued_at=NOON,
        url="https://credly.example/b/77",
    )
    api.record_activity(learner, api.ActivityData("quiz", "activities/quiz", "event-of-quiz", NOON, score=8))
    return {
        Activity: Activity.objects.get(),
        BadgeProgress: progress,
        Circuit: Circuit.objects.create(name="credly:org", failures=3),
        CredlyBadge: badge,
        InboxMessage: InboxMessageFactory(),
        Learner: learner,
        LoggedEvent: LoggedEventFactory(person=4711, event_id="event-of-log"),
        OutboxMessage: OutboxMessageFactory(key=str(learner.pk)),
        TemplateRevision: template.revisions.get(),
        UserCredential: credential,
    }


@pytest.fixture
def support(staff: Any, client: Any) -> Any:
    """Somebody who may view everything, and nothing else."""
    others = ("view_stickerclaim", "view_certificationcompletion")
    client.force_login(staff(*others, *(f"view_{model._meta.model_name}" for model in SHOWN)))
    return client


@pytest.mark.parametrize("model", SHOWN)
def test_who_may_view_sees_the_page_and_nothing_to_press(support: Any, world: dict[Any, Any], model: Any) -> None:
    for where in (address(model), address(model, world[model])):
        page = support.get(where)
        assert page.status_code == 200
        assert 'name="_save"' not in page.content.decode()
        assert 'name="action"' not in page.content.decode()
        assert "deletelink" not in page.content.decode()


@pytest.mark.parametrize("model", SHOWN)
def test_nobody_adds_changes_or_deletes_what_the_pipeline_wrote(
    client: Any, admin_user: Any, world: dict[Any, Any], model: Any
) -> None:
    client.force_login(admin_user)
    assert client.get(f"{address(model)}add/").status_code == 403
    assert client.post(address(model, world[model]), {"state": "x", "status": "x"}).status_code == 403
    assert client.post(address(model, world[model], "delete"), {"post": "yes"}).status_code == 403
    client.post(address(model), {"action": "delete_selected", "_selected_action": [world[model].pk], "post": "yes"})
    assert model.objects.filter(pk=world[model].pk).exists()


@pytest.mark.parametrize("model", SHOWN)
def test_who_may_not_view_sees_nothing(staff: Any, client: Any, world: dict[Any, Any], model: Any) -> None:
    client.force_login(staff("view_badgetemplate"))
    assert client.get(address(model)).status_code == 403
    assert client.get(address(model, world[model])).status_code == 403


@pytest.mark.parametrize("model", SHOWN)
def test_searching_for_anything_is_answered(support: Any, world: dict[Any, Any], model: Any) -> None:
    for term in ("houba", "\0", "9" * 5000, "%", "'", "-1", "🦁", "1" * 19):
        assert support.get(address(model), {"q": term}).status_code in (200, 302), term


@pytest.mark.parametrize("model", SHOWN)
def test_addresses_made_by_hand_are_answered(support: Any, world: dict[Any, Any], model: Any) -> None:
    for name in ("x", "9" * 400, str(uuid.UUID(int=5)), "_00"):
        assert support.get(f"{address(model)}{name}/change/").status_code in (302, 404)
    for query in ("p=99", "p=x", "o=1.2.-3", "e=1", "state__exact=houba", "learner__id__exact=x", "houba=1"):
        assert support.get(f"{address(model)}?{query}").status_code in (200, 302, 400)


def test_a_credential_tells_why_and_how_it_stands_at_the_provider(support: Any, world: dict[Any, Any]) -> None:
    page_text = text(support, address(UserCredential, world[UserCredential]))
    assert "The event event-of-award of openedx/lms/web (org.openedx.learning." in page_text
    assert "under revision 1 of the template." in page_text
    assert "credly: accepted" in page_text
    assert "00000000-0000-0000-0000-00000000004d" in page_text


def test_a_badge_that_the_provider_has_not_answered_for_is_said_in_words(support: Any) -> None:
    credential = UserCredentialFactory()
    CredlyBadge.objects.create(credential=credential, organization="o", external_template="t", state="no_response")
    assert "credly: no answer yet" in text(support, address(UserCredential, credential))
    assert "Nowhere." in text(support, address(UserCredential, UserCredentialFactory()))


def test_a_credential_given_by_a_person_tells_who_and_why(support: Any) -> None:
    person = UserFactory(username="spirou")
    by_hand = {"cause_kind": CauseKind.PERSON, "cause_event_id": "", "cause_event_type": "", "cause_event_time": None}
    credential = UserCredentialFactory(**by_hand, cause_person=person, cause_reason="<b>won</b> the race")
    assert "spirou did it by hand: <b>won</b> the race" in text(support, address(UserCredential, credential))
    person.delete()
    assert "Somebody whose account is gone did it by hand" in text(support, address(UserCredential, credential))


def test_progress_tells_what_is_met_by_what_and_what_is_open(support: Any, world: dict[Any, Any]) -> None:
    page_text = text(support, address(BadgeProgress, world[BadgeProgress]))
    assert "1 of 2" in page_text
    assert "Group either: one of these is enough: fulfilled" in page_text
    assert "Requirement: open" in page_text
    assert f"is_passing is true and course.course_key is {ALGEBRA}" in page_text
    met, past = page_text.index("event-of-algebra"), page_text.index("event-of-long-ago")
    assert met < page_text.index("No longer counted") < past


def test_a_learner_leads_to_what_there_is_of_them(support: Any, world: dict[Any, Any]) -> None:
    other = UserCredentialFactory()
    page = support.get(address(Learner, world[Learner])).content.decode()
    links = [html.unescape(link) for link in re.findall(r'href="(/admin/lms_badges/[^"]+\?[^"]+)"', page)]
    links = [link for link in links if "/learner/why/" not in link]
    assert len(links) == 7
    (credentials,) = [link for link in links if "/usercredential/" in link]
    assert f"learner__id__exact={world[Learner].pk}" in credentials
    listing = text(support, credentials)
    assert "marsupilami" in listing
    assert other.learner.user.username not in listing
    assert all(support.get(link).status_code == 200 for link in links)


@pytest.mark.parametrize("model", [BadgeProgress, CredlyBadge, Learner, UserCredential])
def test_people_are_found_by_lms_user_id_and_by_the_beginning_of_their_username(
    support: Any, world: dict[Any, Any], model: Any
) -> None:
    others = UserCredentialFactory()
    BadgeProgressFactory(learner=others.learner)
    CredlyBadge.objects.create(credential=others, organization="o", external_template="t")
    everybody = rows(support, address(model))
    for term in ("4711", "marsu", "marsupilami"):
        assert rows(support, f"{address(model)}?q={term}") == everybody - 1
    assert rows(support, f"{address(model)}?q=471") == 0


def test_credentials_are_found_by_template_and_left_by_status(support: Any, world: dict[Any, Any]) -> None:
    UserCredentialFactory(**REVOKED)
    assert rows(support, f"{address(UserCredential)}?q=geometry") == 1
    assert rows(support, f"{address(UserCredential)}?status__exact=revoked") == 1


@pytest.mark.parametrize("model", SHOWN)
def test_a_list_costs_the_same_however_long_it_is(support: Any, world: dict[Any, Any], model: Any) -> None:
    def cost() -> int:
        support.get(address(model))
        with CaptureQueriesContext(connection) as queries:
            support.get(address(model))
        return len(queries)

    one = cost()
    for number in range(4):
        credential = UserCredentialFactory(awarded_at=NOON + dt.timedelta(hours=number))
        CredlyBadge.objects.create(credential=credential, organization="o", external_template="t")
        progress = BadgeProgressFactory()
        FulfillmentFactory(progress=progress)
        InboxMessageFactory()
        OutboxMessageFactory()
        Circuit.objects.create(name=f"credly:{number}")
    assert cost() == one


def test_long_lists_are_not_counted_to_the_end(support: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("badges.common.admin.MAX_COUNT", 3)
    for _ in range(5):
        InboxMessageFactory()
    with CaptureQueriesContext(connection) as queries:
        page_text = text(support, address(InboxMessage))
    assert "3+ inbox messages" in page_text
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 3" in sql for sql in counts)


def test_the_event_log_is_searched_by_the_lms_user_id(support: Any, world: dict[Any, Any]) -> None:
    LoggedEventFactory(person=4712)
    assert rows(support, f"{address(LoggedEvent)}?q=4711") == 1
    assert rows(support, f"{address(LoggedEvent)}?q=marsupilami") == 0
    page_text = text(support, address(LoggedEvent, world[LoggedEvent]))
    assert "event-of-log" in page_text
    assert '"is_passing": true' in page_text
