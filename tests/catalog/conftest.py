"""What tests of the catalog share."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from openedx_events.tooling import OpenEdxPublicSignal

from badges.catalog import event_types

ACME = "tests.catalog.acme_signals"


@pytest.fixture
def acme(settings) -> Iterator[str]:
    """Name the module of another package's signals, which nobody imported yet; the registry of signals is global."""
    event_types.load_signals()  # so that those of openedx-events are not taken for the other package's
    mapping, instances = dict(OpenEdxPublicSignal._mapping), list(OpenEdxPublicSignal.instances)
    sys.modules.pop(ACME, None)
    yield ACME
    sys.modules.pop(ACME, None)
    OpenEdxPublicSignal._mapping.clear()
    OpenEdxPublicSignal._mapping.update(mapping)
    OpenEdxPublicSignal.instances[:] = instances
