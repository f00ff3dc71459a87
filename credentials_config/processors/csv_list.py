"""Who is on a list that somebody wrote or uploaded."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.exceptions import Permanent
from credentials_config import lms
from credentials_config.contexts import Kind, kind_of
from credentials_config.contracts import Eligibility, GenerationError, Options, Person
from credentials_config.models.asset import StoredAssets
from credentials_config.processors.base import SteppedProcessor

log = logging.getLogger(__name__)

LIST, ASSET = "learners", "learners_asset"
HEADINGS = ("username", "user_id", "lms_user_id", "learner", "id")
BIGGEST = 20 * 1024 * 1024
LONGEST_ID = 18  # digits; nobody has a longer one, and databases hold no number of twenty


@dataclass(frozen=True)
class Roll:
    """The people on a list: digits are an LMS user id, anything else is a username."""

    ids: frozenset[int]
    usernames: frozenset[str]

    def __contains__(self, person: object) -> bool:
        return isinstance(person, Person) and (person.lms_user_id in self.ids or person.username in self.usernames)

    def __len__(self) -> int:
        return len(self.ids) + len(self.usernames)


class CsvList(SteppedProcessor):
    """
    Whoever is on the list; the context says what the credential is for.

    Outside of pathways nobody needs to be enrolled: the list is what counts.
    """

    slug = "csv_list"
    title = gettext_lazy("A list of learners")
    option_help = gettext_lazy(
        'learners: usernames or LMS user ids: ["anna", 1017]. Or\n'
        "learners_asset: the slug of an asset, a CSV file in UTF-8; its column “username” or “user_id” counts, or else "
        "the first one.\n"
        "Digits are always an LMS user id."
    )
    option_keys = frozenset({LIST, ASSET})

    def findings(self, options: Options) -> list[str]:
        try:
            roll = _roll(options)
        except Permanent as problem:
            return [str(problem)]
        return [] if len(roll) else [_("learners: nobody is on the list. Add usernames or LMS user ids.")]

    def people(self, context_key: str, options: Options) -> Iterator[Person]:
        if kind_of(context_key) is Kind.PATHWAY:
            yield from super().people(context_key, options)
            return
        roll = _roll(options)
        seen: set[int] = set()
        for person in lms.client().find(usernames=sorted(roll.usernames), lms_user_ids=sorted(roll.ids)):
            if person.lms_user_id not in seen:  # on the list by name and by id
                seen.add(person.lms_user_id)
                yield person
        if len(seen) < len(roll):
            log.warning("%s: the LMS knows %d people of the %d entries on the list.", context_key, len(seen), len(roll))

    def judge(self, context_key: str, options: Options, learners: Collection[Person]) -> dict[int, Eligibility]:
        roll = _roll(options)
        return {
            person.lms_user_id: Eligibility(True)
            if person in roll
            else Eligibility(False, {}, (_("Not on the list."),))
            for person in learners
        }


def _roll(options: Options) -> Roll:
    """Return who is on the list; Permanent with path and remedy when it cannot be read."""
    given, asset = options.get(LIST), options.get(ASSET)
    if (given is None) == (asset is None):
        raise Permanent(_("learners: write a list of usernames and LMS user ids, or name a learners_asset; not both."))
    return _written(given) if asset is None else _uploaded(asset)


def _written(given: object) -> Roll:
    if not isinstance(given, list) or not all(_is_entry(one) for one in given):
        raise Permanent(_('learners: write a list of usernames and LMS user ids, like ["anna", 1017].'))
    return _sorted(str(one) for one in given)


def _is_entry(one: object) -> bool:
    return isinstance(one, str | int) and not isinstance(one, bool)


def _uploaded(slug: object) -> Roll:
    if not isinstance(slug, str):
        raise Permanent(_("learners_asset: write the slug of an asset."))
    try:
        content = StoredAssets(most_bytes=BIGGEST).read(slug)
        rows = list(_rows(content.decode("utf-8-sig")))
    except GenerationError as problem:
        raise Permanent(f"learners_asset: {problem}.") from problem
    except (UnicodeDecodeError, csv.Error) as problem:
        raise Permanent(_("learners_asset: this is no CSV file in UTF-8. Save it as such and upload it.")) from problem
    column = 0
    if rows and (headings := [cell.casefold() for cell in rows[0]]) and set(HEADINGS) & set(headings):
        column = min(headings.index(name) for name in HEADINGS if name in headings)
        rows = rows[1:]
    return _sorted(row[column] for row in rows if column < len(row))


def _rows(text: str) -> Iterator[list[str]]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
        yield [cell.strip() for cell in row]


def _sorted(entries: Iterator[str]) -> Roll:
    ids, usernames = set(), set()
    for entry in (entry.strip() for entry in entries):
        if entry.isascii() and entry.isdigit():
            if len(entry) <= LONGEST_ID:
                ids.add(int(entry))
        elif entry:
            usernames.add(entry)
    return Roll(frozenset(ids), frozenset(usernames))
