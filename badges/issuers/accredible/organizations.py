"""Accredible organizations that an operator enters: checking one, and encrypting the stored keys anew."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from badges.awarding.models import CredentialStatus
from badges.catalog.models import TemplateIssuer
from badges.common.http import Refused
from badges.exceptions import Permanent, Retryable
from badges.issuers.accredible import targets
from badges.issuers.accredible.client import client_with, is_in_settings
from badges.issuers.accredible.models import ENDED_STATES, AccredibleBadge, AccredibleOrganization, AccredibleState
from badges.issuers.secrets import reencrypted
from badges.outbox import circuit
from badges.outbox.models import OutboxMessage, OutboxState
from badges.outbox.worker_notifications import notify_worker_on_commit


def check_organization(slug: str, api_key: str) -> str:
    """
    Ask Accredible whether it accepts the key, and return the name of the key's account there. One HTTP call.

    Raises ValidationError for a form to show, with the code ``key`` (the key is wrong) or ``unavailable`` (Accredible
    could not be asked; nothing is known about the key).
    """
    if not api_key.strip():
        raise ValidationError(_("Enter the organization's API key."), code="key")
    try:
        client = client_with(slug, api_key)
    except Permanent as error:
        raise ValidationError(str(error), code="key") from error
    try:
        return client.organization_name()
    except Refused as error:
        if error.status in (401, 403):
            raise ValidationError(
                _("Accredible does not accept this key. Copy it anew from Accredible."), code="key"
            ) from error
        raise ValidationError(
            _("Accredible refused: %(reason)s"), code="unavailable", params={"reason": str(error)}
        ) from error
    except (Permanent, Retryable) as error:
        raise ValidationError(
            _("Accredible could not be asked: %(reason)s"), code="unavailable", params={"reason": str(error)}
        ) from error


def needed_by(organization: AccredibleOrganization) -> list[str]:
    """
    Return what needs an organization, for people: templates, badges to be issued, and badges that may be revoked.

    Nothing needs one whose key is in the settings. Four statements.
    """
    if is_in_settings(organization.slug):
        return []
    issuers = TemplateIssuer.objects.filter(provider=targets.SLUG, organization=organization.slug)
    slugs = list(issuers.order_by("template__slug").values_list("template__slug", flat=True))
    unissued = AccredibleBadge.objects.filter(
        state__in=[AccredibleState.CREATED, AccredibleState.ERROR],
        credential__status=CredentialStatus.AWARDED,
        credential__template__in=issuers.values("template"),
    ).count()
    bound = AccredibleBadge.objects.filter(organization=organization.slug)
    valid = bound.exclude(state__in=ENDED_STATES).count()
    circuit_name = targets.circuit_of(organization.slug)
    waits = Q(postponed_for=circuit_name) | Q(postponed_for__startswith=f"{circuit_name}:")
    asks = Q(channel=targets.SLUG, type="fetch", payload__contains=f'"organization":"{organization.slug}"')
    of_it = OutboxMessage.objects.filter(waits | asks, state=OutboxState.PENDING)
    found = [_("The template %(slug)s is issued by it.") % {"slug": slug} for slug in slugs]
    counts = (unissued, valid, of_it.count())
    for count, words in zip(
        counts,
        (
            ngettext("%d badge is to be issued by it.", "%d badges are to be issued by it.", counts[0]),
            ngettext("%d badge is issued by it.", "%d badges are issued by it.", counts[1]),
            ngettext("%d outbox message waits for it.", "%d outbox messages wait for it.", counts[2]),
        ),
        strict=True,
    ):
        found += [words % count] if count else []
    return found


def let_badges_go_on(slug: str) -> None:
    """Try a badge of this organization now, if they wait: its key was entered anew. Call it once that is saved."""
    circuit.probe_now([targets.circuit_of(slug)], timezone.now())
    notify_worker_on_commit()


def reencrypt_keys() -> int:
    """Encrypt every stored key and secret anew, in the caller's transaction; returns how many."""
    number = 0
    for row in AccredibleOrganization.objects.select_for_update().order_by("id"):
        for column in ("encrypted_key", "encrypted_webhook_secret"):
            if stored := getattr(row, column):
                setattr(row, column, reencrypted(stored))
                number += 1
        row.save(update_fields=["encrypted_key", "encrypted_webhook_secret"])
    return number
