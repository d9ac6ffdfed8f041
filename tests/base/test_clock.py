"""Somebody sets the clock, an hour back or forth: what waits for people keeps the time that it has left."""

from __future__ import annotations

import time

import pytest

from base.clock import SteadyClock
from tests.harness.databases import rows
from tests.harness.whole_bot import Person, Script, StartBot, calls, card_text, says, until

HOUR = 3_600.0
REMOVE_TOM = calls(("DELETE", "/api/users/7"))


class Wall:
    """The machine's clock, and by how much somebody set it."""

    def __init__(self) -> None:
        self.moved = 0.0

    def __call__(self) -> float:
        return time.time() + self.moved


def test_time_goes_on_steadily_from_the_clock_at_the_start() -> None:
    wall, steady = [1_000.0], [5.0]
    clock = SteadyClock(lambda: wall[0], lambda: steady[0])
    assert clock() == 1_000.0
    wall[0], steady[0] = 1_000.0 + HOUR + 7, 12.0
    assert clock() == 1_007.0
    assert clock.jump() == HOUR
    assert clock() == 1_007.0
    clock.follow(HOUR)
    assert (clock(), clock.jump()) == (1_007.0 + HOUR, 0.0)


def test_what_drifts_is_followed_without_a_word() -> None:
    wall, steady = [1_000.0], [5.0]
    clock = SteadyClock(lambda: wall[0], lambda: steady[0])
    wall[0], steady[0] = 1_010.0, 14.0
    assert clock.jump() == 0.0
    assert clock() == 1_010.0


@pytest.mark.parametrize("moved", [1.5 * HOUR, -1.5 * HOUR], ids=["forth", "back"])
def test_a_request_is_approved_after_the_clock_was_set(
    start_bot: StartBot, ann: Person, model: Script, moved: float
) -> None:
    wall = Wall()
    bot = start_bot(clock=SteadyClock(wall))
    model.will(REMOVE_TOM, REMOVE_TOM, says("Tom is gone."))
    talk = ann.asks("remove Tom Berg")
    card = talk.card()
    (before,) = rows(bot.settings.database_url, "proposals")

    wall.moved = moved
    other = ann.asks("remove him")  # another request has the clock looked at
    other.card()
    until(lambda: abs(bot.clock() - wall()) < 1)

    def has_moved() -> bool:  # the clock is followed before the rows, or after them
        (after, _) = sorted(rows(bot.settings.database_url, "proposals"), key=lambda row: row["reply"])
        return all(abs(after[one] - before[one] - moved) < 60 for one in ("created_at", "expires_at", "remind_at"))

    until(has_moved)

    bot.stop()
    bot.clock = SteadyClock(wall)  # a restart goes on by the clock as it is now
    bot.start()
    assert ann.presses(card, "approve") == 200
    assert talk.answer() == "Tom is gone."
    assert "Approved and done" in card_text(talk.cards()[0])
