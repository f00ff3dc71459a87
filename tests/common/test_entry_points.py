"""Plug-ins of other packages: loaded on first use, and a clear error when one cannot be used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from badges.common.entry_points import EntryPointLoader, installed_names

MODULE = """
class Fruit:
    def __init__(self, slug):
        self.slug = slug

apple, imitation, misnamed = Fruit("apple"), Fruit("plum"), Fruit("quince")
stone = object()

def fig():
    return Fruit("fig")
"""


class FruitError(Exception):
    """A fruit cannot be used."""


@pytest.fixture
def fruits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EntryPointLoader]:
    """Install packages with entry points of the group ``orchard.fruits``; returns a maker of loaders for them."""
    points = {
        "orchard": "plum = orchard_fruits:apple",
        "stall": "apple = stall_fruits:apple\nplum = stall_fruits:imitation\npear = stall_fruits:apple\n"
        "cherry = stall_fruits:misnamed\nstone = stall_fruits:stone\nfig = stall_fruits:fig\n"
        "burnt = stall_fruits_burnt:apple",
        "shop": "pear = shop_fruits:pear",
    }
    for package, lines in points.items():
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[orchard.fruits]\n{lines}\n".replace("orchard_fruits", "orchard"))
    (tmp_path / "stall_fruits.py").write_text(MODULE)
    (tmp_path / "orchard.py").write_text('from stall_fruits import Fruit\napple = Fruit("plum")\n')
    (tmp_path / "stall_fruits_burnt.py").write_text(
        "import stall_fruits\n"
        "stall_fruits.times_burnt = getattr(stall_fruits, 'times_burnt', 0) + 1\n"
        "raise ZeroDivisionError('a secret of the stall')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("stall_fruits", "stall_fruits_burnt", "orchard"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def make(**options) -> EntryPointLoader:
        kind = importlib.import_module("stall_fruits").Fruit
        return EntryPointLoader(
            "orchard.fruits", noun="fruit", kind=kind, error=FruitError, remedy="eat something else", **options
        )

    return make


def test_names_are_listed_without_loading_anything(fruits):
    loader = fruits(built_in={"kiwi": object()})

    assert loader.names() == ["kiwi", "apple", "burnt", "cherry", "fig", "pear", "plum", "stone"]
    assert installed_names("orchard.fruits") == loader.names()[1:]
    assert "stall_fruits_burnt" not in sys.modules


def test_a_plug_in_is_loaded_once(fruits):
    loader = fruits(instantiate=True)

    assert loader.get("fig").slug == "fig"
    assert loader.get("fig") is loader.get("fig")


def test_a_missing_plug_in_is_named_with_what_is_installed_and_both_remedies(fruits):
    with pytest.raises(FruitError) as raised:
        fruits().get("melon")

    assert str(raised.value) == (
        "No fruit 'melon' is installed (installed: apple, burnt, cherry, fig, pear, plum, stone). "
        "Install the package that brings it (entry point group orchard.fruits) and restart, or eat something else."
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("burnt", "burnt = stall_fruits_burnt:apple of orchard.fruits cannot be loaded (ZeroDivisionError)."),
        ("stone", "stone = stall_fruits:stone of orchard.fruits is no stall_fruits.Fruit but a object."),
        ("cherry", "cherry = stall_fruits:misnamed of orchard.fruits calls itself 'quince'."),
    ],
)
def test_a_broken_plug_in_is_named_with_its_entry_point_and_the_remedy(fruits, name, message):
    with pytest.raises(FruitError) as raised:
        fruits().get(name)

    remedy = f"Repair or remove the package that brings {message.split()[2]!r}, and restart."
    assert str(raised.value) == f"The fruit {name!r}: the entry point {message} {remedy}"


def test_a_broken_plug_in_is_imported_once(fruits):
    loader = fruits()
    for _ in range(3):
        with pytest.raises(FruitError, match="ZeroDivisionError"):
            loader.get("burnt")

    assert sys.modules["stall_fruits"].times_burnt == 1


def test_two_packages_that_bring_one_name_are_refused(fruits):
    with pytest.raises(FruitError) as raised:
        fruits().get("pear")

    assert str(raised.value) == (
        "The fruit 'pear' is brought by several entry points of orchard.fruits: shop_fruits:pear, stall_fruits:apple; "
        "uninstall all but one of their packages, and restart."
    )


def test_the_owner_of_a_group_keeps_its_names(fruits):
    assert fruits().get("plum") is sys.modules["orchard"].apple


def test_a_built_in_plug_in_cannot_be_replaced_by_an_entry_point(fruits):
    own = object()
    loader = fruits(built_in={"apple": own})

    assert loader.get("apple") is own
    assert loader.names().count("apple") == 1


def test_a_plug_in_can_be_registered_in_this_process_for_a_while(fruits):
    loader, own = fruits(), object()
    loader.register("apple", own)

    assert loader.get("apple") is own

    loader.unregister("apple")
    assert loader.get("apple") is sys.modules["stall_fruits"].apple
