"""Every setting of the bot, from the environment or a `.env` file. The README's table lists the same names (a test compares them)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.slack_app import TOKENS

_ENV_FILE = ".env"
_ONLY_HTTP = "Only in socket mode, with SLACK_APP_TOKEN, it is not needed"
_UNITS = {"": 1, "b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000}


class Misconfigured(Exception):
    """A setting or the catalog is wrong. Its text is for the operator: what is wrong and what to write instead."""


def _bytes(value: object) -> object:
    """`5 MB`, `512 kB` or a plain number of bytes -> bytes."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+)\s*([a-zA-Z]*)\s*", value)
    if not found or found[2].lower() not in _UNITS:
        raise ValueError("write a size such as 5 MB, 512 kB or 5000000")
    return int(found[1]) * _UNITS[found[2].lower()]


def _slash(value: object) -> object:
    return value.rstrip("/") + "/" if isinstance(value, str) and value else value


class Settings(BaseSettings):
    """The settings by their environment names in lower case; empty variables count as unset."""

    model_config = SettingsConfigDict(env_file=_ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

    slack_bot_token: SecretStr
    slack_app_token: SecretStr | None = None
    slack_signing_secret: Annotated[SecretStr | None, Field(validate_default=True)] = None
    slack_channel: str
    slack_api_url: Annotated[str, BeforeValidator(_slash)] = "https://slack.com/api/"
    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    openai_model: str = "gpt-5.4-mini"
    model_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120
    apis_file: str = "apis.yaml"
    database_url: str = "sqlite:///bot.db"
    host: str = "0.0.0.0"  # noqa: S104 - a server behind the company's ingress listens everywhere; HOST narrows it
    port: Annotated[int, Field(ge=0, le=65535)] = 3000
    api_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30
    workers: Annotated[int, Field(ge=1, le=256)] = 8
    max_waiting: Annotated[int, Field(ge=1)] = 256
    max_model_calls: Annotated[int, Field(ge=1)] = 20
    max_response: Annotated[int, BeforeValidator(_bytes), Field(ge=1_000)] = 5_000_000
    history_tokens: Annotated[int, Field(ge=1_000)] = 60_000
    prompt_budget: Annotated[int, Field(ge=1_000)] = 4_000
    retention_days: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 30
    journal_key: SecretStr | None = None
    admins: str = ""
    allow_dm: bool = False
    allow_guests: bool = False
    dry_run: bool = False
    log_bodies: bool = False

    @field_validator("slack_bot_token", "slack_app_token", "slack_signing_secret", "openai_api_key")
    @classmethod
    def _is_one_word(cls, secret: SecretStr | None) -> SecretStr | None:
        """Some readers of .env files take a comment behind a value for a part of it."""
        if secret is not None and len(secret.get_secret_value().split()) > 1:
            raise ValueError("there is a blank in it; put comments of a .env file on lines of their own")
        return secret

    @field_validator("slack_app_token")
    @classmethod
    def _is_of_the_app(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not token.get_secret_value().startswith("xapp-"):
            raise ValueError(f"write {TOKENS['SLACK_APP_TOKEN']}; it switches socket mode on")
        return token

    @field_validator("slack_signing_secret")
    @classmethod
    def _is_there_over_http(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret is None and info.data.get("slack_app_token", "a wrong one") is None:
            raise ValueError(_ONLY_HTTP)
        return secret

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may show."""
        slack = (self.slack_bot_token, self.slack_app_token, self.slack_signing_secret)
        held = (*slack, self.openai_api_key, self.journal_key)
        return tuple(one.get_secret_value() for one in held if one is not None)

    @property
    def channels(self) -> tuple[str, ...]:
        """The designated channels as written: ids, or names with their `#`."""
        return tuple(part.strip() for part in self.slack_channel.split(",") if part.strip())

    @property
    def admin_names(self) -> tuple[str, ...]:
        """Who may stop any answer and delete any message of the bot: users and groups by id, groups by @handle, too."""
        return tuple(part.strip() for part in self.admins.split(",") if part.strip())


def environment() -> Mapping[str, str]:
    """The environment's variables, and those of a `.env` file in the working directory that it does not set itself."""
    from_file = {name: value for name, value in dotenv_values(_ENV_FILE).items() if value is not None}
    return from_file | dict(os.environ)


def load_settings() -> Settings:
    """The settings of this process. Raises `Misconfigured` with one line per wrong or missing variable."""
    try:
        settings = Settings()  # type: ignore[call-arg]  # pydantic-settings fills the required ones from the environment
    except ValidationError as error:
        raise Misconfigured(
            "\n".join(_tell(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors())
        ) from None
    for channel in settings.channels or ("",):
        if not re.fullmatch(r"[CGD][A-Za-z0-9_-]+|#[^\s#]+", channel):
            raise Misconfigured(f"SLACK_CHANNEL: '{channel}' is neither a channel id (C024BE91L) nor a #name.")
    for admin in settings.admin_names:
        if not re.fullmatch(r"@[a-z0-9._-]+|[SUW][A-Za-z0-9_]{2,}", admin):
            raise Misconfigured(
                f"ADMINS: '{admin}' is neither a user (U024BE7LH) nor a group (S0614TZR7 or @hr-leads)."
            )
    return settings


def _tell(where: tuple[int | str, ...], kind: str, message: str) -> str:
    name = str(where[0]).upper() if where else "environment"
    message = message.removeprefix("Value error, ")
    if kind == "missing" or message == _ONLY_HTTP:
        more = f" {message}." if message == _ONLY_HTTP else ""
        return f"{name} is not set. Set it in the environment or in a .env file (README, 'Settings').{more}"
    return f"{name}: {message}."
