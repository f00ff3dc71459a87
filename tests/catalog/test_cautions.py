"""Templates that nobody can earn, or more people than meant, are saved with a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

from badges.catalog.validation import read_template
from badges.conf import PASSING_STATUS
from badges.issuers.cautions import cautions_of
from tests.factories import credly_issuer, make_template, penalty, requirement, rule, template_entry

pytestmark = pytest.mark.django_db

PASSED = rule("is_passing", "eq", True)
COURSE = "course-v1:Palombia+Nests+2026"


def cautions_about(**given: Any) -> list[str]:
    document, problems = read_template(template_entry(**given))
    assert document is not None, problems
    return [str(caution) for caution in cautions_of(document)]


def test_a_template_that_means_what_it_says_has_none() -> None:
    rules = [PASSED, rule("course.course_key", "in", [COURSE])]
    assert cautions_about(requirements=[requirement("a", rules=rules)]) == []


def test_rules_that_contradict_each_other_are_warned_of() -> None:
    other = "course-v1:Palombia+Tails+2026"
    rules = [PASSED, rule("course.course_key", "eq", COURSE), rule("course.course_key", "eq", other)]
    assert cautions_about(requirements=[requirement("a", rules=[PASSED]), requirement("b", rules=rules)]) == [
        "requirements[1].rules: no event can satisfy all rules about course.course_key; they contradict each other"
    ]


def test_a_course_key_that_is_none_is_warned_of() -> None:
    rules = [PASSED, rule("course.course_key", "in", [COURSE, "Palombia Nests"])]
    assert cautions_about(requirements=[requirement("a", rules=rules)]) == [
        "requirements[0].rules[1].value: Palombia Nests is no course key, such as course-v1:Org+Course+Run, "
        "so no event has it"
    ]


def test_a_requirement_or_penalty_that_takes_passing_and_failing_is_warned_of() -> None:
    found = cautions_about(
        requirements=[requirement("a", rules=[])], penalties=[penalty("a", event_type=PASSING_STATUS, rules=[])]
    )
    assert [text.partition(": no rule asks for is_passing")[0] for text in found] == [
        "requirements[0].rules",
        "penalties[0].rules",
    ]


def test_an_organization_that_nobody_has_entered_is_warned_of(settings: Any) -> None:
    known = "0e0e0e0e-0000-4000-8000-00000000000a"
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "credly": {"ORGANIZATIONS": {known: "token"}}}
    demanded = [requirement("a", rules=[PASSED])]
    assert cautions_about(requirements=demanded, issuers=[credly_issuer(known.upper())]) == []
    other = "0e0e0e0e-0000-4000-8000-00000000000b"
    assert cautions_about(requirements=demanded, issuers=[credly_issuer(other)]) == [
        "issuers[0].organization: no organization of credly has this id here; add it, or correct the id"
    ]


def test_the_plan_of_a_pack_says_it(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "pack.json"
    file.write_text(json.dumps({"pack": 1, "templates": [template_entry(requirements=[requirement("a", rules=[])])]}))
    call_command("badges_pack", "plan", str(file))
    assert "warning: requirements[0].rules: no rule asks for is_passing" in capsys.readouterr().out


def test_the_page_of_a_template_says_it(admin_client: Any) -> None:
    template = make_template("nest", requirement("a", rules=[]))
    address = reverse("admin:lms_badges_badgetemplate_change", args=[template.pk])
    assert admin_client.get(address).content.decode().count("no rule asks for is_passing") == 1
    selected = {"action": "deactivate", "_selected_action": [template.pk]}
    listed = admin_client.post(reverse("admin:lms_badges_badgetemplate_changelist"), selected, follow=True)
    assert "Template nest: requirements[0].rules: no rule asks for is_passing" in listed.content.decode()
