"""The Open edX bus on Redis, for the demo: a server of its own, written to as an LMS does."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.core.management.base import CommandError

from badges.testing.events import LearningEvent

# The topics of an LMS, by the event's type.
TOPICS = {
    "org.openedx.learning.course.passing.status.updated.v1": "learning-course-passing-status",
    "org.openedx.learning.course.enrollment.created.v1": "learning-course-enrollment",
}
LIFECYCLE = "learning-badges-lifecycle"
GROUP = "badges"
START_SECONDS = 20


class RedisServer:
    """
    A Redis that nobody else can reach: it listens on a socket in a folder of its own, and ends with the ``with`` block.

    Raises CommandError, which says what to do, when Redis is not installed or does not start.
    """

    def __enter__(self) -> Self:
        program = shutil.which("redis-server")
        if program is None:
            raise CommandError("redis-server is not installed. Run as root: apt-get install -y redis-server")
        self._folder = Path(tempfile.mkdtemp(prefix="demo-redis-"))
        socket = self._folder / "socket"
        options = ["--port", "0", "--unixsocket", str(socket), "--dir", str(self._folder), "--save", ""]
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen([program, *options], stdout=log, stderr=log)  # noqa: S603
        self.url = f"unix://{socket}?db=0"
        until = time.monotonic() + START_SECONDS
        while not socket.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                said = (self._folder / "log").read_text()
                self.__exit__()
                raise CommandError(f"redis-server does not start:\n{said}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def configure(self) -> None:
        """Make it the event bus of this host, as its settings would."""
        settings.EVENT_BUS_REDIS_CONNECTION_URL = self.url
        settings.EVENT_BUS_REDIS_STREAM_MAX_LEN = 1_000_000  # the whole term at once, and nothing of it is trimmed
        settings.EVENT_BUS_TOPIC_PREFIX = ""
        settings.EVENT_BUS_PRODUCER = "edx_event_bus_redis.create_producer"

    def send(self, events: Iterable[LearningEvent]) -> int:
        """Put events on the bus with the bus's own producer; return how many."""
        from edx_event_bus_redis import create_producer  # noqa: PLC0415 -- reads settings when imported

        producer = create_producer()
        sent = 0
        for signal, metadata, data in events:
            topic = TOPICS[signal.event_type]
            producer.send(signal=signal, topic=topic, event_key_field="", event_data=data, event_metadata=metadata)
            sent += 1
        producer.client.close()
        return sent

    def announced(self) -> int:
        """Return how many announcements are on the stream of them."""
        from redis import Redis  # noqa: PLC0415 -- an extra

        with Redis.from_url(self.url) as client:
            length: Any = client.xlen(LIFECYCLE)
            return int(length)
