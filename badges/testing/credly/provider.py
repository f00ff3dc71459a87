"""
What Credly does, without HTTP: badges are issued, accepted, revoked; templates change; each of that is an event.

Every change and its event are one transaction.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from badges.testing.credly import issuing
from badges.testing.credly.records import AccessToken, Badge, Event, Organization, Template
from badges.testing.credly.store import Store
from badges.testing.credly.wording import badge_json, template_json
from badges.testing.standin import Refused

ORGANIZATION = "c0ffee00-0000-4000-8000-00000000c4ed"
TOKEN = "stand-in-token"  # noqa: S105, opens nothing but the stand-in
TEMPLATE_STATES = ("draft", "active", "archived")
ACCESS_TOKEN_LIFETIME = timedelta(hours=2)


class Provider:
    """The account book of the stand-in Credly."""

    def __init__(self, store: Store, *, revoked_counts_as_duplicate: bool = False) -> None:
        self.store = store
        self.organization: str | None = None  # the account that is meant when none is named
        # Credly's documentation does not say whether a revoked badge still stands in the way of a new one.
        self._not_in_the_way = (
            "state <> 'replaced'" if revoked_counts_as_duplicate else "state NOT IN ('replaced', 'revoked')"
        )

    def record_event(self, event: Event) -> None:
        """Told of every event after it has been written; whoever wants to know overrides this."""

    # Organizations and their keys

    def add_organization(
        self, id: str | None = None, *, token: str | None = None, name: str = "Stand-in Academy"
    ) -> Organization:
        """Open an account, or give the one with this id another token."""
        id = _uuid(id)
        known = self.store.first(Organization, "id = ?", [id])
        organization = known or Organization(
            id=id,
            name=name,
            token=secrets.token_urlsafe(24),
            client_id=f"client-{id}",
            client_secret=secrets.token_urlsafe(24),
            created_at=_now(),
        )
        organization = replace(organization, token=token or organization.token)
        if self.store.count(Organization, "token = ? AND id <> ?", [organization.token, id]):
            raise ValueError("token: another organization has this one. Choose a different token.")
        self.store.save(organization)
        return organization

    def issue_token(self, client_id: str, client_secret: str) -> AccessToken:
        """Give an OAuth2 access token to who knows the secret."""
        known = self.store.first(Organization, "client_id = ? AND client_secret = ?", [client_id, client_secret])
        if known is None:
            raise Refused(401, "Client authentication failed", [("client_id", "is unknown or the secret is wrong")])
        token = AccessToken(secrets.token_urlsafe(32), known.id, _now() + ACCESS_TOKEN_LIFETIME)
        self.store.save(token)
        return token

    def expire_access_tokens(self) -> None:
        """Let every OAuth2 access token that was handed out be too old."""
        for token in self.store.all(AccessToken):
            self.store.save(replace(token, expires_at=_now()))

    def owner_of_token(self, token: str) -> Organization | None:
        """Say whose authorization token this is."""
        return self.store.first(Organization, "token = ?", [token])

    def owner_of_access_token(self, token: str) -> Organization | None:
        """Say whose OAuth2 access token this is, if it still holds."""
        known = self.store.first(AccessToken, "token = ?", [token])
        if known is None or known.expires_at <= _now():
            return None
        return self.store.first(Organization, "id = ?", [known.organization_id])

    # Badges

    def issue(self, organization: Organization, body: Mapping[str, Any]) -> Badge:
        """Issue a badge, unless something is wrong with it or the earner has it already."""
        fields = issuing.checked(body)
        with self.store.transaction():
            template = self._template_to_issue(organization, fields["badge_template_id"])
            self._refuse_duplicate(template, fields["recipient_email"], fields.get("issuer_earner_id"))
            now = _now()
            badge = Badge(
                id=str(uuid.uuid4()),
                organization_id=organization.id,
                template_id=template.id,
                state="pending",
                recipient_email=fields["recipient_email"],
                first_name=fields["issued_to_first_name"],
                last_name=fields["issued_to_last_name"],
                issuer_earner_id=fields.get("issuer_earner_id"),
                issued_at=fields["issued_at"],
                created_at=now,
                updated_at=now,
                expires_at=fields.get("expires_at") or None,
                request=dict(body),
            )
            self.store.save(badge)
            event = self._badge_event("badge.created", badge)
        self.record_event(event)
        return badge

    def accept_badge(self, badge_id: str) -> Badge:
        """The earner says yes."""
        return self._change(badge_id, state="accepted")

    def reject_badge(self, badge_id: str) -> Badge:
        """The earner says no."""
        return self._change(badge_id, state="rejected")

    def revoke_badge(self, badge_id: str, *, reason: str = "revoked at Credly") -> Badge:
        """Revoke a badge, through the API or in Credly's own pages; what was replaced or revoked cannot be."""
        return self._change(badge_id, refused_when=("replaced", "revoked"), state="revoked", revoke_reason=reason)

    def replace_badge(self, badge_id: str) -> Badge:
        """Somebody replaces the badge by another; it cannot be revoked from then on."""
        return self._change(badge_id, state="replaced")

    def set_badge_privacy(self, badge_id: str, *, public: bool) -> Badge:
        """The earner shows or hides the badge."""
        return self._change(badge_id, "badge.privacy.changed", public=public)

    def delete_badge(self, badge_id: str) -> None:
        """The badge is deleted: it cannot be found any more."""
        badge = self.badge(badge_id)
        with self.store.transaction():
            self.store.delete(Badge, "id = ?", [badge.id])
            event = self._badge_event("badge.deleted", badge)
        self.record_event(event)

    def badge(self, badge_id: str) -> Badge:
        """Find a badge by its id."""
        badge = self.store.first(Badge, "id = ?", [badge_id])
        if badge is None:
            raise Refused(404, "Badge not found")
        return badge

    # Templates

    def add_template(
        self,
        id: str | None = None,
        *,
        name: str = "Stand-in badge",
        description: str = "",
        state: str = "active",
        allows_duplicates: bool = False,
        organization: str | None = None,
    ) -> Template:
        """Make a template, in the first account unless another is named. One with this id is left as it is."""
        id = _uuid(id)
        known = self.store.first(Template, "id = ?", [id])
        if known is not None:
            return known
        now = _now()
        owner = self._organization(organization)
        template = Template(id, owner.id, name, description, _state(state), allows_duplicates, now, now)
        return self._save_template(template, "badge_template.created")

    def change_template(
        self,
        template_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        state: str | None = None,
        allows_duplicates: bool | None = None,
    ) -> Template:
        """Change what is named."""
        wanted = {"name": name, "description": description, "state": state, "allows_duplicates": allows_duplicates}
        changes: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
        if state is not None:
            _state(state)
        changed = replace(self.template(template_id), updated_at=_now(), **changes)
        return self._save_template(changed, "badge_template.changed")

    def archive_template(self, template_id: str) -> Template:
        """Take the template out of use."""
        return self.change_template(template_id, state="archived")

    def delete_template(self, template_id: str) -> None:
        """Delete the template; its badges stay."""
        template = self.template(template_id)
        with self.store.transaction():
            self.store.delete(Template, "id = ?", [template.id])
            event = self._template_event("badge_template.deleted", template)
        self.record_event(event)

    def template(self, template_id: str) -> Template:
        """Find a template by its id."""
        template = self.store.first(Template, "id = ?", [template_id])
        if template is None:
            raise Refused(404, "Badge template not found")
        return template

    # Inside

    def _organization(self, organization_id: str | None) -> Organization:
        found = self.store.first(Organization, "id = ?", [organization_id or self.organization])
        if found is None:
            raise ValueError("organization: there is no such account. Make it with add_organization().")
        return found

    def _template_to_issue(self, organization: Organization, template_id: str) -> Template:
        template = self.store.first(Template, "id = ? AND organization_id = ?", [template_id, organization.id])
        if template is None:
            raise Refused(422, "Validation failed", [("badge_template_id", "is not a template of this organization")])
        if template.state != "active":
            raise Refused(
                422, "Validation failed", [("badge_template_id", f"is {template.state}: it cannot be issued")]
            )
        return template

    def _refuse_duplicate(self, template: Template, email: str, earner_id: str | None) -> None:
        if template.allows_duplicates:
            return
        same = f"template_id = ? AND {self._not_in_the_way} AND "
        by_email = self.store.count(Badge, same + "lower(recipient_email) = lower(?)", [template.id, email])
        by_earner = earner_id is not None and self.store.count(
            Badge, same + "issuer_earner_id = ?", [template.id, earner_id]
        )
        if by_email or by_earner:
            attribute = "recipient_email" if by_email else "issuer_earner_id"
            raise Refused(422, "The earner has this badge already", [(attribute, "has this badge already")])

    def _change(
        self,
        badge_id: str,
        event_type: str = "badge.state.changed",
        *,
        refused_when: tuple[str, ...] = (),
        **changes: Any,
    ) -> Badge:
        with self.store.transaction():
            badge = self.badge(badge_id)
            if badge.state in refused_when:
                raise Refused(422, f"The badge is {badge.state}: it stays so", [("state", f"is {badge.state}")])
            changed = replace(badge, updated_at=_now(), **changes)
            self.store.save(changed)
            event = self._badge_event(event_type, changed)
        self.record_event(event)
        return changed

    def _save_template(self, template: Template, event_type: str) -> Template:
        with self.store.transaction():
            self.store.save(template)
            event = self._template_event(event_type, template)
        self.record_event(event)
        return template

    def _badge_event(self, event_type: str, badge: Badge) -> Event:
        template = self.store.first(Template, "id = ?", [badge.template_id])
        return self._event(event_type, badge.organization_id, {"badge": badge_json(badge, template)})

    def _template_event(self, event_type: str, template: Template) -> Event:
        return self._event(event_type, template.organization_id, {"badge_template": template_json(template)})

    def _event(self, event_type: str, organization_id: str, data: dict[str, Any]) -> Event:
        event = Event(str(uuid.uuid4()), organization_id, event_type, _now(), data)
        self.store.save(event)
        return event


def _now() -> datetime:
    return datetime.now(UTC)


def _uuid(text: str | None) -> str:
    return str(uuid.UUID(str(text))) if text else str(uuid.uuid4())


def _state(state: str) -> str:
    if state not in TEMPLATE_STATES:
        raise ValueError(f"state: {state!r} is unknown. Choose one of: {', '.join(TEMPLATE_STATES)}.")
    return state
