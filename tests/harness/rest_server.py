"""A raw HTTP server on loopback for what well-behaved servers don't do: dripping, hanging, dropping, lying.

An answer is a function from the request to pieces: bytes are sent as they are, a number is a pause in seconds. After the last piece the
connection is closed; KEEP leaves it open for another request, RESET tears it down.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tests.harness.acceptor import Acceptor
from tests.harness.ports import give_back, lent_port

KEEP: Literal["keep"] = "keep"
RESET: Literal["reset"] = "reset"


@dataclass(frozen=True)
class Seen:
    """A request as its bytes were. `headers` by lower-case name; `raw` is the head with them."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    raw: bytes


Piece = bytes | float | Literal["keep", "reset"]
Answer = Callable[[Seen], Iterable[Piece]]


def reply(body: bytes | str = b"{}", status: int = 200, *headers: str, kind: str = "application/json") -> bytes:
    """A whole answer. `headers` are lines; `kind` is the content type, left out where empty."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}", "Connection: close", *headers]
    lines += [f"Content-Type: {kind}"] if kind else []
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


def kept(answer: bytes) -> list[Piece]:
    """An answer of `reply` after which the connection stays open: to make one for each page of a list costs more than the page."""
    return [answer.replace(b"Connection: close\r\n", b"", 1), KEEP]


def to(location: str, status: int = 302) -> bytes:
    """A redirect."""
    return reply(b"", status, f"Location: {location}")


class RestServer:
    """Serves on a port of its own from `with` on. Answers are taken from the list that `will` fills; after it, 200 `{}`."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self._connections: list[socket.socket] = []
        self._answers: deque[Answer] = deque()
        self._always: Answer | None = None
        self._ended = threading.Event()
        self.port = lent_port()
        self._acceptor = Acceptor(self._talk, self.port)
        self.url = f"http://127.0.0.1:{self.port}"

    def will(self, *answers: Answer | bytes) -> None:
        """Adds answers, one per request."""
        self._answers.extend(_answer(one) for one in answers)

    def drop_answers(self) -> None:
        """Forgets the answers that no request came for."""
        self._answers.clear()

    def always(self, answer: Answer | bytes) -> None:
        """What is answered whenever the list is empty."""
        self._always = _answer(answer)

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Method and target of each request so far."""
        return [(seen.method, seen.target) for seen in self.requests]

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self._connections)

    def __enter__(self) -> RestServer:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._acceptor.stop()
        give_back(self.port)

    def _talk(self, connection: socket.socket) -> None:
        self._connections.append(connection)
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (seen := _request(stream)) is not None:
                self.requests.append(seen)
                if not self._send(connection, seen):
                    return

    def _send(self, connection: socket.socket, seen: Seen) -> bool:
        """True where the connection stays open."""
        answer = self._answers.popleft() if self._answers else self._always or _answer(reply())
        for piece in answer(seen):
            match piece:
                case bytes():
                    connection.sendall(piece)
                case "keep":
                    return True
                case "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                case _ if self._ended.wait(piece):
                    return False
        return False


def _answer(given: Answer | bytes) -> Answer:
    return (lambda _seen: [given]) if isinstance(given, bytes) else given


def _request(stream: Iterable[bytes]) -> Seen | None:
    lines: list[bytes] = []
    read: Callable[[], bytes] = stream.readline  # type: ignore[attr-defined]
    while (line := read()) not in (b"\r\n", b""):
        lines.append(line)
    if not lines:
        return None
    method, target, *_ = [*lines[0].decode("latin-1").split(" ", 2), "", ""]  # a TLS hello is no request line
    pairs = (line.decode("latin-1").rstrip("\r\n").partition(":") for line in lines[1:])
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body: bytes = stream.read(int(headers.get("content-length", 0)))  # type: ignore[attr-defined]
    return Seen(method, target, headers, body, b"".join(lines))


# --- answers of a bad day ---------------------------------------------------------------------------------------------


def silence(_seen: Seen) -> Iterator[Piece]:
    """Takes the request and never answers."""
    yield 60.0


def hang_up(_seen: Seen) -> Iterator[Piece]:
    """Takes the request and closes the connection."""
    yield from ()


def tear_down(_seen: Seen) -> Iterator[Piece]:
    """Takes the request and resets the connection."""
    yield RESET


def dripping(content: bytes, pause: float = 0.2) -> Answer:
    """Sends a byte, pauses, sends the next."""

    def answer(_seen: Seen) -> Iterator[Piece]:
        for byte in content:
            yield bytes([byte])
            yield pause

    return answer


def half_of(content: bytes) -> Answer:
    """Sends half of an answer and closes the connection."""
    return lambda _seen: [content[: len(content) // 2]]


def late(seconds: float, content: bytes) -> Answer:
    """Waits first."""
    return lambda _seen: [seconds, content]
