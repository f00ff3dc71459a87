"""
A stand-in's socket: HTTP/1.1 with kept-alive connections, a thread for each, and a listener that can be shut and
opened again.

Loopback only. What a request means is decided elsewhere (``answer``); here bytes become a ``Request`` and a ``Reply``
becomes bytes.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from badges.testing.standin.messages import Refused, Reply, Request

HOST = "127.0.0.1"
LARGEST_BODY = 1_048_576
# A body over the limit is read to its end and thrown away up to here, so that the client gets to read the refusal.
LARGEST_BODY_DISCARDED = 64 * LARGEST_BODY
# An outgoing connection of somebody else may sit on the port for a moment.
OPEN_WITHIN, REOPEN_WITHIN = 1.0, 10.0

Answer = Callable[[Request], Reply]


class Listener:
    """A port of our own. ``close`` refuses connections and cuts the open ones; ``open`` takes the same port again."""

    def __init__(self, answer: Answer, *, port: int = 0) -> None:
        self._answer = answer
        self._lock = threading.RLock()
        self._server: _Server | None = None
        self._was_open = False
        self.port = port
        self.stopping = threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether connections are accepted now."""
        return self._server is not None

    def open(self) -> None:
        """Listen; on the same port as before, if there was one."""
        with self._lock:
            if self._server is not None:
                return
            give_up = time.monotonic() + (REOPEN_WITHIN if self._was_open else OPEN_WITHIN)
            while True:
                try:
                    self._server = _Server(self.port, self._answer, self.stopping)
                    break
                except OSError:
                    if time.monotonic() > give_up:
                        raise
                    time.sleep(0.05)
            self._was_open = True
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.02,), name="stand-in", daemon=True).start()

    def close(self) -> None:
        """Stop listening and cut every open connection."""
        with self._lock:
            if self._server is None:
                return
            self._server.shutdown()
            self._server.server_close()
            self._server.cut_connections()
            self._server = None


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, answer: Answer, stopping: threading.Event) -> None:
        self.answer = answer
        self.stopping = stopping
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__((HOST, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, which the parent class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, to be able to cut it."""
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Take the connection off the list of open ones."""
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """Cut what is open."""
        with self._connections_lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is no error here; anything else is, and is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "StandIn"
    sys_version = ""
    disable_nagle_algorithm = True  # head and body in one packet, at once: else each answer waits 40 ms for an ACK
    wbufsize = -1

    server: _Server

    def do_any(self) -> None:
        """Take a request in and send its reply out."""
        request = self._read()
        try:
            reply = self.server.answer(request)
        except Exception:  # a bug of the stand-in: loud, and no silence for the caller either
            traceback.print_exc()
            reply = Reply(500, "The stand-in itself failed; its log says why.", {"Content-Type": "text/plain"})
        if reply.delay:
            self.server.stopping.wait(reply.delay)
        if reply.drop:
            self._cut()
            return
        self._write(reply)
        if reply.afterwards is not None:
            self.wfile.flush()
            reply.afterwards()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_any

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the calls are recorded."""

    def _read(self) -> Request:
        body, refused = b"", None
        try:
            body = self._body()
        except Refused as no:
            refused = no
        headers = {name.title(): value for name, value in self.headers.items()}
        return Request(self.command, self.path, headers, body, refused)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            raise Refused(411, "A body must come with its Content-Length")
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            self.close_connection = True
            raise Refused(400, "The Content-Length is not a number")
        if int(length) > LARGEST_BODY:
            self._discard_body(int(length))
            raise Refused(413, f"The body is larger than {LARGEST_BODY} bytes")
        return self.rfile.read(int(length))

    def _discard_body(self, length: int) -> None:
        self.close_connection = True
        left = min(length, LARGEST_BODY_DISCARDED)
        while left > 0 and (chunk := self.rfile.read(min(left, 65_536))):
            left -= len(chunk)

    def _write(self, reply: Reply) -> None:
        content = reply.content()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
