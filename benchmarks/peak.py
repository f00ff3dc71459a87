"""Run a command of the reference host and print the peak memory of its process."""

from __future__ import annotations

import os
import resource
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
    execute_from_command_line(["manage.py", *sys.argv[1:]])
    sys.stdout.write(f"peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB\n")


if __name__ == "__main__":
    main()
