"""Several processes in socket mode: each has a connection of its own, Slack sends each event to one, and any may hear a press."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.app import AppToken
from emulator.emulator import Workspace
from tests.harness.databases import opened_before, rows
from tests.harness.loopback import Loopback
from tests.harness.replay_model import ReplayModel, answer
from tests.test_crash import KEY, REMOVE, System, api_answer, approved

pytestmark = pytest.mark.programs


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with (
        Workspace(retry_delays=(0.1, 0.3, 1.0), app_token=AppToken()) as workspace,
        ReplayModel() as model,
        Loopback(api_answer) as api,
    ):
        system = System("socket", workspace, model, api, tmp_path)
        system.database = opened_before("postgresql", tmp_path, KEY)
        yield system
        for program in system.programs:
            program.kill()
        assert workspace.violations == []


def test_each_event_is_seen_to_once_also_where_connections_come_and_go(system: System) -> None:
    words = [f"hi {number}" for number in range(6)]
    for one in words:
        system.model.script(one, [answer(f"hello to {one}")])
    system.model.script("remove Tom", [REMOVE, answer("Tom is gone")])
    for program in [system.launch(PORT="0") for _ in range(3)]:
        program.wait_for("connected")
    system.workspace.wait(lambda: system.workspace.connections == 3)
    asked = [system.mention(one) for one in words[:3]]
    removal = system.mention("remove Tom")
    system.card(removal)
    system.workspace.drop_sockets()  # without a word, all three
    system.workspace.wait(lambda: system.workspace.connections == 3)
    system.programs[0].kill()
    system.workspace.wait(lambda: system.workspace.connections == 2)  # a press that it would get is not sent again
    approved(system, removal)
    asked += [system.mention(one) for one in words[3:]]
    for ts, one in zip(asked, words, strict=True):
        system.wait_for_answer(ts, f"hello to {one}")
    system.wait_for_answer(removal, "Tom is gone")
    system.rest()
    assert [system.said(ts) for ts in asked] == [[f"hello to {one}"] for one in words]
    assert len(system.writes()) == 1
    assert Counter(row["state"] for row in rows(system.database, "turns")) == {"done": 7}
