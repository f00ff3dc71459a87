"""
The contracts between scheduled credentials and their plug-ins: processors and generators. Pure.

A plug-in is a subclass of ``Processor`` or ``Generator``. An entry point of the group
``credentials_config.processors`` or ``credentials_config.generators`` offers it; the entry point's name is the
plug-in's slug. It is created without arguments, once per process, and several threads use it.
``credentials_config.registry`` finds it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

JSON = Any
Options = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Person:
    """
    A learner as the LMS knows them.

    ``name`` may be blank; whoever prints it decides what to print then. ``language`` is a code like ``ar`` or
    ``pt-br``; it is blank when the LMS has none. Everything here but the id is personal data.
    """

    lms_user_id: int
    username: str
    email: str = ""
    name: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """
    A learning context: a course, a lesson or a pathway.

    A lesson has the dates of its course. A pathway lasts from the earliest start to the latest end of its courses.
    ``start`` and ``end`` are aware times, or None when there is no such date.
    """

    key: str
    name: str
    start: dt.datetime | None = None
    end: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Eligibility:
    """
    Whether a learner has earned the credential.

    ``progress`` is a JSON object of the processor's own, with the learner's values and the required ones. ``reasons``
    are sentences for the learner about what is missing; there are none when ``eligible`` is True.
    """

    eligible: bool
    progress: dict[str, JSON] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()


class Processor(ABC):
    """
    Finds who has earned a credential in a learning context.

    ``slug`` is what the database stores. ``title`` and ``option_help`` are for people, so they are translatable;
    ``option_help`` is plain text that says what the options may hold.

    ``options`` are always those of the credential type merged with those of the configuration. The generator reads the
    same object, so a processor ignores keys that it does not know.
    """

    slug: ClassVar[str]
    title: ClassVar[StrOrPromise]
    option_help: ClassVar[StrOrPromise] = ""

    @abstractmethod
    def supports(self, context_key: str) -> bool:
        """Return whether the processor can evaluate this learning context. Others are refused when they are saved."""

    @abstractmethod
    def clean_options(self, options: Options) -> list[str]:
        """Return what is wrong with the options, one sentence with path and remedy for each error."""

    @abstractmethod
    def people(self, context_key: str, options: Options) -> Iterator[Person]:
        """
        Yield everyone who may be eligible, usually those who are enrolled, and each person once.

        They are read page by page. ``name`` is the name for the document and ``email`` the address for its link.
        Raises badges.exceptions.Retryable or Permanent, as ``retrieve`` does.
        """

    @abstractmethod
    def retrieve(
        self, context_key: str, options: Options, learners: Collection[Person] | None = None
    ) -> dict[int, Eligibility]:
        """
        Return the eligibility of each of the learners, eligible or not, by LMS user id.

        ``learners`` None means all ``people``. Callers with many learners pass a few hundred at a time, so that nobody
        holds all of them in memory. When the data of one learner makes no sense, that learner is not eligible, with a
        reason; the others are not affected.

        Raises badges.exceptions.Retryable or Permanent when no learner can be evaluated: the LMS does not answer, the
        context is unknown, or the options are not usable.
        """


@dataclass(frozen=True, slots=True)
class DocumentContext:
    """
    The texts of one document. All of them are data: no template engine interprets them.

    ``issue_date`` is localised text, ready to print. ``language`` is a code like ``ar`` or ``pt-br``, or blank.
    """

    name: str
    context_name: str
    issue_date: str
    verify_url: str
    verify_code: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A finished document. ``extension`` is that of its file, without a dot."""

    content: bytes
    content_type: str = "application/pdf"
    extension: str = "pdf"


@dataclass(frozen=True, slots=True)
class Recipient:
    """
    Who gets something that is no document, and by which credential.

    ``learner`` is the UUID of the learner, as ``badges.api`` takes it. ``title`` is the name of the credential type.
    ``given`` is what ``Renderer.give`` returned the last time; empty before the first time. ``now`` is the time to act
    at.
    """

    learner: uuid.UUID
    verification_code: str
    title: str
    context_name: str
    given: Mapping[str, JSON]
    now: dt.datetime


class GenerationError(Exception):
    """
    A document cannot be made. The message names the option or asset and the remedy, and holds no personal data.

    ``everyone`` is True when every document of the same options and assets would fail alike, as with a broken template
    or a missing font. Then the next learner is not tried. Errors of ``Generator.create_renderer`` always count so.
    """

    def __init__(self, message: str, *, everyone: bool = False):
        super().__init__(message)
        self.everyone = everyone


class Assets(Protocol):
    """
    The files that options name by slug, each in its newest version.

    All methods raise GenerationError, naming the slug and the remedy, when there is no such asset.
    """

    def read(self, slug: str) -> bytes:
        """Return the content of the file. Raises GenerationError also when it is too big or empty."""

    def file_name(self, slug: str) -> str:
        """Return the name under which the file was uploaded. Its extension tells the type of the file."""

    def version(self, slug: str) -> int:
        """Return the version whose content ``read`` returns."""


class Renderer(ABC):
    """
    Makes the documents of one set of options and assets, with its template and fonts loaded.

    It is kept as long as options and assets stay the same, and several threads may use it at once. It is closed when it
    is outdated, or when too many others are in use. No thread uses it any more then.

    ``made_from`` is a JSON object that is stored with each credential: the slugs and versions of the assets, and the
    version of the generator.

    With ``makes_documents`` False, learners get something that is no document, such as a badge. Then ``give`` is called
    for each of them and not ``render``, which serves the preview alone.
    """

    made_from: dict[str, JSON]
    makes_documents: ClassVar[bool] = True

    @abstractmethod
    def render(self, context: DocumentContext) -> Document:
        """Return one document. Raises GenerationError when it cannot be made."""

    def give(self, recipient: Recipient) -> dict[str, JSON]:
        """
        Give a learner what is no document, and return a JSON object that tells what it was.

        Called in the transaction that makes the credential available, so both happen or neither does; the transaction
        may be tried again. So it only writes to the database. Called again for a reissue. Raises GenerationError when
        it cannot be given.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Release processes and files."""
        return None


class Generator(ABC):
    """
    Makes documents.

    ``slug``, ``title``, ``option_help`` and ``options`` are as in ``Processor``; here it is the processor's keys that
    are ignored.
    """

    slug: ClassVar[str]
    title: ClassVar[StrOrPromise]
    option_help: ClassVar[StrOrPromise] = ""

    @abstractmethod
    def clean_options(self, options: Options) -> list[str]:
        """Return what is wrong with the options, one sentence with path and remedy for each error."""

    @abstractmethod
    def create_renderer(self, options: Options, assets: Assets) -> Renderer:
        """
        Load template, fonts and images, and return a renderer for them.

        Raises GenerationError, naming the option or asset and the remedy, when something is missing or broken.
        """

    def take_back(self, recipient: Recipient, *, public_reason: str, note: str, by: Any) -> None:
        """
        Take back what ``Renderer.give`` has given, because the credential is invalidated.

        Called in the transaction of that. ``by`` is the account of who decided it, or None. ``note`` is for staff.
        """
        return None

    def is_held(self, given: Mapping[str, JSON]) -> bool:
        """Return whether what ``Renderer.give`` has given is still held; the verification page asks."""
        return True

    def is_over(self, given: Mapping[str, JSON]) -> bool:
        """Return whether what is not held any more has reached its end, and was not taken back before."""
        return False
