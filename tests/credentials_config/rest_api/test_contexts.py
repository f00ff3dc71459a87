"""The credentials of a context, and how far a learner is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from badges import api as badges
from tests.credentials_config.factories import CredentialFactory
from tests.factories import ALGEBRA, UserFactory
from tests.rest_api.schema import assert_as_promised
from tests.support.certificates import add_algebra, configure_certificate

CONFIGURED = "/api/credentials/v1/configured/{context_key}/"
ELIGIBILITY = "/api/credentials/v1/eligibility/{context_key}/"
pytestmark = pytest.mark.django_db


def ask(client: Any, address: str, context_key: str = ALGEBRA, query: str = "") -> Any:
    return assert_as_promised(client.get(address.format(context_key=context_key) + query), address)


def signed_in(client: Any, username: str) -> Any:
    """Sign in as somebody whom the LMS knows by this username."""
    client.force_login(UserFactory(username=username))
    return client


def test_a_context_says_what_is_given_there(learner_client: Any) -> None:
    first = configure_certificate(credential_type__name="Diploma A", availability="course_end")
    second = configure_certificate(credential_type__name="Diploma B")
    configure_certificate(enabled=False)
    configure_certificate(context_key="course-v1:Demo+Geometry+2026")
    assert ask(learner_client, CONFIGURED) == {
        "context_key": ALGEBRA,
        "has_credentials": True,
        "credential_count": 2,
        "configurations": [
            {"id": first.pk, "title": "Diploma A", "availability": "course_end"},
            {"id": second.pk, "title": "Diploma B", "availability": "earned"},
        ],
    }


@pytest.mark.parametrize("key", ["course-v1:Demo+Nothing+1", "houba", "i4x://a/b/c", "%00", "%ff", "x" * 3000, "ä"])
def test_where_nothing_is_given_there_is_none(learner_client: Any, key: str) -> None:
    configure_certificate()
    body = ask(learner_client, CONFIGURED, key)
    assert (body["has_credentials"], body["credential_count"], body["configurations"]) == (False, 0, [])
    assert ask(learner_client, ELIGIBILITY, key)["status"] == 404


def test_learners_see_how_far_they_are_and_what_is_missing(client: Any, course: Any) -> None:
    configuration = configure_certificate(credential_type__name="Diploma")
    body = ask(signed_in(client, "half-1"), ELIGIBILITY)
    (one,) = body.pop("credentials")
    assert body == {"context_key": ALGEBRA, "lms_user_id": 1004, "username": "half-1"}
    progress = one.pop("progress")
    assert progress
    assert one == {
        "configuration": configuration.pk,
        "title": "Diploma",
        "eligible": False,
        "reasons": ["Completed 50 % of the required 90 %."],
        "credential": None,
    }
    assert ask(signed_in(client, "done-1"), ELIGIBILITY)["credentials"][0]["eligible"] is True


def test_who_has_one_sees_it_too(client: Any, course: Any) -> None:
    configuration = configure_certificate()
    held = badges.get_or_create_learners(
        [badges.LearnerData(lms_user_id=1001, is_active=True, username="done-1", email="", name="")]
    )[1001]
    row = CredentialFactory(configuration=configuration, learner=held)
    client.force_login(held.user)
    body = ask(client, ELIGIBILITY)
    assert body["lms_user_id"] == 1001
    assert body["credentials"][0]["credential"]["id"] == str(row.pk)


def test_staff_see_anybodys_and_others_only_their_own(
    client: Any, staff_client: Callable[..., Any], course: Any
) -> None:
    configure_certificate()
    seeing = staff_client("view_credential")
    assert ask(seeing, ELIGIBILITY, query="?username=half-2")["lms_user_id"] == 1005
    assert ask(seeing, ELIGIBILITY, query="?lms_user_id=1001")["username"] == "done-1"
    for query in ("?username=nobody", "?lms_user_id=987654"):
        assert ask(seeing, ELIGIBILITY, query=query)["status"] == 404
    course.clear_calls()
    for query in ("?username=half-2", "?lms_user_id=1001", "?username=nobody"):
        assert ask(staff_client("reissue_credential"), ELIGIBILITY, query=query)["status"] == 403
    assert not course.calls  # refused before anybody was asked
    assert ask(signed_in(client, "half-2"), ELIGIBILITY, query="?username=half-2")["lms_user_id"] == 1005


def test_whom_the_lms_does_not_know_is_told_so(learner_client: Any, course: Any) -> None:
    configure_certificate()
    body = ask(learner_client, ELIGIBILITY)
    assert (body["status"], body["detail"]) == (404, "The LMS does not know this learner.")


def test_one_credential_without_an_answer_does_not_hide_the_others(client: Any, course: Any) -> None:
    configure_certificate(credential_type__name="A", credential_type__processor="marsupial")
    configure_certificate(credential_type__name="B")
    broken, fine = ask(signed_in(client, "done-1"), ELIGIBILITY)["credentials"]
    assert (broken["eligible"], fine["eligible"]) == (None, True)
    assert "marsupial" not in str(broken)


def test_an_lms_that_does_not_answer_is_a_503_that_says_when_to_ask_again(client: Any, course: Any) -> None:
    configure_certificate()
    course.break_down()
    answer = signed_in(client, "done-1").get(ELIGIBILITY.format(context_key=ALGEBRA))
    assert assert_as_promised(answer, ELIGIBILITY)["status"] == 503
    assert int(answer.headers["Retry-After"]) >= 1


def test_what_is_wrong_with_the_settings_is_for_staff_and_not_for_learners(client: Any, settings: Any) -> None:
    configure_certificate()
    settings.CREDENTIALS_CONFIG = {"lms": {"transport": "http", "url": ""}}
    body = ask(signed_in(client, "done-1"), ELIGIBILITY)
    assert (body["status"], body["detail"]) == (503, "The LMS does not answer at the moment.")


def test_requests_that_ask_the_lms_have_a_lower_limit(client: Any, lms: Any, settings: Any) -> None:
    add_algebra(lms)
    configure_certificate()
    settings.CREDENTIALS_CONFIG = {**settings.CREDENTIALS_CONFIG, "rest_api": {"lms_requests_per_minute": 2}}
    signed_in(client, "done-1")
    assert [ask(client, ELIGIBILITY).get("status") for _ in range(3)] == [None, None, 429]
    assert ask(client, CONFIGURED)["has_credentials"]


@pytest.mark.parametrize("address", [CONFIGURED, ELIGIBILITY])
def test_anonymous_users_are_asked_to_sign_in(client: Any, address: str) -> None:
    configure_certificate()
    answer = client.get(address.format(context_key=ALGEBRA))
    assert assert_as_promised(answer, address)["status"] == 401
    assert answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("query", ["?lms_user_id=x", "?username=", "?username=a&lms_user_id=1", "?who=me"])
def test_an_invalid_parameter_is_refused(learner_client: Any, query: str) -> None:
    configure_certificate()
    assert ask(learner_client, ELIGIBILITY, query=query)["status"] == 400
