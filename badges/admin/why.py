"""
The page on which staff ask why somebody did or did not get a badge.

Who is asked about is sent in the body of a form, because it may be an e-mail address. The page then moves to an address
with the ids of the person here, which can be shared with other staff.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from django import forms
from django.apps import apps
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.widgets import AdminTextInputWidget
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import translation
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges import api
from badges.admin.criteria_texts import trace_tree
from badges.admin.readonly import lms_user_id, uuid_of
from badges.api import Answer, Person
from badges.common.admin import link_to, link_to_list
from badges.common.permissions import may
from badges.exceptions import BadgesError, UnknownPersonError
from badges.explanations import may_explain_everybody
from badges.explanations.sentences import observed_text
from badges.models import BadgeProgress, BadgeTemplate, InboxMessage, Learner, LoggedEvent, UserCredential

MOST_SUGGESTIONS = 200
NOBODY = gettext_lazy(
    "Nothing is known here of this person. Check the username, the e-mail address or the LMS user id."
)
NO_TEMPLATE = gettext_lazy("There is no template with this slug. Write the slug as its page shows it.")
STYLES = forms.Media(css={"all": ["lms_badges/pages.css", "lms_badges/criteria.css"]})


def translated_languages() -> list[tuple[str, str]]:
    """Return the languages of the host in which an answer can be written: English, and those with a catalog."""
    folder = Path(apps.get_app_config("lms_badges").path) / "locale"
    known = {"en", *(path.name for path in folder.iterdir())}
    return [
        (code, translation.get_language_info(code)["name_local"]) for code, _name in settings.LANGUAGES if code in known
    ]


class WhyForm(forms.Form):
    """Who is asked about, which template, and in which language the answer is written."""

    person = forms.CharField(
        label=gettext_lazy("Person"),
        max_length=255,
        widget=AdminTextInputWidget(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
        help_text=gettext_lazy("A username, an e-mail address, an LMS user id, or the UUID of a learner."),
    )
    template = forms.CharField(
        label=gettext_lazy("Template"),
        max_length=150,
        widget=AdminTextInputWidget(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "list": "lms-badges-slugs"}
        ),
        help_text=gettext_lazy("The slug of the template."),
    )
    language = forms.ChoiceField(label=gettext_lazy("Language of the answer"), required=False)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["language"]
        choice.choices = [("", _("that of this page")), *translated_languages()]

    def clean_person(self) -> Person:
        try:
            return api.find_person(self.cleaned_data["person"])
        except UnknownPersonError:
            raise ValidationError(NOBODY) from None
        except BadgesError as error:
            raise ValidationError(str(error)) from None

    def clean_template(self) -> str:
        slug: str = self.cleaned_data["template"]
        if not BadgeTemplate.objects.filter(slug=slug).exists():
            raise ValidationError(NO_TEMPLATE)
        return slug


class Row(NamedTuple):
    """A rule and what an event had at its path."""

    requirement: str
    event: str
    rule: str
    expected: str
    observed: str
    holds: bool


def why(request: HttpRequest, model_admin: Any) -> HttpResponse:
    """Ask about a person and a template, or show the answer."""
    if not may_explain_everybody(request.user):
        raise PermissionDenied
    if request.method == "POST":
        form = WhyForm(request.POST)
        if form.is_valid():
            given = form.cleaned_data
            try:
                with translation.override("en"):  # only whether there is an answer
                    answer = api.why(given["person"], given["template"])
            except UnknownPersonError:
                form.add_error("person", NOBODY)
            else:
                return HttpResponseRedirect(_address(answer, given["language"]))
        return _page(request, model_admin, form)
    person, named = _asked_person(request.GET)
    slug, language = request.GET.get("template", ""), _language(request.GET.get("language", ""))
    initial = {"person": named, "template": slug, "language": language}
    if person is None or not slug:
        return _page(request, model_admin, WhyForm(initial=initial))
    try:
        with translation.override(language) if language else contextlib.nullcontext():
            answer = api.why(person, slug)
            context = _shown(answer)
    except (BadgeTemplate.DoesNotExist, UnknownPersonError) as error:
        text = NOBODY if isinstance(error, UnknownPersonError) else NO_TEMPLATE
        model_admin.message_user(request, text, messages.WARNING)
        return _page(request, model_admin, WhyForm(initial=initial))
    shown = {"person": _name_of(answer), "template": slug, "language": language}
    return _page(request, model_admin, WhyForm(initial=shown), **context, links=_links(answer, request.user))


def why_address(learner: Learner | None = None, template: str = "") -> str:
    """Return the address of the page, about a learner or a template or both."""
    given = {"learner": str(learner.uuid) if learner else "", "template": template}
    kept = urlencode({name: value for name, value in given.items() if value})
    return f"{reverse('admin:lms_badges_learner_why')}{'?' if kept else ''}{kept}"


def why_link(user: Any, learner: Learner, template: str) -> SafeString | str:
    """Return a link to the answer about a learner and a template; empty for who may not read it."""
    if not may_explain_everybody(user):
        return ""
    label = _("Why? %(template)s") % {"template": template}
    return format_html('<a href="{}" aria-label="{}">{}</a>', why_address(learner, template), label, _("Why?"))


def _address(answer: Answer, language: str) -> str:
    """Return the address of an answer. It holds ids alone."""
    person = answer.person
    given: dict[str, Any] = {}
    if person.uuid is not None:
        given["learner"] = person.uuid
    elif person.username is not None:
        User: Any = get_user_model()
        given["account"] = User._default_manager.get(**{User.USERNAME_FIELD: person.username}).pk
    else:
        given["lms_user_id"] = person.lms_user_id
    given["template"] = answer.template.slug
    if language:
        given["language"] = language
    return f"{reverse('admin:lms_badges_learner_why')}?{urlencode(given)}"


def _asked_person(query: Mapping[str, str]) -> tuple[Person | None, str]:
    """Return the person whom an address names, and what is written into the form; None when it names nobody."""
    if "learner" in query:
        identifier = uuid_of(query["learner"])
        learner = api.learner_of(identifier) if identifier else None
        return learner or identifier or "", str(learner) if learner else query["learner"]
    if "lms_user_id" in query:
        return lms_user_id(query["lms_user_id"]) or "", query["lms_user_id"]
    if "account" in query:
        User: Any = get_user_model()
        try:
            account = User._default_manager.filter(pk=query["account"]).first()
        except (ValueError, OverflowError, ValidationError):
            account = None
        return account or "", account.get_username() if account else ""
    return None, ""


def _name_of(answer: Answer) -> str:
    person = answer.person
    return person.username or str(person.lms_user_id or person.uuid or "")


def _language(code: str) -> str:
    return code if code in dict(translated_languages()) else ""


def _shown(answer: Answer) -> dict[str, Any]:
    """Return what the page shows of an answer, in the active language."""
    language = translation.get_language() or settings.LANGUAGE_CODE
    info = translation.get_language_info(language)
    tree = None
    if answer.criteria is not None:
        text = trace_tree(answer.criteria.trace, answer.criteria.event_names)
        tree = SafeString(text.encode("utf-8", "replace").decode())  # events may hold halves of characters
    return {
        "answer": answer,
        "sentences": api.answer_sentences(answer),
        "answer_language": language,
        "answer_direction": "rtl" if info["bidi"] else "ltr",
        "rows": list(_rows(answer)),
        "tree": tree,
    }


def _rows(answer: Answer) -> Iterator[Row]:
    for requirement in (each for group in answer.groups for each in group.requirements):
        for event in (*filter(None, [requirement.closest]), *requirement.uncounted):
            for rule in event.rules:
                yield Row(requirement.key, event.id, rule.path, rule.expected, observed_text(rule), rule.holds)


def _links(answer: Answer, user: Any) -> list[SafeString | str]:
    """Return links to the rows that the answer is made of, as far as somebody may view them."""
    person, found = answer.person, []
    learner = Learner.objects.filter(uuid=person.uuid).first() if person.uuid else None
    template = BadgeTemplate.objects.filter(slug=answer.template.slug).first()
    if may(user, "view", BadgeTemplate):
        found.append(link_to(template, _("template")))
    if learner is not None:
        if may(user, "view", Learner):
            found.append(link_to(learner, _("learner")))
        found.append(link_to_list(UserCredential, _("credentials"), learner__id__exact=learner.pk))
        found.append(link_to_list(BadgeProgress, _("progress"), learner__id__exact=learner.pk))
    if person.lms_user_id is not None:
        found.append(link_to_list(LoggedEvent, _("event log"), q=person.lms_user_id))
        if may(user, "view", InboxMessage):
            found.append(link_to_list(InboxMessage, _("inbox messages"), lms_user_id=person.lms_user_id))
    return found


def _page(request: HttpRequest, model_admin: Any, form: WhyForm, **context: Any) -> HttpResponse:
    shown: Any = form  # Django's stubs ask for a ModelForm, which the helper does not need
    slugs = BadgeTemplate.objects.filter(archived_at=None).order_by("slug").values_list("slug", "name")
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Why did somebody get a badge, or not?"),
        "opts": model_admin.opts,
        "has_view_permission": may(request.user, "view", Learner),
        "media": form.media + STYLES,
        "adminform": AdminForm(shown, [(None, {"fields": list(form.fields)})], {}, model_admin=model_admin),
        "errors": [*form.errors] if form.is_bound else [],
        "suggestions": list(slugs[:MOST_SUGGESTIONS]),
        **context,
    }
    return TemplateResponse(request, "admin/lms_badges/learner/why.html", context)
