"""
Run a command of a checkout with a monotonic clock that stands still, so that no batch is cut short by its time.

Run by path in the folder of any checkout. A tool that watches every instruction makes a process many times slower;
batches that time cuts short would be smaller then, and an event would cost more.
"""

from __future__ import annotations

import os
import sys
import time

if __name__ == "__main__":
    time.monotonic = lambda: 0.0
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
    sys.path.insert(0, os.getcwd())
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
