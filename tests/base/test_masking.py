"""A secret across a cut: whatever is cut, for size or since it broke off, no part of a secret is left at its end."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.masking import HIDDEN, beginning_at_end, mask
from catalog.calls import resolve
from catalog.catalog import load_catalog
from catalog.credentials import spellings
from catalog.validate import shortened
from slack_io.steps import step
from tests.gate.test_gate import FORMS, logs_to_stderr
from tests.harness.bot_parts import BotParts, Json, calls, tool_results
from tests.harness.databases import rows
from tests.harness.rest_server import RestServer, reply, to

SECRET = "s3cret-of-forty-letters.0123456789-abcde"
ODD = 's3cret/k+"y=&<e> of all'  # written otherwise in most forms
PART = 6  # characters of it that would tell
MOST = 2_000  # bytes of an answer
CATALOG = """
name: HR
base_url: {base}
auth: {{bearer: '{secret}'}}
endpoints:
  - {{method: GET, url: "/users/[id]", description: Shows.}}
  - {{method: PUT, url: "/users/[id]", description: Replaces., preview: false}}
  - method: GET
    url: /people?at=[at]
    description: Lists.
    pagination: {{style: cursor, parameter: at, items: data, next: next}}
  - method: GET
    url: /people/[id]
    description: Shows.
    parameters: {{id: {{type: integer, lookup: {{operation: GET /people, match: [name], id: id}}}}}}
  - method: GET
    url: /codes/[id]
    description: Shows.
    parameters: {{id: {{type: string, lookup: {{operation: GET /people, match: [name], id: id}}}}}}
recipes:
  - workflowId: show
    description: Shows.
    steps:
      - {{stepId: one, operation: "GET /users/[id]", parameters: {{id: "7"}}, outputs: {{all: "$response.body"}}}}
"""


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as running:
        yield running


Make = Callable[..., BotParts]


@pytest.fixture
def make(tmp_path: Path, server: RestServer) -> Iterator[Make]:
    made: list[BotParts] = []

    def make(secret: str = SECRET, **options: Any) -> BotParts:
        text = CATALOG.format(base=server.url, secret=secret.replace("'", "''"))
        one = BotParts(tmp_path, text, timeout=60, **options)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


# --- an answer that is too large, or breaks off -----------------------------------------------------------------------

KINDS: dict[str, tuple[str, str, str]] = {  # media type, what stands before the secret, what fills up
    "words": ("text/plain", "key: ", "x"),
    "JSON": ("application/json", '{"key": "', "x"),
    "a table": ("text/csv", "a,b\n1,", "x"),
    "lines of JSON": ("application/x-ndjson", '{"a": 1}\n{"key": "', "x"),
    "a page": ("text/html", "<p>", "x"),
}
Way = Literal["read", "write", "recipe"]
WAYS: tuple[Way, ...] = ("read", "write", "recipe")


def told(parts: BotParts, way: Way) -> Json:
    """What the model gets."""
    match way:
        case "read":
            return parts.read("/users/7")
        case "write":
            return parts.write("PUT", "/users/7", {})[1]
        case "recipe":
            parts.replies.will(calls({"method": "RUN", "url": "show"}))
            parts.ask()
            return tool_results(parts.replies.asked[-1])[0]


@pytest.mark.parametrize("way", WAYS)
def test_no_part_of_a_secret_is_left_where_an_answer_is_too_large(make: Make, server: RestServer, way: Way) -> None:
    parts = make(max_response=MOST)
    for kind in KINDS:
        media, before, filler = KINDS[kind]
        for left in (PART, 20, len(SECRET) - 1, len(SECRET)) if way == "read" else (len(SECRET) - 1,):
            content = (before + filler * MOST)[: MOST - left] + SECRET + "y" * MOST
            server.always(reply(content, kind=media))
            assert SECRET[:PART] not in json.dumps(told(parts, way)), (kind, left)


@pytest.mark.parametrize("way", WAYS)
def test_no_part_of_a_secret_is_left_where_an_answer_breaks_off(make: Make, server: RestServer, way: Way) -> None:
    parts = make()
    for kind in KINDS:
        media, before, filler = KINDS[kind]
        for left in (PART, len(SECRET) - 1)[0 if way == "read" else 1 :]:
            content = (before + filler * 50 + SECRET[:left]).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {len(content) + 99}\r\n\r\n".encode()
            server.always(head + content)
            assert SECRET[:PART] not in json.dumps(told(parts, way)), (kind, left)


REPEATED: list[str] = [form for form in FORMS if form not in ("basic's pair in base64", "JSON in JSON")]


def test_no_part_of_one_is_left_in_whatever_form_it_is_repeated(make: Make, server: RestServer) -> None:
    parts = make(ODD, max_response=MOST)
    for form in REPEATED:
        text = FORMS[form](ODD)
        for left in range(16, len(text), 5):
            server.always(reply("x" * (MOST - left) + text + "y" * MOST, kind="text/plain"))
            assert text[:16] not in parts.read("/users/7")["data"], (form, left)


def test_an_answer_that_fits_keeps_its_end(make: Make, server: RestServer) -> None:
    server.always(reply(f"ends with {SECRET[:20]}", kind="text/plain"))
    assert make().read("/users/7")["data"].endswith(SECRET[:20])  # nothing was cut: so the API wrote it


@given(st.text(alphabet="abc", max_size=12), st.lists(st.text(alphabet="abc", min_size=2, max_size=6), max_size=3))
def test_the_beginning_at_an_end_is_the_longest_there_is(text: str, secrets: list[str]) -> None:
    size = beginning_at_end(text, secrets)
    fits = [n for one in secrets for n in range(1, len(one)) if text.endswith(one[:n])]
    assert size == max(fits, default=0)


@given(st.binary(max_size=4), st.text("aZ09-.~", min_size=12, max_size=30), st.binary(max_size=4))
def test_in_base64_nothing_tells_how_a_secret_ends(before: bytes, secret: str, after: bytes) -> None:
    """Its first character may be shared with what stands before it; the last one that has a bit of it is hidden."""
    forms = sorted(spellings(secret), key=len, reverse=True)
    own = before + secret.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        coded = encode(own + after).decode()
        _, hidden, rest = mask(coded, forms).partition(HIDDEN)
        assert hidden
        assert rest.rstrip("=") == coded[-(-len(own) * 8 // 6) :].rstrip("=")


# --- our own cuts -----------------------------------------------------------------------------------------------------


@given(before=st.text(max_size=130), limit=st.integers(2, 120))
def test_what_we_cut_and_mark_as_cut_shows_no_part_of_a_secret(before: str, limit: int) -> None:
    shown = mask(shortened(f"{before}{SECRET} and more", limit), [SECRET])
    assert SECRET[:4] not in shown.replace(before, "", 1)


def test_other_cuts_stay_what_they_are() -> None:
    for text in ("and so on…", "…", "a…b…c", "s…", "", "s3c…"):
        assert mask(text, [SECRET]) == text, text


@pytest.mark.parametrize("where", ["a redirect", "a next page"])
def test_the_log_of_a_place_that_was_not_followed_shows_no_part_of_a_secret(
    make: Make, server: RestServer, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with logs_to_stderr():
        parts = make()
        for size in range(60, 130, 7):
            place = f"{server.url}/{'x' * size}{SECRET}"
            server.will(to(place) if where == "a redirect" else reply("[1]", 200, f'Link: <{place}>; rel="next"'))
            assert SECRET[:PART] not in json.dumps(parts.read("/users/7", all_pages=where == "a next page"))
        logged = capsys.readouterr().err
    assert logged.count("not followed") == 10
    assert SECRET[:PART] not in logged


def test_a_media_type_is_named_without_any_part_of_a_secret(make: Make, server: RestServer) -> None:
    parts = make(SECRET + "-and-more")
    server.always(reply(b"\xff\xfe\xfa", kind=f"application/{SECRET}-and-more"))
    assert "no text" in parts.read("/users/7")["note"]
    assert SECRET[:PART] not in json.dumps(parts.read("/users/7"))


def test_a_status_shows_no_part_of_a_secret() -> None:
    catalog = load_catalog(CATALOG.format(base="http://h", secret=SECRET), {})
    for url in (f"/users/{SECRET}", f"/users/xx{SECRET}"):
        assert SECRET[:PART] in step(resolve(catalog, {"method": "GET", "url": url}))
        assert SECRET[:PART] not in step(resolve(catalog, {"method": "GET", "url": url}), 0, [SECRET])


# --- an API that gives one as a value ---------------------------------------------------------------------------------


def test_a_place_of_a_further_page_shows_none_in_status_and_journal(make: Make, server: RestServer) -> None:
    parts = make()
    first = reply(json.dumps({"data": [{"id": 1, "name": "Ann"}], "next": SECRET}))
    last = reply(json.dumps({"data": [{"id": 2, "name": "Bob"}]}))
    server.will(first, last)
    parts.replies.will(calls(("GET", "/people/Bob")))  # looked up, page by page
    parts.ask()
    assert [target for _, target in server.calls] == ["/people", f"/people?at={SECRET}", "/people/2"]
    assert parts.status.texts
    journal = json.dumps(rows(parts.url, "journal"))
    assert "look" in journal
    for text in (journal, json.dumps(parts.status.texts)):
        assert SECRET[:PART] not in text


def test_a_candidate_whose_id_is_one_is_told_without(make: Make, server: RestServer) -> None:
    people = [{"id": f"key {SECRET}", "name": "Ann"}, {"id": "2", "name": "Ann"}]
    server.always(reply(json.dumps({"data": people})))
    parts = make()
    parts.replies.will(calls(("GET", "/codes/Ann")))
    parts.ask()
    (result,) = tool_results(parts.replies.asked[-1])
    assert [one["id"] for one in result["data"]] == [f"key {HIDDEN}", "2"]
