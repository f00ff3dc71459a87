"""
Issuing at Credly.

Credly has no idempotency key, so the order of steps keeps a badge single. The row says that Credly was asked before the
request leaves. A row that says so is looked up at Credly before anything is asked again. A process that is killed in
between leaves exactly such a row.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Collection, Sequence

from django.db import IntegrityError, transaction
from django.utils import timezone

from badges.awarding.models import CredentialStatus, UserCredential
from badges.catalog.models import TemplateIssuer
from badges.common.http import NoAnswer, Refused
from badges.conf import config
from badges.exceptions import Permanent, Retryable, Waiting
from badges.inserts import insert, new_row
from badges.issuers.base import Issued, Issuer, IssuerTarget
from badges.issuers.credly import payloads
from badges.issuers.credly.client import CredlyClient, client_for
from badges.issuers.credly.conf import DEFAULTS
from badges.issuers.credly.conf import config as credly_config
from badges.issuers.credly.models import CredlyBadge, CredlyState
from badges.issuers.credly.organizations import reencrypt_tokens
from badges.issuers.credly.payloads import ExternalBadge
from badges.issuers.registry import ProviderChannel

log = logging.getLogger(__name__)


# Why a badge is revoked at Credly that has ended: everybody may read it there.
ENDED = "A newer badge takes its place."


class CredlyIssuer(Issuer):
    """Issues our credentials as badges of Credly."""

    slug = "credly"
    settings = DEFAULTS
    can_revoke = True

    def prepare(self, targets: Sequence[tuple[UserCredential, IssuerTarget]]) -> None:
        """Write the badges to be issued, in the transaction of the award."""
        insert(
            new_row(
                CredlyBadge,
                credential_id=credential.pk,
                organization=target.organization,
                external_template=target.external_template,
            )
            for credential, target in targets
        )

    def issue(self, credential_id: uuid.UUID) -> None:
        """Issue the credential's badge, or find out that it is issued."""
        badge = _row(credential_id)
        if badge.external_uuid is not None:
            return
        try:
            _issue(badge)
        except Permanent:
            CredlyBadge.objects.filter(pk=badge.pk, external_uuid__isnull=True).update(state=CredlyState.ERROR)
            raise

    def revoke(self, credential_id: uuid.UUID, reason: str) -> None:
        """Revoke the credential's badge at Credly, or find out that there is none."""
        badge = CredlyBadge.objects.select_related("credential__learner__user").filter(pk=credential_id).first()
        if badge is not None and badge.state not in (CredlyState.CREATED, CredlyState.REVOKED):
            _revoke(badge, reason)

    def issued(self, credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Issued]:
        """Return what is known here of these credentials' badges."""
        return {badge.pk: _known(badge) for badge in CredlyBadge.objects.filter(pk__in=credential_ids)}

    def circuit(self, credential_id: uuid.UUID) -> str:
        """Name the organization: its limits, its token and its outages are its own."""
        organization = CredlyBadge.objects.filter(pk=credential_id).values_list("organization", flat=True).first()
        return f"{self.slug}:{organization}" if organization else self.slug

    def reencrypt(self) -> int:
        """Encrypt the organizations' tokens with the newest key."""
        return reencrypt_tokens()


channel = ProviderChannel(CredlyIssuer.slug)


def _known(badge: CredlyBadge) -> Issued:
    external_id = str(badge.external_uuid or "")
    return Issued(CredlyIssuer.slug, badge.state, badge.get_state_display(), external_id, badge.url, badge.issued_at)


def _issue(badge: CredlyBadge) -> None:
    began = time.monotonic()
    held = badge.credential.status_at(timezone.now()) == CredentialStatus.AWARDED
    fresh = badge.state == CredlyState.CREATED
    if fresh and not held:
        return  # revoked, replaced or at its end before Credly was asked: there is nothing to issue
    client = client_for(badge.organization)
    template = _template_of(badge)
    if not fresh and _adopt(badge, client, template):
        return
    if time.monotonic() - began > config.delivery["lease_seconds"] / 2:
        raise Retryable("Looking the badge up at Credly took so long that another worker may have the row now.")
    if held:
        _ask(badge, client, template, fresh=fresh)


def _ask(badge: CredlyBadge, client: CredlyClient, template: str, *, fresh: bool) -> None:
    """Ask Credly for the badge; the row says that we did before we do."""
    body = _body(badge, template)
    _note_asked(badge)
    try:
        found = client.issue(body)
    except NoAnswer as error:
        if fresh and not error.uncertain:  # nothing happened there, so the next try may ask straight away again
            CredlyBadge.objects.filter(pk=badge.pk, external_uuid__isnull=True).update(state=CredlyState.CREATED)
        raise
    except Refused as error:
        # Credly says "the learner has it already" as one validation error among others: look it up after each.
        if error.status == 422 and _adopt(badge, client, template):
            return
        if error.status == 422 and _revoke_ended(badge, client):
            raise Retryable("An earlier badge of the learner, which has ended, was in the way at Credly.") from error
        raise _with_remedy(error) from error
    if not _bind(badge, found):
        raise Permanent(
            f"Credly answered with the badge {found.id}, which belongs to another credential here. "
            "Compare both at Credly, then retry this message."
        )


def _revoke(badge: CredlyBadge, reason: str) -> None:
    client = client_for(badge.organization)
    if badge.external_uuid is None:
        # Credly was asked and the outcome is not known, or it refused. Look whether there is a badge after all.
        if not _adopt(badge, client, _template_of(badge)):
            return
        badge.refresh_from_db(fields=["external_uuid"])
    assert badge.external_uuid is not None
    try:
        client.revoke(badge.external_uuid, reason)
    except Refused:
        # Credly refuses to revoke what is revoked or replaced. That is no error: the learner does not hold the badge.
        if client.state_of(badge.external_uuid) not in payloads.GONE:
            raise
    CredlyBadge.objects.filter(pk=badge.pk).update(state=CredlyState.REVOKED)


def _revoke_ended(badge: CredlyBadge, client: CredlyClient) -> bool:
    """
    Revoke the learner's badges of this template at Credly whose credentials have ended; return whether there were any.

    Credly may refuse a second badge of a template, also when the first one has ended or is replaced by this one.
    """
    earlier = CredlyBadge.objects.filter(
        credential__learner_template_id=badge.credential.learner_template_id,
        credential__status__in=[CredentialStatus.EXPIRED, CredentialStatus.REPLACED],
        organization=badge.organization,
        external_uuid__isnull=False,
    ).exclude(state=CredlyState.REVOKED)
    found = list(earlier.order_by("pk"))
    for each in found:
        assert each.external_uuid is not None
        try:
            client.revoke(each.external_uuid, ENDED, tell_earner=False)
        except Refused:
            if client.state_of(each.external_uuid) not in payloads.GONE:
                raise
        CredlyBadge.objects.filter(pk=each.pk).update(state=CredlyState.REVOKED)
    return bool(found)


def _note_asked(badge: CredlyBadge) -> None:
    """Commit that Credly is being asked, unless another worker got here first."""
    with transaction.atomic(durable=True):
        unchanged = CredlyBadge.objects.filter(pk=badge.pk, state=badge.state, external_uuid__isnull=True)
        noted = unchanged.update(state=CredlyState.NO_RESPONSE)
    if not noted:
        raise Retryable(f"The badge of credential {badge.pk} is being issued by another worker.")


def _adopt(badge: CredlyBadge, client: CredlyClient, template: str) -> bool:
    """Look at Credly for the badge, and take it when it is there and nobody else's; whether it was."""
    earner = _earner(badge)
    candidates = client.badges_of(earner=earner, template=template)
    return any(found.may_be(earner=earner, template=template) and _bind(badge, found) for found in candidates)


def _bind(badge: CredlyBadge, found: ExternalBadge) -> bool:
    """Write down which badge of Credly's it is; False when that one belongs to another credential."""
    state = found.state if found.state in CredlyState.values else CredlyState.PENDING
    try:
        with transaction.atomic():
            bound = CredlyBadge.objects.filter(pk=badge.pk, external_uuid__isnull=True).update(
                external_uuid=found.id,
                state=state,
                issued_at=found.issued_at or badge.credential.awarded_at,
                url=found.url,
            )
    except IntegrityError:  # external_uuid is unique
        return False
    if not bound and not CredlyBadge.objects.filter(pk=badge.pk, external_uuid=found.id).exists():
        log.error("Credly holds badge %s beside the one of credential %s; revoke it there.", found.id, badge.pk)
    return True


def _row(credential_id: uuid.UUID) -> CredlyBadge:
    rows = CredlyBadge.objects.select_related("credential__learner__user")
    return rows.filter(pk=credential_id).first() or _create_missing_row(credential_id)


def _create_missing_row(credential_id: uuid.UUID) -> CredlyBadge:
    """Make up for a row that was not written with the award, because this issuer could not be loaded then."""
    credential = UserCredential.objects.select_related("learner__user").filter(pk=credential_id).first()
    if credential is None:
        raise Permanent(f"There is no credential {credential_id}. This message cannot be delivered; remove it.")
    target = TemplateIssuer.objects.filter(template=credential.template_id, provider=CredlyIssuer.slug).first()
    if target is None:
        raise Permanent(
            f"The template of credential {credential_id} is not issued at Credly. Add Credly to the issuers of the "
            "template and retry this message, or remove it."
        )
    badge, _ = CredlyBadge.objects.get_or_create(
        credential=credential,
        defaults={"organization": target.organization, "external_template": target.external_template},
    )
    return badge


def _template_of(badge: CredlyBadge) -> str:
    """Return Credly's id of the template; it becomes part of a filter, so nothing but a UUID will do."""
    try:
        return str(uuid.UUID(badge.external_template))
    except ValueError:
        raise Permanent(
            f"The Credly template {badge.external_template[:50]!r} of credential {badge.pk} is no UUID. "
            "Correct it on the badge and in the issuer of the template, then retry this message."
        ) from None


def _earner(badge: CredlyBadge) -> str:
    return str(badge.credential.learner.uuid)


def _body(badge: CredlyBadge, template: str) -> dict[str, str]:
    learner = badge.credential.learner
    user = learner.user
    email = (getattr(user, user.get_email_field_name(), "") or "").strip() if user else ""
    if user is None and learner.lms_user_id is not None:
        raise Waiting(
            f"The learner {learner.uuid} has no account here yet. The badge waits until an event with the learner's "
            "username comes in."
        )
    if user is None or not email:
        lacking = "e-mail address" if user else "account here"
        raise Permanent(
            f"The learner {learner.uuid} has no {lacking}, which Credly needs. Add it to the account and retry "
            "this message, or leave the badge unissued."
        )
    full_name = user.get_full_name().strip() or user.get_username()
    first, last = payloads.names(full_name, single_name_last=credly_config.single_name_last)
    return payloads.issue_body(
        email=email,
        first_name=first,
        last_name=last,
        template=template,
        awarded_at=badge.credential.awarded_at,
        earner=_earner(badge),
        valid_until=badge.credential.valid_until,
    )


def _with_remedy(error: Refused) -> Permanent:
    if error.status != 422:
        return error
    return Permanent(
        f"{error} Correct what it names; if the learner has this badge at Credly already, revoke it there or let the "
        "template allow duplicates. Then retry this message."
    )
