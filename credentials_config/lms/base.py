"""
What the LMS is asked: one interface, whichever way it is reached.

Figures come back as the LMS gave them (``Any``): whoever uses them judges whether they make sense, learner by learner.
Every method raises badges.exceptions.Retryable when the LMS cannot answer now and Permanent, with the remedy, when it
will not. Nobody is asked about who was not named, and dictionaries hold only those who are (actively) enrolled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from badges.exceptions import Permanent
from credentials_config.contexts import Kind, kind_of
from credentials_config.contracts import Context, Person


@dataclass(frozen=True, slots=True)
class Assignment:
    """A category of the grading policy: how many assignments it has at least, how many of the lowest are dropped."""

    category: str
    count: Any
    dropped: Any
    weight: Any


@dataclass(frozen=True, slots=True)
class Section:
    """A learner's score in one graded subsection; ``percent`` is a share of 1."""

    key: str
    category: str
    percent: Any
    attempted: bool


@dataclass(frozen=True, slots=True)
class Grades:
    """A learner's grades: the course grade as the LMS shows it (a share of 1), and each graded subsection."""

    total: Any
    sections: tuple[Section, ...]


class UnknownContext(Permanent):
    """The LMS does not know this context."""

    def __init__(self, context_key: str):
        super().__init__(f"The LMS does not know {context_key!r}. Correct the context key of the configuration.")


class Lms(ABC):
    """The LMS."""

    @abstractmethod
    def context(self, context_key: str) -> Context:
        """Return name and dates: a lesson has its course's; a pathway lasts from its first start to its last end."""

    @abstractmethod
    def people(self, context_key: str) -> Iterator[Person]:
        """Yield everyone who is actively enrolled (for a lesson: in its course), page by page."""

    @abstractmethod
    def find(self, usernames: Iterable[str] = (), lms_user_ids: Iterable[int] = ()) -> Iterator[Person]:
        """Yield the people with these usernames and ids, page by page, without those that the LMS does not know."""

    @abstractmethod
    def languages(self, learners: Collection[Person]) -> dict[int, str]:
        """Return the languages (``ar``, ``pt-br``) of those of the learners who have chosen one."""

    @abstractmethod
    def enrolled(self, context_key: str, learners: Collection[Person]) -> set[int]:
        """Return the ids of those of the learners who are actively enrolled (for a lesson: in its course)."""

    @abstractmethod
    def steps(self, pathway_key: str) -> list[str]:
        """Return the keys of a pathway's courses, in their order."""

    @abstractmethod
    def completions(self, context_key: str, learners: Collection[Person]) -> dict[int, Any]:
        """
        Return which share of a course or lesson each of the learners completed.

        None for those whose completion the LMS does not have.
        """

    @abstractmethod
    def grades(self, course_key: str, learners: Collection[Person]) -> dict[int, Grades]:
        """Return the grades of each of the learners in a course."""

    @abstractmethod
    def policy(self, course_key: str) -> tuple[Assignment, ...]:
        """Return the grading policy of a course."""

    @abstractmethod
    def subsections(self, lesson_key: str) -> set[str]:
        """Return the keys of the subsections in the subtree of a lesson that is a section or a subsection itself."""


def kind(context_key: str) -> Kind:
    """Return what the key names; Permanent, naming the remedy, when it names nothing."""
    found = kind_of(context_key)
    if found is None:
        raise Permanent(
            f"{context_key!r} is no key of a course, a lesson (usage key) or a pathway. "
            "Correct the context key of the configuration."
        )
    return found
