"""
In whose name badges are issued: Credly organizations, and what we authenticate with.

Organizations in ``BADGES_CONFIG["credly"]["ORGANIZATIONS"]`` win over rows of the admin, so that an operator can keep
every key out of the database. A value is the organization's token, or, for OAuth2,
``{"client_id": …, "client_secret": …}``.
"""

from __future__ import annotations

import functools
import uuid
from typing import Any

from requests.auth import AuthBase, HTTPBasicAuth

from badges.common.http import HttpApi, Remedies
from badges.common.oauth import ClientCredentials
from badges.conf import config
from badges.exceptions import Permanent
from badges.issuers import answers
from badges.issuers.credly.models import CredlyOrganization
from badges.issuers.secrets import reencrypted

PROVIDER = "Credly"

_CHECK = "Check the organization's id and token, and the template's id, then retry this message."
_REMEDIES = Remedies(address="Correct the API address in BADGES_CONFIG.", access=_CHECK, not_found=_CHECK)


def organization_id(text: str) -> uuid.UUID:
    """Read an organization's id; it becomes part of addresses, so nothing but a UUID will do."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Permanent(
            f"The organization {text[:50]!r} is no UUID. Correct the issuer of the template; "
            "Credly shows the id on the organization's page."
        ) from None


def api_of(organization: uuid.UUID) -> HttpApi:
    """Return Credly's API in the name of an organization that is known here; Permanent when it is not."""
    return api_with(organization, _credentials(organization))


def api_with(organization: uuid.UUID, credentials: str | dict[str, Any]) -> HttpApi:
    """Return Credly's API in the name of an organization, with its token or OAuth2 client given."""
    auth = _oauth(organization, credentials) if isinstance(credentials, dict) else _basic(credentials)
    return _api(organization, auth)


def reencrypt_tokens() -> int:
    """Encrypt every stored token with the newest key, in the caller's transaction; returns how many."""
    rows = list(CredlyOrganization.objects.select_for_update().exclude(encrypted_token="").order_by("id"))
    for row in rows:
        row.encrypted_token = reencrypted(row.encrypted_token)
        row.save(update_fields=["encrypted_token"])
    return len(rows)


def _credentials(organization: uuid.UUID) -> str | dict[str, Any]:
    for listed, credentials in config.credly["ORGANIZATIONS"].items():
        if _same(listed, organization) and credentials:
            return credentials
    row = CredlyOrganization.objects.filter(uuid=organization).first()
    token = row.token if row else ""
    if not token:
        raise Permanent(
            f"There is no token for the Credly organization {organization}. Add the organization in the admin or "
            "under ORGANIZATIONS in BADGES_CONFIG['credly'], then retry this message."
        )
    return token


def _same(listed: Any, organization: uuid.UUID) -> bool:
    try:
        return uuid.UUID(str(listed)) == organization
    except ValueError:
        return False


def _basic(token: str) -> AuthBase:
    # Bytes, because requests would otherwise stumble over a character outside of Latin-1.
    return HTTPBasicAuth(token.strip().encode(), b"")


def _oauth(organization: uuid.UUID, credentials: dict[str, Any]) -> AuthBase:
    try:
        client_id, client_secret = str(credentials["client_id"]), str(credentials["client_secret"])
    except KeyError as missing:
        raise Permanent(
            f"ORGANIZATIONS in BADGES_CONFIG['credly'] holds no {missing} for the organization {organization}. "
            'Give a token, or {"client_id": …, "client_secret": …}.'
        ) from None
    settings = config.credly
    return _client_credentials(organization, _base_url(settings), settings["timeout"], client_id, client_secret)


@functools.lru_cache(maxsize=256)
def _client_credentials(
    organization: uuid.UUID, base: str, timeout: float, client_id: str, client_secret: str
) -> ClientCredentials:
    """Return the same object for the same settings, because it keeps the access token."""
    token_api = _http_api(organization, base, timeout, None)
    return ClientCredentials(token_api, "oauth/token", client_id=client_id, client_secret=client_secret, form=False)


def _api(organization: uuid.UUID, auth: AuthBase) -> HttpApi:
    settings = config.credly
    return _http_api(organization, _base_url(settings), settings["timeout"], auth)


def _base_url(settings: dict[str, Any]) -> str:
    return str(settings["CREDLY_SANDBOX_API_BASE_URL" if settings["USE_SANDBOX"] else "CREDLY_API_BASE_URL"])


def _http_api(organization: uuid.UUID, base: str, timeout: float, auth: AuthBase | None) -> HttpApi:
    return HttpApi(
        f"{PROVIDER} (organization {organization})",
        base,
        auth=auth,
        timeout=timeout,
        remedies=_REMEDIES,
        read_error=answers.error_text,
    )
