"""An API that wants the bot's certificate, by a real TLS server: known, unknown, renewed under load, and an authority of the API's own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from base.settings import Misconfigured
from catalog.catalog import load_catalog
from catalog.source import BadCatalog
from gate.connection_pools import check_certificates
from gate.sending import Approval
from identity.checks import untimely
from tests.harness.acceptor import Acceptor
from tests.harness.bot_parts import BotParts
from tests.harness.signing import Authority, new_key, pem, write


class TlsApi:
    """Takes only who has a certificate of `clients`; tells by whose each request came."""

    def __init__(self, folder: Path, server: tuple[bytes, bytes], clients: bytes, newest: ssl.TLSVersion) -> None:
        self.folder, self._newest = folder, newest
        self.by: list[str] = []
        self.present(server, clients)
        self._acceptor = Acceptor(self._talk)
        self.url = f"https://127.0.0.1:{self._acceptor.port}"

    def present(self, server: tuple[bytes, bytes], clients: bytes) -> None:
        """From now on it has this certificate, and takes those of these authorities."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = self._newest
        context.load_cert_chain(write(self.folder / "server.pem", b"".join(server)))
        context.load_verify_locations(cadata=clients.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        self._context = context

    def __enter__(self) -> TlsApi:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._acceptor.stop()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(30)
            secure = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            with secure:
                self._agreed(secure)
                while b"\r\n\r\n" in secure.recv(65_536):
                    subject = dict(pair for part in (secure.getpeercert() or {})["subject"] for pair in part)  # type: ignore[misc]
                    self.by.append(subject["commonName"])
                    body = b'{"id": 7}'
                    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                    secure.sendall(head.encode() + body)

    @staticmethod
    def _agreed(secure: ssl.SSLSocket) -> None:
        """Who is turned away hears why: an end with bytes that nobody read would be a reset, in which the reason is lost."""
        try:
            secure.do_handshake()
        except ssl.SSLError:
            secure.setblocking(True)
            while os.read(secure.fileno(), 65_536):
                pass
            raise


class Place:
    """An API and its authorities, and bots that call it."""

    def __init__(self, folder: Path, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        self.folder = folder
        self.authority, self.clients = Authority("servers"), Authority("clients")
        self.api = TlsApi(folder, self.authority.issue("api"), self.clients.pem, newest)
        self.started: list[BotParts] = []
        write(folder / "ca.pem", self.authority.pem)
        self.know("bot", self.clients)

    def know(self, name: str, by: Authority) -> None:
        """Puts a certificate in the place of the bot's."""
        certificate, key = by.issue(name)
        write(self.folder / "cert.pem", certificate + key)

    def catalog(self, **tls: str) -> str:
        said = {name: str(self.folder / file) for name, file in tls.items()}
        entries = [
            {"method": "GET", "url": "/users/[id]", "description": "Shows."},
            {"method": "DELETE", "url": "/users/[id]", "description": "Removes.", "preview": False},
        ]
        return json.dumps({"name": "HR", "base_url": self.api.url, "tls": said, "endpoints": entries})

    def bot(self, **tls: str) -> BotParts:
        bot = BotParts(self.folder, self.catalog(**tls), timeout=20)
        self.started.append(bot)
        return bot


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield from _place(Place(tmp_path))


@pytest.fixture
def older(tmp_path: Path) -> Iterator[Place]:
    yield from _place(Place(tmp_path, ssl.TLSVersion.TLSv1_2))


def _place(made: Place) -> Iterator[Place]:
    with made.api:
        yield made
        for one in made.started:
            one.close()


def test_the_bot_is_known_by_its_certificate_and_knows_the_api_by_its_authority(place: Place) -> None:
    bot = place.bot(cert="cert.pem", ca="ca.pem")
    assert bot.read(f"{place.api.url}/users/7")["status"] == 200
    proposal, _ = bot.write("DELETE", f"{place.api.url}/users/7")
    assert proposal.state.name == "DONE"
    assert place.api.by == ["bot", "bot"]


def test_an_api_of_another_authority_is_not_called(place: Place) -> None:
    bot = place.bot(cert="cert.pem")
    assert bot.read(f"{place.api.url}/users/7")["error"].startswith("The API could not be reached (connection failed).")
    assert place.api.by == []


def test_certificates_that_are_gone_before_the_first_call_send_nothing_and_operators_find_why(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    bot = place.bot(cert="cert.pem", ca="ca.pem")
    (place.folder / "cert.pem").unlink()
    told = bot.read(f"{place.api.url}/users/7")["error"]
    assert told.startswith("The bot's own certificates for this API cannot be read. Its operators find the reason in ")
    assert place.api.by == []
    assert "cert.pem" not in told
    assert "certificates cannot be used" in caplog.text


@pytest.mark.parametrize("version", ["place", "older"])
def test_a_bot_that_the_api_does_not_know_has_sent_nothing(version: str, request: pytest.FixtureRequest) -> None:
    """A write that no API looked at is no write of unknown outcome."""
    place: Place = request.getfixturevalue(version)
    place.know("stranger", Authority("another"))
    bot = place.bot(cert="cert.pem", ca="ca.pem")
    proposal = bot.approved("DELETE", f"{place.api.url}/users/7")
    bot.gate.write(Approval(proposal.proposal))
    row = bot.row(proposal)
    assert place.api.by == []
    assert row.state.name == "FAILED"
    why = "The API did not take the bot's certificate" if version == "place" else "The API could not be reached"
    assert why in (row.note or "")


def test_without_a_certificate_the_reason_is_told(place: Place) -> None:
    bot = place.bot(ca="ca.pem")
    told = bot.read(f"{place.api.url}/users/7")["error"]
    assert told.startswith("The API did not take the bot's certificate (or wants one).")
    assert place.api.by == []


def test_certificates_that_are_renewed_under_load_let_no_call_fail(place: Place) -> None:
    bot = place.bot(cert="cert.pem", ca="ca.pem")
    told: list[object] = []
    is_over = threading.Event()

    def load() -> None:
        while not is_over.is_set():
            told.append(bot.read(f"{place.api.url}/users/7").get("status"))

    def called(count: int) -> None:
        seen = len(told)
        while len(told) < seen + count:
            time.sleep(0.005)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for one in threads:
        one.start()
    called(6)
    place.know("second", place.clients)
    called(12)
    write(place.folder / "cert.pem", b"half a certifi")  # those before stay in use
    called(6)
    place.know("third", place.clients)
    called(12)
    is_over.set()
    for one in threads:
        one.join()
    assert set(told) == {200}
    assert list(dict.fromkeys(place.api.by)) == ["bot", "second", "third"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"cert": "none.pem"}, "HR: tls.cert: .*none.pem cannot be read: No such file or directory"),
        (
            {"cert": "ca.pem"},
            "HR: tls.cert: .*ca.pem does not hold both a certificate and its key, in PEM form; name the key's file",
        ),
        ({"cert": "bot.pem", "key": "none.pem"}, "HR: tls.key: .*none.pem cannot be read: No such file or directory"),
        (
            {"cert": "bot.pem", "key": "other.pem"},
            "HR: tls.key: .*other.pem is not the key of the certificate in .*bot.pem",
        ),
        (
            {"cert": "bot.pem", "key": "locked.pem"},
            "HR: tls.key: .*locked.pem has a passphrase, .*: openssl pkey -in .*locked.pem",
        ),
        (
            {"cert": "other.pem", "key": "bot.pem"},
            "HR: tls: .*other.pem holds no certificate, or .*bot.pem no private key",
        ),
        ({"ca": "empty.pem"}, "HR: tls.ca: .*empty.pem holds no certificates in PEM form"),
    ],
)
def test_files_that_are_of_no_use_stop_the_start(place: Place, files: dict[str, str], words: str) -> None:
    certificate, _ = place.clients.issue("bot")
    for name, content in (
        ("empty.pem", b"nothing"),
        ("bot.pem", certificate),
        ("other.pem", pem(new_key("p256"))),
        ("locked.pem", pem(new_key("p256"), b"a passphrase")),
    ):
        write(place.folder / name, content)
    with pytest.raises(Misconfigured, match=words):
        check_certificates(load_catalog(place.catalog(**files), {}))


def test_plain_http_has_no_certificates(place: Place) -> None:
    catalog = place.catalog(ca="ca.pem").replace("https://", "http://")
    with pytest.raises(BadCatalog, match="tls is for base_url with https://, and this one begins with http://"):
        load_catalog(catalog, {})


def test_certificates_that_do_not_hold_now_are_told(place: Place) -> None:
    catalog = load_catalog(place.catalog(cert="cert.pem"), {})
    now = datetime.now(UTC)
    assert untimely(catalog, now) == []
    (ended,) = untimely(catalog, now + timedelta(days=36_500))
    assert re.fullmatch(
        r"HR: the certificate in .*cert.pem expired on \d{4}-\d\d-\d\d and will be rejected; renew it\.", ended
    )
    (early,) = untimely(catalog, now - timedelta(days=36_500))
    assert re.fullmatch(r"HR: the certificate in .*cert.pem is not valid before \d{4}-\d\d-\d\d\.", early)
