"""What the Slack app must be allowed to do, and what to do where Slack says no. The manifests ask for exactly this (a test compares).

Scopes are those of bot tokens: https://docs.slack.dev/reference/methods, https://docs.slack.dev/reference/events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from base.token_kinds import TOKENS
from catalog.catalog import Catalog

_NONE: frozenset[str] = frozenset()
_ASSISTANT = frozenset({"assistant:write"})
_GROUPS = frozenset({"usergroups:read"})
_HISTORY = frozenset({"channels:history", "groups:history", "im:history"})
_READ = frozenset({"channels:read", "groups:read"})  # designated channels may be public or private
_WRITE = frozenset({"chat:write"})

# Web API method -> the scopes that it needs
SCOPES: dict[str, frozenset[str]] = {
    "agents.sessions.setStatus": _WRITE,
    "assistant.threads.setStatus": _WRITE,
    "assistant.threads.setSuggestedPrompts": _ASSISTANT,
    "assistant.threads.setTitle": _ASSISTANT,
    "auth.test": _NONE,
    "chat.appendStream": _WRITE,
    "chat.delete": _WRITE,
    "chat.postEphemeral": _WRITE,
    "chat.postMessage": _WRITE,
    "chat.startStream": _WRITE,
    "chat.stopStream": _WRITE,
    "chat.update": _WRITE,
    "conversations.history": _HISTORY,
    "conversations.info": _READ,
    "conversations.list": _READ,
    "conversations.members": _READ,
    "conversations.open": _NONE,  # DIRECT_SCOPE
    "conversations.replies": _HISTORY,
    "reactions.add": frozenset({"reactions:write"}),
    "usergroups.list": _GROUPS,
    "usergroups.users.list": _GROUPS,
    "users.info": frozenset({"users:read"}),
    "views.open": _NONE,
    "views.publish": _NONE,
    "views.update": _NONE,
}
# Methods of the app-level token; its one scope is connections:write
BY_APP_TOKEN = frozenset({"apps.connections.open"})
# Event as the manifests subscribe to it (a message with its kind of channel after a dot) -> the scopes that it needs
SUBSCRIPTIONS: dict[str, frozenset[str]] = {
    "agent_session_stopped": _NONE,
    "app_home_opened": _NONE,
    "app_mention": frozenset({"app_mentions:read"}),
    "message.im": frozenset({"im:history"}),
}
# Heard, but not subscribed to by our manifests: the events of apps that were made as assistants, before there was agent_view
# (https://docs.slack.dev/ai/migrating-to-agent-messaging). New apps do not get them.
OF_OLD_APPS = frozenset({"assistant_thread_started", "assistant_thread_context_changed"})
# Feature of the manifests -> the scopes that it brings along
FEATURES: dict[str, frozenset[str]] = {"agent_view": _ASSISTANT, "shortcuts": frozenset({"commands"})}

# Not in the manifests: needed where a catalog's keys are about people's e-mail addresses (`Catalog.emails_for`), and by nothing else
EMAIL_SCOPE = "users:read.email"
# Nor this one: needed where its answers go out as direct messages (`Catalog.alone_for`)
DIRECT_SCOPE = "im:write"

NEEDED: frozenset[str] = _NONE.union(*SCOPES.values(), *SUBSCRIPTIONS.values(), *FEATURES.values())

_WITHOUT = {
    EMAIL_SCOPE: ("the bot may not see e-mail addresses", "it knows nobody's"),
    DIRECT_SCOPE: ("the bot may not open direct messages", "no answer of it is delivered"),
}
_ADD_SCOPE = {
    "SLACK_BOT_TOKEN": "add {needed} in OAuth & Permissions > Scopes > Bot Token Scopes, then press Reinstall to Workspace",
    "SLACK_APP_TOKEN": "generate a token with the scope connections:write in Basic Information > App-Level Tokens",
}
_PUT = "put {right} into {setting}"
# Slack's error code -> what it means and what to do
_ADVICE = {
    "invalid_auth": "Slack does not know the token in {setting}: " + _PUT,
    "not_authed": "no token arrived: " + _PUT,
    "token_revoked": "the token in {setting} was revoked; install the app again, then " + _PUT,
    "token_expired": "the token in {setting} has expired: the app uses token rotation, which cannot be switched off; create the app again, "
    "then " + _PUT,
    "account_inactive": "the app was removed from the workspace or its bot switched off; install it again, then "
    + _PUT,
    "not_allowed_token_type": "the token in {setting} is of the wrong kind: " + _PUT,
    "missing_scope": "the app may not do this: {add}",
    "no_permission": "the app may not do this: {add}",
    "not_in_channel": "the bot is not in the channel: write /invite and its name there",
    "channel_not_found": "no such channel, or a private one that the bot is not in: check SLACK_CHANNEL, and /invite the bot there",
    "is_archived": "the channel is archived: unarchive it, or put another one into SLACK_CHANNEL",
    "plan_upgrade_required": "user groups need a paid plan of Slack: name people (U...) instead",
    "paid_teams_only": "user groups need a paid plan of Slack: name people (U...) instead",
    "no_such_subteam": "no such user group: correct the catalog",
    "restricted_action": "a workspace setting forbids it: ask your Slack administrators",
    "access_denied": "Slack refuses access: ask your Slack administrators",
    "team_access_not_granted": "the app is not installed in this workspace: install it there",
    "ratelimited": "Slack is limiting the rate of calls: try again in a minute",
}


def scopes_for(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """The scopes that a catalog needs beside those of the manifests, each with the parts that need it."""
    return {EMAIL_SCOPE: catalog.emails_for, DIRECT_SCOPE: catalog.alone_for}


def lacking(granted: frozenset[str] | None, needed: Mapping[str, Collection[str]]) -> Iterator[str]:
    """What is wrong where parts of a catalog need scopes that the bot has not. `granted` as Slack told, None: not told."""
    for scope, parts in needed.items():
        if parts and granted is not None and scope not in granted:
            add = _ADD_SCOPE["SLACK_BOT_TOKEN"].format(needed=scope)
            yield f"{', '.join(parts)}: {_WITHOUT[scope][0]}: {add}; until then {_WITHOUT[scope][1]}"


def advice(code: str, setting: str = "SLACK_BOT_TOKEN", needed: str = "") -> str | None:
    """What to do about Slack's error `code` for the token of `setting`, or None. `needed`: the scopes that Slack named with it."""
    words = _ADVICE.get(code)
    if words is None:
        return None
    add = _ADD_SCOPE[setting].format(needed=needed or "the missing scope")
    return words.format(setting=setting, right=TOKENS[setting], add=add)
