"""Credly's API: the calls we make."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from badges.common.http import HttpApi, NoAnswer, Refused
from badges.exceptions import Permanent, Retryable
from badges.issuers import answers
from badges.issuers.credly import organizations
from badges.issuers.credly.payloads import TheirBadge, badge_from, badges_from


class CredlyClient:
    """Speaks to Credly in the name of one organization."""

    def __init__(self, organization: uuid.UUID, api: HttpApi):
        self.organization = organization
        self.api = api
        self._folder = f"organizations/{organization}"

    def issue(self, body: dict[str, str]) -> TheirBadge:
        """Issue a badge. Not idempotent: after NoAnswer with ``uncertain``, look before asking again."""
        private = [value for key, value in body.items() if key.startswith(("recipient_", "issued_to_"))]
        answer = self.api.post(f"{self._folder}/badges", body, private=private)
        try:
            return badge_from(answer["data"])
        except (ValueError, KeyError, TypeError):
            message = self.api.message("the answer names no badge, although none was refused.")
            raise NoAnswer(message, uncertain=True) from None

    def badges_of(self, *, earner: str, template: str) -> Iterator[TheirBadge]:
        """Yield the badges of a template that were issued under our id of a learner, whatever their state."""
        wanted = f"issuer_earner_id::{earner}|badge_template_id::{template}"
        for page in self.api.pages(f"{self._folder}/badges", answers.next_link, filter=wanted):
            yield from badges_from(page)

    def organization_name(self) -> str:
        """Return what the organization is called at Credly."""
        answer = self.api.get(self._folder)
        data = answer.get("data") if isinstance(answer, dict) else None
        return str((data if isinstance(data, dict) else {}).get("name") or "")


def client_for(organization: str) -> CredlyClient:
    """Return a client for an organization that is known here; Permanent, naming it, when it is not."""
    identifier = organizations.organization_id(organization)
    return CredlyClient(identifier, organizations.api_of(identifier))


def check_organization(organization: uuid.UUID | str, token: str) -> str:
    """
    Ask Credly whether the token is this organization's, and return the organization's name.

    Raises ValidationError for a form to show, with the code ``uuid`` or ``token`` (which field is wrong) or
    ``unavailable`` (Credly could not be asked; nothing is known about the fields).
    """
    try:
        identifier = organizations.organization_id(str(organization))
    except Permanent:
        raise ValidationError(
            _("This is not a UUID. Credly shows the organization's id on its page."), code="uuid"
        ) from None
    if not token.strip():
        raise ValidationError(_("Enter the organization's token."), code="token")
    try:
        return CredlyClient(identifier, organizations.api_with(identifier, token)).organization_name()
    except Refused as error:
        raise _as_field_error(error) from error
    except (Permanent, Retryable) as error:
        raise ValidationError(
            _("Credly could not be asked: %(reason)s"), code="unavailable", params={"reason": str(error)}
        ) from error


def _as_field_error(error: Refused) -> ValidationError:
    if error.status in (401, 403):
        return ValidationError(
            _("Credly does not accept this token for the organization. Copy it anew from Credly."), code="token"
        )
    if error.status == 404:
        return ValidationError(_("Credly knows no organization with this id. Copy it anew from Credly."), code="uuid")
    return ValidationError(_("Credly refused: %(reason)s"), code="unavailable", params={"reason": str(error)})
