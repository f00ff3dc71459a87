"""What an author of templates relies on: penalties are checked, written, exported and compared as all else is."""

from __future__ import annotations

from typing import Any

import pytest

from badges.catalog import editing, packs, snapshot
from badges.catalog.api import DocumentError, compile_draft, export_template, save_template
from badges.catalog.interests import Penalty
from badges.catalog.models import BadgePenalty, BadgeRequirement, PenaltyDataRule, PenaltyRequirement
from badges.conf import PASSING_STATUS
from tests.factories import ALGEBRA, NOON, SAVED, make_template, penalty, requirement, rule, template_entry

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

BOTH = [requirement("pass"), requirement("labs", course=None)]


def problems_of(**given: Any) -> list[str]:
    entry = template_entry(**{"requirements": BOTH, **given})
    with pytest.raises(DocumentError) as caught:
        save_template(entry, now=SAVED)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            penalty("pass", "lab"),
            "penalties[0].requirements[1]: no requirement of this template has the key 'lab'; write labs",
        ),
        (
            penalty("criteria"),
            "penalties[0].requirements[0]: no requirement of this template has the key 'criteria'; "
            "write one of labs, pass",
        ),
        (
            penalty(rules=[rule("is_pasing", "eq", True)]),
            "penalties[0].rules[0].path: ",
        ),
        (
            penalty(rules=[rule("is_passing", "gt", "maybe")]),
            "penalties[0].rules[0].",
        ),
        (penalty(event_type="houba.v1", rules=[]), "penalties[0].event_type: "),
    ],
)
def test_what_is_wrong_with_a_penalty_is_said_with_its_place_and_the_remedy(wrong, expected):
    (problem,) = problems_of(penalties=[wrong])
    assert problem.startswith(expected), problem


def test_a_penalty_of_a_template_that_demands_nothing_names_no_requirement():
    (problem,) = problems_of(requirements=[], is_active=False, penalties=[penalty("pass")])
    assert problem.endswith("has the key 'pass'; add one, or remove the penalty")


def test_the_same_penalty_twice_is_refused_in_whatever_order_it_names_requirements():
    (problem,) = problems_of(penalties=[penalty("pass", "labs"), penalty("labs", "pass")])
    assert problem == "penalties[1]: this penalty is the same as penalties[0]; remove one of the two"


def test_the_order_of_penalties_and_of_their_requirements_means_nothing():
    one, other = penalty("pass", "labs"), penalty("pass", course=None)
    template = make_template(requirements=BOTH, penalties=[one, other])
    entry = export_template(template)

    assert save_template({**entry, "penalties": [other, penalty("labs", "pass")]}, now=SAVED).changes == []
    assert entry["penalties"][0]["requirements"] in (["labs", "pass"], ["pass"])


def test_penalties_go_through_a_pack_and_changes_are_told():
    template = make_template(slug="star", requirements=BOTH, penalties=[penalty("pass")])
    pack = packs.export()
    assert packs.plan(pack)[0].changes == []
    pack["templates"][0]["penalties"] = [penalty("labs", rules=[])]

    planned = [str(change) for change in packs.plan(pack)[0].changes]

    assert planned == [
        f'penalties: removed {PASSING_STATUS} is_passing eq false and course.course_key eq "{ALGEBRA}" resets pass',
        f"penalties: added {PASSING_STATUS} every event resets labs",
    ]
    packs.apply(pack, now=NOON)
    template.refresh_from_db()
    assert export_template(template)["penalties"] == [penalty("labs", rules=[])]


def test_rows_repeat_the_penalties_and_other_templates_keep_theirs():
    other = make_template(requirements=BOTH, penalties=[penalty("pass")])
    template = make_template(requirements=BOTH, penalties=[penalty("pass", "labs"), penalty("labs", course=None)])

    rows = BadgePenalty.objects.filter(template=template)
    assert sorted((sorted(one.key for one in row.requirements.all()), row.rules.count()) for row in rows) == [
        (["labs"], 1),
        (["labs", "pass"], 2),
    ]
    save_template({**export_template(template), "penalties": []}, now=NOON)

    assert [row.template for row in BadgePenalty.objects.all()] == [other]
    assert (PenaltyRequirement.objects.count(), PenaltyDataRule.objects.count()) == (1, 2)
    assert set(BadgeRequirement.objects.filter(may_be_reset=True, template=template).values_list("key", flat=True)) == {
        "labs",
        "pass",
    }, "times may be stored"


def test_rows_that_were_changed_by_hand_are_written_again():
    template = make_template(requirements=BOTH, penalties=[penalty("pass")])
    before = export_template(template)
    PenaltyDataRule.objects.all().delete()
    BadgeRequirement.objects.update(may_be_reset=False)

    (rebuilt,) = editing.rebuild(author=None, now=NOON)

    assert {change.path for change in rebuilt.changes} == {"penalties", "requirements[pass].may_be_reset"}
    assert export_template(template) == before
    assert PenaltyDataRule.objects.count() == 2
    assert BadgeRequirement.objects.get(key="pass").may_be_reset
    assert editing.rebuild(author=None, now=NOON) == []


def test_a_compiled_template_hands_out_its_penalties_with_the_rows_that_they_reset():
    fails = {"is_passing": False, "course": {"course_key": "course-v1:Demo+Algebra+2026"}}
    template = make_template(requirements=BOTH, penalties=[penalty("pass", "labs")])
    ids = dict(BadgeRequirement.objects.filter(template=template).values_list("key", "id"))

    (found,) = snapshot.current().matching(PASSING_STATUS, fails)
    (draft,) = compile_draft(export_template(template)).matching(PASSING_STATUS, fails)

    assert isinstance(found, Penalty)
    assert isinstance(draft, Penalty)
    assert (found.keys, found.requirement_ids) == (("labs", "pass"), (ids["labs"], ids["pass"]))
    assert (draft.keys, draft.requirement_ids) == (("labs", "pass"), ())
    assert found.template.may_be_reset == set(ids.values())
