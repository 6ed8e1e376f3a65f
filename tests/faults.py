"""A proxy that stands before an S3 server and does to its requests what networks and stores do.

Promises: a fault is one that a real store may show: a lie about an object (a 404, a 412 that no PUT
explains) is none. The same schedule and the same requests give the same faults, whatever the order
of their arrival. On the loopback, one thread a connection.

Does not know: what the objects hold, or who asks.
"""

import http.client
import random
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from backtrans.store import StoreSettings

CODES = {
    403: "AccessDenied",
    409: "ConditionalRequestConflict",
    500: "InternalError",
    503: "SlowDown",
}
ONWARD_SECONDS = 60.0
SLOW_PIECES = 5
SLOW_SECONDS = 0.02  # between two pieces


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the proxy's own, in the store's place."""

    status: int
    code: str = ""


REFUSED = Answer(403, "ExpiredToken")

RESET = "reset"  # the connection breaks before the request reaches the store
LOST = "lost"  # the store did what was asked, and the connection broke before its answer
TORN = "torn"  # the answer's body ends in its middle
SLOW = "slow"  # the answer comes in pieces
SILENT = "silent"  # no answer, until whoever asks has gone

Fault = Answer | str | int | None
"""A number is an answer with that status and its usual code; None is no fault."""

_PORTS: set[int] = set()
"""Where proxies have been. s3fs keeps a connection for each endpoint, with the credentials of its
first use: another server's, where a port is met again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the proxy sees it."""

    method: str
    path: str  # with its query
    conditional: bool  # a PUT that wants the key to be free
    number: int  # how many there were before it, of any kind
    nth: int  # how many like it (method and path), itself among them


Schedule = Callable[[Seen], Fault]


def storm(seed: int, in_a_row: int = 3) -> Schedule:
    """Return a schedule in which each request fails up to `in_a_row` times, then comes through.

    What it meets, and how often, is drawn from the seed, its method and its key.
    """

    def schedule(seen: Seen) -> Fault:
        drawn = random.Random(f"{seed} {seen.method} {seen.path.split('/', 2)[-1]}")
        faults: list[Fault] = [500, 503, RESET, LOST, TORN, SLOW]
        if seen.conditional:
            faults.append(409)
        met = drawn.choices(faults, k=drawn.randint(0, in_a_row))
        return met[seen.nth - 1] if seen.nth <= len(met) else None

    return schedule


class Proxy:
    """What a proxy in use has seen and done, and the schedule that it goes by."""

    def __init__(self, schedule: Schedule) -> None:
        self.over = threading.Event()
        self._lock = threading.Lock()
        self.follow(schedule)

    def follow(self, schedule: Schedule) -> None:
        """Go by another schedule from now on, as if nothing had been seen before."""
        with self._lock:
            self.schedule = schedule
            self.done: Counter[str] = Counter()
            self.requests: list[Seen] = []
            self._like: Counter[tuple[str, str]] = Counter()

    def fault(self, method: str, path: str, conditional: bool) -> Fault:
        with self._lock:
            self._like[method, path] += 1
            nth = self._like[method, path]
            seen = Seen(method, path, conditional, len(self.requests), nth)
            self.requests.append(seen)
            fault = self.schedule(seen)
            self.done[str(fault)] += fault is not None
            return fault


@contextmanager
def between(settings: StoreSettings, schedule: Schedule) -> Iterator[tuple[StoreSettings, Proxy]]:
    """Put a proxy before the server of these settings; lend settings that lead through it."""
    host = (settings.endpoint_url or "").removeprefix("http://")
    proxy = Proxy(schedule)

    class Connection(_Connection):
        pass

    Connection.host, Connection.proxy = host, proxy
    server = _Server(("127.0.0.1", 0), Connection)
    while server.server_port in _PORTS:
        server.server_close()
        server = _Server(("127.0.0.1", 0), Connection)
    _PORTS.add(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield replace(settings, endpoint_url=f"http://127.0.0.1:{server.server_port}"), proxy
    finally:
        proxy.over.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of callers that gave up, too: where it is full, nobody connects

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went away before their answer."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*_)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: str
    proxy: Proxy

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        conditional = "If-None-Match" in self.headers
        fault = self.proxy.fault(self.command, self.path, conditional)
        if isinstance(fault, int):
            fault = Answer(fault, CODES[fault])
        if isinstance(fault, Answer):
            self._send(fault.status, _error(fault), {})
        elif fault == SILENT:
            self.proxy.over.wait(ONWARD_SECONDS)
            self._break()
        elif fault == RESET:
            self._break()
        else:
            status, content, headers = self._pass_on(body)
            if fault == LOST:
                self._break()
            else:
                self._send(status, content, headers, fault)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815

    def _pass_on(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        onward = http.client.HTTPConnection(self.host, timeout=ONWARD_SECONDS)
        try:
            onward.request(self.command, self.path, body, dict(self.headers))
            reply = onward.getresponse()
            headers = {k: v for k, v in reply.getheaders() if k.lower() not in _HOP_BY_HOP}
            return reply.status, reply.read(), headers
        finally:
            onward.close()

    def _send(
        self, status: int, content: bytes, headers: dict[str, str], fault: Fault = None
    ) -> None:
        self.send_response(status)
        # An answer to HEAD tells the length of what it does not hold.
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == TORN and content:
            self.wfile.write(content[: len(content) // 2])
            self._break()
            return
        pieces = SLOW_PIECES if fault == SLOW else 1
        each = len(content) // pieces + 1
        for start in range(0, len(content), each):
            if start:
                self.proxy.over.wait(SLOW_SECONDS)
            self.wfile.write(content[start : start + each])

    def _break(self) -> None:
        """Close with a reset: an orderly end could be taken for the end of the answer."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing: what a test wants to know is in the proxy."""


_HOP_BY_HOP = ("connection", "server", "date", "transfer-encoding")


def _error(answer: Answer) -> bytes:
    words = "said by the proxy of the tests"
    text = f"<Error><Code>{answer.code}</Code><Message>{words}</Message></Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
