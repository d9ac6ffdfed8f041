"""What comes packed: unpacked to the byte, within the bounds that the caller sets, and never more than once."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.settings import Misconfigured
from base.slack_errors import SlackUnsure
from base.unpack import BadPacking, TooLarge, unpacked
from catalog.importer.fetching import Order, make
from model.chat import ChatServer, ModelFailed
from slack_io.web_api import SlackWeb
from tests.harness.bot_parts import USERS, BotParts
from tests.harness.cases import case
from tests.harness.examples import times
from tests.harness.rest_server import Piece, RestServer, Seen, reply
from tests.model.test_chat import MESSAGES, Listener

MANY = 10**9  # more than any test has
MB = 1_000_000


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


WAYS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "in capitals": (" GZip ", gzip.compress),
    "its old name": ("x-gzip", gzip.compress),
    "in two parts": ("gzip", lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:])),
    "with an empty part": ("gzip", lambda data: gzip.compress(b"") + gzip.compress(data)),
    "with padding": ("gzip", lambda data: gzip.compress(data) + bytes(20)),
    "deflate": ("deflate", zlib.compress),
    "deflate without its head": ("deflate", raw_deflate),
    "not packed": ("", bytes),
    "identity": ("identity", bytes),
    "a name that is none": ("utf-8", bytes),
    "gzip, and identity": ("identity, gzip", gzip.compress),
}


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


# --- one body ---------------------------------------------------------------------------------------------------------


@times(4)
@given(
    way=st.sampled_from([*WAYS]),
    data=st.binary(max_size=300) | st.binary(max_size=3).map(lambda one: one * 70_000),
    size=st.integers(1, 70_000),
)
def test_a_body_is_unpacked_to_the_byte_however_it_comes(way: str, data: bytes, size: int) -> None:
    coding, pack = WAYS[way]
    packed = pack(data)
    assert b"".join(unpacked(in_pieces(packed, max(size, len(packed) // 50)), coding, MANY)) == data


def read(pieces: Iterable[bytes], coding: str, most: int) -> tuple[list[bytes], int | None]:
    """The pieces that came, and the bound where it was met."""
    came: list[bytes] = []
    try:
        for piece in unpacked(pieces, coding, most):
            came.append(piece)
    except TooLarge as error:
        return came, error.most
    return came, None


@given(data=st.binary(max_size=200), most=st.integers(0, 200))
def test_as_much_is_read_as_may_be_and_the_rest_is_said(data: bytes, most: int) -> None:
    came, bound = read(in_pieces(data, 7), "", most)
    assert (b"".join(came), bound) == (data[:most], most if len(data) > most else None)


def test_a_bomb_is_made_in_small_pieces_and_no_further_than_the_bound() -> None:
    came, bound = read([gzip.compress(bytes(50 * MB))], "gzip", 3 * MB)
    assert (sum(map(len, came)), bound) == (3 * MB, 3 * MB)
    assert max(map(len, came)) <= 65_536


def test_what_makes_nothing_is_bounded_too() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield gzip.compress(b"") * 100

    with pytest.raises(TooLarge):
        list(unpacked(endless(), "gzip", MB))


def test_what_stands_behind_the_end_is_not_read() -> None:
    came = iter([gzip.compress(b"{}"), b"no part of it", b"never asked for"])
    assert b"".join(unpacked(came, "gzip", MB)) == b"{}"
    assert list(came) == [b"never asked for"]


def test_what_cannot_be_unpacked_is_said() -> None:
    cases: list[tuple[str, bytes]] = [
        ("gzip", b"no gzip"),
        ("gzip", gzip.compress(b"half of it" * 99)[:-9]),
        ("gzip", gzip.compress(b"one") + gzip.compress(b"two")[:-1]),
        ("gzip", gzip.compress(b"its sum is wrong")[:-8] + bytes(8)),
        ("deflate", zlib.compress(b"half of it" * 99)[:-9]),
        ("deflate", b"\xff\xff\xff"),
        ("br", b"\x0b\x02\x80{}\x03"),
        ("zstd", b"{}"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}"))),
        ("gzip,deflate", b"{}"),
        ("gzip, br", b"{}"),
    ]
    for coding, body in cases:
        with case(coding), pytest.raises(BadPacking):
            list(unpacked(in_pieces(body, 5), coding, MANY))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_no_body_is_an_empty_one(coding: str) -> None:
    assert list(unpacked([], coding, MANY)) == []


# --- whoever answers --------------------------------------------------------------------------------------------------


@contextmanager
def little_memory() -> Iterator[None]:
    """What is done inside needs less than 60 MB, where one that unpacks all needs more than a hundred."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * MB, f"{peak:,} bytes"


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as running:
        yield running


@cache
def bomb(before: bytes = b"", after: bytes = b"") -> bytes:
    """A small body that unpacks to 100 MB."""
    packer = zlib.compressobj(1, wbits=31)
    parts = [packer.compress(before), *(packer.compress(b"a" * MB) for _ in range(100)), packer.compress(after)]
    return b"".join([*parts, packer.flush()])


@cache
def nested() -> bytes:
    """Some bytes that, unpacked four times, keep a processor busy for a while and make nothing."""
    packer = zlib.compressobj(1, wbits=31)
    once = [packer.compress(gzip.compress(b"")), *(packer.compress(bytes(MB)) for _ in range(200)), packer.flush()]
    return gzip.compress(gzip.compress(b"".join(once)))


ANSWER = b'{"choices":[{"index":0,"message":{"content":"', b'"},"finish_reason":"stop"}]}'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"', b'"},"finish_reason":"stop"}]}\n\n'
GZIP = "Content-Encoding: gzip"
MODELS: dict[str, Callable[[], bytes]] = {
    "a whole answer": lambda: reply(bomb(*ANSWER), 200, GZIP),
    "a whole answer to what is no stream": lambda: reply(bomb(*ANSWER), 200, GZIP, kind="text/plain"),
    "one event of a stream": lambda: reply(bomb(*EVENT), 200, GZIP, kind="text/event-stream"),
    "a refusal": lambda: reply(bomb(b'{"error":{"message":"', b'"}}'), 401, GZIP),
    "lists in a list": lambda: reply(b"[" + b"[]," * (2 * MB) + b"[]]"),
}


@pytest.mark.parametrize("answer", MODELS.values(), ids=MODELS)
def test_the_models_answer_is_bounded_whatever_it_unpacks_to(server: RestServer, answer: Callable[[], bytes]) -> None:
    model = ChatServer(api_key="k", base_url=f"{server.url}/v1", model="m", timeout=30)
    server.always(answer())
    with little_memory(), pytest.raises(ModelFailed, match=r"an answer larger than [\d,]+ bytes"):
        model.complete(MESSAGES, [], Listener())
    assert len(server.requests) == 1  # the next one would be as large


@pytest.mark.parametrize("streams", [True, False])
def test_a_model_that_packs_its_answers_is_understood(server: RestServer, streams: bool) -> None:
    begin, end = EVENT if streams else ANSWER
    kind = "text/event-stream" if streams else "application/json"
    server.always(reply(gzip.compress(begin + b"Hello." + end), 200, GZIP, kind=kind))
    found: Any = ChatServer(api_key="k", base_url=server.url, model="m", timeout=30).complete(MESSAGES, [], Listener())
    assert found["choices"][0]["message"]["content"] == "Hello."
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.fixture
def parts(tmp_path: Path, server: RestServer) -> Iterator[BotParts]:
    one = BotParts(tmp_path, USERS.format(base=server.url), timeout=20, max_response=2 * MB)
    yield one
    one.close()


@pytest.mark.parametrize("method", ["read", "write"])
def test_the_apis_answer_is_bounded_whatever_it_unpacks_to(parts: BotParts, server: RestServer, method: str) -> None:
    server.always(reply(bomb(), 200, GZIP, kind="text/plain"))
    with little_memory():
        found = parts.read("/users/7") if method == "read" else parts.write("PUT", "/users/7", {})[1]
    assert "larger than 2,000,000 bytes; the rest was not read" in found["note"]
    assert found["data"].startswith("aaaa")


def test_an_answer_that_was_packed_again_and_again_holds_nobody_up(parts: BotParts, server: RestServer) -> None:
    server.always(reply(nested(), 200, "Content-Encoding: gzip, gzip, gzip, gzip"))
    began = time.process_time()
    assert "compression could not be undone" in parts.read("/users/7")["note"]
    assert time.process_time() - began < 1  # of the processor's time: no layer of it was unpacked


def test_an_api_that_goes_on_behind_the_end_of_its_answer_is_not_heard(parts: BotParts, server: RestServer) -> None:
    def endless(_seen: Seen) -> Iterator[Piece]:
        yield f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{GZIP}\r\n\r\n".encode()
        yield gzip.compress(b'{"a": 1}')
        while True:
            yield bytes(65_536)

    server.always(endless)
    with little_memory():
        assert parts.read("/users/7")["data"] == {"a": 1}


def test_slacks_answer_is_bounded(server: RestServer) -> None:
    server.always(reply(b'{"ok": true, "a": "' + b"a" * (60 * MB) + b'"}'))
    with little_memory(), pytest.raises(SlackUnsure, match="TooLarge"):
        SlackWeb("xoxb-local", f"{server.url}/api/", timeout=30).call("auth.test", {})


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip, gzip, gzip"])
def test_a_description_to_import_is_bounded_whatever_it_unpacks_to(server: RestServer, coding: str) -> None:
    body = bomb() if coding == "gzip" else nested()
    server.always(reply(body, 200, f"Content-Encoding: {coding}"))
    told = "too large or too slow" if coding == "gzip" else "cannot be read"
    with pytest.raises(Misconfigured, match=told):
        make(Order(f"{server.url}/openapi.json"))


def test_a_description_that_comes_packed_is_imported(server: RestServer) -> None:
    path = {"get": {"responses": {"200": {"description": "All."}}, "summary": "Lists."}}
    shop = {"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": {"/a": path}}
    server.always(reply(gzip.compress(json.dumps(shop).encode()), 200, GZIP))
    assert "url: /a" in make(Order(f"{server.url}/openapi.json")).text
