"""The JSON Schemas that editors fetch."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from badges.catalog import packs
from badges.conf import PASSING_STATUS
from badges.rules import criteria_schema
from tests.factories import credly_issuer, make_template
from tests.rest_api.schema import assert_as_promised

SCHEMAS = "/api/badges/v1/schemas/"
PATH = f"{SCHEMAS}{{name}}.json"


def test_everybody_can_fetch_the_schema_of_criteria(client: Any) -> None:
    answer = client.get(f"{SCHEMAS}criteria.json")
    assert assert_as_promised(answer, PATH) == criteria_schema()
    assert answer.headers["Content-Type"] == "application/schema+json"
    assert "max-age" in answer.headers["Cache-Control"]


@pytest.mark.django_db
def test_everybody_can_fetch_the_schema_of_packs_which_fits_an_export(client: Any) -> None:
    passed = {"event": PASSING_STATUS, "criteria": {"is_passing": True}}
    make_template(issuers=[credly_issuer()], criteria=passed)
    pack: Any = {"$schema": f"http://testserver{SCHEMAS}pack.json", **packs.export()}
    schema = assert_as_promised(client.get(f"{SCHEMAS}pack.json"), PATH)
    Draft202012Validator.check_schema(schema)
    # The address of the schema of criteria is relative to that of packs.
    language = Resource.from_contents(client.get(f"{SCHEMAS}criteria.json").json())
    registry: Any = Registry().with_resource("http://testserver/criteria.json", language)
    validator = Draft202012Validator({"$id": "http://testserver/pack.json", **schema}, registry=registry)
    validator.validate(pack)
    pack["templates"][0]["criteria"] = {"event": PASSING_STATUS, "criteria": {"is_passing": {"$almost": True}}}
    assert not validator.is_valid(pack)


@pytest.mark.parametrize("accept", ["application/json", "application/schema+json", "*/*"])
def test_a_client_that_wants_json_gets_the_schema(client: Any, accept: str) -> None:
    assert client.get(f"{SCHEMAS}pack.json", headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize("name", ["x", "..%2fcriteria", "%00", "pack.schema"])
def test_no_such_schema_is_a_404(client: Any, name: str) -> None:
    assert client.get(f"{SCHEMAS}{name}.json").status_code == 404
