"""The gate against an API that misbehaves and callers that press twice: real HTTP on loopback, a real database."""

from __future__ import annotations

import base64
import gzip
import html
import inspect
import json
import logging
import re
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from base.logging_setup import set_up_logs
from catalog.bad_call import BadCall
from emulator.emulator import Workspace
from emulator.world import UserGroup
from gate.gate import Gate
from gate.policy import Event, Read, Refused, State, Write
from gate.sending import Approval
from slack_io.web_api import SlackWeb
from store.holds import Overtaken
from store.proposals import Effects
from tests.harness.bot_parts import ANN, BEN, USERS, BotParts, Clock, Json, calls, says
from tests.harness.ports import free_port
from tests.harness.rest_server import (
    KEEP,
    Answer,
    Piece,
    RestServer,
    Seen,
    dripping,
    half_of,
    hang_up,
    late,
    reply,
    silence,
    tear_down,
    to,
)
from tests.harness.whole_bot import at_once, until

SHORT = 0.5  # seconds of API_TIMEOUT where a time-out is what is tested
LONG = 15  # seconds that a slow machine may take for it; the servers here go on for longer
Make = Callable[..., BotParts]


@pytest.fixture
def make(tmp_path: Path, server: RestServer) -> Iterator[Make]:
    """Makes the bot's inside over a catalog, by default USERS at the server."""
    made: list[BotParts] = []

    def make(catalog: str = USERS, **options: Any) -> BotParts:
        one = BotParts(tmp_path, catalog.format(base=server.url), **options)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def parts(make: Make) -> BotParts:
    return make(timeout=60)


# --- reads ------------------------------------------------------------------------------------------------------------


def test_a_read_is_sent_as_it_is_and_its_answer_comes_back(parts: BotParts, server: RestServer) -> None:
    server.will(reply('{"id": 7}'))
    assert parts.read("/users/7") == {"status": 200, "data": {"id": 7}}
    (seen,) = server.requests
    assert (seen.method, seen.target, seen.body) == ("GET", "/users/7", b"")
    assert seen.headers["host"] == f"127.0.0.1:{server.port}"
    assert "idempotency-key" not in seen.headers


def test_a_head_is_sent_as_one(parts: BotParts, server: RestServer) -> None:
    server.will(reply("", 200, "X-Count: 5"))
    assert parts.read("/users", "HEAD")["status"] == 200
    assert server.calls == [("HEAD", "/users")]


def test_the_read_path_sends_nothing_but_get_and_head(parts: BotParts, server: RestServer) -> None:
    turn = parts.begin()
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        write = parts.call(
            method, "/users" if method == "POST" else "/users/7", None if method == "DELETE" else {}, tainted=True
        )
        for read in (parts.gate.read, parts.gate.read_step):
            with pytest.raises(BadCall, match=f"{method} is no read"):
                read(Read(write.operation, write.url, write.body), turn, parts.catalog)
    assert server.requests == []


def test_a_call_with_an_odd_path_arrives_as_it_was_made(parts: BotParts, server: RestServer) -> None:
    for url in (
        "/users/a%20b%3Fc%23d%26e",
        "/users/%C3%A9%F0%9F%98%80",
        "/users/~._-!$'()*,;=:@",
        "/users?page=%3D%26%2B%20%2F%3F",
        "/users/100%25",
    ):
        call = parts.call("GET", url)
        parts.read(url)
        assert parts.catalog.apis[0].base_url + server.requests[-1].target == call.url


# --- redirects --------------------------------------------------------------------------------------------------------


def test_a_read_follows_a_redirect_to_a_place_of_the_catalog(parts: BotParts, server: RestServer) -> None:
    for location in ("/users/8", f"{server.url}/users/8", "8", "/users?page=2"):
        server.will(to(location), reply('{"there": true}'))
        assert parts.read("/users/7")["data"] == {"there": True}
    assert [target for _, target in server.calls] == ["/users/7", "/users/8"] * 3 + ["/users/7", "/users?page=2"]


REDIRECTS = (301, 302, 303, 307, 308)


def test_every_kind_of_redirect_is_followed(parts: BotParts, server: RestServer) -> None:
    for status in REDIRECTS:
        server.requests.clear()
        server.will(to("/users/8", status))
        assert parts.read("/users/7")["status"] == 200, status
        assert server.calls == [("GET", "/users/7"), ("GET", "/users/8")], status


def test_a_head_stays_one_when_it_is_redirected(make: Make, server: RestServer) -> None:
    parts = make(USERS + "  - {{method: HEAD, url: '/users/[id]', description: d}}\n", timeout=60)
    server.will(to("/users/8"))
    parts.read("/users/7", "HEAD")
    assert server.calls == [("HEAD", "/users/7"), ("HEAD", "/users/8")]


LOCATIONS = [
    "http://{other}/users/8",
    "//{other}/users/8",
    "http://{other}@{here}/users/8",
    "http://x@{here}/users/8",
    "https://{here}/users/8",
    "/admin",
    "/users/8/password",
    "/users/8?admin=1",
    "../admin",
    "/users/..%2Fadmin",
    "/users/%2e%2e/admin",
    "/users/%252e%252e",
    "/payroll/../admin",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://[",
    "http://[::1",
    "http://{here}:99999/users/8",
    "http://localhost:x/",
    "\\\\{other}\\users\\8",
    "x" * 9_000,
    "/users/" + "x" * 3_000,
    "/users/%ff",
    "?_method=DELETE",
    "http://ex ample/",
    "/open",
]


def test_a_redirect_to_any_other_place_is_not_followed(parts: BotParts, server: RestServer) -> None:
    with RestServer() as other:
        for location in LOCATIONS:
            server.requests.clear()
            where = location.replace("{other}", f"127.0.0.1:{other.port}").replace("{here}", f"127.0.0.1:{server.port}")
            server.will(to(where))
            found = parts.read("/users/7")
            assert "redirected to a place that the catalog does not allow" in found.get("error", ""), location
            assert (server.calls, other.requests) == ([("GET", "/users/7")], []), location


def test_a_redirect_to_an_operation_that_always_asks_is_not_followed(parts: BotParts, server: RestServer) -> None:
    server.will(to("/payroll"))
    assert "redirected" in parts.read("/users/7")["error"]
    assert server.calls == [("GET", "/users/7")]


def test_redirects_in_a_circle_end(parts: BotParts, server: RestServer) -> None:
    server.always(to("/users/7"))
    assert "redirected more than 3 times" in parts.read("/users/7")["error"]
    assert len(server.requests) == 4


def test_a_redirect_without_a_place_is_an_answer(parts: BotParts, server: RestServer) -> None:
    server.will(reply("", 302))
    assert parts.read("/users/7")["status"] == 302


NEIGHBOURS = """
apis:
  - name: A
    base_url: "{{base}}"
    auth: {{query: {{name: api_key, value: key-of-a}}}}
    headers: {{X-Only: header-of-a}}
    endpoints: [{{method: GET, url: "/a?x=[x]", description: d}}]
  - name: B
    base_url: "OTHER"
    auth: {{bearer: token-of-b}}
    endpoints: [{{method: GET, url: /b, description: d}}]
""".replace("{{base}}", "{base}")


def test_credentials_stay_with_their_own_api_when_a_read_is_redirected(make: Make, server: RestServer) -> None:
    with RestServer() as other:
        parts = make(NEIGHBOURS.replace("OTHER", other.url))
        server.will(to(f"{other.url}/b?api_key=key-of-a"))
        assert parts.read("/a?x=1")["status"] == 200
        assert server.calls == [("GET", "/a?x=1&api_key=key-of-a")]
        (seen,) = other.requests
        assert seen.target == "/b"
        assert seen.headers["authorization"] == "Bearer token-of-b"
        assert b"of-a" not in seen.raw


@pytest.mark.parametrize(
    "personal",
    ["actor: {headers: {X-Asker: asker}}", "oauth2: {issuer: http://127.0.0.1:1, client_id: bot, scopes: [openid]}"],
)
def test_no_api_leads_to_another_that_is_asked_in_a_persons_name(make: Make, server: RestServer, personal: str) -> None:
    with RestServer() as other:
        parts = make(
            NEIGHBOURS.replace("OTHER", other.url).replace(
                "bearer: token-of-b", personal.replace("{", "{{").replace("}", "}}")
            )
        )
        server.will(to(f"{other.url}/b"))
        words = "The API redirected to a place whose answers serve the asker alone, so that was not followed."
        assert parts.read("/a?x=1")["error"] == words
        assert other.requests == []


def test_no_api_leads_to_another_whose_answers_are_direct_messages(make: Make, server: RestServer) -> None:
    """Also not one that knows the person: the answer would be taken for one of its own."""
    with RestServer() as other:
        text = NEIGHBOURS.replace("OTHER", other.url).replace(
            "query: {{name: api_key, value: key-of-a}}", "actor: {{headers: {{X-Asker: asker}}}}"
        )
        text = text.replace("    auth: {{bearer: token-of-b}}", "    answers: dm")
        parts = make(text)
        server.will(to(f"{other.url}/b"))
        words = "The API redirected to a place whose answers are direct messages, so that was not followed."
        assert parts.read("/a?x=1")["error"] == words
        assert other.requests == []


def test_a_redirect_that_repeats_the_credentials_sends_them_once(make: Make, server: RestServer) -> None:
    parts = make(NEIGHBOURS.replace("OTHER", "http://127.0.0.1:1"))
    server.will(to("/a?x=2&api_key=key-of-a"))
    assert parts.read("/a?x=1")["status"] == 200
    assert server.calls[-1] == ("GET", "/a?x=2&api_key=key-of-a")


def test_a_write_follows_no_redirect(parts: BotParts, server: RestServer) -> None:
    for status in REDIRECTS:
        server.requests.clear()
        server.will(to("/users/8", status))
        proposal, result = parts.write("PUT", "/users/7", {"a": 1})
        assert server.calls == [("PUT", "/users/7")], status
        assert proposal.status == status
        assert result["outcome"] != "done", status


def test_a_cookie_of_an_answer_goes_nowhere(make: Make, server: RestServer) -> None:
    """One person's session is not another's, nor another API's on the same machine."""
    with RestServer() as other:
        parts = make(NEIGHBOURS.replace("OTHER", other.url))
        server.will(reply("{}", 200, "Set-Cookie: session=of-ann; Path=/"))
        for url in ("/a", "/a", "/b"):
            parts.read(url)
        assert all("cookie" not in seen.headers for seen in [*server.requests, *other.requests])


# --- time -------------------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n"


def dripping_body(_seen: Seen) -> Iterator[Piece]:
    yield HEAD
    for _ in range(400):
        yield b"x"
        yield 0.1


def endless_chunks(_seen: Seen) -> Iterator[Piece]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"1\r\nx\r\n"
        yield 0.05


def endless_hints(_seen: Seen) -> Iterator[Piece]:
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\n\r\n"
        yield 0.05


@pytest.mark.parametrize(
    "answer", [silence, dripping(reply()), endless_hints], ids=["silence", "dripping head", "hints"]
)
def test_a_read_without_an_answer_in_time_gets_words(make: Make, server: RestServer, answer: Answer) -> None:
    parts = make(timeout=SHORT)
    server.always(answer)
    began = time.monotonic()
    found = parts.read("/users/7")
    assert SHORT * 0.9 < time.monotonic() - began < LONG
    assert re.fullmatch(r"The API gave no answer \(time-out after 0\.\d s\)\.", found.pop("error"))
    assert found == {}
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [dripping_body, endless_chunks])
def test_a_body_that_never_ends_is_cut_at_the_time_out(make: Make, server: RestServer, answer: Answer) -> None:
    parts = make(timeout=SHORT)
    server.always(answer)
    began = time.monotonic()
    found = parts.read("/users/7")
    assert time.monotonic() - began < LONG
    assert set(found["data"]) == {"x"}
    assert "broke off" in found["note"]


NO_ANSWERS: dict[str, Answer] = {
    "silence": silence,
    "dripping head": dripping(reply()),
    "hints": endless_hints,
    "hang up": hang_up,
    "reset": tear_down,
    "half a head": lambda _: [b"HTTP/1.1 2"],
    "no HTTP": lambda _: [b"not HTTP at all\r\n\r\n"],
    "endless head": lambda _: [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000],
}


def test_a_write_without_an_answer_is_unknown_and_never_repeated(make: Make, server: RestServer) -> None:
    parts = make(timeout=SHORT)
    for name, answer in NO_ANSWERS.items():
        server.requests.clear()
        server.always(answer)
        began = time.monotonic()
        proposal, result = parts.write("DELETE", "/users/7")
        assert time.monotonic() - began < LONG, name
        assert proposal.state is State.UNKNOWN, name
        assert result == {
            "outcome": "unknown",
            "note": "Sent, no answer: it may or may not have happened.",
            "to_do": "Do not repeat it. Tell the person to look.",
        }, name
        shown = json.dumps(parts.cards(proposal.thread)[-1].arguments)
        assert "outcome unknown" in shown, name
        assert "may or may not have happened" in shown, name
        parts.gate.write(Approval(proposal.proposal))
        assert len(server.requests) == 1, name


def test_a_write_that_a_gateway_answers_for_the_api_is_unknown(parts: BotParts, server: RestServer) -> None:
    for status in (502, 504):
        server.always(reply('{"error": "upstream"}', status))

        proposal, result = parts.write("DELETE", "/users/7")

        assert proposal.state is State.UNKNOWN
        assert result["outcome"] == "unknown"
        shown = json.dumps(parts.cards(proposal.thread)[-1].arguments)
        assert "may or may not have happened" in shown
        assert f"A gateway answered {status}" in shown


def test_the_time_out_is_for_all_redirects_of_a_read_together(make: Make, server: RestServer) -> None:
    parts = make(timeout=SHORT)
    server.always(late(SHORT * 0.8, to("/users/7")))
    assert "time-out" in parts.read("/users/7")["error"]
    assert len(server.requests) <= 2  # each alone was within the time


def test_a_slow_api_holds_up_no_other_call(make: Make, server: RestServer) -> None:
    parts = make(timeout=LONG)
    others = threading.Semaphore(0)

    def answer(seen: Seen) -> Iterator[Piece]:
        if seen.target == "/users/1":  # answers once all the others have theirs
            for _ in range(21):
                others.acquire(timeout=LONG)
        yield reply()

    def read(number: int) -> Any:
        found = parts.read(f"/users/{number}")
        others.release()
        return found

    server.always(answer)
    found = at_once(*[lambda i=i: read(1 if i < 1 else 2 + i % 6) for i in range(22)])
    assert [one["data"] for one in found] == [{}] * 22


def test_a_server_that_is_not_there_is_told_and_nothing_was_sent(make: Make, server: RestServer) -> None:
    parts = make(USERS.replace("{base}", f"http://127.0.0.1:{free_port()}"), timeout=2)
    assert parts.read("/users/7") == {"error": "The API could not be reached (connection failed)."}
    proposal, result = parts.write("DELETE", "/users/7")
    assert proposal.state is State.FAILED
    assert result["outcome"] == "failed"
    assert "Nothing was sent" in result["note"]
    assert "Nothing was sent" in json.dumps(parts.cards(proposal.thread)[-1].arguments)


@pytest.mark.parametrize("base", ["http://no-such-host.invalid", "https://127.0.0.1:{port}"])
def test_a_name_or_a_certificate_that_fails_means_that_nothing_was_sent(
    make: Make, server: RestServer, base: str
) -> None:
    parts = make(USERS.replace("{base}", base.replace("{port}", str(server.port))), timeout=2)
    server.always(reply())
    proposal, result = parts.write("DELETE", "/users/7")
    assert proposal.state is State.FAILED
    assert "Nothing was sent" in result["note"]


def test_a_read_over_a_connection_that_the_server_closed_meanwhile_is_made_again(
    parts: BotParts, server: RestServer
) -> None:
    kept = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    server.will(lambda _: [kept, KEEP], hang_up, reply('{"second": true}'))
    parts.read("/users/1")
    assert parts.read("/users/2")["data"] == {"second": True}


def test_each_write_has_a_connection_of_its_own(parts: BotParts, server: RestServer) -> None:
    server.always(lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", KEEP])
    for _ in range(3):
        parts.write("DELETE", "/users/7")
    assert server.connections == 3


# --- what comes back --------------------------------------------------------------------------------------------------


def zipped(content: bytes) -> bytes:
    return reply(gzip.compress(content), 200, "Content-Encoding: gzip")


ANSWERS: list[
    tuple[bytes, int, object, str]
] = [  # what the API says; the status, the data and a part of the note that become of it
    (reply("", 204), 204, None, ""),
    (reply(""), 200, None, ""),
    (reply("words", kind="text/plain"), 200, "words", ""),
    (reply("{broken"), 200, "{broken", "is not"),
    (reply(b"\x89PNG\xff", kind="image/png"), 200, None, "5 bytes of image/png, no text"),
    (reply('"né"'.encode("latin-1"), kind="application/json; charset=iso-8859-1"), 200, "né", ""),
    (reply('"né"', kind="application/json; charset=utf-7"), 200, "né", ""),
    (reply('"né"', kind="application/json; charset=no-such"), 200, "né", ""),
    (reply("{}", kind=""), 200, {}, ""),
    (zipped(b'{"a": 1}'), 200, {"a": 1}, ""),
    (reply(zlib.compress(b"[1]"), 200, "Content-Encoding: deflate"), 200, [1], ""),
    (reply(b"no gzip", 200, "Content-Encoding: gzip"), 200, None, "compression could not be undone"),
    (reply(b"{}", 200, "Content-Encoding: no-such"), 200, {}, ""),
    (reply('{"e":1}', 404), 404, {"e": 1}, "The API answered 404 Not Found."),
    (reply('{"e":1}', 500), 500, {"e": 1}, "The API answered 500 Internal Server Error."),
    (reply("x", 299), 299, "x", ""),
    (reply("x", 600), 600, "x", "600"),
    (reply('{"a":"\\ud83d"}'), 200, ..., ""),
    (reply("[" * 900 + "]" * 900), 200, ..., ""),
    (reply("[" * 100_000 + "]" * 100_000), 200, ..., ""),
    (reply('{"a":NaN}'), 200, ..., ""),
    (reply('{"\\udfff":1}'), 200, ..., ""),
    (reply('{"a":1e999}'), 200, ..., ""),
]


def test_an_answer_of_every_kind_becomes_a_result_of_read_and_write_and_leaves_no_record_in_sending(
    parts: BotParts, server: RestServer
) -> None:
    for answer, status, data, note in ANSWERS:
        case = answer[:200]
        server.always(answer)
        found = parts.read("/users/7")
        proposal, result = parts.write("PUT", "/users/7", {})
        for one in (found, result):
            assert one["status"] == status, case
            assert data is ... or one["data"] == data, case
            assert note in one.get("note", ""), case
        good = 200 <= status < 300
        assert proposal.state is (State.DONE if good else State.FAILED), case
        assert result["outcome"] == ("done" if good else "failed"), case
        assert proposal.status == status, case


def test_half_an_answer_of_a_write_still_says_what_its_status_was(parts: BotParts, server: RestServer) -> None:
    server.will(half_of(reply(json.dumps({"a": "x" * 500}))))
    proposal, result = parts.write("PUT", "/users/7", {})
    assert proposal.state is State.DONE
    assert "broke off" in result["note"]


def test_no_more_than_max_response_is_read(make: Make, server: RestServer) -> None:
    parts = make(max_response=50_000, timeout=60)
    server.will(reply("x" * 2_000_000, kind="text/plain"), reply("y" * 50_000, kind="text/plain"))
    assert "larger than 50,000 bytes; the rest was not read" in parts.read("/users/7")["note"]
    assert "larger" not in parts.read("/users/7")["note"]


def test_a_small_answer_that_unpacks_to_a_large_one_takes_no_memory(make: Make, server: RestServer) -> None:
    parts = make(max_response=1_000_000, timeout=60)
    parts.read("/users/1")
    server.will(zipped(b"0" * 60_000_000))
    tracemalloc.start()
    try:
        assert "larger than" in parts.read("/users/7")["note"]
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_large_answer_is_cut_to_json_with_counts(parts: BotParts, server: RestServer) -> None:
    server.will(reply(json.dumps([{"id": i, "bio": "b" * 100} for i in range(5_000)])))
    found = parts.read("/users")
    assert found["data"][3] == {"id": 3, "bio": "b" * 100}
    assert f"first {len(found['data'])} of 5,000 items" in found["note"]
    assert len(json.dumps(found)) < 30_000


# --- secrets ----------------------------------------------------------------------------------------------------------

SECRET = 's3cret/k+"y=&<e>'
AUTHS = {
    "bearer": "auth: {{bearer: '${{SECRET}}'}}",
    "basic": "auth: {{basic: {{username: robot, password: '${{SECRET}}'}}}}",
    "header": "auth: {{header: {{name: X-Key, value: '${{SECRET}}'}}}}",
    "query": "auth: {{query: {{name: api_key, value: '${{SECRET}}'}}}}",
    "other header": "headers: {{X-Other: '${{SECRET}}'}}",
}
FORMS: dict[str, Callable[[str], str]] = {
    "raw": lambda s: s,
    "percent encoded": lambda s: quote(s, safe=""),
    "percent encoded but slashes": lambda s: quote(s),
    "percent encoded in small letters": lambda s: re.sub("%..", lambda found: found[0].lower(), quote(s, safe="")),
    "form encoded": lambda s: quote(s, safe="").replace("%20", "+"),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "basic's pair in base64": lambda s: base64.b64encode(f"robot:{s}".encode()).decode(),
    "HTML": lambda s: s.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    "JSON in JSON": lambda s: json.dumps({"k": json.dumps({"a": s})}),
    "JSON text": lambda s: json.dumps(s)[1:-1],
    "HTML with its quotes": lambda s: html.escape(s),
    "percent encoded twice": lambda s: quote(quote(s, safe=""), safe=""),
    "hexadecimal": lambda s: s.encode().hex(),
    "base64 of a longer text": lambda s: base64.b64encode(f"Bearer {s}, {{s}}".encode()).decode(),
    "base64 of a text a byte longer": lambda s: base64.b64encode(f"Bearer: {s}!".encode()).decode(),
    "base64 of a text two bytes longer": lambda s: base64.urlsafe_b64encode(f"Bearer:  {s}".encode()).decode(),
}


def echoes(texts: Sequence[str], status: int) -> list[Answer]:
    """Answers that hold the secret in these forms: in JSON, as words, in broken JSON, behind what is shown, as a redirect."""
    words = " y\n".join(texts)
    return [
        lambda _: [reply(json.dumps({"a": [{"b": f"x {text} y", text: 1} for text in texts]}), status)],
        lambda _: [reply(f"<p>bad key {words}</p>", status, kind="text/html")],
        lambda _: [reply("{" + "\n".join(json.dumps(text) for text in texts), status)],
        *([lambda _: [reply("x" * 200_000 + words, status, kind="text/plain")]] if status == 200 else []),
        *[redirect(text) for text in texts],
        hang_up,
    ]


def redirect(text: str) -> Answer:
    return lambda _: [to(f"http://127.0.0.1:1/{quote(text, safe='%')}")]


@pytest.mark.parametrize(
    ("auth", "forms"), [*((auth, ["raw"]) for auth in AUTHS), ("basic", [form for form in FORMS if form != "raw"])]
)
def test_a_secret_reaches_no_result_no_card_no_row_and_no_log(
    make: Make, server: RestServer, auth: str, forms: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {form: FORMS[form](SECRET) for form in forms}
    with logs_to_stderr():
        parts = make(
            USERS.replace("instructions:", AUTHS[auth] + "\ninstructions:"),
            environ={"SECRET": SECRET},
            timeout=5,
            log_bodies=True,
        )
        results: list[Json] = []
        for status in (200, 401):
            for number, answer in enumerate(echoes([*texts.values()], status)):
                server.always(answer)
                results.append(parts.read("/users/7"))
                if number == 0 or (auth, forms) == (
                    "basic",
                    ["raw"],
                ):  # a write's answer goes the same way, and takes longer
                    results.append(parts.write("PUT", "/users/7", {"a": 1})[1])
        logged = capsys.readouterr().err
    assert server.requests
    assert all(
        SECRET in seen.raw.decode() or quote(SECRET, safe="") in seen.target or "Basic " in seen.raw.decode()
        for seen in server.requests
    )
    assert "api call" in logged
    for name, place in (
        ("results", json.dumps(results, ensure_ascii=False)),
        ("rows", parts.stored()),
        ("log", logged),
    ):
        for form, text in {"itself": SECRET, "in a URL": quote(SECRET, safe=""), **texts}.items():
            assert text not in place, (name, form)
            assert json.dumps(text)[1:-1] not in place, (name, form)


class logs_to_stderr:
    """The bot's own logging for a while."""

    def __enter__(self) -> None:
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level)
        set_up_logs()

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)


def test_bodies_are_logged_only_when_that_is_asked_for(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    with logs_to_stderr():
        make().write("PUT", "/users/7", {"salary": "of-ann"})
        assert "of-ann" not in capsys.readouterr().err
        make(log_bodies=True).write("PUT", "/users/7", {"salary": "of-ann"})
        assert "of-ann" in capsys.readouterr().err


# --- writes: what is sent ---------------------------------------------------------------------------------------------


WRITES: list[tuple[str, str, object]] = [
    (
        "PUT",
        "/users/7",
        {
            "name": "Ann & Bob <x>",
            "emoji": "👩‍🚀",
            "bidi": "\u202e",
            "nul": "\x00",
            "n": 12345678901234567890,
            "f": 1.0,
            "deep": [[{}]],
        },
    ),
    ("PATCH", "/users/a%20b%C3%A9", '{"a" :  1}'),
    ("POST", "/users", [1, 2]),
    ("POST", "/users", None),
    ("DELETE", "/users/%25%3F", None),
]


def test_what_is_sent_is_byte_for_byte_what_the_record_has(parts: BotParts, server: RestServer) -> None:
    for method, url, body in WRITES:
        server.requests.clear()
        proposal, _ = parts.write(method, url, body)
        (seen,) = server.requests
        assert seen.method == proposal.method == method
        assert server.url + seen.target == proposal.url
        assert seen.body == (proposal.body or "").encode()
        assert seen.headers["idempotency-key"] == proposal.proposal
        assert ("content-type" in seen.headers) == (proposal.body is not None), (method, url)


def test_a_read_that_always_asks_is_sent_as_a_record_too(parts: BotParts, server: RestServer) -> None:
    call = parts.call("GET", "/payroll")
    assert isinstance(call, Write)
    proposal, result = parts.write("GET", "/payroll")
    assert server.calls == [("GET", "/payroll")]
    assert (proposal.state, result["outcome"]) == (State.DONE, "done")


def test_writing_twice_sends_once(parts: BotParts, server: RestServer) -> None:
    proposal, _ = parts.write("DELETE", "/users/7")
    for _ in range(3):
        parts.gate.write(Approval(proposal.proposal))
    assert len(server.requests) == 1


def test_what_the_policy_approved_is_not_sent_along_with_what_people_decided(
    parts: BotParts, server: RestServer
) -> None:
    """It is its turn's to send, which may have been stopped by now."""
    by_policy = parts.approved("POST", "/open", {})
    assert parts.gate.write_decided(by_policy.turn) == []
    assert (server.requests, parts.row(by_policy).state) == ([], State.APPROVED)


def test_sixteen_writers_at_once_send_once(parts: BotParts, server: RestServer) -> None:
    proposal = parts.approved("DELETE", "/users/7")
    at_once(*[lambda: parts.gate.write(Approval(proposal.proposal))] * 16)
    assert len(server.requests) == 1
    assert parts.row(proposal).state is State.DONE
    assert parts.result(proposal)["outcome"] == "done"


def test_an_approval_of_nothing_sends_nothing(parts: BotParts, server: RestServer) -> None:
    parts.approved("DELETE", "/users/7")
    for approval in ("", "none", "' or 1=1 --", "x" * 5_000):
        parts.gate.write(Approval(approval))
        assert server.requests == [], approval


def test_a_pending_record_cannot_be_sent(parts: BotParts, server: RestServer) -> None:
    parts.replies.will(_delete())
    parts.ask()
    (pending,) = parts.pending()
    parts.gate.write(Approval(pending.proposal))
    assert (server.requests, parts.row(pending)) == ([], pending)


def _delete() -> Json:
    return calls(("DELETE", "/users/7"))


CHANGED = {
    "the operation is gone": USERS.replace(
        '  - {{method: DELETE, url: "/users/[id]", description: Removes., preview: false}}\n', ""
    ),
    "the api has another address": USERS.replace("{base}", "{base}/v2"),
    "the api has another host": USERS.replace("{base}", "http://127.0.0.1:1"),
    "the api has another name": USERS.replace("name: HR", "name: People"),
    "the parameter takes less": USERS.replace(
        'url: "/users/[id]", description: Removes.',
        'url: "/users/[id]", description: Removes., parameters: {{id: {{maximum: 5, type: integer}}}}',
    ),
    "the url became a longer one": USERS.replace('DELETE, url: "/users/[id]"', 'DELETE, url: "/users/[id]?hard=true"'),
}


def test_what_the_catalog_no_longer_allows_is_not_sent(parts: BotParts, make: Make, server: RestServer) -> None:
    for change, catalog in CHANGED.items():
        proposal = parts.approved("DELETE", "/users/7")
        later = make(catalog)
        later.gate.write(Approval(proposal.proposal))
        assert server.requests == [], change
        assert later.row(proposal).state is State.FAILED, change
        assert "Nothing was sent" in later.result(proposal)["note"], change
        assert "Nothing was sent" in json.dumps(later.cards(proposal.thread)[-1].arguments), change


def removed_by(rules: str) -> str:
    """USERS with these rules for the DELETE."""
    return USERS.replace(
        "description: Removes.", f"description: Removes., approval: {rules}".replace("{", "{{").replace("}", "}}")
    )


OTHERS = {
    "one person more": ("{approvers: [asker]}", "{approvers: [asker, U0BEN]}"),
    "another person": ("{approvers: [U0ANN]}", "{approvers: [U0BEN]}"),
    "one person less": ("{approvers: [U0ANN, U0BEN]}", "{approvers: [U0ANN]}"),
    "the asker in place of others": ("{approvers: [U0ANN]}", "{approvers: [asker]}"),
    "anyone in place of named people": ("{approvers: [U0ANN]}", "{approvers: [anyone-in-channel]}"),
    "not the asker": ("{approvers: [U0ANN, U0BEN]}", "{approvers: [U0ANN, U0BEN], not_asker: true}"),
    "two votes": ("{approvers: [U0ANN, U0BEN]}", "{approvers: [U0ANN, U0BEN], quorum: 2}"),
    "the method's own rule": ("{approvers: [U0ANN]}", "[{when: {required: [x]}, approvers: [U0ANN]}]"),
}


def test_an_approval_by_a_rule_that_now_names_others_is_asked_for_anew(make: Make, server: RestServer) -> None:
    said = "The catalog's rule about who decides changed after the card was posted."
    for change, rules in OTHERS.items():
        then, today = (removed_by(one) for one in rules)
        proposal = make(then).approved("DELETE", "/users/7")
        later = make(today)
        later.gate.write(Approval(proposal.proposal))
        assert server.requests == [], change
        assert later.row(proposal).state is State.STALE, change
        (renewed,) = (one for one in later.pending() if one.turn == proposal.turn)
        assert (renewed.url, renewed.votes) == (proposal.url, ()), change
        assert renewed.rule.people != proposal.rule.people, change
        assert said in renewed.why, change
        assert said in json.dumps(later.cards(proposal.thread)[-2].arguments), change


@pytest.mark.parametrize(
    ("then", "today"),
    [
        ("{approvers: [U0ANN, U0BEN]}", "{approvers: [U0BEN, U0ANN], expires: 5m, batch: true}"),
        ("{approvers: [asker]}", "always"),
    ],
)
def test_an_approval_by_a_rule_that_names_the_same_people_is_sent(
    make: Make, server: RestServer, then: str, today: str
) -> None:
    proposal = make(removed_by(then)).approved("DELETE", "/users/7")
    make(removed_by(today)).gate.write(Approval(proposal.proposal))
    assert server.calls == [("DELETE", "/users/7")]


def test_a_post_that_needed_nobody_waits_where_it_needs_somebody_by_now(make: Make, server: RestServer) -> None:
    proposal = make().approved("POST", "/open", {"a": 1})
    later = make(USERS.replace("approval: never", "approval: always"))
    later.gate.write(Approval(proposal.proposal))
    assert server.requests == []
    assert [one.url for one in later.pending()] == [proposal.url]


def test_a_post_that_needed_nobody_is_sent_where_it_still_needs_nobody(make: Make, server: RestServer) -> None:
    proposal = make().approved("POST", "/users", {"a": 1})
    make().gate.write(Approval(proposal.proposal))
    assert server.calls == [("POST", "/users")]


def test_a_groups_handle_that_cannot_be_looked_up_now_is_no_change_and_one_that_means_another_group_is(
    make: Make, server: RestServer, workspace: Workspace
) -> None:
    by_group = removed_by('{approvers: ["@crew"]}')
    crew = UserGroup("S0CREW", "crew", "Crew", (ANN,))
    workspace.groups[crew.id] = crew
    first, second = (make(by_group, directory=_directory(workspace)) for _ in range(2))
    kept, moved = first.approved("DELETE", "/users/7"), first.approved("DELETE", "/users/8")
    workspace.fault("usergroups.list", "error", times=2)
    second.gate.write(Approval(kept.proposal))
    assert server.calls == [("DELETE", "/users/7")]
    workspace.clear_faults()
    workspace.groups[crew.id] = replace(crew, handle="old-crew")
    workspace.groups["S0NEW"] = replace(crew, id="S0NEW")
    later = make(by_group, directory=_directory(workspace))
    later.gate.write(Approval(moved.proposal))
    assert server.calls == [("DELETE", "/users/7")]
    assert [one.rule.approvers for one in later.pending()] == [("S0NEW",)]


def test_a_click_for_a_large_set_looks_up_a_group_once(make: Make, workspace: Workspace) -> None:
    """Slack takes some twenty such look-ups a minute; one for each request would never come to an end."""
    parts = make(removed_by("{approvers: [S0LEADS], batch: true}"), directory=_directory(workspace))
    parts.replies.will(calls(*[("DELETE", f"/users/{i}") for i in range(30)]))
    parts.ask()
    (batch,) = {one.batch for one in parts.pending()}
    assert batch is not None
    changed = parts.gate.decide_all(batch, by=BEN, at=parts.clock(), arrival=0)
    assert [one.state for one in changed] == [State.APPROVED] * 30
    assert len(workspace.calls_of("usergroups.users.list")) == 1


def test_a_set_says_what_became_of_the_one_that_was_under_way_when_the_process_died(make: Make) -> None:
    parts = make(removed_by("{batch: true}"))
    parts.replies.will(calls(("DELETE", "/users/1"), ("DELETE", "/users/2")))
    thread = parts.ask()
    (batch,) = {one.batch for one in parts.pending()}
    assert batch is not None
    first, last = parts.gate.decide_all(batch, by=ANN, at=parts.clock(), arrival=0)
    parts.gate.write(Approval(first.proposal))
    assert parts.store.transition(last.proposal, Event.SEND, lambda _row: Effects()) is not None
    later = make(removed_by("{batch: true}"))
    assert later.gate.lose_unanswered() == [thread]
    assert "2 requests: 1 done, 1 outcome unknown" in later.cards(thread)[-1].arguments["text"]


def _directory(workspace: Workspace) -> SlackWeb:
    return SlackWeb(workspace.bot_token, workspace.api_url)


TWO = """
apis:
  - {{name: A, base_url: "{first}", endpoints: [{{method: GET, url: /x, description: d}}]}}
  - {{name: B, base_url: "{second}", auth: {{bearer: token-of-b}}, endpoints: [{{method: PUT, url: /y, description: d}}]}}
"""


@pytest.mark.parametrize(("first", "second"), [("{base}", "{base}"), ("{base}", "{base}/b"), ("{base}/b", "{base}")])
def test_an_approved_write_to_one_of_several_apis_of_a_host_is_sent(
    make: Make, server: RestServer, first: str, second: str
) -> None:
    parts = make(TWO.replace("{first}", first).replace("{second}", second))
    proposal, result = parts.write("PUT", "/y", {"a": 1})
    assert (proposal.state, result["outcome"]) == (State.DONE, "done")
    assert server.requests[0].headers["authorization"] == "Bearer token-of-b"


def test_every_write_that_can_be_proposed_can_be_sent(parts: BotParts, server: RestServer) -> None:
    """An approval that then fails for a reason known before is a person's time."""
    for name in ("7", "漢" * 300, "漢" * 900, "a+b", "%F0%9F%98%80" * 500, "100%25", ";x=1", "...", "[x]"):
        try:
            parts.call("DELETE", f"/users/{name}")
        except BadCall:
            continue
        assert parts.write("DELETE", f"/users/{name}")[0].state is State.DONE


# --- the target's preview ---------------------------------------------------------------------------------------------

GATED = """
name: HR
base_url: {base}
endpoints:
  - {{method: GET, url: "/users/[id]", description: Needs somebody., approval: always}}
  - {{method: GET, url: "/users/[id]/card", description: Shows.}}
  - {{method: DELETE, url: "/users/[id]", description: Removes.}}
"""


def test_a_preview_does_not_read_what_itself_needs_a_person(make: Make, server: RestServer) -> None:
    """`approval: always` is for reads that not everybody in the channel may see; a card would show it to all of them."""
    parts = make(GATED, timeout=60)
    server.always(reply('{"salary": 99999}'))
    parts.replies.will(calls(("DELETE", "/users/7")))
    thread = parts.ask()
    assert server.calls == []
    assert "99999" not in parts.stored()
    parts.press(parts.pending()[0])
    parts.advance(thread)
    assert server.calls == [("DELETE", "/users/7")]


@pytest.mark.parametrize(("preview", "shown"), [("", False), (', preview: "GET /users/[id]"', True)])
def test_a_preview_does_not_read_what_the_channel_may_not(
    make: Make, server: RestServer, preview: str, shown: bool
) -> None:
    """A card stands in the channel; what is named under `preview` is meant to be shown there."""
    only = 'channels: {{C0HR: {{operations: ["DELETE *"]}}}}\n'
    catalog = GATED.replace(", approval: always", "").replace(
        "description: Removes.", f"description: Removes.{preview}"
    )
    parts = make(catalog + only, timeout=60)
    server.always(reply('{"salary": 99999}'))
    parts.replies.will(calls(("DELETE", "/users/7")))
    thread = parts.ask()
    assert ("99999" in parts.stored()) is shown
    parts.press(parts.pending()[0])
    parts.advance(thread)
    assert server.calls == [("GET", "/users/7")] * (2 * shown) + [("DELETE", "/users/7")]


def test_a_preview_is_not_redirected_to_what_itself_needs_a_person(make: Make, server: RestServer) -> None:
    named = 'description: Removes., preview: "GET /users/[id]/card"'
    parts = make(GATED.replace("description: Removes.", named), timeout=60)
    server.will(to("/users/7"), reply('{"salary": 99999}'))
    parts.replies.will(calls(("DELETE", "/users/7")))
    parts.ask()
    assert server.calls == [("GET", "/users/7/card")]
    assert "99999" not in parts.stored()


def test_a_preview_carries_no_query_of_the_write(make: Make, server: RestServer) -> None:
    parts = make(
        """
base_url: "{base}"
endpoints:
  - {{method: GET, url: "/users/[id]?fields=[fields]", description: Shows.}}
  - {{method: DELETE, url: "/users/[id]?force=[force]", description: Removes.}}
""",
        timeout=60,
    )
    parts.replies.will(calls(("DELETE", "/users/7?force=true")))
    parts.ask()
    assert server.calls == [("GET", "/users/7")]


# --- policy and clicks ------------------------------------------------------------------------------------------------


WAYS = [
    ("GET", "/users/7", True, "read"),
    ("HEAD", "/users", True, "read"),
    ("GET", "/payroll", False, "ask"),
    ("POST", "/users", False, "send"),
    ("POST", "/users", True, "ask"),
    ("POST", "/open", True, "send"),
    ("POST", "/open", False, "send"),
    ("POST", "/shut", False, "ask"),
    ("PUT", "/users/7", False, "ask"),
    ("PATCH", "/users/7", False, "ask"),
    ("DELETE", "/users/7", False, "ask"),
]


def test_who_decides(parts: BotParts) -> None:
    for method, url, tainted, way in WAYS:
        call = parts.call(method, url, {} if method in ("POST", "PUT", "PATCH") else None, tainted=tainted)
        found = "read" if isinstance(call, Read) else "send" if call.by_policy else "ask"
        assert found == way, (method, url, tainted)
        if isinstance(call, Write):
            assert call.tainted == (way == "ask" and url == "/users"), (
                f"{method} {url}: the card says why a POST that may go by itself waits"
            )


def pending(parts: BotParts) -> Any:
    parts.replies.will(_delete())
    parts.ask()
    return parts.pending()[-1]


def test_the_asker_decides_and_nobody_else(parts: BotParts, server: RestServer) -> None:
    proposal = pending(parts)
    for decision in ("approve", "deny"):
        with pytest.raises(Refused, match=ANN):
            parts.press(proposal, decision, by=BEN)
    assert parts.row(proposal) == proposal
    assert parts.press(proposal).state is State.APPROVED


def test_a_forged_token_decides_nothing(parts: BotParts) -> None:
    proposal = pending(parts)
    for token in ("", "x", "' or 1=1 --", "0" * 32, proposal.proposal):  # the last one the model or a log may know
        with pytest.raises(Refused):
            parts.gate.decide(token, "approve", by=ANN, at=parts.clock(), arrival=0)
        with pytest.raises(Refused, match=r"^$"):
            parts.gate.decide_all(token, by=ANN, at=parts.clock(), arrival=0)
    assert parts.row(proposal) == proposal


def test_the_model_never_sees_the_token_or_the_record_s_id(parts: BotParts, server: RestServer) -> None:
    proposal = pending(parts)
    parts.press(proposal)
    parts.advance(proposal.thread)
    seen = json.dumps(parts.replies.asked)
    assert proposal.token not in seen
    assert proposal.proposal not in seen


def test_twelve_clicks_at_once_are_one_decision_and_one_request(parts: BotParts, server: RestServer) -> None:
    proposal = pending(parts)

    def press(number: int) -> str:
        try:
            return parts.press(proposal, "approve" if number % 2 else "deny", by=BEN if number % 3 == 0 else ANN).state
        except Refused:
            return "refused"

    outcomes = at_once(*[lambda n=n: press(n) for n in range(12)])
    assert sorted(outcomes)[1:] == ["refused"] * 11 or outcomes.count("refused") == 11
    parts.advance(proposal.thread)
    row = parts.row(proposal)
    assert len(server.requests) == (1 if row.state is State.DONE else 0)
    assert row.state in (State.DONE, State.REJECTED)


def test_a_click_on_what_is_decided_is_told_so_but_not_to_who_decided(parts: BotParts) -> None:
    proposal = pending(parts)
    parts.press(proposal)
    for by, told in ((BEN, "This one has already been decided, so your click changed nothing."), (ANN, "")):
        with pytest.raises(Refused) as refused:
            parts.press(proposal, by=by)
        assert str(refused.value) == told


def test_a_click_after_the_time_is_over_approves_nothing(parts: BotParts, server: RestServer) -> None:
    proposal = pending(parts)
    late_ = proposal.expires_at
    changed = parts.gate.decide(proposal.token, "approve", by=ANN, at=late_, arrival=0)
    assert changed.state is State.EXPIRED
    parts.advance(proposal.thread)
    assert server.requests == []
    assert parts.result(proposal)["outcome"] == "expired"


def test_a_record_that_ended_can_not_be_approved_or_sent_any_more(parts: BotParts, server: RestServer) -> None:
    for state in (State.EXPIRED, State.REJECTED, State.WITHDRAWN):
        proposal = pending(parts)
        match state:
            case State.EXPIRED:
                parts.clock.ahead = 7_200  # type: ignore[attr-defined]
                parts.gate.expire_due()
            case State.REJECTED:
                parts.press(proposal, "deny")
            case _:
                parts.gate.withdraw(proposal.turn)
        ended = parts.row(proposal)
        assert ended.state is state
        with pytest.raises(Refused):
            parts.press(proposal)
        parts.gate.write(Approval(proposal.proposal))
        assert (parts.row(proposal), server.requests) == (ended, [])


def test_a_write_that_leaves_while_its_turn_is_stopped_is_not_told_as_unsent(
    parts: BotParts, server: RestServer
) -> None:
    parts.replies.will(calls(("DELETE", "/users/7"), ("DELETE", "/users/8")))
    parts.ask()
    waiting, approved = parts.pending()
    parts.press(approved)
    is_over = threading.Event()

    def answer(_seen: Seen) -> Iterator[Piece]:
        is_over.wait(60)
        yield reply()

    server.will(answer)
    sending = threading.Thread(target=parts.gate.write, args=(Approval(approved.proposal),))

    def send(_thread: str) -> None:
        """Heard in the middle of the withdrawal, between the one request and the other."""
        parts.hears = lambda _thread: None
        sending.start()
        until(lambda: server.requests)

    parts.hears = send
    parts.gate.withdraw(waiting.turn)
    assert parts.gate.is_sending(waiting.turn)
    is_over.set()
    sending.join()
    assert (parts.row(waiting).state, parts.row(approved).state) == (State.WITHDRAWN, State.DONE)
    assert server.calls == [("DELETE", "/users/8")]


def test_a_fault_while_a_write_is_under_way_ends_the_turn_only_after_it(
    parts: BotParts, server: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.replies.will(calls(("DELETE", "/users/7"), ("DELETE", "/users/8")), says("One is gone, one waits."))
    thread = parts.ask()
    waiting, approved = parts.pending()
    parts.press(approved)
    is_over = threading.Event()

    def answer(_seen: Seen) -> Iterator[Piece]:
        is_over.wait(LONG)
        yield reply()

    def fault(_turn: str) -> list[Approval]:
        raise RuntimeError("a fault")

    server.will(answer)
    sending = threading.Thread(target=parts.gate.write, args=(Approval(approved.proposal),))
    sending.start()
    until(lambda: server.requests)
    with monkeypatch.context() as broken:
        broken.setattr(parts.gate, "approved_by_policy", fault)
        parts.advance(thread)
    assert parts.told(thread) == []
    assert parts.row(waiting).state is State.PENDING

    is_over.set()
    sending.join(LONG)
    parts.press(waiting, "deny")
    parts.advance(thread)
    assert parts.told(thread) == ["One is gone, one waits."]
    assert [parts.row(one).state for one in (waiting, approved)] == [State.REJECTED, State.DONE]


def test_what_a_dead_process_left_in_sending_becomes_unknown_and_is_never_sent(
    parts: BotParts, make: Make, server: RestServer
) -> None:
    proposal = parts.approved("DELETE", "/users/7")
    parts.store.transition(proposal.proposal, Event.SEND, lambda _: Effects(), sent_at=1.0)
    later = make()
    assert later.gate.lose_unanswered() == [proposal.thread]
    later.gate.write(Approval(proposal.proposal))
    assert later.row(proposal).state is State.UNKNOWN
    assert server.requests == []


def test_who_is_overtaken_while_a_write_is_on_its_way_goes_no_further(
    parts: BotParts, make: Make, server: RestServer
) -> None:
    """How it ended is for who has the thread by now to say; the turn's own work ends here, and asks no model."""
    proposal, other = parts.approved("DELETE", "/users/7"), make()

    def answer(_seen: Seen) -> list[bytes]:
        with other.store.holding(proposal.thread):
            return [reply("", 204)]

    server.always(answer)
    with parts.store.holding(proposal.thread), pytest.raises(Overtaken):
        parts.gate.write(Approval(proposal.proposal))
    assert (len(server.requests), parts.row(proposal).state) == (1, State.SENDING)


class FailingClock(Clock):
    """Fails once, when it is told to."""

    fails = False

    def __call__(self) -> float:
        if self.fails:
            self.fails = False
            raise RuntimeError("a fault")
        return super().__call__()


def test_a_fault_behind_a_write_leaves_its_outcome_open_and_is_heard_of(make: Make, server: RestServer) -> None:
    clock = FailingClock()
    parts = make(clock=clock)
    proposal = parts.approved("DELETE", "/users/7")

    def answer(_seen: Seen) -> list[bytes]:
        clock.fails = True
        return [reply("", 204)]

    server.always(answer)
    with pytest.raises(RuntimeError, match="a fault"):
        parts.gate.write(Approval(proposal.proposal))
    assert parts.row(proposal).state is State.UNKNOWN


def test_what_is_not_unknown_is_not_looked_at(parts: BotParts, server: RestServer) -> None:
    proposal, _ = parts.write("DELETE", "/users/7")
    asked, said = len(server.requests), len(parts.store.due_posts(proposal.thread))
    for one in (proposal.proposal, "none"):
        parts.gate.show_target(one)
    assert (len(server.requests), len(parts.store.due_posts(proposal.thread))) == (asked, said)


def test_a_message_that_slack_refuses_and_that_is_no_card_takes_nothing_back(parts: BotParts) -> None:
    proposal = pending(parts)
    parts.gate.unshown("an answer")
    assert parts.row(proposal) == proposal


def test_the_gate_has_no_way_to_send_what_no_record_has() -> None:
    """`write` takes an approval and nothing else; an approval names a record and carries nothing of it."""
    assert list(inspect.signature(Gate.write).parameters) == ["self", "approval"]
    assert set(Approval.__dataclass_fields__) == {"proposal"}
