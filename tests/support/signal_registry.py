"""Public signals of another package, for one test: the registry of openedx-events is global to the process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from openedx_events.tooling import OpenEdxPublicSignal

from badges.catalog import event_types

ACME = "tests.support.acme_signals"


@contextmanager
def acme_signals() -> Iterator[str]:
    """Return the name of a module with signals that nobody has imported. Restore the registry afterwards."""
    event_types.load_signals()  # so that those of openedx-events are not taken for the other package's
    mapping, instances = dict(OpenEdxPublicSignal._mapping), list(OpenEdxPublicSignal.instances)
    sys.modules.pop(ACME, None)
    try:
        yield ACME
    finally:
        sys.modules.pop(ACME, None)
        OpenEdxPublicSignal._mapping.clear()
        OpenEdxPublicSignal._mapping.update(mapping)
        OpenEdxPublicSignal.instances[:] = instances
