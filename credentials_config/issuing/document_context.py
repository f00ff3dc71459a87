"""What a document says: names as they were found, the date in the learner's language, the address to verify at."""

from __future__ import annotations

import datetime as dt
import unicodedata

from django.conf import settings
from django.utils import timezone, translation
from django.utils.formats import date_format

from credentials_config.conf import config
from credentials_config.contracts import DocumentContext, Person
from credentials_config.issuing import documents
from credentials_config.models import Credential

NAME_LENGTH = 255


def document_name(person: Person) -> str:
    """Return the name for a learner's document: as the LMS has it, or the username where that is blank."""
    return _tidy(person.name) or _tidy(person.username) or str(person.lms_user_id)


def document_context(name: str, key: str) -> str:
    """Return a context's name as documents show it; lines stay, a context without a name is called by its key."""
    lines = [_tidy(line) for line in name.splitlines()]
    return "\n".join(line for line in lines if line)[:NAME_LENGTH] or key


def document_context_of(credential: Credential) -> DocumentContext:
    """Return what the next document of a credential says."""
    said = {"learner_name": credential.learner_name, "context_name": credential.context_name, **credential.reissue}
    return DocumentContext(
        name=said["learner_name"],
        context_name=said["context_name"],
        issue_date=document_date(credential.issued_at, credential.language),
        verify_url=documents.verify_url(credential.verification_code),
        verify_code=credential.verification_code,
        language=credential.language,
    )


def document_date(time: dt.datetime, language: str) -> str:
    """Return a day in a language, in the host's time zone and in the format that settings name."""
    with translation.override(spoken(language)):
        return date_format(timezone.localtime(time, timezone.get_default_timezone()), config.issuing["date_format"])


def spoken(language: str) -> str:
    """Return the language of Django's that comes closest; the host's own when there is none or it is not known."""
    try:
        return translation.get_supported_language_variant(language) if language else settings.LANGUAGE_CODE
    except LookupError:
        return settings.LANGUAGE_CODE


def _tidy(text: str) -> str:
    """Return text on one line, without what cannot be stored or seen."""
    seen = "".join(
        " " if unicodedata.category(sign) in ("Zs", "Zl", "Zp") or sign in "\t\n\r\v\f" else sign
        for sign in str(text or "")
        if unicodedata.category(sign) not in ("Cs",) and (unicodedata.category(sign) != "Cc" or sign in "\t\n\r\v\f")
    )
    return " ".join(seen.split())[:NAME_LENGTH]
