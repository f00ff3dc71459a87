"""
Run a command of a checkout and print the processor seconds that it took for events, without its start.

Run by path in the folder of any checkout, also one that does not have this file. ``consume_badge_events`` freezes what
it has loaded right before its first event, so that is where the time begins; it unfreezes after the last one.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable

PRINTED = "processor seconds:"


def _timed(freeze: Callable[[], None], unfreeze: Callable[[], None]) -> tuple[Callable[[], None], Callable[[], None]]:
    began = 0.0

    def begin() -> None:
        nonlocal began
        freeze()
        began = time.process_time()

    def end() -> None:
        sys.stdout.write(f"{PRINTED} {time.process_time() - began}\n")
        unfreeze()

    return begin, end


if __name__ == "__main__":
    gc.freeze, gc.unfreeze = _timed(gc.freeze, gc.unfreeze)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
    sys.path.insert(0, os.getcwd())
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
