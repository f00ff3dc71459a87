"""What a service relies on that retires people by REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from badges import api
from badges.exceptions import Retryable
from badges.models import InboxMessage, Learner
from tests.factories import InboxMessageFactory, LearnerFactory
from tests.rest_api.schema import assert_as_promised

URL = "/api/badges/v1/retirements/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


@pytest.fixture
def service(staff_client: Callable[..., Any]) -> Any:
    return staff_client("retire_learner")


def post(client: Any, **body: Any) -> Any:
    response = client.post(URL, body, content_type="application/json")
    assert_as_promised(response, URL, "post")
    return response


@pytest.mark.parametrize("named_by", ["lms_user_id", "username", "learner"])
def test_a_person_can_be_named_in_each_way(service: Any, named_by: str) -> None:
    learner, other = LearnerFactory(), LearnerFactory()
    InboxMessageFactory(lms_user_id=learner.lms_user_id)
    names = {"lms_user_id": learner.lms_user_id, "username": learner.user.username, "learner": str(learner.uuid)}

    response = post(service, **{named_by: names[named_by]})

    assert response.status_code == 200
    assert response.json()["is_remembered"]
    assert response.json()["changed"]["lms_badges"]["events"] == 1
    assert dict(Learner.objects.values_list("pk", "lms_user_id")) == {learner.pk: None, other.pk: other.lms_user_id}
    assert not InboxMessage.objects.filter(lms_user_id=learner.lms_user_id).exists()


def test_repeating_it_and_naming_somebody_unknown_are_no_errors(service: Any) -> None:
    learner = LearnerFactory()
    post(service, lms_user_id=learner.lms_user_id)

    again, unknown = post(service, lms_user_id=learner.lms_user_id), post(service, username="houba")

    assert (again.status_code, unknown.status_code) == (200, 200)
    assert again.json()["changed"]["lms_badges"] == unknown.json()["changed"]["lms_badges"]
    assert (again.json()["is_remembered"], unknown.json()["is_remembered"]) == (True, False)


def test_nobody_without_the_permission_learns_whether_a_person_exists(staff_client: Callable[..., Any]) -> None:
    learner = LearnerFactory()
    client = staff_client("view_learner")

    answers = [post(client, lms_user_id=number) for number in (learner.lms_user_id, 10**9)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].content == answers[1].content
    assert api.learner_of(learner.lms_user_id) == learner


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lms_user_id": 41, "username": "houba"},
        {"lms_user_id": 0},
        {"lms_user_id": 2**63},
        {"username": "41"},  # it would be read as an LMS user id
        {"username": ""},
        {"learner": "houba"},
        {"user": "houba"},
    ],
)
def test_a_body_that_does_not_name_one_person_retires_nobody(service: Any, body: dict[str, Any]) -> None:
    LearnerFactory(lms_user_id=41)

    response = post(service, **body)

    assert response.status_code == 400
    assert response.json()["errors"]
    assert Learner.objects.filter(lms_user_id=41).exists()


def test_a_database_that_does_not_answer_is_503(service: Any, monkeypatch: Any) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise Retryable("The database did not answer.")

    monkeypatch.setattr("badges.rest_api.v1.views.retire", fail)
    assert post(service, lms_user_id=41).status_code == 503


def test_a_list_is_refused(service: Any) -> None:
    response = service.post(URL, [41], content_type="application/json")
    assert response.status_code == 400
