"""The way out: by the proxies of the environment and with a company's certificates, for the model, Slack, its socket and the API alike."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from base.deadline import tls_context
from base.key_file import KeyFile
from base.proxies import WayOut, proxy_of
from base.settings import Misconfigured, load_settings
from base.slack_errors import SlackUnsure
from demo.hr_api import HrApi
from emulator.emulator import Workspace
from gate.connection_pools import ConnectionPool, Unanswered, Unsent
from model.chat import ChatServer, ModelFailed, model_of
from model.replies import parse_reply
from slack_io.socket_mode import SocketMode
from slack_io.web_api import SlackWeb
from tests.harness.cases import case
from tests.harness.company_network import AUTHORITY, CompanyProxy
from tests.harness.rest_server import Piece, RestServer, Seen, reply
from tests.harness.socket_server import SocketServer
from tests.harness.whole_bot import Person, StartBot, calls, says, settings_of

pytestmark = pytest.mark.waits


class Ear:
    def __init__(self) -> None:
        self.cut = threading.Event()

    def hear(self, text: str, *, is_calling: bool) -> None:
        """Nothing to be shown."""

    def is_cut(self) -> bool:
        return self.cut.is_set()


MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as running:
        yield running


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


# --- which way --------------------------------------------------------------------------------------------------------

BOTH = WayOut("http://one:1", "http://two:2")


def test_the_scheme_of_an_address_says_which_proxy() -> None:
    cases: list[tuple[str, str]] = [
        ("https://a.example/x", "http://two:2"),
        ("wss://a.example/x", "http://two:2"),
        ("http://a.example:8080/x", "http://one:1"),
        ("ws://a.example/x", "http://one:1"),
        ("ftp://a.example/x", ""),
    ]
    for url, proxy in cases:
        with case(url):
            assert BOTH.proxy_url(url) == proxy
            assert WayOut().proxy_url(url) == ""


def test_hosts_of_no_proxy_are_reached_without() -> None:
    cases: list[tuple[str, list[str], list[str]]] = [
        ("corp.example", ["https://corp.example", "https://a.b.corp.example:8443/x"], ["https://notcorp.example"]),
        (".corp.example", ["https://corp.example", "https://a.corp.example"], ["https://corp.example.org"]),
        ("*.corp.example", ["https://a.corp.example"], ["https://example"]),
        ("CORP.example , other", ["https://corp.EXAMPLE./", "http://other/"], ["https://another/"]),
        ("a.example b.example", ["https://a.example", "https://b.example"], ["https://c.example"]),
        ("a.example:8443", ["https://a.example:8443"], ["https://a.example", "https://a.example:84"]),
        ("a.example:443", ["https://a.example", "wss://a.example"], ["http://a.example"]),
        ("*", ["https://anything"], []),
        ("10.0.0.0/8,fd00::/8", ["http://10.9.8.7:80", "http://[fd00::1]/"], ["http://11.0.0.1", "http://ten.example"]),
        ("127.0.0.1", ["http://127.0.0.1:5000"], ["http://127.0.0.2", "http://localhost"]),
        ("[::1]:80", ["http://[::1]"], ["https://[::1]"]),
        ("", [], ["https://a.example"]),
        (",, ,", [], ["https://a.example"]),
        ("[,:::,:80,/8,*.", [], ["https://a.example"]),
    ]
    for exempt, reached, not_reached in cases:
        with case(exempt, reached):
            way = WayOut("http://p:1", "http://p:1", exempt)
            assert [way.proxy_url(url) for url in reached] == [""] * len(reached)
            assert [way.proxy_url(url) for url in not_reached] == ["http://p:1"] * len(not_reached)


def test_a_proxys_name_and_password_are_taken_out_of_its_address() -> None:
    proxy = proxy_of("http://me:p%40ss@proxy.example:3128")
    assert (proxy.url, proxy.auth) == ("http://proxy.example:3128", (b"me", b"p@ss"))


def environment_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **given: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "SSL_CERT_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    needed = {
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_SIGNING_SECRET": "0123456789abcdef0123456789abcdef",
        "SLACK_CHANNEL": "C0HR",
    }
    for name, value in {**needed, **given}.items():
        monkeypatch.setenv(name, value)


def test_the_environment_says_the_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment_of(
        monkeypatch, tmp_path, https_proxy="proxy.example:3128", ALL_PROXY="http://all:1", NO_PROXY="a.example"
    )
    settings = load_settings()
    assert settings.way_out == WayOut("http://all:1", "http://proxy.example:3128", "a.example", "")


def test_a_proxys_password_is_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment_of(monkeypatch, tmp_path, HTTPS_PROXY="http://me:p%40ssword@proxy.example:3128")
    assert {"p%40ssword", "p@ssword"} <= set(load_settings().secrets)


def test_a_proxy_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cases: list[tuple[str, str]] = [
        ("socks5://proxy.example:1080", "SOCKS proxies are not supported; use an HTTP proxy, http://host:port"),
        ("http://", "write the proxy as http://host:port"),
        ("http://me:secret@:80", "write the proxy as http://host:port"),
        ("http://proxy:port", "write the proxy as http://host:port"),
        ("ftp://proxy:1", "write the proxy as http://host:port"),
    ]
    for value, told in cases:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            with case(name, value, told):
                with monkeypatch.context() as its_own:
                    environment_of(its_own, tmp_path, **{name: value})
                    with pytest.raises(Misconfigured) as raised:
                        load_settings()
                assert str(raised.value).startswith(f"{name}: ")
                assert told in str(raised.value)
                assert "secret" not in str(raised.value)


def test_a_proxy_that_nothing_uses_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment_of(monkeypatch, tmp_path, ALL_PROXY="socks5://s:1", HTTP_PROXY="http://p:1", HTTPS_PROXY="http://p:1")
    assert load_settings().way_out.https == "http://p:1"


def test_certificates_that_are_none_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"SSL_CERT_FILE: cannot read .*: No such file"):
        tls_context(str(tmp_path / "none.pem"))
    (tmp_path / "odd.pem").write_text("no certificate")
    with pytest.raises(Misconfigured, match=r"SSL_CERT_FILE: .*odd.pem holds no certificates in PEM form"):
        tls_context(str(tmp_path / "odd.pem"))


# --- all four ways ----------------------------------------------------------------------------------------------------


def line(data: object) -> bytes:
    return reply(json.dumps(data))


@pytest.mark.parametrize("over", ["socket"])
def test_model_slack_socket_and_api_are_reached_through_the_proxy_alone(
    start_bot: StartBot, workspace: Workspace, hr: HrApi, server: RestServer, ann: Person
) -> None:
    """Of these names only the proxy knows, and it opens TLS with the company's certificates."""
    ports = {"slack": port_of(workspace.api_url), "model": server.port, "hr": port_of(hr.url)}
    server.will(line(calls(("GET", "/api/users/1"))), line(says("Seen by way of the proxy.")))
    with CompanyProxy({f"{name}.corp.test": port for name, port in ports.items()}, password="p@ss word") as proxy:
        catalog = (Path(__file__).parents[2] / "apis.yaml").read_text("utf-8")
        start_bot(
            catalog=catalog.replace("${HR_API_URL}", "https://hr.corp.test"),
            with_model=None,
            slack_api_url="https://slack.corp.test/api/",
            openai_base_url="https://model.corp.test/v1",
            all_proxy=f"http://bot:p%40ss%20word@{proxy.address}",
            ssl_cert_file=AUTHORITY,
        )
        assert ann.asks("who is 1?").answer() == "Seen by way of the proxy."
        assert proxy.hosts >= {"slack.corp.test", "model.corp.test", "hr.corp.test", "127.0.0.1"}
    assert {one.partition(" ")[0] for one in proxy.asked} == {"CONNECT"}


def test_a_host_of_no_proxy_is_reached_past_it(server: RestServer) -> None:
    server.will(line(says("Straight.")))
    with CompanyProxy({}) as proxy:
        way = WayOut(proxy.url, proxy.url, exempt="127.0.0.0/8")
        model = ChatServer(api_key="k", base_url=f"{server.url}/v1", model="m", timeout=60, way=way)
        assert parse_reply(model.complete(MESSAGES, [], Ear())).words == "Straight."
        assert proxy.asked == []


def test_an_address_without_tls_is_asked_for_at_the_proxy(server: RestServer) -> None:
    server.will(line(says("Plain.")))
    with CompanyProxy({"model.corp.test": server.port}) as proxy:
        model = ChatServer(
            api_key="k", base_url="http://model.corp.test/v1", model="m", timeout=60, way=WayOut(proxy.url)
        )
        assert parse_reply(model.complete(MESSAGES, [], Ear())).words == "Plain."
        assert proxy.asked == ["POST http://model.corp.test/v1/chat/completions"]


def test_a_proxy_may_be_spoken_to_with_tls_itself(server: RestServer) -> None:
    server.will(line(says("Twice wrapped.")))
    with CompanyProxy({"model.corp.test": server.port}, is_secure=True) as proxy:
        way = WayOut(proxy.url, certificates=AUTHORITY)
        model = ChatServer(api_key="k", base_url="http://model.corp.test/v1", model="m", timeout=60, way=way)
        assert parse_reply(model.complete(MESSAGES, [], Ear())).words == "Twice wrapped."
        assert proxy.hosts == {"model.corp.test"}


def test_the_socket_goes_through_the_proxy_with_tls() -> None:
    with SocketServer() as slack:
        web = SlackWeb("xapp-local", slack.api_url, timeout=2, setting="SLACK_APP_TOKEN")
        port = port_of(web.open_socket())
        with CompanyProxy({"socket.corp.test": port}) as proxy:
            way = WayOut(https=proxy.url, certificates=AUTHORITY)
            mode = SocketMode(
                lambda: "wss://socket.corp.test/link",
                lambda kind, payload: True,
                lambda job: threading.Thread(target=job, daemon=True).start(),
                first_pause=0.05,
                way=way,
            )
            mode.start()
            slack.wait(lambda: slack.lines)
            assert proxy.asked == ["CONNECT socket.corp.test:443"]
            mode.close()


# --- what holds on it -------------------------------------------------------------------------------------------------


def through(proxy: CompanyProxy) -> WayOut:
    return WayOut(proxy.url, proxy.url, certificates=AUTHORITY)


def silent(_seen: Seen) -> Iterator[Piece]:
    yield 60.0


def dripping(_seen: Seen) -> Iterator[Piece]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
    for _ in range(600):
        yield b" "
        yield 0.1


@pytest.mark.parametrize("url", ["https://hr.corp.test/x", "http://hr.corp.test/x"])
@pytest.mark.parametrize("is_mute", [True, False])
def test_a_call_to_the_api_ends_in_time_through_a_proxy(server: RestServer, url: str, is_mute: bool) -> None:
    server.always(silent)
    with CompanyProxy({"hr.corp.test": server.port}) as proxy:
        proxy.is_mute = is_mute
        way = through(proxy)
        call = ConnectionPool(0, tls_context(AUTHORITY), way)
        began = time.monotonic()
        with pytest.raises((Unsent, Unanswered), match="time-out"):
            call.exchange("GET", url, {}, None, timeout=0.7, max_bytes=1_000)
        assert time.monotonic() - began < 30


def test_an_answer_that_drips_ends_in_time_through_a_proxy(server: RestServer) -> None:
    server.always(dripping)
    with CompanyProxy({"slack.corp.test": server.port}) as proxy:
        web = SlackWeb("xoxb-1", "https://slack.corp.test/api/", timeout=1, way=through(proxy))
        began = time.monotonic()
        with pytest.raises(SlackUnsure):
            web.call("auth.test", {})
        assert time.monotonic() - began < 30


def test_a_model_call_is_cut_off_at_once_through_a_proxy(server: RestServer) -> None:
    server.always(silent)
    ear = Ear()
    with CompanyProxy({"model.corp.test": server.port}) as proxy:
        model = ChatServer(
            api_key="k", base_url="https://model.corp.test/v1", model="m", timeout=50, way=through(proxy)
        )
        threading.Timer(0.5, ear.cut.set).start()
        began = time.monotonic()
        with pytest.raises(ModelFailed, match="cut off"):
            model.complete(MESSAGES, [], ear)
        assert time.monotonic() - began < 30


def test_a_proxy_that_lets_nothing_through_is_told_and_nothing_was_sent(server: RestServer) -> None:
    with CompanyProxy({"hr.corp.test": server.port}, password="another") as proxy:
        call = ConnectionPool(0, tls_context(AUTHORITY), through(proxy))
        with pytest.raises(Unsent, match="the proxy refused the way there: HTTP 407"):
            call.exchange("DELETE", "https://hr.corp.test/x", {}, None, timeout=5, max_bytes=1_000)
        model = ChatServer(api_key="k", base_url="https://hr.corp.test/v1", model="m", timeout=60, way=through(proxy))
        with pytest.raises(ModelFailed, match="the proxy refused the way there: HTTP 407"):
            model.complete(MESSAGES, [], Ear())
    assert server.requests == []


def test_certificates_of_others_are_not_trusted(server: RestServer) -> None:
    with CompanyProxy({"model.corp.test": server.port}) as proxy:
        model = ChatServer(
            api_key="k", base_url="https://model.corp.test/v1", model="m", timeout=60, way=WayOut(https=proxy.url)
        )
        with pytest.raises(ModelFailed, match="its certificate is not trusted"):
            model.complete(MESSAGES, [], Ear())
    assert server.requests == []


# --- the model's address and key --------------------------------------------------------------------------------------


def test_a_query_of_the_models_address_stays_behind_the_path(server: RestServer) -> None:
    server.will(line(says("Azure.")))
    url = f"{server.url}/openai/deployments/gpt?api-version=2024-10-21&x=a%20b"
    model = ChatServer(api_key="the-key", base_url=url, model="m", timeout=60)
    assert parse_reply(model.complete(MESSAGES, [], Ear())).words == "Azure."
    (seen,) = server.requests
    path, _, query = seen.target.partition("?")
    assert path == "/openai/deployments/gpt/chat/completions"
    assert set(query.split("&")) in ({"api-version=2024-10-21", "x=a+b"}, {"api-version=2024-10-21", "x=a%20b"})
    assert seen.headers["api-key"] == "the-key"
    assert "authorization" not in seen.headers


def test_a_token_of_entra_goes_to_azures_older_form_as_one(server: RestServer) -> None:
    server.will(line(says("Azure.")))
    url = f"{server.url}/openai/deployments/gpt?api-version=2024-10-21"
    ChatServer(api_key="eyJ0.e.f", base_url=url, model="m", timeout=60).complete(MESSAGES, [], Ear())
    (seen,) = server.requests
    assert seen.headers["authorization"] == "Bearer eyJ0.e.f"
    assert "api-key" not in seen.headers


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("model.example/v1", "write it with its scheme, for example https://model.example/v1"),
        (
            "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
            "leave out /chat/completions",
        ),
    ],
)
def test_an_address_that_cannot_be_used_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, told: str
) -> None:
    environment_of(monkeypatch, tmp_path, OPENAI_BASE_URL=url)
    with pytest.raises(Misconfigured, match="OPENAI_BASE_URL") as raised:
        load_settings()
    assert told in str(raised.value)


def test_a_key_in_a_file_is_taken_anew_when_the_file_changes(server: RestServer, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first-key\n")
    heard: list[str] = []
    model = ChatServer(api_key=KeyFile(str(file), heard.append), base_url=f"{server.url}/v1", model="m", timeout=60)
    server.always(line(says("Yes.")))
    for key in ("first-key", "second-key", "third-key-2"):
        (tmp_path / "new").write_text(key)
        (tmp_path / "new").replace(file)
        model.complete(MESSAGES, [], Ear())
    assert [seen.headers["authorization"] for seen in server.requests] == [
        "Bearer first-key",
        "Bearer second-key",
        "Bearer third-key-2",
    ]
    assert heard == ["first-key", "second-key", "third-key-2"]


def test_a_key_that_is_refused_is_read_again_although_its_file_looks_the_same(
    server: RestServer, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("first-key")
    looks = file.stat()
    model = ChatServer(api_key=KeyFile(str(file)), base_url=f"{server.url}/v1", model="m", timeout=60)
    file.write_text("other-key")
    os.utime(file, ns=(looks.st_atime_ns, looks.st_mtime_ns))  # as on a file system that tells time in seconds
    refused = reply(json.dumps({"error": {"message": "expired"}}), 401)
    server.will(refused, line(says("Yes.")), refused)
    assert parse_reply(model.complete(MESSAGES, [], Ear())).words == "Yes."
    with pytest.raises(ModelFailed, match="HTTP 401"):
        model.complete(MESSAGES, [], Ear())
    keys = [seen.headers["authorization"].removeprefix("Bearer ") for seen in server.requests]
    assert keys == ["first-key", "other-key", "other-key"]


def test_a_key_file_that_is_emptied_or_gone_leaves_the_key_in_use(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("the-key")
    key = KeyFile(str(file))
    file.write_text("")
    assert key.key() == "the-key"
    file.unlink()
    assert key.key() == "the-key"
    assert not key.renewed()
    file.write_text("a-new-key")
    assert key.key() == "a-new-key"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read"),
        ("", "is empty"),
        ("# key\nabc", "contains more than a key"),
        ("schlüssel", "contains more"),
    ],
)
def test_a_key_file_of_no_use_stops_the_start(tmp_path: Path, content: str | None, told: str) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    with pytest.raises(Misconfigured, match=told):
        model_of(settings_of(**NEEDED, openai_api_key_file=str(tmp_path / "key")), tuple)


NEEDED: dict[str, Any] = {"slack_bot_token": "xoxb-1", "slack_signing_secret": "s", "slack_channel": "C0HR"}


def test_two_keys_stop_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment_of(monkeypatch, tmp_path, OPENAI_API_KEY="sk-abc", OPENAI_API_KEY_FILE="/run/secrets/key")
    with pytest.raises(Misconfigured, match="OPENAI_API_KEY_FILE: OPENAI_API_KEY is set, too; set only one of them"):
        load_settings()
