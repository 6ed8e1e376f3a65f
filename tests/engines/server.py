"""A server of OpenAI's protocol on the loopback, which does as a test says: well, or badly."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]

KEY = "sk-planted-0123456789abcdef"


@dataclass(frozen=True)
class Said:
    """What the server says to one request."""

    body: Json | bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_cut: bool = False  # the connection ends in the middle of the body
    after: threading.Event | None = None  # nothing is said before this


def failed(status: int, words: str = "not now", code: str = "", **headers: str) -> Said:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said({"error": {"message": words, "code": code}}, status, named)


def chat(content: str | None, finish: str = "stop", usage: Json | None = None, **more: Any) -> Said:
    said = {"role": "assistant", "content": content} | more.pop("message", {})
    choice = {"index": 0, "message": said, "finish_reason": finish} | more
    usage = {"prompt_tokens": 12, "completion_tokens": 3} if usage is None else usage
    return Said({"choices": [choice], "usage": usage})


def logprobs(**of: float) -> Json:
    """Return the alternatives of a first token; an underscore is a space."""
    top = [{"token": t.replace("_", " "), "logprob": value} for t, value in of.items()]
    return {"content": [{"token": "?", "logprob": -1.0, "top_logprobs": top}]}


Behave = Callable[[Json], Said]


class Server:
    """What is asked of it is kept; what it says is `behave`'s, or first the `before`'s, in turn."""

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.before: list[Said] = []
        self.models: Said = Said({"data": [{"id": "judge", "owned_by": "someone"}]})
        self.tokenizes = ""  # "/tokenize" of one that is vLLM: what it says is `behave`'s, too
        self.asked: list[Json] = []
        self.keys: list[str] = []
        self.most_at_once = 0
        self.url = ""
        self._at_once = 0
        self._lock = threading.Lock()

    def say(self, path: str, body: Json | None, key: str) -> Said:
        with self._lock:
            self.keys.append(key)
            if path == "/v1/models":
                return self.models
            if path not in ("/v1/chat/completions", self.tokenizes) or body is None:
                return failed(404, "no such path")
            self.asked.append(body)
            if self.before:
                return self.before.pop(0)
        return self.behave(body)

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1


@contextmanager
def serving(behave: Behave) -> Iterator[Server]:
    """Lend a running server on a free port of the loopback."""
    server = Server(behave)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            self._answer(json.loads(self.rfile.read(length)))

        def _answer(self, body: Json | None) -> None:
            with server.counted():
                said = server.say(self.path, body, self.headers.get("Authorization", ""))
                if said.after is not None:
                    said.after.wait(20)
            data = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            try:
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if said.is_cut else data)
            except OSError:  # whoever asked has gone
                self.close_connection = True
            self.close_connection = self.close_connection or said.is_cut

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


class Clock:
    """A clock that only sleeping turns."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.stands = False  # where many sleep at once, one's sleep would be the others' time

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += 0.0 if self.stands else seconds
        await asyncio.sleep(0)
