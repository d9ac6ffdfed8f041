"""Three processes of the bot on one PostgreSQL under load, while all around them breaks. Prints a table; no part of the suite.

    python -m tests.chaos --minutes 5            # every kind of fault, in random order
    python -m tests.chaos --minutes 5 --only kill,stop
    python -m tests.chaos --seed 7               # the same order again
    python -m tests.chaos --sqlite               # one process on a SQLite file
    python -m tests.chaos --minutes 0 --storm 10000   # so many questions at once

At the end all is mended, what was asked comes to rest, and it is counted what must be 0: mentions that were acknowledged and never
answered, answers given twice, writes sent twice or without an approval, approvals that came to nothing. Its exit status is their sum.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url

from emulator.emulator import Workspace
from emulator.members import Channel
from tests.harness.databases import looking_into, rows
from tests.harness.forked_bot import Fork
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.ports import free_port
from tests.harness.postgres import Server, serving
from tests.harness.replay_model import ReplayModel, answer, call

REPLICAS = 3
CHANNELS = [f"C0CHAOS{number}" for number in range(12)]  # Slack takes one message a second in each
ANN = "U0ANN"
CATALOG = """
name: HR
base_url: ${HR_API_URL}
endpoints:
  - {method: GET, url: "/api/users?page=[page_id]", description: Lists employees.}
  - {method: POST, url: /api/users, description: Adds an employee.}
  - {method: DELETE, url: "/api/users/[user_id]", description: Removes an employee., preview: false}
"""
_LITTLE_WAL = "min_wal_size = 64MB\nmax_wal_size = 128MB\n"  # so that a small disk holds it
_KEEPS = "synchronous_commit = on\n"  # what is committed outlives the server, which a full disk may end
_OVER = 900.0  # seconds at most for coming to rest: posts on their way are looked for first, at the pace of Slack


@dataclass
class Asked:
    """One question: what it asks for, where it stands in Slack, and whether the bot has acknowledged it and its approval."""

    number: int
    kind: str
    channel: str
    ts: str = ""
    is_clicked: bool = False

    @property
    def words(self) -> str:
        return f"{self.kind} {self.number}"

    @property
    def answer(self) -> str:
        return f"done with {self.number}."


class Way:
    """A TCP way to somewhere, which can be cut, slowed down, and broken in the middle of an answer. `goals` are tried in turn."""

    def __init__(self, *goals: Callable[[], socket.socket]) -> None:
        self.state = "open"
        self._goals = itertools.cycle(range(len(goals)))
        self._reach = goals
        self._pairs: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def set(self, state: str) -> None:
        """`open`, `cut` (nothing goes through, what was open ends), `slow`, or `broken` (each answer ends after 200 bytes)."""
        self.state = state
        if state == "cut":
            pairs, self._pairs = self._pairs, []
            for one in pairs:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            here, _ = self._door.accept()
            threading.Thread(target=self._connect, args=(here,), daemon=True).start()

    def _connect(self, here: socket.socket) -> None:
        there = None if self.state == "cut" else self._reached()
        if there is None:
            here.close()
            return
        self._pairs += [here, there]
        for source, sink, is_answer in ((here, there, False), (there, here, True)):
            threading.Thread(target=self._pass_on, args=(source, sink, is_answer), daemon=True).start()

    def _reached(self) -> socket.socket | None:
        for _ in self._reach:
            with contextlib.suppress(OSError):
                return self._reach[next(self._goals)]()
        return None

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                if self.state == "slow":
                    time.sleep(0.3)
                if self.state == "broken" and is_answer and sent + len(piece) > 200:
                    sink.sendall(piece[: max(0, 200 - sent)])
                    break
                sink.sendall(piece)
                sent += len(piece)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def to_port(port: int) -> Callable[[], socket.socket]:
    return lambda: socket.create_connection(("127.0.0.1", port), timeout=20)


def to_socket(path: str) -> Callable[[], socket.socket]:
    def reach() -> socket.socket:
        found = socket.socket(socket.AF_UNIX)
        found.connect(path)
        return found

    return reach


class Process:
    """One replica: a process of the bot at a port of its own, begun again whenever it ends. Its log is kept."""

    def __init__(self, settings: dict[str, str], folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        folder.mkdir()
        self._clock = folder / "clock"
        self.set_clock(0)
        (folder / "apis.yaml").write_text(CATALOG)
        self.lines: list[str] = []
        self.ends = 0
        self.is_wanted = True
        self.fork = self._begin()
        threading.Thread(target=self._mind, daemon=True).start()

    def _begin(self) -> Fork:
        fork = Fork(self._settings, self._folder, clock=self._clock)

        def read() -> None:
            with fork.open_log() as log:
                for line in log:
                    self.lines.append(line)

        threading.Thread(target=read, daemon=True).start()
        return fork

    def _mind(self) -> None:
        """As systemd or Kubernetes would."""
        while self.is_wanted:
            if self.fork.poll() is not None:
                self.ends += 1
                self.fork = self._begin()
            time.sleep(0.05)

    def set_clock(self, seconds: float) -> None:
        """Its time of day is wrong by so many seconds from now on."""
        half = self._folder / "clock.half"
        half.write_text(f"{seconds}")
        half.rename(self._clock)

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.fork.send_signal(number)


@dataclass
class Chaos:
    """The surroundings, the load, the faults, and what is counted."""

    workspace: Workspace
    model: ReplayModel
    api: Loopback
    server: Server | None  # PostgreSQL
    disk: Path | None  # a small one of the database's own, where this user may have one made
    database: str
    ways: dict[str, Way]
    processes: list[Process]
    chance: random.Random
    asked: list[Asked] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    is_over: threading.Event = field(default_factory=threading.Event)

    # --- load -----------------------------------------------------------------------------------------------------------

    def ask(self, kind: str = "") -> None:
        """One question more, of a kind by chance."""
        number = len(self.asked) + 1
        kind = kind or self.chance.choice(["plain", "plain", "read", "hire", "remove", "remove"])
        one = Asked(number, kind, CHANNELS[number % len(CHANNELS)])
        calls = {
            "plain": [],
            "read": [call(("GET", "/api/users?page=1"))],
            "hire": [call(("POST", "/api/users", {"first_name": f"n{number}"}))],
            "remove": [call(("DELETE", f"/api/users/{number}"))],
        }[kind]
        self.model.script(one.words, [*calls, answer(one.answer)])
        self.asked.append(one)
        one.ts = self.workspace.say(ANN, f"<@U0BOT> {one.words}", one.channel)

    def load(self, per_second: float) -> None:
        """Asks, and presses Approve on each card once it is there."""
        while not self.is_over.is_set():
            self.ask()
            self.approve()
            time.sleep(self.chance.expovariate(per_second))

    def approve(self) -> None:
        for one in [one for one in self.asked if one.kind == "remove" and not one.is_clicked]:
            for shown in self.workspace.messages(one.channel, one.ts):
                if any(block["type"] == "actions" for block in shown.get("blocks", [])):
                    with contextlib.suppress(KeyError, OSError, LookupError):
                        one.is_clicked = self.workspace.click(ANN, shown["ts"], "approve", channel=one.channel) == 200

    # --- faults ---------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """kill -9 of a replica by chance."""
        self.chance.choice(self.processes).signal(signal.SIGKILL)
        time.sleep(self.chance.uniform(0.2, 2))

    def stop(self) -> None:
        """The worst: a replica stands still for so long that the others take over, and goes on."""
        one = self.chance.choice(self.processes)
        one.signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(9, 14))
        one.signal(signal.SIGCONT)

    def end(self) -> None:
        """SIGTERM, as a rolling update sends it."""
        self.chance.choice(self.processes).signal(signal.SIGTERM)
        time.sleep(self.chance.uniform(1, 4))

    def restart_database(self) -> None:
        """PostgreSQL is restarted."""
        assert self.server is not None
        self.server.stop()
        time.sleep(self.chance.uniform(0.1, 3))
        self.server.start()

    def full_disk(self) -> None:
        """The database's disk is full for a while; PostgreSQL may end by that, and is started again as its keeper would."""
        assert self.disk is not None
        filler = self.disk / "filler"
        with filler.open("wb", 0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        time.sleep(self.chance.uniform(2, 10))
        filler.unlink()
        if self.server is not None:
            self.server.revive()

    def read_only(self) -> None:
        """PostgreSQL takes nothing that changes anything, as one does that another took over from; what is open then, too."""
        assert self.server is not None
        self.server.set_read_only(True)
        time.sleep(self.chance.uniform(2, 10))
        self.server.set_read_only(False)

    def clock(self) -> None:
        """One machine's clock is set an hour forth or back, and right again."""
        one = self.chance.choice(self.processes)
        one.set_clock(self.chance.choice([3_600, -3_600]))
        time.sleep(self.chance.uniform(5, 15))
        one.set_clock(0)

    def no_database(self) -> None:
        """PostgreSQL is away from all replicas for a while."""
        self.disturb("database", "cut", self.chance.uniform(1, 20))

    def way(self) -> None:
        """The way to somebody is cut, slow, or breaks answers off."""
        name = self.chance.choice(["model", "api", "slack"])
        self.disturb(name, self.chance.choice(["cut", "slow", "broken"]), self.chance.uniform(1, 6))

    def disturb(self, name: str, state: str, seconds: float) -> None:
        self.ways[name].set(state)
        time.sleep(seconds)
        self.ways[name].set("open")

    def flood(self, number: int = 100) -> None:
        """Many questions at once."""
        for _ in range(number):
            self.ask("plain")

    def storm(self, number: int) -> None:
        """So many questions at once, as fast as this machine can send them; Slack sends again what is not acknowledged."""
        began = time.monotonic()
        self.flood(number)
        sent = time.monotonic() - began
        with contextlib.suppress(TimeoutError):
            self.workspace.wait(lambda: self._taken() >= number, 900)
        tries = sum(one.type == "app_mention" for one in self.workspace.attempts)
        over = time.monotonic() - began
        print(
            f"storm: {number} sent in {sent:.0f} s; {tries} deliveries, {self._taken()} acknowledged after {over:.0f} s"
        )

    def _taken(self) -> int:
        """How many questions were acknowledged."""
        return len({one.event_id for one in self.workspace.attempts if one.reply.ok and one.type == "app_mention"})

    @property
    def kinds(self) -> list[str]:
        """What can happen here, kills most often."""
        names = ["kill"] * 16 + ["stop", "end", "clock", "way", "way", "way", "flood"]
        names += ["restart_database", "no_database", "read_only"] if self.server is not None else []
        return names + (["full_disk"] if self.disk is not None else [])

    def run(self, seconds: float, only: list[str]) -> None:
        """Fault upon fault."""
        by = time.monotonic() + seconds
        names = only or self.kinds
        if unknown := set(names) - set(self.kinds):
            raise SystemExit(f"{', '.join(sorted(unknown))}: not here; {', '.join(sorted(set(self.kinds)))}")
        while time.monotonic() < by:
            name = self.chance.choice(names)
            self.faults[name] += 1
            getattr(self, name)()

    # --- the end --------------------------------------------------------------------------------------------------------

    def rest(self, seconds: float) -> None:
        """Until everything has come to rest, so many seconds at most; what does not shows in the counts."""
        by = time.monotonic() + seconds
        while time.monotonic() < by:
            self.approve()
            if self.server is not None:
                self.server.revive()
            with looking_into(self.database) as engine, engine.connect() as db:
                left = db.scalar(
                    text(
                        """select (select count(*) from turns where state in ('waiting', 'running'))
                           + (select count(*) from posts where state = 'due') + (select count(*) from inbox where handled = 0)"""
                    )
                )
            if not left:
                return
            time.sleep(0.5)

    def counts(self) -> dict[str, int]:
        """What must be 0."""
        acked = {one.event_id for one in self.workspace.attempts if one.reply.ok}
        recorded = {row["event_id"] for row in rows(self.database, "inbox")}
        ends = Counter[str]()
        unanswered, twice = 0, 0
        said_ = {row["thread"] for row in rows(self.database, "turns")}
        for one in self.asked:
            said = [m["text"] for m in self.workspace.messages(one.channel, one.ts) if m.get("bot_id")]
            answers = said.count(one.answer)
            ends["answered" if answers else "told otherwise" if said else "nothing"] += 1
            twice += answers > 1
            unanswered += not said and any(key.endswith(f"/{one.ts}") for key in said_)
        sent = Counter(
            request.path if request.method == "DELETE" else str(request.json()["first_name"])
            for request in self.api.requests
            if request.method != "GET"
        )
        proposals = rows(self.database, "proposals")
        approved = {str(row["url"]).rpartition("/")[2] for row in proposals if row["decided_by"]}
        unasked = [name for name in sent if "/" in name and name.rpartition("/")[2] not in approved]
        clicked = {str(one.number) for one in self.asked if one.is_clicked}
        lost = [row for row in proposals if row["method"] == "DELETE" and row["state"] == "pending"]
        self.ends = ends
        return {
            "acknowledged, never recorded": len({one for one in acked if one} - recorded - self._not_ours(acked)),
            "acknowledged, never answered": unanswered,
            "answers twice": twice,
            "writes twice": sum(count > 1 for count in sent.values()),
            "writes without approval": len(unasked),
            "approvals lost": len([one for one in lost if str(one["url"]).rpartition("/")[2] in clicked]),
        }

    def stuck(self) -> list[str]:
        """What the database has of each question that has no word: for who looks into it."""
        told = []
        tables = {name: rows(self.database, name) for name in ("turns", "posts", "inbox", "holds", "proposals")}
        jobs = rows(self.database, "procrastinate_jobs") if self.server is not None else []
        shown = {
            "turns": "state taken_by tries ends_alone",
            "posts": "method state made_by",
            "inbox": "kind handled taken_by",
        }
        shown |= {"holds": "owner fence", "proposals": "state"}
        for one in self.asked:
            if any(m.get("bot_id") for m in self.workspace.messages(one.channel, one.ts)):
                continue
            key = f"T0LOCAL/{one.channel}/{one.ts}"
            found = [
                f"{name}: {[row[column] for column in columns.split()]}"
                for name, columns in shown.items()
                for row in tables[name]
                if row["thread"] == key
            ]
            found += [f"job {row['id']}: {row['status']} of {row['worker_id']}" for row in jobs if row["lock"] == key]
            told += [f"{one.words} {key}: " + "; ".join(found)] if found else []
        return told

    def _not_ours(self, acked: set[str]) -> set[str]:
        """Events that the bot takes no note of."""
        return {one.event_id for one in self.workspace.attempts if one.type != "app_mention"} & acked

    def takeovers(self) -> list[float]:
        """Seconds from the last sign of life of a process to another's taking over, by the log of who did."""
        found = re.compile(r'"after": ([0-9.]+)')
        told = [found.search(line) for one in self.processes for line in one.lines if '"event": "took over"' in line]
        return [float(one[1]) for one in told if one is not None]


@contextlib.contextmanager
def surroundings(folder: Path, seed: int, *, is_sqlite: bool, channels: int) -> Iterator[Chaos]:
    """Everything around the replicas, and these."""
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(_disk(folder / "disk"))
        server = None if is_sqlite else stack.enter_context(serving((disk or folder) / "data", _LITTLE_WAL + _KEEPS))
        workspace = stack.enter_context(Workspace(retry_delays=(0.5, 3.0, 10.0, 30.0)))
        model, api = stack.enter_context(ReplayModel()), stack.enter_context(Loopback(_api))
        CHANNELS.extend(f"C0CHAOS{number}" for number in range(len(CHANNELS), channels))
        for channel in CHANNELS:
            workspace.add_channel(Channel(channel, channel.lower(), (ANN, "U0BOT")))
        model.pause, api.pause = 0.1, 0.05
        ways = {
            "model": Way(to_port(int(model.url.rpartition(":")[2]))),
            "api": Way(to_port(int(api.url.rpartition(":")[2]))),
            "slack": Way(to_port(int(workspace.url.rpartition(":")[2]))),
        }
        database = f"sqlite:///{disk or folder}/bot.db" if server is None else server.new("chaos")
        reached = database
        if server is not None:
            url = make_url(database)
            ways["database"] = Way(to_socket(f"{url.query['host']}/.s.PGSQL.5432"))
            through = url.set(host="127.0.0.1", port=ways["database"].port, query={})
            reached = through.render_as_string(hide_password=False)
        ports = [free_port() for _ in range(1 if is_sqlite else REPLICAS)]
        door = Way(*[to_port(port) for port in ports])
        workspace.connect(f"http://127.0.0.1:{door.port}")
        processes = [
            Process(_settings(workspace, reached, ways, port), folder / f"replica-{number}")
            for number, port in enumerate(ports)
        ]
        chance = random.Random(seed)
        yield Chaos(workspace, model, api, server, disk, database, ways, processes, chance)
        for one in processes:
            one.is_wanted = False
            one.signal(signal.SIGCONT)
            one.signal(signal.SIGKILL)


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[Path | None]:
    """A disk that can be filled, where this user may mount one; else None."""
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=1g,mode=755", "chaos", str(folder)]
    try:
        is_there = subprocess.run(mounted, capture_output=True, check=False).returncode == 0
    except OSError:
        is_there = False
    if not is_there:
        print("no disk of its own can be mounted here, so none becomes full")
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _api(request: Request) -> Reply:
    if request.method == "GET":
        return as_json({"data": [{"id": 7, "first_name": "Tom"}]})
    return as_json({"id": 15}, 201) if request.method == "POST" else Reply(204, b"", {})


def _settings(workspace: Workspace, database: str, ways: dict[str, Way], port: int) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", ""),
        "SLACK_SIGNING_SECRET": workspace.signing_secret,
        "SLACK_BOT_TOKEN": workspace.bot_token,
        "SLACK_CHANNEL": ",".join(CHANNELS),
        "SLACK_API_URL": f"http://127.0.0.1:{ways['slack'].port}/api/",
        "OPENAI_API_KEY": "sk-chaos",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{ways['model'].port}/v1",
        "HR_API_URL": f"http://127.0.0.1:{ways['api'].port}",
        "DATABASE_URL": database,
        "JOURNAL_KEY": "of the chaos",
        "MAX_WAITING": "10000",
        "API_TIMEOUT": "5",
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }


def main() -> int:
    """Runs it, prints the table; the sum of what must be 0 is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="of faults (default: 2); coming to rest takes more")
    parser.add_argument("--only", default="", help="kinds of faults, comma separated; default: all, kills most")
    parser.add_argument("--seed", type=int, default=None, help="for the same order again")
    parser.add_argument("--per-second", type=float, default=2.0, help="questions a second (default: 2)")
    parser.add_argument("--sqlite", action="store_true", help="one process on a SQLite file instead")
    parser.add_argument("--storm", type=int, default=0, help="so many questions at once, before all else")
    given = parser.parse_args()
    seed = random.randrange(10_000) if given.seed is None else given.seed
    channels = max(len(CHANNELS), given.storm // 50)  # Slack takes one message a second in each
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        surroundings(Path(folder), seed, is_sqlite=given.sqlite, channels=channels) as chaos,
    ):
        if given.storm:
            chaos.storm(given.storm)
        loader = threading.Thread(target=chaos.load, args=(given.per_second,), daemon=True)
        loader.start()
        chaos.run(given.minutes * 60, [one for one in given.only.split(",") if one])
        chaos.is_over.set()
        loader.join()
        mended = time.monotonic()
        chaos.rest(_OVER + given.storm / 2)
        rested = time.monotonic() - mended
        counts = chaos.counts()
        took = sorted(chaos.takeovers())
        print(f"seed {seed}; questions {len(chaos.asked)}: " + ", ".join(f"{n} {k}" for k, n in chaos.ends.items()))
        print("faults: " + ", ".join(f"{name} {count}" for name, count in chaos.faults.most_common()))
        print(
            f"ends of processes: {sum(one.ends for one in chaos.processes)}; at rest {rested:.0f} s after the last fault"
        )
        if took:
            p999 = took[int(len(took) * 0.999)]
            print(
                f"takeovers {len(took)}: p50 {statistics.median(took):.1f} s, p99.9 {p999:.1f} s, most {took[-1]:.1f} s"
            )
        for name, count in counts.items():
            print(f"{count:6}  {name}")
        if sum(counts.values()):
            Path("chaos.log").write_text("".join(line for one in chaos.processes for line in one.lines))
            print(*chaos.stuck(), sep="\n")
            print("the log is in chaos.log")
        return min(sum(counts.values()), 255)


if __name__ == "__main__":
    sys.exit(main())
