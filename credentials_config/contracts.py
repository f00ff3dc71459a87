"""
The words that scheduled credentials, their processors and their generators speak with each other. Pure.

A plug-in is a subclass of ``Processor`` or ``Generator``, offered by an entry point of the group
``credentials_config.processors`` or ``credentials_config.generators`` whose name is the plug-in's slug. It is made
without arguments, once per process, and used by several threads. ``credentials_config.registry`` finds it.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

JSON = Any
Options = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Person:
    """
    A learner as the LMS knows them. ``name`` may be blank: what is printed then is decided where it is printed.

    ``language`` is a code like ``ar`` or ``pt-br``, blank when the LMS did not say.
    """

    lms_user_id: int
    username: str
    email: str = ""
    name: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """
    Where something is learned: a course, a lesson (with its course's dates) or a pathway (from its earliest step's
    start to its latest step's end). ``None`` as a date: there is none.
    """

    key: str
    name: str
    start: dt.datetime | None = None
    end: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Eligibility:
    """
    Whether a learner has earned it, how far they are, and what is missing, in sentences for the learner.

    ``progress`` is a JSON object of the processor's own: figures and what they are compared with.
    """

    eligible: bool
    progress: dict[str, JSON] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()


class Processor(ABC):
    """Finds who has earned a credential in a learning context."""

    slug: ClassVar[str]
    title: ClassVar[Any]
    # What may stand in the options, for people who fill them in: plain text, gettext lazy.
    option_help: ClassVar[Any] = ""

    @abstractmethod
    def supports(self, context_key: str) -> bool:
        """Return whether this kind of learning context can be answered for; others are refused when saved."""

    @abstractmethod
    def clean_options(self, options: Options) -> list[str]:
        """
        Return what is wrong with the options (the type's merged with the configuration's): path and remedy, in words.

        Keys that belong to the generator are none of its business.
        """

    @abstractmethod
    def people(self, context_key: str, options: Options) -> Iterator[Person]:
        """
        Yield everyone who may be asked about, page by page: usually those enrolled. Each person once, with the name
        that the document is to say and the address that the link is to go to.
        """

    @abstractmethod
    def retrieve(
        self, context_key: str, options: Options, learners: Collection[Person] | None = None
    ) -> dict[int, Eligibility]:
        """
        Return the eligibility by LMS user id of everyone asked about, eligible or not; None asks about all ``people``.

        Callers with many learners ask in chunks (a few hundred at a time), so that neither side holds everyone at once.
        What is odd about one learner makes that learner not eligible, with a reason, and disturbs nobody else.
        Raises badges.exceptions.Retryable or Permanent for what befalls all: the LMS is down, the context is unknown.
        """


@dataclass(frozen=True, slots=True)
class DocumentContext:
    """What a document says. All of it is data: nothing in it means anything to a template engine."""

    name: str
    context_name: str
    issue_date: str  # localised text, ready to print
    verify_url: str
    verify_code: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A finished document; ``extension`` without a dot."""

    content: bytes
    content_type: str = "application/pdf"
    extension: str = "pdf"


class GenerationError(Exception):
    """
    A document cannot be made. The message names the option or asset and the remedy, and holds no personal data.

    ``everyone``: every document of the same options and assets would fail alike (broken template, missing font), so
    there is no point in trying the next learner. What ``Generator.begin`` raises always is.
    """

    def __init__(self, message: str, *, everyone: bool = False):
        super().__init__(message)
        self.everyone = everyone


class Assets(Protocol):
    """
    The files that options name by slug, each in its newest version.

    ``read`` raises GenerationError naming the slug and the remedy when there is none, or when it is too big or empty.
    """

    def read(self, slug: str) -> bytes:
        """Return the file's content."""

    def file_name(self, slug: str) -> str:
        """Return the name it was uploaded under: its extension says what it is."""

    def version(self, slug: str) -> int:
        """Return the version that ``read`` gives."""


class Renderer(ABC):
    """
    A generator that has its template and fonts loaded; kept for as long as options and assets stay the same.

    Several threads may ask it at once. It is closed when it is outdated, or others were asked for more lately, and no
    thread uses it any more.
    """

    # Slugs and versions of what documents are made from, and the generator's own version: ``Credential.made_from``.
    made_from: dict[str, JSON]

    @abstractmethod
    def make(self, words: DocumentContext) -> Document:
        """Make one document; GenerationError when that cannot be done."""

    def close(self) -> None:
        """Let go of processes and files."""
        return None


class Generator(ABC):
    """Makes documents."""

    slug: ClassVar[str]
    title: ClassVar[Any]
    option_help: ClassVar[Any] = ""

    @abstractmethod
    def clean_options(self, options: Options) -> list[str]:
        """
        Return what is wrong with the options (the type's merged with the configuration's): path and remedy, in words.

        Keys that belong to the processor are none of its business.
        """

    @abstractmethod
    def begin(self, options: Options, assets: Assets) -> Renderer:
        """Load template, fonts and images; GenerationError names what is missing or broken."""
