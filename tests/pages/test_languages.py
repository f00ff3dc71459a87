"""The pages are in the reader's language, or in English and say so."""

from __future__ import annotations

import datetime as dt
import gettext
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po
from django.apps import apps
from django.utils import translation

from badges import api
from badges.api import ActivityData
from badges.conf import PASSING_STATUS
from badges.rules import Translations, describe, parse_criteria
from tests.factories import (
    EXPIRED,
    NOON,
    REVOKED,
    BadgeProgressFactory,
    FulfillmentFactory,
    LearnerFactory,
    LoggedEventFactory,
    UserCredentialFactory,
    make_template,
    requirement,
)

LANGUAGES = {"ar": "rtl", "de": "ltr", "es": "ltr", "fr": "ltr"}
APP = Path(apps.get_app_config("lms_badges").path)
PLACEHOLDER = re.compile(r"\{\w+\}|%\(\w+\)s")
KEYWORDS = {
    "gettext": None,
    "_gettext": None,
    "ngettext": (1, 2),
    "gettext_lazy": None,
    "_": None,
    "pgettext": ((1, "c"), 2),
}
# Where the words are that learners read, besides templates.
MODULES = [
    *(f"rules/criteria/{name}.py" for name in ("rendering", "texts", "trace")),
    "catalog/rule_words.py",
    "catalog/criteria.py",
    *(f"pages/{path.name}" for path in (APP / "pages").glob("*.py")),
    "mail/channel.py",
    "explanations/sentences.py",
]
TEMPLATES = ("public_credential", "learner_page", "learner_why", "page_links", "earnable", "step", "step_mark")


def catalog(language: str) -> dict[tuple[str | None, Any], Message]:
    """Return the messages of a language by context and words."""
    with (APP / f"locale/{language}/LC_MESSAGES/django.po").open("rb") as file:
        return {(message.context, message.id): message for message in read_po(file) if message.id}


def singulars(language: str) -> set[tuple[str | None, str]]:
    return {(context, words if isinstance(words, str) else words[0]) for context, words in catalog(language)}


def read(client: Any, address: str, language: str) -> str:
    return client.get(address, headers={"Accept-Language": language}).content.decode()


def seen(page: str) -> set[str]:
    """Return the pieces of text that a page shows, without values."""
    return {" ".join(piece.split()) for piece in re.split(r"<[^>]*>", page)} - {""}


@pytest.fixture
def addresses(client: Any) -> list[str]:
    """A learner who has everything, and is signed in; the addresses of all pages."""
    learner = LearnerFactory()
    client.force_login(learner.user)
    api.record_activity(learner, ActivityData("quiz", "web", "q1", dt.datetime.now(dt.UTC), score=37))
    shared = UserCredentialFactory(learner=learner, is_public=True)
    lost = UserCredentialFactory(learner=learner, is_public=True, **REVOKED, public_reason="Zorglub.")
    ended = UserCredentialFactory(learner=learner, is_public=True, **EXPIRED)
    UserCredentialFactory(learner=learner)
    template = make_template(
        requirements=[
            requirement("a", group="g", description="Alpha"),
            requirement("b", group="g", description="Beta"),
            requirement("c"),
        ],
        criteria={"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 5}}},
    )
    progress = BadgeProgressFactory(learner=learner, template=template)
    FulfillmentFactory(progress=progress, requirement=template.requirements.get(key="b"))
    LoggedEventFactory.create_batch(3, person=learner.lms_user_id)
    for number in range(12):
        make_template(slug=f"other-{number}")
    public = [f"/badges/credentials/{row.pk}/" for row in (shared, lost, ended)]
    whys = [f"/badges/why/{slug}/" for slug in (template.slug, lost.template.slug)]
    return ["/badges/", "/badges/?ended=yes", *whys, *public, "/badges/credentials/houba/"]


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_all_in_the_readers_language_and_says_which(client: Any, addresses: list[str], language: str) -> None:
    same = {words for (_context, words), message in catalog(language).items() if words == message.string}
    english = {words for _context, words in singulars(language) if "{" not in words and "%" not in words} - same
    for address in addresses:
        page = read(client, address, language)
        assert f'<html lang="{language}" dir="{LANGUAGES[language]}">' in page
        assert not seen(page) & english
        assert seen(read(client, address, "en")) & english
    page = read(client, "/badges/", language)
    for words in ("steps done", "earned when", "at least", "of 5", "is_passing is true"):
        assert words not in page
        assert words in read(client, "/badges/", "en")


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["he", "ja", "xx"])
def test_where_there_is_no_translation_the_page_is_english_and_says_so(
    client: Any, addresses: list[str], language: str
) -> None:
    for address in addresses:
        assert '<html lang="en" dir="ltr">' in read(client, address, language)


@pytest.mark.django_db
def test_the_page_for_too_many_requests_is_in_the_readers_language(client: Any, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"pages": {"public_requests_per_minute": 0}}
    assert "Warten Sie" in read(client, "/badges/credentials/houba/", "de")


def test_all_languages_say_the_same_things_with_the_same_values() -> None:
    known = {language: catalog(language) for language in LANGUAGES}
    assert {path.name for path in (APP / "locale").iterdir()} == set(LANGUAGES)
    for language, messages in known.items():
        assert messages.keys() == known["de"].keys()
        for message in messages.values():
            assert message.string, message.id
            assert not message.fuzzy
            several = isinstance(message.id, tuple)
            wanted = set(PLACEHOLDER.findall(message.id[1] if several else message.id))
            for text in message.string if several else [message.string]:
                found = set(PLACEHOLDER.findall(text))
                # Forms for one, two and none may leave the number out; nothing else.
                assert found == wanted or (several and found < wanted), (language, message.id)


def test_every_text_for_learners_and_the_public_is_in_the_catalog() -> None:
    known = singulars("de")
    mails = [f"mail/{kind}.{suffix}" for kind in ("award", "reminder") for suffix in ("txt", "html")]
    for name in [*(f"{name}.html" for name in TEMPLATES), "mail_opt_out.html", *mails]:
        source = (APP / f"templates/lms_badges/{name}").read_text()
        tags = re.findall(r"""{% translate ["']([^"']+)["'](?: context ["']([^"']+)["'])?""", source)
        assert len(tags) == source.count("{% translate ")
        assert {(context or None, words) for words, context in tags} <= known
        for tag, block in re.findall(r"({% blocktranslate[^%]*%})(.*?){%", source, flags=re.DOTALL):
            context = re.search(r'context "([^"]+)"', tag)
            assert (context and context[1], re.sub(r"{{ (\w+) }}", r"%(\1)s", block)) in known
    for module in MODULES:
        for found in extract_from_file("python", str(APP / module), keywords=KEYWORDS):
            words, context = found[1], found[3]
            assert (context, words if isinstance(words, str) else words[0]) in known, (module, words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_was_written(language: str) -> None:
    with (APP / f"locale/{language}/LC_MESSAGES/django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for (context, words), message in catalog(language).items():
        if isinstance(words, str):
            assert (compiled.pgettext(context, words) if context else compiled.gettext(words)) == message.string
        else:
            forms = {
                compiled.npgettext(context, *words, number) if context else compiled.ngettext(*words, number)
                for number in range(200)
            }
            assert forms == set(message.string)


def documents() -> Iterator[dict[str, Any]]:
    """Documents that together use all kinds of texts."""
    event = {"event": PASSING_STATUS}
    for period in ("day", "week", "month", "quarter", "year"):
        yield {"$timePeriod": {**event, "periodType": period, "periodCount": {"$gte": 3}, "excludeWeekends": True}}
        yield {"$pattern": {**event, "pattern": "increasing", "periodType": period, "strict": False}}
    for pattern in ("consistent", "increasing", "decreasing"):
        yield {"$pattern": {**event, "pattern": pattern, "periodType": "week", "includeCurrent": True}}
    yield {"$timeWindow": {"last": "30d", "businessDaysOnly": True, "flow": event}}
    yield {"$timeWindow": {"start": NOON.isoformat(), "flow": event, "timezone": "Europe/Brussels"}}
    yield {"$withinTimeWindow": {"window": "24h", "conditions": event}}
    yield {"$sequence": {"sequence": [PASSING_STATUS, event], "maxGapSeconds": 90, "requireStrict": True}}
    yield {"$gap": {**event, "minGapHours": 1, "maxGapHours": 48}}
    for aggregate in ("min", "max", "avg", "sum", "count"):
        yield {"$aggregate": {**event, "type": aggregate, "field": "score", "value": {"$gte": 3}}}
    yield {"$and": [event, {"$or": [event, {"$not": {"$stat": {"xp": {"$gte": 50}}}}]}]}
    yield {"event": PASSING_STATUS, "criteria": {"score": {"$between": [1, 2]}, "timestamp": {"$lt": "$NOW(-1d)"}}}


@pytest.mark.parametrize("language", LANGUAGES)
def test_criteria_of_all_kinds_are_told_in_each_language(language: str) -> None:
    for document in documents():
        criteria = parse_criteria(document)
        with translation.override(language):
            told = describe(criteria, Translations(translation))
            missing = criteria.evaluate([], now=NOON).missing(Translations(translation))
        english = describe(criteria)
        assert told != english
        assert "{" not in told
        assert not any("{" in text for text in missing)
