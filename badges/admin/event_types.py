"""Event types of this site: their schema, the key paths that rules may use, and the templates that use them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.admin.descriptions import describe_naming, describe_values
from badges.catalog import event_types, own_event_types
from badges.catalog.documents import Problem
from badges.catalog.own_event_types import EventTypeInUseError
from badges.common.admin import PluginModelAdmin, link_to
from badges.exceptions import EventError
from badges.intake.events import load_json
from badges.models import BadgeTemplate, EventType

EXAMPLE = {
    "type": "object",
    "properties": {
        "user_id": {"type": "integer"},
        "workshop": {"type": "string", "examples": ["knots"]},
        "minutes": {"type": "integer", "minimum": 0, "x-unit": "minutes"},
        "email": {"type": "string", "x-personal": True},
    },
    "required": ["user_id", "workshop"],
}
FIELDS = ["name", "title", "description", "schema", "learner_path", "is_active"]


class EventTypeForm(forms.ModelForm):
    """An event type as one document, which is validated as a whole."""

    schema = forms.CharField(
        label=gettext_lazy("JSON Schema of the data"),
        widget=forms.Textarea(attrs={"rows": 20, "cols": 90, "spellcheck": "false", "class": "vLargeTextField"}),
        help_text=gettext_lazy(
            'JSON Schema 2020-12 of the data object. "x-personal": true marks fields that are neither logged nor '
            'offered to rules; "x-unit" says in which unit a number is.'
        ),
    )
    accept_broken = forms.BooleanField(
        required=False,
        label=gettext_lazy("Save it although these templates can no longer be earned"),
        widget=forms.HiddenInput,
    )

    class Meta:
        model = EventType
        fields = FIELDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" not in self.fields:  # the page only shows
            return
        if self.instance.pk:
            self.initial["schema"] = _indented(json.loads(self.instance.schema))
            self.fields["name"].disabled = True
        else:
            self.initial.setdefault("schema", _indented(EXAMPLE))
            self.initial.setdefault("learner_path", "user_id")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        try:
            schema = load_json(cleaned["schema"])
        except EventError as error:
            self.add_error("schema", str(error))
            return cleaned
        draft, problems = own_event_types.read_event_type(
            {**{name: cleaned[name] for name in FIELDS}, "schema": schema}
        )
        self.draft = draft
        for problem in problems:
            self._add(problem)
        if draft is not None and not cleaned.get("accept_broken"):
            (planned,) = own_event_types.plan([draft])
            if planned.broken:
                self.fields["accept_broken"].widget = forms.CheckboxInput()
                self.add_error("accept_broken", _("After this change these active templates can no longer be earned:"))
                for broken in planned.broken:
                    self.add_error("accept_broken", str(broken))
        return cleaned

    def _add(self, problem: Problem) -> None:
        field = problem.path.partition(".")[0].partition("[")[0]
        place = problem.path.removeprefix(field).lstrip(".")
        message = f"{place}: {problem.message}" if place else problem.message
        self.add_error(field if field in self.fields else None, message)

    def validate_unique(self) -> None:
        """Do nothing for a stored row: its name never changes. A new one may not replace another."""
        if not self.instance.pk:
            super().validate_unique()


@admin.register(EventType)
class EventTypeAdmin(PluginModelAdmin):
    """
    The event types that this site has defined itself.

    A page is saved as one document by ``badges.catalog.own_event_types``. Every process notices a change before its
    next batch of events.
    """

    form = EventTypeForm
    list_display = ("name", "title", "is_active", "learner_path", "modified_at")
    list_filter = ("is_active",)
    search_fields = ("name", "title")
    ordering = ("name",)
    readonly_fields = ("key_paths", "learner", "used_by", "author", "modified_at")

    def get_fieldsets(self, request: HttpRequest, obj: EventType | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": [*FIELDS]})]
        shown = [*FIELDS, "accept_broken"] if self.has_change_permission(request, obj) else FIELDS
        return [
            (None, {"fields": shown}),
            (gettext_lazy("In rules"), {"fields": ["key_paths", "learner", "used_by", "author", "modified_at"]}),
        ]

    @admin.display(description=gettext_lazy("key paths"))
    def key_paths(self, row: EventType) -> SafeString | str:
        definition = event_types.configured().get(row.name)
        if definition is None or not definition.is_own:
            return _("none while the event type is not active")
        rows = [(path, describe_values(path, kind, definition.note(path))) for path, kind in definition.key_paths()]
        return format_html("<ul>{}</ul>", format_html_join("", "<li><code>{}</code>: {}</li>", rows)) if rows else "-"

    @admin.display(description=gettext_lazy("names its learner by"))
    def learner(self, row: EventType) -> str:
        return describe_naming(row.name)

    @admin.display(description=gettext_lazy("used by these active templates"))
    def used_by(self, row: EventType) -> SafeString | str:
        slugs = [slug for slug, _document in own_event_types.templates_using([row.name])]
        templates = BadgeTemplate.objects.filter(slug__in=slugs).order_by("slug")
        return format_html_join(", ", "{}", ((link_to(template),) for template in templates)) or "-"

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        event_types.refreshed()
        try:
            return super().changeform_view(request, *args, **kwargs)
        except EventTypeInUseError as error:  # somebody has saved a template meanwhile
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: EventType, form: Any, change: bool) -> None:
        (saved,) = own_event_types.save(
            [form.draft],
            author=request.user,
            now=timezone.now(),
            accept_broken=form.cleaned_data.get("accept_broken", False),
        )
        obj.pk = saved.row.pk
        obj._state.adding = False

    # --- deleting -----------------------------------------------------------------------------------------------------

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Show the active templates that use an event type. It is not deleted then."""
        to_delete, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        names = [row.name for row in objs]
        used = [_("active template %(slug)s") % {"slug": slug} for slug, _document in _using(names)]
        return to_delete, counts, perms_needed, [*protected, *used]

    def delete_model(self, request: HttpRequest, obj: EventType) -> None:
        own_event_types.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[EventType]) -> None:
        for row in queryset:
            own_event_types.delete(row)


def _using(names: Iterable[str]) -> Iterable[tuple[str, Any]]:
    return own_event_types.templates_using(names)


def _indented(schema: Any) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=2)
