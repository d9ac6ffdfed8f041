"""Cards, approvals and lists before servers that we did not write: Kinto (bulk removal, envelopes, ETags, a header with the next page's
URL) and json-server (plain REST, pages that nothing announces).

python3 -m venv /tmp/kinto && /tmp/kinto/bin/pip install kinto 'setuptools<81'
npm install --prefix /tmp/json-server json-server@0.17.4
KINTO=/tmp/kinto/bin/kinto JSON_SERVER=/tmp/json-server/node_modules/.bin/json-server pytest test_foreign_servers.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from catalog.calls import Call
from gate.policy import Read, State
from store.proposal_record import Proposal
from tests.harness.bot_parts import BotParts, strict
from tests.harness.ports import free_port
from tests.harness.whole_bot import card_text, until

pytestmark = pytest.mark.programs
KINTO = os.environ.get("KINTO") or shutil.which("kinto")
JSON_SERVER = os.environ.get("JSON_SERVER") or shutil.which("json-server")
needs_kinto = pytest.mark.skipif(not KINTO, reason="no Kinto here: install kinto, and name its command in KINTO")
needs_json_server = pytest.mark.skipif(
    not JSON_SERVER, reason="no json-server here: install json-server@0.17.4, and name it in JSON_SERVER"
)
AS_BOT = {"Authorization": f"Basic {b64encode(b'bot:only-for-this-test').decode()}"}


@dataclass(frozen=True)
class Foreign:
    """A server of somebody else's, asked behind the bot's back."""

    url: str

    def ask(self, method: str, path: str, body: object = None) -> Any:
        content = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json", **AS_BOT}
        request = urllib.request.Request(self.url + path, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def is_up(self, path: str) -> bool:
        try:
            self.ask("GET", path)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


@contextmanager
def running(command: Sequence[str], folder: Path, url: str, ready: str) -> Iterator[Foreign]:
    """The server that a command starts, until the end."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        server = Foreign(url)
        until(lambda: server.is_up(ready) or process.poll() is not None)
        assert process.poll() is None, (folder / "server.log").read_text("utf-8")[-2_000:]
        yield server
    finally:
        process.terminate()
        process.wait(60)


def approve(bot: BotParts, row: Proposal) -> Proposal:
    bot.advance(row.thread)
    return bot.row(row)


def shown(bot: BotParts, row: Proposal) -> list[str]:
    """All lines of a request's first card."""
    return next(card_text(post.arguments) for post in bot.cards(row.thread) if post.post == row.card).split("\n")


# --- Kinto ------------------------------------------------------------------------------------------------------------

KINTO_INI = """
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = %(http_port)s
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.userid_hmac_secret = only-for-this-test
kinto.bucket_create_principals = system.Everyone
kinto.paginate_by = 3
multiauth.policies = basicauth
[loggers]
keys = root
[handlers]
keys =
[formatters]
keys =
[logger_root]
level = ERROR
handlers =
"""
RECORDS = "/buckets/hr/collections/recs/records"
KINTO_CATALOG = """
name: Records
base_url: {url}
auth: {{basic: {{username: bot, password: only-for-this-test}}}}
endpoints:
  - {{method: GET, url: "RECORDS?state=[state]", description: Lists records.}}
  - {{method: GET, url: "RECORDS/[id]", description: Shows a record.}}
  - {{method: PUT, url: "RECORDS/[id]", description: Replaces a record.}}
  - {{method: PATCH, url: "RECORDS/[id]", description: Changes a record.}}
  - {{method: DELETE, url: "RECORDS/[id]", description: Removes a record.}}
  - {{method: DELETE, url: "RECORDS?state=[state]", description: Removes records.}}
""".replace("RECORDS", RECORDS)


@pytest.fixture(scope="module")
def kinto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    folder = tmp_path_factory.mktemp("kinto")
    (folder / "kinto.ini").write_text(KINTO_INI)
    port = free_port()
    command = [str(KINTO), "start", "--ini", "kinto.ini", "--port", str(port)]
    with running(command, folder, f"http://127.0.0.1:{port}/v1", "/") as server:
        yield server


@pytest.fixture
def kinto(kinto_server: Foreign) -> Foreign:
    """Kinto with two open and five closed records, which it gives three at a time."""
    kinto_server.ask("PUT", "/buckets/hr", {})
    kinto_server.ask("PUT", "/buckets/hr/collections/recs", {})
    kinto_server.ask("DELETE", RECORDS)
    for number in range(1, 8):
        record = {"name": f"Rec {number}", "state": "open" if number < 3 else "closed", "size": number}
        kinto_server.ask("PUT", f"{RECORDS}/r{number}", {"data": record})
    return kinto_server


@pytest.fixture
def bot(kinto: Foreign, tmp_path: Path) -> Iterator[BotParts]:
    made = BotParts(tmp_path, KINTO_CATALOG.format(url=kinto.url), timeout=10, settles=0.1)
    yield made
    made.close()


def left(kinto: Foreign) -> list[str]:
    """The ids of what is there by now, three at most."""
    return sorted(one["id"] for one in kinto.ask("GET", RECORDS)["data"])


@needs_kinto
@pytest.mark.xdist_group("kinto")
class TestKinto:
    def test_a_bulk_removal_shows_what_its_query_chooses_and_that_there_is_more(
        self, kinto: Foreign, bot: BotParts
    ) -> None:
        row = bot.approved("DELETE", f"{RECORDS}?state=closed")
        lines = shown(bot, row)
        at = lines.index("What is removed:")
        assert lines[at + 1 : at + 5] == [
            f"The first 3 that GET {kinto.url}{RECORDS}?state=closed lists; there are more:",
            '• "Rec 7", id r7',
            '• "Rec 6", id r6',
            '• "Rec 5", id r5',
        ]
        assert approve(bot, row).state is State.DONE
        assert left(kinto) == ["r2", "r3", "r4"]  # Kinto removes a page at a time

    def test_a_bulk_removal_of_other_things_than_the_card_showed_is_not_sent(
        self, kinto: Foreign, bot: BotParts
    ) -> None:
        row = bot.approved("DELETE", f"{RECORDS}?state=open")
        assert '• "Rec 2", id r2' in shown(bot, row)
        kinto.ask("PUT", f"{RECORDS}/r7", {"data": {"name": "Rec 7", "state": "open"}})
        assert approve(bot, row).state is State.STALE
        (again,) = bot.pending()
        assert '• "Rec 7", id r7' in shown(bot, again)
        bot.press(again)
        assert approve(bot, again).state is State.DONE
        assert not {"r1", "r2", "r7"} & set(left(kinto))

    def test_a_record_that_changed_behind_the_back_is_not_written(self, kinto: Foreign, bot: BotParts) -> None:
        row = bot.approved("DELETE", f"{RECORDS}/r3")
        assert 'About: "Rec 3", id r3, state "closed"' in shown(bot, row)
        kinto.ask("PATCH", f"{RECORDS}/r3", {"data": {"size": 99}})
        assert approve(bot, row).state is State.STALE
        assert kinto.ask("GET", f"{RECORDS}/r3")["data"]["size"] == 99

    def test_an_envelope_is_shown_by_its_content_and_what_a_put_leaves_out_by_its_value(
        self, kinto: Foreign, bot: BotParts
    ) -> None:
        body = {"data": {"name": "Rec 3", "state": "open"}}
        row = bot.approved("PUT", f"{RECORDS}/r3", body)
        lines = shown(bot, row)
        at = lines.index("What changes:")
        assert lines[at + 1 : at + 4] == [
            'data.state: "closed" → "open"',
            "data.size: 3 (not in the request)",
            'data.id: "r3" (not in the request)',
        ]
        assert approve(bot, row).state is State.DONE
        assert "size" not in kinto.ask("GET", f"{RECORDS}/r3")["data"]

    def test_a_patch_is_sent_with_the_records_mark_and_only_once(self, kinto: Foreign, bot: BotParts) -> None:
        row = bot.approved("PATCH", f"{RECORDS}/r3", {"data": {"size": 4}})
        assert "data.size: 3 → 4" in shown(bot, row)
        assert approve(bot, row).state is State.DONE
        assert kinto.ask("GET", f"{RECORDS}/r3")["data"]["size"] == 4


LISTS = """
name: Records
base_url: {url}
auth: {{basic: {{username: bot, password: only-for-this-test}}}}
endpoints:
  - {{method: GET, url: "RECORDS?state=[state]&_token=[_token]&_limit=[_limit]&_sort=[_sort]", description: Lists records.}}
""".replace("RECORDS", RECORDS)


@needs_kinto
@pytest.mark.xdist_group("kinto")
class TestKintosLists:
    @pytest.fixture
    def lists(self, kinto: Foreign, tmp_path: Path) -> Iterator[BotParts]:
        made = BotParts(tmp_path, LISTS.format(url=kinto.url), timeout=10)
        yield made
        made.close()

    def test_a_page_says_that_there_is_more(self, kinto: Foreign, lists: BotParts) -> None:
        result = lists.read(f"{kinto.url}{RECORDS}")
        assert len(result["data"]["data"]) == 3
        assert "These are not all: " in result["note"]

    def test_all_pages_are_read_though_nobody_said_how(self, kinto: Foreign, lists: BotParts) -> None:
        result = lists.read(f"{kinto.url}{RECORDS}?state=closed&_sort=size", all_pages=True)
        assert [one["id"] for one in result["data"]] == ["r3", "r4", "r5", "r6", "r7"]
        assert (result["pages"], result.get("note")) == (2, None)

    def test_without_the_links_name_in_the_catalog_the_model_is_told_which_it_is(
        self, kinto: Foreign, bot: BotParts
    ) -> None:
        result = bot.read(f"{kinto.url}{RECORDS}", all_pages=True)
        assert len(result["data"]) == 3
        assert (
            "the url of GET /buckets/hr/collections/recs/records in the catalog has no such query name"
            in result["note"]
        )
        assert "_token" in result["note"]


# --- json-server ------------------------------------------------------------------------------------------------------

PEOPLE = [{"id": n, "first_name": f"P{'abcdefg'[n]}", "last_name": "Berg", "tags": ["a", "b"]} for n in range(1, 6)]
JSON_SERVER_CATALOG = """
name: People
base_url: {url}
endpoints:
  - {{method: GET, url: "/people?_page=[_page]&_limit=[_limit]", description: Lists people.}}
  - {{method: PUT, url: "/people/[id]", description: Replaces a person.}}
  - {{method: PATCH, url: "/people/[id]", description: Changes a person.}}
  - {{method: DELETE, url: "/people/[id]", description: Removes a person.}}
"""
SHOWS = '  - {{method: GET, url: "/people/[id]", description: Shows a person.}}\n'


@pytest.fixture(scope="module")
def json_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    folder = tmp_path_factory.mktemp("json-server")
    (folder / "db.json").write_text(json.dumps({"people": []}))
    port = free_port()
    command = [str(JSON_SERVER), "--host", "127.0.0.1", "--port", str(port), "db.json"]
    with running(command, folder, f"http://127.0.0.1:{port}", "/people") as server:
        yield server


@pytest.fixture
def people(json_server: Foreign) -> Foreign:
    """json-server with these people and no others."""
    for one in json_server.ask("GET", "/people"):
        json_server.ask("DELETE", f"/people/{one['id']}")
    for one in PEOPLE:
        json_server.ask("POST", "/people", one)
    return json_server


def before(people: Foreign, folder: Path, more: str = SHOWS) -> BotParts:
    return BotParts(folder, (JSON_SERVER_CATALOG + more).format(url=people.url), timeout=10, settles=0.1)


@needs_json_server
@pytest.mark.xdist_group("json-server")
class TestJsonServer:
    def test_a_list_is_changed_item_by_item(self, people: Foreign, tmp_path: Path) -> None:
        bot = before(people, tmp_path)
        row = bot.approved("PATCH", "/people/3", {"tags": ["b", "c"]})
        lines = shown(bot, row)
        assert lines[1:6] == [
            "Changes a person.",
            "About: Pd Berg, id 3",
            "What changes:",
            'tags: "a" (not in the request)',
            'tags: + "c"',
        ]
        assert approve(bot, row).state is State.DONE
        assert people.ask("GET", "/people/3")["tags"] == ["b", "c"]

    def test_what_a_put_leaves_out_is_gone_and_the_card_said_that_it_is_not_in_the_request(
        self, people: Foreign, tmp_path: Path
    ) -> None:
        bot = before(people, tmp_path)
        row = bot.approved("PUT", "/people/3", {"first_name": "Pd", "last_name": "Hill"})
        assert 'tags: ["a","b"] (not in the request)' in shown(bot, row)
        assert approve(bot, row).state is State.DONE
        assert people.ask("GET", "/people/3") == {"first_name": "Pd", "last_name": "Hill", "id": 3}

    def test_without_a_read_of_one_person_the_list_names_whom_it_is_about(
        self, people: Foreign, tmp_path: Path
    ) -> None:
        bot = before(people, tmp_path, "")
        row = bot.approved("DELETE", "/people/5")
        assert "About: Pf Berg, id 5" in shown(bot, row)
        assert approve(bot, row).state is State.DONE
        assert [one["id"] for one in people.ask("GET", "/people")] == [1, 2, 3, 4]

    def test_pages_that_nothing_announces_are_tried_out(self, people: Foreign, tmp_path: Path) -> None:
        bot = before(people, tmp_path)
        for asked in ("?_limit=2", "?_page=1&_limit=2", ""):
            result = bot.read(f"{people.url}/people{asked}", all_pages=True)
            assert [one["id"] for one in result["data"]] == [1, 2, 3, 4, 5]
            assert "note" not in result
        assert (
            "These are not all: the API counts 5 and 2 are here." in bot.read(f"{people.url}/people?_limit=2")["note"]
        )

    def test_a_list_that_changes_behind_the_back_is_told(self, people: Foreign, tmp_path: Path) -> None:
        def wants(_call: Call, page: int) -> bool:
            if page == 2:
                people.ask("DELETE", "/people/1")
            return True

        bot = before(people, tmp_path)
        read = bot.call("GET", f"{people.url}/people?_page=1&_limit=2")
        assert isinstance(read, Read)
        result = strict(bot.gate.read(replace(read, all_pages=True), bot.begin(), bot.catalog, wants).text)
        assert [one["id"] for one in result["data"]] == [1, 2, 4, 5]  # 3 moved to the page that was read
        assert (
            "The list changed while it was read: the API counted 5, then 4. Something may be missing" in result["note"]
        )

    def test_somebody_else_with_that_id_is_not_removed(self, people: Foreign, tmp_path: Path) -> None:
        for more in (SHOWS, ""):
            bot = before(people, tmp_path, more)
            row = bot.approved("DELETE", "/people/5")
            people.ask("PATCH", "/people/5", {"first_name": f"Other {len(more)}"})
            assert approve(bot, row).state is State.STALE
        assert people.ask("GET", "/people/5")["last_name"] == "Berg"
