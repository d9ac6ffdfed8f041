"""Every setting of the bot, from the environment or a `.env` file. The README's table lists the same names (a test compares them)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from base.allowance import Allowance, Rate
from base.nearest import meant
from base.proxies import WayOut, secrets_in, written
from base.token_kinds import BELONGS, mistaken

_ENV_FILE = ".env"
_SECRETS_DIR = "SECRETS_DIR"
_IN_QUOTES = " In that file, a # after a space begins a comment: put #names in quotes."
_LIKE_IN_FAMILY, _LIKE = 0.85, 0.92  # of difflib's ratio: SLACK_CHANEL has 0.96, OPENAI_KEY (for OPENAI_API_KEY) 0.86
_OWN_OPTIONS = {  # what MODEL_OPTIONS cannot set, and why
    "messages": "the bot writes the messages itself",
    "model": "set OPENAI_MODEL",
    "stream": "the bot asks for streams, and does without where a server has none",
    "tools": "the bot's tools come from the catalog",
}


class Misconfigured(Exception):
    """A setting or the catalog is wrong. Its text is for the operator: what is wrong and what to write instead."""


class _Unset(ValueError):
    """What is needed is not there. Its text says where it is not needed."""


def _without_commas(value: object) -> object:
    """`5,000,000`, as people write it, with or without a unit behind it, as `5000000`."""
    is_grouped = isinstance(value, str) and re.fullmatch(r"\s*\d{1,3}(,\d{3})+(?![\d,])[^,]*", value)
    return str(value).replace(",", "") if is_grouped else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _slash(value: str) -> str:
    return value.rstrip("/") + "/"


def _url(value: str) -> str:
    """An http(s) URL with its host, and nothing behind it that the program adds itself."""
    given = value.strip()
    if not re.match(r"https?://[^\s/]+", given):
        bare = re.sub(r"^(\w+:)?/+", "", given).rpartition("@")[2]
        scheme = "http" if re.match(r"localhost\b|127\.|\[::1\]|[\w-]+(:\d+)?(/|$)", bare) else "https"
        raise ValueError(f"write it with its scheme, for example {scheme}://{bare}")
    if len(given.split()) > 1 or "${" in given:
        raise ValueError("it contains a space or a variable; write one address in full")
    if found := re.search(r"/(chat/completions|completions|responses|models|chat\.\w+|auth\.test)/*(?=\?|$)", given):
        raise ValueError(f"leave out {found[0]}; the bot adds it itself")
    return given


def _mere(what: str, units: Mapping[str, float]) -> Callable[[object], object]:
    """A reader of numbers that tells what is meant where one has a unit: MODEL_TIMEOUT=2m."""

    def read(value: object) -> object:
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", value) if isinstance(value, str) else None
        if found is None:
            return _without_commas(value)
        unit = next((factor for name, factor in units.items() if found[2].lower() in (name, f"{name}s")), None)
        meant = f", {float(found[1]) * unit:g}" if unit else ""
        raise ValueError(f"write {what} as a number without a unit{meant}")

    return read


def _is_known(names: str, form: str, words: Callable[[str], str]) -> str:
    """A list of names, each of the form. Raises `ValueError` with `words` about the first that is not."""
    for name in _parts(names) or ("",):
        if not re.fullmatch(form, name):
            raise ValueError(words(name))
    return names


def _parts(names: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in names.split(",") if part.strip())


def _channels(names: str) -> str:
    return _is_known(names, r"[CGD][A-Za-z0-9_-]+|#[^\s#]+", _no_channel)


def _no_channel(name: str) -> str:
    linked = re.search(r"/archives/([CGD][A-Z0-9]+)", name)
    likely = linked[1] if linked else f"#{name}" if re.fullmatch(r"[\w-]+", name) else ""
    more = f"; write {likely}" if likely else ""
    return f"'{name}' is neither a channel id (C024BE91L) nor a #name{more}"


def _admins(names: str) -> str:
    words = "'{}' is neither a user (U024BE7LH) nor a group (S0614TZR7 or @hr-leads)".format
    return _is_known(names, r"@[a-z0-9._-]+|[SUW][A-Za-z0-9_]{2,}", words) if _parts(names) else names


def _public_url(value: str) -> str:
    """Where people's browsers reach the bot: https, or plain http on this machine alone. Without a slash at its end."""
    given = _url(value).rstrip("/")
    parts = urlsplit(given)
    if found := re.search(r"/(oauth|slack|\.well-known)(/|$).*", parts.path):
        raise ValueError(f"leave out {found[0]}; the bot adds its own paths itself")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("write the address alone, for example https://bot.example.com")
    is_here = re.fullmatch(r"localhost|127(\.\d{1,3}){3}|::1", parts.hostname or "")
    if parts.scheme != "https" and not is_here:
        raise ValueError("write it with https://: people sign in there; plain http is for this machine alone")
    return given


_SECONDS = {"ms": 0.001, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3_600, "hour": 3_600}
_DAYS = {"d": 1, "day": 1, "w": 7, "week": 7, "month": 30, "y": 365, "year": 365}
_Seconds = Annotated[float, BeforeValidator(_mere("seconds", _SECONDS)), Field(gt=0, allow_inf_nan=False)]
_Days = Annotated[float, BeforeValidator(_mere("days", _DAYS)), Field(ge=1, allow_inf_nan=False)]
_Count = Annotated[int, BeforeValidator(_mere("it", {"k": 1_000, "m": 1_000_000}))]
_Url = Annotated[str, AfterValidator(_url)]


def _options(value: str) -> str:
    """A JSON object of what goes into each model request, and nothing in it that the bot says itself."""
    if not value.strip():
        return ""
    form = 'write a JSON object in quotes, for example {"reasoning_effort": "low"}'
    try:
        options = json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueError(f"it is not JSON; {form}") from None
    if not isinstance(options, dict):
        raise ValueError(f"it is not a JSON object; {form}")  # noqa: TRY004 - pydantic takes a ValueError
    if own := next((name for name in _OWN_OPTIONS if name in options), None):
        raise ValueError(f'leave out "{own}"; {_OWN_OPTIONS[own]}')
    return value


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _rate(value: str) -> str:
    """A rate such as 20/hour, or nothing."""
    return str(Rate.read(value)) if value.strip() else ""


_Rate = Annotated[str, AfterValidator(_rate)]
_Budget = Annotated[_Count, Field(ge=1)] | None


class SignInSettings(BaseSettings):
    """The settings by which people connect accounts, without those of Slack and of the model."""

    model_config = SettingsConfigDict(env_file=_ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    token_key: SecretStr | None = None
    https_proxy: SecretStr | None = None
    http_proxy: SecretStr | None = None
    all_proxy: SecretStr | None = None
    no_proxy: str = ""
    ssl_cert_file: str | None = None

    @field_validator("https_proxy", "http_proxy", "all_proxy")
    @classmethod
    def _is_a_proxy(cls, proxy: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """Those that are of no use are told, unless others stand before them anyway."""
        is_hidden = info.field_name == "all_proxy" and info.data.get("https_proxy") and info.data.get("http_proxy")
        if proxy is None or is_hidden:
            return proxy
        return SecretStr(written(proxy.get_secret_value()))

    @property
    def token_keys(self) -> tuple[str, ...]:
        """What people's tokens are encrypted with, newest first."""
        return _parts(self.token_key.get_secret_value()) if self.token_key is not None else ()

    @property
    def way_out(self) -> WayOut:
        """By which proxies, and with whose certificates."""
        http, https = (
            "" if one is None else one.get_secret_value()
            for one in (self.http_proxy or self.all_proxy, self.https_proxy or self.all_proxy)
        )
        return WayOut(http, https, self.no_proxy, self.ssl_cert_file or "")


class Settings(SignInSettings):
    """The settings by their environment names in lower case; empty variables count as unset."""

    slack_bot_token: SecretStr
    slack_app_token: SecretStr | None = None
    slack_signing_secret: Annotated[SecretStr | None, Field(validate_default=True)] = None
    slack_channel: Annotated[str, AfterValidator(_channels)]
    slack_api_url: Annotated[_Url, AfterValidator(_slash)] = "https://slack.com/api/"
    openai_api_key: SecretStr | None = None
    openai_api_key_file: str | None = None
    openai_base_url: _Url | None = None
    openai_model: str = "gpt-5.4-mini"
    model_options: Annotated[str, AfterValidator(_options)] = ""
    model_api: Literal["auto", "chat", "responses"] = "auto"
    model_timeout: _Seconds = 120
    model_patience: Annotated[float, BeforeValidator(_mere("seconds", _SECONDS)), Field(ge=0, allow_inf_nan=False)] = (
        300
    )
    apis_file: str = "apis.yaml"
    database_url: str = "sqlite:///bot.db"
    database_listen_url: str | None = None
    host: Annotated[str, Field(validate_default=True)] = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 3000
    api_timeout: _Seconds = 30
    workers: Annotated[int, Field(ge=1, le=256)] = 32
    max_waiting: Annotated[_Count, Field(ge=1)] = 256
    rate_limit: _Rate = ""
    rate_limit_channel: _Rate = ""
    token_budget: _Budget = None
    token_budget_all: _Budget = None
    max_model_calls: Annotated[_Count, Field(ge=1)] = 20
    max_response: Annotated[ByteSize, BeforeValidator(_without_commas), Field(ge=1_000)] = ByteSize(5_000_000)
    history_tokens: Annotated[_Count, Field(ge=1_000)] = 60_000
    prompt_budget: Annotated[_Count, Field(ge=1_000)] = 4_000
    retention_days: _Days = 30
    journal_key: SecretStr | None = None
    admins: Annotated[str, AfterValidator(_admins)] = ""
    allow_dm: bool = False
    allow_guests: bool = False
    dry_run: bool = False
    log_bodies: bool = False
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    metrics_port: Annotated[int | None, Field(ge=0, le=65535)] = None
    otel_exporter_otlp_endpoint: _Url | None = None
    otel_exporter_otlp_headers: SecretStr | None = None
    otel_service_name: str = "rest-in-slack"
    secrets_dir: str | None = None

    @field_validator("openai_api_key_file")
    @classmethod
    def _is_the_only_key(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is not None and info.data.get("openai_api_key") is not None:
            raise ValueError("OPENAI_API_KEY is set, too; set only one of them")
        return path

    @field_validator("slack_bot_token", "slack_app_token", "slack_signing_secret", "openai_api_key")
    @classmethod
    def _is_what_belongs_there(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """Files and vaults often add a line break, which is left out; and Slack shows many credentials, of which few are meant."""
        if secret is None:
            return None
        name, value = str(info.field_name).upper(), secret.get_secret_value().strip()
        if wrong := mistaken(name, value):
            raise ValueError(f"{wrong}; write {BELONGS[name]}")
        if len(value.split()) > 1:
            raise ValueError("it contains a space; put comments of a .env file on lines of their own")
        return SecretStr(value)

    @field_validator("slack_signing_secret")
    @classmethod
    def _is_there_over_http(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret is None and info.data.get("slack_app_token", "a wrong one") is None:
            raise _Unset("In socket mode, with SLACK_APP_TOKEN, it is not needed.")
        return secret

    @field_validator("host")
    @classmethod
    def _is_where_slack_calls(cls, host: str, info: ValidationInfo) -> str:
        """A server behind the company's ingress listens everywhere. In socket mode nobody has to reach it from outside."""
        everywhere = "0.0.0.0"  # noqa: S104 - HOST narrows it
        return host or (everywhere if info.data.get("slack_app_token") is None else "127.0.0.1")

    @field_validator("metrics_port")
    @classmethod
    def _is_a_port_of_its_own(cls, port: int | None, info: ValidationInfo) -> int | None:
        if port and port == info.data.get("port"):
            raise ValueError("it is the same as PORT, which Slack reaches; choose another")
        return port

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may show."""
        slack = (self.slack_bot_token, self.slack_app_token, self.slack_signing_secret)
        held = (*slack, self.openai_api_key, self.journal_key)
        proxies = (self.https_proxy, self.http_proxy, self.all_proxy)
        in_proxies = [one for proxy in proxies if proxy is not None for one in secrets_in(proxy.get_secret_value())]
        return (
            *(one.get_secret_value() for one in held if one is not None),
            *in_proxies,
            *self._secrets_of_otlp,
            *self.token_keys,
        )

    @property
    def _secrets_of_otlp(self) -> list[str]:
        """What goes with spans to their receiver: often a key, escaped or not."""
        headers = self.otel_exporter_otlp_headers
        values = [part.partition("=")[2].strip() for part in headers.get_secret_value().split(",")] if headers else []
        forms = [form for value in values if value for form in (value, unquote(value))]
        return [*forms, *secrets_in(self.otel_exporter_otlp_endpoint or "")]

    @property
    def options_of_model(self) -> dict[str, Any]:
        """What goes into each model request."""
        return dict(json.loads(self.model_options)) if self.model_options else {}

    @property
    def allowance(self) -> Allowance:
        """What people may use of the bot."""
        person, channel = (Rate.read(one) if one else None for one in (self.rate_limit, self.rate_limit_channel))
        return Allowance(person, channel, self.token_budget, self.token_budget_all)

    @property
    def channels(self) -> tuple[str, ...]:
        """The designated channels as written: ids, or names with their `#`."""
        return _parts(self.slack_channel)

    @property
    def admin_names(self) -> tuple[str, ...]:
        """Who may stop any answer and delete any message of the bot: users and groups by id, groups by @handle, too."""
        return _parts(self.admins)


_SECRETS = tuple(
    name.upper()
    for name, field in Settings.model_fields.items()
    if "SecretStr" in str(field.annotation) or name in ("database_url", "database_listen_url")
)
_READ_AGAIN = "OPENAI_API_KEY_FILE"  # a setting of its own (key_file.py)
SECRET_VARIABLES = frozenset((*_SECRETS, *(f"{name}_FILE" for name in _SECRETS)))
"""The variables that hold the bot's own secrets, or name the files that do. Each secret setting NAME may be set as NAME_FILE."""


_Kind = TypeVar("_Kind", bound=SignInSettings)


def environment() -> Mapping[str, str]:
    """The environment's variables, secret settings as the files have them that NAME_FILE names, and what neither sets: of a `.env` file in
    the working directory, then of the files in SECRETS_DIR. Raises `Misconfigured`."""
    near = _from_env_file() | dict(os.environ)
    return _from_files(near.get(_SECRETS_DIR, "")) | near | _from_named_files(near)


def _from_named_files(given: Mapping[str, str]) -> dict[str, str]:
    """The secret settings whose files are named by NAME_FILE. Raises `Misconfigured` with a line for each that is of no use."""
    found, wrong = dict[str, str](), list[str]()
    for name in _SECRETS:
        path = given.get(f"{name}_FILE", "")
        if not path or f"{name}_FILE" == _READ_AGAIN:
            continue
        try:
            found[name] = _content(name, path, is_set=bool(given.get(name)))
        except ValueError as error:
            wrong.append(f"{name}_FILE: {error}.")
    if wrong:
        raise Misconfigured("\n".join(wrong))
    return found


def _content(name: str, path: str, *, is_set: bool) -> str:
    """What a secret's file holds. Raises `ValueError`."""
    if is_set:
        raise ValueError(f"{name} is set, too; set only one of them")
    try:
        content = Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    if not content:
        raise ValueError(f"{path} is empty")
    return content


def _from_env_file() -> dict[str, str]:
    return {name: value for name, value in dotenv_values(_ENV_FILE).items() if value is not None}


def _from_files(folder: str) -> dict[str, str]:
    """The variables of SECRETS_DIR: each file is one by its name, as Docker and Kubernetes lay secrets out. Raises `Misconfigured`."""
    if not folder:
        return {}
    try:
        found = [
            one for one in Path(folder).iterdir() if re.fullmatch(r"[A-Za-z_]\w*", one.name, re.ASCII) and one.is_file()
        ]
        return {one.name: one.read_text("utf-8").strip() for one in found}
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "a file in it is not UTF-8"
        raise Misconfigured(f"{_SECRETS_DIR}: cannot read {folder}: {why}.") from None


def load_settings() -> Settings:
    """The settings of this process. Raises `Misconfigured` with one line per wrong or missing variable."""
    return _loaded(Settings)


def load_sign_in_settings() -> SignInSettings:
    """Those of them by which people connect accounts. Raises `Misconfigured` likewise."""
    return _loaded(SignInSettings)


def _loaded(kind: type[_Kind]) -> _Kind:
    try:
        near = _from_env_file() | dict(os.environ)
        folder = near.get(_SECRETS_DIR, "")
        _from_files(folder)  # the library only warns of one that is not there
        named: dict[str, Any] = {name.lower(): value for name, value in _from_named_files(near).items()}
        return kind(_secrets_dir=folder or None, **named)  # type: ignore[call-arg]  # the library's own; the rest from the environment
    except ValidationError as error:
        given = misspelt(environment())
        raise Misconfigured("\n".join(_tell(one, given) for one in error.errors())) from None


def misspelt(given: Iterable[str]) -> dict[str, str]:
    """Variables that look like a setting, and which: one that is not set, or NAME_FILE of one that is no secret. Those of other programs
    are many, so a name has to be almost ours; less where it begins as ours do."""
    known, there = {name.upper() for name in Settings.model_fields} | SECRET_VARIABLES, {name.upper() for name in given}
    families = {name.partition("_")[0] for name in known if "_" in name}
    likely = {
        name: meant(name, sorted(known - there), _LIKE_IN_FAMILY if name.partition("_")[0] in families else _LIKE)
        for name in sorted(there - known)
    }
    as_files = {f"{name}_FILE": name for name in known if f"{name}_FILE" in likely}
    return {name: setting for name, setting in (likely | as_files).items() if setting is not None}


def said_of(variable: str, setting: str) -> str:
    """What to do about a variable that looks like a setting."""
    is_file = variable == f"{setting}_FILE"
    return f"only secrets are read from files: set {setting} itself" if is_file else f"did you mean {setting}?"


_WORDS = {
    **dict.fromkeys(("int_parsing", "int_from_float", "int_parsing_size"), "write a whole number"),
    **dict.fromkeys(("float_parsing", "finite_number"), "write a number"),
    **dict.fromkeys(("byte_size", "byte_size_unit"), "write a size, for example 5 MB, 512 kB or 5000000"),
    "bool_parsing": "write 1 for on, 0 for off",
    "greater_than_equal": "write {ge} or more",
    "greater_than": "write more than {gt}",
    "less_than_equal": "write {le} or less",
    "literal_error": "write {expected}",
}


def _tell(problem: Any, misspelt: Mapping[str, str]) -> str:
    """A line about one variable, without its value; with what it may have been written as."""
    where, kind, message = problem["loc"], problem["type"], problem["msg"].removeprefix("Value error, ")
    name = str(where[0]).upper() if where else "environment"
    unset = (problem.get("ctx") or {}).get("error")
    if kind == "missing" or isinstance(unset, _Unset):
        more = f" {unset}" if isinstance(unset, _Unset) else _IN_QUOTES if name == "SLACK_CHANNEL" else ""
        written = [
            f" {one} is set, but is not a setting: {said_of(one, name)}" for one in misspelt if misspelt[one] == name
        ]
        more += "".join(written)
        return f"{name} is not set. Set it in the environment or in a .env file (README, 'Settings').{more}"
    words = _WORDS[kind].format(**problem.get("ctx") or {}) if kind in _WORDS else message
    return f"{name}: {words}."
