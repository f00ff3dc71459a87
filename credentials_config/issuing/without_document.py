"""
What credentials have given that is no document, such as a badge.

The generator says what it has given, and that is stored on the credential (``made_from``, under ``given``).
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from badges.exceptions import Permanent
from credentials_config import registry
from credentials_config.contracts import Generator, Recipient
from credentials_config.models import Credential

log = logging.getLogger(__name__)

GIVEN = "given"


def recipient_of(credential: Credential, now: dt.datetime) -> Recipient:
    """Return who gets what a credential gives; at most one statement."""
    return Recipient(
        learner=credential.learner.uuid,
        verification_code=credential.verification_code,
        title=credential.configuration.credential_type.name,
        context_name=credential.context_name,
        given=credential.made_from.get(GIVEN, {}),
        now=now,
    )


def was_given(credential: Credential) -> bool:
    """Return whether a credential has given something that is no document."""
    return GIVEN in credential.made_from


def is_held(credential: Credential) -> bool:
    """Return whether what a credential has given is still held; True for documents. At most one statement."""
    generator = _generator_of(credential)
    return generator is None or generator.is_held(credential.made_from[GIVEN])


def is_over(credential: Credential) -> bool:
    """Return whether what a credential has given has reached its end; False for documents. At most one statement."""
    generator = _generator_of(credential)
    return generator is not None and generator.is_over(credential.made_from[GIVEN])


def take_back(credential: Credential, *, public_reason: str, note: str, by: Any, now: dt.datetime) -> None:
    """Take back what a credential has given, in the caller's transaction; nothing for documents."""
    generator = _generator_of(credential)
    if generator is not None:
        generator.take_back(recipient_of(credential, now), public_reason=public_reason, note=note, by=by)


def _generator_of(credential: Credential) -> Generator | None:
    """Return the generator that has given something, which need not be that of the type any more."""
    if not was_given(credential):
        return None
    slug = str(credential.made_from.get("generator", "")).partition(" ")[0]
    try:
        return registry.generator(slug)
    except Permanent as error:  # the package that brings it is gone
        log.error("Credential %s: %s", credential.pk, error)
        return None
