"""
Run as a process: request codes that cannot exist, from one address, and print the status of each response.

The arguments are the number of requests and the moment of all of them, so that all processes ask in one minute.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import django
from django.test import Client

from badges.common import client_limits


def main() -> None:
    django.setup()
    client_limits.time = SimpleNamespace(time=lambda: float(sys.argv[2]))  # type: ignore[assignment]
    client = Client(REMOTE_ADDR="203.0.113.9")
    for number in range(int(sys.argv[1])):
        print(client.get(f"/credentials/verify/{number}").status_code)


if __name__ == "__main__":
    main()
