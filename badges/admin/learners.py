"""Learners."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from badges import api
from badges.admin.decisions import (
    AWARDED,
    AwardToLearnerForm,
    ButtonsMixin,
    DecisionForm,
    IdentityForm,
    decided,
    decider,
    decision_page,
    may_award,
    suggested_templates,
)
from badges.admin.learner_sections import sections_of
from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, learner_ids_for
from badges.admin.why import why, why_address
from badges.awarding.models import held
from badges.catalog.learner_paths import ExternalIdentity
from badges.common.admin import LongTableAdmin, admin_url, link_to, link_to_list
from badges.common.permissions import may
from badges.exceptions import Permanent
from badges.explanations import may_explain_everybody
from badges.flows.claims import claimed_count
from badges.intake.learners import give_account
from badges.mail.opting_out import has_opted_out
from badges.models import (
    Activity,
    CertificationCompletion,
    InboxMessage,
    Learner,
    LearnerEngagement,
    LearnerIdentity,
    StickerClaim,
    UserCredential,
)
from badges.retirement import RetirementResult


class _TwoLearnersFilter(admin.SimpleListFilter):
    title = gettext_lazy("account of another learner")
    parameter_name = "account"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("due", _("to be given to this one")), ("given", _("was given to the other one"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() not in ("due", "given"):
            return queryset
        given = Q(user=None, lms_user_id=None)
        return queryset.filter(given if self.value() == "given" else ~given, account_learner__isnull=False)


@admin.register(Learner)
class LearnerAdmin(ButtonsMixin, ExactSearchMixin, ReadOnlyAdmin):
    """
    Learners that matched events were about, or whom staff awarded a badge. A button awards one.

    The page of a learner shows the newest credentials, progress and deliveries, each with what can be done about it.
    """

    list_display = ("__str__", "lms_user_id", "created_at")
    list_select_related = ("user",)
    search_help_text = gettext_lazy("An LMS user id, a username or its beginning, or the UUID of a learner.")
    ordering = ("-pk",)
    list_filter = (_TwoLearnersFilter,)
    fields = (
        "uuid",
        "lms_user_id",
        "user",
        "other_learner",
        "created_at",
        "known_at",
        "stickers",
        "xp_and_streaks",
        "wants_mail",
        "badges",
    )

    actions = ("retire",)
    change_form_template = "admin/lms_badges/learner/change_form.html"
    change_list_template = "admin/lms_badges/buttons_change_list.html"

    def has_retire_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "retire")

    @admin.action(description=gettext_lazy("Retire: remove personal data"), permissions=["retire"])
    def retire(self, request: HttpRequest, queryset: QuerySet[Learner]) -> HttpResponse | None:
        """Ask first, with what would go; then do it."""
        learners = list(queryset.order_by("pk")[: self.list_per_page])
        is_confirmed = "confirmed" in request.POST
        results = [api.retire(learner, plan=not is_confirmed) for learner in learners]
        if not is_confirmed:
            return TemplateResponse(request, "admin/lms_badges/learner/retire.html", self._question(request, results))
        for learner in Learner.objects.filter(pk__in=[learner.pk for learner in learners]):
            self.log_change(request, learner, [{"changed": {"name": _("retired"), "object": str(learner.uuid)}}])
        text = ngettext("%d learner was retired.", "%d learners were retired.", len(learners)) % len(learners)
        self.message_user(request, text, messages.SUCCESS)
        return None

    def _question(self, request: HttpRequest, results: list[RetirementResult]) -> dict[str, Any]:
        changed: Counter[tuple[str, str]] = Counter()
        for result in results:
            changed.update({(app, what): n for app, counts in result.counts.items() for what, n in counts.items()})
        return {
            **self.admin_site.each_context(request),
            "title": _("Retire learners"),
            "opts": self.opts,
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "learners": len(results),
            "unknown": sum(1 for result in results if not result.is_remembered),
            "changed": [(app, what, number) for (app, what), number in changed.items() if number],
        }

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        may_ask = may_explain_everybody(request.user)
        buttons = [(why_address(), _("Why did somebody get a badge, or not?"))] if may_ask else []
        return super().changelist_view(request, {**(extra_context or {}), "badges_buttons": buttons})

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Show the page with what other tables have of the learner."""
        learner = kwargs.get("obj")
        context["badges_sections"] = sections_of(learner, request) if learner is not None else ()
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[Any]:
        award, join = self.admin_site.admin_view(self.award), self.admin_site.admin_view(self.join)
        identify = self.admin_site.admin_view(self.identify)
        return [
            path("why/", self.admin_site.admin_view(self.why), name="lms_badges_learner_why"),
            path("<path:object_id>/identify/", identify, name="lms_badges_learner_identify"),
            path("<path:object_id>/award/", award, name="lms_badges_learner_award"),
            path("<path:object_id>/join/", join, name="lms_badges_learner_join"),
            *super().get_urls(),
        ]

    def buttons(self, request: HttpRequest, row: Learner) -> list[tuple[str, str]]:
        offered = []
        if may_explain_everybody(request.user):
            offered.append((why_address(row), _("Why has this learner a badge, or not?")))
        if not row.is_anonymous and may_award(request.user):
            offered.append((reverse("admin:lms_badges_learner_award", args=[row.pk]), _("Award a badge")))
        if not row.is_anonymous and may(request.user, "add", LearnerIdentity):
            offered.append((reverse("admin:lms_badges_learner_identify", args=[row.pk]), _("Add an id elsewhere")))
        if row.account_learner_id and not row.is_anonymous and self.may(request, "join"):
            offered.append((reverse("admin:lms_badges_learner_join", args=[row.pk]), _("Give the account")))
        return offered

    def why(self, request: HttpRequest) -> HttpResponse:
        """Ask why somebody did or did not get a badge."""
        return why(request, self)

    def join(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give the learner the account that another learner of the same person has."""
        if not (self.has_view_permission(request) and self.may(request, "join")):
            raise PermissionDenied
        learner = self.get_object(request, unquote(object_id))
        if learner is None or learner.account_learner is None:
            raise Http404

        def decide(given: dict[str, Any]) -> HttpResponse:
            try:
                give_account(learner)
            except Permanent as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                nameless = Learner(pk=learner.pk, uuid=learner.uuid)  # the host's log must not name people
                self.log_change(request, nameless, _("given the account of another learner"))
                self.message_user(request, _("The learner has the account now."), messages.SUCCESS)
            return HttpResponseRedirect(admin_url(learner))

        return decision_page(
            request,
            self,
            learner,
            form_class=DecisionForm,
            title=_("Give the account"),
            button=_("Give the account"),
            explanation=_(
                "%(learner)s gets the account of the learner %(other)s, because both are the same person. The other "
                "learner keeps its progress and badges, and events do not find it any more. Award by hand what this "
                "learner should have too."
            )
            % {"learner": learner.lms_user_id, "other": learner.account_learner},
            decide=decide,
        )

    def identify(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give the learner an id at another system."""
        if not (self.has_view_permission(request) and may(request.user, "add", LearnerIdentity)):
            raise PermissionDenied
        learner = self.get_object(request, unquote(object_id))
        if learner is None:
            raise Http404

        def decide(given: dict[str, Any]) -> HttpResponse:
            api.link_identity(learner, ExternalIdentity(given["issuer"], given["external_id"]))
            nameless = Learner(pk=learner.pk, uuid=learner.uuid)  # the host's log must not name people
            self.log_change(request, nameless, _("given an id at another system"))
            self.message_user(request, _("Events that hold this id are about the learner now."), messages.SUCCESS)
            return HttpResponseRedirect(admin_url(learner))

        return decision_page(
            request,
            self,
            learner,
            form_class=IdentityForm,
            title=_("Add an id at another system"),
            button=_("Add"),
            explanation=_("Events that hold only this id are about %(learner)s then.") % {"learner": learner},
            decide=decide,
        )

    def award(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Award one of the templates to the learner."""
        if not (self.has_view_permission(request) and may_award(request.user)):
            raise PermissionDenied
        learner = self.get_object(request, unquote(object_id))
        if learner is None:
            raise Http404

        def decide(given: dict[str, Any]) -> HttpResponse:
            awarded = api.award(learner, given["template"], by=decider(request), reason=given["reason"])
            return decided(request, self, awarded, text=AWARDED, back=learner)

        return decision_page(
            request,
            self,
            learner,
            form_class=AwardToLearnerForm,
            title=_("Award a badge"),
            button=_("Award"),
            explanation=_("%(learner)s gets the badge, whatever its requirements say.") % {"learner": learner},
            decide=decide,
            suggestions=suggested_templates(learner),
        )

    def search_condition(self, term: str) -> Q:
        return Q(pk__in=learner_ids_for(term))

    @admin.display(description=gettext_lazy("other learner with the account"))
    def other_learner(self, learner: Learner) -> SafeString | str:
        return link_to(learner.account_learner)

    @admin.display(description=gettext_lazy("known at other systems"))
    def known_at(self, learner: Learner) -> SafeString | str:
        return format_html_join(", ", "{}", ((link_to(row),) for row in learner.identities.order_by("issuer"))) or "-"

    @admin.display(description=gettext_lazy("number of badges"))
    def stickers(self, learner: Learner) -> str:
        number = UserCredential.objects.filter(held(timezone.now()), learner=learner).count()
        return _("%(held)d held, %(claimed)d claimed") % {"held": number, "claimed": claimed_count(learner)}

    @admin.display(description=gettext_lazy("mails about badges"))
    def wants_mail(self, learner: Learner) -> str:
        return _("The learner has opted out.") if has_opted_out(learner.pk) else _("Not opted out.")

    @admin.display(description=gettext_lazy("XP and streaks"))
    def xp_and_streaks(self, learner: Learner) -> str:
        stats = api.engagement_of(learner)
        kinds = ", ".join(f"{kind}: {count}" for kind, count in stats.activities.items())
        if not kinds:
            return "-"
        return _(
            "%(xp)d XP; current streak %(current)d, longest streak %(longest)d (days in a row); activities: %(kinds)s"
        ) % {"xp": stats.total_xp, "current": stats.current_streak, "longest": stats.longest_streak, "kinds": kinds}

    def get_fields(self, request: HttpRequest, obj: Learner | None = None) -> Any:
        """Return the fields; XP and streaks only for who may view them."""
        fields = super().get_fields(request, obj)
        shown = may(request.user, "view", LearnerEngagement)
        return [name for name in fields if shown or name != "xp_and_streaks"]

    @admin.display(description=gettext_lazy("related rows"))
    def badges(self, learner: Learner) -> SafeString:
        links: list[Any] = [
            link_to_list(StickerClaim, _("claims"), q=learner.uuid),
            link_to_list(CertificationCompletion, _("completed certifications"), q=learner.uuid),
            link_to_list(Activity, _("activities"), learner__id__exact=learner.pk),
        ]
        if learner.lms_user_id is not None:
            links.append(link_to_list(InboxMessage, _("inbox messages"), lms_user_id=learner.lms_user_id))
        return SafeString(" · ".join(links))


@admin.register(LearnerIdentity)
class LearnerIdentityAdmin(ExactSearchMixin, LongTableAdmin):
    """Ids of learners at other systems, which staff write."""

    list_display = ("issuer", "subject", "learner", "created_at")
    list_select_related = ("learner__user",)
    search_help_text = gettext_lazy("An id at another system, an LMS user id, or a username or its beginning.")
    ordering = ("-pk",)
    raw_id_fields = ("learner",)

    def search_condition(self, term: str) -> Q:
        return Q(subject=term) | Q(learner__in=learner_ids_for(term))
