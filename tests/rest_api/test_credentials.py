"""What learners and staff read about credentials."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges import api
from badges.issuers.credly.models import CredlyBadge, CredlyState
from badges.models import UserCredential
from tests.factories import (
    NOON,
    REVOKED,
    LearnerFactory,
    UserCredentialFactory,
    UserFactory,
    credly_issuer,
    make_template,
)
from tests.rest_api.schema import assert_as_promised

LIST = "/api/badges/v1/credentials/"
DETAIL = "/api/badges/v1/credentials/{id}/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def ids(body: Any) -> list[str]:
    return [row["id"] for row in body["results"]]


def ask(client: Any, **query: Any) -> Any:
    return assert_as_promised(client.get(f"{LIST}?{urlencode(query)}"), LIST)


@pytest.fixture
def all_seeing(staff_client: Callable[..., Any]) -> Any:
    return staff_client("view_usercredential")


def test_a_learner_sees_what_is_theirs_and_nothing_else(learner: Any, learner_client: Any) -> None:
    mine = UserCredentialFactory(learner=learner)
    of_others = UserCredentialFactory()
    assert ids(ask(learner_client)) == [str(mine.pk)]
    assert learner_client.get(f"{LIST}{mine.pk}/").status_code == 200
    assert assert_as_promised(learner_client.get(f"{LIST}{of_others.pk}/"), DETAIL)["status"] == 404


@pytest.mark.parametrize("rows", ["credentials", "progress"])
def test_asking_for_somebody_elses_is_refused_and_not_answered_with_an_empty_list(
    learner: Any, learner_client: Any, rows: str
) -> None:
    other, address = LearnerFactory(), f"/api/badges/v1/{rows}/"
    for asked in ({"username": other.user.username}, {"lms_user_id": other.lms_user_id}, {"username": "nobody"}):
        assert assert_as_promised(learner_client.get(address, asked), address)["status"] == 403
    for asked in ({"username": learner.user.username}, {"lms_user_id": learner.lms_user_id}):
        assert learner_client.get(address, asked).status_code == 200


def test_the_permission_to_view_credentials_shows_everybodys(all_seeing: Any) -> None:
    rows = [UserCredentialFactory(), UserCredentialFactory()]
    assert set(ids(ask(all_seeing))) == {str(row.pk) for row in rows}


def test_being_staff_alone_shows_nothing_of_others(staff_client: Callable[..., Any]) -> None:
    UserCredentialFactory()
    assert ids(ask(staff_client("view_badgeprogress"))) == []


def test_a_credential_says_whose_it_is_what_it_is_why_and_where_it_was_issued(all_seeing: Any) -> None:
    template = make_template(slug="houba", name="حوبا 好吧", issuers=[credly_issuer()])
    credential = UserCredentialFactory(template=template)
    badge = uuid.UUID("12121212-1212-4212-8212-121212121212")
    CredlyBadge.objects.create(
        credential=credential,
        organization="o",
        external_template="t",
        external_uuid=badge,
        state=CredlyState.ACCEPTED,
        issued_at=NOON + dt.timedelta(minutes=3),
        url="https://credly.example/badges/12",
    )
    body = assert_as_promised(all_seeing.get(f"{LIST}{credential.pk}/"), DETAIL)
    assert body == {
        "id": str(credential.pk),
        "status": "awarded",
        "awarded_at": "2026-03-14T12:00:00Z",
        "learner": {
            "uuid": str(credential.learner.uuid),
            "lms_user_id": credential.learner.lms_user_id,
            "username": credential.learner.user.username,
        },
        "template": {
            "uuid": str(template.uuid),
            "slug": "houba",
            "name": "حوبا 好吧",
            "description": "",
            "image_url": "",
        },
        "cause": {
            "kind": "event",
            "event_source": credential.cause_event_source,
            "event_id": credential.cause_event_id,
            "event_type": credential.cause_event_type,
            "event_time": "2026-03-14T11:58:30Z",
            "template_revision": 1,
        },
        "valid_until": None,
        "ended_at": None,
        "replaces": None,
        "revoked_at": None,
        "public_reason": "",
        "blocked": False,
        "revocation": None,
        "issued": [
            {
                "provider": "credly",
                "state": "accepted",
                "external_id": str(badge),
                "url": "https://credly.example/badges/12",
                "issued_at": "2026-03-14T12:03:00Z",
            }
        ],
    }


def test_a_learner_reads_that_a_badge_was_revoked_why_and_by_what_but_not_what_is_for_staff(
    learner: Any, learner_client: Any
) -> None:
    by_event = UserCredentialFactory(
        learner=learner,
        **REVOKED,
        public_reason="The certificate was revoked.",
        internal_reason="See the minutes.",
        revocation_event_source="openedx/lms/mobile",
        revocation_event_id="event-of-penalty",
        revocation_event_type="org.openedx.houba.v1",
        revocation_event_time=NOON - dt.timedelta(minutes=5),
        revocation_revision=make_template().revisions.get(),
    )
    body = assert_as_promised(learner_client.get(f"{LIST}{by_event.pk}/"), DETAIL)
    assert (body["status"], body["revoked_at"]) == ("revoked", "2026-03-14T12:00:00Z")
    assert (body["public_reason"], body["blocked"]) == ("The certificate was revoked.", False)
    assert body["revocation"] == {
        "kind": "event",
        "event_source": "openedx/lms/mobile",
        "event_id": "event-of-penalty",
        "event_type": "org.openedx.houba.v1",
        "event_time": "2026-03-14T11:55:00Z",
        "template_revision": 1,
    }
    assert "minutes" not in str(body)


def test_staff_do_not_read_the_internal_reason_by_rest_either(all_seeing: Any) -> None:
    credential, person = UserCredentialFactory(), UserFactory(username="fantasio")
    api.revoke(credential.learner, credential.template.slug, by=person, internal_reason="See the minutes.")
    body = assert_as_promised(all_seeing.get(f"{LIST}{credential.pk}/"), DETAIL)
    assert (body["revocation"]["kind"], body["blocked"]) == ("person", True)
    assert "minutes" not in str(body)
    assert "fantasio" not in str(body)


def test_a_learner_whose_account_is_gone_still_has_credentials(all_seeing: Any) -> None:
    UserCredentialFactory(learner=LearnerFactory(user=None, lms_user_id=None))
    assert ask(all_seeing)["results"][0]["learner"]["username"] is None


def test_each_filter_leaves_what_it_asks_for(all_seeing: Any) -> None:
    first = UserCredentialFactory(awarded_at=NOON)
    second = UserCredentialFactory(awarded_at=NOON + dt.timedelta(hours=1), **REVOKED)
    one, two = [str(first.pk)], [str(second.pk)]
    assert ids(ask(all_seeing, username=first.learner.user.username)) == one
    assert ids(ask(all_seeing, lms_user_id=second.learner.lms_user_id)) == two
    assert ids(ask(all_seeing, template=first.template.slug)) == one
    assert ids(ask(all_seeing, status="revoked")) == two
    assert ids(ask(all_seeing, awarded_after="2026-03-14T14:00:00+01:00")) == two  # 13:00 UTC: at this time or later
    assert ids(ask(all_seeing, awarded_before="2026-03-14T13:00:00Z")) == one  # earlier than this time
    assert ids(ask(all_seeing, status="awarded", template=second.template.slug)) == []


def test_a_plus_sign_that_nobody_escaped_is_a_plus_sign(all_seeing: Any) -> None:
    credential = UserCredentialFactory()
    answer = all_seeing.get(f"{LIST}?awarded_after=2026-03-14T13:00:00+01:00")
    assert ids(assert_as_promised(answer, LIST)) == [str(credential.pk)]


def test_pages_hold_every_row_once_although_a_batch_shares_one_time(all_seeing: Any) -> None:
    template = make_template()
    for hour in (0, 0, 0, 0, 1, 1, 2):
        UserCredentialFactory(template=template, awarded_at=NOON + dt.timedelta(hours=hour))
    expected = [str(pk) for pk in UserCredential.objects.order_by("-awarded_at", "-pk").values_list("pk", flat=True)]
    pages, address = [], f"{LIST}?page_size=3"
    while address:
        body = assert_as_promised(all_seeing.get(address), LIST)
        pages.append(body)
        address = body["next"]
    assert [ids(page) for page in pages] == [expected[:3], expected[3:6], expected[6:]]
    back = assert_as_promised(all_seeing.get(pages[2]["previous"]), LIST)
    assert ids(back) == expected[3:6]
    first = assert_as_promised(all_seeing.get(back["previous"]), LIST)
    assert (ids(first), first["previous"]) == (expected[:3], None)
    assert ids(assert_as_promised(all_seeing.get(first["next"]), LIST)) == expected[3:6]


def test_what_is_awarded_while_somebody_turns_pages_moves_nothing(all_seeing: Any) -> None:
    old = [UserCredentialFactory(awarded_at=NOON - dt.timedelta(hours=hour)) for hour in range(4)]
    page = ask(all_seeing, page_size=2)
    UserCredentialFactory(awarded_at=NOON + dt.timedelta(hours=1))
    following = assert_as_promised(all_seeing.get(page["next"]), LIST)
    assert ids(page) + ids(following) == [str(row.pk) for row in old]


def test_filters_stay_while_pages_are_turned(all_seeing: Any) -> None:
    template = make_template()
    mine = [
        UserCredentialFactory(template=template, awarded_at=NOON - dt.timedelta(hours=2 * hour)) for hour in range(2)
    ]
    UserCredentialFactory(awarded_at=NOON - dt.timedelta(hours=1))
    page = ask(all_seeing, page_size=1, template=template.slug)
    following = assert_as_promised(all_seeing.get(page["next"]), LIST)
    assert ids(page) + ids(following) == [str(row.pk) for row in mine]
    assert following["next"] is None


def test_a_page_costs_the_same_however_long_it_is(all_seeing: Any) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            ask(all_seeing)
        return len(queries)

    UserCredentialFactory()
    ask(all_seeing)
    one = cost()
    for _ in range(5):
        UserCredentialFactory()
    assert cost() == one
    assert one <= 7  # session, user, two for permissions, credentials, the badges of two providers
