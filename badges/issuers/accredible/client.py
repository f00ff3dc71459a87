"""
Accredible's API: the calls we make, in the name of an organization and with its key.

They are those of Accredible's reference (``github.com/accredible/api-documentation``, version 25.08). There a list goes
on at a page that has a number, so no link is followed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import requests
from requests.auth import AuthBase

from badges.common.http import MAX_PAGES, HttpApi, NoAnswer, Refused, Remedies
from badges.exceptions import Permanent, SharedProblem
from badges.issuers import answers
from badges.issuers.accredible.conf import config
from badges.issuers.accredible.models import SLUG_PATTERN, AccredibleOrganization
from badges.issuers.accredible.payloads import (
    ExternalBadge,
    badge_from,
    badges_from,
    changes_body,
    design_image,
    group_from,
    groups_from,
    next_page,
    search_body,
    total_count,
)
from badges.issuers.base import TemplateFact

_CHECK = "Check the organization's key, and the template's group."
_REMEDIES = Remedies(address="Correct the API address in LMS_BADGES_CONFIG.", access=_CHECK, not_found=_CHECK)
_KEY = re.compile(r"[!-~]+")


class KeyAuth(AuthBase):
    """Sends the key in the header ``Authorization``."""

    def __init__(self, authorization: str) -> None:
        self._authorization = authorization

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._authorization
        return request


class AccredibleClient:
    """Accredible's API for one organization."""

    def __init__(self, organization: str, api: HttpApi):
        self.organization = organization
        self.api = api

    def issue(self, body: dict[str, Any]) -> ExternalBadge:
        """Issue a badge. Not idempotent: after NoAnswer with ``uncertain``, look before asking again."""
        return self._badge(self.api.post("credentials", body, private=_private(body)), uncertain=True)

    def badges_of(self, *, template: str, email: str = "", earner: str = "") -> Iterator[ExternalBadge]:
        """Yield the badges of a group: of a person by address or by our id of a learner, or all. Ended ones too."""

        def ask(page: int) -> Any:
            body = search_body(template=template, email=email, earner=earner, page=page)
            return self.api.post("credentials/search", body, private=[email])

        for page in self._pages(ask):
            yield from badges_from(page)

    def badge(self, external_id: str) -> ExternalBadge:
        """Return a badge. Raises NotFound when there is none."""
        return self._badge(self.api.get(f"credentials/{external_id}"), uncertain=False)

    def change(self, external_id: str, body: dict[str, Any]) -> None:
        """Change a badge. Raises NotFound when there is none."""
        send = self.api.put if config.update_method.upper() == "PUT" else self.api.patch
        send(f"credentials/{external_id}", body, private=_private(body))

    def delete(self, external_id: str) -> None:
        """Delete a badge with what it says about the person. Raises NotFound when there is none."""
        self.api.delete(f"credentials/{external_id}")

    def template_badges(self, group: str, number: int) -> tuple[list[ExternalBadge], int | None]:
        """Return a page of the badges of a group, ended ones too, and the number of the next page."""
        page = self.api.post("credentials/search", search_body(template=group, page=number))
        return list(badges_from(page)), self._following(page, number)

    def changed_badges(self, since: dt.date, number: int) -> tuple[list[ExternalBadge], int | None]:
        """Return a page of the badges that were changed since a day, and the number of the next page."""
        page = self.api.post("credentials/search", changes_body(since=since, page=number))
        return list(badges_from(page)), self._following(page, number)

    def group(self, group: str) -> TemplateFact:
        """Return a group, with the image of its design. Raises NotFound when there is none."""
        answer = self.api.get(f"issuer/groups/{group}")
        try:
            found = group_from(answer.get("group"), management_url=_management_url())
        except (ValueError, AttributeError):
            raise NoAnswer(self.api.message("the answer describes no group."), uncertain=False, circuit=True) from None
        return self._with_images([found])[0]

    def groups(self, number: int) -> tuple[list[TemplateFact], int | None, int | None]:
        """Return a page of the groups, the number of the next page, and how many groups there are in all."""
        page = self.api.get("issuer/all_groups", page=number, page_size=50)
        found = list(groups_from(page, management_url=_management_url()))
        return self._with_images(found), self._following(page, number), total_count(page)

    def _with_images(self, groups: list[tuple[TemplateFact, str]]) -> list[TemplateFact]:
        """Return groups with the images of their designs, each of which is asked for once."""
        images = {design: self._image_of(design) for _, design in groups if design}
        return [replace(fact, image_url=images.get(design, "")) for fact, design in groups]

    def _image_of(self, design: str) -> str:
        try:
            return design_image(self.api.get(f"designs/{design}"))
        except Refused:
            return ""  # a badge can be issued without

    def organization_name(self) -> str:
        """Return what the account is called at Accredible."""
        answer = self.api.get("issuer/details")
        issuer = answer.get("issuer") if isinstance(answer, dict) else None
        return str((issuer if isinstance(issuer, dict) else {}).get("name") or "")

    def _badge(self, answer: Any, *, uncertain: bool) -> ExternalBadge:
        try:
            return badge_from(answer)
        except ValueError:
            message = self.api.message("the answer describes no credential.")
            raise NoAnswer(message, uncertain=uncertain, circuit=True) from None

    def _pages(self, ask: Callable[[int], Any]) -> Iterator[Any]:
        """Yield one page of a list after the other. Raises Permanent when the list does not end."""
        number = 1
        for _ in range(MAX_PAGES):
            page = ask(number)
            yield page
            following = self._following(page, number)
            if following is None:
                return
            number = following
        raise self.api.endless_list()

    def _following(self, page: Any, number: int) -> int | None:
        """Return the number of the page after the one with this number; None when it is the last."""
        try:
            following = next_page(page)
        except ValueError:
            message = "a list goes on at another address than a page with a number. Nothing was sent there."
            raise Permanent(self.api.message(f"{message} {_REMEDIES.address}")) from None
        if following is not None and following <= number:
            raise self.api.endless_list()
        return following


def client_for(organization: str) -> AccredibleClient:
    """
    Return a client for an organization that is known here. Raises SharedProblem when it is not.

    Organizations in ``LMS_BADGES_CONFIG["accredible"]["ORGANIZATIONS"]`` win over rows of the admin, so that an
    operator can keep every key out of the database.
    """
    if not is_slug(organization):
        raise SharedProblem(
            f"The Accredible organization {organization[:50]!r} is no slug. Correct the issuer of the template: give "
            "the slug of an organization in the admin."
        )
    api_key = _key_in_settings(organization)
    if not api_key:
        row = AccredibleOrganization.objects.filter(slug=organization).first()
        api_key = row.api_key if row else ""
    if not api_key:
        raise SharedProblem(
            f"There is no key for the Accredible organization {organization}. Add the organization in the admin or "
            "under ORGANIZATIONS in LMS_BADGES_CONFIG['accredible']; the badges wait for it."
        )
    return client_with(organization, api_key)


def client_with(organization: str, api_key: str) -> AccredibleClient:
    """Return a client for an organization whose key is given. Raises SharedProblem for a key that can be none."""
    api_key = api_key.strip()
    if not _KEY.fullmatch(api_key):
        raise SharedProblem(
            f"The key of the Accredible organization {organization} holds characters that no key has. Enter it anew."
        )
    base = config.ACCREDIBLE_SANDBOX_API_BASE_URL if config.USE_SANDBOX else config.ACCREDIBLE_API_BASE_URL
    api = HttpApi(
        f"Accredible (organization {organization})",
        str(base),
        auth=KeyAuth(config.authorization.replace("{key}", api_key)),
        timeout=config.timeout,
        remedies=_REMEDIES,
        read_error=answers.error_text,
    )
    return AccredibleClient(organization, api)


def is_in_settings(organization: str) -> bool:
    """Return whether the settings have a key for an organization."""
    return bool(_key_in_settings(organization))


def organizations() -> list[str]:
    """Return the slugs of the organizations that have a key in the settings or the admin; one statement."""
    in_settings = {slug for slug, api_key in _listed().items() if api_key and is_slug(slug)}
    rows = AccredibleOrganization.objects.exclude(encrypted_key="").order_by("slug").values_list("slug", flat=True)
    return sorted(in_settings | set(rows))


def settings_problems() -> list[tuple[str, str]]:
    """Return what is wrong with the settings beside types and names: messages and hints."""
    place = "LMS_BADGES_CONFIG['accredible']"
    found = []
    for number, (slug, api_key) in enumerate(_listed().items(), start=1):
        if not is_slug(slug):
            hint = "Choose a slug of letters A to Z, digits, hyphens and underscores."
            found.append((f"The key of entry {number} of ORGANIZATIONS in {place} is no slug.", hint))
        elif not isinstance(api_key, str) or not _KEY.fullmatch(api_key.strip()):
            found.append((f"ORGANIZATIONS in {place} holds no API key for {slug}.", "Copy it from Accredible."))
    if "{key}" not in str(config.authorization):
        hint = "Write for example 'Token token={key}'."
        found.append((f"authorization in {place} has no place for the key, so no request is accepted.", hint))
    if str(config.update_method).upper() not in ("PATCH", "PUT"):
        found.append((f"update_method in {place} is neither PATCH nor PUT; PATCH is used.", "Write one of the two."))
    return found


def is_slug(text: Any) -> bool:
    """Return whether a text can be the slug of an organization."""
    return isinstance(text, str) and re.fullmatch(SLUG_PATTERN, text) is not None


def _management_url() -> str:
    base = str(config.ACCREDIBLE_SANDBOX_BASE_URL if config.USE_SANDBOX else config.ACCREDIBLE_BASE_URL).rstrip("/")
    return f"{base}/issuer/dashboard/group/{{}}/information-and-appearance"


def _listed() -> dict[Any, Any]:
    """Return the organizations of the settings; none when a check reports that it is no dict."""
    return config.ORGANIZATIONS if isinstance(config.ORGANIZATIONS, dict) else {}


def _key_in_settings(organization: str) -> str:
    return str(_listed().get(organization) or "")


def _private(body: dict[str, Any]) -> list[str]:
    recipient = body["credential"].get("recipient", {})
    return [str(recipient[name]) for name in ("name", "email") if name in recipient]
