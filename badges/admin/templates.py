"""Badge templates: designers edit, activate and archive them. Each has one page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from badges.admin.descriptions import KINDS, describe_rules
from badges.admin.template_forms import (
    MOST_REQUIREMENTS,
    IssuerForm,
    RequirementForm,
    RequirementFormSet,
    TemplateForm,
    document_of,
    fits_one_page,
)
from badges.catalog import event_types
from badges.catalog.api import (
    Document,
    DocumentError,
    archive_template,
    editing_transaction,
    export_template,
    save_template,
)
from badges.common.admin import CappedPaginator, link_to_list
from badges.models import (
    BadgeProgress,
    BadgeRequirement,
    BadgeTemplate,
    TemplateIssuer,
    TemplateRevision,
    UserCredential,
)
from badges.rules import Kind, Shape, operators_for


class _TemplateInlineMixin:
    """Users who may change a template may change its requirements and issuers, without further permissions."""

    def _may(self, request: HttpRequest, obj: BadgeTemplate | None) -> bool:
        verb = "add" if obj is None or obj.pk is None else "change"
        return request.user.has_perm(f"lms_badges.{verb}_badgetemplate") and not (obj and obj.archived_at)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return any(request.user.has_perm(f"lms_badges.{verb}_badgetemplate") for verb in ("view", "change", "add"))


class RequirementInline(_TemplateInlineMixin, admin.StackedInline):
    """The requirements with their data rules."""

    model = BadgeRequirement
    form = RequirementForm
    formset = RequirementFormSet
    can_delete = False  # removed requirements are archived, because fulfilments point at them
    verbose_name = gettext_lazy("requirement")
    verbose_name_plural = gettext_lazy("requirements")

    def _may(self, request: HttpRequest, obj: BadgeTemplate | None) -> bool:
        return super()._may(request, obj) and (obj is None or obj.pk is None or _fits(request, obj))

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        if self._may(request, obj):
            return super().get_formset(
                request, obj, max_num=MOST_REQUIREMENTS, absolute_max=MOST_REQUIREMENTS, **kwargs
            )
        shown = BadgeRequirement.objects.filter(template=obj).count()
        return super().get_formset(request, obj, max_num=0, absolute_max=shown, **kwargs)

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 1

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if not self._may(request, obj):
            return ["event_type", "description", "group", "key", "rules_text"]
        return ["event_type", "rules", "description", "group", "key", "removed"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if self._may(request, obj) else ("rules_text",)

    @admin.display(description=gettext_lazy("data rules"))
    def rules_text(self, requirement: BadgeRequirement) -> str:
        return describe_rules(requirement.rules.all(), requirement.event_type)


class IssuerInline(_TemplateInlineMixin, admin.TabularInline):
    """The providers at which the badge is issued."""

    model = TemplateIssuer
    form = IssuerForm
    extra = 0
    verbose_name = gettext_lazy("provider")
    verbose_name_plural = gettext_lazy("providers where the badge is issued (optional)")


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
class BadgeTemplateAdmin(admin.ModelAdmin):
    """
    Templates with their requirements and issuers.

    The page is saved as one document by ``badges.catalog.api``. So each change writes a revision, and every process
    compiles the catalog anew. Templates that learners have made progress on are archived, not deleted.
    """

    form = TemplateForm
    inlines = (RequirementInline, IssuerInline)
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
    actions = ("activate", "deactivate", "archive", "unarchive")
    save_on_top = False

    # --- display -----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[BadgeTemplate]:
        live = Count("requirements", filter=Q(requirements__archived_at=None), distinct=True)
        return super().get_queryset(request).annotate(live_requirements_count=live)

    def get_fieldsets(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> Any:
        about = ["name", "slug", "description", "image_url"]
        if obj is None:
            return [(None, {"fields": [*about, "is_active", "award_once"]})]
        if not self.has_change_permission(request, obj):
            about = [*about, "archived_at"]
            return [(None, {"fields": [*about, "is_active", "award_once", "more"]})]
        return [(None, {"fields": [*about, "is_active", "award_once", "more", "opened_revision"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> tuple[str, ...]:
        return ("more", "archived_at") if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> dict[str, Any]:
        return {} if obj else dict(self.prepopulated_fields)

    @admin.display(description=gettext_lazy("requirements"))
    def demands(self, template: Any) -> int:
        return template.live_requirements_count

    @admin.display(description=gettext_lazy("see also"))
    def more(self, template: BadgeTemplate) -> SafeString:
        links = (
            link_to_list(TemplateRevision, _("revisions"), template__id__exact=template.pk),
            link_to_list(UserCredential, _("credentials"), template__id__exact=template.pk),
            link_to_list(BadgeProgress, _("progress"), template__id__exact=template.pk),
        )
        return SafeString(" · ".join(links))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["badges_event_types"] = _event_type_options()
        template = kwargs.get("obj")
        if template and self.has_change_permission(request, template) and not _fits(request, template):
            message = _(
                "This template has too many requirements to be edited on a page, so they are only shown. "
                "Change them in a pack: manage.py badges_pack export, then apply."
            )
            self.message_user(request, message, messages.WARNING)
        context["badges_operators"] = {kind: operators_for(Shape(kind)) for kind in Kind}
        return super().render_change_form(request, context, *args, **kwargs)

    # --- permissions --------------------------------------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.archived_at)

    def has_delete_permission(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> bool:
        if not super().has_delete_permission(request, obj):
            return False
        return obj is None or not (obj.is_active or _is_used(obj))

    def has_view_permission(self, request: HttpRequest, obj: BadgeTemplate | None = None) -> bool:
        return any(request.user.has_perm(f"lms_badges.{verb}_badgetemplate") for verb in ("view", "change"))

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
        saved = save_template(document_of(form, formsets, stored=stored), author=request.user, now=timezone.now())
        assert saved.stored is not None
        form.instance.pk = saved.stored.template.pk
        form.instance.uuid = saved.stored.template.uuid
        form.instance._state.adding = False
        form.instance.changes = saved.changes

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        if add:
            return [{"added": {}}]
        return "; ".join(map(str, form.instance.changes)) or []

    # --- actions -----------------------------------------------------------------------------------------------------

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
            save_template(export_template(template) | change, author=request.user, now=timezone.now())

        self._apply_to_each(request, rows, save)

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


def _fits(request: HttpRequest, template: BadgeTemplate) -> bool:
    """Return whether the template can be edited on one page; counted once for each request."""
    known = request.__dict__.setdefault("_lms_badges_fits", {})
    if template.pk not in known:
        known[template.pk] = fits_one_page(template)
    return known[template.pk]


def _is_used(template: BadgeTemplate) -> bool:
    rows = BadgeTemplate.objects.filter(pk=template.pk)
    earned = BadgeProgress.objects.filter(template=OuterRef("pk"))
    held = UserCredential.objects.filter(template=OuterRef("pk"))
    return rows.filter(Exists(earned) | Exists(held)).exists()


def _event_type_options() -> list[dict[str, Any]]:
    """Return the configured event types with their key paths and kinds, for the form."""
    return [
        {
            "type": name,
            "paths": [{"path": path, "kind": kind, "words": str(KINDS[kind])} for path, kind in definition.key_paths()],
        }
        for name, definition in sorted(event_types.configured().items())
    ]
