"""What the page "Give XP and streak badges" says is what happens."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from badges import api
from badges.checks import check_config, check_engagement
from badges.engagement.models import Activity
from badges.rules import parse_criteria
from tests.factories import UserFactory, make_template
from tests.support.documented_code import code_blocks

PAGE = "how-tos/give-xp"


def block_with(text: str) -> str:
    (found,) = [block for block in code_blocks(PAGE, "python") if text in block]
    return found


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Install the package of the page."""
    (described,) = code_blocks(PAGE, "toml")
    project = tomllib.loads(described)["project"]
    (tmp_path / "acme_badges.py").write_text(block_with("# acme_badges.py"))
    info = tmp_path / "acme_badges-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    ((group, points),) = project["entry-points"].items()
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *(f"{a} = {b}" for a, b in points.items())]))
    return tmp_path


def run(package: Path, *arguments: str) -> str:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, *arguments],
        env={"PYTHONPATH": f"{root}:{package}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_the_package_of_the_page_brings_a_condition(package: Path) -> None:
    code = (
        "from badges.rules import EngagementStats, badge_condition_slugs, meets_badge_condition as meets\n"
        "print(badge_condition_slugs()[-1])\n"
        "for cards in (2, 3):\n"
        "    print(meets('bookworm', EngagementStats(0, {'flashcards': cards}, 0, 2)))\n"
    )
    assert run(package, "-c", code).split() == ["bookworm", "False", "True"]


def test_the_session_of_the_page_prints_what_is_written(package: Path) -> None:
    session = package / "session.txt"
    session.write_text("\n".join(code_blocks(PAGE, "pycon")))
    assert "Test passed." in run(package, "-m", "doctest", "-v", str(session))


def test_a_condition_that_is_registered_in_code_is_there(package: Path) -> None:
    code = (
        block_with("@badge_condition")
        + "\nfrom badges.rules import badge_condition_slugs\nprint(*badge_condition_slugs())"
    )
    assert "three_hundred_xp" in run(package, "-c", code).split()


@pytest.mark.django_db
def test_code_of_the_host_records_an_activity(settings: object) -> None:
    namespace: dict[str, object] = {}
    exec(block_with("def finish_essay"), namespace)
    make_template(slug="getting_started", requirements=[])
    user = UserFactory()
    assert namespace["finish_essay"](user, "essay-7") == ["getting_started"]  # type: ignore[operator]
    assert Activity.objects.get().kind == "essay"
    assert api.engagement_of(user).total_xp == 0


@pytest.mark.parametrize("text", ['"essay": {"xp": 200}', '"xp": {"course": {"xp": 30}}'])
def test_the_settings_of_the_page_are_valid(settings, text: str) -> None:
    namespace: dict[str, object] = {}
    exec(block_with(text), namespace)
    settings.LMS_BADGES_CONFIG = namespace["LMS_BADGES_CONFIG"]
    assert check_config() == check_engagement() == []


def test_the_criteria_of_the_page_are_valid() -> None:
    (document,) = [block for block in code_blocks(PAGE, "json") if "$stat" in block]
    assert parse_criteria(json.loads(document)).figures == {"xp", "activities.quiz"}
