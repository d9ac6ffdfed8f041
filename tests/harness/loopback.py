"""A small HTTP server on loopback for what the workspace's servers do not do: odd answers, silence, broken connections."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """A request as it arrived; `path` with its query, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What goes back. `drop` breaks the connection instead. A Content-Length among the headers may be a lie."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    drop: bool = False


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers may be killed in the middle of a request; that is no news."""


class Loopback:
    """Answers each request with `answer(request)`, which runs in the connection's own thread. For use in a `with`.

    Every request is in `requests` before it is answered. While the server is held, nothing is answered; `pause` is seconds that
    every answer takes.
    """

    pause = 0.0

    def __init__(self, answer: Callable[[Request], Reply], port: int = 0) -> None:
        self.requests: list[Request] = []
        self._answer = answer
        self._changed = threading.Condition()
        self._is_held = False
        self._passes = 0  # how many may be answered although the server is held
        self._is_over = False
        self._server = _Server(("127.0.0.1", port), self._handler())

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def hold(self) -> None:
        """From now on requests arrive and are not answered."""
        with self._changed:
            self._is_held = True

    def release(self) -> None:
        """What was held is answered, in case that somebody still listens."""
        with self._changed:
            self._is_held = False
            self._changed.notify_all()

    def release_one(self) -> None:
        """One of those held is answered; the server stays held."""
        with self._changed:
            self._passes += 1
            self._changed.notify_all()

    def wait(self, predicate: Callable[[], T], seconds: float = 60) -> T:
        """Blocks until `predicate` holds, looking again at each request and at each answer. Raises TimeoutError."""
        with self._changed:
            result = self._changed.wait_for(predicate, seconds)
        if not result:
            asked = [f"{request.method} {request.path}" for request in self.requests]
            raise TimeoutError(f"not within {seconds} s; asked so far: {asked}")
        return result

    def _take(self, request: Request) -> Reply:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_over or not self._is_held or self._passes > 0)
            if self._is_over:
                return Reply(drop=True)
            self._passes = max(0, self._passes - 1)
        time.sleep(self.pause)
        try:
            return self._answer(request)
        finally:
            with self._changed:
                self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = take(Request(self.command, self.path, headers, body))
                with suppress(OSError):  # the caller may have been killed meanwhile
                    self.give(reply)

            def give(self, reply: Reply) -> None:
                if reply.drop:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.status != 204 and "Content-Length" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
                self.wfile.flush()

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                """Every request is in `requests`."""

        return Handler
