"""What a document says: names, the date in the learner's language, the address of the verification page."""

from __future__ import annotations

import datetime as dt
import unicodedata

from django.utils import timezone, translation
from django.utils.formats import date_format

from badges.common.languages import supported_language
from badges.common.person_names import readable_name
from credentials_config.conf import config
from credentials_config.contracts import DocumentContext, Person
from credentials_config.issuing import documents
from credentials_config.models import Credential

NAME_LENGTH = 255


def document_name(person: Person) -> str:
    """Return the name on a learner's document: the name that the LMS has, or the username where that is blank."""
    return _one_line(readable_name(person.name)) or _one_line(readable_name(person.username)) or str(person.lms_user_id)


def document_context(name: str, key: str) -> str:
    """Return the name of a context on documents, with its line breaks; its key where the name is blank."""
    lines = [_one_line(line) for line in name.splitlines()]
    return "\n".join(line for line in lines if line)[:NAME_LENGTH] or key


def document_context_of(credential: Credential) -> DocumentContext:
    """Return what the next document of a credential says. A reissue may have new names."""
    names = {"learner_name": credential.learner_name, "context_name": credential.context_name, **credential.reissue}
    return DocumentContext(
        name=names["learner_name"],
        context_name=names["context_name"],
        issue_date=document_date(credential.issued_at, credential.language),
        verify_url=documents.verify_url(credential.verification_code),
        verify_code=credential.verification_code,
        language=credential.language,
    )


def document_date(time: dt.datetime, language: str) -> str:
    """Return a date in a language, in the host's time zone, in the format of the setting ``issuing.date_format``."""
    with translation.override(supported_language(language)):
        return date_format(timezone.localtime(time, timezone.get_default_timezone()), config.issuing["date_format"])


def _one_line(text: str) -> str:
    """Return text on one line, without characters that cannot be stored or seen."""
    visible = "".join(
        " " if unicodedata.category(char) in ("Zs", "Zl", "Zp") or char in "\t\n\r\v\f" else char
        for char in str(text or "")
        if unicodedata.category(char) not in ("Cs",) and (unicodedata.category(char) != "Cc" or char in "\t\n\r\v\f")
    )
    return " ".join(visible.split())[:NAME_LENGTH]
