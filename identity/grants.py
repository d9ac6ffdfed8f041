"""What sign-in servers give, as values, and how it is read out of their answers; nothing is sent or kept here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from base.visible import on_line
from catalog.auth import OAuth2
from catalog.values import is_for_secrets
from identity.held_tokens import is_token

_MOST_TOKEN = 16_000  # characters: beyond that no header takes it
_MOST_LIFE = 10 * 365 * 86_400.0  # seconds
_MOST_START = 3_600.0  # seconds for which a sign-in on another device may last
_SHOWN = 200  # characters of a name that a server gives
SLOWER = 5.0  # seconds by which a device is to ask less often: RFC 8628, 3.5


@dataclass(frozen=True)
class Grant:
    """What a person let the bot have: tokens, and whose they are. `expires_at`: seconds since 1970, None where the server does not say;
    `scopes`: as granted; `subject` and `issuer`: whose it is, empty after a renewal; the texts are the server's, unescaped."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()
    subject: str = ""
    issuer: str = ""
    name: str = ""
    email: str = ""
    email_verified: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON has it: with its tokens, so only for what is encrypted."""
        return asdict(self) | {"scopes": list(self.scopes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Grant:
        """The way back."""
        return cls(**{**data, "scopes": tuple(data["scopes"])})


@dataclass(frozen=True)
class DeviceStart:
    """A sign-in on another device (RFC 8628): what the person types where, and how long and how often to look (seconds)."""

    device_code: str = field(repr=False)
    user_code: str
    verification_url: str
    expires_at: float
    interval: float
    complete_url: str = ""


@dataclass(frozen=True)
class Tokens:
    """What lets in, and what gets another such token; empty: there is none."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


def grant_in(said: Mapping[str, Any], oauth2: OAuth2, now: float) -> Grant:
    """The tokens of an answer. Raises `ValueError` and the like where it is none: RFC 6749, 5.1."""
    if str(said.get("token_type") or "bearer").lower() != "bearer":
        raise ValueError("token_type")
    life = said.get("expires_in")
    given = said.get("scope")
    scopes = [one for one in (re.split(r"[\s,]+", given) if isinstance(given, str) else given or ()) if one]
    return Grant(
        token_in(said["access_token"]),
        token_in(said["refresh_token"]) if said.get("refresh_token") else "",
        None if life in (None, "") else now + min(float(str(life)), _MOST_LIFE),
        tuple(str(one)[:_SHOWN] for one in scopes) if scopes else oauth2.scopes,  # left out: as asked for
    )


def with_person(grant: Grant, issuer: str, said: Mapping[str, Any]) -> Grant:
    """A grant with whose it is, by what its server says of the person; `subject` is empty where it does not say."""
    names = (said.get("name"), said.get("preferred_username"), said.get("login"), said.get("email"))
    return replace(
        grant,
        subject=subject_in(said),
        issuer=issuer,
        name=next((_shown(one) for one in names if _shown(one)), ""),
        email=_shown(said.get("email")),
        email_verified=str(said.get("email_verified")).lower() == "true",  # a text at some servers, Cognito's for one
    )


def device_start_in(said: Mapping[str, Any], now: float) -> DeviceStart:
    """A sign-in on another device, as a server begins it. Raises `ValueError` and the like."""
    return DeviceStart(
        token_in(said["device_code"]),
        on_line(str(said["user_code"]))[:_SHOWN],
        _url(said.get("verification_uri") or said["verification_url"]),  # Google's word
        now + min(float(said["expires_in"]), _MOST_START),
        min(max(float(said.get("interval") or SLOWER), 1.0), 60.0),
        _url(said["verification_uri_complete"]) if said.get("verification_uri_complete") else "",
    )


def token_in(given: object) -> str:
    """A token that can travel in a header. Raises `ValueError`."""
    if not is_token(given) or len(given) > _MOST_TOKEN:
        raise ValueError("no token")
    return given


def subject_in(said: Mapping[str, Any]) -> str:
    """Whose an account is: `sub`, or where a server without OpenID Connect has none (GitHub), its `id`."""
    subject = said.get("sub", said.get("id"))
    is_id = isinstance(subject, str | int) and not isinstance(subject, bool)
    return str(subject) if is_id and str(subject).isprintable() and len(str(subject)) <= _SHOWN else ""


def _shown(given: object) -> str:
    return given.strip()[:_SHOWN] if isinstance(given, str) else ""


def _url(given: object) -> str:
    """An address that a server gives. Raises `ValueError` where what is sent there could be read on the way."""
    if not isinstance(given, str) or not is_for_secrets(given):
        raise ValueError("no address")
    return given
