"""
What the servers need on this machine: ``python -m tests.services packages|fetch [--without NAME]…``.

``packages`` prints the names of Debian packages; ``fetch`` downloads what does not come from Debian.
"""

from __future__ import annotations

import argparse
import sys

from tests.services import ALL, ServiceUnavailable, chromium
from tests.services.maven import GOALS, fetched

parser = argparse.ArgumentParser(prog="python -m tests.services", description=__doc__)
parser.add_argument("what", choices=["packages", "fetch"])
parser.add_argument(
    "--without", action="append", default=[], choices=[*ALL, chromium.NAME], help="a service to leave out"
)
arguments = parser.parse_args()
wanted = [service for name, service in ALL.items() if name not in arguments.without]

if arguments.what == "packages":
    packages = [package for service in wanted for package in service.packages.split()]
    if chromium.NAME not in arguments.without:
        packages += chromium.PACKAGES.split()
    print(*dict.fromkeys(packages))
else:
    try:
        for service in wanted:
            if service.name in GOALS:
                fetched(service.name)
        if chromium.NAME not in arguments.without:
            fetched("axe")
    except ServiceUnavailable as error:
        sys.exit(str(error))
