"""
Finding processors and generators by their slug.

Plug-ins are loaded when first asked for. One that is broken or gone gives a ``Permanent`` that names it and the remedy,
for the configurations that use it to show; the others go on.
"""

from __future__ import annotations

import functools
import logging
from importlib.metadata import EntryPoint, entry_points

from badges.exceptions import Permanent
from credentials_config.contracts import (
    JSON,
    Assets,
    Context,
    Document,
    DocumentContext,
    Eligibility,
    GenerationError,
    Generator,
    Options,
    Person,
    Processor,
    Renderer,
)

__all__ = [
    "JSON",
    "Assets",
    "Context",
    "Document",
    "DocumentContext",
    "Eligibility",
    "GenerationError",
    "Generator",
    "Options",
    "Person",
    "Processor",
    "Renderer",
    "generator",
    "generators",
    "processor",
    "processors",
    "register",
    "unregister",
]

log = logging.getLogger(__name__)

PROCESSORS = "credentials_config.processors"
GENERATORS = "credentials_config.generators"

_KINDS: dict[str, type[Processor] | type[Generator]] = {PROCESSORS: Processor, GENERATORS: Generator}
_registered: dict[tuple[str, str], Processor | Generator] = {}


def processor(slug: str) -> Processor:
    """Return the processor with this slug; Permanent, naming the remedy, when there is no working one."""
    found = _get(PROCESSORS, slug)
    assert isinstance(found, Processor)
    return found


def generator(slug: str) -> Generator:
    """Return the generator with this slug; Permanent, naming the remedy, when there is no working one."""
    found = _get(GENERATORS, slug)
    assert isinstance(found, Generator)
    return found


def processors() -> dict[str, Processor]:
    """Return all processors that work, by slug; what is broken is said in the log."""
    return {slug: processor(slug) for slug in _working(PROCESSORS)}


def generators() -> dict[str, Generator]:
    """Return all generators that work, by slug; what is broken is said in the log."""
    return {slug: generator(slug) for slug in _working(GENERATORS)}


def register(plugin: Processor | Generator) -> None:
    """Use this plug-in in this process, before any entry point of its slug."""
    _registered[_group_of(plugin), plugin.slug] = plugin


def unregister(plugin: Processor | Generator) -> None:
    """Undo ``register``."""
    _registered.pop((_group_of(plugin), plugin.slug), None)


def _group_of(plugin: Processor | Generator) -> str:
    return PROCESSORS if isinstance(plugin, Processor) else GENERATORS


def _slugs(group: str) -> list[str]:
    return sorted({*entry_points(group=group).names, *(slug for its, slug in _registered if its == group)})


def _working(group: str) -> list[str]:
    good = []
    for slug in _slugs(group):
        try:
            _get(group, slug)
        except Permanent as error:
            log.error("%s", error)
        else:
            good.append(slug)
    return good


def _get(group: str, slug: str) -> Processor | Generator:
    return _registered.get((group, slug)) or _installed(group, slug)


@functools.cache
def _installed(group: str, slug: str) -> Processor | Generator:
    noun = _noun(group)
    found = entry_points(group=group, name=slug)
    if not found:
        raise Permanent(
            f"No {noun} {slug!r} is installed (installed: {', '.join(_slugs(group)) or 'none'}). "
            f"Install the package that brings it, or choose another {noun} for the credential type."
        )
    return _load(group, next(iter(found)))


def _load(group: str, entry_point: EntryPoint) -> Processor | Generator:
    noun, kind = _noun(group), _KINDS[group]
    remedy = f"Repair or remove the package that brings {entry_point.value!r}."
    try:
        plugin = entry_point.load()()
    except Exception as error:  # a plug-in may fail in any way while it is imported
        log.exception("The %s %r cannot be loaded", noun, entry_point.name)
        raise Permanent(
            f"The {noun} {entry_point.name!r} cannot be loaded ({type(error).__name__}). {remedy}"
        ) from error
    if not isinstance(plugin, kind):
        raise Permanent(f"The {noun} {entry_point.name!r} is no credentials_config.contracts.{kind.__name__}. {remedy}")
    if plugin.slug != entry_point.name:
        raise Permanent(f"The {noun} {entry_point.name!r} calls itself {plugin.slug!r}. {remedy}")
    return plugin


def _noun(group: str) -> str:
    return "processor" if group == PROCESSORS else "generator"
