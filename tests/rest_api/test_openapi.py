"""The OpenAPI document. All other tests here validate their responses against it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from django.contrib.staticfiles import finders
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from badges.catalog import structure


def test_the_document_is_valid_openapi(client: Any) -> None:
    document = client.get("/api/schema/").json()
    validate_schema(document)
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_the_document_describes_our_views_only(client: Any) -> None:
    paths = client.get("/api/schema/").json()["paths"]
    assert [path for path in paths if not path.startswith("/api/credentials/")] == [
        "/api/award/v1/users/{userId}/stickers",
        "/api/award/v1/users/{userId}/stickers/{stickerId}",
        "/api/badges/v1/credentials/",
        "/api/badges/v1/credentials/{id}/",
        "/api/badges/v1/credentials/{id}/lift-block/",
        "/api/badges/v1/credentials/{id}/revoke/",
        "/api/badges/v1/criteria/evaluate/",
        "/api/badges/v1/criteria/validate/",
        "/api/badges/v1/event-types/",
        "/api/badges/v1/event-types/{name}/",
        "/api/badges/v1/events/",
        "/api/badges/v1/explain/",
        "/api/badges/v1/progress/",
        "/api/badges/v1/retirements/",
        "/api/badges/v1/runs/",
        "/api/badges/v1/runs/{id}/",
        "/api/badges/v1/schemas/{name}.json",
        "/api/badges/v1/templates/",
        "/api/badges/v1/templates/{slug}/",
        "/api/badges/v1/templates/{slug}/revisions/",
        "/api/badges/v1/templates/{slug}/revisions/{number}/",
        "/api/badges/v1/webhooks/{provider}/{organization}/{secret}/",
        "/api/users/v1/users",
        "/api/users/v1/users/{userId}",
        "/api/users/v1/users/{userId}/identities",
        "/api/users/v1/users/{userId}/identities/{identityId}",
        "/api/v1/flashcards/session-complete",
        "/api/v1/quiz/result",
    ]


def test_the_document_says_who_can_read_the_reason_of_a_revocation(client: Any) -> None:
    schemas = client.get("/api/schema/").json()["components"]["schemas"]
    told = "everybody who can open the public page of the badge can read it"
    assert told in schemas["Revoke"]["properties"]["public_reason"]["description"]


def test_the_document_of_a_template_is_described_as_packs_are(client: Any) -> None:
    document = client.get("/api/schema/").json()
    body = document["paths"]["/api/badges/v1/templates/"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/PackTemplate"}
    components = document["components"]["schemas"]
    assert components["PackTemplate"]["properties"]["requirements"]["items"] == {
        "$ref": "#/components/schemas/PackRequirement"
    }
    assert components["PackRequirement"]["required"] == structure.schema()["$defs"]["requirement"]["required"]


def test_every_reference_in_the_document_leads_somewhere(client: Any) -> None:
    document = client.get("/api/schema/").json()
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert len(references) > 40
    for reference in references:
        found = document
        for key in reference.removeprefix("#/").split("/"):
            found = found[key]


def test_each_filter_that_is_answered_is_described(client: Any) -> None:
    listing = client.get("/api/schema/").json()["paths"]["/api/badges/v1/credentials/"]["get"]
    assert {parameter["name"] for parameter in listing["parameters"]} == {
        *("username", "lms_user_id", "template", "status", "awarded_after", "awarded_before"),
        *("cursor", "page_size"),
    }


@pytest.mark.parametrize("accept", ["application/vnd.oai.openapi", "application/yaml"])
def test_the_document_can_be_had_as_yaml(client: Any, accept: str) -> None:
    answer = client.get("/api/schema/", headers={"Accept": accept})
    assert yaml.safe_load(answer.content) == client.get("/api/schema/").json()


def test_the_page_for_people_needs_nothing_from_elsewhere(client: Any) -> None:
    page = client.get("/api/docs/").content.decode()
    assert "http://" not in page
    assert "https://" not in page
    assert 'data-schema="/api/schema/"' in page
    sources = [part.partition('"')[0] for part in page.split("/static/")[1:]]
    assert len(sources) == 4
    assert all(finders.find(source) for source in sources)
