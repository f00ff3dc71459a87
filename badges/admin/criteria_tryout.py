"""Trying out a criteria document: over pasted events, or over a learner's logged events. Nothing is saved."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from badges import api
from badges.admin.criteria_texts import reference, trace_tree
from badges.catalog import event_types
from badges.catalog.criteria import compile_criteria, counts_from_of, criteria_of
from badges.common.permissions import may
from badges.exceptions import EventError
from badges.history import event_log
from badges.history.criteria import (
    MAX_EVENTS,
    CriteriaEvaluation,
    History,
    evaluate,
    history_of_rows,
    logged_history,
    unlogged_row,
)
from badges.intake.events import parse_event
from badges.models import BadgeTemplate, LoggedEvent
from badges.rules import Criteria, CriteriaError, Translations, condition_slugs, describe, operator_names, to_text
from badges.rules.times import instant

MAX_CHARACTERS = 500_000
MAX_LINES = 1000
MAX_PROBLEMS = 20


class TryoutForm(forms.Form):
    """What to try: a document, some events, and the moment at which it is asked."""

    template = forms.IntegerField(required=False)
    criteria = forms.CharField(required=False, label=gettext_lazy("Criteria"))
    events = forms.CharField(
        required=False,
        max_length=MAX_CHARACTERS,
        label=gettext_lazy("Events"),
        help_text=gettext_lazy(
            "Lines of an event file: a JSON object with id, type, time and data on each line. They are taken as the "
            "events of one learner. At most 1,000."
        ),
    )
    learner = forms.CharField(
        required=False,
        max_length=255,
        label=gettext_lazy("Or a learner"),
        help_text=gettext_lazy("An LMS user id, a username or the UUID of a learner, whose logged events are read."),
    )
    at = forms.CharField(
        required=False,
        max_length=40,
        label=gettext_lazy("At the time"),
        help_text=gettext_lazy("Such as 2026-03-01T09:30:00Z. Left empty, it is now."),
    )

    def __init__(self, *args: Any, may_view_log: bool, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.may_view_log = may_view_log
        self.unread: list[str] = []

    def clean_criteria(self) -> Criteria | None:
        """Return the compiled document; None if there is no text."""
        text = self.cleaned_data["criteria"]
        return read_criteria(text) if text else None

    def clean_at(self) -> dt.datetime:
        """Return the moment, which needs an offset."""
        text = self.cleaned_data["at"]
        if not text:
            return timezone.now()
        try:
            return instant(text)
        except ValueError:
            raise ValidationError(_("Write a time with its offset, such as 2026-03-01T09:30:00Z.")) from None

    def clean_events(self) -> History:
        """Return the events of the lines. ``unread`` then says which lines could not be read, and why."""
        rows, definitions = {}, event_types.configured()
        lines = [line for line in enumerate(self.cleaned_data["events"].splitlines(), 1) if line[1].strip()]
        if len(lines) > MAX_LINES:
            raise ValidationError(_("Write at most %(most)d lines.") % {"most": MAX_LINES})
        for number, line in lines:
            try:
                event = parse_event(line, received_from=f"line {number}")
            except EventError as error:
                self.unread.append(_("Line %(number)d: %(problem)s") % {"number": number, "problem": error})
                continue
            row = unlogged_row(
                definitions[event.type], source=event.source, id=event.id, time=event.time, data=event.data
            )
            rows[row.digest] = row
        return history_of_rows(rows.values())

    def clean_learner(self) -> tuple[int | None, int | None] | None:
        """Return the LMS user id and the learner's id of a person; None if nobody was named."""
        text = self.cleaned_data["learner"].strip()
        if not text:
            return None
        if not self.may_view_log:
            raise ValidationError(_("You may not view logged events. Paste events instead."))
        person = api.person_named(text)
        learner = api.learner_of(person)
        number = int(text) if text.isascii() and text.isdigit() else None
        if learner is not None:
            return learner.lms_user_id, learner.pk
        if event_log.person_key(number) is None:
            raise ValidationError(_("There is nobody here with this LMS user id, username or UUID."))
        return number, None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("learner") is not None and self.data.get("events", "").strip():
            raise ValidationError(_("Give either events or a learner, not both."))
        return cleaned


def read_criteria(text: str) -> Criteria:
    """Return the compiled document of a text. Raises ValidationError with the JSON Pointer of each problem."""
    try:
        return compile_criteria(text, event_types.configured())
    except CriteriaError as error:
        raise ValidationError(f"{error.path or '/'}: {error.message}", code=error.kind) from None


@require_POST
def try_criteria(request: HttpRequest) -> HttpResponse:
    """
    Evaluate a document and show why it holds or not, as a page or (``fragment``) as a part of one.

    The document of a stored template is asked over the logged events that count for the template. Another document,
    and pasted events, are a simulation: all events count.
    """
    if not any(may(request.user, verb, BadgeTemplate) for verb in ("view", "add", "change")):
        raise PermissionDenied
    form = TryoutForm(request.POST, may_view_log=may(request.user, "view", LoggedEvent))
    context: dict[str, Any] = {"form": form, "title": _("Criteria tried out")}
    try:
        if form.is_valid():
            context |= _shown(form, *_document(form))
    except ValidationError as error:
        form.add_error("criteria", error)
    context["problems"] = [
        f"{form.fields[name].label}: {message}" if name in form.fields else message
        for name, messages in form.errors.items()
        for message in messages
    ]
    name = "criteria_result.html" if request.POST.get("fragment") else "criteria_result_page.html"
    return render(request, f"lms_badges/{name}", context)


def _document(form: TryoutForm) -> tuple[Criteria, BadgeTemplate | None]:
    """
    Return the written document, else the stored one; with its template, if it is the stored one.

    Raises ValidationError if there is none that can be used.
    """
    written: Criteria | None = form.cleaned_data["criteria"]
    template = BadgeTemplate.objects.filter(pk=form.cleaned_data["template"]).select_related("current_revision").first()
    stored = criteria_of(template) if template else None
    if written is not None:
        return written, template if to_text(written.document) == to_text(stored) else None
    if stored is None:
        raise ValidationError(_("There is no criteria document yet. Write one, or save the template first."))
    return read_criteria(json.dumps(stored)), template


def _shown(form: TryoutForm, criteria: Criteria, template: BadgeTemplate | None) -> dict[str, Any]:
    person, at = form.cleaned_data["learner"], form.cleaned_data["at"]
    moment = counts_from_of(template) if person is not None and template is not None else None
    if person is None:
        history = form.cleaned_data["events"]
    else:
        lms_user_id, learner_id = person
        history = logged_history(lms_user_id, learner_id, [criteria], until=at)
    evaluation = evaluate(criteria, history, at=at, counts_from=moment)
    words = Translations(translation)
    return {
        "evaluation": evaluation,
        "earned": evaluation.earned and f"{evaluation.earned.time:%Y-%m-%dT%H:%M:%SZ}",
        "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "description": describe(criteria, words),
        "missing": evaluation.result.missing(words),
        "tree": trace_tree(evaluation.result.trace, history.names),
        "unread": form.unread[:MAX_PROBLEMS],
        "unread_more": max(0, len(form.unread) - MAX_PROBLEMS),
        "most": MAX_EVENTS,
        "counting": _counting(evaluation, person is not None),
    }


def _counting(evaluation: CriteriaEvaluation, is_of_learner: bool) -> str:
    """Return a sentence about the logged events that were asked; empty for pasted events."""
    if not is_of_learner:
        return ""
    if evaluation.counts_from is None:
        return _("A simulation: all logged events of the learner count.")
    number = evaluation.arrived_before
    return ngettext(
        "Events count that arrived since %(time)s, as in decisions. %(number)d event arrived before.",
        "Events count that arrived since %(time)s, as in decisions. %(number)d events arrived before.",
        number,
    ) % {"number": number, "time": f"{evaluation.counts_from:%Y-%m-%dT%H:%M:%SZ}"}


@require_safe
def show_reference(request: HttpRequest) -> HttpResponse:
    """Show each entry of the language by an example, and what is installed and configured here."""
    context = {
        "title": _("The criteria language"),
        "examples": [(one.name, json.dumps(one.document, indent=2), one.meaning) for one in reference()],
        "operators": [f"${name}" for name in operator_names()],
        "conditions": condition_slugs(),
        "event_types": sorted(event_types.configured()),
    }
    return render(request, "lms_badges/criteria_reference.html", context)
