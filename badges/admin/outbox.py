"""The outbox: what must happen outside, what did, what it waits for, and what operators do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from badges import delivery
from badges.admin.decisions import ButtonsMixin, DecisionForm, decision_page, reason_field
from badges.admin.descriptions import describe_waiting, pretty
from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, learner_ids_for
from badges.common.admin import admin_url, format_time, link_to, link_to_list
from badges.common.entry_points import installed_names
from badges.issuers import registry
from badges.models import BadgeTemplate, Circuit, OutboxMessage, OutboxState, UserCredential
from badges.outbox import channels, circuit

# A search for the beginning of a username may find many learners. So many of their credentials are looked at.
MOST_CREDENTIALS = 5_000
# A filter by template looks at so many of its credentials, the latest ones.
MOST_OF_A_TEMPLATE = 20_000
MOST_TEMPLATES = 200
LONGEST_REASON = 300

ABOUT_KEYS = gettext_lazy(
    "Rows with the same channel and ordering key are delivered in their order, one at a time. For badges at providers "
    "it stands for a learner and a template, for announcements it is the learner's number."
)
ABOUT_CIRCUITS = gettext_lazy(
    "A circuit stands for something that many rows need, such as an organization at a provider, a template there, or "
    "the mail server. While it is open its rows wait, and lose no attempt. Then one row is tried; when that works, the "
    "others follow."
)


class _ChannelFilter(admin.SimpleListFilter):
    title = gettext_lazy("channel")
    parameter_name = "channel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        providers = registry.slugs()
        return [(name, _name_of_channel(name, providers)) for name in installed_names(channels.GROUP)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(channel=self.value()) if self.value() else queryset


class _ProviderFilter(admin.SimpleListFilter):
    title = gettext_lazy("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("any", _("any provider")), *((slug, slug) for slug in registry.slugs())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "any":
            return queryset.filter(channel__in=registry.slugs())
        return queryset.filter(channel=self.value()) if self.value() else queryset


class _TemplateFilter(admin.SimpleListFilter):
    """Filters messages about badges at providers by their template."""

    title = gettext_lazy("template, at providers")
    parameter_name = "template"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        issued = BadgeTemplate.objects.filter(issuers__isnull=False).distinct().order_by("slug")
        return list(issued.values_list("slug", "name")[:MOST_TEMPLATES])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        held = UserCredential.objects.filter(template__slug=self.value()).order_by("-awarded_at")
        keys = set(held.values_list("learner_template_id", flat=True)[:MOST_OF_A_TEMPLATE])
        return queryset.filter(key__in=[str(key) for key in keys])


class _ReasonForm(ActionForm):
    """The actions of the list, with the reason that two of them need."""

    reason = forms.CharField(
        label=gettext_lazy("Reason, to give up or close:"), max_length=LONGEST_REASON, required=False
    )


class _NoInput(DecisionForm):
    """Nothing is asked for."""


class _WhyForm(DecisionForm):
    """Why a row is not delivered."""

    reason = reason_field(
        gettext_lazy("Reason"), LONGEST_REASON, gettext_lazy("Staff can read it in the outbox."), required=True, rows=2
    )


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ButtonsMixin, ExactSearchMixin, ReadOnlyAdmin):
    """Announcements, badges to be issued, and whatever else waits to be delivered."""

    list_display = (
        *("sequence", "channel", "type", "state", "last_error", "waits_for", "key", "created_at", "due_at", "attempts"),
    )
    list_filter = ("state", _ChannelFilter, _ProviderFilter, _TemplateFilter, "created_at")
    search_help_text = gettext_lazy("An LMS user id, a username or its beginning, or the UUID of a learner.")
    actions = ("retry_dead_letters", "try_waiting_rows_now", "give_up_waiting_rows", "close_dead_letters")
    action_form = _ReasonForm
    actions_selection_counter = True  # with it comes the link that selects all rows of a filter

    def get_fieldsets(self, request: HttpRequest, obj: OutboxMessage | None = None) -> Any:
        about = ("sequence", "id", "channel", "type", "stored_payload", "created_at")
        delivered = ("state", "waiting_for", "due_at", "attempts", "failing_since", "last_error", "finished_at")
        closed = ("closing_reason",) if obj is not None and obj.closing_reason else ()
        return [
            (None, {"fields": about}),
            (_("Delivery"), {"fields": (*delivered, *closed)}),
            (_("Order"), {"fields": ("key",), "description": ABOUT_KEYS}),
            (_("Circuit"), {"fields": ("circuit_link",), "description": ABOUT_CIRCUITS}),
        ]

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Latest first, by the index that fits the question."""
        return ("-created_at", "-pk") if "state__exact" in request.GET else ("-pk",)

    def search_condition(self, term: str) -> Q:
        """Return the condition of what is about these learners: announcements, and their badges at providers."""
        learners = learner_ids_for(term)
        held = UserCredential.objects.filter(learner__in=learners).order_by("-awarded_at")
        badges = set(held.values_list("learner_template_id", flat=True)[:MOST_CREDENTIALS])
        return Q(key__in=[*map(str, learners), *map(str, badges)])

    # --- display -----------------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("payload"))
    def stored_payload(self, message: OutboxMessage) -> SafeString:
        return pretty(message.payload)

    @admin.display(description=gettext_lazy("waits for"))
    def waits_for(self, message: OutboxMessage) -> str:
        return describe_waiting(message, now=timezone.now())

    @admin.display(description=gettext_lazy("waits for"))
    def waiting_for(self, message: OutboxMessage) -> SafeString | str:
        earlier = OutboxMessage.objects.filter(
            channel=message.channel, key=message.key, state=OutboxState.PENDING, sequence__lt=message.sequence
        )
        if message.state == OutboxState.PENDING and (first := earlier.order_by("sequence").first()) is not None:
            return format_html("{} {}", _("an earlier row of the same ordering key:"), link_to(first))
        found = Circuit.objects.filter(name=message.postponed_for).first() if message.postponed_for else None
        if message.state == OutboxState.PENDING and found is not None and found.open_until is not None:
            return format_html("{} – {}", found.get_reason_display() or _("its turn"), found.message or found.name)
        return self.waits_for(message)

    @admin.display(description=gettext_lazy("circuit"))
    def circuit_link(self, message: OutboxMessage) -> SafeString | str:
        found = Circuit.objects.filter(name=message.postponed_for).first() if message.postponed_for else None
        return link_to(found) if found else message.postponed_for or _("None holds this row back.")

    # --- what operators do -------------------------------------------------------------------------------------------

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "retry")

    def has_close_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "close")

    @admin.action(description=gettext_lazy("Try dead letters again"), permissions=["retry"])
    def retry_dead_letters(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = delivery.requeue(queryset)
        text = ngettext("%d dead letter is tried again.", "%d dead letters are tried again.", count) % count
        self._tell(request, count, text)

    @admin.action(description=gettext_lazy("Try waiting rows now"), permissions=["retry"])
    def try_waiting_rows_now(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = delivery.try_now(queryset)
        self._tell(request, count, ngettext("%d row is tried now.", "%d rows are tried now.", count) % count)

    @admin.action(description=gettext_lazy("Give up waiting rows (dead letters)"), permissions=["close"])
    def give_up_waiting_rows(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        if reason := self._reason(request):
            count = delivery.give_up(queryset, reason=reason)
            self._tell(request, count, ngettext("%d row was given up.", "%d rows were given up.", count) % count)

    @admin.action(description=gettext_lazy("Close dead letters for good"), permissions=["close"])
    def close_dead_letters(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        if reason := self._reason(request):
            count = delivery.close(queryset, reason=reason)
            text = ngettext("%d dead letter was closed.", "%d dead letters were closed.", count) % count
            self._tell(request, count, text)

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path(f"<path:object_id>/{verb}/", wrap(view), name=f"lms_badges_outboxmessage_{verb}")
            for verb, view in (("retry", self.retry_one), ("give-up", self.give_up_one), ("close", self.close_one))
        ] + super().get_urls()

    def buttons(self, request: HttpRequest, row: OutboxMessage) -> list[tuple[str, Any]]:
        is_open = row.state in (OutboxState.PENDING, OutboxState.DEAD)
        found: list[tuple[str, Any]] = []
        if is_open and self.has_retry_permission(request):
            found.append(("retry", _("Try again now")))
        if row.state == OutboxState.PENDING and self.has_close_permission(request):
            found.append(("give-up", _("Give up")))
        if row.state == OutboxState.DEAD and self.has_close_permission(request):
            found.append(("close", _("Close for good")))
        return [(reverse(f"admin:lms_badges_outboxmessage_{verb}", args=[row.pk]), text) for verb, text in found]

    def retry_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Try a dead letter again, or a waiting row now."""
        row = self._row(request, object_id, "retry")

        def decide(given: dict[str, Any], rows: QuerySet[OutboxMessage]) -> int:
            return delivery.requeue(rows) + delivery.try_now(rows)

        explanation = _("The row is tried as if for the first time, once its earlier rows are delivered.")
        return self._page(request, row, _NoInput, _("Try again now"), explanation, decide)

    def give_up_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make a dead letter of a waiting row."""
        row = self._row(request, object_id, "close")

        def decide(given: dict[str, Any], rows: QuerySet[OutboxMessage]) -> int:
            return delivery.give_up(rows, reason=given["reason"])

        explanation = _("The row becomes a dead letter and lets the next row of its ordering key pass.")
        return self._page(request, row, _WhyForm, _("Give up"), explanation, decide)

    def close_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Close a dead letter for good."""
        row = self._row(request, object_id, "close")

        def decide(given: dict[str, Any], rows: QuerySet[OutboxMessage]) -> int:
            return delivery.close(rows, reason=given["reason"])

        explanation = _(
            "The row is never delivered, and is a dead letter no more. It is deleted as delivered rows are."
        )
        return self._page(request, row, _WhyForm, _("Close for good"), explanation, decide)

    def _row(self, request: HttpRequest, object_id: str, verb: str) -> OutboxMessage:
        if not (self.has_view_permission(request) and self.may(request, verb)):
            raise PermissionDenied
        row: OutboxMessage | None = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def _page(
        self,
        request: HttpRequest,
        row: OutboxMessage,
        form_class: type[DecisionForm],
        title: str,
        explanation: str,
        work: Callable[[dict[str, Any], QuerySet[OutboxMessage]], int],
    ) -> HttpResponse:
        def decide(given: dict[str, Any]) -> HttpResponse:
            if work(given, OutboxMessage.objects.filter(pk=row.pk)):
                self.log_change(request, row, f"{title}. {given.get('reason', '')}".strip())
                self.message_user(request, _("Done."), messages.SUCCESS)
            else:
                text = _("Nothing was done: the row is finished, or a worker has it at the moment.")
                self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(admin_url(row))

        return decision_page(
            request,
            self,
            row,
            form_class=form_class,
            title=title,
            button=title,
            explanation=explanation,
            decide=decide,
        )

    def _reason(self, request: HttpRequest) -> str:
        reason = " ".join(request.POST.get("reason", "").split())[:LONGEST_REASON]
        if not reason:
            self.message_user(request, _("Enter a reason beside the action; nothing was changed."), messages.ERROR)
        return reason

    def _tell(self, request: HttpRequest, count: int, text: str) -> None:
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)


@admin.register(Circuit)
class CircuitAdmin(ReadOnlyAdmin):
    """What many rows need and cannot use at the moment, since when and why."""

    list_display = ("name", "status", "since", "open_until", "message", "waiting_rows")
    list_filter = ("reason",)
    ordering = ("-since", "name")
    actions = ("try_again_now",)

    def get_fieldsets(self, request: HttpRequest, obj: Circuit | None = None) -> Any:
        fields = ("name", "status", "since", "message", "open_until", "failures", "pace", "waiting_rows")
        return [(None, {"fields": fields, "description": ABOUT_CIRCUITS})]

    @admin.display(description=gettext_lazy("status"))
    def status(self, row: Circuit) -> str:
        return str(row.get_reason_display()) if row.open_until is not None else _("in use")

    @admin.display(description=gettext_lazy("pace"))
    def pace(self, row: Circuit) -> str:
        seconds = circuit.seconds_between(row, timezone.now())
        if not seconds:
            return _("as many requests as there are")
        return _("one request in %(seconds).1f s, since %(time)s; more by itself") % {
            "seconds": seconds,
            "time": format_time(row.paced_at),
        }

    @admin.display(description=gettext_lazy("rows that wait for it"))
    def waiting_rows(self, row: Circuit) -> SafeString:
        return link_to_list(OutboxMessage, _("Show"), postponed_for=row.name, state__exact=OutboxState.PENDING)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "retry")

    @admin.action(description=gettext_lazy("Try again now"), permissions=["retry"])
    def try_again_now(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = delivery.probe_now(list(queryset.values_list("name", flat=True)))
        text = ngettext("%d circuit is tried with its next row.", "%d circuits are tried with their next row.", count)
        self.message_user(request, text % count, messages.SUCCESS if count else messages.WARNING)


def _name_of_channel(name: str, providers: list[str]) -> str:
    return _("%(name)s (provider)") % {"name": name} if name in providers else name
