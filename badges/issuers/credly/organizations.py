"""Credly organizations that an operator enters: checking one, and encrypting the stored tokens anew."""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from badges.awarding.models import CredentialStatus
from badges.catalog.models import TemplateIssuer
from badges.common.http import Refused
from badges.exceptions import Permanent, Retryable
from badges.issuers.credly import targets
from badges.issuers.credly.client import client_for, client_with, is_in_settings, organization_id
from badges.issuers.credly.models import ENDED_STATES, CredlyBadge, CredlyOrganization, CredlyState
from badges.issuers.secrets import reencrypted
from badges.outbox import circuit
from badges.outbox.models import OutboxMessage, OutboxState
from badges.outbox.worker_notifications import notify_worker_on_commit


def check_organization(organization: uuid.UUID | str, token: str | None) -> str:
    """
    Ask Credly whether the token is this organization's, and return the organization's name. One HTTP call.

    ``token`` None: the organization's credentials in the settings are asked about.

    Raises ValidationError for a form to show, with the code ``uuid`` or ``token`` (which field is wrong) or
    ``unavailable`` (Credly could not be asked; nothing is known about the fields).
    """
    try:
        identifier = organization_id(str(organization))
    except Permanent:
        raise ValidationError(
            _("This is not a UUID. Credly shows the organization's id on its page."), code="uuid"
        ) from None
    if token is not None and not token.strip():
        raise ValidationError(_("Enter the organization's token."), code="token")
    try:
        client = client_for(str(identifier)) if token is None else client_with(identifier, token)
        return client.organization_name()
    except Refused as error:
        raise _as_field_error(error) from error
    except (Permanent, Retryable) as error:
        raise ValidationError(
            _("Credly could not be asked: %(reason)s"), code="unavailable", params={"reason": str(error)}
        ) from error


def needed_by(organization: CredlyOrganization) -> list[str]:
    """
    Return what needs an organization, for people: templates, badges to be issued, and badges that may be revoked.

    Nothing needs one whose token is in the settings. Four statements.
    """
    if is_in_settings(organization.uuid):
        return []
    text = str(organization.uuid)
    spellings = targets.spellings(text)
    issuers = TemplateIssuer.objects.filter(provider=targets.SLUG, organization__in=spellings)
    slugs = list(issuers.order_by("template__slug").values_list("template__slug", flat=True))
    unissued = CredlyBadge.objects.filter(
        state__in=[CredlyState.CREATED, CredlyState.ERROR],
        credential__status=CredentialStatus.AWARDED,
        credential__template__in=issuers.values("template"),
    ).count()
    bound = CredlyBadge.objects.filter(organization__in=spellings).exclude(state__in=ENDED_STATES).count()
    asks = Q(channel=targets.SLUG, type="fetch", payload__contains=f'"organization":"{text}"')
    waits = Q(postponed_for__startswith=targets.circuit_of(text))
    waiting = OutboxMessage.objects.filter(waits | asks, state=OutboxState.PENDING).count()
    found = [_("The template %(slug)s is issued by it.") % {"slug": slug} for slug in slugs]
    for count, words in (
        (unissued, ngettext("%d badge is to be issued by it.", "%d badges are to be issued by it.", unissued)),
        (bound, ngettext("%d badge is issued by it.", "%d badges are issued by it.", bound)),
        (waiting, ngettext("%d outbox message waits for it.", "%d outbox messages wait for it.", waiting)),
    ):
        found += [words % count] if count else []
    return found


def let_badges_go_on(organization: uuid.UUID) -> None:
    """Try a badge of this organization now, if they wait: its token was entered anew. Call it once that is saved."""
    circuit.probe_now([targets.circuit_of(str(organization))], timezone.now())
    notify_worker_on_commit()


def reencrypt_tokens() -> int:
    """Encrypt every stored token with the newest key, in the caller's transaction; returns how many."""
    rows = list(CredlyOrganization.objects.select_for_update().exclude(encrypted_token="").order_by("id"))
    for row in rows:
        row.encrypted_token = reencrypted(row.encrypted_token)
        row.save(update_fields=["encrypted_token"])
    return len(rows)


def _as_field_error(error: Refused) -> ValidationError:
    if error.status in (401, 403):
        return ValidationError(
            _("Credly does not accept this token for the organization. Copy it anew from Credly."), code="token"
        )
    if error.status == 404:
        return ValidationError(_("Credly knows no organization with this id. Copy it anew from Credly."), code="uuid")
    return ValidationError(_("Credly refused: %(reason)s"), code="unavailable", params={"reason": str(error)})
