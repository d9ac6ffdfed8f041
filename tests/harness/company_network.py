"""A company's network on loopback: names that only its proxy can reach, and a proxy that opens TLS with certificates of its own."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.acceptor import Acceptor

_HERE = Path(__file__).parent / "certificates"
AUTHORITY = str(_HERE / "authority.pem")
"""The company's certificate authority; it signed one for *.corp.test, which server.pem holds with its key."""


class CompanyProxy:
    """An HTTP proxy: CONNECT, and requests with a whole URL. For use in a `with`.

    `parts`: host -> port on loopback, spoken to without TLS. `is_secure`: the proxy itself is spoken to with TLS. What comes for port
    443 is opened with the company's certificate. With `password`, only who knows it may pass; while `is_mute`, nothing that it takes is
    answered.
    """

    def __init__(self, parts: dict[str, int], password: str = "", *, is_secure: bool = False) -> None:
        self.asked: list[str] = []  # "CONNECT host:port", or the method and URL
        self.is_mute = False
        self._inside = parts
        self._wanted = base64.b64encode(f"bot:{password}".encode()).decode() if password else ""
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(_HERE / "server.pem")
        self._ended = threading.Event()
        self._acceptor = Acceptor(self._take)
        self.address = f"127.0.0.1:{self._acceptor.port}"
        self.url = f"{'https' if is_secure else 'http'}://{self.address}"
        self._is_secure = is_secure

    def __enter__(self) -> CompanyProxy:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._acceptor.stop()

    @property
    def hosts(self) -> set[str]:
        """The hosts that were asked for."""
        targets = (one.partition(" ")[2] for one in self.asked)
        return {(urlsplit(one).netloc if "://" in one else one).partition(":")[0] for one in targets}

    def _take(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client = self._tls.wrap_socket(client, server_side=True) if self._is_secure else client
            head, rest = _head(client)
            method, target, _ = head[0].split(" ", 2)
            self.asked.append(f"{method} {target}")
            if self.is_mute:
                self._ended.wait(60)
            elif self._wanted and f"Basic {self._wanted}" not in "".join(head):
                client.sendall(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
            elif method == "CONNECT":
                self._tunnel(client, target)
            else:
                self._forward(client, target, head, rest)

    def _tunnel(self, client: socket.socket, target: str) -> None:
        host, _, port = target.rpartition(":")
        server = self._reach(host, int(port))
        if server is None:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with server:
            _relay(self._tls.wrap_socket(client, server_side=True) if port == "443" else client, server)

    def _forward(self, client: socket.socket, target: str, head: list[str], rest: bytes) -> None:
        parts = urlsplit(target)
        server = self._reach(parts.hostname or "", parts.port or 80)
        if server is None:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        kept = [line for line in head[1:] if not line.lower().startswith(("connection:", "proxy-"))]
        lines = [f"{head[0].split(' ')[0]} {path} HTTP/1.1", *kept, "Connection: close"]
        with server:
            server.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + rest)
            _relay(client, server)

    def _reach(self, host: str, port: int) -> socket.socket | None:
        port = self._inside.get(host, port if host == "127.0.0.1" else 0)
        return socket.create_connection(("127.0.0.1", port), 5) if port else None


def _head(client: socket.socket) -> tuple[list[str], bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65_536)
        if not piece:
            raise OSError
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), rest


def _relay(client: socket.socket, server: socket.socket) -> None:
    """Passes bytes on in both directions until either end closes."""
    client.settimeout(None)
    server.settimeout(None)

    def onwards() -> None:
        _pump(client, server)

    up = threading.Thread(target=onwards, daemon=True)
    up.start()
    _pump(server, client)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    up.join(5)


def _pump(source: socket.socket, goal: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            goal.sendall(piece)
    with contextlib.suppress(OSError):
        goal.shutdown(socket.SHUT_WR)
