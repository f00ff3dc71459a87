"""``badges_pack`` as an operator uses it."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from badges.catalog.models import BadgeTemplate
from badges.conf import PASSING_STATUS
from tests.factories import make_template, requirement, template_entry

pytestmark = pytest.mark.django_db

DEMO_PACK = Path(__file__).parents[2] / "service/demo/pack.json"


def badges_pack(*arguments: object) -> str:
    out = StringIO()
    call_command("badges_pack", *map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.fixture
def pack(tmp_path) -> Path:
    path = tmp_path / "pack.json"
    entries = [template_entry(slug="marsu", name="Marsu"), template_entry(slug="pilami", name="代数")]
    path.write_text(json.dumps({"pack": 1, "templates": entries}), encoding="utf-8")
    return path


def test_plan_lists_what_apply_would_do_and_what_to_do_next(pack):
    make_template(slug="marsu", name="Old")
    assert badges_pack("plan", pack).splitlines() == [
        "update  marsu  Marsu",
        '          name: "Old" → "Marsu"',
        "create  pilami  代数",
        "1 to create, 1 to update, 0 unchanged.",
        f"Nothing was changed yet; next: manage.py badges_pack apply {pack}",
    ]
    assert BadgeTemplate.objects.count() == 1


def test_apply_twice_says_the_second_time_that_nothing_was_left_to_do(pack):
    assert "2 created, 0 updated, 0 unchanged." in badges_pack("apply", pack)
    assert badges_pack("apply", pack) == "0 created, 0 updated, 2 unchanged.\n"
    assert badges_pack("plan", pack) == "0 to create, 0 to update, 2 unchanged.\n"


@pytest.mark.parametrize("name", ["out.json", "out.yaml"])
def test_an_export_plans_to_nothing(pack, name):
    badges_pack("apply", pack)
    out = pack.with_name(name)
    assert badges_pack("export", out) == f"2 templates written to {out}.\n"
    assert badges_pack("plan", out) == "0 to create, 0 to update, 2 unchanged.\n"


def test_all_problems_are_listed_and_nothing_is_changed(pack):
    entries = [template_entry(slug="a b"), template_entry(requirements=[requirement(event_type="x")])]
    pack.write_text(json.dumps({"pack": 1, "templates": entries}))
    for action in ("plan", "apply"):
        with pytest.raises(CommandError) as refused:
            badges_pack(action, pack)
        first, *rest = str(refused.value).splitlines()
        assert first == f"{pack}: 2 problems; nothing was changed."
        assert [line.partition(":")[0] for line in rest] == [
            "templates[0].slug",
            "templates[1].requirements[0].event_type",
        ]
    assert not BadgeTemplate.objects.exists()


def test_a_file_that_is_not_there_is_an_error_and_no_traceback(tmp_path):
    with pytest.raises(CommandError, match=r"nothing\.json: No such file or directory\."):
        badges_pack("plan", tmp_path / "nothing.json")


def test_the_command_as_a_process_fails_with_a_code(run_manage, tmp_path):
    process = run_manage("badges_pack", "apply", str(tmp_path / "pack.toml"))
    assert process.wait(seconds=60) == 1
    assert "the name must end in .json, .yaml or .yml" in process.output()


def test_the_demo_pack_shows_one_of_everything():
    planned = badges_pack("plan", DEMO_PACK)
    assert "14 to create" in planned
    assert planned.count("only people give it") == 2
    assert "14 created" in badges_pack("apply", DEMO_PACK)
    assert "14 unchanged" in badges_pack("apply", DEMO_PACK)
    live = BadgeTemplate.objects.filter(is_active=True)
    assert live.filter(issuers=None).exists()
    assert live.filter(issuers__provider="credly").exists()
    assert live.filter(name__contains="نجمة").exists()
    assert live.filter(name__contains="天文").exists()
    criteria = live.filter(requirements__key="criteria")
    assert {template.slug for template in criteria} == {"curious-week", "step-by-step", "strong-finish"}
    types = set(live.exclude(pk__in=criteria).values_list("requirements__event_type", flat=True))
    assert types == {PASSING_STATUS, None}  # no setting is needed to see it happen
