"""Credential types, and previews of their documents before anything is saved."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pypdfium2
import pytest

from credentials_config.generators.pdf import samples
from credentials_config.models import CredentialAsset, CredentialConfiguration, CredentialType
from tests.admin.pages import errors, fields, save
from tests.credentials_config.admin.pages import CONFIGURATIONS, TYPES, page_of
from tests.credentials_config.factories import CredentialTypeFactory
from tests.support.certificates import configure_certificate

ADD, PREVIEW = f"{TYPES}add/", f"{TYPES}preview/"
GOOD = '{"required_completion": 0.5}'
pytestmark = pytest.mark.django_db


@pytest.fixture
def designer(staff: Callable[..., Any]) -> Any:
    verbs = ("view", "add", "change")
    return staff(*(f"{verb}_credential{noun}" for verb in verbs for noun in ("type", "configuration")))


def test_a_type_is_made_of_plug_ins_and_their_options(designer: Any) -> None:
    given = {"name": "Diploma", "processor": "completions", "generator": "text_generator", "options": GOOD}
    page = save(designer, ADD, **given)
    assert page.status_code == 302, errors(page)
    made = CredentialType.objects.get()
    assert (made.name, made.processor, made.generator) == ("Diploma", "completions", "text_generator")
    assert made.options == {"required_completion": 0.5}


@pytest.mark.parametrize("opened", [None, "", "0" * 64])
def test_a_form_that_does_not_say_what_its_author_saw_is_refused(designer: Any, opened: str | None) -> None:
    row = CredentialTypeFactory(name="Diploma", processor="completions", generator="text_generator")
    page = save(designer, page_of(row), name="Certificate", opened=opened, incomplete="on")
    assert any(message.startswith("Somebody saved this") for message in errors(page)), errors(page)
    assert CredentialType.objects.get().name == "Diploma"


def test_the_second_of_two_editors_of_a_type_is_refused(designer: Any) -> None:
    row = CredentialTypeFactory(name="Diploma", processor="completions", generator="text_generator")
    seen_by_both = fields(designer, page_of(row))
    given = {"incomplete": "on", "opened": seen_by_both["opened"]}
    assert save(designer, page_of(row), options=GOOD, **given).status_code == 302
    page = save(designer, page_of(row), name="Certificate", **given)
    assert any(message.startswith("Somebody saved this") for message in errors(page)), errors(page)
    saved = CredentialType.objects.get()
    assert (saved.name, saved.options) == ("Diploma", {"required_completion": 0.5})


def test_every_plug_in_that_is_installed_can_be_chosen_and_helps(designer: Any) -> None:
    page = designer.get(ADD).content.decode()
    for slug in ("badge_holders", "completions", "completions_and_grades", "csv_list", "subsection_grades"):
        assert f'<option value="{slug}">' in page
    assert '<option value="text_generator">Text generator (text_generator)</option>' in page
    assert "required_grades: " in page


def test_options_that_the_plug_ins_refuse_are_an_error_on_the_field(designer: Any) -> None:
    given = {"name": "x", "processor": "completions", "generator": "pdf", "options": '{"required_completion": 7}'}
    page = save(designer, ADD, **given)
    assert any(message.startswith("required_completion") for message in errors(page)), errors(page)
    assert any(message.startswith("template: this is missing") for message in errors(page)), errors(page)
    assert not CredentialType.objects.exists()


def test_options_that_configurations_complete_are_saved_when_somebody_says_so(designer: Any) -> None:
    given = {"name": "x", "processor": "csv_list", "generator": "text_generator", "options": "{}"}
    assert any("learners" in message for message in errors(save(designer, ADD, **given)))
    assert save(designer, ADD, **given, incomplete="on").status_code == 302
    assert errors(save(designer, ADD, **{**given, "name": "y", "options": "{"}, incomplete="on"))  # no JSON is no JSON


def test_breaking_a_configuration_by_its_type_shows_a_warning_that_names_it(designer: Any) -> None:
    configuration = configure_certificate()
    address = page_of(configuration.credential_type)
    sent = {"options": '{"required_completion": "much"}', "incomplete": "on"}
    save(designer, address, **sent)
    page = designer.get(TYPES).content.decode()
    assert f"The configuration of {configuration.context_key} does not work with these options" in page
    assert CredentialConfiguration.objects.get().enabled


def test_a_plug_in_that_is_not_installed_stays_visible_and_other_fields_can_be_changed(designer: Any) -> None:
    gone = CredentialTypeFactory(processor="marsupial", generator="text_generator")
    assert "marsupial (not installed or broken)" in designer.get(page_of(gone)).content.decode()
    page = save(designer, page_of(gone), name="Renamed")
    assert any("No processor 'marsupial' is installed" in message for message in errors(page)), errors(page)
    assert save(designer, page_of(gone), name="Renamed", incomplete="on").status_code == 302


def test_a_permission_to_view_shows_options_and_no_form(staff: Callable[..., Any]) -> None:
    kind = CredentialTypeFactory(options={"template": "paper"})
    page = staff("view_credentialtype").get(page_of(kind)).content.decode()
    assert "paper" in page
    assert "Save" not in page
    assert "Preview" not in page


# Previews


def test_a_preview_is_made_of_the_options_in_the_form_and_saves_nothing(designer: Any) -> None:
    sent = {"processor": "completions", "generator": "text_generator", "options": GOOD, "preview_name": "محمد {name}"}
    answer = designer.post(PREVIEW, sent)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain")
    lines = answer.content.decode().splitlines()
    assert lines[:2] == ["محمد {name}", "Sample course"]
    assert lines[3].startswith("https://credentials.test/credentials/verify/")
    assert not CredentialType.objects.exists()


def test_a_preview_of_a_real_certificate_is_a_pdf_that_opens_in_the_browser(designer: Any) -> None:
    options = samples.OPTIONS[samples.CERTIFICATE]
    CredentialAsset.objects.upload(options["template"], samples.content(samples.CERTIFICATE), name="certificate.svg")
    configuration = configure_certificate(credential_type__generator="pdf", credential_type__options=options)
    sent = {"preview_of": configuration.pk, "options": '{"text_elements": {"title": {"text": "Houba!"}}}'}
    answer = designer.post(f"{CONFIGURATIONS}preview/", {**sent, "preview_name": "Spip", "preview_context": "Algebra"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.headers["Content-Disposition"].startswith("inline")
    page = pypdfium2.PdfDocument(io.BytesIO(answer.content))[0]
    text = page.get_textpage().get_text_bounded()
    for phrase in ("Houba!", "Spip", "Algebra", "https://credentials.test/credentials/verify/"):
        assert phrase in text
    configuration.refresh_from_db()
    assert configuration.options == {}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("{", "this is not JSON"),
        ('{"text_generator": {"broken": true}}', "text_generator.broken: it is; repair it"),
        ('{"text_generator": 7}', "it must be an object"),
        ('{"text_generator": {"asset": "red"}}', "There is no asset"),
    ],
)
def test_what_cannot_be_previewed_says_why(designer: Any, options: str, problem: str) -> None:
    configuration = configure_certificate()
    answer = designer.post(f"{CONFIGURATIONS}preview/", {"preview_of": configuration.pk, "options": options})
    assert answer.status_code == 422
    assert problem in answer.content.decode()


def test_a_preview_does_not_ask_for_what_the_document_does_not_need(designer: Any) -> None:
    kind = CredentialTypeFactory(processor="completions", generator="text_generator")
    answer = designer.post(f"{CONFIGURATIONS}preview/", {"credential_type": kind.pk, "options": "{}"})
    assert answer.status_code == 200
    assert designer.post(f"{CONFIGURATIONS}preview/", {"options": "{}"}).status_code == 422
    assert designer.post(f"{CONFIGURATIONS}preview/", {"preview_of": "x", "options": "{}"}).status_code == 422


def test_a_preview_without_a_public_address_names_the_setting(designer: Any, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {}
    sent = {"processor": "completions", "generator": "text_generator", "options": GOOD}
    answer = designer.post(PREVIEW, sent)
    assert answer.status_code == 422
    assert "public_url" in answer.content.decode()
