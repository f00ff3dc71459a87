"""
The trace: why a document is satisfied or not, as a tree of steps.

What events hold may be personal. It is in the trace, for those who may see it, and never in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from badges.rules.criteria.texts import ENGLISH, Translations, json_value, value_text

logger = logging.getLogger("badges.rules.criteria")


class TraceStep(NamedTuple):
    """
    One step of an evaluation.

    ``path`` is a JSON Pointer into the document and ``operator`` what stands there. ``operand`` is its value as written
    and ``observed`` what was compared with it (None if there was nothing), which may be personal. ``subject`` says what
    was observed: a field, or what was counted (``events``, ``values``, ``periods``, ``steps``, ``hours``, …).
    ``event_id`` is the event that decided, None if it was not a single one. ``note`` is empty, or says in English why
    there was nothing to compare. ``children`` are the steps that this one rests on.
    """

    path: str
    operator: str
    operand: Any
    observed: Any
    event_id: str | None
    result: bool
    subject: str = ""
    note: str = ""
    children: tuple[TraceStep, ...] = ()

    @property
    def missing(self) -> str:
        """What is still missing here, such as ``3 of 5 events`` or ``score 62, needs 80``; empty if nothing is."""
        return missing_text(self)

    def walk(self) -> Iterator[TraceStep]:
        """Yield this step and all below it, in the order of the document."""
        yield self
        for child in self.children:
            yield from child.walk()

    def as_json(self) -> dict[str, Any]:
        """Return the step and all below it as JSON. It holds what events hold, so it may be personal."""
        return {
            "path": self.path,
            "operator": self.operator,
            "operand": self.operand,
            "observed": json_value(self.observed),
            "event_id": self.event_id,
            "result": self.result,
            "missing": self.missing,
            "note": self.note,
            "children": [child.as_json() for child in self.children],
        }


# For the steps of field conditions, of which there are many: a step from a tuple of all its values, in half the time.
make_step: Callable[[tuple[Any, ...]], TraceStep] = partial(tuple.__new__, TraceStep)


def missing_text(step: TraceStep, translations: Translations = ENGLISH) -> str:
    """Return what is missing at one step, translated; empty if it holds or rests on other steps."""
    if step.result or not step.subject:
        return ""
    if step.subject in _NOUNS:
        if step.operator in ("$gte", "$eq") and step.observed < step.operand:
            return _count_so_far(step, translations)
        return translations.gettext("{observed} {counted}, needs {operand}").format(
            observed=step.observed, counted=_counted_noun(step, translations), operand=_needed(step, translations)
        )
    if step.observed is None:
        return translations.gettext("no {field}, needs {operand}").format(
            field=step.subject, operand=_needed(step, translations)
        )
    return translations.gettext("{field} {observed}, needs {operand}").format(
        field=step.subject, observed=value_text(step.observed), operand=_needed(step, translations)
    )


def missing_of(step: TraceStep, translations: Translations = ENGLISH) -> list[str]:
    """Return all that is missing below a step, in the order of the document; what ``$not`` rules out is not missing."""
    if step.result or step.operator == "$not":
        return []
    here = missing_text(step, translations)
    return ([here] if here else []) + [text for child in step.children for text in missing_of(child, translations)]


def closeness(step: TraceStep) -> float:
    """Return how close a step is to being satisfied, from 0 to 1, to choose what is shown. It decides nothing."""
    if step.result:
        return 1.0
    if step.children:
        shares = [closeness(child) for child in step.children]
        return max(shares) if step.operator == "$or" else sum(shares) / len(shares)
    if step.subject in _NOUNS and step.operator in ("$gte", "$eq") and step.observed < step.operand:
        return float(max(step.observed, 0) / step.operand)
    return 0.0


def step_text(
    step: TraceStep,
    translations: Translations = ENGLISH,
    event_name: Callable[[str], str | None] = lambda event_id: None,
) -> str:
    """
    Return one step in one line: what is asked, what was found or is missing, and the event that decided.

    ``event_name`` returns what readers call an event, by its id; None leaves the id.
    """
    text = step.operator if step.operand is None else f"{step.operator} {value_text(step.operand)}"
    details = [missing_text(step, translations)]
    if not step.children and step.observed is not None and not details[0]:
        details.append(translations.gettext("found {value}").format(value=value_text(step.observed)))
    details.append(step.note)
    if step.event_id is not None:
        name = event_name(step.event_id) or step.event_id
        details.append(translations.gettext("event {event}").format(event=name))
    said = "; ".join(detail for detail in details if detail)
    return f"{text} ({said})" if said else text


def log_trace(root: TraceStep) -> None:
    """Write the steps of an evaluation to the DEBUG log, without the values of events and documents."""
    logger.debug("Evaluating flow definition: %s", _word(root.result))
    for step in root.walk():
        if step.event_id is not None and step.children:
            logger.debug("Evaluating criteria against event %s", step.event_id)
        logger.debug(
            "%s %s: %s, observed %s%s",
            step.path or "/",
            step.operator,
            _word(step.result),
            "nothing" if step.observed is None else "[redacted]",
            f" ({step.note})" if step.note else "",
        )


def _word(result: bool) -> str:
    return "satisfied" if result else "not satisfied"


def _count_so_far(step: TraceStep, translations: Translations) -> str:
    return translations.gettext("{observed} of {operand} {counted}").format(
        observed=step.observed, operand=step.operand, counted=_counted_noun(step, translations, step.operand)
    )


def _events(translations: Translations, number: int) -> str:
    return translations.ngettext("event", "events", number)


def _values(translations: Translations, number: int) -> str:
    return translations.ngettext("different value", "different values", number)


def _periods(translations: Translations, number: int) -> str:
    return translations.ngettext("period", "periods", number)


def _steps(translations: Translations, number: int) -> str:
    return translations.ngettext("step", "steps", number)


def _seconds(translations: Translations, number: float) -> str:
    return translations.ngettext("second", "seconds", _plural(number))


def _minutes(translations: Translations, number: float) -> str:
    return translations.ngettext("minute", "minutes", _plural(number))


def _hours(translations: Translations, number: float) -> str:
    return translations.ngettext("hour", "hours", _plural(number))


def _days(translations: Translations, number: float) -> str:
    return translations.ngettext("day", "days", _plural(number))


def _plural(number: float) -> int:
    return int(number) if number == int(number) else 2


_NOUNS: dict[str, Callable[[Translations, Any], str]] = {
    "events": _events,
    "values": _values,
    "periods": _periods,
    "steps": _steps,
    "seconds": _seconds,
    "minutes": _minutes,
    "hours": _hours,
    "days": _days,
}


def _counted_noun(step: TraceStep, translations: Translations, number: int | None = None) -> str:
    return _NOUNS[step.subject](translations, step.observed if number is None else number)


def _needed(step: TraceStep, translations: Translations) -> str:
    if step.operator in ("$gte", "$eq"):
        return value_text(step.operand)
    if step.operator == "$exists":
        return translations.gettext("to be there") if step.operand else translations.gettext("to be missing")
    several = step.operator in ("$in", "$nin")
    operand = ", ".join(map(value_text, step.operand)) if several else value_text(step.operand)
    return f"{translations.operator(step.operator)} {operand}"
