"""
The errors of this app, and who has to do something about each.

The message of every error names the row, field or path and the remedy, and holds no personal data. It is stored in
inbox and outbox rows, shown in the admin and logged.
"""

from __future__ import annotations

import uuid


class BadgesError(Exception):
    """The base of all errors of this package."""


class Retryable(BadgesError):
    """
    It failed for now; the worker will try again.

    ``retry_after`` is how many seconds the other side asked to wait, or None for the delay of the worker's backoff.
    ``circuit`` tells that the other side as a whole seems to be down. Then the attempt does not count, and other rows
    need not be tried either.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, circuit: bool = False):
        super().__init__(message)
        self.retry_after = retry_after
        self.circuit = circuit


class Waiting(Retryable):
    """
    Something that is needed is not here yet and comes without an operator, such as the account of a learner.

    The row waits for it and loses no attempt. ``retry_after`` is after how many seconds it is looked at again, or None
    for the longest delay of the worker's backoff.
    """


class RateLimited(Retryable):
    """
    The other side gets more requests than it accepts.

    All rows of its circuit rest until ``retry_after``, and lose no attempt.
    """


class Permanent(BadgesError):
    """Trying again will not help; an operator has to do what the message says."""


class SharedProblem(Permanent):
    """
    An operator has to correct something that many rows need, such as the token of an organization.

    The rows rest as one problem, and lose no attempt. From time to time one of them finds out whether the problem is
    solved. ``circuit`` names the circuit of the rows that rest; None: the first one of the row that failed.
    """

    def __init__(self, message: str, *, circuit: str | None = None):
        super().__init__(message)
        self.circuit = circuit


class IdentityTakenError(Permanent):
    """Another learner has this id at this issuer."""

    def __init__(self) -> None:
        super().__init__(
            "Another learner has this id at this issuer. Correct the id, or remove it from the other learner first."
        )


class UnusableIdentityError(Permanent):
    """An issuer or an id cannot be stored. ``field`` names it, ``problem`` is the message without the name."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field, self.problem = field, problem


class SeveralAccountsError(Permanent):
    """Several accounts of the host have the e-mail address that was given."""

    def __init__(self) -> None:
        super().__init__("Several accounts have this e-mail address. Write the username or the LMS user id instead.")


class EventError(BadgesError):
    """An event cannot be used: it becomes a dead letter with this message as the reason."""


class UnknownEventType(EventError):
    """This event type is not configured here, or no installed package defines it."""


class GrantingError(BadgesError):
    """
    A badge cannot be awarded or revoked. The message names the remedy.

    ``code`` names the error for programs, also in the REST API. ``credential_id`` is the credential that is in the way,
    if there is one.
    """

    code = "refused"

    def __init__(self, message: str, *, credential_id: uuid.UUID | None = None):
        super().__init__(message)
        self.credential_id = credential_id


class UnusableReasonError(GrantingError):
    """A reason cannot be stored. ``field`` is the name of the argument, ``problem`` is the message without it."""

    code = "unusable_reason"

    def __init__(self, field: str, problem: str):
        super().__init__(f"{field}: {problem}")
        self.field, self.problem = field, problem


class UnknownPersonError(GrantingError):
    """There is no such person here."""

    code = "unknown_person"

    def __init__(self) -> None:
        super().__init__("There is no such person here. Check the LMS user id or the username.")


class TemplateNotActiveError(GrantingError):
    """Badges of a template that is inactive or archived are not awarded."""

    code = "template_not_active"

    def __init__(self, slug: str) -> None:
        super().__init__(f"The template {slug} is not active. Activate it, or restore it from the archive, first.")


class AlreadyHeldError(GrantingError):
    """The learner holds this badge. ``credential_id`` is the credential."""

    code = "already_held"

    def __init__(self, slug: str, credential_id: uuid.UUID) -> None:
        message = f"The learner holds the badge {slug} already. Revoke it before awarding it again."
        super().__init__(message, credential_id=credential_id)


class BlockedError(GrantingError):
    """A person revoked this badge, and the block is not lifted. ``credential_id`` is the revoked credential."""

    code = "blocked"

    def __init__(self, slug: str, credential_id: uuid.UUID) -> None:
        message = f"The badge {slug} was revoked for this learner and is blocked. Lift the block first."
        super().__init__(message, credential_id=credential_id)


class NotHeldError(GrantingError):
    """The learner does not hold this badge, or holds it by another credential than the given one."""

    code = "not_held"

    def __init__(self, slug: str) -> None:
        super().__init__(f"The learner does not hold the badge {slug}, so there is nothing to revoke.")


class NotBlockedError(GrantingError):
    """There is no block to lift."""

    code = "not_blocked"

    def __init__(self, slug: str) -> None:
        super().__init__(f"The badge {slug} is not blocked for this learner, so there is no block to lift.")
