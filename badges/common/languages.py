"""Languages of people: the one of Django that comes closest."""

from __future__ import annotations

from django.conf import settings
from django.utils import translation


def supported_language(language: str) -> str:
    """Return the language that Django supports and that comes closest; the host's own when there is none."""
    try:
        return translation.get_supported_language_variant(language) if language else settings.LANGUAGE_CODE
    except LookupError:
        return settings.LANGUAGE_CODE
