"""Asks Slack whether the app, its tokens and the settings fit together; says in plain words what does not and where to mend it.

For `python bot.py check --slack`. It reads only: nothing is posted, and no connection is left open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from base.slack_errors import LockedOut, SlackBusy, SlackSaysNo, SlackUnsure
from base.token_kinds import TOKENS
from catalog.askers import is_group
from slack_io.slack_app import NEEDED, advice, lacking
from slack_io.slack_pages import each
from slack_io.web_api import SlackWeb

_PAGES = 15  # of a thousand channels each; below Slack's pace for this method


class _Trouble(Exception):
    """Slack did not answer a question; the text says why and what to do."""


def check_app(
    web: SlackWeb,
    socket: SlackWeb | None,
    channels: Iterable[str],
    approvers: Iterable[str],
    askers: Collection[str] = (),
    needed: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[str]:
    """What is wrong, a sentence each; nothing where all is well.

    `web` has the bot's token, `socket` the app-level token where there is one. `channels` are those designated (ids or #names),
    `approvers` and `askers` whom the catalog names, `needed`: the scopes that it needs, with what needs each.
    """
    wrong = [] if socket is None else list(_socket(socket))
    try:
        own = _ask(web, "auth.test", {})
    except _Trouble as trouble:
        return [f"SLACK_BOT_TOKEN: {trouble}", *wrong]
    name = own.get("user")
    problems = [*_token(own), *_scopes(web), *_channels(web, channels, name if isinstance(name, str) else "hr-bot")]
    named = {"approvers": _groups_of(approvers), "askers": _groups_of(askers)}
    return [*problems, *_groups(web, named), *lacking(web.granted, needed), *wrong]


def _socket(socket: SlackWeb) -> Iterator[str]:
    try:
        _ask(socket, "apps.connections.open", {})
    except _Trouble as trouble:
        yield f"SLACK_APP_TOKEN: {trouble}"


def _token(own: dict[str, Any]) -> Iterator[str]:
    if not own.get("bot_id"):
        yield f"SLACK_BOT_TOKEN: this is a person's token; put {TOKENS['SLACK_BOT_TOKEN']} there"


def _scopes(web: SlackWeb) -> Iterator[str]:
    missing = sorted(NEEDED - web.granted) if web.granted is not None else []
    if missing:
        yield f"scopes are missing: {advice('missing_scope', needed=', '.join(missing))}"


def _channels(web: SlackWeb, channels: Iterable[str], bot: str) -> Iterator[str]:
    named: dict[str, dict[str, Any]] | None = None
    for channel in channels:
        try:
            if channel.startswith("#"):
                named = _named(web) if named is None else named
                found = named.get(channel.removeprefix("#"))
            else:
                found = _mapping(_ask(web, "conversations.info", {"channel": channel}).get("channel"))
        except _Trouble as trouble:
            yield f"SLACK_CHANNEL {channel}: {trouble}"
            continue
        if found is None:
            yield (
                f"SLACK_CHANNEL {channel}: the bot sees no channel of this name; check the name (it may have changed: an id "
                f"never does), and in a private channel write /invite @{bot}"
            )
        elif found.get("is_archived"):
            yield f"SLACK_CHANNEL {channel}: {advice('is_archived')}"
        elif found.get("is_member") is False:
            yield f"SLACK_CHANNEL {channel}: the bot is not in it; write /invite @{bot} there"


def _named(web: SlackWeb) -> dict[str, dict[str, Any]]:
    """The channels that the bot can see, by their names; archived ones only where nothing else has the name."""
    found: dict[str, dict[str, Any]] = {}
    asked = {"types": "public_channel,private_channel", "limit": "1000"}
    for channel in each(partial(_ask, web), "conversations.list", asked, "channels", most=_PAGES):
        name = channel.get("name")
        if isinstance(name, str) and (name not in found or not channel.get("is_archived")):
            found[name] = channel
    return found


def _groups_of(named: Iterable[str]) -> list[str]:
    return sorted(set(filter(is_group, named)))


def _groups(web: SlackWeb, named: Mapping[str, list[str]]) -> Iterator[str]:
    """What is wrong with the groups that stand under each key."""
    if not any(named.values()):
        return
    try:
        listed = _ask(web, "usergroups.list", {}).get("usergroups")
    except _Trouble as trouble:
        yield from (f"{key} {', '.join(groups)}: {trouble}" for key, groups in named.items() if groups)
        return
    living = [
        group for group in map(_mapping, listed if isinstance(listed, list) else ()) if not group.get("date_delete")
    ]
    there = {f"@{group.get('handle')}" for group in living} | {group.get("id") for group in living}
    does = {"approvers": "approve", "askers": "ask"}
    for key, group in ((key, group) for key, groups in named.items() for group in groups):
        if group not in there:
            yield f"{key} {group}: {advice('no_such_subteam')}; until then nobody can {does[key]} through it"


def _ask(web: SlackWeb, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One call. Raises `_Trouble`."""
    try:
        return web.call(method, arguments)
    except (LockedOut, SlackSaysNo) as error:
        raise _Trouble(error.hint or f"Slack says {error.code} to {method}") from None
    except SlackBusy as error:
        raise _Trouble(f"Slack limits the rate of {method}: try again in {error.after:.0f} s") from None
    except SlackUnsure as error:
        raise _Trouble(
            f"no answer to {method} ({error}): check that this machine can reach Slack, SLACK_API_URL and the proxy settings"
        ) from None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
