"""
Issuing at Accredible.

Issuing is not idempotent there: two calls make two badges. So a badge is looked up before it is asked for, every time.
The row says that Accredible was asked before the request leaves. When the outcome of that is unknown, as after a kill,
the badge is looked up where it was asked for.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from badges.awarding.models import CredentialStatus, UserCredential
from badges.common.http import AccessRefused, NoAnswer, NotFound, Refused
from badges.common.person_names import name_of
from badges.conf import config
from badges.exceptions import Permanent, Retryable, SharedProblem, Waiting
from badges.inserts import insert, new_row
from badges.issuers.accredible import payloads, states, targets
from badges.issuers.accredible.client import AccredibleClient, client_for, is_slug, organizations, settings_problems
from badges.issuers.accredible.conf import DEFAULTS
from badges.issuers.accredible.conf import config as accredible_config
from badges.issuers.accredible.models import ENDED_STATES, AccredibleBadge, AccredibleState
from badges.issuers.accredible.organizations import reencrypt_keys
from badges.issuers.accredible.payloads import ExternalBadge
from badges.issuers.accredible.webhook import AccredibleWebhook
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
from badges.issuers.models import TemplateState
from badges.issuers.registry import ProviderChannel
from badges.outbox.channels import HandlerResult

log = logging.getLogger(__name__)

MOVED = "Accredible does not have the badge where it was asked for. It is asked for next where its template says now."
WRONG_ADDRESS = "Correct the API address in LMS_BADGES_CONFIG['accredible']; the badges wait for it."
AGAIN_SECONDS = 0.1


class AccredibleIssuer(Issuer):
    """Issues our credentials as credentials of Accredible."""

    slug = targets.SLUG
    settings = DEFAULTS
    can_revoke = True

    def prepare(self, targets: Sequence[tuple[UserCredential, IssuerTarget]]) -> None:
        """Write the badges to be issued, in the transaction of the award. Where is decided when Accredible is asked."""
        insert(
            new_row(AccredibleBadge, credential_id=credential.pk, organization="", external_template="")
            for credential, _target in targets
        )

    def issue(self, credential_id: uuid.UUID) -> HandlerResult | None:
        """Issue the credential's badge, or find out that it is issued."""
        badge = _row(credential_id)
        try:
            outcome = _issue(badge) if _is_to_be_issued(badge) else HandlerResult.NOTHING_TO_DO
        except SharedProblem:
            raise
        except Permanent:
            created = AccredibleBadge.objects.filter(pk=badge.pk, state=AccredibleState.CREATED)
            created.update(state=AccredibleState.ERROR)
            raise
        return None if _revoke_if_lost(credential_id) else outcome

    def revoke(self, credential_id: uuid.UUID, reason: str) -> HandlerResult | None:
        """End the credential's badge at Accredible, or find out that there is none. It has no place for a reason."""
        badge = AccredibleBadge.objects.select_related("credential__learner__user").filter(pk=credential_id).first()
        over = (AccredibleState.CREATED, AccredibleState.REVOKED, AccredibleState.DELETED)
        if badge is None or badge.state in over:
            return HandlerResult.NOTHING_TO_DO
        return _revoke(badge)

    @property
    def can_forget(self) -> bool:
        """Whether the badges of retired people are deleted, which the settings say."""
        return bool(accredible_config.delete_retired)

    def forget(self, credential_id: uuid.UUID) -> HandlerResult | None:
        """Delete the credential's badge at Accredible, or find out that there is none."""
        badge = AccredibleBadge.objects.select_related("credential__learner__user").filter(pk=credential_id).first()
        if badge is None or not _is_found(badge):
            return HandlerResult.NOTHING_TO_DO
        assert badge.external_id is not None
        client = client_for(badge.organization)
        try:
            client.delete(badge.external_id)
        except NotFound:
            _check_account(client)
        deleted = {"state": AccredibleState.DELETED, "state_at": timezone.now()}
        AccredibleBadge.objects.filter(pk=badge.pk).update(external_id=None, url="", **deleted)
        return None

    def issued(self, credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Issued]:
        """Return what is known here of these credentials' badges."""
        return {badge.pk: _known(badge) for badge in AccredibleBadge.objects.filter(pk__in=credential_ids)}

    def circuits(self, credential_id: uuid.UUID) -> Sequence[str]:
        """Name the organization, whose limits, key and outages are its own, and the group there."""
        return self.circuits_of([credential_id])[0]

    def circuits_of(self, credential_ids: Sequence[uuid.UUID]) -> Sequence[Sequence[str]]:
        """Return ``circuits`` of several credentials; one statement."""
        return targets.circuits_of_credentials(credential_ids)

    def reencrypt(self) -> int:
        """Encrypt the organizations' keys with the newest key."""
        return reencrypt_keys()

    def settings_problems(self) -> Sequence[tuple[str, str]]:
        """Return what is wrong with the settings."""
        return settings_problems()

    # --- what Accredible tells ---------------------------------------------------------------------------------------

    webhook = AccredibleWebhook()
    can_sync = True
    can_sweep = True

    def organizations(self) -> Sequence[str]:
        """Return the organizations of the settings and the admin."""
        return organizations()

    def organization_id(self, text: str) -> str | None:
        """Return a slug as it is."""
        return text if is_slug(text) else None

    def account_circuit(self, organization: str) -> str:
        """Name the organization."""
        return targets.circuit_of(organization)

    def check_organization(self, organization: str) -> str:
        """Ask Accredible for the name of the key's account."""
        return client_for(organization).organization_name()

    def fetch(self, organization: str, about: Mapping[str, str]) -> Sequence[Fact]:
        """Ask Accredible for the credential or the group, and believe only the answer."""
        asked_at = timezone.now()
        if "group" in about:
            group = self.template(organization, about["group"])
            return (group,) if group.state != TemplateState.GONE or targets.is_known(organization, group.id) else ()
        external_id = about.get("credential", "")
        if not AccredibleBadge.objects.filter(organization=organization, external_id=external_id).exists():
            return ()  # one of somebody else
        client = client_for(organization)
        try:
            found = client.badge(external_id)
        except NotFound:
            client.organization_name()  # not the credential but the address may be wrong; then this raises
            return (BadgeFact(external_id, AccredibleState.DELETED, asked_at),)
        return (_fact(found, asked_at),)

    def write_badges(self, organization: str, facts: Sequence[BadgeFact], *, now: dt.datetime) -> int:
        """Write the states of badges."""
        return states.write(organization, facts)

    def template_page(self, organization: str, cursor: Any = None) -> TemplatePage:
        """Ask for a page of groups; the cursor is its number."""
        return TemplatePage(*client_for(organization).groups(cursor or 1))

    def template(self, organization: str, external_id: str) -> TemplateFact:
        """Ask for one group."""
        client = client_for(organization)
        target = IssuerTarget(self.slug, organization, external_id)
        try:
            return client.group(targets.group_of(target))
        except NotFound:
            client.organization_name()
            return TemplateFact(id=external_id, state=TemplateState.GONE)

    def event_page(self, organization: str, since: dt.datetime, cursor: Any = None) -> EventPage:
        """Ask for a page of the badges that were changed since a day, as Accredible has no list of events."""
        asked_at = timezone.now()
        badges, following = client_for(organization).changed_badges(_today(since), cursor or 1)
        return EventPage([_fact(badge, asked_at) for badge in badges], asked_at, following)

    # --- reconciling -------------------------------------------------------------------------------------------------

    can_reconcile = True
    ended_states = ENDED_STATES

    def badge_page(self, organization: str, external_template: str, cursor: Any = None) -> BadgePage:
        """Ask for a page of the badges of a group; the cursor is its number."""
        group = targets.group_of(IssuerTarget(self.slug, organization, external_template))
        badges, following = client_for(organization).template_badges(group, cursor or 1)
        return BadgePage([_listed(badge) for badge in badges], following)

    def badge(self, organization: str, external_id: str) -> ListedBadge | None:
        """Ask for one badge."""
        client = client_for(organization)
        try:
            return _listed(client.badge(external_id))
        except NotFound:
            client.organization_name()
            return None

    def known_badges(self, organization: str, external_template: str) -> Sequence[KnownBadge]:
        """Return the rows that have a badge of Accredible's."""
        rows = AccredibleBadge.objects.filter(
            organization=organization, external_template=external_template, external_id__isnull=False
        ).exclude(state=AccredibleState.DELETED)
        return [KnownBadge(row.pk, str(row.external_id), row.state) for row in rows.order_by("pk")]

    def templates_of_badges(self, organization: str) -> Sequence[str]:
        """Return the templates of all rows that have a badge."""
        rows = AccredibleBadge.objects.filter(organization=organization, external_id__isnull=False)
        return sorted(set(rows.order_by().values_list("external_template", flat=True).distinct()))

    def state_here(self, state: str, told: str) -> str:
        """Return the state that follows from what Accredible tells."""
        return states.state_after(state, told)

    def reset(self, badges: Collection[KnownBadge]) -> int:
        """Let rows say that Accredible has no badge; one statement for each state."""
        number = 0
        for state, of_state in groupby(sorted(badges, key=_state), _state):
            ids = {badge.external_id: badge.credential_id for badge in of_state}
            rows = AccredibleBadge.objects.filter(pk__in=ids.values(), external_id__in=ids, state=state)
            number += rows.update(
                state=AccredibleState.ERROR,
                state_at=None,
                external_id=None,
                organization="",
                external_template="",
                issued_at=None,
                url="",
            )
        return number

    def look_up_first(self, credential_ids: Collection[uuid.UUID]) -> None:
        """Let rows begin as if Accredible had refused: such a badge is looked up by our id of the learner as well."""
        rows = AccredibleBadge.objects.filter(pk__in=credential_ids, state=AccredibleState.CREATED)
        rows.update(state=AccredibleState.ERROR)

    def write_held(self, organization: str, badges: Collection[ListedBadge], *, at: dt.datetime) -> None:
        """Write Accredible's states. What is deleted stays so."""
        rows = AccredibleBadge.objects.filter(organization=organization, external_id__in=[badge.id for badge in badges])
        rows.filter(state__in=ENDED_STATES).exclude(state=AccredibleState.DELETED).update(
            state=AccredibleState.ACCEPTED, state_at=at
        )


channel = ProviderChannel(AccredibleIssuer.slug)


def _state(badge: KnownBadge) -> str:
    return badge.state


def _listed(found: ExternalBadge) -> ListedBadge:
    state = found.state(_today(timezone.now()))
    return ListedBadge(found.id, state, state != AccredibleState.EXPIRED, found.earner, found.credential)


def _fact(found: ExternalBadge, asked_at: dt.datetime) -> BadgeFact:
    return BadgeFact(found.id, found.state(_today(asked_at)), asked_at, found.earner, found.template, found.url)


def _known(badge: AccredibleBadge) -> Issued:
    return Issued(
        AccredibleIssuer.slug,
        badge.state,
        badge.get_state_display(),
        badge.external_id or "",
        badge.url,
        badge.issued_at,
    )


def _is_to_be_issued(badge: AccredibleBadge) -> bool:
    """Return whether it is not known to be there. One that was renewed for another credential is not issued anew."""
    return badge.external_id is None and badge.state not in ENDED_STATES


def _issue(badge: AccredibleBadge) -> HandlerResult | None:
    began = time.monotonic()
    held = badge.credential.status_at(timezone.now()) == CredentialStatus.AWARDED
    if badge.state == AccredibleState.CREATED and not held:
        return HandlerResult.NOTHING_TO_DO  # revoked, replaced or at its end before Accredible was asked
    if badge.state == AccredibleState.NO_RESPONSE and _adopt_where_asked(badge):
        return None
    if not held:
        return HandlerResult.NOTHING_TO_DO
    target = targets.of_template(badge.credential.template_id)
    if badge.state == AccredibleState.NO_RESPONSE and targets.where_asked(badge) != target:
        # What goes wrong there is the matter of other circuits than those that let this row pass.
        _unbind(badge, AccredibleState.ERROR)
        raise Waiting(MOVED, retry_after=AGAIN_SECONDS)
    client, group = client_for(target.organization), targets.group_of(target)
    body = _body(badge, group)
    if not _was_asked_at(badge, target) and _adopt(badge, client, target):
        return None
    if time.monotonic() - began > config.delivery["lease_seconds"] / 2:
        raise Retryable("Looking the badge up at Accredible took so long that another worker may have the row now.")
    _ask(badge, client, target, body)
    return None


def _ask(badge: AccredibleBadge, client: AccredibleClient, target: IssuerTarget, body: dict[str, Any]) -> None:
    """Ask Accredible for the badge; the row says where and that we did before we do."""
    # A badge that was refused is looked up and asked for anew; only one that nobody asked for has to be held for that.
    unissued = AccredibleState.CREATED if badge.state == AccredibleState.CREATED else AccredibleState.ERROR
    asked_before = _was_asked_at(badge, target)
    _note_asked(badge, target)
    badge.state = AccredibleState.NO_RESPONSE
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
        is_duplicate = payloads.says_duplicate(str(error))
        if is_duplicate and (_adopt(badge, client, target) or _renew(badge, client, target, body)):
            return
        if is_duplicate and asked_before:
            raise Retryable(
                "Accredible says that the learner has the badge, most likely from an earlier request, but its search "
                "does not find it yet."
            ) from error
        _unbind(badge, unissued)
        raise _reason(error, client, target) from error
    if not _bind(badge, found, target):
        raise Permanent(
            f"Accredible answered with the credential {found.id}, which belongs to another credential here. "
            "Compare both at Accredible, then retry this message."
        )


def _renew(badge: AccredibleBadge, client: AccredibleClient, target: IssuerTarget, body: dict[str, Any]) -> bool:
    """
    Renew the badge of an earlier credential that has ended, for this one; return whether there is such a badge.

    A group allows one badge for each person, also when that one has ended, unless its settings say otherwise.
    """
    ended = AccredibleBadge.objects.filter(
        credential__learner_template_id=badge.credential.learner_template_id,
        organization=target.organization,
        external_template=target.external_template,
        external_id__isnull=False,
    ).exclude(credential__status=CredentialStatus.AWARDED)
    for earlier in ended.order_by("-pk"):
        assert earlier.external_id is not None
        try:
            client.change(earlier.external_id, payloads.renew_body(body))
            found = client.badge(earlier.external_id)
        except NotFound:
            continue  # it was deleted there
        return _bind(badge, found, target)
    return False


def _revoke(badge: AccredibleBadge) -> HandlerResult | None:
    if not _is_found(badge):
        return HandlerResult.NOTHING_TO_DO
    assert badge.external_id is not None
    client = client_for(badge.organization)
    now = timezone.now()
    try:
        client.change(badge.external_id, payloads.end_body(now))
    except AccessRefused:
        raise
    except Refused:
        # What has ended or was deleted there needs no end any more: the learner does not hold it.
        if _is_held_there(client, badge.external_id, _today(now)):
            raise
    AccredibleBadge.objects.filter(pk=badge.pk).update(state=AccredibleState.REVOKED, state_at=timezone.now())
    return None


def _is_found(badge: AccredibleBadge) -> bool:
    """Return whether there is a badge, after a look where Accredible was asked for it without a known outcome."""
    if badge.external_id is None and _adopt_where_asked(badge):
        badge.refresh_from_db(fields=["external_id", "organization"])
    return badge.external_id is not None


def _is_held_there(client: AccredibleClient, external_id: str, today: dt.date) -> bool:
    try:
        return client.badge(external_id).state(today) != AccredibleState.EXPIRED
    except NotFound:
        _check_account(client)
        return False


def _check_account(client: AccredibleClient) -> None:
    """Ask for the account after something was not found. Raises SharedProblem when that is not there either."""
    try:
        client.organization_name()
    except NotFound as error:
        raise SharedProblem(f"{error} {WRONG_ADDRESS}") from error


def _revoke_if_lost(credential_id: uuid.UUID) -> bool:
    """
    Revoke a badge whose credential was revoked while Accredible was asked; return whether it was such a one.

    The message about the revocation may have been delivered before, by a worker that found nothing at Accredible yet.
    """
    badges = AccredibleBadge.objects.select_related("credential__learner__user")
    badge = badges.filter(pk=credential_id, credential__status=CredentialStatus.REVOKED).first()
    if badge is None or badge.external_id is None or badge.state == AccredibleState.REVOKED:
        return False
    _revoke(badge)
    return True


def _note_asked(badge: AccredibleBadge, target: IssuerTarget) -> None:
    """Commit where Accredible is being asked, unless another worker got here first."""
    with transaction.atomic(durable=True):
        unchanged = AccredibleBadge.objects.filter(pk=badge.pk, state=badge.state, external_id__isnull=True)
        noted = unchanged.update(
            state=AccredibleState.NO_RESPONSE,
            organization=target.organization,
            external_template=target.external_template,
        )
    if not noted:
        raise Retryable(f"The badge of credential {badge.pk} is being issued by another worker.")


def _unbind(badge: AccredibleBadge, state: AccredibleState) -> None:
    """Write down that nothing was issued: the next try goes where the template says then."""
    nothing_issued = AccredibleBadge.objects.filter(pk=badge.pk, external_id__isnull=True)
    nothing_issued.update(state=state, organization="", external_template="")


def _was_asked_at(badge: AccredibleBadge, target: IssuerTarget) -> bool:
    """Return whether Accredible was asked there for the badge without a known outcome; then it was looked up there."""
    there = IssuerTarget(AccredibleIssuer.slug, badge.organization, badge.external_template)
    return badge.state == AccredibleState.NO_RESPONSE and there == target


def _adopt_where_asked(badge: AccredibleBadge) -> bool:
    """Look for the badge where Accredible was asked for it, and take it; whether it was there."""
    if not badge.organization:
        return False
    target = targets.where_asked(badge)
    return _adopt(badge, client_for(target.organization), target)


def _adopt(badge: AccredibleBadge, client: AccredibleClient, target: IssuerTarget) -> bool:
    """Look at Accredible for the badge, and take it when it is there and nobody else's; whether it was."""
    group = targets.group_of(target)
    email = _email(badge)

    def may_be_it(found: ExternalBadge) -> bool:
        earner, today = _earner(badge), _today(timezone.now())
        return found.may_be(credential=str(badge.pk), earner=earner, email=email, template=group, today=today)

    for listed in _candidates(badge, client, target, email):
        if may_be_it(listed):
            try:
                found = client.badge(listed.id)  # a list does not tell everything
            except NotFound:
                continue
            if may_be_it(found) and _bind(badge, found, target):
                return True
    return False


def _candidates(
    badge: AccredibleBadge, client: AccredibleClient, target: IssuerTarget, email: str
) -> Iterator[ExternalBadge]:
    """Yield what may be the badge: by address and, if it was asked for, by our id of the learner as well."""
    group = targets.group_of(target)
    try:
        if email:
            yield from client.badges_of(template=group, email=email)
        if badge.state != AccredibleState.CREATED:
            # The learner's address may have changed since.
            yield from client.badges_of(template=group, earner=_earner(badge))
    except NotFound as error:  # every account has the search
        reason = _reason(error, client, target)
        raise reason if isinstance(reason, SharedProblem) else SharedProblem(f"{error} {WRONG_ADDRESS}") from error


def _bind(badge: AccredibleBadge, found: ExternalBadge, target: IssuerTarget) -> bool:
    """Write down which badge of Accredible's it is; False when that one belongs to another credential."""
    now = timezone.now()
    try:
        with transaction.atomic():
            if found.credential == str(badge.pk):
                _release_renewed(found, target, badge.pk)
            bound = AccredibleBadge.objects.filter(pk=badge.pk, external_id__isnull=True).update(
                external_id=found.id,
                organization=target.organization,
                external_template=target.external_template,
                state=states.state_after(AccredibleState.ACCEPTED, found.state(_today(now))),
                state_at=now,
                issued_at=_issued_at(badge, found),
                url=found.url,
            )
    except IntegrityError:  # the external id is unique
        return False
    if not bound and not AccredibleBadge.objects.filter(pk=badge.pk, external_id=found.id).exists():
        log.error("Accredible holds credential %s beside the one of credential %s; end it there.", found.id, badge.pk)
    return True


def _release_renewed(found: ExternalBadge, target: IssuerTarget, credential_id: uuid.UUID) -> None:
    """Take a badge that was renewed for another credential from the row of the earlier one, which has ended."""
    earlier = AccredibleBadge.objects.filter(organization=target.organization, external_id=found.id)
    ended = earlier.exclude(pk=credential_id).exclude(credential__status=CredentialStatus.AWARDED)
    ended.update(external_id=None, state=AccredibleState.EXPIRED, url="")


def _issued_at(badge: AccredibleBadge, found: ExternalBadge) -> dt.datetime:
    """Return when it was issued: at the time of the award, unless Accredible names another day."""
    awarded_at: dt.datetime = badge.credential.awarded_at
    if found.issued_on in (None, awarded_at.astimezone(dt.UTC).date()):
        return awarded_at
    assert found.issued_on is not None
    return dt.datetime.combine(found.issued_on, dt.time(), tzinfo=dt.UTC)


def _row(credential_id: uuid.UUID) -> AccredibleBadge:
    rows = AccredibleBadge.objects.select_related("credential__learner__user", "credential__template")
    return rows.filter(pk=credential_id).first() or _create_missing_row(credential_id)


def _create_missing_row(credential_id: uuid.UUID) -> AccredibleBadge:
    """Make up for a row that was not written with the award, because this issuer could not be loaded then."""
    credential = UserCredential.objects.select_related("learner__user", "template").filter(pk=credential_id).first()
    if credential is None:
        raise Permanent(f"There is no credential {credential_id}. This message cannot be delivered; close it.")
    badge, _ = AccredibleBadge.objects.get_or_create(
        credential=credential, defaults={"organization": "", "external_template": ""}
    )
    return badge


def _earner(badge: AccredibleBadge) -> str:
    return str(badge.credential.learner.uuid)


def _email(badge: AccredibleBadge) -> str:
    user = badge.credential.learner.user
    return (getattr(user, user.get_email_field_name(), "") or "").strip() if user else ""


def _today(now: dt.datetime) -> dt.date:
    return now.astimezone(dt.UTC).date()


def _body(badge: AccredibleBadge, group: str) -> dict[str, Any]:
    credential, learner, email = badge.credential, badge.credential.learner, _email(badge)
    user = learner.user
    if user is None and learner.lms_user_id is not None:
        raise Waiting(
            f"The learner {learner.uuid} has no account here yet. The badge waits until an event with the learner's "
            "username comes in."
        )
    if user is None or not email:
        lacking = "e-mail address" if user else "account here"
        raise Permanent(
            f"The learner {learner.uuid} has no {lacking}, which Accredible needs. Add it to the account and retry "
            "this message, or leave the badge unissued."
        )
    return payloads.issue_body(
        credential=str(badge.pk),
        earner=_earner(badge),
        email=email,
        full_name=name_of(user),
        template=group,
        name=credential.template.name,
        awarded_at=credential.awarded_at,
        valid_until=credential.valid_until,
    )


def _reason(error: Refused, client: AccredibleClient, target: IssuerTarget) -> Permanent:
    """Return why Accredible refused a badge: because of its group, which is a problem of many, or of its own."""
    if error.status not in (404, 422):
        return error
    try:
        client.group(targets.group_of(target))
    except NotFound:
        _check_account(client)
        return SharedProblem(
            f"The group {target.external_template} of the organization {target.organization} is not at Accredible. "
            "Correct the issuer of the template; the badges wait for it.",
            circuit=targets.circuits(target)[1],
        )
    return Permanent(
        f"{error} Correct what it names; if the learner has this badge at Accredible already, let the group allow "
        "duplicates. Then retry this message."
    )
