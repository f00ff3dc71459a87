"""
Issuing at Credly.

Credly has no idempotency key, so the order of steps keeps a badge single. The row says that Credly was asked before the
request leaves. A row that says so is looked up at Credly before anything is asked again. A process that is killed in
between leaves exactly such a row.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from badges.awarding.models import CredentialStatus, UserCredential
from badges.common.http import AccessRefused, NoAnswer, NotFound, Refused
from badges.common.person_names import name_of
from badges.conf import config
from badges.exceptions import Permanent, Retryable, SharedProblem, Waiting
from badges.inserts import insert, new_row
from badges.issuers.base import (
    BadgeFact,
    BadgePage,
    EventPage,
    Fact,
    Issued,
    Issuer,
    IssuerTarget,
    KnownBadge,
    ListedBadge,
    TemplateFact,
    TemplatePage,
)
from badges.issuers.credly import payloads, states, targets
from badges.issuers.credly.client import CredlyClient, client_for, organization_problems, organizations
from badges.issuers.credly.conf import DEFAULTS
from badges.issuers.credly.conf import config as credly_config
from badges.issuers.credly.models import ENDED_STATES, CredlyBadge, CredlyState
from badges.issuers.credly.organizations import reencrypt_tokens
from badges.issuers.credly.payloads import ExternalBadge, event_time
from badges.issuers.credly.webhook import CredlyWebhook
from badges.issuers.models import TemplateState
from badges.issuers.registry import ProviderChannel
from badges.outbox.channels import HandlerResult

log = logging.getLogger(__name__)


# Why a badge is revoked at Credly that has ended: everybody may read it there.
ENDED = "A newer badge takes its place."


class CredlyIssuer(Issuer):
    """Issues our credentials as badges of Credly."""

    slug = "credly"
    settings = DEFAULTS
    can_revoke = True

    def prepare(self, targets: Sequence[tuple[UserCredential, IssuerTarget]]) -> None:
        """Write the badges to be issued, in the transaction of the award. Where is decided when Credly is asked."""
        insert(
            new_row(CredlyBadge, credential_id=credential.pk, organization="", external_template="")
            for credential, _target in targets
        )

    def issue(self, credential_id: uuid.UUID) -> HandlerResult | None:
        """Issue the credential's badge, or find out that it is issued."""
        badge = _row(credential_id)
        try:
            outcome = _issue(badge) if badge.external_uuid is None else HandlerResult.NOTHING_TO_DO
        except SharedProblem:
            raise
        except Permanent:
            CredlyBadge.objects.filter(pk=badge.pk, state=CredlyState.CREATED).update(state=CredlyState.ERROR)
            raise
        return None if _revoke_if_lost(credential_id) else outcome

    def revoke(self, credential_id: uuid.UUID, reason: str) -> HandlerResult | None:
        """Revoke the credential's badge at Credly, or find out that there is none."""
        badge = CredlyBadge.objects.select_related("credential__learner__user").filter(pk=credential_id).first()
        if badge is None or badge.state in (CredlyState.CREATED, *ENDED_STATES):
            return HandlerResult.NOTHING_TO_DO
        return _revoke(badge, reason)

    def issued(self, credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Issued]:
        """Return what is known here of these credentials' badges."""
        return {badge.pk: _known(badge) for badge in CredlyBadge.objects.filter(pk__in=credential_ids)}

    def circuits(self, credential_id: uuid.UUID) -> Sequence[str]:
        """Name the organization, whose limits, token and outages are its own, and the template there."""
        return targets.circuits_of_credential(credential_id)

    def reencrypt(self) -> int:
        """Encrypt the organizations' tokens with the newest key."""
        return reencrypt_tokens()

    def settings_problems(self) -> Sequence[tuple[str, str]]:
        """Return what is wrong with the organizations of the settings."""
        return organization_problems()

    @property
    def takes_webhooks_without_secret(self) -> bool:  # type: ignore[override]  # the base has a constant
        return credly_config.webhook_without_secret is True

    # --- what Credly tells -------------------------------------------------------------------------------------------

    webhook = CredlyWebhook()
    can_sync = True
    can_sweep = True

    def organizations(self) -> Sequence[str]:
        """Return the organizations of the settings and the admin."""
        return organizations()

    def organization_id(self, text: str) -> str | None:
        """Return a UUID in its usual spelling."""
        try:
            return str(uuid.UUID(text))
        except ValueError:
            return None

    def spellings(self, external_id: str) -> Sequence[str]:
        """Return the spellings of a UUID."""
        return targets.spellings(external_id)

    def account_circuit(self, organization: str) -> str:
        """Name the organization."""
        return targets.circuit_of(organization)

    def check_organization(self, organization: str) -> str:
        """Ask Credly for the organization's name."""
        return client_for(organization).organization_name()

    def fetch(self, organization: str, about: Mapping[str, str]) -> Sequence[Fact]:
        """Ask Credly for the event, and believe only the answer."""
        client = client_for(organization)
        try:
            event = client.event(uuid.UUID(about["event"]))
        except (KeyError, ValueError):
            raise Permanent("The message names no event of Credly. Close it.") from None
        except NotFound:
            client.organization_name()  # not the event but the organization may be unknown; then this raises
            return ()
        fact = client.fact_of(event)
        return () if fact is None else (fact,)

    def write_badges(self, organization: str, facts: Sequence[BadgeFact], *, now: dt.datetime) -> int:
        """Write the states of badges."""
        return states.write(organization, facts)

    def template_page(self, organization: str, cursor: Any = None) -> TemplatePage:
        """Ask for a page of templates in all states; the cursor is the link to it."""
        return TemplatePage(*client_for(organization).templates(cursor))

    def template(self, organization: str, external_id: str) -> TemplateFact:
        """Ask for one template."""
        client = client_for(organization)
        try:
            return client.template(external_id)
        except NotFound:
            client.organization_name()
            return TemplateFact(id=external_id, state=TemplateState.GONE)

    def event_page(self, organization: str, since: dt.datetime, cursor: Any = None) -> EventPage:
        """Ask for a page of events; the cursor is the link to it. It ends early when the list has the newest first."""
        client = client_for(organization)
        events, following = client.events(since, cursor)
        times = [at for event in events if (at := event_time(event)) is not None]
        if times and max(times) < since and times == sorted(times, reverse=True) and times[0] != times[-1]:
            following = None  # the rest is older still
        recent = [event for event in events if (at := event_time(event)) is not None and at >= since]
        facts = [fact for event in recent if (fact := client.fact_of(event)) is not None]
        return EventPage(facts, max(times, default=None), following)

    # --- reconciling -------------------------------------------------------------------------------------------------

    can_reconcile = True

    def badge_page(self, organization: str, external_template: str, cursor: Any = None) -> BadgePage:
        """Ask for a page of badges; the cursor is the link to it."""
        template = targets.template_id(IssuerTarget(self.slug, organization, external_template))
        badges, following = client_for(organization).template_badges(template, cursor)
        return BadgePage([_listed(badge) for badge in badges], following)

    def badge(self, organization: str, external_id: str) -> ListedBadge | None:
        """Ask for the state of a badge."""
        client = client_for(organization)
        try:
            state = client.state_of(uuid.UUID(external_id))
        except NotFound:
            client.organization_name()
            return None
        return ListedBadge(external_id, state, state not in payloads.GONE)

    def known_badges(self, organization: str, external_template: str) -> Sequence[KnownBadge]:
        """Return the rows that have a badge of Credly's."""
        rows = CredlyBadge.objects.filter(
            organization__in=targets.spellings(organization),
            external_template__in=targets.spellings(external_template),
            external_uuid__isnull=False,
        ).exclude(state=CredlyState.DELETED)
        return [KnownBadge(row.pk, str(row.external_uuid), row.state) for row in rows.order_by("pk")]

    def templates_of_badges(self, organization: str) -> Sequence[str]:
        """Return the templates of all rows that have a badge."""
        rows = CredlyBadge.objects.filter(organization__in=targets.spellings(organization), external_uuid__isnull=False)
        return sorted(set(rows.order_by().values_list("external_template", flat=True).distinct()))

    def state_here(self, state: str, told: str) -> str:
        """Return Credly's state, unless it is unknown here."""
        return states.state_of(told) or state

    def reset(self, badges: Collection[KnownBadge]) -> int:
        """Let rows say that nobody asked Credly."""
        number = 0
        for badge in badges:
            rows = CredlyBadge.objects.filter(pk=badge.credential_id, external_uuid=badge.external_id)
            number += rows.filter(state=badge.state).update(
                state=CredlyState.CREATED,
                state_at=None,
                external_uuid=None,
                organization="",
                external_template="",
                issued_at=None,
                url="",
            )
        return number


channel = ProviderChannel(CredlyIssuer.slug)


def _listed(badge: ExternalBadge) -> ListedBadge:
    return ListedBadge(str(badge.id), badge.state, badge.state not in payloads.GONE, badge.earner)


def _known(badge: CredlyBadge) -> Issued:
    external_id = str(badge.external_uuid or "")
    return Issued(CredlyIssuer.slug, badge.state, badge.get_state_display(), external_id, badge.url, badge.issued_at)


def _issue(badge: CredlyBadge) -> HandlerResult | None:
    began = time.monotonic()
    held = badge.credential.status_at(timezone.now()) == CredentialStatus.AWARDED
    fresh = badge.state == CredlyState.CREATED
    if fresh and not held:
        return HandlerResult.NOTHING_TO_DO  # revoked, replaced or at its end before Credly was asked
    if badge.state == CredlyState.NO_RESPONSE and _adopt_where_asked(badge):
        return None
    if not held:
        return HandlerResult.NOTHING_TO_DO
    target = targets.of_template(badge.credential.template_id)
    client, template = client_for(target.organization), targets.template_id(target)
    # It was refused before. Somebody may have issued it there by hand since.
    if badge.state == CredlyState.ERROR and _adopt(badge, client, template):
        return None
    if time.monotonic() - began > config.delivery["lease_seconds"] / 2:
        raise Retryable("Looking the badge up at Credly took so long that another worker may have the row now.")
    _ask(badge, client, target, fresh=fresh)
    return None


def _ask(badge: CredlyBadge, client: CredlyClient, target: IssuerTarget, *, fresh: bool) -> None:
    """Ask Credly for the badge; the row says where and that we did before we do."""
    template = targets.template_id(target)
    body = _body(badge, template)
    # A badge that was asked for before is looked up before it is asked for again.
    unissued = CredlyState.CREATED if fresh else CredlyState.ERROR
    _note_asked(badge, target)
    try:
        found = client.issue(body)
    except NoAnswer as error:
        if not error.uncertain:
            _unbind(badge, unissued)
        raise
    except AccessRefused:
        _unbind(badge, unissued)
        raise
    except Refused as error:
        # Credly says "the learner has it already" as one validation error among others: look it up after each.
        if error.status == 422 and _adopt(badge, client, template):
            return
        _unbind(badge, unissued)
        reason = _reason(error, client, target)
        # Only when nothing else explains the refusal: the earlier badge may still be valid at Credly.
        may_be_in_the_way = error.status == 422 and not isinstance(reason, SharedProblem)
        if may_be_in_the_way and not payloads.blames_a_field(str(error), body) and _revoke_ended(badge, client):
            raise Retryable("An earlier badge of the learner, which has ended, was in the way at Credly.") from error
        raise reason from error
    if not _bind(badge, found):
        raise Permanent(
            f"Credly answered with the badge {found.id}, which belongs to another credential here. "
            "Compare both at Credly, then retry this message."
        )


def _revoke(badge: CredlyBadge, reason: str) -> HandlerResult | None:
    if badge.external_uuid is None:
        # Credly was asked and the outcome is not known, or it refused. Look whether there is a badge after all.
        if not _adopt_where_asked(badge):
            return HandlerResult.NOTHING_TO_DO
        badge.refresh_from_db(fields=["external_uuid", "organization"])
    assert badge.external_uuid is not None
    client = client_for(badge.organization)
    try:
        client.revoke(badge.external_uuid, reason)
    except AccessRefused:
        raise
    except Refused:
        # Credly refuses to revoke what is revoked, replaced or deleted. That is no error: the learner does not hold it.
        if _is_held_there(client, badge.external_uuid):
            raise
    CredlyBadge.objects.filter(pk=badge.pk).update(state=CredlyState.REVOKED)
    return None


def _is_held_there(client: CredlyClient, badge: uuid.UUID) -> bool:
    try:
        return client.state_of(badge) not in payloads.GONE
    except NotFound:
        return False


def _revoke_if_lost(credential_id: uuid.UUID) -> bool:
    """
    Revoke a badge whose credential was revoked while Credly was asked; return whether it was such a one.

    The message about the revocation may have been delivered before, by a worker that found nothing at Credly yet.
    """
    badges = CredlyBadge.objects.select_related("credential__learner__user")
    badge = badges.filter(pk=credential_id, credential__status=CredentialStatus.REVOKED).first()
    if badge is None or badge.external_uuid is None or badge.state in ENDED_STATES:
        return False
    _revoke(badge, badge.credential.public_reason)
    return True


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
    ).exclude(state__in=ENDED_STATES)
    found = list(earlier.order_by("pk"))
    for each in found:
        assert each.external_uuid is not None
        try:
            client.revoke(each.external_uuid, ENDED, tell_earner=False)
        except AccessRefused:
            raise
        except Refused:
            if _is_held_there(client, each.external_uuid):
                raise
        CredlyBadge.objects.filter(pk=each.pk).update(state=CredlyState.REVOKED)
    return bool(found)


def _note_asked(badge: CredlyBadge, target: IssuerTarget) -> None:
    """Commit where Credly is being asked, unless another worker got here first."""
    with transaction.atomic(durable=True):
        unchanged = CredlyBadge.objects.filter(pk=badge.pk, state=badge.state, external_uuid__isnull=True)
        noted = unchanged.update(
            state=CredlyState.NO_RESPONSE,
            organization=target.organization,
            external_template=target.external_template,
        )
    if not noted:
        raise Retryable(f"The badge of credential {badge.pk} is being issued by another worker.")
    badge.organization, badge.external_template = target.organization, target.external_template


def _unbind(badge: CredlyBadge, state: CredlyState) -> None:
    """Write down that nothing was issued: the next try goes where the template says then."""
    nothing_issued = CredlyBadge.objects.filter(pk=badge.pk, external_uuid__isnull=True)
    nothing_issued.update(state=state, organization="", external_template="")


def _adopt_where_asked(badge: CredlyBadge) -> bool:
    """Look for the badge where Credly was asked for it, and take it; whether it was there."""
    if not badge.organization:
        return False
    target = IssuerTarget(CredlyIssuer.slug, badge.organization, badge.external_template)
    try:
        return _adopt(badge, client_for(target.organization), targets.template_id(target))
    except NotFound:
        return False  # there is no such organization, and so no badge


def _adopt(badge: CredlyBadge, client: CredlyClient, template: str) -> bool:
    """Look at Credly for the badge, and take it when it is there and nobody else's; whether it was."""
    earner = _earner(badge)
    candidates = client.badges_of(earner=earner, template=template)
    return any(found.may_be(earner=earner, template=template) and _bind(badge, found) for found in candidates)


def _bind(badge: CredlyBadge, found: ExternalBadge) -> bool:
    """Write down which badge of Credly's it is; False when that one belongs to another credential."""
    state = states.state_of(found.state) or CredlyState.PENDING
    try:
        with transaction.atomic():
            bound = CredlyBadge.objects.filter(pk=badge.pk, external_uuid__isnull=True).update(
                external_uuid=found.id,
                state=state,
                state_at=found.state_at,
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
        raise Permanent(f"There is no credential {credential_id}. This message cannot be delivered; close it.")
    badge, _ = CredlyBadge.objects.get_or_create(
        credential=credential, defaults={"organization": "", "external_template": ""}
    )
    return badge


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
    first, last = payloads.names(name_of(user), single_name_last=credly_config.single_name_last)
    return payloads.issue_body(
        email=email,
        first_name=first,
        last_name=last,
        template=template,
        awarded_at=badge.credential.awarded_at,
        earner=_earner(badge),
        valid_until=badge.credential.valid_until,
    )


def _reason(error: Refused, client: CredlyClient, target: IssuerTarget) -> Permanent:
    """Return why Credly refused a badge: because of its template there, which is a problem of many, or of its own."""
    if error.status not in (404, 422):
        return error
    state = _state_at_credly(client, targets.template_id(target))
    if state != "active":
        return SharedProblem(
            f"The template {target.external_template} of the organization {target.organization} cannot be issued at "
            f"Credly: {state}. Correct it there, or the issuer of the template here; the badges wait for it.",
            circuit=targets.circuits(target)[1],
        )
    if error.status == 404:
        return error
    return Permanent(
        f"{error} Correct what it names; if the learner has this badge at Credly already, revoke it there or let the "
        "template allow duplicates. Then retry this message."
    )


def _state_at_credly(client: CredlyClient, template: str) -> str:
    try:
        return client.template_state(template)
    except NotFound:
        pass
    try:
        client.organization_name()
    except NotFound as error:
        raise SharedProblem(
            f"{error} Correct the organization in the issuer of the template; the badges wait for it."
        ) from error
    return "it is not there"
