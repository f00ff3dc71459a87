"""The structure of a pack, and the errors of an invalid one."""

import json

import pytest
from jsonschema import Draft202012Validator

from badges.catalog.structure import pack_problems, schema, template_problems
from tests.factories import credly_issuer, requirement, rule, template_entry


def problems_of(entry: object) -> list[str]:
    return [str(problem) for problem in template_problems(entry, "templates[3]")]


def with_requirement(**given: object) -> dict:
    return template_entry(requirements=[requirement(**given)])


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(schema())


def test_every_key_of_the_schema_says_what_to_write():
    parts = [schema(), *schema()["$defs"].values()]
    assert all("description" in part for part in parts)
    keys = [key for part in parts for key in part["properties"].values()]
    keys += [key["items"] for key in keys if "items" in key]
    assert all("description" in key or "$ref" in key for key in keys)


def test_what_the_schema_accepts_other_validators_accept_too():
    pack = {"pack": 1, "templates": [template_entry(issuers=[credly_issuer()])]}
    Draft202012Validator(schema()).validate(pack)
    assert pack_problems(pack) == []


def test_an_entry_with_every_key_and_one_with_as_few_as_possible_are_well_built():
    full = template_entry(
        uuid=None,
        description="",
        image_url="",
        award_once=True,
        issuers=[credly_issuer()],
        requirements=[requirement(group=None, description="d", rules=[rule("a.b", "in", ["x", 1, 0.5, False])])],
        penalties=[{"event_type": "x", "requirements": ["pass", "criteria"], "rules": [rule("a", "eq", 1)]}],
        criteria=None,
    )
    assert problems_of(full) == []
    assert problems_of({"slug": "a", "name": "b", "requirements": []}) == []


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (5, "templates[3]: expected a template: an object with at least slug, name and requirements; got 5"),
        (
            {"slug": "a", "requirements": []},
            "templates[3].name: is missing; write what learners read: text of 1 to 255",
        ),
        (template_entry(nmae="x"), "templates[3].nmae: there is no such key; write name"),
        (template_entry(Award_Once=True), "templates[3].Award_Once: there is no such key; write award_once"),
        (template_entry(xyz=True), "templates[3].xyz: there is no such key; known are slug, uuid, name"),
        (template_entry(slug=""), "templates[3].slug: expected the template's stable name"),
        (template_entry(slug="a b"), "templates[3].slug: expected"),
        (template_entry(slug="a/b"), "templates[3].slug: expected"),
        (template_entry(slug="a\n"), "templates[3].slug: expected"),  # Python's $ would let it pass
        (template_entry(slug="a" * 151), "templates[3].slug: expected"),
        (template_entry(uuid="5"), "templates[3].uuid: expected the template's UUID, such as 0190"),
        (template_entry(name=" \t"), "templates[3].name: expected what learners read"),
        (
            template_entry(name=None),
            "templates[3].name: expected what learners read: text of 1 to 255 characters; got null",
        ),
        (template_entry(image_url="ftp://x"), "templates[3].image_url: expected the address of the badge's image"),
        (template_entry(is_active="yes"), "templates[3].is_active: expected true or false"),
        (template_entry(is_active=1), "templates[3].is_active: expected true or false"),
        (template_entry(issuers={}), "templates[3].issuers: expected a list of providers"),
        (
            template_entry(issuers=[{"provider": "credly", "organization": "x"}]),
            "templates[3].issuers[0].template: is missing; write the template's id at the provider",
        ),
        (
            template_entry(penalties=[{"requirements": ["pass"]}]),
            "templates[3].penalties[0].event_type: is missing; write an event type, such as org.openedx",
        ),
        (
            template_entry(penalties=[{"event_type": "x", "requirements": []}]),
            "templates[3].penalties[0].requirements: expected a list with the keys of the requirements that the "
            "penalty resets: at least one, each once; criteria stands for the criteria document; got",
        ),
        (
            template_entry(penalties=[{"event_type": "x", "requirements": ["pass", "pass"]}]),
            "templates[3].penalties[0].requirements: expected a list with the keys",
        ),
        (
            template_entry(penalties=[{"event_type": "x", "requirements": [5]}]),
            "templates[3].penalties[0].requirements[0]: expected the key of a requirement of this template, or",
        ),
        (
            template_entry(penalties=[{"event_type": "x", "requirements": ["pass"], "key": "p"}]),
            "templates[3].penalties[0].key: there is no such key; known are event_type, requirements, rules",
        ),
        (
            template_entry(penalties=[{"event_type": "x", "requirements": ["pass"], "rules": [rule("a", "eq", None)]}]),
            "templates[3].penalties[0].rules[0].value: expected text, a number, true or false, or a list of those;",
        ),
        (template_entry(penalties={}), "templates[3].penalties: expected a list of penalties"),
        (
            template_entry(criteria=[]),
            'templates[3].criteria: expected null, or a criteria document: an object such as {"event": "org.openedx',
        ),
        (
            with_requirement(key="criteria"),
            "templates[3].requirements[0].key: expected the requirement's stable name inside its template: "
            "1 to 100 characters, no spaces around them; the name criteria is taken by the criteria document",
        ),
        (with_requirement(key=" a"), "templates[3].requirements[0].key: expected the requirement's stable name"),
        (with_requirement(group=""), "templates[3].requirements[0].group: expected the name that alternatives share"),
        (with_requirement(grup="a"), "templates[3].requirements[0].grup: there is no such key; write group"),
        (with_requirement(rules=None), "templates[3].requirements[0].rules: expected a list of data rules"),
        (
            with_requirement(rules=[rule("a", "eq", None)]),
            "templates[3].requirements[0].rules[0].value: expected text, a number, true or false, or a list of those;",
        ),
        (with_requirement(rules=[rule("a", "in", [[1]])]), "templates[3].requirements[0].rules[0].value[0]: expected"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_what_to_write(entry, expected):
    (problem,) = problems_of(entry)
    assert problem.startswith(expected)


def test_long_values_are_not_repeated_in_messages():
    (problem,) = problems_of(template_entry(slug="secret " * 30))
    assert "secret" not in problem


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        ([], ": expected a pack: an object with the keys pack and templates; got a list"),
        ({}, "pack: is missing; write the version of the format, which is the number 1"),
        ({"pack": 2, "templates": []}, "pack: expected the version of the format, which is the number 1; got 2"),
        ({"pack": True, "templates": []}, "pack: expected the version of the format, which is the number 1; got true"),
        ({"pack": 1, "templates": {}}, "templates: expected a list of templates; got an object"),
        ({"pack": 1, "templates": [], "templtes": []}, "templtes: there is no such key; write templates"),
    ],
)
def test_what_is_wrong_with_a_pack_itself_is_said_too(pack, expected):
    assert str(pack_problems(pack)[0]).lstrip(": ") == expected.lstrip(": ")


def test_the_schema_file_is_plain_json_for_editors():
    assert schema()["$schema"].startswith("https://json-schema.org/draft/2020-12/")
    json.dumps(schema(), allow_nan=False)


def test_of_very_many_unknown_keys_the_first_are_named_and_the_others_counted() -> None:
    found = problems_of(template_entry(**{f"key{number}": 1 for number in range(5_000)}))
    assert found[0].startswith("templates[3].key0: there is no such key; known are slug, uuid, name")
    assert found[20:] == ["templates[3]: has 4980 more keys that are not known; remove them"]
