"""The settings: from the environment or a .env file, and for each mistake the variable and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.allowance import Allowance, Rate
from base.settings import Misconfigured, Settings, environment, load_settings, misspelt, said_of
from tests.harness.cases import case

REQUIRED = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "shhh-secret", "SLACK_CHANNEL": "#hr"}


@pytest.fixture(autouse=True)
def _empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a .env file, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    set_nothing(monkeypatch)


def set_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def load(monkeypatch: pytest.MonkeyPatch, **environ: str) -> Settings:
    for name, value in (REQUIRED | environ).items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_three_settings_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert settings.channels == ("#hr",)
    assert (settings.port, settings.workers, settings.api_timeout, settings.max_response) == (3_000, 32, 30, 5_000_000)
    assert (settings.max_waiting, settings.max_model_calls, settings.history_tokens) == (256, 20, 60_000)
    assert (settings.apis_file, settings.database_url, settings.host) == ("apis.yaml", "sqlite:///bot.db", "0.0.0.0")
    assert not settings.allow_guests
    assert not settings.log_bodies


def test_every_missing_setting_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured) as caught:
        load_settings()
    assert [line.split(" ")[0] for line in str(caught.value).splitlines()] == list(REQUIRED)
    assert all(
        "is not set. Set it in the environment or in a .env file" in line for line in str(caught.value).splitlines()
    )


def test_with_an_app_level_token_no_signing_secret_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, SLACK_SIGNING_SECRET="", SLACK_APP_TOKEN="xapp-1-A1-token")
    assert settings.slack_signing_secret is None
    assert settings.slack_app_token is not None
    assert "xapp-1-A1-token" in settings.secrets
    assert "xapp-1-A1-token" not in repr(settings)


def test_without_either_the_signing_secret_is_asked_for_and_the_other_way_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(monkeypatch, SLACK_SIGNING_SECRET="")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("SLACK_SIGNING_SECRET is not set.")
    assert "socket mode, with SLACK_APP_TOKEN" in line


def test_a_comment_behind_a_token_is_told_and_not_taken_for_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(monkeypatch, SLACK_BOT_TOKEN="xoxb-secret  # from the app's page")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("SLACK_BOT_TOKEN: it contains a space")
    assert "secret" not in line


@pytest.mark.parametrize("token", ["xoxb-1-2-secret", "secret", "XAPP-1"])
def test_another_kind_of_token_is_no_app_level_token(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(monkeypatch, SLACK_SIGNING_SECRET="", SLACK_APP_TOKEN=token)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("SLACK_APP_TOKEN: this is ")
    assert "; write an app-level token (xapp-...)" in line
    assert "Basic Information > App-Level Tokens" in line
    assert token not in line


def test_a_file_named_dot_env_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        *(f"{name}={value}" for name, value in REQUIRED.items()),
        "PORT=4000",
        "WORKERS='3'",
        "# a comment",
        "OTHERS=5",
    ]
    (tmp_path / ".env").write_text("\n".join(lines))
    monkeypatch.setenv("PORT", "5000")
    settings = load_settings()
    assert (settings.port, settings.workers, settings.slack_channel) == (5_000, 3, "#hr")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, PORT="", OPENAI_API_KEY="", OPENAI_BASE_URL="", LOG_BODIES="", SLACK_API_URL="")
    assert (settings.port, settings.openai_api_key, settings.openai_base_url, settings.log_bodies) == (
        3_000,
        None,
        None,
        False,
    )
    assert settings.slack_api_url == "https://slack.com/api/"


@pytest.mark.parametrize(
    ("written", "channels"),
    [
        ("C024BE91L", ("C024BE91L",)),
        ("G024BE91L,#hr-bot", ("G024BE91L", "#hr-bot")),
        (" #hr , C024BE91L ,", ("#hr", "C024BE91L")),
        ("#überall", ("#überall",)),
    ],
)
def test_channels_are_ids_or_names(written: str, channels: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, SLACK_CHANNEL=written).channels == channels


def test_a_size_has_a_unit_or_is_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[str, int]] = [
        ("5000000", 5_000_000),
        ("5 MB", 5_000_000),
        ("512kB", 512_000),
        (" 2 mb ", 2_000_000),
        ("1GB", 10**9),
        ("4096 b", 4_096),
    ]
    for written, size in cases:
        set_nothing(monkeypatch)
        assert load(monkeypatch, MAX_RESPONSE=written).max_response == size, written


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8900/api", "http://127.0.0.1:8900/api/", "http://127.0.0.1:8900/api//"]
)
def test_the_slack_address_ends_in_one_slash(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, SLACK_API_URL=url).slack_api_url == "http://127.0.0.1:8900/api/"


@pytest.mark.parametrize("written", ["1", "true", "yes", "on"])
def test_a_switch_is_on_with_1(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, ALLOW_GUESTS=written).allow_guests


SLACKS = {
    "xoxb-12-34-abc": "a bot token",
    "xapp-1-A1-2-abc": "an app-level token",
    "xoxp-12-34-56-abc": "a person's token (User OAuth Token)",
    "xoxe.xoxb-1-Mi0abc": "a bot token of an app with token rotation, which expires after twelve hours",
    "xoxe.xoxp-1-Mi0abc": "an app configuration token",
    "xoxe-1-My0abc": "a refresh token",
    "xoxc-12-34-abc": "a token of Slack's own or of a legacy app",
    "xoxs-12-34-abc": "a token of Slack's own or of a legacy app",
    "https://hooks.slack.com/services/T0/B0/abc": "an incoming webhook's address",
    "https://example.slack.com": "an address",
    "123456789012.1234567890123": "the Client ID",
    "A0123ABCDEF": "an id of an app or a workspace",
    "0123456789abcdef0123456789abcdef": "the signing secret or the client secret",
    "Xy12Xy12Xy12Xy12Xy12Xy12": "the Verification Token, which Slack has replaced by the signing secret",
    "sk-proj-abc": "a key of the model's server",
}
RIGHT = {
    "SLACK_BOT_TOKEN": ("xoxb-12-34-abc",),
    "SLACK_APP_TOKEN": ("xapp-1-A1-2-abc",),
    "SLACK_SIGNING_SECRET": ("0123456789abcdef0123456789abcdef",),
    "OPENAI_API_KEY": tuple(one for one in SLACKS if not one.startswith(("xo", "xapp", "http"))),
}


def test_a_credential_that_belongs_elsewhere_is_told_by_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack shows a dozen of them; they are told apart by their form."""
    for name in RIGHT:
        for value in SLACKS:
            set_nothing(monkeypatch)
            with case(value, name):
                if value in RIGHT[name]:
                    assert value in load(monkeypatch, **{name: value}).secrets
                    continue
                with pytest.raises(Misconfigured) as caught:
                    load(monkeypatch, **{name: value})
                (line,) = str(caught.value).splitlines()
                assert line.startswith(f"{name}: this is {SLACKS[value]}; write ")
                assert value not in line


def test_a_credential_copied_with_something_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[str, str, str]] = [
        ("SLACK_BOT_TOKEN", "xoxb-...", "this is the placeholder of an example; write the Bot User OAuth Token (xoxb-...)"),
        ("SLACK_BOT_TOKEN", "xoxb-your-token", "this is the placeholder of an example"),
        ("SLACK_SIGNING_SECRET", "...", "this is the placeholder of an example; write the Signing Secret of Basic Information"),
        ("SLACK_SIGNING_SECRET", "<signing secret>", "this is the placeholder of an example"),
        ("OPENAI_API_KEY", "sk-...", "this is the placeholder of an example"),
        ("SLACK_BOT_TOKEN", '"xoxb-12-34-abc"', "the quotes around it would be sent, too"),
        ("SLACK_BOT_TOKEN", "Bearer xoxb-12-34-abc", "leave out the word Bearer"),
        ("SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN=xoxb-12", "the value begins with its own name, SLACK_BOT_TOKEN=; leave that out"),
        ("SLACK_BOT_TOKEN", "12345", "this is not a bot token; write the Bot User OAuth Token"),
    ]  # fmt: skip
    for name, value, words in cases:
        set_nothing(monkeypatch)
        with case(name, value):
            with pytest.raises(Misconfigured) as caught:
                load(monkeypatch, **{name: value})
            assert str(caught.value).startswith(f"{name}: {words}")


def test_a_models_server_may_want_any_key(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[str] = ["ollama", "none-needed", "EMPTY", "0123456789abcdef0123456789abcdef", "gsk_abc", "x"]
    for key in cases:
        set_nothing(monkeypatch)
        assert key in load(monkeypatch, OPENAI_API_KEY=key).secrets, key


def test_a_line_break_that_a_vault_added_is_no_part_of_a_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, SLACK_BOT_TOKEN="xoxb-1\n", SLACK_SIGNING_SECRET=" shhh \r\n", OPENAI_API_KEY="sk-1\n")
    assert settings.secrets == ("xoxb-1", "shhh", "sk-1")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:11434/v1",
        "https://models.example.com/openai/v1/",
        "http://[::1]:8000/v1",
        "http://ollama:11434/v1",
    ],
)
def test_the_address_of_a_models_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, OPENAI_BASE_URL=f" {url}\n").openai_base_url == url


MISTAKES = [
    (
        "MODEL_OPTIONS",
        "reasoning_effort=low",
        'it is not JSON; write a JSON object in quotes, for example {"reasoning_effort": "low"}.',
    ),
    ("MODEL_OPTIONS", '{"a": NaN}', "it is not JSON"),
    ("MODEL_OPTIONS", '["low"]', "it is not a JSON object"),
    ("MODEL_OPTIONS", '{"messages": []}', 'leave out "messages"; the bot writes the messages itself.'),
    ("MODEL_OPTIONS", '{"temperature": 0, "model": "x"}', 'leave out "model"; set OPENAI_MODEL.'),
    ("MODEL_OPTIONS", '{"stream": false}', 'leave out "stream"; the bot asks for streams'),
    ("MODEL_OPTIONS", '{"tools": []}', 'leave out "tools"; the bot\'s tools come from the catalog.'),
    ("MODEL_API", "messages", "write 'auto', 'chat' or 'responses'."),
    ("OPENAI_BASE_URL", "localhost:11434/v1", "write it with its scheme, for example http://localhost:11434/v1."),
    ("OPENAI_BASE_URL", "127.0.0.1:8000", "for example http://127.0.0.1:8000."),
    ("OPENAI_BASE_URL", "ollama:11434/v1", "for example http://ollama:11434/v1."),
    ("OPENAI_BASE_URL", "models.example.com/v1", "for example https://models.example.com/v1."),
    ("OPENAI_BASE_URL", "//models.example.com/v1", "for example https://models.example.com/v1."),
    ("OPENAI_BASE_URL", "htp://models.example.com/v1", "for example https://models.example.com/v1."),
    ("OPENAI_BASE_URL", "https:/models.example.com/v1", "for example https://models.example.com/v1."),
    ("OPENAI_BASE_URL", "me:shhh@models.example.com/v1", "for example https://models.example.com/v1."),
    ("OPENAI_BASE_URL", "https://", "write it with its scheme"),
    (
        "OPENAI_BASE_URL",
        "https://m.example.com/v1/chat/completions",
        "leave out /chat/completions; the bot adds it itself.",
    ),
    ("OPENAI_BASE_URL", "https://${HOST}/v1", "it contains a space or a variable; write one address in full."),
    ("SLACK_API_URL", "slack.com/api", "write it with its scheme, for example https://slack.com/api."),
    ("SLACK_API_URL", "https://slack.com/api/chat.postMessage", "leave out /chat.postMessage; the bot adds it itself."),
    ("MODEL_TIMEOUT", "2m", "write seconds as a number without a unit, 120."),
    ("MODEL_TIMEOUT", "1.5 min", "write seconds as a number without a unit, 90."),
    ("MODEL_TIMEOUT", "2 minutes", "write seconds as a number without a unit, 120."),
    ("MODEL_TIMEOUT", "500ms", "write seconds as a number without a unit, 0.5."),
    ("MODEL_TIMEOUT", "2 fortnights", "write seconds as a number without a unit."),
    ("MODEL_TIMEOUT", "long", "write a number."),
    ("API_TIMEOUT", "30s", "write seconds as a number without a unit, 30."),
    ("RETENTION_DAYS", "4 weeks", "write days as a number without a unit, 28."),
    ("RETENTION_DAYS", "30d", "write days as a number without a unit, 30."),
    ("HISTORY_TOKENS", "60k", "write it as a number without a unit, 60000."),
    ("PORT", "http", "write a whole number."),
    ("PORT", "70000", "write 65535 or less."),
    ("WORKERS", "0", "write 1 or more."),
    ("API_TIMEOUT", "0", "write more than 0."),
    ("ALLOW_GUESTS", "maybe", "write 1 for on, 0 for off."),
    ("SLACK_CHANNEL", "general", "'general' is neither a channel id (C024BE91L) nor a #name; write #general."),
    ("SLACK_CHANNEL", "https://acme.slack.com/archives/C024BE91L", "; write C024BE91L."),
    ("ADMINS", "Ann Lee", "'Ann Lee' is neither a user (U024BE7LH) nor a group (S0614TZR7 or @hr-leads)."),
    ("SLACK_CHANNEL", "#a b", "neither a channel id"),
    ("SLACK_CHANNEL", "C1,,hr", "'hr' is neither"),
    ("SLACK_CHANNEL", ",", "'' is neither"),
    ("SLACK_CHANNEL", "c024be91l", "neither"),
    ("PORT", "http", ""),
    ("PORT", "70000", ""),
    ("PORT", "-1", ""),
    ("WORKERS", "0", ""),
    ("WORKERS", "1000", ""),
    ("WORKERS", "2.5", ""),
    ("MAX_WAITING", "0", ""),
    ("MAX_MODEL_CALLS", "0", ""),
    ("MAX_RESPONSE", "big", "write a size, for example 5 MB, 512 kB or 5000000."),
    ("MAX_RESPONSE", "5 XB", "write a size, for example"),
    ("MAX_RESPONSE", "-5", "write a size, for example"),
    ("MAX_RESPONSE", "10", ""),
    ("API_TIMEOUT", "0", ""),
    ("API_TIMEOUT", "-3", ""),
    ("API_TIMEOUT", "30s", ""),
    ("API_TIMEOUT", "nan", ""),
    ("API_TIMEOUT", "inf", ""),
    ("MODEL_TIMEOUT", "nan", ""),
    ("MODEL_TIMEOUT", "inf", ""),
    ("HISTORY_TOKENS", "5", ""),
    ("RETENTION_DAYS", "0", ""),
    ("RETENTION_DAYS", "nan", ""),
    ("ALLOW_GUESTS", "maybe", ""),
    ("LOG_BODIES", "2", ""),
]


def test_a_mistake_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, words in MISTAKES:
        set_nothing(monkeypatch)
        with case(name, value):
            with pytest.raises(Misconfigured) as caught:
                load(monkeypatch, **{name: value})
            assert str(caught.value).startswith(f"{name}: ")
            assert words in str(caught.value)
            assert len(str(caught.value).splitlines()) == 1


def test_several_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"SLACK_BOT_TOKEN": "xapp-1", "SLACK_CHANNEL": "hr", "PORT": "x", "WORKERS": "y", "ADMINS": "Ann"}
    with pytest.raises(Misconfigured) as caught:
        load(monkeypatch, **wrong)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == list(wrong)


def test_a_channel_that_a_comment_swallowed_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SLACK_BOT_TOKEN=xoxb-1\nSLACK_SIGNING_SECRET=s\nSLACK_CHANNEL= #hr-bot\n")
    with pytest.raises(Misconfigured, match=r"^SLACK_CHANNEL is not set\. .* put #names in quotes\.$"):
        load_settings()


def test_thousands_may_be_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, HISTORY_TOKENS="60,000", PROMPT_BUDGET="4_000", MODEL_TIMEOUT="1,200")
    assert (settings.history_tokens, settings.prompt_budget, settings.model_timeout) == (60_000, 4_000, 1_200)


def test_no_secret_is_in_what_a_traceback_or_log_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, OPENAI_API_KEY="sk-key")
    assert not any(secret in repr(settings) + str(settings) for secret in ("xoxb-1", "shhh-secret", "sk-key"))


def test_no_secret_is_in_what_is_told_of_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(monkeypatch, PORT="shhh-secret", WORKERS="xoxb-1")
    assert "xoxb" not in str(caught.value)


def test_options_of_the_model_are_a_json_object(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        monkeypatch, MODEL_OPTIONS=' {"reasoning_effort": "low", "provider": {"order": ["a"]}} ', MODEL_API="chat"
    )
    assert settings.options_of_model == {"reasoning_effort": "low", "provider": {"order": ["a"]}}
    assert settings.model_api == "chat"


def test_without_options_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, MODEL_OPTIONS=" ")
    assert (settings.options_of_model, settings.model_api) == ({}, "auto")


def test_in_socket_mode_the_bot_listens_to_its_own_machine_alone() -> None:
    cases: list[tuple[dict[str, str], str]] = [
        ({"slack_signing_secret": "s"}, "0.0.0.0"),
        ({"slack_app_token": "xapp-1"}, "127.0.0.1"),
        ({"slack_app_token": "xapp-1", "slack_signing_secret": "s"}, "127.0.0.1"),
        ({"slack_app_token": "xapp-1", "host": "10.0.0.7"}, "10.0.0.7"),
        ({"slack_signing_secret": "s", "host": "127.0.0.1"}, "127.0.0.1"),
    ]
    for given, host in cases:
        with case(given):
            settings = Settings.model_validate({"slack_bot_token": "xoxb-1", "slack_channel": "C0HR", **given})
            assert settings.host == host


def test_in_a_container_the_bot_listens_everywhere() -> None:
    text = (Path(__file__).parents[2] / "deploy" / "Dockerfile").read_text("utf-8")
    assert "HOST=0.0.0.0" in text


# --- what people may use ----------------------------------------------------------------------------------------------


def test_what_people_may_use_is_as_much_as_they_like_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch).allowance == Allowance()
    given = {"RATE_LIMIT": " 20/hour ", "RATE_LIMIT_CHANNEL": "3 / minute", "TOKEN_BUDGET": "1,000,000"}
    allowance = load(monkeypatch, **given, TOKEN_BUDGET_ALL="5").allowance
    assert allowance == Allowance(Rate(20, "hour"), Rate(3, "minute"), 1_000_000, 5)


def refuses(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], cases: list[tuple[str, str]]) -> None:
    """Each of these settings, given each value, is told with what to write."""
    for name in names:
        for value, told in cases:
            set_nothing(monkeypatch)
            with case(value, told, name):
                with pytest.raises(Misconfigured) as caught:
                    load(monkeypatch, **{name: value})
                assert str(caught.value) == f"{name}: {told}."


def test_a_rate_that_is_none_is_told_with_what_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[str, str]] = [
        ("20", "write a number and a span, for example 20/hour (minute, hour or day)"),
        ("20 an hour", "write a number and a span, for example 20/hour (minute, hour or day)"),
        ("-1/hour", "write a number and a span, for example 20/hour (minute, hour or day)"),
        ("20/hours", "'hours' is not a time span; write 20/hour"),
        ("20/h", "'h' is not a time span; write 20/hour"),
        ("5/Day", "'Day' is not a time span; write 5/day"),
        ("5/min", "'min' is not a time span; write 5/minute"),
        ("5/week", "write a number and a span, for example 20/hour (minute, hour or day)"),
        ("0/hour", "write 1 or more, or leave it out for no limit"),
    ]
    refuses(monkeypatch, ("RATE_LIMIT", "RATE_LIMIT_CHANNEL"), cases)


def test_a_budget_that_is_none_is_told_with_what_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[str, str]] = [
        ("many", "write a whole number"),
        ("0", "write 1 or more"),
        ("200k", "write it as a number without a unit, 200000"),
        ("1.5", "write a whole number"),
    ]
    refuses(monkeypatch, ("TOKEN_BUDGET", "TOKEN_BUDGET_ALL"), cases)


# --- what is misspelt -------------------------------------------------------------------------------------------------


def test_what_looks_like_a_setting_is_told_with_the_one_that_is_meant() -> None:
    cases: list[tuple[str, str]] = [
        ("SLACK_CHANEL", "SLACK_CHANNEL"),
        ("SLACK_CHANNELS", "SLACK_CHANNEL"),
        ("SLACKCHANNEL", "SLACK_CHANNEL"),
        ("SLAK_BOT_TOKEN", "SLACK_BOT_TOKEN"),
        ("slack_bot_tokn", "SLACK_BOT_TOKEN"),
        ("OPENAI_KEY", "OPENAI_API_KEY"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("MAX_WATING", "MAX_WAITING"),
        ("RATE_LIMITS", "RATE_LIMIT"),
        ("TOKEN_BUDGETS", "TOKEN_BUDGET"),
        ("WORKER", "WORKERS"),
    ]
    for given, setting in cases:
        with case(given):
            assert misspelt([given, "PATH", "HOME"]) == {given.upper(): setting}
            assert misspelt([given, setting]) == {}  # it is set; the other one is somebody else's


def test_what_is_somebody_elses_is_not_taken_for_a_setting() -> None:
    cases: list[str] = [
        "HR_API_URL",
        "HR_API_TOKEN",
        "OPENAI_ORG_ID",
        "SLACK_WEBHOOK_URL",
        "HOSTNAME",
        "FTP_PROXY",
        "SSL_CERT_DIR",
        "LOGNAME",
        "LANG",
        "MODEL_NAME",
        "API_TOKEN",
        "SLACK_TEAM_ID",
        "http_proxy",
        "no_proxy",
        "PWD",
        "MAIL",
    ]
    for given in cases:
        assert misspelt([given]) == {}, given


def test_a_setting_that_is_no_secret_is_read_from_no_file_and_that_is_told() -> None:
    cases: list[str] = ["PUBLIC_URL", "SLACK_CHANNEL", "APIS_FILE", "SSL_CERT_FILE", "OPENAI_API_KEY_FILE"]
    for also in ([], ["itself"]):
        for name in cases:
            with case(name, also):
                given = [f"{name}_FILE", *(name for _ in also)]
                assert misspelt(given) == {f"{name}_FILE": name}
                assert said_of(f"{name}_FILE", name) == f"only secrets are read from files: set {name} itself"


def test_a_missing_setting_is_told_with_the_file_that_was_named_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("SLACK_BOT_TOKEN", "xoxb-1-2-abc"),
        ("SLACK_SIGNING_SECRET", "s" * 32),
        ("SLACK_CHANNEL_FILE", "x"),
    ):
        monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured) as caught:
        load_settings()
    assert str(caught.value).endswith(
        " SLACK_CHANNEL_FILE is set, but is not a setting: only secrets are read from files: set SLACK_CHANNEL itself"
    )


def test_a_missing_setting_is_told_with_what_it_may_have_been_written_as(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKN", "xoxb-1")
    (tmp_path / ".env").write_text("SLACK_CHANELL=C0HR\nSLACK_SIGNING_SECRET=s\n")
    with pytest.raises(Misconfigured) as caught:
        load_settings()
    token, channel = str(caught.value).splitlines()
    assert token.endswith(
        "(README, 'Settings'). SLACK_BOT_TOKN is set, but is not a setting: did you mean SLACK_BOT_TOKEN?"
    )
    assert channel.startswith("SLACK_CHANNEL is not set.")
    assert channel.endswith("SLACK_CHANELL is set, but is not a setting: did you mean SLACK_CHANNEL?")
    assert "xoxb" not in str(caught.value)


def test_files_of_a_folder_are_settings_and_the_catalogs_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Kubernetes lays a secret out: links into a folder whose name changes with its content."""
    folder, data = tmp_path / "secrets", tmp_path / "secrets" / "..2026_11_30"
    data.mkdir(parents=True)
    (folder / "..data").symlink_to(data.name)
    for name, text in {
        "SLACK_BOT_TOKEN": "xoxb-from-a-file\n",
        "HR_TOKEN": "t0ken\n",
        "openai-api-key": "sk-1",
    }.items():
        (data / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")
    for name in ("SLACK_SIGNING_SECRET", "SLACK_CHANNEL"):
        monkeypatch.setenv(name, REQUIRED[name])
    monkeypatch.setenv("SECRETS_DIR", str(folder))

    assert load_settings().slack_bot_token.get_secret_value() == "xoxb-from-a-file"
    assert environment()["HR_TOKEN"] == "t0ken"
    assert "openai-api-key" not in environment()


def test_what_is_set_counts_before_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "SLACK_BOT_TOKEN").write_text("xoxb-from-a-file")
    (tmp_path / "HR_TOKEN").write_text("from-a-file")
    monkeypatch.setenv("HR_TOKEN", "set")
    settings = load(monkeypatch, SLACK_BOT_TOKEN="xoxb-set", SECRETS_DIR=str(tmp_path))
    assert settings.slack_bot_token.get_secret_value() == "xoxb-set"
    assert environment()["HR_TOKEN"] == "set"


def test_a_folder_of_secrets_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"SECRETS_DIR: cannot read .*nowhere: No such file or directory\."):
        load(monkeypatch, SECRETS_DIR=str(tmp_path / "nowhere"))


def test_a_wrong_secret_in_a_file_is_told_without_its_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "OPENAI_API_KEY").write_text("xoxb-a-token-of-slack")
    with pytest.raises(Misconfigured) as caught:
        load(monkeypatch, SECRETS_DIR=str(tmp_path))
    assert str(caught.value).startswith("OPENAI_API_KEY: ")
    assert "a-token-of-slack" not in str(caught.value)


def test_a_metrics_port_is_none_of_slacks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch).metrics_port is None
    assert load(monkeypatch, METRICS_PORT="9464").metrics_port == 9464
    with pytest.raises(
        Misconfigured, match="METRICS_PORT: it is the same as PORT, which Slack reaches; choose another"
    ):
        load(monkeypatch, METRICS_PORT="3000")


@pytest.mark.parametrize(("given", "level"), [("DEBUG", "debug"), (" Warning ", "warning"), ("", "info")])
def test_a_log_level_is_taken_in_any_letters(monkeypatch: pytest.MonkeyPatch, given: str, level: str) -> None:
    assert load(monkeypatch, LOG_LEVEL=given).log_level == level


def test_another_log_level_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match="LOG_LEVEL: write 'debug', 'info', 'warning' or 'error'"):
        load(monkeypatch, LOG_LEVEL="loud")


def test_the_key_of_who_receives_spans_is_a_secret_as_it_is_written_and_as_it_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(monkeypatch, OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20k3y,x-tenant=hr-team")
    assert {"Bearer%20k3y", "Bearer k3y", "hr-team"} <= set(settings.secrets)
    assert "k3y" not in repr(settings)


# --- NAME_FILE --------------------------------------------------------------------------------------------------------


def test_each_secret_setting_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {
        "SLACK_BOT_TOKEN": "xoxb-from-a-file",
        "SLACK_SIGNING_SECRET": "shhh-from-a-file",
        "JOURNAL_KEY": "journal-key-from-a-file",
        "DATABASE_URL": "postgresql://bot:from-a-file@db/bot",
        "HTTPS_PROXY": "http://bot:from-a-file@proxy:3128",
        "OTEL_EXPORTER_OTLP_HEADERS": "key=from-a-file",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(f"{content}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    monkeypatch.setenv("SLACK_CHANNEL", "#hr")
    settings = load_settings()
    assert settings.slack_bot_token.get_secret_value() == "xoxb-from-a-file"
    assert settings.database_url == "postgresql://bot:from-a-file@db/bot"
    assert settings.way_out.https == "http://bot:from-a-file@proxy:3128"
    assert {"xoxb-from-a-file", "shhh-from-a-file", "journal-key-from-a-file"} <= set(settings.secrets)
    assert "from-a-file" not in repr(settings).replace(settings.database_url, "")
    assert environment()["JOURNAL_KEY"] == "journal-key-from-a-file"
    assert misspelt(environment()) == {}


def test_a_secret_in_two_places_in_no_file_or_in_an_empty_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("SLACK_BOT_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("SLACK_SIGNING_SECRET_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("JOURNAL_KEY_FILE", str(tmp_path / "empty"))
    with pytest.raises(Misconfigured) as caught:
        load_settings()
    assert str(caught.value).splitlines() == [
        "SLACK_BOT_TOKEN_FILE: SLACK_BOT_TOKEN is set, too; set only one of them.",
        f"SLACK_SIGNING_SECRET_FILE: cannot read {tmp_path}/none: No such file or directory.",
        f"JOURNAL_KEY_FILE: {tmp_path}/empty is empty.",
    ]


def test_what_a_secrets_file_holds_is_checked_as_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("xapp-1-A1-token")
    monkeypatch.setenv("SLACK_BOT_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("SLACK_SIGNING_SECRET", "shhh-secret")
    monkeypatch.setenv("SLACK_CHANNEL", "#hr")
    with pytest.raises(Misconfigured, match="SLACK_BOT_TOKEN: this is an app-level token") as caught:
        load_settings()
    assert "xapp" not in str(caught.value).replace("(xapp-...)", "")


def test_the_models_key_has_its_own_file_which_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, OPENAI_API_KEY_FILE=str(tmp_path / "not-read-here"))
    assert settings.openai_api_key is None


@pytest.mark.parametrize("path", ["/oauth/callback", "/slack/events", "/.well-known/jwks.json"])
def test_the_bots_own_paths_are_no_part_of_its_address(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(monkeypatch, PUBLIC_URL=f"https://bot.example.com{path}")
    assert str(caught.value) == f"PUBLIC_URL: leave out {path}; the bot adds its own paths itself."


@pytest.mark.parametrize("url", ["https://bot.example.com", "https://bot.example.com/", "https://example.com/bot"])
def test_the_address_for_browsers_ends_without_a_slash(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, PUBLIC_URL=url).public_url == url.rstrip("/")
