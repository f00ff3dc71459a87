"""A template may have a criteria document beside its requirements, which is validated, stored and compiled with it."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from badges.catalog import editing, packs, snapshot
from badges.catalog.api import (
    DocumentError,
    Outcome,
    archive_template,
    bump_version,
    compile_draft,
    export_template,
    problems_of,
    save_template,
)
from badges.catalog.models import BadgeRequirement, BadgeTemplate
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from badges.rules import CriteriaError, parse_criteria
from badges.rules.criteria import conditions
from tests.factories import NOON, make_template, requirement, template_entry

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

ONE = {"event": PASSING_STATUS, "criteria": {"is_passing": True}}
FIVE = {"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 5}}}


def problems(criteria: Any, **given: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(DocumentError) as refused:
        packs.apply({"pack": 1, "templates": [template_entry(criteria=criteria, **given)]}, now=NOON)
    return [(problem.path, problem.kind, problem.message) for problem in refused.value.problems]


def live_keys(template: BadgeTemplate) -> list[str]:
    return sorted(template.requirements.filter(archived_at=None).values_list("key", flat=True))


def changes(before: Any, after: Any) -> list[str]:
    entry = template_entry()
    save_template(entry | {"criteria": before}, now=NOON)
    return [str(change) for change in save_template(entry | {"criteria": after}, now=NOON).changes]


# Validation


def test_a_problem_has_the_path_of_the_pack_and_the_pointer_into_the_document():
    assert problems({"$and": [ONE, {"event": PASSING_STATUS, "criteria": {"is_passing": {"$equals": True}}}]}) == [
        ("templates[0].criteria/$and/1/criteria/is_passing/$equals", "unknown_operator", problems_text("$equals"))
    ]
    ((path, kind, message),) = problems({"steps": []})
    assert (path, kind) == ("templates[0].criteria/steps", "unsupported_format")
    assert "$sequence" in message


def problems_text(operator: str) -> str:
    with pytest.raises(CriteriaError) as refused:
        parse_criteria({"event": "a", "criteria": {"is_passing": {operator: True}}})
    return refused.value.message


def test_every_event_type_that_a_document_reads_must_be_configured_wherever_it_stands():
    enrolled, unheard = "org.openedx.learning.course.enrollment.created.v1", "org.unheard.of.v1"
    found = problems(
        {
            "$and": [
                {"event": enrolled},
                {"$sequence": {"sequence": [unheard, {"event": unheard}]}},
                {
                    "$duration": {
                        "startEvent": {"type": unheard},
                        "endEvent": {"type": PASSING_STATUS},
                        "duration": {"$gte": 1},
                    }
                },
                {"$timePeriod": {"periodType": "day", "event": unheard}},
                {"$timePeriod": {"periodType": "day"}},
            ]
        }
    )
    assert [path for path, _, _ in found] == [
        "templates[0].criteria/$and/0/event",
        "templates[0].criteria/$and/1/$sequence/sequence/0",
        "templates[0].criteria/$and/1/$sequence/sequence/1/event",
        "templates[0].criteria/$and/2/$duration/startEvent/type",
        "templates[0].criteria/$and/3/$timePeriod/event",
    ]
    assert {kind for _, kind, _ in found} == {"invalid_criteria"}
    assert found[0][2] == f"{enrolled} is not configured here; add it to LMS_BADGES_CONFIG['events']"
    assert found[1][2].startswith(f"there is no event type {unheard}; write")


def test_a_document_with_a_problem_and_a_requirement_with_one_are_reported_together():
    found = problems({"$not": {}}, requirements=[requirement(rules=[{"path": "x", "operator": "eq", "value": 1}])])
    assert [path for path, _, _ in found] == [
        "templates[0].requirements[0].rules[0].path",
        "templates[0].criteria/$not",
    ]


def test_deep_and_large_documents_are_problems_and_no_crash():
    deep: dict = ONE
    for _ in range(2000):
        deep = {"$not": deep}
    assert [kind for _, kind, _ in problems(deep)] == ["limit"]
    assert [kind for _, kind, _ in problems({"$or": [{"event": PASSING_STATUS, "$comment": "x" * 10**7}]})] == ["limit"]
    assert [kind for _, kind, _ in problems({"event": PASSING_STATUS, "$comment": "\0"})] == ["invalid_json"]


def test_an_active_template_may_have_a_document_alone():
    assert save_template(template_entry(requirements=[], criteria=ONE), now=NOON).outcome is Outcome.CREATED


# What is stored


def test_a_document_is_stored_in_the_revision_and_exported_as_it_was_written():
    written = {
        "$and": [{"event": PASSING_STATUS, "criteria": {"日本": 1.0, "ü": [True, 2**60]}}, FIVE],
        "$comment": "x",
    }
    template = make_template(criteria=written)
    assert json.loads(template.revisions.get().document)["criteria"] == written
    exported = export_template(template)["criteria"]
    assert exported == written
    assert list(exported) == ["$comment", "$and"]
    assert list(exported["$and"][0]) == ["event", "criteria"]
    assert [item.outcome for item in packs.plan(packs.export())] == [Outcome.UNCHANGED]


def test_the_document_has_a_row_among_the_requirements_which_is_archived_and_restored():
    entry = template_entry(criteria=ONE)
    template = save_template(entry, now=NOON).stored.template
    row = template.requirements.get(key="criteria")
    assert (row.event_type, row.group, row.rules.count()) == ("", None, 0)
    save_template(entry | {"criteria": None}, now=NOON)
    assert live_keys(template) == ["pass"]
    save_template(entry | {"criteria": FIVE}, now=NOON)
    assert live_keys(template) == ["criteria", "pass"]
    assert template.requirements.get(key="criteria").pk == row.pk


def test_no_other_row_may_look_like_the_documents():
    template = make_template()
    for key, event_type, group in [("criteria", PASSING_STATUS, None), ("other", "", None), ("criteria", "", "g")]:
        with pytest.raises(IntegrityError), transaction.atomic():
            BadgeRequirement.objects.create(template=template, key=key, event_type=event_type, group=group)


def test_the_row_says_from_when_on_events_count():
    def saved(now, **given):
        template = save_template({**entry, **given}, now=now).stored.template
        return template.requirements.get(key="criteria").counts_from

    entry = template_entry(criteria=ONE)
    first, second, third = (NOON + dt.timedelta(days=days) for days in (1, 2, 3))
    assert saved(NOON, is_active=False) is None
    assert saved(first) == first
    assert saved(second, criteria=FIVE) == first
    assert saved(second, criteria=FIVE, is_active=False) == first
    assert saved(second, criteria=FIVE) == first
    assert saved(second, criteria=None) is None
    assert saved(third) == third


def test_no_other_requirement_says_from_when_on_events_count():
    template = make_template()
    with pytest.raises(IntegrityError), transaction.atomic():
        template.requirements.update(counts_from=NOON)


def test_a_row_that_does_not_say_it_is_left_out_until_the_rows_are_written_again(caplog):
    template = make_template(slug="both", criteria=ONE)
    template.requirements.filter(key="criteria").update(counts_from=None)
    bump_version()
    assert not snapshot.current().with_criteria
    assert "badges_rebuild_catalog" in caplog.text

    (rebuilt,) = editing.rebuild(author=None, now=NOON)

    assert list(map(str, rebuilt.changes)) == ["criteria.counts_from: added now"]
    assert snapshot.current().with_criteria[template.pk].counts_from == NOON


def test_rows_that_were_changed_by_hand_are_written_again():
    template = make_template(slug="both", criteria=ONE)
    row = template.requirements.filter(key="criteria")
    row.update(archived_at=NOON)
    output = StringIO()
    call_command("badges_rebuild_catalog", stdout=output)
    assert "criteria: added earned when: " in output.getvalue()
    assert live_keys(template) == ["criteria", "pass"]

    plain = make_template(slug="plain")
    BadgeRequirement.objects.create(template=plain, key="criteria", event_type="")
    call_command("badges_rebuild_catalog", stdout=StringIO())
    assert live_keys(plain) == ["pass"]
    call_command("badges_rebuild_catalog", "--plan", stdout=(output := StringIO()))
    assert output.getvalue().startswith("0 templates differ")


# Changes for readers


def test_a_change_inside_of_a_document_names_its_place():
    assert changes({"$and": [ONE, FIVE]}, {"$and": [ONE, {**FIVE, "criteria": {"$eventCount": {"$gte": 8}}}]}) == [
        "criteria/$and/1/criteria/$eventCount/$gte: 5 → 8"
    ]
    # 1 and true are equal in Python.
    assert changes(
        {"event": PASSING_STATUS, "criteria": {"a": 1}}, {"event": PASSING_STATUS, "criteria": {"a": True}}
    ) == ["criteria/criteria/a: 1 → true"]


def test_a_new_a_removed_and_a_quite_different_document_are_described_in_words():
    five = f"earned when: at least 5 '{PASSING_STATUS}' events"
    assert changes(None, FIVE) == [f"criteria: added {five}"]
    assert changes(FIVE, None) == [f"criteria: removed {five}"]
    many = {"$or": [{"event": PASSING_STATUS, "criteria": {f"field{number}": number}} for number in range(60)]}
    other = {"$or": [{"event": PASSING_STATUS, "criteria": {f"field{number}": number + 1}} for number in range(60)]}
    (change,) = changes(many, other)
    assert change.startswith("criteria: earned when: ")
    assert len(change) < 700


# Compiling


def test_a_template_is_complete_only_with_its_requirements_and_its_document():
    compiled = compile_draft(template_entry(requirements=[requirement("pass")], criteria=FIVE))
    assert compiled.groups == (("pass", None), ("criteria", None))
    assert compiled.criteria is not None
    assert compiled.criteria.document == FIVE
    assert not compiled.completion({"pass"}).complete
    assert not compiled.completion({"criteria"}).complete
    assert compiled.completion({"pass", "criteria"}).complete


def test_a_template_without_requirements_is_complete_with_its_document_and_one_without_both_never():
    assert compile_draft(template_entry(requirements=[], criteria=ONE)).completion({"criteria"}).complete
    nothing = compile_draft(template_entry(requirements=[], is_active=False))
    assert nothing.criteria is None
    assert not nothing.completion({"criteria"}).complete


def test_the_compiled_template_knows_the_row_of_its_document():
    template = make_template(criteria=ONE)
    (compiled,) = snapshot.current().compiled.values()
    assert compiled is not None
    assert compiled.criteria is not None
    assert (template.requirements.get(key="criteria").pk, None) in compiled.requirements
    kinds = [(type(interest).__name__, interest.event_type) for interest in compiled.interests]
    assert kinds == [("Requirement", PASSING_STATUS), ("HistoryEvent", PASSING_STATUS)]


def test_a_document_whose_condition_is_gone_leaves_the_template_out_and_the_reason_can_be_asked(caplog):
    class Streak:
        event_types = (PASSING_STATUS,)

        def __call__(self, event: Any, history: Any, params: Any) -> bool:
            return True

    conditions.functions.register("streak", Streak())
    template = make_template(criteria={"$condition": {"type": "streak"}})
    conditions.functions.unregister("streak")

    assert list(snapshot.current().compiled.values()) == [None]
    assert snapshot.current().matching(PASSING_STATUS, {"is_passing": True}) == []
    assert f"Template {template.pk} is left out: /$condition/type: there is no condition 'streak'" in caplog.text
    (problem,) = problems_of(template)
    assert (problem.path, problem.kind) == ("criteria/$condition/type", "invalid_criteria")
    archive_template(template, author=None, now=NOON)


def test_a_document_that_reads_an_event_type_which_is_no_longer_configured_is_not_satisfied_by_silence(
    settings, caplog
):
    settings.LMS_BADGES_CONFIG = {"events": [PASSING_STATUS, CCX_PASSING_STATUS]}
    make_template(criteria={"$not": {"event": CCX_PASSING_STATUS}})
    assert len([one for one in snapshot.current().compiled.values() if one]) == 1
    settings.LMS_BADGES_CONFIG = {"events": [PASSING_STATUS]}
    assert list(snapshot.current().compiled.values()) == [None]
    assert "is left out: /$not/event" in caplog.text
