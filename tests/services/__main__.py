"""
What the servers need on this machine, for scripts: ``python -m tests.services packages|fetch [--without NAME]…``.

``packages`` prints Debian's names, ``fetch`` downloads what does not come from Debian.
"""

from __future__ import annotations

import argparse
import sys

from tests.services import ALL, ServiceUnavailable
from tests.services.maven import GOALS, fetched

parser = argparse.ArgumentParser(prog="python -m tests.services", description=__doc__)
parser.add_argument("what", choices=["packages", "fetch"])
parser.add_argument("--without", action="append", default=[], choices=ALL, help="a service to leave out")
arguments = parser.parse_args()
wanted = [service for name, service in ALL.items() if name not in arguments.without]

if arguments.what == "packages":
    print(*dict.fromkeys(package for service in wanted for package in service.packages.split()))
else:
    try:
        for service in wanted:
            if service.name in GOALS:
                fetched(service.name)
    except ServiceUnavailable as error:
        sys.exit(str(error))
