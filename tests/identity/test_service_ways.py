"""A token from a file, a program or a token server, as the API sees it: renewed before its end and on a 401, once."""

from __future__ import annotations

import base64
import html
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from base.proxies import STRAIGHT
from catalog.auth import ClientCredentials
from gate.sending import Approval
from identity.commands import CommandFailed, output_of
from identity.identities import Identities
from identity.service_ways import BearerCommandWay, HeldTokens, printed_token
from identity.signing_keys import KeyFiles
from identity.wiring import Surroundings, service_ways
from tests.harness.bot_parts import BotParts
from tests.harness.loopback import Loopback, Reply, Request, as_json
from tests.harness.signing import a_key, pem, write
from tests.harness.token_server import CLIENT, SECRET, TokenServer, said

ENDPOINTS = """
endpoints:
  - {method: GET, url: "/users/[id]", description: Shows.}
  - {method: PUT, url: "/users/[id]", description: Replaces., preview: false}
"""


def ways(email: Callable[[str], str] = lambda _who: "", hidden: tuple[str, ...] = ()) -> Identities:
    numbers = iter(range(1_000_000))
    around = Surroundings(STRAIGHT, email, lambda: f"id-{next(numbers)}", hidden)
    return Identities(service_ways(around, KeyFiles()))


class Guarded(Loopback):
    """An API that takes one token, and repeats in its refusal what it was sent."""

    def __init__(self, token: str) -> None:
        super().__init__(self._serve)
        self.token = token

    def _serve(self, request: Request) -> Reply:
        given = request.headers.get("authorization", "")
        if given != f"Bearer {self.token}":
            return as_json({"you sent": given}, 401)
        return as_json({"id": 7, "name": "Tom"})

    @property
    def given(self) -> list[str]:
        return [one.headers.get("authorization", "") for one in self.requests]


class Bots:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[BotParts] = []

    def __call__(self, api: Loopback, auth: str, **more: Any) -> BotParts:
        catalog = f"name: HR\nbase_url: {api.url}\nauth: {auth}\n{ENDPOINTS}"
        bot = BotParts(self.folder, catalog, identities=ways(**more), timeout=20)
        self.started.append(bot)
        return bot


@pytest.fixture
def bots(tmp_path: Path) -> Iterator[Bots]:
    made = Bots(tmp_path)
    yield made
    for one in made.started:
        one.close()


def status(bot: BotParts, api: Loopback) -> int:
    found = bot.read(f"{api.url}/users/7")
    return int(found.get("status", 0))


# --- a file -----------------------------------------------------------------------------------------------------------


def test_a_files_token_is_sent_and_a_new_one_taken_when_the_file_changes(bots: Bots, tmp_path: Path) -> None:
    path = write(tmp_path / "token", b"first-token\n")
    with Guarded("first-token") as api:
        bot = bots(api, f'{{bearer_file: "{path}"}}')
        assert status(bot, api) == 200
        write(tmp_path / "token", b"second-token\n")
        api.token = "second-token"
        assert status(bot, api) == 200
    assert api.given == ["Bearer first-token", "Bearer second-token"]


def test_on_a_401_the_file_is_read_whatever_its_time_and_the_call_made_again(bots: Bots, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"first-token")
    moment = file.stat()
    with Guarded("first-token") as api:
        bot = bots(api, f'{{bearer_file: "{file}"}}')
        assert status(bot, api) == 200
        file.write_bytes(b"other-token")
        os.utime(file, ns=(moment.st_atime_ns, moment.st_mtime_ns))  # as coarse clocks of file systems have it
        api.token = "other-token"
        assert status(bot, api) == 200
        proposal, _ = bot.write("PUT", f"{api.url}/users/7", {})
        assert proposal.state.name == "DONE"
    assert api.given[1:] == ["Bearer first-token", "Bearer other-token", "Bearer other-token"]


def test_a_401_that_no_other_token_mends_is_told_once_and_no_token_with_it(bots: Bots, tmp_path: Path) -> None:
    path = write(tmp_path / "token", b"first-token")
    with Guarded("another") as api:
        bot = bots(api, f'{{bearer_file: "{path}"}}')
        found = bot.read(f"{api.url}/users/7")
    assert (found["status"], found["data"]) == (401, {"you sent": "Bearer [hidden]"})
    assert len(api.requests) == 1


def test_a_file_that_is_gone_leaves_the_token_before_in_use_and_one_that_never_was_sends_nothing(
    bots: Bots, tmp_path: Path
) -> None:
    path = write(tmp_path / "token", b"first-token")
    with Guarded("first-token") as api:
        bot = bots(api, f'{{bearer_file: "{path}"}}')
        assert status(bot, api) == 200
        Path(path).unlink()
        assert status(bot, api) == 200
    with Guarded("first-token") as api:
        bot = bots(api, f'{{bearer_file: "{tmp_path}/none"}}')
        told = bot.read(f"{api.url}/users/7")["error"]
        assert told.startswith("The bot's own credential for HR cannot be read, so nothing was sent.")
        assert api.requests == []


def test_files_that_are_rotated_under_load_let_no_call_fail(bots: Bots, tmp_path: Path) -> None:
    """The API takes the token before for a moment, as servers do that rotate."""
    path = write(tmp_path / "token", b"token-000")
    taken = {"Bearer token-000"}
    is_over = threading.Event()
    told: list[int] = []

    def serve(request: Request) -> Reply:
        return as_json({"id": 7}, 200 if request.headers.get("authorization", "") in taken else 401)

    with Loopback(serve) as api:
        bot = bots(api, f'{{bearer_file: "{path}"}}')

        def load() -> None:
            while not is_over.is_set():
                told.append(status(bot, api))

        threads = [threading.Thread(target=load) for _ in range(3)]
        for one in threads:
            one.start()
        for number in range(1, 9):
            taken.add(f"Bearer token-{number:03}")
            write(tmp_path / "token", f"token-{number:03}".encode())
            seen = len(told)
            while len(told) < seen + 6:
                time.sleep(0.005)
            taken.discard(f"Bearer token-{number - 1:03}")
        is_over.set()
        for one in threads:
            one.join()
    assert set(told) == {200}


# --- a program --------------------------------------------------------------------------------------------------------


def program(folder: Path, code: str) -> list[str]:
    file = folder / "program.py"
    file.write_text(f"import json, os, sys, time\n{code}\n")
    return [sys.executable, str(file)]


def test_a_program_is_asked_once_while_its_token_holds_and_not_by_each_call_that_is_refused(
    bots: Bots, tmp_path: Path
) -> None:
    counter = tmp_path / "runs"
    counter.write_text("")
    words = program(tmp_path, f"open({str(counter)!r}, 'a').write('x'); print(open({str(tmp_path / 'now')!r}).read())")
    (tmp_path / "now").write_text("first-token")
    with Guarded("first-token") as api:
        bot = bots(api, json.dumps({"bearer_command": {"command": words, "ttl": "1h"}}))
        assert [status(bot, api) for _ in range(3)] == [200, 200, 200]
        assert counter.read_text() == "x"
        api.token = "second-token"
        (tmp_path / "now").write_text("second-token")
        assert status(bot, api) == 401  # it is too young: a program that is wrong would be started by each call
    assert counter.read_text() == "x"


def test_a_program_is_asked_again_when_its_token_has_ended_and_on_a_401(tmp_path: Path) -> None:
    words = program(tmp_path, f"print(open({str(tmp_path / 'now')!r}).read())")
    (tmp_path / "now").write_text("first-token")
    now = [0.0]
    way = BearerCommandWay(HeldTokens(lambda: now[0]), ())
    with Guarded("first-token") as api:
        auth = json.dumps({"bearer_command": {"command": words, "ttl": "2m"}})
        catalog = f"name: HR\nbase_url: {api.url}\nauth: {auth}\n{ENDPOINTS}"
        bot = BotParts(tmp_path, catalog, identities=Identities({"bearer_command": way}), timeout=20)
        assert status(bot, api) == 200
        for moment, token in ((30.0, "second-token"), (31.0 + 120, "third-token")):
            now[0] = moment
            (tmp_path / "now").write_text(token)
            api.token = token
            assert status(bot, api) == 200
        bot.close()
    assert api.given == [
        "Bearer first-token",
        "Bearer first-token",  # refused
        "Bearer second-token",
        "Bearer third-token",
    ]


def test_a_program_gets_no_shell_no_secret_of_the_bots_and_no_standard_input(
    bots: Bots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    monkeypatch.setenv("HR_REGION", "eu")
    words = program(
        tmp_path,
        "assert sys.stdin.read() == '' and 'SLACK_BOT_TOKEN' not in os.environ\n"
        "print('/'.join(['token', os.environ['HR_REGION'], *sys.argv[1:]]))",
    )
    with Guarded("token/eu/$HOME;id") as api:
        bot = bots(api, json.dumps({"bearer_command": [*words, "$HOME;id"]}), hidden=("SLACK_BOT_TOKEN",))
        assert status(bot, api) == 200


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('the-token'); sys.exit(3)", "it ended with the code 3"),
        ("print('the-token and more')", "it printed no token, or more than one"),
        ("print('')", "it printed no token, or more than one"),
        ("print('{the-token')", "it printed JSON that cannot be read"),
        ("print('the-token' * 100_000)", "it printed more than 100,000 bytes"),
        ("sys.stdout.buffer.write(b'the-token\\xff')", "what it printed is not UTF-8"),
    ],
)
def test_a_program_that_gives_no_token_is_told_to_operators_alone(
    code: str, reason: str, bots: Bots, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Guarded("the-token") as api:
        bot = bots(api, json.dumps({"bearer_command": program(tmp_path, code)}))
        told = bot.read(f"{api.url}/users/7")["error"]
        assert api.requests == []
    log = caplog.text
    assert told.startswith("The bot's own credential for HR cannot be read, so nothing was sent.")
    assert reason in log
    assert "the-token" not in log + told


def test_a_program_that_is_not_there_is_told(bots: Bots, caplog: pytest.LogCaptureFixture) -> None:
    with Guarded("the-token") as api:
        bot = bots(api, '{bearer_command: ["/no/such/program"]}')
        assert "cannot be read" in bot.read(f"{api.url}/users/7")["error"]
    assert "No such file or directory" in caplog.text


def test_a_program_that_never_ends_is_ended_with_what_it_started(tmp_path: Path) -> None:
    note = tmp_path / "child"
    words = program(
        tmp_path,
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid)); print('x', flush=True); time.sleep(600)",
    )
    while not note.exists() or not note.read_text():
        with pytest.raises(CommandFailed, match="it took too long"):
            output_of(words, time.monotonic() + 2)
    child = int(note.read_text())
    for _ in range(1_000):
        if not _lives(child):
            break
        time.sleep(0.02)
    assert not _lives(child)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


NOW = 1_900_000_000.0


@pytest.mark.parametrize(
    ("printed", "token", "left"),
    [
        ("abc.def\n", "abc.def", None),
        ('{"access_token": "abc", "expires_in": 3599, "token_type": "Bearer"}', "abc", 3599),
        ('{"access_token": "abc", "expires_in": "3599"}', "abc", 3599),
        (
            '{"accessToken": "abc", "expiresOn": "2030-03-17 18:00:00.000000", "expires_on": 1900000100}',
            "abc",
            100,
        ),  # az
        (
            '{"kind": "ExecCredential", "status": {"token": "abc", "expirationTimestamp": "2030-03-17T17:47:40Z"}}',
            "abc",
            60,
        ),  # aws eks get-token
        ('{"token": "abc"}', "abc", None),
    ],
)
def test_what_programs_print(printed: str, token: str, left: float | None) -> None:
    assert printed_token(printed, NOW) == (token, left)


def test_a_jwt_says_itself_when_it_ends() -> None:
    token = jwt.encode({"alg": "HS256"}, {"exp": int(NOW) + 90}, OctKey.generate_key(256))
    assert printed_token(token, NOW) == (token, 90)
    with pytest.raises(ValueError, match="has ended"):
        printed_token(token, NOW + 100)


# --- a token server ---------------------------------------------------------------------------------------------------


def client(server: TokenServer, **more: Any) -> str:
    keys = {"issuer": server.url, "client_id": CLIENT, "client_secret": SECRET, **more}
    return json.dumps({"client_credentials": keys})


def test_many_calls_at_once_fetch_one_token(bots: Bots) -> None:
    with TokenServer() as server, Guarded("token-1-" + "x" * 20) as api:
        bot = bots(api, client(server))
        told: list[int] = []
        threads = [threading.Thread(target=lambda: told.append(status(bot, api))) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert (told, server.tokens) == ([200] * 8, 1)


def test_a_token_server_that_is_away_sends_nothing_and_people_are_told(bots: Bots) -> None:
    with TokenServer() as server, Guarded("x") as api:
        server.will(said({"error": "invalid_client"}, 401), said({}, 503))
        bot = bots(api, client(server))
        told = [bot.read(f"{api.url}/users/7")["error"] for _ in range(2)]
        proposal = bot.approved("PUT", f"{api.url}/users/7", {})
        server.will(said({}, 503))
        bot.gate.write(Approval(proposal.proposal))
        row = bot.row(proposal)
        assert api.requests == []
    assert told[0].startswith("The token server of HR gives the bot no token (invalid_client).")
    assert told[1].startswith("The token server of HR gave no usable answer (HTTP 503). Try again later.")
    assert row.state.name == "FAILED"
    assert "Nothing was sent." in (row.note or "")


def test_the_token_is_hidden_in_each_spelling_in_which_an_api_repeats_it(
    bots: Bots, caplog: pytest.LogCaptureFixture
) -> None:
    with TokenServer(issues={"access_token": "tok+en/with=odd&signs", "token_type": "Bearer"}) as server:

        def serve(request: Request) -> Reply:
            given = request.headers["authorization"].removeprefix("Bearer ")
            spelled = [given, quote(given, safe=""), html.escape(given), given.encode().hex(), json.dumps(given)]
            spelled.append(base64.b64encode(f"Authorization: Bearer {given}".encode()).decode())
            return Reply(
                200,
                json.dumps({"id": 7, "echo": spelled, given: 1}).encode(),
                {"Content-Type": "application/json", "X-Echo": given},
            )

        with Loopback(serve) as api:
            bot = bots(api, client(server))
            shown = bot.read(f"{api.url}/users/7")
            assert shown["data"]["echo"][0] == "[hidden]"
            _, result = bot.write("PUT", f"{api.url}/users/7", {})
            everything = json.dumps([shown, result]) + bot.stored() + caplog.text
    token = "tok+en/with=odd&signs"
    forms = (
        token,
        quote(token, safe=""),
        html.escape(token),
        token.encode().hex(),
        "signs",
        SECRET,
        quote(SECRET, safe=""),
    )
    assert [form for form in forms if form in everything] == []
    coded = base64.b64encode(f"Authorization: Bearer {token}".encode()).decode()
    assert coded[32:-8] not in everything


def test_a_client_that_is_known_by_a_key_calls_the_api(bots: Bots, tmp_path: Path) -> None:
    path = write(tmp_path / "key", pem(a_key("rsa")))
    known = ClientCredentials.model_validate(
        {"client_id": CLIENT, "token_url": "https://x.example", "private_key_file": path}, context={"environ": {}}
    )
    with TokenServer(methods=("private_key_jwt",)) as server, Guarded("token-1-" + "x" * 20) as api:
        server.keys, server.audience = KeyFiles().of_client(known).key, server.url
        keys = {"issuer": server.url, "client_id": CLIENT, "private_key_file": path}
        bot = bots(api, json.dumps({"client_credentials": keys}))
        assert status(bot, api) == 200


def test_a_whole_answer_that_ends_as_a_secret_begins_loses_nothing(bots: Bots, tmp_path: Path) -> None:
    """Only one that was cut off may hold the beginning of a secret."""
    path = write(tmp_path / "token", b"first-token")
    with Loopback(lambda _request: Reply(200, b"the first", {"Content-Type": "text/plain"})) as api:
        assert bots(api, f'{{bearer_file: "{path}"}}').read(f"{api.url}/users/7")["data"] == "the first"
