"""
Issuing at Credly.

Credly has no idempotency key, so the order of steps keeps a badge single. The row says that Credly was asked before the
request leaves. A row that says so is looked up at Credly before anything is asked again. A process that is killed in
between leaves exactly such a row.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections import defaultdict
from collections.abc import Collection, Generator, Mapping, Sequence
from itertools import groupby
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from badges.awarding.models import CredentialStatus, UserCredential
from badges.common.http import AccessRefused, NoAnswer, NotFound, Refused
from badges.common.person_names import name_of
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
from badges.outbox.steps import InBatch, InThread, Step, Steps, carry_out

log = logging.getLogger(__name__)


MOVED = "Credly does not have the badge where it was asked for. It is asked for next where its template says now."
AGAIN_SECONDS = 0.1

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
        return carry_out(self.issue_steps(credential_id))

    def issue_steps(self, credential_id: uuid.UUID) -> Steps:
        """Return ``issue`` in steps."""
        badge = yield InBatch(_rows, credential_id)
        try:
            outcome = (yield from _issue(badge)) if badge.external_uuid is None else HandlerResult.NOTHING_TO_DO
        except SharedProblem:
            raise
        except Permanent:
            CredlyBadge.objects.filter(pk=badge.pk, state=CredlyState.CREATED).update(state=CredlyState.ERROR)
            raise
        # It may have been revoked while Credly was asked. The message about that may have been delivered before, by a
        # worker that found nothing at Credly yet.
        lost = yield InBatch(_revoked_meanwhile, credential_id)
        if lost is None:
            return outcome
        yield from _revoke(lost, lost.credential.public_reason)
        return None

    def revoke(self, credential_id: uuid.UUID, reason: str) -> HandlerResult | None:
        """Revoke the credential's badge at Credly, or find out that there is none."""
        return carry_out(_revoke_if_asked(credential_id, reason))

    def revoke_steps(self, credential_id: uuid.UUID) -> Steps:
        """Return ``revoke`` in steps."""
        return _revoke_if_asked(credential_id)

    def issued(self, credential_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Issued]:
        """Return what is known here of these credentials' badges."""
        return {badge.pk: _known(badge) for badge in CredlyBadge.objects.filter(pk__in=credential_ids)}

    def circuits(self, credential_id: uuid.UUID) -> Sequence[str]:
        """Name the organization, whose limits, token and outages are its own, and the template there."""
        return self.circuits_of([credential_id])[0]

    def circuits_of(self, credential_ids: Sequence[uuid.UUID]) -> Sequence[Sequence[str]]:
        """Return ``circuits`` of several credentials; one statement."""
        return targets.circuits_of_credentials(credential_ids)

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
    ended_states = ENDED_STATES

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
        """Let rows say that Credly has no badge; one statement for each state."""
        number = 0
        for state, of_state in groupby(sorted(badges, key=_state), _state):
            ids = {badge.external_id: badge.credential_id for badge in of_state}
            rows = CredlyBadge.objects.filter(pk__in=ids.values(), external_uuid__in=ids, state=state)
            number += rows.update(
                state=CredlyState.ERROR,
                state_at=None,
                external_uuid=None,
                organization="",
                external_template="",
                issued_at=None,
                url="",
            )
        return number

    def look_up_first(self, credential_ids: Collection[uuid.UUID]) -> None:
        """Let rows begin as if Credly had refused: such a badge is looked up."""
        rows = CredlyBadge.objects.filter(pk__in=credential_ids, state=CredlyState.CREATED)
        rows.update(state=CredlyState.ERROR)

    def write_held(self, organization: str, badges: Collection[ListedBadge], *, at: dt.datetime) -> None:
        """Write Credly's states; one statement for each. What is deleted stays so."""
        for state, of_state in groupby(sorted(badges, key=_state), _state):
            rows = CredlyBadge.objects.filter(external_uuid__in=[badge.id for badge in of_state])
            written = states.state_of(state) or CredlyState.PENDING
            rows.exclude(state=CredlyState.DELETED).update(state=written, state_at=at)


channel = ProviderChannel(CredlyIssuer.slug)


def _listed(badge: ExternalBadge) -> ListedBadge:
    is_held = badge.state not in payloads.GONE
    return ListedBadge(str(badge.id), badge.state, is_held, badge.earner, state_at=badge.state_at)


def _state(badge: KnownBadge | ListedBadge) -> str:
    return badge.state


def _known(badge: CredlyBadge) -> Issued:
    external_id = str(badge.external_uuid or "")
    return Issued(CredlyIssuer.slug, badge.state, badge.get_state_display(), external_id, badge.url, badge.issued_at)


def _issue(badge: CredlyBadge) -> Steps:
    held = badge.credential.status_at(timezone.now()) == CredentialStatus.AWARDED
    fresh = badge.state == CredlyState.CREATED
    if fresh and not held:
        return HandlerResult.NOTHING_TO_DO  # revoked, replaced or at its end before Credly was asked
    if badge.state == CredlyState.NO_RESPONSE and (yield from _adopt_where_asked(badge)):
        return None
    if not held:
        return HandlerResult.NOTHING_TO_DO
    target = yield InBatch(targets.of_templates, badge.credential.template_id)
    if badge.state == CredlyState.NO_RESPONSE and targets.where_asked(badge) != target:
        # What goes wrong there is the matter of other circuits than those that let this row pass.
        _unbind(badge, CredlyState.ERROR)
        raise Waiting(MOVED, retry_after=AGAIN_SECONDS)
    client, template = (yield InBatch(_clients_for, target.organization)), targets.template_id(target)
    badge.organization, badge.external_template = target.organization, target.external_template
    # It was refused before. Somebody may have issued it there by hand since.
    if badge.state == CredlyState.ERROR and (yield from _adopt(badge, client, template)):
        return None
    yield from _ask(badge, client, target, fresh=fresh)
    return None


def _ask(badge: CredlyBadge, client: CredlyClient, target: IssuerTarget, *, fresh: bool) -> Generator[Step, Any, None]:
    """Ask Credly for the badge; the row says where and that we did before we do."""
    template = targets.template_id(target)
    body = _body(badge, template)
    # A badge that was asked for before is looked up before it is asked for again.
    unissued = CredlyState.CREATED if fresh else CredlyState.ERROR
    yield InBatch(_note_asked, (badge, target))
    badge.organization, badge.external_template = target.organization, target.external_template
    try:
        found = yield InThread(lambda: client.issue(body))
    except NoAnswer as error:
        if not error.uncertain:
            _unbind(badge, unissued)
        raise
    except AccessRefused:
        _unbind(badge, unissued)
        raise
    except Refused as error:
        # Credly says "the learner has it already" as one validation error among others: look it up after each.
        if error.status == 422 and (yield from _adopt(badge, client, template)):
            return
        _unbind(badge, unissued)
        reason = yield from _reason(error, client, target)
        # Only when nothing else explains the refusal: the earlier badge may still be valid at Credly.
        may_be_in_the_way = error.status == 422 and not isinstance(reason, SharedProblem)
        if (
            may_be_in_the_way
            and not payloads.blames_a_field(str(error), body)
            and (yield from _revoke_ended(badge, client))
        ):
            raise Retryable("An earlier badge of the learner, which has ended, was in the way at Credly.") from error
        raise reason from error
    if not (yield InBatch(_bind, (badge, found))):
        raise Permanent(
            f"Credly answered with the badge {found.id}, which belongs to another credential here. "
            "Compare both at Credly, then retry this message."
        )


def _revoke_if_asked(credential_id: uuid.UUID, reason: str | None = None) -> Steps:
    """Revoke a badge if Credly was asked for it; the ``reason`` is that of the credential by default."""
    badge = yield InBatch(_existing_rows, credential_id)
    if badge is None or badge.state in (CredlyState.CREATED, *ENDED_STATES):
        return HandlerResult.NOTHING_TO_DO
    return (yield from _revoke(badge, badge.credential.public_reason if reason is None else reason))


def _revoke(badge: CredlyBadge, reason: str) -> Steps:
    if badge.external_uuid is None:
        # Credly was asked and the outcome is not known, or it refused. Look whether there is a badge after all.
        if not (yield from _adopt_where_asked(badge)):
            return HandlerResult.NOTHING_TO_DO
        badge.refresh_from_db(fields=["external_uuid", "organization"])
    client = yield InBatch(_clients_for, badge.organization)
    yield from _revoke_there(badge, client, reason)
    return None


def _revoke_there(
    badge: CredlyBadge, client: CredlyClient, reason: str, *, tell_earner: bool = True
) -> Generator[Step, Any, None]:
    """Revoke a badge of which the id at Credly is known."""
    external = badge.external_uuid
    assert external is not None
    try:
        yield InThread(lambda: client.revoke(external, reason, tell_earner=tell_earner))
    except AccessRefused:
        raise
    except Refused:
        # Credly refuses to revoke what is revoked, replaced or deleted. That is no error: the learner does not hold it.
        if (yield InThread(lambda: _is_held_there(client, external))):
            raise
    yield InBatch(_note_revoked, badge.pk)


def _is_held_there(client: CredlyClient, badge: uuid.UUID) -> bool:
    try:
        return client.state_of(badge) not in payloads.GONE
    except NotFound:
        _check_organization(client)
        return False


def _revoke_ended(badge: CredlyBadge, client: CredlyClient) -> Generator[Step, Any, bool]:
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
        yield from _revoke_there(each, client, ENDED, tell_earner=False)
    return bool(found)


def _note_asked(items: Sequence[tuple[CredlyBadge, IssuerTarget]]) -> Sequence[Retryable | None]:
    """Commit where Credly is being asked for badges, unless another worker got here first."""
    together: dict[tuple[str, IssuerTarget], list[uuid.UUID]] = defaultdict(list)
    for badge, target in items:
        together[badge.state, target].append(badge.pk)
    with transaction.atomic(durable=True):
        noted = 0
        for (state, target), badges in together.items():
            unchanged = CredlyBadge.objects.filter(pk__in=badges, state=state, external_uuid__isnull=True)
            noted += unchanged.update(
                state=CredlyState.NO_RESPONSE,
                organization=target.organization,
                external_template=target.external_template,
            )
        if noted < len(items):
            transaction.set_rollback(True)
    if noted == len(items):
        return [None] * noted
    if len(items) > 1:  # find out which one it is
        return [_note_asked([item])[0] for item in items]
    return [Retryable(f"The badge of credential {items[0][0].pk} is being issued by another worker.")]


def _unbind(badge: CredlyBadge, state: CredlyState) -> None:
    """Write down that nothing was issued: the next try goes where the template says then."""
    nothing_issued = CredlyBadge.objects.filter(pk=badge.pk, external_uuid__isnull=True)
    nothing_issued.update(state=state, organization="", external_template="")


def _adopt_where_asked(badge: CredlyBadge) -> Generator[Step, Any, bool]:
    """Look for the badge where Credly was asked for it, and take it; whether it was there."""
    if not badge.organization:
        return False
    target = targets.where_asked(badge)
    client = yield InBatch(_clients_for, target.organization)
    try:
        return (yield from _adopt(badge, client, targets.template_id(target)))
    except NotFound:
        return False  # there is no such organization, and so no badge


def _adopt(badge: CredlyBadge, client: CredlyClient, template: str) -> Generator[Step, Any, bool]:
    """Look at Credly for the badge, and take it when it is there and nobody else's; whether it was."""
    earner = _earner(badge)
    listed = client.badges_of(earner=earner, template=template)  # it asks for a page when it is read
    candidates = (found for found in listed if found.may_be(earner=earner, template=template))
    while (found := (yield InThread(lambda: next(candidates, None)))) is not None:
        if (yield InBatch(_bind, (badge, found))):
            return True
    return False


def _bind(items: Sequence[tuple[CredlyBadge, ExternalBadge]]) -> list[bool]:
    """Write down which badges of Credly's they are; False for one that belongs to another credential."""
    try:
        with transaction.atomic():
            bound = _bind_unbound(items)
    except IntegrityError:  # external_uuid is unique
        return [False] if len(items) == 1 else [_bind([item])[0] for item in items]
    if bound < len(items):  # some are bound already, most likely to this very badge
        for badge, found in items:
            if not CredlyBadge.objects.filter(pk=badge.pk, external_uuid=found.id).exists():
                log.error("Credly holds badge %s beside the one of credential %s; revoke it there.", found.id, badge.pk)
    return [True] * len(items)


_BOUND_FIELDS = (
    *("external_uuid", "organization", "external_template"),
    *("state", "state_at", "issued_at", "url", "credential"),
)


def _bind_unbound(items: Sequence[tuple[CredlyBadge, ExternalBadge]]) -> int:
    """
    Bind those badges that are not bound; returns how many.

    One statement with a list of values: an ``update`` for each badge takes most of the worker's time.
    """
    meta, quoted = CredlyBadge._meta, connection.ops.quote_name
    fields: list[Any] = [meta.get_field(name) for name in _BOUND_FIELDS]
    columns = [f"{quoted(field.column)} = %s" for field in fields]
    unbound = f"{quoted(fields[0].column)} IS NULL"
    sql = f"UPDATE {quoted(meta.db_table)} SET {', '.join(columns[:-1])} WHERE {columns[-1]} AND {unbound}"  # noqa: S608
    values = [
        (
            found.id,
            badge.organization,
            badge.external_template,
            (states.state_of(found.state) or CredlyState.PENDING).value,
            found.state_at,
            found.issued_at or badge.credential.awarded_at,
            found.url,
            badge.pk,
        )
        for badge, found in items
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            sql,
            [
                [field.get_db_prep_save(value, connection) for field, value in zip(fields, row, strict=True)]
                for row in values
            ],
        )
        return int(cursor.rowcount)


def _note_revoked(badges: Sequence[uuid.UUID]) -> Sequence[None]:
    CredlyBadge.objects.filter(pk__in=badges).update(state=CredlyState.REVOKED)
    return [None] * len(badges)


def _clients_for(organizations: Sequence[str]) -> list[CredlyClient | SharedProblem]:
    """Return a client for each organization, or the problem that it is not known here."""
    clients = {organization: _client_or_problem(organization) for organization in set(organizations)}
    return [clients[organization] for organization in organizations]


def _client_or_problem(organization: str) -> CredlyClient | SharedProblem:
    try:
        return client_for(organization)
    except SharedProblem as problem:
        return problem


def _rows(credential_ids: Sequence[uuid.UUID]) -> list[CredlyBadge | Permanent]:
    """Return the badges of credentials with their learners; one statement."""
    found = zip(credential_ids, _existing_rows(credential_ids), strict=True)
    return [badge or _create_missing_row(credential_id) for credential_id, badge in found]


def _existing_rows(credential_ids: Sequence[uuid.UUID]) -> list[CredlyBadge | None]:
    rows = CredlyBadge.objects.select_related("credential__learner__user").in_bulk(credential_ids)
    return [rows.get(credential_id) for credential_id in credential_ids]


def _revoked_meanwhile(credential_ids: Sequence[uuid.UUID]) -> list[CredlyBadge | None]:
    """Return those badges that are valid at Credly, although their credentials are revoked; one statement."""
    rows = CredlyBadge.objects.select_related("credential__learner__user").exclude(state__in=ENDED_STATES)
    valid = rows.filter(
        pk__in=credential_ids, credential__status=CredentialStatus.REVOKED, external_uuid__isnull=False
    ).in_bulk()
    return [valid.get(credential_id) for credential_id in credential_ids]


def _create_missing_row(credential_id: uuid.UUID) -> CredlyBadge | Permanent:
    """Make up for a row that was not written with the award, because this issuer could not be loaded then."""
    credential = UserCredential.objects.select_related("learner__user").filter(pk=credential_id).first()
    if credential is None:
        return Permanent(f"There is no credential {credential_id}. This message cannot be delivered; close it.")
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


def _reason(error: Refused, client: CredlyClient, target: IssuerTarget) -> Generator[Step, Any, Permanent]:
    """Return why Credly refused a badge: because of its template there, which is a problem of many, or of its own."""
    if error.status not in (404, 422):
        return error
    template = targets.template_id(target)
    state = yield InThread(lambda: _state_at_credly(client, template))
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
        _check_organization(client)
    return "it is not there"


def _check_organization(client: CredlyClient) -> None:
    """Ask for the organization after something was not found. Raises SharedProblem when that is not there either."""
    try:
        client.organization_name()
    except NotFound as error:
        raise SharedProblem(
            f"{error} Correct the organization in the issuer of the template, or the API address in "
            "LMS_BADGES_CONFIG['credly']; the badges wait for it."
        ) from error
