"""
Starts the worker process, sends requests to it, and kills it when it takes too long.

Each process of the host has one worker, which makes one document at a time. Threads wait for each other. A forked
process, such as a Celery worker, starts a worker of its own.
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
from credentials_config.generators.pdf import messages

_GRACE_SECONDS = 0.5  # Seconds that the worker has to end by itself before it is killed.
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy")
_UNREACHABLE_PROXY = "http://127.0.0.1:1"


class TemplateNotLoaded(Exception):
    """The worker does not have that template: it was restarted, or loaded many others meanwhile."""


class WorkerProcess:
    """
    A worker process and its limits. It is started by the first request, and again after it was killed.

    seconds: how long one request may take. megabytes: how much memory the process may use. folders: with fonts.
    """

    def __init__(self, *, seconds: float, megabytes: int, folders: list[str]):
        self.seconds, self.megabytes, self.folders = seconds, megabytes, folders
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = False
        os.register_at_fork(after_in_child=self._drop_parents_process)

    def ask(self, request: dict[str, Any]) -> bytes:
        """
        Return the block of bytes that answers a request.

        Raises GenerationError when the request cannot be fulfilled or the worker had to be killed, and
        TemplateNotLoaded when the template has to be loaded first.
        """
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
                raise self._error_after_exit() from None
            except BaseException:
                # Interrupted, for example by Celery's soft time limit. The answer must not become the document of the
                # next learner.
                self._kill()
                raise
        if answer.get("unknown"):
            raise TemplateNotLoaded
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
            **dict.fromkeys(_PROXY_VARIABLES, _UNREACHABLE_PROXY),
        }
        self._process = subprocess.Popen(  # noqa: S603 - a module of this package, in this interpreter
            [_python(), "-m", "credentials_config.generators.pdf.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
            cwd="/",
        )
        setup = {"seconds": self.seconds, "bytes": self.megabytes * 1024 * 1024, "folders": self.folders}
        with contextlib.suppress(OSError):  # the first request will notice
            self._write(self._process, messages.encode(setup))
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        self._write(process, messages.encode(request))
        # A worker that has just started reads its fonts first.
        deadline = time.monotonic() + self.seconds + _GRACE_SECONDS + (0 if self._answered else 30)
        assert process.stdout is not None
        answer = messages.decode(_DeadlineReader(process.stdout.fileno(), deadline))
        self._answered = True
        return answer

    def _write(self, process: subprocess.Popen[bytes], data: bytes) -> None:
        assert process.stdin is not None
        unwritten = memoryview(data)
        while unwritten:
            unwritten = unwritten[process.stdin.write(unwritten) :]

    def _error_after_exit(self) -> GenerationError:
        process = self._process
        assert process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
        code = process.returncode
        self._kill()
        if code == -14:  # SIGALRM, which the worker sets for itself
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

    def _drop_parents_process(self) -> None:
        """In a forked process: close our copies of the pipes, so that the worker notices when the parent ends."""
        process, self._process, self._answered, self._lock = self._process, None, False, threading.Lock()
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                pipe.close()  # type: ignore[union-attr]
            process.returncode = 0  # not a child of this process


def _python() -> str:
    """Return the path of the interpreter. In servers that embed Python, ``sys.executable`` is the server."""
    inside = Path(sys.exec_prefix) / "bin" / "python3"
    return sys.executable if Path(sys.executable or "-").name.startswith("python") else str(inside)


class _DeadlineReader:
    """Reads from a pipe. Raises TimeoutError after the deadline, a time of ``time.monotonic()``."""

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


def shared_worker(*, seconds: float, megabytes: int, folders: list[str]) -> WorkerProcess:
    """Return the worker of this process. When its limits have changed, it is replaced."""
    global _shared
    with _shared_lock:
        limits = (seconds, megabytes, folders)
        if _shared is None or (_shared.seconds, _shared.megabytes, _shared.folders) != limits:
            if _shared is not None:
                _shared.stop()
            _shared = WorkerProcess(seconds=seconds, megabytes=megabytes, folders=folders)
        return _shared


def font_folders(given: list[str] | None) -> list[str]:
    """Return the folders with fonts: those of the settings, or those where distributions install Noto."""
    if given is not None:
        return [str(Path(folder)) for folder in given]
    usual = ("truetype/noto", "opentype/noto", "noto", "noto-cjk", "google-noto*", "google-noto-*-cjk-*")
    roots = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
    return sorted({str(folder) for root in roots for name in usual for folder in root.glob(name)})
