"""Use a share of one processor until the process is killed: ``python -m benchmarks.burning 0.4``."""

from __future__ import annotations

import sys
import time

SLICE = 0.005


def main() -> None:
    share = min(float(sys.argv[1]), 1.0)
    while True:
        ends_at = time.thread_time() + SLICE
        while time.thread_time() < ends_at:
            pass
        time.sleep(SLICE * (1 - share) / share)


if __name__ == "__main__":
    main()
