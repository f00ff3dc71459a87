"""
Learner paths: where an event says whom it is about, and how it names that person.

A learner path is text. It is one of:

- ``argument.attribute``: the path to a ``UserData``, or to an integer, which is the LMS user id;
- ``username:argument.attribute``: the path to text that is a username of the host;
- ``external:<issuer>:argument.attribute``: the path to the id of a person at another system, the issuer. A
  ``LearnerIdentity`` row says which learner that is. An issuer may hold colons, a key path may not.

``LEARNER_PATHS`` has the paths of openedx-events by event type. They are listed, because guessing is wrong for events
with several users. An enrolment names the learner and the member of staff who made it. An exam attempt names the
learner and the person who requested it. Types with a single user need no entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from badges.rules import Kind, Shape, split_path

ISSUER_LENGTH = SUBJECT_LENGTH = 255

_PREFIX = "org.openedx.learning."

_TYPES_BY_PATH = {
    "user": "student.registration.completed auth.session.login.completed",
    "enrollment.user": "course.enrollment.created course.enrollment.changed course.unenrollment.completed",
    "certificate.user": "certificate.created certificate.changed certificate.revoked",
    "program_certificate.user": "program.certificate.awarded program.certificate.revoked",
    "cohort.user": "cohort_membership.changed",
    "exam_attempt.student_user": (
        "exam.attempt.submitted exam.attempt.rejected exam.attempt.verified exam.attempt.errored exam.attempt.reset"
    ),
    "course_access_role_data.user": "user.course_access_role.added user.course_access_role.removed",
    "thread.user": "forum.thread.created forum.thread.response.created forum.thread.response.comment.created",
    "course_passing_status.user": "course.passing.status.updated ccx.course.passing.status.updated",
    "badge.user": "badge.awarded badge.revoked",  # published by this plugin; a host may configure them
    "idv_attempt.user": "idv_attempt.created idv_attempt.pending idv_attempt.approved idv_attempt.denied",
    "launch_data.user": "lti_provider.launch.success",
}

# The kinds of values in which each way of naming may be written.
_READABLE_KINDS = {
    "lms_user_id": {Kind.INTEGER},
    "username": {Kind.TEXT},
    "external": {Kind.TEXT, Kind.INTEGER},
}


class Naming(StrEnum):
    """How an event names the person it is about."""

    USER_DATA = "user_data"  # a UserData: the LMS user id, and the names if the sender gave them
    LMS_USER_ID = "lms_user_id"
    USERNAME = "username"
    EXTERNAL = "external"


class ExternalIdentity(NamedTuple):
    """A person as another system knows them. ``subject`` is the person's id at the system ``issuer``."""

    issuer: str
    subject: str


# What identifies a person in a batch: an LMS user id, a username of the host, or an identity at another system.
PersonKey = int | str | ExternalIdentity


class LearnerPathError(ValueError):
    """A learner path cannot be used for an event type. The message says why and names the remedy."""


@dataclass(frozen=True, slots=True)
class LearnerPath:
    """A learner path that fits its event type. ``keys`` lead from the event's data to the value."""

    naming: Naming
    keys: tuple[str, ...]
    issuer: str = ""


def read_learner_path(text: str, *, shape: Shape, users: Collection[str]) -> LearnerPath:
    """
    Return a learner path for an event type.

    ``shape`` is the shape of all arguments of the event, ``users`` are the paths to a ``UserData``. Raises
    LearnerPathError when there is no such path, or when its values cannot name a person in this way.
    """
    prefix, colon, rest = text.partition(":")
    if not colon:
        naming, issuer, path = (Naming.USER_DATA if text in users else Naming.LMS_USER_ID), "", text
    elif prefix == "username":
        naming, issuer, path = Naming.USERNAME, "", rest
    elif prefix == "external":
        issuer, _, path = rest.rpartition(":")
        naming = Naming.EXTERNAL
        if not 0 < len(issuer) <= ISSUER_LENGTH:
            raise LearnerPathError(f"it needs an issuer of 1 to {ISSUER_LENGTH} characters: external:<issuer>:<path>")
    else:
        raise LearnerPathError("it begins with none of username:, external:<issuer>: or the path itself")
    if naming is Naming.USER_DATA:
        return LearnerPath(naming, split_path(path))
    found = shape.find(path)
    if found is None:
        raise LearnerPathError(f"the event has no {path}")
    keys, value = found
    if value.kind not in _READABLE_KINDS[naming]:
        wanted = " or ".join(
            [*sorted(_READABLE_KINDS[naming]), *(["UserData"] if naming is Naming.LMS_USER_ID else [])]
        )
        raise LearnerPathError(f"{path} holds {value.kind}; a path that begins so needs {wanted}")
    return LearnerPath(naming, keys, issuer)


def name_digest(key: str | ExternalIdentity) -> str:
    """
    Return a digest (64 hexadecimal digits) of a username or an external identity.

    Inbox rows of events that hold no LMS user id are found by it, for example when their learner is retired.
    """
    parts = key if isinstance(key, ExternalIdentity) else ("username", key)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


LEARNER_PATHS: dict[str, str] = {
    f"{_PREFIX}{name}.v1": path for path, names in _TYPES_BY_PATH.items() for name in names.split()
}
