"""The command line as an operator meets it: its words and its exit codes.

Starting Python and importing the bot takes seconds: `python bot.py` itself is run where it starts and ends, and else `bot.main()`, in a
process that was forked, or in this one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner, Result

from bot import main
from tests.harness.forked_bot import Fork, command
from tests.harness.ports import free_port, listens
from tests.harness.signing import Authority, write
from tests.harness.whole_bot import CATALOG, until

ROOT = Path(__file__).parents[2]
COMPLETE = {
    "SLACK_BOT_TOKEN": "xoxb-of-the-tests",
    "SLACK_SIGNING_SECRET": "secret-of-the-tests",
    "SLACK_CHANNEL": "#hr-bot",
    "SLACK_API_URL": "http://127.0.0.1:9/api/",
    "OPENAI_API_KEY": "sk-of-the-tests",
    "HR_API_URL": "https://hr.example",
    "APIS_FILE": str(CATALOG),
    "HOST": "127.0.0.1",
    "PORT": "0",
}
SMALL = """\
name: HR
base_url: ${HR_API_URL}
endpoints:
  - method: GET
    url: /api/users?page=[page_id]
    description: Lists employees.
  - method: POST
    url: /api/users
    description: Adds an employee.
    approval: never
"""


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Nothing of this machine's but the PATH; wide, so that a table's words stay in one line."""
    return {"PATH": os.environ.get("PATH", ""), "COLUMNS": "250", **settings}


def check(where: Path, *arguments: str, **settings: str) -> Result:
    """`python bot.py check ...` in the directory `where`, in this process: it needs no other, and starting one takes a second."""
    nothing = dict.fromkeys(os.environ) | {"COLUMNS": "250"}
    before = Path.cwd()
    os.chdir(where)
    try:
        return CliRunner().invoke(main, ["check", *arguments], env=nothing | settings)
    finally:
        os.chdir(before)


def run(where: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The same as its own process, forked from one that has imported the bot."""
    return command(environment(settings), where, *arguments)


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_shows_the_operations_with_who_may_do_what(tmp_path: Path) -> None:
    done = check(tmp_path, HR_API_URL="https://hr.example", APIS_FILE=str(CATALOG))

    assert (done.exit_code, done.stderr) == (0, "")
    lines = {
        name: line for line in done.stdout.splitlines() for name in ("GET", "POST", "PUT", "DELETE") if name in line
    }
    assert "HR at https://hr.example" in done.stdout
    assert "everybody" in lines["GET"]
    assert "without approval until data has been read in the thread" in lines["POST"]
    assert "waits for asker, at most 60 min" in lines["PUT"]
    assert "waits for asker, at most 30 min" in lines["DELETE"]
    assert "5 operations, no mistakes found." in done.stdout


def test_check_says_how_each_api_is_called_and_reads_the_files_that_it_names(tmp_path: Path) -> None:
    entries = [{"method": "GET", "url": "/x", "description": "X."}]
    ways = {
        "Plain": {},
        "Client": {
            "client_credentials": {"issuer": "https://login.example", "client_id": "a", "client_secret": "bbbbbb"}
        },
        "Asked": {"bearer_file": "token", "actor": {"headers": {"X-Asker": "asker"}}},
        "Own": {"oauth2": {"issuer": "https://login.example", "client_id": "a", "scopes": ["openid"]}},
    }
    apis = [
        {"name": name, "base_url": f"https://{name}.example", "endpoints": entries} | ({"auth": auth} if auth else {})
        for name, auth in ways.items()
    ]
    apis[0]["tls"] = {"cert": "cert.pem"}
    (tmp_path / "apis.yaml").write_text(json.dumps({"apis": apis}))

    done = run(tmp_path, "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Asked: auth.bearer_file: cannot read token: No such file or directory.\n"
    (tmp_path / "token").write_text("a-token")
    done = run(tmp_path, "check")
    assert done.stderr == "Plain: tls.cert: cert.pem cannot be read: No such file or directory.\n"
    done = run(tmp_path, "check", "--no-env")
    assert done.returncode == 0
    assert "Plain is called with a client certificate.\n" in done.stdout
    assert "Client is called with tokens from https://login.example.\n" in done.stdout
    assert "Asked is called with a token from a file, and told who asks, unsigned.\n" in done.stdout
    assert "Own is called with each asker's own account at https://login.example.\n" in done.stdout


def test_check_says_what_is_shared_with_the_thread(tmp_path: Path) -> None:
    entry = "{method: GET, url: /%s, description: Shows., approval: {approvers: [asker], shared: %s}}"
    lines = [
        "base_url: http://h",
        "endpoints:",
        *(f"  - {entry % one}" for one in (("plans", "true"), ("payroll", "false"))),
    ]
    (tmp_path / "apis.yaml").write_text("\n".join(lines))
    shown = check(tmp_path).output.splitlines()
    plans, payroll = (next(line for line in shown if f"GET /{name}" in line) for name in ("plans", "payroll"))
    assert "waits for asker, shared with the thread, at most 60 min" in plans
    assert "waits for asker, at most 60 min" in payroll


def test_check_shows_who_may_ask(tmp_path: Path) -> None:
    lines = [
        "name: HR",
        "base_url: http://h",
        'askers: ["@hr-team", example.com]',
        "endpoints:",
        "  - {method: GET, url: /people, description: Lists.}",
        "  - {method: GET, url: /holidays, description: Lists., askers: everybody}",
        '  - {method: POST, url: /people, description: Adds., askers: [B061EG9T2], approval: {approvers: ["@leads"]}}',
    ]
    (tmp_path / "apis.yaml").write_text("\n".join(lines))
    shown = check(tmp_path).output
    rows = {
        name: line for line in shown.splitlines() for name in ("GET /people", "GET /holidays", "POST") if name in line
    }
    assert "may be asked for by @hr-team or example.com" in rows["GET /people"]
    assert "everybody in the channel" in rows["GET /holidays"]
    assert "may be asked for by B061EG9T2: waits for @leads, at most 60 min" in rows["POST"]
    assert (
        "Who may ask (HR): @hr-team or example.com for 1 operation; everybody for 1 operation; B061EG9T2 for 1 operation."
        in shown
    )


def test_check_shows_placeholders_as_they_are_written(tmp_path: Path) -> None:
    done = check(tmp_path, HR_API_URL="https://hr.example", APIS_FILE=str(CATALOG))

    assert "DELETE /api/users/[user_id]" in done.stdout


CONDITIONAL = """
name: Payments
base_url: https://pay.example.com
endpoints:
  - {method: GET, url: /refunds, description: Lists.}
  - method: POST
    url: /refunds
    description: Pays money back.
    approval: [{when: {properties: {amount: {minimum: 1000}}}, approvers: ["@leads"]}]
  - method: DELETE
    url: /refunds/[id]
    description: Cancels.
    approval: [{when: {patternProperties: {"^a": {}}}, approvers: ["@leads"]}]
channels:
  "#pay":
    approval: {when: {properties: {currency: {const: USD}}}, approvers: ["@all"], quorum: 2}
"""


def test_check_shows_which_spelling_of_a_condition_asks_whom_and_where_it_can_be_missed(tmp_path: Path) -> None:
    (tmp_path / "apis.yaml").write_text(CONDITIONAL)
    done = check(tmp_path, COLUMNS="200")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    told = {(row[0], row[1]): row[2] for row in rows if row[2:]}
    asks, not_told = "waits for @leads, at most 60 min", "(the strictest rule: it is unclear which one applies)"

    assert done.exit_code == 0
    assert told["POST /refunds", '{"amount": 1000}'] == asks
    assert told["POST /refunds", '{"amount": 999}'] == "without approval until data has been read in the thread"
    for body in ('{"amount": "1000"}', '{"amount": "1,000"}', '{"Amount": 1000}', '{"data": {"amount": 1000}}', "{}"):
        assert told["POST /refunds", body] == f"{asks} {not_told}"
    by_all = told["POST /refunds in #pay", '{"amount": 999, "currency": "usd"}']
    assert by_all == "waits for @all, 2 votes, at most 60 min"
    assert "Warning: POST /refunds: the body may have fields that no schema names" in done.stdout
    assert "Warning: DELETE /refunds/[id]: its condition says 'patternProperties', which names no field" in done.stdout
    assert "3 operations, no mistakes found, " in done.stdout


def test_check_needs_no_settings_and_takes_apis_yaml_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "apis.yaml").write_text(SMALL)

    done = check(tmp_path, HR_API_URL="https://hr.example")

    assert done.exit_code == 0
    assert "without approval (approval: never)" in done.stdout


def test_check_reads_the_env_file_too(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(SMALL)
    (tmp_path / ".env").write_text("HR_API_URL=https://from-the-file.example\nAPIS_FILE=other.yaml\n")

    done = check(tmp_path)

    assert (done.exit_code, done.stderr) == (0, "")
    assert "HR at https://from-the-file.example" in done.stdout


BROKEN: dict[str, tuple[str, list[str]]] = {
    "an unknown method": (SMALL.replace("method: GET", "method: FETCH"), ["endpoint 1", "line 4", "FETCH"]),
    "no description": (
        SMALL.replace("    description: Adds an employee.\n", ""),
        ["endpoint 2", "line 7", "'description' is missing"],
    ),
    "a misspelt key": (
        SMALL.replace("approval:", "aproval:"),
        ["endpoint 2", "line 10", "'aproval' is not a catalog key"],
    ),
    "never on GET": (
        SMALL.replace("Lists employees.", "Lists.\n    approval: never"),
        ["endpoint 1", "approval: never is for POST only"],
    ),
    "no endpoints": ("name: HR\nbase_url: https://hr.example\nendpoints: []\n", ["line 3", "endpoints"]),
    "no YAML": ("name: [HR\nbase_url: x\n", ["line ", "not valid YAML"]),
    "a list": ("- a\n- b\n", ["write a mapping"]),
    "nothing": ("", ["is empty"]),
    "the same entry twice": (
        SMALL + "  - method: POST\n    url: /api/users\n    description: Again.\n",
        ["line 11", "duplicate operation POST /api/users"],
    ),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_check_tells_a_mistake_with_its_place_and_no_traceback(tmp_path: Path, mistake: str) -> None:
    text, words = BROKEN[mistake]
    (tmp_path / "apis.yaml").write_text(text)

    done = check(tmp_path, HR_API_URL="https://hr.example")

    assert (done.exit_code, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    for word in ("apis.yaml", *words):
        assert word in done.stderr


WRONG = """name: HR
base_url: https://hr.example
endpoints:
  - method: GET
    url: /people?page=[page]
    description: Lists people.
    pagination: {style: page, parameter: pages}
  - method: DELETE
    url: /people/[id]
    description: Removes a person.
    parameters:
      id:
        lookup: {operation: GET /peple, match: [name], id: id}
recipes:
  - workflowId: remove-two
    description: Removes two people.
    steps:
      - stepId: first
        operation: DELETE /people/[id]
        parameters: {id: 1}
      - stepId: second
        operation: DELETE /people/[id]
        parameters: {id: 2}
channels:
  "#hr-bot":
    operations:
      - GET *
      - POST *
"""


def test_check_tells_all_mistakes_between_entries_at_once(tmp_path: Path) -> None:
    (tmp_path / "apis.yaml").write_text(WRONG)

    done = check(tmp_path)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "apis.yaml, endpoint 1, line 7: pagination: 'pages' is not a query parameter of /people?page=[page]; write ?pages=[pages] there.",
        "apis.yaml, endpoint 2, line 13: lookup: 'GET /peple' is not a GET of this API; available: GET /people.",
        "apis.yaml, recipe 1, step 1, line 19: DELETE /people/[id] is a write, and only the last step may be one; "
        "split the recipe there.",
        "apis.yaml, channel #hr-bot, line 28: 'POST *' matches no operation; write, for example, 'GET *' or 'GET /people'.",
    ]


def test_check_tells_a_variable_that_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "apis.yaml").write_text(SMALL)

    done = check(tmp_path)

    assert done.exit_code == 2
    assert "HR_API_URL is not set" in done.stderr


def test_check_tells_a_missing_file(tmp_path: Path) -> None:
    done = check(tmp_path, APIS_FILE="nowhere.yaml")

    assert done.exit_code == 2
    assert "APIS_FILE: cannot read nowhere.yaml: No such file or directory." in done.stderr


def test_check_takes_another_file(tmp_path: Path) -> None:
    (tmp_path / "apis.yaml").write_text(BROKEN["nothing"][0])
    (tmp_path / "other.yaml").write_text(SMALL)
    (tmp_path / "broken.yaml").write_text(BROKEN["no description"][0])

    done = check(tmp_path, "other.yaml", HR_API_URL="https://hr.example")
    broken = check(tmp_path, "broken.yaml", HR_API_URL="https://hr.example", APIS_FILE="other.yaml")
    missing = check(tmp_path, "nowhere.yaml")

    assert (done.exit_code, done.stderr) == (0, "")
    assert "2 operations, no mistakes found." in done.stdout
    assert broken.exit_code == 2
    assert broken.stderr.startswith("broken.yaml, endpoint 2, line 7")
    assert missing.stderr == "FILE: cannot read nowhere.yaml: No such file or directory.\n"


@pytest.mark.parametrize(
    ("base_url", "shown"),
    [
        ("${HR_API_URL}", "HR at ${HR_API_URL}"),
        ("https://${HOST}/v1/", "HR at https://${HOST}/v1"),
        ("${HR_API_URL}/v1", "HR at ${HR_API_URL}/v1"),
        ("https://${HOST:-hr.example}:${PORT:-8443}", "HR at https://hr.example:8443"),
    ],
)
def test_check_without_the_environment_looks_up_no_variable(tmp_path: Path, base_url: str, shown: str) -> None:
    """As in CI, where there are none; what happens to be set there does not count."""
    auth = "auth: {basic: {username: bot, password: '${PASSWORD}'}}\nheaders: {X-Tenant: '${TENANT}'}\n"
    (tmp_path / "apis.yaml").write_text(SMALL.replace("${HR_API_URL}", base_url) + auth)

    done = check(tmp_path, "--no-env", HR_API_URL="ftp://nonsense", APIS_FILE="elsewhere.yaml")

    assert (done.exit_code, done.stderr) == (0, "")
    assert shown in done.stdout


@pytest.mark.parametrize(
    "base_url", ["ftp://${HOST}", "${HR_API_URL}?x=1", "https://${HOST}/../x", "hr.example/${PATH}"]
)
def test_check_without_the_environment_still_tells_what_no_variable_could_mend(tmp_path: Path, base_url: str) -> None:
    (tmp_path / "apis.yaml").write_text(SMALL.replace("${HR_API_URL}", base_url))

    done = check(tmp_path, "--no-env")

    assert done.exit_code == 2
    assert "apis.yaml, line 2: base_url: " in done.stderr


def test_check_asks_slack_with_the_environment_alone(tmp_path: Path) -> None:
    done = check(tmp_path, "--no-env", "--slack")

    assert done.exit_code == 2
    assert "--slack needs the environment; leave --no-env out." in done.stderr


def test_check_cuts_no_path_off(tmp_path: Path) -> None:
    """In a pipe a row is one line; on a narrow terminal it goes on below."""
    url = "/api/v2/" + "/".join(f"organizations{number}/[organization_id_{number}]" for number in range(4))
    (tmp_path / "apis.yaml").write_text(SMALL.replace("url: /api/users\n", f"url: {url}\n"))

    done = check(tmp_path, "--no-env", COLUMNS="60")
    narrow = pty_output(tmp_path, ["check", "--no-env"], columns=70)

    assert f"POST {url}" in done.stdout
    first_column = "".join(line.split("│")[1].strip() for line in narrow.splitlines() if line.startswith("│"))
    assert f"POST{url}" in first_column.replace(" ", "")
    assert "…" not in narrow


def pty_output(where: Path, arguments: list[str], columns: int) -> str:
    """What a command shows on a terminal of this width."""
    door, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (50, columns))
    settings = {"PATH": os.environ.get("PATH", ""), "TERM": "dumb"}
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(all_of, door)
        done = command(settings, where, *arguments, terminal=os.ttyname(terminal))
        os.close(terminal)
    os.close(door)
    assert done.returncode == 0
    return shown.result().decode().replace("\r\n", "\n")


def all_of(door: int) -> bytes:
    """What comes out of a terminal until nobody has it any more."""
    shown = b""
    with contextlib.suppress(OSError):  # Linux's word for the end of a terminal
        while piece := os.read(door, 4_096):
            shown += piece
    return shown


@pytest.mark.parametrize(
    ("switched", "words"),
    [
        ("", "2 operations, no mistakes found."),
        ("    enabled: false\n", "1 operation (1 more switched off), no mistakes found."),
    ],
)
def test_check_counts_what_is_switched_off(tmp_path: Path, switched: str, words: str) -> None:
    (tmp_path / "apis.yaml").write_text(SMALL + switched)

    assert check(tmp_path, "--no-env").stdout.endswith(words + "\n")


def test_a_broken_catalog_stops_the_start_with_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "apis.yaml").write_text(BROKEN["an unknown method"][0])
    settings = COMPLETE | {"APIS_FILE": "apis.yaml"}

    checked, started = check(tmp_path, **settings), run(tmp_path, **settings)

    assert started.returncode == checked.exit_code == 2
    assert started.stderr.splitlines()[-1] == checked.stderr.splitlines()[-1]


def test_a_catalog_with_peoples_accounts_and_no_key_for_them_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "apis.yaml").write_text(
        SMALL + "auth: {oauth2: {issuer: https://login.example.com, client_id: bot, scopes: [openid]}}\n"
    )
    settings = COMPLETE | {"APIS_FILE": "apis.yaml"}
    for key, words in (("", "TOKEN_KEY is not set. "), ("password", "TOKEN_KEY: write 32 bytes in base64, ")):
        started = run(tmp_path, **settings, TOKEN_KEY=key)
        assert started.returncode == 2
        assert started.stderr.splitlines()[-1].startswith(words)
        assert "password" not in started.stderr
        checked = check(tmp_path, **settings, TOKEN_KEY=key)
        assert (checked.exit_code, checked.stderr) == (2, started.stderr.splitlines()[-1] + "\n")


def test_check_says_what_people_could_not_connect_their_accounts_without(tmp_path: Path) -> None:
    settings = {"TOKEN_KEY": "6nOSl4xRW0eXm3x1FqYyIhBB6gCxTNNrFfcCvzjzqxA=", "HR_API_URL": "https://hr.example"}
    urls = "authorize_url: https://login.example.com/a, token_url: https://login.example.com/t"
    oauth2 = f"{urls}, userinfo_url: https://login.example.com/u, client_id: bot"
    (tmp_path / "apis.yaml").write_text(f"{SMALL}auth: {{oauth2: {{{oauth2}}}}}\n")
    done = check(tmp_path, **settings)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("PUBLIC_URL is not set. ")
    done = check(tmp_path, **settings, PUBLIC_URL="bot.example.com")
    assert (done.exit_code, done.stderr) == (
        2,
        "PUBLIC_URL: write it with its scheme, for example https://bot.example.com.\n",
    )
    assert check(tmp_path, **settings, PUBLIC_URL="https://bot.example.com").exit_code == 0
    (tmp_path / "apis.yaml").write_text(
        f"{SMALL}auth: {{oauth2: {{{oauth2}, device_url: https://login.example.com/d}}}}\n"
    )
    assert check(tmp_path, **settings).exit_code == 0


# --- settings ---------------------------------------------------------------------------------------------------------


def test_every_missing_setting_is_named_at_once(tmp_path: Path) -> None:
    done = run(tmp_path, HR_API_URL="https://hr.example", APIS_FILE=str(CATALOG))

    assert done.returncode == 2
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_CHANNEL"):
        assert f"{name} is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    wrong = {"PORT": "70000", "WORKERS": "0", "API_TIMEOUT": "-1", "MAX_RESPONSE": "a lot", "ALLOW_GUESTS": "perhaps"}
    done = run(tmp_path, **(COMPLETE | wrong))

    assert done.returncode == 2
    assert sorted(line.partition(":")[0] for line in done.stderr.splitlines()) == sorted(wrong)


@pytest.mark.parametrize(
    ("name", "value"), [("SLACK_CHANNEL", "hr-bot"), ("DATABASE_URL", "sqlite:///nowhere/bot.db")]
)  # the others are in test_settings.py and test_database.py; here it is that the program ends with their words
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    done = run(tmp_path, **(COMPLETE | {name: value}))

    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_no_message_shows_a_secret(tmp_path: Path) -> None:
    secrets = ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "OPENAI_API_KEY")
    done = run(tmp_path, **(COMPLETE | {"PORT": "http"} | dict.fromkeys(secrets, "very-secret-value")))

    assert done.returncode == 2
    assert "very-secret-value" not in done.stdout + done.stderr


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = run(tmp_path, **(COMPLETE | {"PORT": port}))

    assert done.returncode == 2
    assert f"PORT: cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_is_misspelt_is_told_at_the_start(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = {"PORT": str(other.getsockname()[1]), "RATE_LIMT": "20/hour"}  # the port is taken, so that it ends
        done = run(tmp_path, **(COMPLETE | settings))

    (told,) = [json.loads(line) for line in done.stderr.splitlines() if "no such setting" in line]
    assert (told["variable"], told["hint"]) == ("RATE_LIMT", "did you mean RATE_LIMIT?")


def test_a_certificate_that_has_ended_is_told_at_the_start(tmp_path: Path) -> None:
    write(tmp_path / "bot.pem", b"".join(Authority().issue("bot", days=-1)))
    (tmp_path / "apis.yaml").write_text(f"{SMALL}tls: {{cert: bot.pem}}\n")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = {"PORT": str(other.getsockname()[1]), "APIS_FILE": "apis.yaml"}  # the port is taken, so that it ends
        done = run(tmp_path, **(COMPLETE | settings))

    (told,) = [json.loads(line) for line in done.stderr.splitlines() if "a certificate does not hold" in line]
    assert told["reason"].startswith("HR: the certificate in bot.pem expired on ")


# --- help, start and end ----------------------------------------------------------------------------------------------


def test_help_names_the_commands(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")

    assert done.returncode == 0
    assert "check" in done.stdout
    assert "runs the bot" in done.stdout
    assert "..." not in done.stdout.partition("Commands:")[2], "no summary is cut"


def test_an_unknown_command_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "serv")

    assert done.returncode == 2
    assert "No such command 'serv'" in done.stderr


def test_the_program_itself_starts_without_slack_answering_and_sigterm_ends_it_with_0(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, str(ROOT / "bot.py")]
    with (tmp_path / "log").open("wb") as log:
        bot = subprocess.Popen(command, cwd=tmp_path, env=environment(serving_at(port)), stdout=log, stderr=log)
        try:
            until(lambda: SERVING in (tmp_path / "log").read_text())
            assert listens(port)
            bot.send_signal(signal.SIGTERM)
            assert bot.wait(60) == 0
        finally:
            bot.kill()
            bot.wait()
    says_how_it_went((tmp_path / "log").read_text())


def test_ctrl_c_ends_it_with_0_as_well(tmp_path: Path) -> None:
    port = free_port()
    bot = Fork(environment(serving_at(port)), tmp_path)
    with bot.open_log() as log:
        try:
            told = read_to(log, SERVING)
            assert listens(port)
            bot.send_signal(signal.SIGINT)
            assert bot.wait(60) == 0
        finally:
            bot.kill()
            bot.wait()
        says_how_it_went(told + log.read())


SERVING = '"event": "serving"'


def serving_at(port: int) -> dict[str, str]:
    return COMPLETE | {"PORT": str(port)}


def read_to(log: IO[str], words: str) -> str:
    """The log's lines up to one with these words."""
    read = ""
    for line in log:
        read += line
        if words in line:
            return read
    pytest.fail(f"it ended: {read}")


def says_how_it_went(told: str) -> None:
    """The log has start and end, and no secret."""
    assert SERVING in told
    assert '"event": "stopped"' in told
    assert not [secret for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET") if (secret := COMPLETE[name]) in told]
