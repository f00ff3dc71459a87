"""
Plug-ins that packages bring as entry points: finding them by name, and loading them on first use.

An entry point is a line of a package's metadata (https://packaging.python.org/en/latest/specifications/entry-points/).
Nothing is loaded before somebody asks for it by name. So a broken plug-in costs what needs it, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

log = logging.getLogger(__name__)

Plugin = TypeVar("Plugin")


def installed_names(group: str) -> list[str]:
    """Return the names of the entry points of a group, sorted. Loads none of them."""
    return sorted(entry_points(group=group).names)


class EntryPointLoader(Generic[Plugin]):
    """
    The plug-ins of one entry point group.

    - ``group``: such as ``badges.issuers``. The package that it begins with owns the group: an entry point of another
      package cannot take a name that the owner uses.
    - ``noun``: what messages call a plug-in of this group, such as ``issuer``.
    - ``kind``: the class that plug-ins are instances of; ``kind_name`` is the name that messages give it.
    - ``error``: makes the exception that is raised, from a message that names the entry point and the remedy.
    - ``remedy``: how to go on without the package that is missing, as the end of a sentence.
    - ``instantiate``: the entry points name classes, and the plug-in is an instance. It is made once.
    - ``built_in``: plug-ins that need no entry point. No entry point can take their names.

    What was found and loaded is kept until ``clear``. This includes failures: a broken package is imported once.
    """

    def __init__(
        self,
        group: str,
        *,
        noun: str,
        kind: type[Any],
        kind_name: str = "",
        error: Callable[[str], Exception],
        remedy: str,
        instantiate: bool = False,
        built_in: Mapping[str, Plugin] | None = None,
    ) -> None:
        self.group = group
        self._noun = noun
        self._kind = kind
        self._kind_name = kind_name or f"{kind.__module__}.{kind.__qualname__}"
        self._error = error
        self._remedy = remedy
        self._instantiate = instantiate
        self._built_in = dict(built_in or {})
        self._registered: dict[str, Plugin] = {}
        self._found: dict[str, list[EntryPoint]] | None = None
        self._loaded: dict[str, Plugin] = {}
        self._failed: dict[str, str] = {}

    def names(self) -> list[str]:
        """Return the names of all plug-ins: the built-in ones, then the others, sorted. Loads none of them."""
        others = (self._entry_points().keys() | self._registered.keys()) - self._built_in.keys()
        return [*self._built_in, *sorted(others)]

    def get(self, name: str) -> Plugin:
        """Return the plug-in with this name. Raises the group's error when there is none, or when it does not work."""
        for known in (self._registered, self._built_in, self._loaded):
            if name in known:
                return known[name]
        if name not in self._failed:
            try:
                return self._loaded.setdefault(name, self._load(name))
            except _LoadError as error:
                self._failed[name] = str(error)
                raise self._error(str(error)) from error.__cause__
        raise self._error(self._failed[name])

    def register(self, name: str, plugin: Plugin) -> None:
        """Use this plug-in in this process, before any other of that name."""
        self._registered[name] = plugin

    def unregister(self, name: str) -> None:
        """Undo ``register``."""
        self._registered.pop(name, None)

    def clear(self) -> None:
        """Look again for what is installed. For code that installs a package into a running process, such as a test."""
        self._found = None
        self._loaded.clear()
        self._failed.clear()

    def _entry_points(self) -> dict[str, list[EntryPoint]]:
        if self._found is None:
            found: dict[str, list[EntryPoint]] = {}
            for entry_point in entry_points(group=self.group):
                found.setdefault(entry_point.name, []).append(entry_point)
            self._found = {name: self._own_first(points) for name, points in found.items()}
        return self._found

    def _own_first(self, points: list[EntryPoint]) -> list[EntryPoint]:
        owner = self.group.partition(".")[0]
        return [point for point in points if point.module.partition(".")[0] == owner] or points

    def _load(self, name: str) -> Plugin:
        points = self._entry_points().get(name, [])
        if not points:
            raise _LoadError(
                f"No {self._noun} {name!r} is installed (installed: {', '.join(self.names()) or 'none'}). "
                f"Install the package that brings it (entry point group {self.group}) and restart, or {self._remedy}."
            )
        if len(points) > 1:
            values = ", ".join(sorted(point.value for point in points))
            raise _LoadError(
                f"The {self._noun} {name!r} is brought by several entry points of {self.group}: {values}; "
                "uninstall all but one of their packages, and restart."
            )
        return self._load_entry_point(points[0])

    def _load_entry_point(self, point: EntryPoint) -> Plugin:
        where = f"The {self._noun} {point.name!r}: the entry point {point.name} = {point.value} of {self.group}"
        remedy = f"Repair or remove the package that brings {point.value!r}, and restart."
        try:
            plugin = point.load()
            if self._instantiate:
                plugin = plugin()
        except Exception as error:  # another package's code may fail in any way while it is imported
            log.exception("The %s %r cannot be loaded", self._noun, point.name)
            raise _LoadError(f"{where} cannot be loaded ({type(error).__name__}). {remedy}") from error
        if not isinstance(plugin, self._kind):
            raise _LoadError(f"{where} is no {self._kind_name} but a {type(plugin).__name__}. {remedy}")
        slug = getattr(plugin, "slug", point.name)
        if slug != point.name:
            raise _LoadError(f"{where} calls itself {slug!r}. {remedy}")
        return cast(Plugin, plugin)


class _LoadError(Exception):
    """Why a plug-in cannot be used."""
