"""The form fields of a configuration's schedule, which is stored on its periodic task."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from credentials_config.conf import config

INTERVAL, CRONTAB, OTHER = "interval", "crontab", "other"
_PERIODS = [("minutes", gettext_lazy("minutes")), ("hours", gettext_lazy("hours")), ("days", gettext_lazy("days"))]
_PARTS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")

FIELDS = ("schedule", "every", "period", "crontab", "crontab_timezone")
ROWS = ("schedule", ("every", "period"), ("crontab", "crontab_timezone"))


class ScheduleForm(forms.Form):
    """The schedule in a configuration's form."""

    schedule = forms.ChoiceField(label=gettext_lazy("Looks for eligible learners"), widget=forms.RadioSelect)
    every = forms.IntegerField(label=gettext_lazy("Every"), min_value=1, max_value=100_000, required=False)
    period = forms.ChoiceField(label=gettext_lazy("Period"), choices=_PERIODS, required=False)
    crontab = forms.CharField(
        label=gettext_lazy("Calendar"),
        required=False,
        max_length=200,
        help_text=gettext_lazy(
            "Minute, hour, day of the month, month, day of the week: “30 6 * * 1” is on Mondays at 6:30."
        ),
    )
    crontab_timezone = forms.ChoiceField(label=gettext_lazy("Time zone"), required=False)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if "schedule" not in self.fields:  # the page is read-only
            return
        task = getattr(self.instance, "periodic_task", None)  # type: ignore[attr-defined]
        kind = kind_of(task)
        choices = [(INTERVAL, _("at intervals")), (CRONTAB, _("by the calendar"))]
        if kind == OTHER:
            choices.append((OTHER, _("as its periodic task says: %(schedule)s") % {"schedule": describe(task)}))
        self.fields["schedule"].choices = choices  # type: ignore[attr-defined]
        zones = sorted(zoneinfo.available_timezones())
        self.fields["crontab_timezone"].choices = [(zone, zone) for zone in zones]  # type: ignore[attr-defined]
        self.initial = {**_initial(task, kind), **self.initial}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("schedule") == INTERVAL and "every" in cleaned:
            if not cleaned["every"]:
                self.add_error("every", _("Write how many."))
            if not cleaned.get("period"):
                self.add_error("period", _("Choose one."))
        elif cleaned.get("schedule") == CRONTAB and "crontab" in cleaned:
            try:
                cleaned["crontab_schedule"] = _crontab(cleaned["crontab"], cleaned.get("crontab_timezone") or "")
            except ValidationError as error:
                self.add_error("crontab", error)
        return cleaned


def kind_of(task: PeriodicTask | None) -> str:
    """Return the kind of a task's schedule: INTERVAL, CRONTAB or OTHER, which the form cannot show."""
    if task is None or (task.interval is not None and task.interval.period in dict(_PERIODS)):
        return INTERVAL
    return CRONTAB if task.crontab is not None else OTHER


def set_schedule(task_id: int, cleaned: dict[str, Any]) -> None:
    """Store the schedule of the form on a task. A host may have several equal schedules; any of them will do."""
    if cleaned["schedule"] == OTHER:
        return
    if cleaned["schedule"] == INTERVAL:
        values = {"every": cleaned["every"], "period": cleaned["period"]}
        interval = IntervalSchedule.objects.filter(**values).order_by("pk").first()
        chosen = {"interval": interval or IntervalSchedule.objects.create(**values), "crontab": None}
    else:
        wanted = cleaned["crontab_schedule"]
        values = {name: getattr(wanted, name) for name in (*_PARTS, "timezone")}
        crontab = CrontabSchedule.objects.filter(**values).order_by("pk").first()
        chosen = {"interval": None, "crontab": crontab or CrontabSchedule.objects.create(**values)}
    # Not with save(), whose signal would be taken for an administrator who disables the task.
    PeriodicTask.objects.filter(pk=task_id).update(clocked=None, solar=None, one_off=False, **chosen)
    PeriodicTasks.update_changed()


def describe(task: PeriodicTask | None) -> str:
    """Return a description of when a task fires."""
    if task is None:
        return _("no schedule")
    if task.interval is not None and task.interval.period in dict(_PERIODS):
        every = task.interval.every
        return {
            "minutes": ngettext("every minute", "every %(every)d minutes", every),
            "hours": ngettext("every hour", "every %(every)d hours", every),
            "days": ngettext("every day", "every %(every)d days", every),
        }[task.interval.period] % {"every": every}
    if task.crontab is not None:
        return str(task.crontab.human_readable)
    return str(task.interval or task.clocked or task.solar or "-")


def _initial(task: PeriodicTask | None, kind: str) -> dict[str, Any]:
    known: dict[str, Any] = {
        "schedule": kind,
        "every": config.schedule["every"],
        "period": config.schedule["period"],
        "crontab": "0 6 * * *",
        "crontab_timezone": settings.TIME_ZONE,
    }
    if task is not None and task.interval is not None and kind == INTERVAL:
        known |= {"every": task.interval.every, "period": task.interval.period}
    if task is not None and task.crontab is not None:
        known["crontab"] = " ".join(getattr(task.crontab, part).replace(" ", "") for part in _PARTS)
        known["crontab_timezone"] = str(task.crontab.timezone)
    return known


def _crontab(text: str, zone: str) -> CrontabSchedule:
    parts = text.split()
    if len(parts) != len(_PARTS):
        raise ValidationError(_("Write five parts with spaces between them, like “30 6 * * 1”."))
    schedule = CrontabSchedule(
        timezone=zoneinfo.ZoneInfo(zone or settings.TIME_ZONE), **dict(zip(_PARTS, parts, strict=True))
    )
    try:
        schedule.full_clean(validate_unique=False, validate_constraints=False)
        schedule.schedule  # noqa: B018 -- celery is stricter than the field's validators
    except ValidationError as error:
        raise ValidationError([message for messages in error.message_dict.values() for message in messages]) from None
    except (ValueError, TypeError, KeyError) as error:
        raise ValidationError(_("This is not a calendar schedule: %(what)s.") % {"what": error}) from None
    return schedule
