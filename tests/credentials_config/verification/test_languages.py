"""The verification page is in the reader's language, or in English and says so."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Message
from babel.messages.pofile import read_po
from django.apps import apps

from credentials_config.models import CredentialStatus
from tests.credentials_config.factories import CredentialFactory
from tests.factories import NOON

ASK = "/credentials/verify/"
LANGUAGES = {"ar": "rtl", "de": "ltr", "es": "ltr", "fr": "ltr"}
STATES: dict[str, dict[str, Any]] = {
    "valid": {},
    "will expire": {"expires_at": NOON.replace(year=2099)},
    "expired": {"expires_at": NOON},
    "revoked": {"status": CredentialStatus.INVALIDATED, "invalidated_at": NOON, "public_reason": "Zorglub."},
}


def app() -> Path:
    return Path(apps.get_app_config("lms_credentials_config").path)


def catalog(language: str) -> dict[tuple[str | None, Any], Message]:
    """Return the messages of a language by context and words."""
    with (app() / f"locale/{language}/LC_MESSAGES/django.po").open("rb") as file:
        return {(message.context, message.id): message for message in read_po(file) if message.id}


def read(client: Any, address: str, language: str) -> str:
    return client.get(f"{ASK}{address}", headers={"Accept-Language": language}).content.decode()


def seen(page: str) -> set[str]:
    """Return the pieces of text that a page shows."""
    return {" ".join(piece.split()) for piece in re.split(r"<[^>]*>", page)} - {""}


def addresses() -> Iterator[str]:
    for given in STATES.values():
        yield CredentialFactory(**given).verification_code
    yield from ("nothing", "")


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_all_in_the_readers_language_and_says_which(client: Any, language: str) -> None:
    words = {
        " ".join(message.id.split())
        for message in catalog(language).values()
        if isinstance(message.id, str) and message.id != message.string
    }
    for address in addresses():
        page = read(client, address, language)
        assert f'<html lang="{language}" dir="{LANGUAGES[language]}">' in page
        assert not seen(page) & words
        # The words are those of the English page.
        assert seen(read(client, address, "en")) & words


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["he", "ja", "xx"])
def test_where_there_is_no_translation_the_page_is_english_and_says_so(client: Any, language: str) -> None:
    for address in addresses():
        assert '<html lang="en" dir="ltr">' in read(client, address, language)


@pytest.mark.django_db
def test_the_page_for_too_many_requests_is_in_the_readers_language(client: Any, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {"verification": {"requests_per_minute": 0}}
    assert "Warten Sie" in read(client, "nothing", "de")


def test_all_languages_say_the_same_things() -> None:
    known = {language: catalog(language) for language in LANGUAGES}
    assert {path.name for path in (app() / "locale").iterdir()} == set(LANGUAGES)
    for messages in known.values():
        assert messages.keys() == known["de"].keys()
        for message in messages.values():
            assert message.string
            assert not message.fuzzy
            assert not list(message.check())


@pytest.mark.parametrize("name", ["verification.html", "mail/available.html"])
def test_every_text_for_learners_and_the_public_is_in_the_catalog(name: str) -> None:
    source = (app() / "templates/lms_credentials_config" / name).read_text()
    tags = re.findall(r'{% translate "([^"]+)"(?: context "([^"]+)")?', source)
    assert len(tags) == source.count("{% translate ")
    blocks = re.findall(r"{% blocktranslate[^%]*%}(.*?){%", source, flags=re.DOTALL)
    wanted = {(context or None, words) for words, context in tags}
    assert wanted <= catalog("de").keys()
    ids = {words if isinstance(words, str) else words[0] for _context, words in catalog("de")}
    assert {re.sub(r"{{ (\w+) }}", r"%(\1)s", block) for block in blocks} <= ids


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_was_written(language: str) -> None:
    with (app() / f"locale/{language}/LC_MESSAGES/django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for (context, words), message in catalog(language).items():
        if isinstance(words, str):
            translated = compiled.pgettext(context, words) if context else compiled.gettext(words)
            assert translated == message.string
        else:
            assert {compiled.ngettext(*words, number) for number in range(200)} == set(message.string)
