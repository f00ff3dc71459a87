"""
Renderers that are loaded: templates and fonts are read once per process, and again only when something changed.

A renderer fits as long as the generator, the options and the newest version of every asset it asked for are the same.
One statement for each batch finds that out. Renderers are lent: threads share them. One that is replaced, or not asked
for any more, is closed when the last thread has given it back.
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

# A process that serves many configurations keeps the last few.
KEPT = 8


def options_of(configuration: CredentialConfiguration) -> dict[str, JSON]:
    """Return the options that hold: the configuration's, laid over those of its type."""
    return option_documents.merge(configuration.credential_type.options, configuration.options)


def renderer_for(configuration: CredentialConfiguration) -> AbstractContextManager[Renderer]:
    """
    Lend a renderer for a configuration's documents, loaded or kept, while the context is open.

    Raises GenerationError (a broken template, a missing font) or Permanent (no such generator), with the remedy.
    """
    return lent(configuration.credential_type.generator, options_of(configuration))


@contextmanager
def lent(generator: str, options: dict[str, JSON]) -> Iterator[Renderer]:
    """Lend a renderer for these options, loaded or kept, while the context is open."""
    kept = _take(generator, options)
    try:
        yield kept.renderer
    finally:
        _give_back(kept)


def forget() -> None:
    """Let go of all renderers."""
    with _lock:
        while _kept:
            _let_go(_kept.popitem()[1])


@dataclass(slots=True)
class _Kept:
    renderer: Renderer
    # The version of each asset that it asked for; None: there was none.
    versions: dict[str, int | None]
    users: int = 0
    outdated: bool = False


def _take(generator: str, options: dict[str, JSON]) -> _Kept:
    key = json.dumps([generator, options], sort_keys=True, default=str)
    with _lock:
        kept = _kept.get(key)
        if kept is None or kept.versions != _newest(kept.versions):
            if kept is not None:
                _let_go(_kept.pop(key))
            kept = _kept[key] = _load(generator, options)
            while len(_kept) > KEPT:
                _let_go(_kept.popitem(last=False)[1])
        _kept.move_to_end(key)
        kept.users += 1
        return kept


def _let_go(kept: _Kept) -> None:
    kept.outdated = True
    _close_if_free(kept)


def _give_back(kept: _Kept) -> None:
    with _lock:
        kept.users -= 1
        _close_if_free(kept)


def _close_if_free(kept: _Kept) -> None:
    if kept.outdated and not kept.users:
        kept.renderer.close()


class _NotedAssets:
    """The stored assets, with a note of those that were asked for, found or not."""

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
_kept: OrderedDict[str, _Kept] = OrderedDict()


def _load(slug: str, options: dict[str, JSON]) -> _Kept:
    generator = registry.generator(slug)
    findings = generator.clean_options(options)
    if findings:
        raise Permanent("The options cannot be used: " + "; ".join(map(str, findings)))
    assets = _NotedAssets()
    return _Kept(generator.create_renderer(options, assets), assets.versions())


def _newest(versions: dict[str, int | None]) -> dict[str, int | None]:
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
