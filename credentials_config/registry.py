"""
Finding processors and generators by their slug.

Plug-ins are loaded when first asked for. One that is broken or gone gives a ``Permanent`` that names it and the remedy,
for the configurations that use it to show; the others go on.
"""

from __future__ import annotations

import logging
from typing import TypeVar

from badges.common.entry_points import EntryPointLoader
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
    Recipient,
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
    "Recipient",
    "Renderer",
    "generator",
    "generators",
    "processor",
    "processors",
    "register",
    "unregister",
]

log = logging.getLogger(__name__)

Plugin = TypeVar("Plugin", Processor, Generator)

_processors: EntryPointLoader[Processor] = EntryPointLoader(
    "credentials_config.processors",
    noun="processor",
    kind=Processor,
    error=Permanent,
    remedy="choose another processor for the credential type",
    instantiate=True,
)
_generators: EntryPointLoader[Generator] = EntryPointLoader(
    "credentials_config.generators",
    noun="generator",
    kind=Generator,
    error=Permanent,
    remedy="choose another generator for the credential type",
    instantiate=True,
)


def processor(slug: str) -> Processor:
    """Return the processor with this slug. Raises Permanent, which names the remedy, when there is no working one."""
    return _processors.get(slug)


def generator(slug: str) -> Generator:
    """Return the generator with this slug. Raises Permanent, which names the remedy, when there is no working one."""
    return _generators.get(slug)


def processors() -> dict[str, Processor]:
    """Return all processors that work, by slug. The log names those that do not."""
    return _loadable(_processors)


def generators() -> dict[str, Generator]:
    """Return all generators that work, by slug. The log names those that do not."""
    return _loadable(_generators)


def register(plugin: Processor | Generator) -> None:
    """Use this plug-in in this process, before any entry point of its slug."""
    if isinstance(plugin, Processor):
        _processors.register(plugin.slug, plugin)
    else:
        _generators.register(plugin.slug, plugin)


def unregister(plugin: Processor | Generator) -> None:
    """Undo ``register``."""
    if isinstance(plugin, Processor):
        _processors.unregister(plugin.slug)
    else:
        _generators.unregister(plugin.slug)


def clear_cache() -> None:
    """Look again for what is installed. For code that installs a package into a running process, such as a test."""
    _processors.clear()
    _generators.clear()


def _loadable(plugins: EntryPointLoader[Plugin]) -> dict[str, Plugin]:
    found = {}
    for slug in plugins.names():
        try:
            found[slug] = plugins.get(slug)
        except Permanent as error:
            log.error("%s", error)
    return found
