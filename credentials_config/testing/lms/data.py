"""The data of the stand-in LMS: people, courses, pathways, and who did what. It is in memory, under one lock."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

BLOCK = "block-v1:{course}+type@{type}+block@{name}"


@dataclass(frozen=True)
class Record:
    """A record that the stand-in returns."""

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Learner(Record):
    """An account."""

    id: int
    username: str
    email: str
    name: str
    language: str = ""
    is_active: bool = True


@dataclass(frozen=True)
class Subsection(Record):
    """A subsection in a chapter of a course. It is graded when it has a category."""

    key: str
    course: str
    name: str
    category: str | None
    chapter: str


@dataclass(frozen=True)
class Course(Record):
    """A course with its grading policy: ``[{"assignment_type", "count", "dropped", "weight"}]``."""

    key: str
    name: str
    start: str | None
    end: str | None
    policy: list[dict[str, Any]]


@dataclass(frozen=True)
class Path(Record):
    """A learning path."""

    key: str
    name: str
    steps: list[str]


@dataclass(frozen=True)
class Call(Record):
    """A request. ``status`` is that of the answer; ``about`` are the learners (usernames or ids) that it named."""

    endpoint: str
    method: str
    path: str
    query: dict[str, str]
    status: int
    about: list[str] = field(default_factory=list)


class LmsData:
    """The LMS without HTTP. Its methods are what staff and learners do there."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.learners: dict[str, Learner] = {}
        self.by_id: dict[int, Learner] = {}
        self._last_id = 1000
        self.courses: dict[str, Course] = {}
        self.paths: dict[str, Path] = {}
        self.subsections: dict[str, Subsection] = {}
        self.blocks: dict[str, str] = {}  # names of chapters, and of units that have one
        # By course or path: {username: is it active}; dictionaries keep the order in which people came.
        self.enrolments: dict[str, dict[str, bool]] = {}
        # By subsection or course or block: {username: …}.
        self.scores: dict[str, dict[str, tuple[float, float]]] = {}
        self.completed: dict[str, dict[str, Any]] = {}
        self.emptied: set[str] = set()
        self.garbled: dict[str, dict[str, dict[str, Any]]] = {}

    # Courses and pathways

    def add_course(
        self,
        key: str,
        *,
        name: str = "Demonstration course",
        start: datetime | str | None = "2020-01-01T00:00:00Z",
        end: datetime | str | None = None,
        policy: list[dict[str, Any]] | None = None,
    ) -> Course:
        """Add a course, or replace it. Enrolments stay."""
        course = Course(key, name, _text(start), _text(end), [_entry(one) for one in policy or []])
        with self.lock:
            self.courses[key] = course
            self.enrolments.setdefault(key, {})
        return course

    def change_course(self, key: str, **changes: Any) -> Course:
        """Change ``name``, ``start``, ``end`` or ``policy``."""
        with self.lock:
            for name in ("start", "end"):
                if name in changes:
                    changes[name] = _text(changes[name])
            if "policy" in changes:
                changes["policy"] = [_entry(one) for one in changes["policy"]]
            self.courses[key] = replace(self._course(key), **changes)
            return self.courses[key]

    def add_subsection(
        self, course: str, name: str, *, category: str | None = None, chapter: str = "chapter"
    ) -> Subsection:
        """Add a subsection. With a category it is graded. Its key is made from its name: ``…+block@<name>``."""
        with self.lock:
            self._course(course)
            chapter_key = block_key(course, "chapter", chapter)
            self.blocks.setdefault(chapter_key, chapter)
            subsection = Subsection(block_key(course, "sequential", name), course, name, category, chapter_key)
            self.subsections[subsection.key] = subsection
            return subsection

    def add_path(self, key: str, *, name: str = "Demonstration pathway", steps: list[str]) -> Path:
        """Add a pathway of courses. Raises ValueError when a course does not exist."""
        with self.lock:
            for step in steps:
                self._course(step)
            self.paths[key] = Path(key, name, list(steps))
            self.enrolments.setdefault(key, {})
            return self.paths[key]

    # People

    def add_learner(
        self,
        username: str,
        *,
        id: int | None = None,
        email: str | None = None,
        name: str | None = None,
        language: str = "",
        is_active: bool = True,
    ) -> Learner:
        """Register somebody. Without ``id`` they get the next one, from 1001."""
        with self.lock:
            if username in self.learners:
                raise ValueError("username: it is taken. Choose another, or change_learner.")
            if id is None:
                id = self._last_id + 1
            if id in self.by_id:
                raise ValueError("id: it is taken. Leave it out for the next free one.")
            email = f"{username}@example.com" if email is None else email
            learner = Learner(id, username, email, username.title() if name is None else name, language, is_active)
            self.learners[username] = self.by_id[id] = learner
            self._last_id = max(self._last_id, id)
            return learner

    def change_learner(self, username: str, *, new_username: str | None = None, **changes: Any) -> Learner:
        """Change ``email``, ``name``, ``language``, ``is_active``, or the username itself."""
        with self.lock:
            old = self._learner(username)
            new = replace(old, **changes, username=new_username or username)
            if new.username != username and new.username in self.learners:
                raise ValueError("username: it is taken.")
            del self.learners[username]
            self.learners[new.username] = self.by_id[new.id] = new
            tables: tuple[dict[str, dict[str, Any]], ...] = (
                self.enrolments,
                self.scores,
                self.completed,
                self.garbled,
            )
            for table in tables:
                for rows in table.values():
                    if username in rows and new.username != username:
                        rows[new.username] = rows.pop(username)
            return new

    def enroll(self, key: str, username: str, *, is_active: bool = True) -> None:
        """Enroll somebody in a course or pathway."""
        with self.lock:
            self._learner(username)
            if key not in self.courses and key not in self.paths:
                raise ValueError(f"key: there is no course or pathway {key!r}.")
            self.enrolments[key][username] = is_active

    def unenroll(self, key: str, username: str) -> None:
        """End an enrolment. It is kept as inactive, as in the platform."""
        self.enroll(key, username, is_active=False)

    def enroll_many(
        self,
        course: str,
        count: int,
        *,
        prefix: str = "learner",
        completed: float | None = None,
        share: float | None = None,
    ) -> None:
        """
        Register and enroll ``<prefix>-1`` to ``<prefix>-<count>``.

        ``completed`` is their completion and ``share`` their score in every graded subsection, both shares of 1.
        """
        with self.lock:
            graded = [one.key for one in self.subsections.values() if one.course == course and one.category]
            for number in range(1, count + 1):
                username = f"{prefix}-{number}"
                if username not in self.learners:
                    self.add_learner(username, name=f"Learner Number {number}")
                self.enroll(course, username)
                if completed is not None:
                    self.complete(course, username, completed)
                if share is not None:
                    for key in graded:
                        self.score(key, username, share * 10, 10)

    # What learners do

    def score(self, subsection: str, username: str, earned: float, possible: float) -> None:
        """Record somebody's attempt at a subsection with its score."""
        with self.lock:
            if subsection not in self.subsections:
                raise ValueError(f"subsection: there is no {subsection!r}. Add it with add_subsection.")
            self._learner(username)
            self.scores.setdefault(subsection, {})[username] = (earned, possible)

    def complete(self, key: str, username: str, percent: float) -> None:
        """Record that somebody has completed this share of a course, chapter, subsection or unit."""
        with self.lock:
            self._learner(username)
            self.completed.setdefault(key, {})[username] = percent

    def empty(self, key: str) -> None:
        """Let a course, chapter, subsection or unit have nothing that could be completed."""
        with self.lock:
            self.emptied.add(key)

    def garble_completion(self, key: str, username: str, percent: Any) -> None:
        """Report any value as somebody's completion, also one that makes no sense."""
        self.complete(key, username, percent)

    def garble_grades(self, course: str, username: str, **fields: Any) -> None:
        """Report these fields of a gradebook entry instead of the right ones, like ``percent=None``."""
        with self.lock:
            self._learner(username)
            self.garbled.setdefault(course, {})[username] = fields

    def load(self, document: dict[str, Any]) -> None:
        """
        Add everything in a document.

        ``{"learners": [{"username"…}], "courses": [{"key", …, "subsections": [{"name", "category", "chapter"}],
        "enrolled": {username: {"completed": 0.9, "scores": {subsection name: share}}}}],
        "paths": [{"key", "name", "steps", "enrolled": [username]}]}``
        """
        with self.lock:
            for learner in document.get("learners", []):
                self.add_learner(**learner)
            for course in document.get("courses", []):
                self._load_course(dict(course))
            for path in document.get("paths", []):
                path = dict(path)
                enrolled = path.pop("enrolled", [])
                self.add_path(**path)
                for username in enrolled:
                    self.enroll(path["key"], username)

    def _load_course(self, course: dict[str, Any]) -> None:
        subsections, enrolled = course.pop("subsections", []), course.pop("enrolled", {})
        key = self.add_course(**course).key
        keys = {one["name"]: self.add_subsection(key, **one).key for one in subsections}
        for username, done in enrolled.items():
            self.enroll(key, username)
            if "completed" in done:
                self.complete(key, username, done["completed"])
            for name, share in done.get("scores", {}).items():
                self.score(keys[name], username, share * 10, 10)

    def _course(self, key: str) -> Course:
        if key not in self.courses:
            raise ValueError(f"course: there is no {key!r}. Add it with add_course.")
        return self.courses[key]

    def _learner(self, username: str) -> Learner:
        if username not in self.learners:
            raise ValueError("username: nobody has it. Add the learner with add_learner.")
        return self.learners[username]


def block_key(course: str, type: str, name: str) -> str:
    """Return the usage key of a block: ``block-v1:…+type@sequential+block@<name>``."""
    return BLOCK.format(course=course.removeprefix("course-v1:"), type=type, name=name.replace(" ", "_"))


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    return {"count": 0, "dropped": 0, "weight": 1.0, **entry}


def _text(time: datetime | str | None) -> str | None:
    if isinstance(time, datetime):
        return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return time
