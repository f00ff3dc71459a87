"""Run as a process: request codes that cannot exist, from one address, and print the status of each response."""

from __future__ import annotations

import sys

import django
from django.test import Client


def main() -> None:
    django.setup()
    client = Client(REMOTE_ADDR="203.0.113.9")
    for number in range(int(sys.argv[1])):
        print(client.get(f"/credentials/verify/{number}").status_code)


if __name__ == "__main__":
    main()
