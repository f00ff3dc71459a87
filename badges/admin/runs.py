"""Runs: starting long work, watching its progress, cancelling and resuming it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from badges.admin.descriptions import pretty
from badges.common.admin import LongTableAdmin, admin_url, link_to
from badges.exceptions import Permanent
from badges.runs import kinds, queue, results
from badges.runs.models import Run, RunMode

# The verbs of the buttons, and what the page says when one was done.
DONE = {
    "cancel": gettext_lazy("The run is cancelled, or will be after the step at hand. What it has done stays."),
    "resume": gettext_lazy("The run goes on where it was."),
    "apply": gettext_lazy("This run does what the plan has found out."),
    "undo": gettext_lazy("Another run takes back what this one has applied."),
}
MODES = [(mode.value, mode.label) for mode in (RunMode.PLAN, RunMode.APPLY)]


class StartForm(forms.ModelForm):
    """What to start."""

    kind = forms.ChoiceField(choices=lambda: [("", "---------"), *((name, name) for name in _offered())])
    mode = forms.ChoiceField(choices=MODES, help_text=gettext_lazy("A plan changes nothing."))
    parameters = forms.JSONField(
        initial=dict, required=False, help_text=gettext_lazy("A JSON object; the documentation of the kind lists them.")
    )

    class Meta:
        model = Run
        fields = ["kind", "mode", "parameters"]

    def clean_parameters(self) -> dict[str, Any]:
        given = self.cleaned_data["parameters"]
        if given is None:
            return {}
        if not isinstance(given, dict):
            raise ValidationError(_("Write a JSON object, such as {}."))
        return given

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                queue.prepare(cleaned["kind"], mode=RunMode(cleaned["mode"]), parameters=cleaned["parameters"])
            except Permanent as error:
                raise ValidationError(str(error)) from error
        return cleaned

    def _post_clean(self) -> None:
        """Leave the instance as it is: ``queue.start`` makes the row."""


@admin.register(Run)
class RunAdmin(LongTableAdmin):
    """All runs. An open run's page loads itself again every few seconds."""

    form = StartForm
    change_form_template = "admin/lms_badges/run/change_form.html"
    list_display = ("kind", "subject", "mode", "state", "progress", "asked_by", "asked_at", "finished_at")
    list_filter = ("state", "kind", "mode")
    list_select_related = ("asked_by",)
    ordering = ("-asked_at", "-id")
    readonly_fields = (
        *("id", "kind", "subject", "mode", "state_text", "progress", "counted", "note", "given", "more_link"),
        *("result_link", "asked_by", "asked_at", "started_at", "finished_at", "attempts"),
        *("undoes_link", "undone_by_link"),
    )

    class Media:
        css = {"all": ["lms_badges/pages.css"]}

    # --- permissions --------------------------------------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: runs are changed by the buttons alone."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # --- display -----------------------------------------------------------------------------------------------------

    def get_fields(self, request: HttpRequest, obj: Run | None = None) -> Any:
        return ["kind", "mode", "parameters"] if obj is None else list(self.readonly_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Run | None = None) -> Any:
        return () if obj is None else self.readonly_fields

    @admin.display(description=gettext_lazy("state"))
    def state_text(self, run: Run) -> str:
        if not run.is_open:
            return run.get_state_display()
        if run.cancel_requested:
            return _("is being cancelled")
        return _("is carried out") if run.claim else _("waits for a worker")

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, run: Run) -> SafeString | str:
        if run.total is None:
            return str(run.done)
        bar = format_html('<progress max="{}" value="{}"></progress>', run.total, run.done)
        return format_html("{} {}", bar, _("%(done)d of %(total)d") % {"done": run.done, "total": run.total})

    @admin.display(description=gettext_lazy("counted"))
    def counted(self, run: Run) -> str:
        return ", ".join(f"{name}: {number}" for name, number in sorted(run.read_counts().items())) or "-"

    @admin.display(description=gettext_lazy("parameters"))
    def given(self, run: Run) -> SafeString:
        return pretty(run.parameters)

    @admin.display(description=gettext_lazy("result"))
    def result_link(self, run: Run) -> SafeString | str:
        if not results.is_file(run.result.name) or run.is_open:
            return "-"
        address = reverse("admin:lms_badges_run_result", args=[run.pk])
        return format_html('<a href="{}">{}</a>', address, _file_name(run))

    @admin.display(description=gettext_lazy("more"))
    def more_link(self, run: Run) -> SafeString | str:
        try:
            address = kinds.get(run.kind).page(run.pk)
        except Permanent:  # the package that brings the kind is gone
            address = None
        return format_html('<a href="{}">{}</a>', address, _("What this kind of run tells of it")) if address else "-"

    @admin.display(description=gettext_lazy("undoes"))
    def undoes_link(self, run: Run) -> SafeString | str:
        return link_to(run.undoes)

    @admin.display(description=gettext_lazy("undone by"))
    def undone_by_link(self, run: Run) -> SafeString | str:
        return link_to(Run.objects.filter(undoes=run).first())

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        run = self.get_object(request, object_id)
        buttons = self._buttons(request, run) if run else []
        kwargs["extra_context"] = {
            **(kwargs.get("extra_context") or {}),
            "badges_buttons": [
                {"address": reverse("admin:lms_badges_run_do", args=[run.pk, verb]), "text": text}
                for verb, text in buttons
                if run
            ],
        }
        return super().change_view(request, object_id, *args, **kwargs)

    def _buttons(self, request: HttpRequest, run: Run) -> list[tuple[str, Any]]:
        if run.is_open:
            offered = [("cancel", _("Cancel"))]
        else:
            offered = [("resume", _("Resume"))] if queue.can_resume(run) else []
            offered += [("apply", _("Apply"))] if queue.can_apply(run) else []
            offered += [("undo", _("Undo"))] if queue.can_undo(run) else []
        return [button for button in offered if self._may_do(request, run, button[0])]

    def _may_do(self, request: HttpRequest, run: Run, verb: str) -> bool:
        """Return whether somebody may press a button. Applying is starting, and undoing may need more than changing."""
        try:
            kind = kinds.get(run.kind)
        except Permanent:  # the package that brings the kind is gone
            return self.may(request, "change")
        if verb == "apply":
            needed = kind.apply_permission
            allowed = request.user.has_perm(needed) if needed else self.may(request, "add")
            return allowed and self.has_view_permission(request)
        may_undo = verb != "undo" or not kind.undo_permission or request.user.has_perm(kind.undo_permission)
        return self.may(request, "change") and may_undo

    # --- doing -------------------------------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Run, form: Any, change: bool) -> None:
        given = form.cleaned_data
        started = queue.start(
            given["kind"], mode=RunMode(given["mode"]), parameters=given["parameters"], person=request.user
        )
        obj.__dict__.update(started.__dict__)

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().add_view(request, *args, **kwargs)
        except queue.RunRefused as error:  # somebody else started one at the same moment
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def response_add(self, request: HttpRequest, obj: Run, post_url_continue: Any = None) -> HttpResponse:
        """Go to the page of the run, which shows its progress."""
        return HttpResponseRedirect(admin_url(obj))

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        return json.loads(json.dumps([{"added": {}}]))

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:run_id>/result/", wrap(self.download), name="lms_badges_run_result"),
            path("<uuid:run_id>/do/<str:verb>/", wrap(require_POST(self.do)), name="lms_badges_run_do"),
            *super().get_urls(),
        ]

    def do(self, request: HttpRequest, run_id: Any, verb: str) -> HttpResponse:
        """Do what a button says: ``cancel``, ``resume``, ``apply`` or ``undo``."""
        if verb not in DONE:
            raise Http404
        run = get_object_or_404(Run, pk=run_id)
        if not self._may_do(request, run, verb):
            raise PermissionDenied
        try:
            changed = run
            if verb == "cancel":
                queue.cancel(run)
            elif verb == "resume":
                queue.resume(run)
            elif verb == "apply":
                changed = queue.apply_plan(run, person=request.user)
            else:
                changed = queue.undo(run, person=request.user)
        except Permanent as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.log_change(request, run, verb)
            self.message_user(request, str(DONE[verb]), messages.SUCCESS)
            run = changed
        return HttpResponseRedirect(admin_url(run))

    def download(self, request: HttpRequest, run_id: Any) -> HttpResponse | FileResponse:
        """Send the file of a result. It may name learners, so no web server serves it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = get_object_or_404(Run, pk=run_id)
        if not _may_read_result(request, run):
            raise PermissionDenied
        if not results.is_file(run.result.name) or run.is_open:
            raise Http404
        try:
            return FileResponse(run.result.open("rb"), as_attachment=True, filename=_file_name(run))
        except FileNotFoundError:
            raise Http404 from None


def _offered() -> list[str]:
    """Return the names of the kinds that staff start here. One that cannot be loaded says why when it is chosen."""
    offered = []
    for name in kinds.names():
        with suppress(Permanent):
            if not kinds.get(name).is_started_by_staff:
                continue
        offered.append(name)
    return offered


def _may_read_result(request: HttpRequest, run: Run) -> bool:
    try:
        needed = kinds.get(run.kind).result_permission
    except Permanent:  # the package that brings the kind is gone
        needed = ""
    return not needed or request.user.has_perm(needed)


def _file_name(run: Run) -> str:
    return str(run.result.name).rpartition("/")[2]
