"""Write the rows of badge templates again, as their revisions say, after somebody changed rows by hand."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from tqdm import tqdm

from badges.catalog import editing
from badges.models import BadgeTemplate


class Command(BaseCommand):
    """``badges_rebuild_catalog [--plan]``."""

    help = (
        "Write the rows of badge templates (requirements, data rules, issuers) again, as the current revisions say. "
        "A template without a revision gets its first revision from its rows. Nothing is awarded or revoked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--plan", action="store_true", help="print what differs, and change nothing")

    def handle(self, *args: Any, plan: bool, **options: Any) -> None:
        with tqdm(total=BadgeTemplate.objects.count(), unit=" templates", disable=None, leave=False) as bar:
            rebuilt = editing.rebuild(author=None, now=timezone.now(), dry_run=plan, progress=bar.update)
        for item in rebuilt:
            self.stdout.write(f"{item.document['slug']}  {item.document['name']}")
            for change in item.changes:
                self.stdout.write(f"          {change}")
        if plan:
            self.stdout.write(f"{len(rebuilt)} templates differ from their revisions. Nothing was changed.")
        else:
            self.stdout.write(f"{len(rebuilt)} templates were rebuilt.")
