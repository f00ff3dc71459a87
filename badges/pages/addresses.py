"""The addresses under which a credential is shared."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from badges.common.holdings import Holding
from badges.conf import config

# https://addtoprofile.linkedin.com/
LINKEDIN = "https://www.linkedin.com/profile/add"


def path_of_pages() -> str:
    """Return where the pages are mounted: the setting ``pages.path``, with one slash at its end and none before it."""
    return f"{str(config.pages['path']).strip('/')}/"


def public_url(request: HttpRequest) -> str:
    """
    Return the public address of this host: the setting ``public_url``, else where the request was sent.

    What people share should not depend on the name by which they reached this host.
    """
    given = str(config.public_url or "").rstrip("/")
    return given if given.startswith(("https://", "http://")) else request.build_absolute_uri("/").rstrip("/")


def absolute(address: str, request: HttpRequest) -> str:
    """Return an address of this host with the host's public address before it; another address as it is."""
    return public_url(request) + address if address.startswith("/") else address


def address_of(credential_id: uuid.UUID) -> str:
    """Return the path of the public page of a credential, whether it is public or not."""
    return reverse("lms_badges:credential-page", args=[credential_id])


def linkedin_address(holding: Holding, public_address: str, *, organization: str) -> str:
    """Return the address at which LinkedIn adds a holding to the profile of who opens it."""
    number = str(config.pages["linkedin_organization"])
    fields = {
        "startTask": "CERTIFICATION_NAME",
        "name": holding.title,
        **({"organizationId": number} if number else {"organizationName": organization}),
        "issueYear": holding.issued_at.year,
        "issueMonth": holding.issued_at.month,
        "certUrl": public_address,
        "certId": holding.id,
    }
    if holding.valid_until is not None:
        fields |= {"expirationYear": holding.valid_until.year, "expirationMonth": holding.valid_until.month}
    return f"{LINKEDIN}?{urlencode(fields)}"
