"""Credly's API: the calls we make, in the name of an organization and with its credentials."""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Iterator
from typing import Any

from requests.auth import AuthBase, HTTPBasicAuth

from badges.common.http import HttpApi, NoAnswer, NotFound, Refused, Remedies
from badges.common.oauth import ClientCredentials
from badges.exceptions import SharedProblem
from badges.issuers import answers
from badges.issuers.base import Fact, TemplateFact
from badges.issuers.credly.conf import config
from badges.issuers.credly.models import CredlyOrganization
from badges.issuers.credly.payloads import (
    ExternalBadge,
    badge_from,
    badges_from,
    event_time,
    events_from,
    fact_of_event,
    template_from,
    templates_from,
)
from badges.issuers.models import TemplateState

ALL_STATES = "state::active,archived,draft"

_CHECK = "Check the organization's id and token, and the template's id."
_REMEDIES = Remedies(address="Correct the API address in LMS_BADGES_CONFIG.", access=_CHECK, not_found=_CHECK)


class CredlyClient:
    """Credly's API for one organization."""

    def __init__(self, organization: uuid.UUID, api: HttpApi):
        self.organization = organization
        self.api = api
        self._folder = f"organizations/{organization}"

    def issue(self, body: dict[str, str]) -> ExternalBadge:
        """Issue a badge. Not idempotent: after NoAnswer with ``uncertain``, look before asking again."""
        private = [value for key, value in body.items() if key.startswith(("recipient_", "issued_to_"))]
        answer = self.api.post(f"{self._folder}/badges", body, private=private)
        try:
            return badge_from(answer["data"])
        except (ValueError, KeyError, TypeError):
            message = self.api.message("the answer names no badge, although none was refused.")
            raise NoAnswer(message, uncertain=True, circuit=True) from None

    def template_badges(self, template: str, link: str | None) -> tuple[list[ExternalBadge], str | None]:
        """Return a page of the badges of a template in all states, and the link to the next one."""
        page, following = self.api.page(
            f"{self._folder}/badges", answers.next_link, link=link, filter=f"badge_template_id::{template}"
        )
        return list(badges_from(page)), following

    def badges_of(self, *, earner: str, template: str) -> Iterator[ExternalBadge]:
        """Yield the badges of a template that were issued under our id of a learner, whatever their state."""
        wanted = f"issuer_earner_id::{earner}|badge_template_id::{template}"
        for page in self.api.pages(f"{self._folder}/badges", answers.next_link, filter=wanted):
            yield from badges_from(page)

    def revoke(self, badge: uuid.UUID, reason: str, *, tell_earner: bool = True) -> None:
        """
        Revoke a badge. Raises Refused when it is revoked or replaced already, among other reasons.

        ``tell_earner``: whether Credly writes to the earner about it.
        """
        body = {"reason": reason} if tell_earner else {"reason": reason, "suppress_revoke_notification_email": True}
        self.api.put(f"{self._folder}/badges/{badge}/revoke", body)

    def state_of(self, badge: uuid.UUID) -> str:
        """Return the state of a badge. Raises Refused when there is none."""
        answer = self.api.get(f"{self._folder}/badges/{badge}")
        try:
            return badge_from(answer["data"]).state
        except (ValueError, KeyError, TypeError):
            raise NoAnswer(self.api.message("the answer describes no badge."), uncertain=False, circuit=True) from None

    def template_state(self, template: str) -> str:
        """Return the state of a template. Raises NotFound when there is none."""
        answer = self.api.get(f"{self._folder}/badge_templates/{template}")
        try:
            return str(answer["data"]["state"])
        except (KeyError, TypeError):
            raise NoAnswer(
                self.api.message("the answer describes no template."), uncertain=False, circuit=True
            ) from None

    def template(self, template: str) -> TemplateFact:
        """Return a template. Raises NotFound when there is none."""
        answer = self.api.get(f"{self._folder}/badge_templates/{template}")
        try:
            return template_from(answer["data"], management_url=self._management_url())
        except (ValueError, KeyError, TypeError):
            raise self._nonsense("the answer describes no template.") from None

    def templates(self, link: str | None) -> tuple[list[TemplateFact], str | None, int | None]:
        """Return a page of the templates in all states, the link to the next one, and how many there are in all."""
        page, following = self.api.page(
            f"{self._folder}/badge_templates", answers.next_link, link=link, filter=ALL_STATES, page=1
        )
        facts = list(templates_from(page, management_url=self._management_url()))
        return facts, following, answers.total_count(page)

    def event(self, event: uuid.UUID) -> dict[str, Any]:
        """Return an event as Credly describes it. Raises NotFound when there is none."""
        answer = self.api.get(f"{self._folder}/events/{event}")
        described = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(described, dict) or str(described.get("id", "")).lower() != str(event):
            raise self._nonsense("the answer describes another event, or none.")
        return described

    def events(self, since: dt.datetime, link: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """
        Return a page of events in Credly's order, and the link to the next one.

        Credly is asked for those since a day. That filter is not documented: where it is refused, all are asked for.
        """
        path, wanted = f"{self._folder}/events", f"occurred_at_min::{since.astimezone(dt.UTC):%Y-%m-%d}"
        try:
            page, following = self.api.page(path, answers.next_link, link=link, filter=wanted)
        except Refused as error:
            if link is not None or error.status not in (400, 422):
                raise
            page, following = self.api.page(path, answers.next_link, page=1)
        return events_from(page), following

    def fact_of(self, event: dict[str, Any]) -> Fact | None:
        """Return what an event tells. A template that it does not describe is asked for."""
        found = fact_of_event(event, management_url=self._management_url())
        if not isinstance(found, str):
            return found
        try:
            return self.template(found)
        except NotFound:
            return TemplateFact(id=found, state=TemplateState.GONE, at=event_time(event))

    def _management_url(self) -> str:
        base = str(config.CREDLY_SANDBOX_BASE_URL if config.USE_SANDBOX else config.CREDLY_BASE_URL).rstrip("/")
        return f"{base}/mgmt/organizations/{self.organization}/badges/templates/{{}}/details"

    def _nonsense(self, text: str) -> NoAnswer:
        return NoAnswer(self.api.message(text), uncertain=False, circuit=True)

    def organization_name(self) -> str:
        """Return what the organization is called at Credly."""
        answer = self.api.get(self._folder)
        data = answer.get("data") if isinstance(answer, dict) else None
        return str((data if isinstance(data, dict) else {}).get("name") or "")


def client_for(organization: str) -> CredlyClient:
    """
    Return a client for an organization that is known here. Raises SharedProblem when it is not.

    Organizations in ``LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"]`` win over rows of the admin, so that an operator
    can keep every key out of the database. A value is the organization's token, or, for OAuth2, ``{"client_id": …,
    "client_secret": …}``.
    """
    identifier = organization_id(organization)
    return client_with(identifier, _credentials(identifier))


def client_with(organization: uuid.UUID, credentials: str | dict[str, Any]) -> CredlyClient:
    """Return a client for an organization whose token or OAuth2 client is given."""
    auth = _oauth(organization, credentials) if isinstance(credentials, dict) else _basic(credentials)
    return CredlyClient(organization, _http_api(organization, _base_url(), config.timeout, auth))


def organization_id(text: str) -> uuid.UUID:
    """Read an organization's id. It becomes part of addresses, so it must be a UUID; raises SharedProblem if not."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise SharedProblem(
            f"The organization {text[:50]!r} is no UUID. Correct the issuer of the template; "
            "Credly shows the id on the organization's page."
        ) from None


def organizations() -> list[str]:
    """Return the ids of the organizations that have credentials in the settings or the admin; one statement."""
    listed = {each for each, credentials in _listed().items() if credentials}
    in_settings = {str(found) for each in listed if (found := _uuid(each)) is not None}
    rows = CredlyOrganization.objects.exclude(encrypted_token="").order_by("uuid").values_list("uuid", flat=True)
    return sorted(in_settings | {str(found) for found in rows})


def organization_problems() -> list[tuple[str, str]]:
    """Return what is wrong with the organizations of the settings: messages and hints."""
    place = "LMS_BADGES_CONFIG['credly']['ORGANIZATIONS']"
    found = []
    for number, (listed, credentials) in enumerate(_listed().items(), start=1):
        if _uuid(listed) is None:
            hint = "Credly shows the id on the organization's page."
            found.append((f"The key of entry {number} of {place} is no UUID, so the entry has no effect.", hint))
        elif not _are_usable(credentials):
            hint = 'Give the token, or {"client_id": …, "client_secret": …} for OAuth2.'
            found.append((f"{place}[{str(listed)!r}] holds neither a token nor an OAuth2 client.", hint))
    return found


def _listed() -> dict[Any, Any]:
    """Return the organizations of the settings; none when a check reports that it is no dict."""
    return config.ORGANIZATIONS if isinstance(config.ORGANIZATIONS, dict) else {}


def _are_usable(credentials: Any) -> bool:
    if isinstance(credentials, dict):
        return all(isinstance(credentials.get(key), str) and credentials[key] for key in ("client_id", "client_secret"))
    return isinstance(credentials, str) and bool(credentials.strip())


def is_in_settings(organization: uuid.UUID) -> bool:
    """Return whether the settings have credentials for an organization."""
    return _credentials_in_settings(organization) is not None


def _credentials_in_settings(organization: uuid.UUID) -> str | dict[str, Any] | None:
    listed = _listed().items()
    return next((credentials for each, credentials in listed if credentials and _same(each, organization)), None)


def _credentials(organization: uuid.UUID) -> str | dict[str, Any]:
    in_settings = _credentials_in_settings(organization)
    if in_settings is not None:
        return in_settings
    row = CredlyOrganization.objects.filter(uuid=organization).first()
    token = row.token if row else ""
    if not token:
        raise SharedProblem(
            f"There is no token for the Credly organization {organization}. Add the organization in the admin or "
            "under ORGANIZATIONS in LMS_BADGES_CONFIG['credly']; the badges wait for it."
        )
    return token


def _same(listed: Any, organization: uuid.UUID) -> bool:
    return _uuid(listed) == organization


def _uuid(text: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None


def _basic(token: str) -> AuthBase:
    # Bytes, because requests would otherwise fail on a character outside of Latin-1.
    return HTTPBasicAuth(token.strip().encode(), b"")


def _oauth(organization: uuid.UUID, credentials: dict[str, Any]) -> AuthBase:
    try:
        client_id, client_secret = str(credentials["client_id"]), str(credentials["client_secret"])
    except KeyError as missing:
        raise SharedProblem(
            f"ORGANIZATIONS in LMS_BADGES_CONFIG['credly'] holds no {missing} for the organization {organization}. "
            'Give a token, or {"client_id": …, "client_secret": …}.'
        ) from None
    return _client_credentials(organization, _base_url(), config.timeout, client_id, client_secret)


@functools.lru_cache(maxsize=256)
def _client_credentials(
    organization: uuid.UUID, base: str, timeout: float, client_id: str, client_secret: str
) -> ClientCredentials:
    """Return the same object for the same settings, because it keeps the access token."""
    token_api = _http_api(organization, base, timeout, None)
    return ClientCredentials(token_api, "oauth/token", client_id=client_id, client_secret=client_secret, form=False)


def _base_url() -> str:
    return str(config.CREDLY_SANDBOX_API_BASE_URL if config.USE_SANDBOX else config.CREDLY_API_BASE_URL)


def _http_api(organization: uuid.UUID, base: str, timeout: float, auth: AuthBase | None) -> HttpApi:
    return HttpApi(
        f"Credly (organization {organization})",
        base,
        auth=auth,
        timeout=timeout,
        remedies=_REMEDIES,
        read_error=answers.error_text,
    )
