"""The sections of a template's page that the catalog itself has: requirements, providers, and links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges import api, granting
from badges.admin.criteria_tryout import TryoutForm, show_reference, try_criteria
from badges.admin.decisions import AWARDED, AwardTemplateForm, decided, decider, decision_page, may_award
from badges.admin.descriptions import describe_values
from badges.admin.penalty_forms import PenaltyForm, PenaltyFormSet, penalty_documents
from badges.admin.template_forms import (
    MOST_PENALTIES,
    MOST_REQUIREMENTS,
    IssuerForm,
    RequirementForm,
    RequirementFormSet,
    fits_one_page,
    issuer_documents,
    requirement_documents,
)
from badges.admin.template_sections import TemplateSection, register
from badges.admin.why import why_address
from badges.catalog import event_types
from badges.catalog.api import Document, export_template
from badges.catalog.rule_words import describe_rules
from badges.common.admin import link_to_list
from badges.common.permissions import may
from badges.explanations import may_explain_everybody
from badges.issuers.cautions import cautions_of
from badges.models import (
    BadgePenalty,
    BadgeProgress,
    BadgeRequirement,
    BadgeTemplate,
    LoggedEvent,
    TemplateIssuer,
    TemplateRevision,
    UserCredential,
)
from badges.rules import Kind, Shape, operators_for


class TemplateInlineMixin:
    """Users who may change a template may change its requirements and issuers, without further permissions."""

    def _may(self, request: HttpRequest, obj: BadgeTemplate | None) -> bool:
        verb = "add" if obj is None or obj.pk is None else "change"
        return may(request.user, verb, BadgeTemplate) and not (obj and obj.archived_at)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return any(may(request.user, verb, BadgeTemplate) for verb in ("view", "change", "add"))


class RequirementInline(TemplateInlineMixin, admin.StackedInline):
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


class PenaltyInline(TemplateInlineMixin, admin.StackedInline):
    """The penalties with their data rules. They name requirements, so a template is saved before it has any."""

    model = BadgePenalty
    form = PenaltyForm
    formset = PenaltyFormSet
    extra = 0
    verbose_name = gettext_lazy("penalty")
    verbose_name_plural = gettext_lazy("penalties (optional): events that take back what was fulfilled before")

    def _may(self, request: HttpRequest, obj: BadgeTemplate | None) -> bool:
        return super()._may(request, obj) and (obj is None or obj.pk is None or _fits(request, obj))

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        if self._may(request, obj):
            return super().get_formset(request, obj, max_num=MOST_PENALTIES, absolute_max=MOST_PENALTIES, **kwargs)
        shown = BadgePenalty.objects.filter(template=obj).count()
        return super().get_formset(request, obj, max_num=0, absolute_max=shown, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        editable = self._may(request, obj)
        return ["event_type", "rules", "resets"] if editable else ["event_type", "rules_text", "resets_text"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if self._may(request, obj) else ("rules_text", "resets_text")

    @admin.display(description=gettext_lazy("data rules"))
    def rules_text(self, penalty: BadgePenalty) -> str:
        return describe_rules(penalty.rules.all(), penalty.event_type)

    @admin.display(description=gettext_lazy("requirements that it resets"))
    def resets_text(self, penalty: BadgePenalty) -> str:
        return ", ".join(sorted(requirement.key for requirement in penalty.requirements.all()))


class IssuerInline(TemplateInlineMixin, admin.TabularInline):
    """The providers at which the badge is issued."""

    model = TemplateIssuer
    form = IssuerForm
    extra = 0
    verbose_name = gettext_lazy("provider")
    verbose_name_plural = gettext_lazy("providers where the badge is issued (optional)")


@register
class RequirementsSection(TemplateSection):
    """The requirements, with the key paths and operators that a form offers."""

    order = 10
    inline = RequirementInline
    template_name = "lms_badges/template_requirements.html"

    def write(self, document: Document, formset: Any) -> None:
        if formset.max_num:  # otherwise the requirements are only shown
            document["requirements"] = requirement_documents(formset, before=document.get("requirements", []))

    def context(self, request: HttpRequest, template: BadgeTemplate | None) -> dict[str, Any]:
        return {
            "badges_event_types": _event_type_options(),
            "badges_operators": {kind: operators_for(Shape(kind)) for kind in Kind},
        }

    def warnings(self, request: HttpRequest, template: BadgeTemplate) -> Sequence[str]:
        # Whoever has just sent the form sees what is wrong with it first.
        found = cautions_of(export_template(template)) if request.method == "GET" else []
        warnings = [str(caution) for caution in found]
        if _fits(request, template):
            return warnings
        return [
            *warnings,
            _(
                "This template has too many requirements or penalties to be edited on a page, so they are only shown. "
                "Change them in a pack: manage.py badges_pack export, then apply."
            ),
        ]


@register
class CriteriaSection(TemplateSection):
    """The box below the form that tries out the criteria document, and the pages about the language."""

    order = 20
    below_template_name = "lms_badges/template_criteria.html"

    def context(self, request: HttpRequest, template: BadgeTemplate | None) -> dict[str, Any]:
        may_view_log = may(request.user, "view", LoggedEvent)
        return {"badges_tryout": TryoutForm(may_view_log=may_view_log, initial={"template": template and template.pk})}

    def urls(self, model_admin: Any) -> Sequence[Any]:
        wrap = model_admin.admin_site.admin_view
        return [
            path("criteria/try/", wrap(try_criteria), name="lms_badges_try_criteria"),
            path("criteria/reference/", wrap(show_reference), name="lms_badges_criteria_reference"),
        ]


@register
class PenaltiesSection(TemplateSection):
    """The penalties."""

    order = 30
    inline = PenaltyInline
    inline_of_new = False

    def write(self, document: Document, formset: Any) -> None:
        if formset.max_num:  # otherwise the penalties are only shown
            document["penalties"] = penalty_documents(formset)


@register
class IssuersSection(TemplateSection):
    """Where the badge is issued."""

    order = 40
    inline = IssuerInline

    def write(self, document: Document, formset: Any) -> None:
        document["issuers"] = issuer_documents(formset)


@register
class RevisionsSection(TemplateSection):
    """The links to what a template has had and has caused."""

    order = 90

    def links(self, template: BadgeTemplate) -> Sequence[SafeString]:
        return (
            link_to_list(TemplateRevision, _("revisions"), template__id__exact=template.pk),
            link_to_list(UserCredential, _("credentials"), template__id__exact=template.pk),
            link_to_list(BadgeProgress, _("progress"), template__id__exact=template.pk),
        )


@register
class AwardSection(TemplateSection):
    """The button that awards the badge to a learner."""

    order = 80
    template_name = "lms_badges/template_award.html"

    def context(self, request: HttpRequest, template: BadgeTemplate | None) -> dict[str, Any]:
        if template is None or not may_award(request.user):
            return {}
        if not granting.awardable_templates().filter(pk=template.pk).exists():
            return {}
        return {"badges_award_address": reverse("admin:lms_badges_badgetemplate_award", args=[template.pk])}

    def urls(self, model_admin: Any) -> Sequence[Any]:
        def award(request: HttpRequest, object_id: str) -> HttpResponse:
            return _award(request, model_admin, object_id)

        view = model_admin.admin_site.admin_view(award)
        return [path("<path:object_id>/award/", view, name="lms_badges_badgetemplate_award")]


@register
class WhySection(TemplateSection):
    """The button that leads to why somebody did or did not get the badge."""

    order = 85
    template_name = "lms_badges/template_why.html"

    def context(self, request: HttpRequest, template: BadgeTemplate | None) -> dict[str, Any]:
        if template is None or not may_explain_everybody(request.user):
            return {}
        return {"badges_why_address": why_address(template=template.slug)}


def _award(request: HttpRequest, model_admin: Any, object_id: str) -> HttpResponse:
    """Award the badge of a template to a learner."""
    if not (model_admin.has_view_permission(request) and may_award(request.user)):
        raise PermissionDenied
    template = model_admin.get_object(request, unquote(object_id))
    if template is None:
        raise Http404

    def decide(given: dict[str, Any]) -> HttpResponse:
        awarded = api.award(given["person"], template.slug, by=decider(request), reason=given["reason"])
        return decided(request, model_admin, awarded, text=AWARDED, back=template)

    return decision_page(
        request,
        model_admin,
        template,
        form_class=AwardTemplateForm,
        title=_("Award to a learner"),
        button=_("Award"),
        explanation=_("The learner gets %(badge)s, whatever its requirements say.") % {"badge": template.name},
        decide=decide,
    )


def _fits(request: HttpRequest, template: BadgeTemplate) -> bool:
    """Return whether the template can be edited on one page; counted once for each request."""
    known = request.__dict__.setdefault("_lms_badges_fits", {})
    if template.pk not in known:
        known[template.pk] = fits_one_page(template)
    return known[template.pk]


def _event_type_options() -> list[dict[str, Any]]:
    """Return the configured event types with their key paths and kinds, for the form."""
    return [
        {
            "type": name,
            "paths": [
                {"path": path, "kind": kind, "words": describe_values(path, kind, definition.note(path))}
                for path, kind in definition.key_paths()
            ],
        }
        for name, definition in sorted(event_types.configured().items())
    ]
