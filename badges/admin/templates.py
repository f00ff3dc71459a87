"""Badge templates: designers edit, activate and archive them. Each has one page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from badges.admin import backfill
from badges.admin.criteria_texts import criteria_in_words
from badges.admin.descriptions import pretty
from badges.admin.providers import shown_copy
from badges.admin.template_forms import TemplateForm, template_document
from badges.admin.template_sections import section_of, sections
from badges.catalog import event_types
from badges.catalog.api import (
    Document,
    DocumentError,
    SaveResult,
    archive_template,
    editing_transaction,
    export_template,
    save_template,
)
from badges.catalog.criteria import counts_from_of, criteria_of
from badges.catalog.documents import in_reading_order
from badges.catalog.expiry import describe_expiry
from badges.catalog.queries import expiry_of
from badges.catalog.validation import given_by_people_only
from badges.common.admin import CappedPaginator, PluginModelAdmin, link_to
from badges.common.permissions import may
from badges.exceptions import Permanent
from badges.granting.run_kinds import KIND
from badges.issuers import registry
from badges.issuers.cautions import cautions_of
from badges.issuers.templates import at_providers
from badges.models import BadgeProgress, BadgeTemplate, Run, TemplateRevision, UserCredential
from badges.rules import to_text
from badges.runs import queue
from badges.runs.models import RunMode


class _ArchivedFilter(admin.SimpleListFilter):
    title = gettext_lazy("archived")
    parameter_name = "archived"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", _("Archived")), ("all", _("All"))]

    def choices(self, changelist: Any) -> Any:
        for choice in super().choices(changelist):
            if choice["query_string"] == changelist.get_query_string(remove=[self.parameter_name]):
                choice["display"] = _("Not archived")
            yield choice

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "yes")


@admin.register(BadgeTemplate)
class BadgeTemplateAdmin(PluginModelAdmin):
    """
    Templates with their requirements and issuers.

    The page is saved as one document by ``badges.catalog.api``. So each change writes a revision, and every process
    compiles the catalog anew. Templates that learners have made progress on are archived, not deleted.
    """

    form = TemplateForm
    list_display = ("name", "slug", "is_active", "demands", "modified_at")
    list_filter = ("is_active", _ArchivedFilter)
    search_fields = ("name", "slug")
    sortable_by = ("name", "slug", "modified_at")
    ordering = ("slug",)
    paginator = CappedPaginator
    show_full_result_count = False
    list_max_show_all = 0
    list_per_page = 50
    prepopulated_fields = {"slug": ("name",)}
    actions = ("activate", "deactivate", "archive", "unarchive", "issue_to_holders")
    save_on_top = False

    # --- display -----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[BadgeTemplate]:
        live = Count("requirements", filter=Q(requirements__archived_at=None), distinct=True)
        return super().get_queryset(request).annotate(live_requirements_count=live)

    def get_fieldsets(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> Any:
        about = ["name", "slug", "description", "image_url"]
        expiry = ("expiry_kind", "expiry_value")
        if obj is None:
            about = [*about, "is_active", "award_once", expiry]
            return [(None, {"fields": about}), _criteria_fieldset(None, "criteria")]
        if not self.has_change_permission(request, obj):
            about = [*about, "at_providers", "archived_at", "is_active", "award_once", "holds", "more"]
            return [(None, {"fields": about}), _criteria_fieldset(obj, "criteria_text")]
        about = [*about, "at_providers", "is_active", "award_once", expiry, "more", "opened_revision"]
        return [(None, {"fields": about}), _criteria_fieldset(obj, "criteria")]

    def get_readonly_fields(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> tuple[str, ...]:
        return ("more", "archived_at", "at_providers", "holds", "criteria_text", "criteria_words") if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> dict[str, Any]:
        return {} if obj else dict(self.prepopulated_fields)

    @admin.display(description=gettext_lazy("requirements"))
    def demands(self, template: Any) -> int:
        return template.live_requirements_count

    @admin.display(description=gettext_lazy("see also"))
    def more(self, template: BadgeTemplate) -> SafeString:
        links = [link for section in sections() for link in section.links(template)]
        return SafeString(" · ".join(links))

    @admin.display(description=gettext_lazy("at providers"))
    def at_providers(self, template: BadgeTemplate) -> SafeString | str:
        """Show what providers say of the template: image, state, and the page where it is managed there."""
        copies = at_providers([template], registry.working()).get(template.pk, ())
        return format_html_join(mark_safe("<br>"), "{}", ((shown_copy(copy),) for copy in copies)) or "-"

    @admin.display(description=gettext_lazy("holds"))
    def holds(self, template: BadgeTemplate) -> str:
        return describe_expiry(expiry_of(template))

    @admin.display(description=gettext_lazy("criteria"))
    def criteria_text(self, template: BadgeTemplate) -> SafeString | str:
        document = criteria_of(template)
        return "-" if document is None else pretty(to_text(in_reading_order(document)))

    @admin.display(description=gettext_lazy("in words"))
    def criteria_words(self, template: BadgeTemplate) -> SafeString:
        document = criteria_of(template)
        if document is None:
            return SafeString("-")
        return criteria_in_words(document, counts_from=counts_from_of(template), now=timezone.now())

    def get_inlines(self, request: HttpRequest, obj: BadgeTemplate | None) -> list[Any]:
        return [section.inline for section in sections() if section.inline and (obj or section.inline_of_new)]

    def get_urls(self) -> list[Any]:
        return [url for section in sections() for url in section.urls(self)] + super().get_urls()

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        template = kwargs.get("obj")
        for section in sections():
            context |= section.context(request, template)
            if template and self.has_change_permission(request, template):
                for warning in section.warnings(request, template):
                    self.message_user(request, warning, messages.WARNING)
        context["badges_below_templates"] = [one.below_template_name for one in sections() if one.below_template_name]
        context["badges_section_templates"] = [section.template_name for section in sections() if section.template_name]
        return super().render_change_form(request, context, *args, **kwargs)

    # --- permissions --------------------------------------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.archived_at)

    def has_delete_permission(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> bool:
        if not super().has_delete_permission(request, obj):
            return False
        return obj is None or not (obj.is_active or _is_used(obj))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Remove the bulk deletion. A template is deleted on its page, where the permission is checked."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Allow deleting the revisions of a template with it, although nobody may delete a single revision."""
        to_delete, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        return to_delete, counts, perms_needed - {TemplateRevision._meta.verbose_name}, protected

    # --- saving ------------------------------------------------------------------------------------------------------

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        event_types.refreshed()  # the page offers the event types of this site as they are now
        # Validated and saved under one lock: otherwise another editor could save between the two.
        turn = editing_transaction() if request.method == "POST" else nullcontext()
        try:
            with turn:
                return super().changeform_view(request, *args, **kwargs)
        except DocumentError as error:  # what the forms cannot detect, such as a setting that has changed
            for problem in error.problems:
                self.message_user(request, str(problem), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: BadgeTemplate, form: Any, change: bool) -> None:
        """Do nothing: ``save_related`` saves the whole page as one document."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        stored = BadgeTemplate.objects.get(pk=form.instance.pk) if change else None
        saved = save_template(_document_of(form, formsets, stored=stored), author=request.user, now=timezone.now())
        assert saved.stored is not None
        form.instance.pk = saved.stored.template.pk
        form.instance.uuid = saved.stored.template.uuid
        form.instance._state.adding = False
        form.instance.changes = saved.changes
        self._warn(request, saved.document)
        if saved.changes or not change:
            self._offer_backfill(request, saved)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        if add:
            return [{"added": {}}]
        return "; ".join(map(str, form.instance.changes)) or []

    # --- actions -----------------------------------------------------------------------------------------------------

    def has_issue_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "add", Run)

    @admin.action(
        description=gettext_lazy("Issue at their providers to those who hold the badge already"), permissions=["issue"]
    )
    def issue_to_holders(self, request: HttpRequest, queryset: QuerySet[BadgeTemplate]) -> None:
        """Start a run for each template: a provider was added after badges were awarded."""
        for slug in queryset.order_by("slug").values_list("slug", flat=True):
            try:
                run = queue.start(KIND, mode=RunMode.APPLY, parameters={"template": slug}, person=request.user)
            except Permanent as error:
                text = _("Template %(slug)s: %(error)s") % {"slug": slug, "error": error}
                self.message_user(request, text, messages.ERROR)
            else:
                text = format_html(_("Template {}: {}"), slug, link_to(run, _("the run was started")))
                self.message_user(request, text, messages.SUCCESS)

    @admin.action(description=gettext_lazy("Activate"), permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[BadgeTemplate]) -> None:
        self._save_each(request, queryset.filter(archived_at=None), {"is_active": True})

    @admin.action(description=gettext_lazy("Deactivate"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[BadgeTemplate]) -> None:
        self._save_each(request, queryset.filter(archived_at=None), {"is_active": False})

    @admin.action(description=gettext_lazy("Restore from the archive, inactive"), permissions=["change"])
    def unarchive(self, request: HttpRequest, queryset: QuerySet[BadgeTemplate]) -> None:
        self._save_each(request, queryset.exclude(archived_at=None), {"is_active": False})

    @admin.action(description=gettext_lazy("Archive"), permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[BadgeTemplate]) -> None:
        def archive_one(template: BadgeTemplate) -> None:
            archive_template(template, author=request.user, now=timezone.now())

        self._apply_to_each(request, queryset.filter(archived_at=None), archive_one)

    def _save_each(self, request: HttpRequest, rows: QuerySet[BadgeTemplate], change: Document) -> None:
        def save(template: BadgeTemplate) -> None:
            saved = save_template(export_template(template) | change, author=request.user, now=timezone.now())
            self._warn(request, saved.document)
            if saved.changes:
                self._offer_backfill(request, saved)

        self._apply_to_each(request, rows, save)

    def _offer_backfill(self, request: HttpRequest, saved: SaveResult) -> None:
        """Tell who has just saved an active template that what happened before does not count, and what to do."""
        offered = backfill.offer(request, saved.document, saved.stored.template) if saved.stored else None
        if offered is not None:
            self.message_user(request, offered, messages.INFO)

    def _warn(self, request: HttpRequest, document: Document) -> None:
        """
        Tell who has saved a template what it most likely does not mean.

        A badge that no event gives is told of when it is activated: the requirements may have been forgotten.
        """
        if document["is_active"] and given_by_people_only(document):
            text = _(
                "Only people give the badge %(slug)s: it has no requirement, no criteria and no badge condition, so no "
                "event gives it."
            )
            self.message_user(request, text % {"slug": document["slug"]}, messages.WARNING)
        if "_continue" not in request.POST:  # the page shows them itself
            for caution in cautions_of(document):
                text = _("Template %(slug)s: %(error)s") % {"slug": document["slug"], "error": caution}
                self.message_user(request, text, messages.WARNING)

    def _apply_to_each(
        self, request: HttpRequest, rows: QuerySet[BadgeTemplate], work: Callable[[BadgeTemplate], None]
    ) -> None:
        done = 0
        for template in rows:
            try:
                work(template)
            except DocumentError as error:
                for problem in error.problems:
                    self.message_user(request, f"{template.slug}: {problem}", messages.ERROR)
                continue
            done += 1
            self.log_change(request, template, request.POST["action"])
        if done:
            text = ngettext("%d template was changed.", "%d templates were changed.", done) % done
            self.message_user(request, text, messages.SUCCESS)


def _criteria_fieldset(template: BadgeTemplate | None, field: str) -> Any:
    """Return the fieldset of the criteria document, closed when there is none."""
    given = template is not None and criteria_of(template) is not None
    options: dict[str, Any] = {
        "fields": [field, "criteria_words"] if given else [field],
        "description": _(
            "When the badge is earned, beyond single events: counts, periods, sequences. "
            "A template with requirements and criteria needs both."
        ),
    }
    return _("Criteria"), options if given else options | {"classes": ["collapse"]}


def _is_used(template: BadgeTemplate) -> bool:
    rows = BadgeTemplate.objects.filter(pk=template.pk)
    earned = BadgeProgress.objects.filter(template=OuterRef("pk"))
    held = UserCredential.objects.filter(template=OuterRef("pk"))
    return rows.filter(Exists(earned) | Exists(held)).exists()


def _document_of(form: TemplateForm, formsets: Any, *, stored: BadgeTemplate | None) -> Document:
    """Return the input as a template entry of a pack. Keys that the page does not show keep their stored values."""
    document = template_document(form, stored=stored)
    for formset in formsets:
        if section := section_of(formset):
            section.write(document, formset)
    return document
