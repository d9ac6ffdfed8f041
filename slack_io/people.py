"""Who somebody is, read from what Slack says of them (`auth.test`, `users.info`). Nothing here asks Slack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_DAY = 86_400


@dataclass(frozen=True)
class BotUser:
    """Who the bot is, and the address of its workspace (with a slash at the end). Slack does not name the app for every token."""

    user: str
    team: str
    enterprise: str
    url: str = ""
    bot: str = ""  # as its own messages name it in `bot_id`
    app: str = ""

    def wrote(self, message: Mapping[str, Any]) -> bool:
        """Whether a message was posted by this very bot: Slack names the author's user, bot and app, and none is another's."""
        author = {"user": self.user, "bot_id": self.bot, "app_id": self.app}
        return all(message.get(name) in (None, "", own) for name, own in author.items() if own)


@dataclass(frozen=True)
class Person:
    """Somebody as Slack knows them: the name that others see, the time zone, seconds east of UTC; the e-mail where the app may see it
    (with the scope users:read.email) and Slack has verified it, else empty. `domain` is that of the e-mail address; None where Slack does
    not show it, empty where it does not count: only that of a full member of this workspace or organisation does."""

    name: str
    zone: str
    offset: float
    is_outsider: bool
    is_bot: bool
    email: str = field(default="", repr=False)
    is_gone: bool = False  # deactivated
    domain: str | None = None


def person_of(data: Mapping[str, Any], own: BotUser) -> Person:
    """Somebody as `users.info` has them; `own` says whose workspace it is."""
    profile = data.get("profile")
    profile = profile if isinstance(profile, dict) else {}
    names = (profile.get("display_name"), profile.get("real_name"), data.get("real_name"), data.get("name"))
    name = next((one for one in names if isinstance(one, str) and one.strip()), "somebody")
    offset = data.get("tz_offset")
    offset = float(offset) if isinstance(offset, (int, float)) and abs(offset) <= _DAY else 0.0
    is_outsider = _is_outsider(data, own)
    return Person(
        name.strip()[:80],
        _text(data.get("tz"))[:60],
        offset,
        is_outsider,
        bool(data.get("is_bot")),
        _text(profile.get("email"))[:254] if data.get("is_email_confirmed") is not False else "",
        data.get("deleted") is True,
        _domain(profile.get("email")) if _is_own(data, is_outsider=is_outsider) else "",
    )


def _is_own(data: Mapping[str, Any], *, is_outsider: bool) -> bool:
    """Whether somebody's address is one that this workspace or organisation vouches for."""
    return not is_outsider and bool(data.get("team_id")) and data.get("is_email_confirmed") is not False


def _domain(address: object) -> str | None:
    """An e-mail address's domain; None where there is no address."""
    _, at, domain = _text(address).rpartition("@")
    return domain.strip().lower() if at else None


def _is_outsider(person: Mapping[str, Any], own: BotUser) -> bool:
    """By users.info's own flags (https://docs.slack.dev/reference/objects/user-object)."""
    if any(person.get(flag) for flag in ("is_restricted", "is_ultra_restricted", "is_stranger", "deleted", "is_bot")):
        return True
    team = person.get("team_id")
    grid = person.get("enterprise_user")
    same_grid = isinstance(grid, dict) and bool(own.enterprise) and grid.get("enterprise_id") == own.enterprise
    return bool(team and own.team and team != own.team and not same_grid)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
