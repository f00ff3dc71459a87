"""Plug-ins that are registered for one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from credentials_config import registry
from credentials_config.contracts import Generator, Processor

Plugin = TypeVar("Plugin", bound=Generator | Processor)


@contextmanager
def registered(plugin: Plugin) -> Iterator[Plugin]:
    """Register a plug-in while the context is open."""
    registry.register(plugin)
    try:
        yield plugin
    finally:
        registry.unregister(plugin)
