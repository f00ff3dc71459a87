"""Copy badge templates and event types between environments: plan or apply a pack, or export one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone
from tqdm import tqdm

from badges.catalog import pack_files, packs
from badges.catalog.documents import DocumentError
from badges.catalog.editing import Outcome, SaveResult
from badges.catalog.own_event_types import EventTypeInUseError, EventTypeResult
from badges.catalog.validation import given_by_people_only
from badges.issuers.cautions import cautions_of

_SIGNS = {Outcome.CREATED: "create", Outcome.UPDATED: "update"}


class Command(BaseCommand):
    """``badges_pack plan|apply|export FILE``."""

    help = (
        "Plan or apply a pack of badge templates and event types, or export those of this site as one. "
        "FILE ends in .json, .yaml or .yml, or is the name of a pack that ships: engagement. What is not in a pack "
        "stays as it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action",
            choices=["plan", "apply", "export"],
            help="plan: print what apply would change; apply: change it, all or nothing; export: write FILE",
        )
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument(
            "--accept-broken-templates",
            action="store_true",
            dest="accept_broken",
            help="apply: change event types although active templates outside of the pack can no longer be earned then",
        )

    def handle(self, *args: Any, action: str, file: Path, **options: Any) -> None:
        self._accept_broken: bool = options["accept_broken"]
        try:
            {"plan": self.plan, "apply": self.apply, "export": self.export}[action](file)
        except EventTypeInUseError as error:
            remedy = "Add the templates to the pack, or give --accept-broken-templates."
            raise CommandError(f"{file}: nothing was changed.\n{error}\n{remedy}") from error
        except DocumentError as error:
            many = f"{len(error.problems)} problems" if len(error.problems) > 1 else "one problem"
            raise CommandError(f"{file}: {many}; nothing was changed.\n{error}") from error
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from error
        except DatabaseError as error:
            raise CommandError(
                f"The database: {error}. Nothing was changed; is it migrated (manage.py migrate)?"
            ) from error

    def plan(self, file: Path) -> None:
        """Print what applying a pack would do."""
        pack = pack_files.read_file(pack_files.shipped_pack(str(file)) or file)
        with _bar(pack) as bar:
            planned = packs.plan(pack, progress=bar.update)
        for item in planned:
            self._describe(item)
        counts = [sum(item.outcome is outcome for item in planned) for outcome in Outcome]
        self.stdout.write("{} to create, {} to update, {} unchanged.".format(*counts))
        if counts[0] or counts[1]:
            self.stdout.write(f"Nothing was changed yet; next: manage.py badges_pack apply {file}")

    def apply(self, file: Path) -> None:
        """Apply a pack."""
        pack = pack_files.read_file(pack_files.shipped_pack(str(file)) or file)
        with _bar(pack) as bar:
            saved = packs.apply(pack, now=timezone.now(), progress=bar.update, accept_broken=self._accept_broken)
        counts = [sum(item.outcome is outcome for item in saved) for outcome in Outcome]
        self.stdout.write("{} created, {} updated, {} unchanged.".format(*counts))
        if counts[0] or counts[1]:
            self.stdout.write("Every process uses them from its next batch of events on.")

    def export(self, file: Path) -> None:
        """Write the templates of this site."""
        with tqdm(unit=" templates", disable=None, leave=False) as bar:
            pack = packs.export(progress=bar.update)
        pack_files.write_file(file, pack)
        own = f" and {len(pack['event_types'])} event types" if "event_types" in pack else ""
        self.stdout.write(f"{len(pack['templates'])} templates{own} written to {file}.")

    def _describe(self, item: EventTypeResult | SaveResult) -> None:
        sign = _SIGNS.get(item.outcome)
        if sign is None:
            return
        if isinstance(item, SaveResult):
            self.stdout.write(f"{sign}  {item.document['slug']}  {item.document['name']}")
            if given_by_people_only(item.document):
                self.stdout.write("          only people give it: no requirement, no criteria, no badge condition")
            for caution in cautions_of(item.document):
                self.stdout.write(f"          warning: {caution}")
        else:
            self.stdout.write(f"{sign}  event type {item.document['name']}")
        for change in item.changes:
            self.stdout.write(f"          {change}")
        for broken in getattr(item, "broken", ()):
            self.stdout.write(f"          can no longer be earned: {broken}")


def _bar(pack: Any) -> Any:
    """Return a progress bar, which only terminals show. Each template counts twice: read, then compared or written."""
    templates = pack.get("templates") if isinstance(pack, dict) else None
    total = 2 * len(templates) if isinstance(templates, list) else None
    return tqdm(total=total, unit=" steps", disable=None, leave=False)
