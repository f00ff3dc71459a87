"""What Accredible does, without HTTP: credentials are issued, changed and deleted, and groups are kept."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from badges.testing.accredible import issuing
from badges.testing.accredible.records import Credential, Event, Group, Organization
from badges.testing.accredible.store import Store
from badges.testing.standin import Record, Refused

KEY = "stand-in-key"
# Where the numbers of each kind begin.
_FIRST: dict[type[Record], int] = {Organization: 4897, Group: 12_472, Credential: 10_000_005}


class Provider:
    """The account book of the stand-in Accredible."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.organization: int | None = None  # the account that is meant when none is named

    def record_event(self, event: Event) -> None:
        """Told of every event after it has been written; whoever wants to know overrides this."""

    # Organizations and their keys

    def add_organization(self, *, key: str | None = None, name: str = "Stand-in Academy") -> Organization:
        """Open an account, or return the one that this key opens."""
        known = self.owner_of_key(key) if key else None
        if known is not None:
            return known
        organization = Organization(self._next_id(Organization), name, key or secrets.token_urlsafe(24), _now())
        self.store.save(organization)
        return organization

    def set_credits(self, credits: int | None, *, organization: int | None = None) -> Organization:
        """Say how many more credentials an account may publish; None: any number."""
        changed = replace(self._organization(organization), credits=credits)
        self.store.save(changed)
        return changed

    def owner_of_key(self, key: str) -> Organization | None:
        """Say whose key this is."""
        return self.store.first(Organization, "key = ?", [key])

    # Credentials

    def issue(self, organization: Organization, body: Mapping[str, Any]) -> Credential:
        """Issue a credential, unless something is wrong with it or the group allows no second one."""
        described = issuing.described(body)
        fields = issuing.checked(described)
        with self.store.transaction():
            group = self._group_to_issue(organization, described.get("group_id"))
            name = fields.pop("name", None) or group.course_name
            if not name:
                raise Refused(422, "The credential is not valid", [("course_name", "can't be blank")])
            self._refuse_duplicate(group, fields["recipient_email"])
            fields["approve"] = fields["approve"] and self._use_credit(organization)
            defaults = {"recipient_id": None, "expired_on": None, "issued_on": _now().date().isoformat()}
            credential = Credential(
                id=self._next_id(Credential),
                organization_id=organization.id,
                group_id=group.id,
                name=name,
                created_at=_now(),
                updated_at=_now(),
                request=dict(body),
                **{**defaults, **fields},
            )
            self.store.save(credential)
        self._event("credential.created", credential)
        return credential

    def change(self, credential: Credential, body: Mapping[str, Any]) -> Credential:
        """Change what the body names."""
        return self._change(credential, **issuing.changes(issuing.described(body)))

    def expire_credential(self, credential_id: int, *, on: str | None = None) -> Credential:
        """Somebody sets the end of a credential to a day; today, if none is given."""
        return self._change(self.credential(credential_id), expired_on=on or _now().date().isoformat())

    def publish_credential(self, credential_id: int) -> Credential:
        """Somebody publishes a credential that was issued for want of credits without being published."""
        return self._change(self.credential(credential_id), approve=True)

    def delete_credential(self, credential_id: int) -> None:
        """The credential is deleted: it cannot be found any more."""
        credential = self.credential(credential_id)
        self.store.delete(Credential, "id = ?", [credential.id])
        self._event("credential.deleted", credential)

    def credential(self, credential_id: int) -> Credential:
        """Find a credential by its id."""
        found = self.store.first(Credential, "id = ?", [credential_id])
        if found is None:
            raise Refused(404, "Doesn't exist")
        return found

    # Groups

    def add_group(
        self,
        id: int | None = None,
        *,
        name: str = "Stand-in group",
        course_name: str = "",
        description: str = "",
        allows_duplicates: bool = False,
        organization: int | None = None,
    ) -> Group:
        """Make a group, in the first account unless another is named. One with this id is left as it is."""
        known = self.store.first(Group, "id = ?", [id])
        if known is not None:
            return known
        owner, now = self._organization(organization), _now()
        id = id or self._next_id(Group)
        group = Group(id, owner.id, name, course_name, description, allows_duplicates, now, now)
        self.store.save(group)
        return group

    def change_group(
        self,
        group_id: int,
        *,
        name: str | None = None,
        description: str | None = None,
        allows_duplicates: bool | None = None,
    ) -> Group:
        """Change what is named."""
        wanted = {"name": name, "description": description, "allows_duplicates": allows_duplicates}
        changes: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
        changed = replace(self.group(group_id), updated_at=_now(), **changes)
        self.store.save(changed)
        return changed

    def delete_group(self, group_id: int) -> None:
        """Delete the group; its credentials stay."""
        self.store.delete(Group, "id = ?", [self.group(group_id).id])

    def group(self, group_id: int) -> Group:
        """Find a group by its id."""
        found = self.store.first(Group, "id = ?", [group_id])
        if found is None:
            raise Refused(404, "Group does not exist")
        return found

    # Inside

    def _next_id(self, record: type[Record]) -> int:
        known = self.store.all(record)
        return max([_FIRST[record] - 1, *(int(getattr(each, "id")) for each in known)]) + 1  # noqa: B009

    def _organization(self, organization_id: int | None) -> Organization:
        found = self.store.first(Organization, "id = ?", [organization_id or self.organization])
        if found is None:
            raise ValueError("organization: there is no such account. Make it with add_organization().")
        return found

    def _group_to_issue(self, organization: Organization, group_id: Any) -> Group:
        if not isinstance(group_id, int | str) or not str(group_id).isdigit():
            raise Refused(422, "Invalid Group")
        group = self.store.first(Group, "id = ? AND organization_id = ?", [int(group_id), organization.id])
        if group is None:
            raise Refused(422, "Invalid Group")
        return group

    def _refuse_duplicate(self, group: Group, email: str) -> None:
        if group.allows_duplicates:
            return
        if self.store.count(Credential, "group_id = ? AND lower(recipient_email) = lower(?)", [group.id, email]):
            message = "has already been taken: the settings of the group allow no duplicates"
            raise Refused(422, "The credential is not valid: no duplicates", [("recipient.email", message)])

    def _use_credit(self, organization: Organization) -> bool:
        """Take one credit, and say whether there was one."""
        current = self._organization(organization.id)
        if current.credits is None:
            return True
        if current.credits < 1:
            return False
        self.store.save(replace(current, credits=current.credits - 1))
        return True

    def _change(self, credential: Credential, **changes: Any) -> Credential:
        changed = replace(credential, updated_at=_now(), **changes)
        self.store.save(changed)
        self._event("credential.updated", changed)
        return changed

    def _event(self, event_type: str, credential: Credential) -> None:
        described = {"id": credential.id, "name": credential.name, "group_id": credential.group_id}
        event = Event(str(uuid.uuid4()), credential.organization_id, event_type, _now(), {"credential": described})
        self.store.save(event)
        self.record_event(event)


def _now() -> datetime:
    return datetime.now(UTC)


def is_over(credential: Credential, *, today: date | None = None) -> bool:
    """Say whether a credential has come to its end by a day; today, if none is given."""
    day = (today or _now().date()).isoformat()
    return credential.expired_on is not None and credential.expired_on <= day
