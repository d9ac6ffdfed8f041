"""A token is kept until shortly before its end, and fetched by one thread at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from identity.callers import NoCredential
from identity.held_tokens import HeldToken, Token


class Server:
    """Gives tokens by number, or fails."""

    def __init__(self, lasts: float = 3600) -> None:
        self.now = 1000.0
        self.given = 0
        self.is_away = False
        self.before: Callable[[], None] = lambda: None
        self.lasts = lasts
        self.held = HeldToken(self.fetch, lambda: self.now)

    def fetch(self, by: float) -> Token:
        self.before()
        if self.is_away:
            raise NoCredential("away")
        self.given += 1
        return Token.lasting(f"token {self.given}", self.lasts, self.now)

    def text(self) -> str:
        return self.held.text(time.monotonic() + 60)

    def is_renewed(self, *refused: str) -> bool:
        return self.held.is_renewed(refused, time.monotonic() + 60)


@pytest.mark.parametrize(("lasts", "kept"), [(3600, 3539), (120, 59), (60, 29), (1, 0.4)])
def test_a_token_is_renewed_a_minute_before_its_end_or_at_half_of_its_time(lasts: float, kept: float) -> None:
    server = Server(lasts)
    assert server.text() == "token 1"
    server.now += kept
    assert server.text() == "token 1"
    server.now += 2
    assert server.text() == "token 2"


def test_a_refused_token_is_renewed_once_and_everybody_takes_the_new_one() -> None:
    server = Server()
    first = server.text()
    server.now += 11
    assert [server.is_renewed(first) for _ in range(5)] == [True] * 5
    assert (server.text(), server.given) == ("token 2", 2)


def test_a_token_that_is_refused_when_it_is_new_is_not_fetched_again_at_each_call() -> None:
    server = Server()
    assert [server.is_renewed(server.text()) for _ in range(5)] == [False] * 5
    assert server.given == 1


def test_while_the_server_is_away_a_token_is_used_to_its_end_and_the_server_asked_now_and_then() -> None:
    server = Server()
    server.text()
    server.is_away = True
    tries = []
    server.before = lambda: tries.append(server.now)
    server.now += 3545
    for _ in range(20):
        assert server.text() == "token 1"
        server.now += 1
    assert tries == [4545.0, 4550.0, 4555.0, 4560.0]
    server.now += 60
    with pytest.raises(NoCredential, match="away"):
        server.text()


def test_many_threads_fetch_one_token() -> None:
    server = Server()
    told: list[str] = []
    threads = [threading.Thread(target=lambda: told.append(server.text())) for _ in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (set(told), server.given) == ({"token 1"}, 1)


def test_those_who_wait_while_it_fails_do_not_ask_one_after_another() -> None:
    server = Server()
    server.is_away = True
    tries: list[float] = []
    held = threading.Event()

    def before() -> None:
        tries.append(0)
        held.wait(60)

    server.before = before
    told: list[str] = []

    def ask() -> None:
        with pytest.raises(NoCredential) as caught:
            server.text()
        told.append(str(caught.value))

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for one in threads:
        one.start()
    while not tries:
        time.sleep(0.01)
    time.sleep(0.3)  # so that the others have begun to wait; who comes later asks for itself, which is counted below
    held.set()
    for one in threads:
        one.join()
    assert told == ["away"] * 10
    assert len(tries) < 10


def test_who_waits_for_another_thread_waits_no_longer_than_there_is_time() -> None:
    server = Server()
    held = threading.Event()

    def before() -> None:
        held.wait(60)

    server.before = before
    first = threading.Thread(target=server.text)
    first.start()
    while not server.held._lock.locked():
        time.sleep(0.01)
    with pytest.raises(NoCredential, match="did not come in time"):
        server.held.text(time.monotonic() + 0.05)
    held.set()
    first.join()


def test_no_token_is_in_its_repr() -> None:
    assert "abc" not in repr(Token.lasting("abc", 10, 0))
