"""
Loaded renderers: a process reads templates and fonts once, and again only when something has changed.

A renderer fits as long as three things are the same: the generator, the options, and the newest version of every asset
that it read. One statement for each batch finds that out. Threads share a renderer. One that is outdated, or was not
used lately, is closed when the last thread has released it.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from django.db.models import Max

from badges.exceptions import Permanent
from credentials_config import options as option_documents
from credentials_config import registry
from credentials_config.contracts import JSON, GenerationError, Renderer
from credentials_config.models import CredentialAsset, CredentialConfiguration
from credentials_config.models.asset import StoredAssets

# A process that serves many configurations keeps those that it used last.
CACHE_SIZE = 8


def options_of(configuration: CredentialConfiguration) -> dict[str, JSON]:
    """Return the options that apply: the configuration's, merged over those of its type."""
    return option_documents.merge(configuration.credential_type.options, configuration.options)


def renderer_for(configuration: CredentialConfiguration) -> AbstractContextManager[Renderer]:
    """
    Return a context manager: a renderer for the documents of a configuration, while it is open.

    Opening it raises GenerationError (a broken template, a missing font) or Permanent (no such generator), with the
    remedy.
    """
    return renderer_with(configuration.credential_type.generator, options_of(configuration))


@contextmanager
def renderer_with(generator: str, options: dict[str, JSON]) -> Iterator[Renderer]:
    """Provide a renderer of this generator with these options, while the context is open."""
    cached = _acquire(generator, options)
    try:
        yield cached.renderer
    finally:
        _release(cached)


def close_all() -> None:
    """Close all renderers, or let their last user close them."""
    with _lock:
        while _cache:
            _retire(_cache.popitem()[1])


@dataclass(slots=True)
class _CachedRenderer:
    renderer: Renderer
    # The version of each asset that it read, by slug; None: there was none.
    versions: dict[str, int | None]
    users: int = 0
    outdated: bool = False


def _acquire(generator: str, options: dict[str, JSON]) -> _CachedRenderer:
    key = json.dumps([generator, options], sort_keys=True, default=str)
    with _lock:
        cached = _cache.get(key)
        if cached is None or cached.versions != _newest_versions(cached.versions):
            if cached is not None:
                _retire(_cache.pop(key))
            cached = _cache[key] = _load(generator, options)
            while len(_cache) > CACHE_SIZE:
                _retire(_cache.popitem(last=False)[1])
        _cache.move_to_end(key)
        cached.users += 1
        return cached


def _retire(cached: _CachedRenderer) -> None:
    cached.outdated = True
    _close_if_unused(cached)


def _release(cached: _CachedRenderer) -> None:
    with _lock:
        cached.users -= 1
        _close_if_unused(cached)


def _close_if_unused(cached: _CachedRenderer) -> None:
    if cached.outdated and not cached.users:
        cached.renderer.close()


class _RecordedAssets:
    """The stored assets. It records the slugs that were asked for, whether they were found or not."""

    def __init__(self) -> None:
        self._assets = StoredAssets()
        self.slugs: set[str] = set()

    def read(self, slug: str) -> bytes:
        self.slugs.add(slug)
        return self._assets.read(slug)

    def file_name(self, slug: str) -> str:
        self.slugs.add(slug)
        return self._assets.file_name(slug)

    def version(self, slug: str) -> int:
        self.slugs.add(slug)
        return self._assets.version(slug)

    def versions(self) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for slug in self.slugs:
            try:
                found[slug] = self._assets.version(slug)
            except GenerationError:
                found[slug] = None
        return found


_lock = threading.Lock()
_cache: OrderedDict[str, _CachedRenderer] = OrderedDict()


def _load(slug: str, options: dict[str, JSON]) -> _CachedRenderer:
    generator = registry.generator(slug)
    findings = generator.clean_options(options)
    if findings:
        raise Permanent("The options cannot be used: " + "; ".join(map(str, findings)))
    assets = _RecordedAssets()
    return _CachedRenderer(generator.create_renderer(options, assets), assets.versions())


def _newest_versions(versions: dict[str, int | None]) -> dict[str, int | None]:
    if not versions:
        return versions
    rows = (
        CredentialAsset.objects.filter(slug__in=list(versions))
        .order_by()
        .values("slug")
        .annotate(newest=Max("version"))
    )
    newest = {row["slug"]: row["newest"] for row in rows}
    return {slug: newest.get(slug) for slug in versions}
