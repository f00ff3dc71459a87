"""Finds who is on a list that somebody wrote or uploaded."""

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
from credentials_config.context_keys import Kind, kind_of
from credentials_config.contracts import Eligibility, GenerationError, Options, Person
from credentials_config.models.asset import StoredAssets
from credentials_config.processors.base import SteppedProcessor

log = logging.getLogger(__name__)

LIST, ASSET = "learners", "learners_asset"
HEADINGS = ("username", "user_id", "lms_user_id", "learner", "id")
MAX_BYTES = 20 * 1024 * 1024
MAX_ID_DIGITS = 18  # More do not fit into a database column.


@dataclass(frozen=True)
class LearnerList:
    """The people on a list. Digits are an LMS user id, anything else is a username."""

    ids: frozenset[int]
    usernames: frozenset[str]

    def __contains__(self, person: object) -> bool:
        return isinstance(person, Person) and (person.lms_user_id in self.ids or person.username in self.usernames)

    def __len__(self) -> int:
        return len(self.ids) + len(self.usernames)


class CsvList(SteppedProcessor):
    """
    Finds everyone who is on the list. The context only says what the credential is for.

    Except in pathways, the people on the list need not be enrolled.
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

    def option_errors(self, options: Options) -> list[str]:
        try:
            entries = _learner_list(options)
        except Permanent as error:
            return [str(error)]
        return [] if len(entries) else [_("learners: nobody is on the list. Add usernames or LMS user ids.")]

    def people(self, context_key: str, options: Options) -> Iterator[Person]:
        if kind_of(context_key) is Kind.PATHWAY:
            yield from super().people(context_key, options)
            return
        entries = _learner_list(options)
        seen: set[int] = set()
        for person in lms.client().find(usernames=sorted(entries.usernames), lms_user_ids=sorted(entries.ids)):
            if person.lms_user_id not in seen:  # somebody may be on the list by name and by id
                seen.add(person.lms_user_id)
                yield person
        if len(seen) < len(entries):
            log.warning(
                "%s: the LMS knows %d people of the %d entries on the list.", context_key, len(seen), len(entries)
            )

    def evaluate(self, context_key: str, options: Options, learners: Collection[Person]) -> dict[int, Eligibility]:
        entries = _learner_list(options)
        return {
            person.lms_user_id: Eligibility(True)
            if person in entries
            else Eligibility(False, {}, (_("Not on the list."),))
            for person in learners
        }


def _learner_list(options: Options) -> LearnerList:
    """Return who is on the list. Raises Permanent, with path and remedy, when it cannot be read."""
    given, asset = options.get(LIST), options.get(ASSET)
    if (given is None) == (asset is None):
        raise Permanent(_("learners: write a list of usernames and LMS user ids, or name a learners_asset; not both."))
    return _written(given) if asset is None else _uploaded(asset)


def _written(given: object) -> LearnerList:
    if not isinstance(given, list) or not all(_is_entry(one) for one in given):
        raise Permanent(_('learners: write a list of usernames and LMS user ids, like ["anna", 1017].'))
    return _read_entries(str(one) for one in given)


def _is_entry(one: object) -> bool:
    return isinstance(one, str | int) and not isinstance(one, bool)


def _uploaded(slug: object) -> LearnerList:
    if not isinstance(slug, str):
        raise Permanent(_("learners_asset: write the slug of an asset."))
    try:
        content = StoredAssets(most_bytes=MAX_BYTES).read(slug)
        rows = list(_rows(content.decode("utf-8-sig")))
    except GenerationError as error:
        raise Permanent(f"learners_asset: {error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise Permanent(_("learners_asset: this is no CSV file in UTF-8. Save it as such and upload it.")) from error
    column = 0
    if rows and (headings := [cell.casefold() for cell in rows[0]]) and set(HEADINGS) & set(headings):
        column = min(headings.index(name) for name in HEADINGS if name in headings)
        rows = rows[1:]
    return _read_entries(row[column] for row in rows if column < len(row))


def _rows(text: str) -> Iterator[list[str]]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
        yield [cell.strip() for cell in row]


def _read_entries(entries: Iterator[str]) -> LearnerList:
    ids, usernames = set(), set()
    for entry in (entry.strip() for entry in entries):
        if entry.isascii() and entry.isdigit():
            if len(entry) <= MAX_ID_DIGITS:
                ids.add(int(entry))
        elif entry:
            usernames.add(entry)
    return LearnerList(frozenset(ids), frozenset(usernames))
