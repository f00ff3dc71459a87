"""The OpenAPI document is right, also in a host with other defaults."""

from __future__ import annotations

import json
from typing import Any

import pytest
from drf_spectacular.validation import validate_schema

from tests.credentials_config.factories import CredentialFactory
from tests.rest_api.test_hostile_host import ask_hostile_host

ROOT = "/api/credentials/v1/"


def test_the_document_describes_each_of_our_operations(client: Any) -> None:
    document = client.get("/api/schema/").json()
    validate_schema(document)
    ours = {path: operations for path, operations in document["paths"].items() if path.startswith(ROOT)}
    assert {(path.removeprefix(ROOT), method) for path, operations in ours.items() for method in operations} == {
        ("credentials/", "get"),
        ("credentials/", "post"),
        ("credentials/{id}/reissue/", "post"),
        ("credentials/{id}/invalidate/", "post"),
        ("configured/{context_key}/", "get"),
        ("eligibility/{context_key}/", "get"),
        ("metadata/{code}/", "get"),
    }
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(ids)) == len(ids)


def test_only_verification_registration_schemas_and_webhooks_need_no_sign_in(client: Any) -> None:
    paths = client.get("/api/schema/").json()["paths"]
    free = {path for path, operations in paths.items() for one in operations.values() if {} in one["security"]}
    assert free == {
        f"{ROOT}metadata/{{code}}/",
        "/api/badges/v1/schemas/{name}.json",
        "/api/badges/v1/webhooks/{provider}/{organization}/{secret}/",
        "/api/users/v1/users",
    }


def test_each_parameter_that_is_read_is_described(client: Any) -> None:
    listing = client.get("/api/schema/").json()["paths"][f"{ROOT}credentials/"]["get"]
    named = {parameter["name"] for parameter in listing["parameters"]}
    assert named == {"username", "lms_user_id", "kind", "ended", "cursor", "page_size"}


@pytest.mark.django_db(transaction=True)
def test_a_hostile_host_changes_nothing(learner: Any, learner_client: Any) -> None:
    row = CredentialFactory(learner=learner)
    CredentialFactory(learner=learner)
    session = learner_client.cookies["sessionid"].value
    root = f"/plugins{ROOT}"
    answers = ask_hostile_host(
        (session, f"{root}credentials/"),
        (session, f"{root}credentials/?username={learner.user.username}"),
        (session, f"{root}credentials/?kind=houba"),
        (session, f"{root}configured/houba/"),
        ("", f"{root}credentials/"),
        ("", f"{root}metadata/{row.verification_code}/"),
        ("", f"{root}metadata/x/"),
        (session, f"{root}credentials/{row.pk}/reissue/"),
    )
    assert [status for status, _, _ in answers] == [200, 200, 400, 200, 401, 200, 404, 405]
    assert len(json.loads(answers[0][2])["results"]) == 2
    assert json.loads(answers[5][2]) == learner_client.get(f"{ROOT}metadata/{row.verification_code}/").json()
    problems = [json.loads(body)["status"] for _, kind, body in answers if kind == "application/problem+json"]
    assert problems == [400, 401, 404, 405]
