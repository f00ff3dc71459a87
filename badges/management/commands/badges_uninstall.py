"""Take the plugin's tables, permissions, tasks and files out of the host, before ``pip uninstall``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from badges.management import uninstall


class Command(BaseCommand):
    """``badges_uninstall --plan|--apply``."""

    help = (
        "Remove everything that this plugin has in the host: the tables of both apps, stored files, periodic tasks, "
        "permissions, content types, entries of the admin's log, records of migrations. Badges at providers stay. "
        "Stop consumers, workers and beat before."
    )
    # What is broken must be removable too.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--plan", action="store_true", help="count what would be removed; change nothing")
        what.add_argument("--apply", action="store_true", help="remove it; it cannot be brought back")

    def handle(self, *args: Any, apply: bool, **options: Any) -> None:
        found = uninstall.plan()
        if not found:
            self.stdout.write("There is nothing of the plugin in this host.")
            return
        for item in found:
            self.stdout.write(f"{item.count:>12}  {item.what}")
        if not apply:
            self.stdout.write(
                "Nothing was removed yet. Make a backup, stop consumers, workers and beat; next: "
                "manage.py badges_uninstall --apply"
            )
            return
        try:
            with tqdm(unit=" files", disable=None, leave=False) as bar:
                uninstall.apply(on_file=bar.update)
        except uninstall.UninstallError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            "Removed. Next: pip uninstall lms-badges, and take its settings out of the host's; "
            "manage.py migrate would make the tables again before that."
        )
        if uninstall.has_beat_tables() and not uninstall.has_foreign_tasks():
            self.stdout.write(
                "The tables of django-celery-beat hold no task of anybody else. If the host does not use it: "
                "manage.py migrate django_celery_beat zero"
            )
