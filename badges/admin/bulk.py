"""Pages on which staff give a CSV file, to award or revoke many badges as one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from badges.admin.decisions import STYLES, decider, may_award, may_revoke, reason_field
from badges.awarding.models import PUBLIC_REASON_LENGTH
from badges.bulk import files, uploads
from badges.bulk.uploads import BulkAction, BulkReasons, Upload
from badges.catalog.causes import REASON_LENGTH
from badges.common.admin import admin_url
from badges.common.permissions import may
from badges.models import Run, RunMode
from badges.runs.queue import RunRefused

# A file may have thousands of mistakes, which are all of one kind then.
MOST_PROBLEMS = 100

PERMISSIONS: dict[BulkAction, Callable[[Any], bool]] = {BulkAction.AWARD: may_award, BulkAction.REVOKE: may_revoke}
TITLES: dict[BulkAction, Promise] = {
    BulkAction.AWARD: gettext_lazy("Award many badges"),
    BulkAction.REVOKE: gettext_lazy("Revoke many badges"),
}
BUTTONS: dict[BulkAction, Promise] = {
    BulkAction.AWARD: gettext_lazy("Award"),
    BulkAction.REVOKE: gettext_lazy("Revoke"),
}
_FOR_STAFF = gettext_lazy("Only staff can read it, in the admin. It counts for rows that have no reason of their own.")


class BulkForm(forms.Form):
    """A file, and the reason of the rows that have none."""

    action = BulkAction.AWARD

    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        help_text=gettext_lazy(
            "The first row has the headings learner, template and, if you like, reason. A learner is a username, an "
            "LMS user id or the UUID of a learner; a template is a slug or a UUID."
        ),
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
    )
    reason = reason_field(gettext_lazy("Reason"), REASON_LENGTH, _FOR_STAFF)

    def clean_file(self) -> Upload:
        """Return what the file means. Nothing of it is awarded or revoked while it has a mistake."""
        file = self.cleaned_data["file"]
        if problem := files.too_big(file.size):
            raise ValidationError(problem)
        upload = uploads.read(file.read(), action=self.action)
        if found := upload.problems:
            more = len(found) - MOST_PROBLEMS
            listed = [*found[:MOST_PROBLEMS], *([_("… and %d more.") % more] if more > 0 else [])]
            raise ValidationError([ValidationError(problem) for problem in listed])
        return upload

    def reasons(self) -> BulkReasons:
        return BulkReasons(self.cleaned_data["reason"])


class BulkRevokeForm(BulkForm):
    """The same, with what the learners may read, and whether they can get the badges again."""

    action = BulkAction.REVOKE
    field_order = ("file", "public_reason", "reason", "block")

    public_reason = reason_field(
        gettext_lazy("Reason for the learners"),
        PUBLIC_REASON_LENGTH,
        gettext_lazy(
            "The learners and everybody who can open the public pages of the badges can read it, and the providers at "
            "which the badges were issued get it."
        ),
        required=True,
        rows=2,
    )
    block = forms.BooleanField(
        label=gettext_lazy("Block the badges for these learners"),
        initial=True,
        required=False,
        help_text=gettext_lazy("The learners do not get the badges again until staff lift the blocks."),
    )

    reason = reason_field(gettext_lazy("Reason for staff"), REASON_LENGTH, _FOR_STAFF)

    def reasons(self) -> BulkReasons:
        given = self.cleaned_data
        return BulkReasons(given["reason"], given["public_reason"], block=given["block"])


FORMS: dict[BulkAction, type[BulkForm]] = {BulkAction.AWARD: BulkForm, BulkAction.REVOKE: BulkRevokeForm}


class BulkMixin:
    """Adds the two pages to the page of user credentials, with buttons above its list."""

    change_list_template = "admin/lms_badges/buttons_change_list.html"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view  # type: ignore[attr-defined]
        return [
            path(_path(action), wrap(self.bulk), {"action": action}, name=_name(action)) for action in BulkAction
        ] + super().get_urls()  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        allowed = [action for action in BulkAction if PERMISSIONS[action](request.user)]
        buttons = [(reverse(f"admin:{_name(action)}"), TITLES[action]) for action in allowed]
        return super().changelist_view(request, {**(extra_context or {}), "badges_buttons": buttons})  # type: ignore[misc]

    def bulk(self, request: HttpRequest, action: BulkAction) -> HttpResponse:
        """Take a file, and start a run that plans or carries it out; or name all of its mistakes."""
        if not PERMISSIONS[action](request.user):
            raise PermissionDenied
        is_sent = request.method == "POST"
        form = FORMS[action](request.POST if is_sent else None, request.FILES if is_sent else None)
        if form.is_valid():
            mode = RunMode.APPLY if "apply" in request.POST else RunMode.PLAN
            try:
                run = uploads.start(form.cleaned_data["file"], form.reasons(), mode=mode, by=decider(request))
            except RunRefused as error:
                form.add_error(None, str(error))
            else:
                return self._started(request, run, form.cleaned_data["file"])
        return self._bulk_page(request, action, form)

    def _started(self, request: HttpRequest, run: Run, upload: Upload) -> HttpResponse:
        """Go to the page of the run, which shows its progress, if the user may view it."""
        number = len(upload.rows)
        if run.mode == RunMode.PLAN:
            text = ngettext(
                "%d row is looked at. Nothing is changed.", "%d rows are looked at. Nothing is changed.", number
            )
        else:
            text = ngettext("%d row is carried out.", "%d rows are carried out.", number)
        self.message_user(request, text % number, messages.SUCCESS)  # type: ignore[attr-defined]
        if repeated := upload.duplicates:
            listed = ", ".join(str(row.number) for row in repeated[:MOST_PROBLEMS])
            listed += ", …" if len(repeated) > MOST_PROBLEMS else ""
            text = _("Rows that repeat an earlier one are left out: %(rows)s.") % {"rows": listed}
            self.message_user(request, text, messages.WARNING)  # type: ignore[attr-defined]
        seen = may(request.user, "view", Run) or may(request.user, "change", Run)
        return HttpResponseRedirect(admin_url(run) if seen else request.get_full_path())

    def _bulk_page(self, request: HttpRequest, action: BulkAction, form: BulkForm) -> HttpResponse:
        shown: Any = form  # Django's stubs ask for a ModelForm, which the helper does not need
        may_view = self.has_view_permission(request)  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "title": TITLES[action],
            "opts": self.opts,  # type: ignore[attr-defined]
            "has_view_permission": may_view,
            "has_file_field": True,
            "media": form.media + STYLES,
            "adminform": AdminForm(shown, [(None, {"fields": list(form.fields)})], {}, model_admin=self),  # type: ignore[arg-type]
            "errors": [*form.errors],
            "button": BUTTONS[action],
            "most_megabytes": files.MOST_MEGABYTES,
        }
        return TemplateResponse(request, "admin/lms_badges/bulk.html", context)


def _path(action: BulkAction) -> str:
    return f"{action.replace('_', '-')}/"


def _name(action: BulkAction) -> str:
    return f"lms_badges_usercredential_{action}"
