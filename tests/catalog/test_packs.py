"""Packs: a plan shows what applying does, applying twice changes nothing, and applying an export changes nothing."""

import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from badges.catalog import pack_files, packs
from badges.catalog.documents import DocumentError
from badges.catalog.editing import Outcome
from badges.catalog.models import BadgeTemplate
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from tests.factories import NOON, credly_issuer, make_template, requirement, rule, template_entry
from tests.support.examples import examples

pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def pack_of(*entries: dict) -> dict:
    return {"pack": 1, "templates": list(entries)}


def problems(pack: object) -> list[str]:
    with pytest.raises(DocumentError) as refused:
        packs.apply(pack, now=NOON)
    return [str(problem) for problem in refused.value.problems]


def outcomes(planned: list) -> list[str]:
    return [item.outcome for item in planned]


def test_planning_writes_nothing_and_says_what_applying_does():
    make_template(slug="same", name="Same")
    make_template(slug="other", name="Before")
    pack = pack_of(
        template_entry(slug="same", name="Same"),
        template_entry(slug="other", name="After"),
        template_entry(slug="new"),
    )
    expected = [Outcome.UNCHANGED, Outcome.UPDATED, Outcome.CREATED]
    assert outcomes(packs.plan(pack)) == expected
    assert BadgeTemplate.objects.count() == 2
    assert outcomes(packs.apply(pack, now=NOON)) == expected
    assert outcomes(packs.apply(pack, now=NOON)) == [Outcome.UNCHANGED] * 3


def test_templates_that_a_pack_does_not_name_are_left_alone():
    make_template(slug="bystander")
    packs.apply(pack_of(template_entry()), now=NOON)
    assert BadgeTemplate.objects.get(slug="bystander").is_active


def test_problems_of_all_templates_are_told_with_their_places_and_nothing_is_saved():
    pack = pack_of(
        template_entry(slug="fine"),
        template_entry(slug="fine"),
        template_entry(requirements=[requirement(), requirement("b", rules=[rule("is_passing", "eq", "x")])]),
        template_entry(nmae="x"),
    )
    assert problems(pack) == [
        "templates[2].requirements[1].rules[0].value: is_passing eq: expected true, false, yes or no",
        "templates[3].nmae: there is no such key; write name",
        "templates[1].slug: fine is already templates[0].slug",
    ]
    assert BadgeTemplate.objects.count() == 0


def test_one_uuid_for_two_templates_is_refused_however_it_is_spelled():
    uuid = "0190b5a4-7d1e-7c3a-9f00-1234567890ab"
    pack = pack_of(template_entry(uuid=uuid), template_entry(uuid=uuid.upper()))
    assert problems(pack) == [f"templates[1].uuid: {uuid} is already templates[0].uuid"]


def test_a_pack_of_a_later_version_is_refused():
    assert problems({"pack": 2, "templates": []}) == [
        "pack: expected the version of the format, which is the number 1; got 2"
    ]


def test_archived_templates_are_not_exported():
    make_template(slug="kept")
    gone = make_template(slug="gone")
    BadgeTemplate.objects.filter(pk=gone.pk).update(archived_at=NOON, is_active=False)
    assert [entry["slug"] for entry in packs.export()["templates"]] == ["kept"]


def test_an_export_leaves_out_the_image_only_when_there_is_none():
    make_template(slug="a")
    make_template(slug="b", image_url="https://example.org/b.png")
    plain, pictured = packs.export()["templates"]
    assert "image_url" not in plain
    assert pictured["image_url"] == "https://example.org/b.png"


def test_more_templates_than_fit_in_one_statement_are_saved_and_exported():
    entries = [template_entry(slug=f"t{number:04d}", issuers=[credly_issuer()]) for number in range(1203)]
    reported: list[int] = []
    packs.apply(pack_of(*entries), now=NOON, progress=reported.append)
    assert sum(reported) == 2 * 1203
    exported = packs.export()
    assert [entry["slug"] for entry in exported["templates"]] == [entry["slug"] for entry in entries]
    assert {item.outcome for item in packs.plan(exported)} == {Outcome.UNCHANGED}


# Whatever authors write

WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="/\\?#"),
    min_size=1,
    max_size=12,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
RULES = st.one_of(
    st.builds(rule, st.just("is_passing"), st.sampled_from(["eq", "ne"]), st.sampled_from([True, "no", "Yes", False])),
    st.builds(rule, st.just("course.course_key"), st.sampled_from(["eq", "ne", "contains", "startsWith"]), WORDS),
    st.builds(
        rule, st.just("course.course_key"), st.sampled_from(["in", "nin"]), st.lists(WORDS, min_size=1, max_size=3)
    ),
    st.builds(rule, st.just("course.course_key"), st.just("gte"), st.one_of(st.integers(-999, 999), st.just("0.5"))),
    st.builds(rule, st.just("course.course_key"), st.just("between"), st.just("5,10.25")),
)
REQUIREMENTS = st.lists(
    st.fixed_dictionaries(
        {"key": WORDS, "event_type": st.just(PASSING_STATUS)},
        optional={"group": st.none() | WORDS, "description": TEXT, "rules": st.lists(RULES, max_size=3)},
    )
    | st.fixed_dictionaries({"key": WORDS, "event_type": st.just(CCX_PASSING_STATUS)}),
    min_size=1,
    max_size=4,
    unique_by=lambda item: item["key"],
)
TEMPLATES = st.lists(
    st.fixed_dictionaries(
        {"slug": WORDS, "name": WORDS, "requirements": REQUIREMENTS},
        optional={
            "uuid": st.none(),
            "description": TEXT,
            "image_url": st.sampled_from(["", "https://example.org/a.png"]),
            "is_active": st.booleans(),
            "award_once": st.booleans(),
            "issuers": st.lists(st.builds(credly_issuer, st.just("org"), st.sampled_from("ab")), max_size=1),
        },
    ),
    max_size=4,
    unique_by=lambda item: item["slug"],
)


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TEMPLATES, after=TEMPLATES, ending=st.sampled_from(["json", "yaml"]))
def test_an_export_is_a_plan_of_nothing_and_brings_the_same_to_an_empty_site(tmp_path, ending, before, after):
    BadgeTemplate.objects.all().delete()
    packs.apply(pack_of(*before), now=NOON)
    packs.apply(pack_of(*after), now=NOON)
    path = tmp_path / f"pack.{ending}"
    pack_files.write_file(path, packs.export())
    exported = pack_files.read_file(path)
    assert {item.outcome for item in packs.plan(exported)} <= {Outcome.UNCHANGED}
    assert {entry["slug"] for entry in before + after} == {entry["slug"] for entry in exported["templates"]}
    BadgeTemplate.objects.all().delete()
    packs.apply(exported, now=NOON)
    assert json.dumps(packs.export()) == json.dumps(exported)
