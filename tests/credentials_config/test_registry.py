"""Finding plug-ins, also when one of them is broken."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from badges.exceptions import Permanent
from credentials_config import registry

PLUGIN = """
from credentials_config.contracts import Processor

class Good(Processor):
    slug = "good_one"
    title = "Good"
    def supports(self, context_key): return True
    def clean_options(self, options): return []
    def people(self, context_key, options): return iter(())
    def retrieve(self, context_key, options, learners=None): return {}

class OtherName(Good):
    slug = "another"

class Stranger:
    slug = "stranger"
"""
ENTRY_POINTS = """[credentials_config.processors]
good_one = lms_test_plugin:Good
broken_import = lms_test_plugin_missing:Gone
stranger = lms_test_plugin:Stranger
half = lms_test_plugin:OtherName
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a distribution with good and broken plug-ins."""
    (tmp_path / "lms_test_plugin.py").write_text(PLUGIN)
    meta = tmp_path / "lms_test_plugin-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: lms-test-plugin\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.clear_cache()
    yield
    registry.clear_cache()
    sys.modules.pop("lms_test_plugin", None)


def test_the_shipped_processors_are_found_by_their_slugs():
    assert {"badge_holders", "completions", "completions_and_grades", "csv_list", "subsection_grades"} <= set(
        registry.processors()
    )
    assert "pdf" in registry.generators()


def test_each_is_made_once():
    assert registry.processor("completions") is registry.processor("completions")


def test_an_unknown_slug_names_what_there_is_and_the_remedy():
    with pytest.raises(Permanent, match=r"No processor 'completion' is installed \(installed: .*completions.*Install"):
        registry.processor("completion")
    with pytest.raises(Permanent, match="No generator 'docx' is installed"):
        registry.generator("docx")


@pytest.mark.parametrize(
    ("slug", "why"),
    [
        ("broken_import", "cannot be loaded .ModuleNotFoundError"),
        ("stranger", "is no credentials_config.contracts.Processor"),
        ("half", "calls itself 'another'"),
    ],
)
def test_a_broken_plugin_is_named_with_the_remedy(installed, slug, why):
    with pytest.raises(Permanent, match=why) as raised:
        registry.processor(slug)

    assert repr(slug) in str(raised.value)
    assert "Repair or remove the package that brings 'lms_test_plugin" in str(raised.value)


def test_broken_plugins_do_not_stop_the_others(installed):
    found = registry.processors()

    assert {"good_one", "completions"} <= set(found)
    assert not {"broken_import", "stranger", "half"} & set(found)


def test_a_plugin_can_be_registered_in_this_process(installed):
    class Mine(type(registry.processor("good_one"))):
        slug = "completions"

    mine = Mine()
    registry.register(mine)
    try:
        assert registry.processor("completions") is mine
    finally:
        registry.unregister(mine)
    assert registry.processor("completions") is not mine
