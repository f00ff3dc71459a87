"""
Presses that are loaded: templates and fonts are read once per process, and again only when something changed.

A press fits as long as the generator, the options and the newest version of every asset it asked for are the same; one
statement a batch finds out.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass

from django.db.models import Max

from badges.exceptions import Permanent
from credentials_config import options as option_documents
from credentials_config import registry
from credentials_config.contracts import JSON, GenerationError, Press
from credentials_config.models import CredentialAsset, CredentialConfiguration
from credentials_config.models.asset import StoredAssets

# A process that serves many configurations keeps the last few.
KEPT = 8


def options_of(configuration: CredentialConfiguration) -> dict[str, JSON]:
    """Return the options that hold: the configuration's, laid over those of its type."""
    return option_documents.merge(configuration.credential_type.options, configuration.options)


def press_for(configuration: CredentialConfiguration) -> Press:
    """
    Return a press for a configuration's documents, loaded or kept.

    Raises GenerationError (a broken template, a missing font) or Permanent (no such generator), with the remedy.
    """
    return press(configuration.credential_type.generator, options_of(configuration))


def press(generator: str, options: dict[str, JSON]) -> Press:
    """Return a press for these options, loaded or kept."""
    key = json.dumps([generator, options], sort_keys=True, default=str)
    with _lock:
        kept = _kept.get(key)
        if kept is not None and kept.versions == _newest(kept.versions):
            _kept.move_to_end(key)
            return kept.press
        if kept is not None:
            del _kept[key]
            kept.press.close()
        made = _load(generator, options)
        _kept[key] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)[1].press.close()
        return made.press


def forget() -> None:
    """Let go of all presses."""
    with _lock:
        while _kept:
            _kept.popitem()[1].press.close()


@dataclass(frozen=True, slots=True)
class _Kept:
    press: Press
    # The version of each asset that it asked for; None: there was none.
    versions: dict[str, int | None]


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
    return _Kept(generator.begin(options, assets), assets.versions())


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
