"""The LMS over its HTTP API, as seen from another machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote

from badges.common.http import NotFound, RetryPolicy
from badges.exceptions import Permanent, Retryable
from credentials_config.context_keys import Kind, block_type_of, course_of
from credentials_config.contracts import Context, Person
from credentials_config.lms.base import NOTHING_TO_COMPLETE, Assignment, Grades, Lms, Section, UnknownContext, kind
from credentials_config.lms.chunks import chunks, earliest, latest
from credentials_config.lms.http_client import LmsHttpClient
from credentials_config.lms.paths import path

T = TypeVar("T")
R = TypeVar("R")

MAX_CHUNK = 100  # The enrollment API refuses more learners in one request.


class HttpLms(Lms):
    """
    An LMS that is reached over the network. ``settings`` are those in ``CREDENTIALS_CONFIG["lms"]``.

    The platform's gradebook answers for one learner or for all. So grades are requested learner by learner, several at
    a time.
    """

    def __init__(self, settings: dict[str, Any]):
        self._paths: dict[str, Any] = settings["paths"]
        self._chunk = max(1, min(int(settings["chunk"]), MAX_CHUNK))
        self._page_size = int(settings["page_size"])
        self._parallel = max(1, int(settings["parallel"]))
        self._client = LmsHttpClient(
            settings["url"],
            client_id=settings["client_id"],
            client_secret=settings["client_secret"],
            token_path=path("token", self._paths),
            timeout=float(settings["timeout"]),
            retries=RetryPolicy(
                attempts=max(1, int(settings["attempts"])),
                base_delay=float(settings["base_delay"]),
                max_delay=float(settings["max_delay"]),
            ),
        )

    def close(self) -> None:
        """Close the open connections."""
        self._client.close()

    # Contexts

    def context(self, context_key: str) -> Context:
        match kind(context_key):
            case Kind.COURSE:
                course = self._of_context(context_key, "course", context_key)
                return Context(context_key, _text(course, "name"), _time(course, "start"), _time(course, "end"))
            case Kind.LESSON:
                course = self.context(course_of(context_key))
                block = self._blocks(context_key, depth=0).get(context_key, {})
                return Context(context_key, _text(block, "display_name"), course.start, course.end)
            case Kind.PATHWAY:
                return self._pathway_context(context_key)

    def _pathway_context(self, pathway_key: str) -> Context:
        pathway = self._of_context(pathway_key, "pathway", pathway_key)
        starts, ends = [], []
        for step in _list(pathway, "steps"):
            course = self.context(_text(step, "course_key"))
            starts.append(course.start)
            ends.append(course.end)
        return Context(pathway_key, _text(pathway, "display_name"), earliest(starts), latest(ends))

    def steps(self, pathway_key: str) -> list[str]:
        steps = _list(self._of_context(pathway_key, "pathway", pathway_key), "steps")
        # Pathways whose order does not matter have none. The sort is stable.
        return [_text(step, "course_key") for step in sorted(steps, key=lambda step: step.get("order") or 0)]

    def policy(self, course_key: str) -> tuple[Assignment, ...]:
        entries = self._of_context(course_key, "policy", course_key)
        if not isinstance(entries, list):
            raise Retryable("The LMS: the grading policy is not a list.")
        return tuple(
            Assignment(_text(entry, "assignment_type"), entry.get("count"), entry.get("dropped"), entry.get("weight"))
            for entry in entries
        )

    def subsections(self, lesson_key: str) -> set[str]:
        if block_type_of(lesson_key) == "sequential":
            return {lesson_key}
        blocks = self._blocks(lesson_key, depth="all")
        return {key for key, block in blocks.items() if isinstance(block, dict) and block.get("type") == "sequential"}

    def _blocks(self, lesson_key: str, *, depth: Any) -> dict[str, Any]:
        answer = self._of_context(lesson_key, "blocks", lesson_key, depth=depth, all_blocks="true")
        blocks = answer.get("blocks") if isinstance(answer, dict) else None
        return blocks if isinstance(blocks, dict) else {}

    def _of_context(self, context_key: str, name: str, key: str, **parameters: Any) -> Any:
        """Return the JSON at a path of a context. Raises UnknownContext when there is nothing."""
        try:
            return self._client.get(path(name, self._paths, key=key), **parameters)
        except NotFound as error:
            raise UnknownContext(context_key) from error

    # People

    def people(self, context_key: str) -> Iterator[Person]:
        match kind(context_key):
            case Kind.COURSE:
                return self._enrolled_people(context_key)
            case Kind.LESSON:
                return self._enrolled_people(course_of(context_key))
            case Kind.PATHWAY:
                return self.find(lms_user_ids=self._pathway_learners(context_key))

    def find(self, usernames: Iterable[str] = (), lms_user_ids: Iterable[int] = ()) -> Iterator[Person]:
        for chunk in chunks((name for name in usernames if _usable(name)), self._chunk, length=_length):
            yield from self._accounts(username=",".join(chunk))
        for ids in chunks(lms_user_ids, self._chunk):
            for found in self._each(lambda lms_user_id: list(self._accounts(lms_user_id=lms_user_id)), ids):
                yield from found

    def enrolled(self, context_key: str, learners: Collection[Person]) -> set[int]:
        if kind(context_key) is Kind.PATHWAY:
            return self._enrolled_in_pathway(context_key, learners)
        course_key = context_key if kind(context_key) is Kind.COURSE else course_of(context_key)
        found: set[int] = set()
        for chunk in chunks(self._named(learners), self._chunk, length=lambda person: _length(person.username)):
            ids = {person.username: person.lms_user_id for person in chunk}
            enrolments = self._enrolments(course_key, username=",".join(ids))
            found.update(ids[name] for name in enrolments if name in ids)
        return found

    def _enrolled_in_pathway(self, pathway_key: str, learners: Collection[Person]) -> set[int]:
        """Ask about a few by name. For more, read the whole list, which the plugin sends in one answer."""
        wanted = {person.lms_user_id for person in learners}
        if len(learners) > self._parallel:
            return wanted.intersection(self._pathway_learners(pathway_key))
        found: set[int] = set()
        for person in self._named(learners):
            found.update(self._pathway_learners(pathway_key, username=person.username))
        return found & wanted

    def languages(self, learners: Collection[Person]) -> dict[int, str]:
        def ask(person: Person) -> tuple[int, Any]:
            try:
                return person.lms_user_id, self._client.get(
                    path("language", self._paths, key=person.username), attempts=1
                )
            except (Permanent, Retryable):  # without a known language, the default one is used
                return person.lms_user_id, None

        asked = self._each(ask, list(self._named(learners)))
        return {lms_user_id: language for lms_user_id, language in asked if isinstance(language, str) and language}

    def _enrolled_people(self, course_key: str) -> Iterator[Person]:
        self._of_context(course_key, "course", course_key)  # the list of an unknown course would be empty
        return self.find(usernames=self._enrolments(course_key))

    def _enrolments(self, course_key: str, **parameters: Any) -> Iterator[str]:
        entries = self._client.entries(
            path("enrollments", self._paths), course_id=course_key, page_size=self._page_size, **parameters
        )
        for entry in entries:
            if isinstance(entry, dict) and entry.get("is_active") is True and isinstance(entry.get("user"), str):
                yield entry["user"]

    def _pathway_learners(self, pathway_key: str, **parameters: Any) -> Iterator[int]:
        try:
            entries = self._client.entries(path("pathway_enrollments", self._paths, key=pathway_key), **parameters)
            for entry in entries:
                if isinstance(entry, dict) and entry.get("is_active") is True and _is_id(entry.get("user")):
                    yield entry["user"]
        except NotFound as error:
            raise UnknownContext(pathway_key) from error

    def _accounts(self, **parameters: Any) -> Iterator[Person]:
        try:
            accounts = self._client.get(path("accounts", self._paths), **parameters)
        except NotFound:  # how the platform answers when it knows none of them
            return
        for account in accounts if isinstance(accounts, list) else []:
            if isinstance(account, dict) and isinstance(account.get("username"), str) and _is_id(account.get("id")):
                yield Person(
                    lms_user_id=account["id"],
                    username=account["username"],
                    email=_text(account, "email"),
                    name=_text(account, "name").strip(),
                )

    def _named(self, learners: Collection[Person]) -> Iterator[Person]:
        """Yield the learners with their usernames, which most paths of the platform need."""
        yield from (person for person in learners if person.username)
        yield from self.find(lms_user_ids=[person.lms_user_id for person in learners if not person.username])

    # What they did

    def completions(self, context_key: str, learners: Collection[Person]) -> dict[int, Any]:
        lesson = kind(context_key) is Kind.LESSON
        course_key = course_of(context_key) if lesson else context_key
        parameters: dict[str, Any] = {"page_size": self._page_size}
        if lesson:
            parameters["requested_fields"] = block_type_of(context_key)
        found: dict[int, Any] = {}
        for chunk in chunks(self._named(learners), self._chunk):
            ids = {person.username: person.lms_user_id for person in chunk}
            entries = self._completions(course_key, user_ids=",".join(map(str, ids.values())), **parameters)
            for entry in entries:
                name = entry.get("username") if isinstance(entry, dict) else None
                if name in ids:
                    found[ids[name]] = _completion_of_block(entry, context_key) if lesson else _completion(entry)
        return found

    def _completions(self, course_key: str, **parameters: Any) -> Iterator[Any]:
        try:
            yield from self._client.entries(path("completions", self._paths, key=course_key), **parameters)
        except NotFound as error:
            raise Permanent(
                f"The LMS has no completions of {course_key!r}. Correct the context key, or install "
                "openedx-completion-aggregator there."
            ) from error

    def grades(self, course_key: str, learners: Collection[Person]) -> dict[int, Grades]:
        found: dict[int, Grades] = {}
        address = path("gradebook", self._paths, key=course_key)

        def ask(person: Person) -> tuple[int, Any]:
            try:
                return person.lms_user_id, self._client.get(address, username=person.username)
            except NotFound:  # the learner has left a moment ago
                return person.lms_user_id, None

        self._of_context(course_key, "course", course_key)  # in an unknown course, nobody would seem to be enrolled
        for chunk in chunks(self._named(learners), self._chunk):
            enrolled = self.enrolled(course_key, chunk)  # the gradebook also has those who left
            for lms_user_id, entry in self._each(ask, [person for person in chunk if person.lms_user_id in enrolled]):
                if isinstance(entry, dict):
                    found[lms_user_id] = _grades(entry)
        return found

    def _each(self, ask: Callable[[T], R], items: Collection[T]) -> Iterator[R]:
        """Call ``ask`` for each item, several at a time, and yield the results in order. The first error ends it."""
        if len(items) <= 1 or self._parallel == 1:
            yield from map(ask, items)
            return
        with ThreadPoolExecutor(min(self._parallel, len(items)), thread_name_prefix="lms") as pool:
            yield from pool.map(ask, items)


def _grades(entry: dict[str, Any]) -> Grades:
    sections = entry.get("section_breakdown")
    return Grades(
        total=entry.get("percent"),
        sections=tuple(
            Section(
                key=_text(section, "module_id"),
                category=_text(section, "category"),
                percent=section.get("percent"),
                attempted=section.get("attempted") is True,
            )
            for section in (sections if isinstance(sections, list) else [])
            if isinstance(section, dict)
        ),
    )


def _completion(entry: Any) -> Any:
    completion = entry.get("completion")
    if not isinstance(completion, dict):
        return None
    return NOTHING_TO_COMPLETE if completion.get("possible") == 0 else completion.get("percent")


def _completion_of_block(entry: dict[str, Any], block_key: str) -> Any:
    blocks = entry.get(block_type_of(block_key))
    if not isinstance(blocks, list):
        return None
    for block in blocks:
        if isinstance(block, dict) and block.get("block_key") == block_key:
            return _completion(block)
    return 0.0  # the LMS has no record of learners who have not begun


def _text(data: Any, name: str) -> str:
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""


def _list(data: Any, name: str) -> list[dict[str, Any]]:
    value = data.get(name) if isinstance(data, dict) else None
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _time(data: Any, name: str) -> dt.datetime | None:
    value = data.get(name) if isinstance(data, dict) else None
    if value is None:
        return None
    try:
        time = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Permanent(f"The LMS: the {name} of the course is not a time. Correct the course's schedule.") from None
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _is_id(value: Any) -> bool:
    """Return whether a value is an id that a database can hold. Others must not affect the remaining learners."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _length(username: str) -> int:
    return len(quote(username)) + 3


def _usable(username: str) -> bool:
    """Return whether a name can be part of a list with commas. The platform has no usernames that cannot."""
    return bool(username) and "," not in username and username.isprintable()
