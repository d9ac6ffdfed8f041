"""What Prometheus is told of the moment, also while the database does not answer."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import create_engine, text

from store.store import Store
from tests.harness.stores import A, Clock, admit
from workers.gauges import Gauges
from workers.wakes import Work
from workers.waking import Waking


def told(gauges: Gauges) -> dict[str, float]:
    """A scrape of the gauges alone."""
    registry = CollectorRegistry()
    registry.register(gauges)
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_parts_queues_and_what_waits_are_told(tmp_path: Path) -> None:
    waking, store = Waking(), Store(f"sqlite:///{tmp_path}/bot.db")
    admit(store, A)
    for key in ("a", "b", "a"):
        waking.queues[Work.POSTS].wake(key)
    states = {"database": "ok", "slack": "refused (token_revoked)", "model": "not asked yet"}
    found = told(Gauges(store, waking, lambda: states))

    assert found['part_up{part="database"}'] == found['part_up{part="model"}'] == 1
    assert found['part_up{part="slack"}'] == 0
    assert found['queue_length{queue="posts"}'] == 2
    assert {name for name in found if name.startswith("queue_length")} == {
        f'queue_length{{queue="{name}"}}' for name in (*Work, "checks", "homes", "accounts", "grants", "devices")
    }
    assert found["turns_waiting"] == 1
    store.close()


def test_many_scrapes_are_one_look_at_the_database(tmp_path: Path) -> None:
    store, steady = Store(f"sqlite:///{tmp_path}/bot.db"), Clock()
    gauges = Gauges(store, Waking(), dict, clock=steady)
    assert told(gauges)["turns_waiting"] == 0
    admit(store, A)
    steady.now += 4
    assert told(gauges)["turns_waiting"] == 0
    steady.now += 2
    assert told(gauges)["turns_waiting"] == 1
    store.close()


def test_while_the_database_does_not_answer_the_rest_is_told(tmp_path: Path) -> None:
    url, steady = f"sqlite:///{tmp_path}/bot.db", Clock()
    store = Store(url)
    gauges = Gauges(store, Waking(), lambda: {"database": "no answer (OperationalError)"}, clock=steady)
    with create_engine(url).begin() as db:
        db.execute(text("alter table turns rename to elsewhere"))
    found = told(gauges)
    assert found['part_up{part="database"}'] == 0
    assert 'queue_length{queue="turns"}' in found
    assert "turns_waiting" not in found
    store.close()
