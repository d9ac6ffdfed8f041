"""Who has to wait for Slack's pace is promised a moment of their own; the paces themselves: test_web_api.py, and for several processes
tests/store/test_replicas.py."""

from __future__ import annotations

import heapq

import pytest

from slack_io.pace import PACE, InLine, OwnPace
from tests.harness.stores import Clock


class Counted(OwnPace):
    """Counts how often it is asked."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.asked = 0

    def take(self, method: str, channel: str, spare: int = 0) -> float:
        self.asked += 1
        return super().take(method, channel, spare)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Counted:
    return Counted(clock)


def test_everybody_who_waits_is_promised_another_moment(clock: Clock, pace: Counted) -> None:
    line = InLine(pace, clock)
    limit, seconds = PACE["chat.postMessage"]
    waits = [line.take("chat.postMessage", "C1") for _ in range(limit + 4)]
    assert waits[:limit] == [0.0] * limit
    first, *rest = waits[limit:]
    assert first == pytest.approx(seconds, abs=0.01)
    assert rest == [pytest.approx(first + number * seconds / limit) for number in (1, 2, 3)]
    assert pace.asked == limit + 1  # who stands in line behind another costs nothing


def test_who_comes_at_the_promised_moment_is_let_through_before_who_comes_anew(clock: Clock, pace: Counted) -> None:
    line = InLine(pace, clock)
    while not (first := line.take("chat.postMessage", "C1")):
        pass
    clock.now += first / 2
    assert line.take("chat.postMessage", "C1") > first / 2
    clock.now += first / 2
    assert line.take("chat.postMessage", "C1") == 0.0


def test_channels_and_methods_have_lines_of_their_own(clock: Clock, pace: Counted) -> None:
    line = InLine(pace, clock)
    while not line.take("chat.postMessage", "C1"):
        pass
    assert line.take("chat.postMessage", "C2") == 0.0
    assert line.take("chat.update", "C1") == 0.0


def test_nobody_waits_for_who_does_not_come_back(clock: Clock, pace: Counted) -> None:
    line = InLine(pace, clock)
    while not line.take("users.info", ""):
        pass
    promised = [line.take("users.info", "") for _ in range(10)]
    clock.now += promised[-1] + 60.0
    limit, _ = PACE["users.info"]
    assert [line.take("users.info", "") for _ in range(limit)] == [0.0] * limit
    assert line.take("users.info", "") > 0


def test_nobody_is_promised_a_moment_further_away_than_a_minute(clock: Clock, pace: Counted) -> None:
    line = InLine(pace, clock)
    line.hold("reactions.add", 50.0)
    waits = [line.take("reactions.add", "") for _ in range(100)]
    assert waits[0] == 50.0
    assert max(waits) == 60.0


def test_people_take_turns_in_the_line_however_many_messages_are_for_one_of_them(clock: Clock, pace: Counted) -> None:
    """A hundred answers to Ann wait for one channel, then one to Ben, and later one to Cid."""
    line, began = InLine(pace, clock), clock.now
    limit, seconds = PACE["chat.postMessage"]
    comes = [(began, number, "ann") for number in range(100)]
    comes += [(began + 10.0, 100, "ben"), (began + 30.0, 101, "cid")]
    heapq.heapify(comes)
    out: dict[str, list[float]] = {"ann": [], "ben": [], "cid": []}
    while comes:
        clock.now, number, who = heapq.heappop(comes)
        if (wait := line.take("chat.postMessage", "C1", lane=who)) == 0:
            out[who].append(clock.now - began)
        else:
            heapq.heappush(comes, (clock.now + wait, number, who))
    assert out["ben"][0] <= 10 + 6 * seconds / limit
    assert out["cid"][0] <= 30 + 6 * seconds / limit
    assert len(out["ann"]) == 100
    assert out["ann"][-1] <= 102 * seconds / limit + 10  # nobody waits for a moment that nobody uses
    assert pace.asked <= 2.5 * 102


def test_a_line_that_comes_in_vain_for_an_hour_does_not_grow(clock: Clock, pace: Counted) -> None:
    """What can wait does so as long as others use what is there; and keeps no moment that is over."""
    line, last = InLine(pace, clock), clock.now + 3_600.0
    while clock.now < last:
        pace.take("chat.update", "")
        line.take("chat.update", "", 15, lane="ann")
        clock.now += 1.0
    (kept,) = line._lines.values()
    assert len(kept.moments) <= 120
    assert sum(map(len, kept.lanes.values())) <= 120
