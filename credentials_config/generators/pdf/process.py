"""
The parent's side of the worker process: starting it, asking it, killing it when it takes too long.

There is one per process and it makes one document at a time; threads wait for each other. A forked child (a Celery
worker, say) starts its own.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from credentials_config.contracts import GenerationError
from credentials_config.generators.pdf import wire

_GLIMPSE = 0.5  # seconds that the worker gets to end itself before it is killed
_NOWHERE = "http://127.0.0.1:1"


class Unknown(Exception):
    """The worker does not have that template: it was restarted, or had many others meanwhile."""


class WorkerProcess:
    """A worker process with its limits; started when first asked, and again after it was killed."""

    def __init__(self, *, seconds: float, megabytes: int, folders: list[str]):
        self.seconds, self.megabytes, self.folders = seconds, megabytes, folders
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = False
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def ask(self, request: dict[str, Any]) -> bytes:
        """Return the answer's block; GenerationError when it is refused, or when the worker had to be killed."""
        with self._lock:
            process = self._process if self._process and self._process.poll() is None else self._start()
            try:
                answer, block = self._exchange(process, request)
            except TimeoutError:
                self._kill()
                raise GenerationError(
                    f"It took longer than {self.seconds:g} seconds. Look for an endless loop in the template, or use a "
                    'smaller picture; the limit is CREDENTIALS_CONFIG["pdf"]["seconds"]'
                ) from None
            except (EOFError, OSError):
                raise self._post_mortem() from None
            except BaseException:
                # Interrupted, by Celery's soft time limit say: its answer must not become the next learner's document.
                self._kill()
                raise
        if answer.get("unknown"):
            raise Unknown
        if not answer["ok"]:
            raise GenerationError(answer["error"], everyone=answer["everyone"])
        return block

    def stop(self) -> None:
        """End the worker."""
        with self._lock:
            self._kill()

    def _start(self) -> subprocess.Popen[bytes]:
        self._kill()
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            # One document at a time is too little work to share.
            "RAYON_NUM_THREADS": "1",
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), _NOWHERE),
        }
        self._process = subprocess.Popen(  # noqa: S603 - our own module, in our own interpreter
            [_python(), "-m", "credentials_config.generators.pdf.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
            cwd="/",
        )
        setup = {"seconds": self.seconds, "bytes": self.megabytes * 1024 * 1024, "folders": self.folders}
        with contextlib.suppress(OSError):  # the first question will find out
            self._write(self._process, wire.packed(setup))
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        self._write(process, wire.packed(request))
        # A worker that is just starting has to find its fonts first.
        deadline = time.monotonic() + self.seconds + _GLIMPSE + (0 if self._answered else 30)
        assert process.stdout is not None
        answer = wire.unpack(_Patient(process.stdout.fileno(), deadline))
        self._answered = True
        return answer

    def _write(self, process: subprocess.Popen[bytes], data: bytes) -> None:
        assert process.stdin is not None
        rest = memoryview(data)
        while rest:
            rest = rest[process.stdin.write(rest) :]

    def _post_mortem(self) -> GenerationError:
        process = self._process
        assert process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GLIMPSE)
        code = process.returncode
        self._kill()
        if code == -14:  # its own alarm
            return GenerationError(
                f"It took longer than {self.seconds:g} seconds. Look for an endless loop in the template, or use a "
                'smaller picture; the limit is CREDENTIALS_CONFIG["pdf"]["seconds"]'
            )
        return GenerationError(
            f"The typst engine gave up (exit {code}): it may have wanted more than {self.megabytes} MB. Use smaller "
            'pictures or a simpler template; the limit is CREDENTIALS_CONFIG["pdf"]["megabytes"]'
        )

    def _kill(self) -> None:
        process, self._process, self._answered = self._process, None, False
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _leave_to_parent(self) -> None:
        """In a forked child: the worker is the parent's, and must notice when the parent is gone."""
        process, self._process, self._answered, self._lock = self._process, None, False, threading.Lock()
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                pipe.close()  # type: ignore[union-attr]
            process.returncode = 0  # not a child of this process


def _python() -> str:
    """Return the interpreter; servers that embed Python call themselves that."""
    inside = Path(sys.exec_prefix) / "bin" / "python3"
    return sys.executable if Path(sys.executable or "-").name.startswith("python") else str(inside)


class _Patient:
    """Reads from a pipe until a deadline."""

    def __init__(self, pipe: int, deadline: float):
        self.pipe, self.deadline = pipe, deadline

    def __call__(self, count: int) -> bytes:
        parts = []
        while count:
            if not select.select([self.pipe], [], [], max(self.deadline - time.monotonic(), 0))[0]:
                raise TimeoutError
            part = os.read(self.pipe, min(count, 1 << 20))
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


_shared: WorkerProcess | None = None
_shared_lock = threading.Lock()


def worker(*, seconds: float, megabytes: int, folders: list[str]) -> WorkerProcess:
    """Return this process's worker; another one when its limits changed."""
    global _shared
    with _shared_lock:
        limits = (seconds, megabytes, folders)
        if _shared is None or (_shared.seconds, _shared.megabytes, _shared.folders) != limits:
            if _shared is not None:
                _shared.stop()
            _shared = WorkerProcess(seconds=seconds, megabytes=megabytes, folders=folders)
        return _shared


def font_folders(given: list[str] | None) -> list[str]:
    """Return the folders with the machine's fonts: those that are set, or where distributions put Noto."""
    if given is not None:
        return [str(Path(folder)) for folder in given]
    usual = ("truetype/noto", "opentype/noto", "noto", "noto-cjk", "google-noto*", "google-noto-*-cjk-*")
    places = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
    return sorted({str(folder) for place in places for name in usual for folder in place.glob(name)})
