"""
The interface to the LMS, however it is reached.

Numbers are returned as the LMS sends them (``JSON``). Whoever uses them decides, learner by learner, whether they make
sense. Every method raises badges.exceptions.Retryable when the LMS cannot answer now, and Permanent, with the remedy,
when it never will. The LMS is asked only about the learners that are named. Dictionaries hold only those of them who
are actively enrolled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from badges.exceptions import Permanent
from credentials_config.context_keys import Kind, kind_of
from credentials_config.contracts import JSON, Context, Person

# What ``completions`` returns instead of a share where a course or lesson has nothing that could be completed. The LMS
# reports 100 % then.
NOTHING_TO_COMPLETE = "nothing to complete"


@dataclass(frozen=True, slots=True)
class Assignment:
    """
    A category of the grading policy.

    ``count`` is the number of assignments that the course will have, ``dropped`` how many of the lowest are dropped.
    """

    category: str
    count: JSON
    dropped: JSON
    weight: JSON


@dataclass(frozen=True, slots=True)
class Section:
    """A learner's score in one graded subsection; ``percent`` is a share of 1."""

    key: str
    category: str
    percent: JSON
    attempted: bool


@dataclass(frozen=True, slots=True)
class Grades:
    """A learner's grades: the course grade that the LMS shows, a share of 1, and each graded subsection."""

    total: JSON
    sections: tuple[Section, ...]


class UnknownContext(Permanent):
    """The LMS does not know this context."""

    def __init__(self, context_key: str):
        super().__init__(f"The LMS does not know {context_key!r}. Correct the context key of the configuration.")


class Lms(ABC):
    """The LMS. Several threads may use it at once."""

    @abstractmethod
    def context(self, context_key: str) -> Context:
        """Return the name and dates of a learning context. Raises UnknownContext."""

    @abstractmethod
    def people(self, context_key: str) -> Iterator[Person]:
        """Yield everyone who is actively enrolled, for a lesson in its course. They are read page by page."""

    @abstractmethod
    def find(self, usernames: Iterable[str] = (), lms_user_ids: Iterable[int] = ()) -> Iterator[Person]:
        """Yield the people with these usernames and ids. Those that the LMS does not know are left out."""

    @abstractmethod
    def languages(self, learners: Collection[Person]) -> dict[int, str]:
        """Return the languages, like ``ar`` or ``pt-br``, of the learners who have chosen one, by LMS user id."""

    @abstractmethod
    def enrolled(self, context_key: str, learners: Collection[Person]) -> set[int]:
        """Return the ids of the learners who are actively enrolled, for a lesson in its course."""

    @abstractmethod
    def steps(self, pathway_key: str) -> list[str]:
        """Return the keys of a pathway's courses in their order. Raises UnknownContext."""

    @abstractmethod
    def completions(self, context_key: str, learners: Collection[Person]) -> dict[int, JSON]:
        """
        Return the completed share of a course or lesson for each of the learners, by LMS user id.

        It is None for learners whose completion the LMS does not have, and NOTHING_TO_COMPLETE where there is nothing
        that they could complete.
        """

    @abstractmethod
    def grades(self, course_key: str, learners: Collection[Person]) -> dict[int, Grades]:
        """Return the grades of each of the learners in a course, by LMS user id."""

    @abstractmethod
    def policy(self, course_key: str) -> tuple[Assignment, ...]:
        """Return the grading policy of a course. Raises UnknownContext."""

    @abstractmethod
    def subsections(self, lesson_key: str) -> set[str]:
        """Return the keys of the subsections in a lesson, which is a section or a subsection itself."""


def kind(context_key: str) -> Kind:
    """Return what the key names. Raises Permanent, with the remedy, when it is not the key of a learning context."""
    found = kind_of(context_key)
    if found is None:
        raise Permanent(
            f"{context_key!r} is no key of a course, a lesson (usage key) or a pathway. "
            "Correct the context key of the configuration."
        )
    return found
