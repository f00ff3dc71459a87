"""
What a retirement removes from runs: parameters, notes and results that name the person.

A kind says which of its parameters name people (``RunKind.people``) and whether its result does
(``RunKind.result_names_people``). Of a kind whose package is gone both are assumed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import Q

from badges.exceptions import Permanent
from badges.runs import kinds, results
from badges.runs.kinds import RunKind
from badges.runs.models import ACTIVE, Run

REMOVED = "…"
RESULT_REMOVED = "The result named a person who was retired, so it was removed. Start such a run again for a new one."


def delete(identifiers: Collection[str]) -> dict[str, int]:
    """
    Remove a person from all runs; return how many rows were changed, by what was removed.

    ``identifiers``: the LMS user id, username, e-mail address and whatever else identifies the person in text. Must be
    called in the transaction of the retirement. Only reads files; the outbox removes them.
    """
    # The longest first: an e-mail address may begin with the username.
    identifiers = sorted((text for text in identifiers if text.strip()), key=len, reverse=True)
    named = {name: _kind(name) for name in Run.objects.order_by().values_list("kind", flat=True).distinct()}
    with_results = [name for name, kind in named.items() if kind is None or kind.result_names_people]
    _clear_open_runs(with_results)
    return {
        "parameters of runs": _from_parameters(identifiers, named),
        "notes of runs": _from_notes(identifiers),
        "results of runs": _from_results(identifiers, with_results),
    }


def without(document: Any, identifiers: Collection[str]) -> Any:
    """Return a JSON value without the values that are one of these identifiers: left out of lists, else null."""
    if isinstance(document, list):
        return [without(item, identifiers) for item in document if not _is_one_of(item, identifiers)]
    if isinstance(document, dict):
        return {name: without(value, identifiers) for name, value in document.items() if name not in identifiers}
    return None if _is_one_of(document, identifiers) else document


def masked(text: str, identifiers: Collection[str]) -> str:
    """
    Return a note without identifiers.

    A number is taken for one only after "user" or "id", as in "LMS user 41": other numbers in notes are counts.
    """
    for identifier in identifiers:
        before = r"(?<![^\W_])((?:users?|ids?)\W{0,3})" if identifier.isdigit() else r"(?<!\w)()"
        text = re.sub(rf"{before}{re.escape(identifier)}(?!\w)", rf"\g<1>{REMOVED}", text, flags=re.IGNORECASE)
    return text


def names(content: bytes, identifiers: Collection[str]) -> bool:
    """Return whether a result may name a person: one of the identifiers is a word in it, or it is not UTF-8 text."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return True
    written = {form for identifier in identifiers for form in (identifier, json.dumps(identifier)[1:-1])}
    return any(re.search(rf"(?<!\w){re.escape(form)}(?!\w)", text, re.IGNORECASE) for form in written)


def _kind(name: str) -> RunKind | None:
    try:
        return kinds.get(name)
    except Permanent:  # the package that brings it is gone
        return None


def _is_one_of(value: Any, identifiers: Collection[str]) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | str) and str(value) in identifiers


def _from_parameters(identifiers: Collection[str], named: dict[str, RunKind | None]) -> int:
    changed = 0
    concerned = [name for name, kind in named.items() if kind is None or kind.people]
    for run in Run.objects.filter(kind__in=concerned).only("kind", "parameters").iterator(200):
        kind, given = named[run.kind], run.read_parameters()
        wiped = {
            name: without(value, identifiers) if kind is None or name in kind.people else value
            for name, value in given.items()
        }
        if wiped != given:
            changed += Run.objects.filter(pk=run.pk).update(parameters=json.dumps(wiped, sort_keys=True))
    return changed


def _from_notes(identifiers: Collection[str]) -> int:
    condition = Q(pk__in=[])
    for identifier in identifiers:
        condition |= Q(note__icontains=identifier)
    changed = 0
    for pk, note in Run.objects.filter(condition).values_list("pk", "note"):
        if (text := masked(note, identifiers)) != note:
            changed += Run.objects.filter(pk=pk).update(note=text)
    return changed


def _clear_open_runs(with_results: Collection[str]) -> None:
    """
    Let open runs compute their results after this transaction.

    The rows are written even where there is no result yet. A worker writes the row too before it computes a result
    (``worker._finish``), and closes the run only if what it wrote is still there. So it computes either after the
    retirement, or once more.
    """
    waiting = Run.objects.filter(active_key=ACTIVE, kind__in=with_results)
    rows = list(waiting.select_for_update().order_by("pk").values_list("pk", "result"))
    results.discard((pk, name) for pk, name in rows if results.is_file(name))
    Run.objects.filter(pk__in=[pk for pk, _name in rows]).update(result="")


def _from_results(identifiers: Collection[str], with_results: Collection[str]) -> int:
    named = list(_results_that_name(identifiers, with_results))
    results.discard(named)
    return Run.objects.filter(pk__in=[pk for pk, _name in named]).update(result="", note=RESULT_REMOVED)


def _results_that_name(identifiers: Collection[str], with_results: Collection[str]) -> Iterator[tuple[Any, str]]:
    closed = Run.objects.filter(active_key=None, kind__in=with_results).exclude(result="").exclude(result__endswith="/")
    for pk, name in closed.values_list("pk", "result").iterator(200):
        try:
            with results.storage().open(name) as file:
                is_named = names(file.read(), identifiers)
        except FileNotFoundError:
            is_named = False
        except Exception:  # a storage that does not answer: nobody can tell what is in the file
            is_named = True
        if is_named:
            yield pk, name
