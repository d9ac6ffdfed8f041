"""conversations.*, users.*, usergroups.*, bots.*, team.*: reading who and what is there. Like all methods: see methods.py."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

from emulator.errors import ApiError, LimitError
from emulator.lookup import channel_of, joined, message_of
from emulator.world import APP, BOT, BOT_USER, TEAM, TEAM_NAME, TEAM_URL, Channel, Json, World


def conversations_replies(world: World, args: Json) -> Json:
    """Slack's `conversations.replies`."""
    channel = joined(world, channel_of(world, args["channel"]))
    root = world.root(channel.id, args["ts"])
    if root is None:
        raise ApiError("thread_not_found")
    listed = [one for one in world.thread(channel.id, root) if one["ts"] == root or _is_listed(world, one)]
    return _messages_page(listed, args, default=1000, always=root)


def _is_listed(world: World, message: Json) -> bool:
    """Whether a message is listed by now: https://github.com/korotovsky/slack-mcp-server/pull/284 tells of the lag."""
    return world.lag <= 0 or float(message["ts"]) <= world.clock() - world.lag


def conversations_history(world: World, args: Json) -> Json:
    """Slack's `conversations.history`."""
    channel = joined(world, channel_of(world, args["channel"]))
    found = list(world.top_level(channel.id))
    if "oldest" in args and "latest" not in args:  # then those closest to it are given
        answer = _messages_page(found, args, default=100)
        return answer | {"messages": answer["messages"][::-1]}
    return _messages_page(reversed(found), args, default=100)


def _messages_page(found: Iterable[Json], args: Json, default: int, always: str = "") -> Json:
    """Those in the asked range; a thread's first message, `always`, comes whatever the range is."""
    chosen = [_readable(one, args) for one in found if one["ts"] == always or _in_range(one["ts"], args)]
    page, cursor = _page(chosen, args, default)
    answer: Json = {"messages": page, "has_more": bool(cursor)}
    return answer | ({"response_metadata": {"next_cursor": cursor}} if cursor else {})


def _readable(message: Json, args: Json) -> Json:
    """Metadata is given only to those who ask for it."""
    if args.get("include_all_metadata"):
        return message
    return {name: value for name, value in message.items() if name != "metadata"}


def _in_range(ts: str, args: Json) -> bool:
    oldest, latest = args.get("oldest", "0"), args.get("latest", "now")
    if args.get("inclusive") and ts in (oldest, latest):
        return True
    return float(ts) > float(oldest) and (latest in ("now", "0") or float(ts) < float(latest))


def _page(items: list[Any], args: Json, default: int) -> tuple[list[Any], str]:
    """The asked part of a list and the cursor of the next part, "" at the end."""
    start = _cursor(args.get("cursor", ""))
    end = start + args.get("limit", default)
    return items[start:end], base64.b64encode(f"next:{end}".encode()).decode() if end < len(items) else ""


def _cursor(cursor: str) -> int:
    try:
        found = re.fullmatch(rb"next:(\d+)", base64.b64decode(cursor, validate=True)) if cursor else None
    except binascii.Error as wrong:
        raise ApiError("invalid_cursor") from wrong
    if cursor and not found:
        raise ApiError("invalid_cursor")
    return int(found.group(1)) if found else 0


def conversations_info(world: World, args: Json) -> Json:
    """Slack's `conversations.info`."""
    channel = channel_of(world, args["channel"])
    entry = channel.as_slack()
    return {"channel": entry | ({"num_members": len(channel.members)} if args.get("include_num_members") else {})}


def conversations_members(world: World, args: Json) -> Json:
    """Slack's `conversations.members`."""
    members, cursor = _page(list(channel_of(world, args["channel"]).members), args, 100)
    return {"members": members, "response_metadata": {"next_cursor": cursor}}


def conversations_list(world: World, args: Json) -> Json:
    """Slack's `conversations.list`."""
    types = args.get("types", "public_channel").replace(" ", "").split(",")
    found = [channel.as_slack() for channel in world.channels.values() if _kind(channel) in types]
    channels, cursor = _page(found, args, 100)
    return {"channels": channels, "response_metadata": {"next_cursor": cursor}}


def _kind(channel: Channel) -> str:
    if channel.is_im:
        return "im"
    return "private_channel" if channel.is_private else "public_channel"


def conversations_open(world: World, args: Json) -> Json:
    """Slack's `conversations.open`."""
    if "channel" in args:
        channel = channel_of(world, args["channel"])
    elif "users" in args:
        channel = _direct(world, args["users"])
    else:
        raise LimitError("users_list_not_supplied", "[ERROR] give users or channel")
    if args.get("return_im"):
        return {"no_op": True, "already_open": True, "channel": channel.as_slack()}
    return {"no_op": True, "already_open": True, "channel": {"id": channel.id}}


def _direct(world: World, users: str) -> Channel:
    """The direct message with one person; group messages are not part of this workspace."""
    channel = world.direct(users)
    if channel is None:
        raise ApiError("user_not_found")
    return channel


def get_permalink(world: World, args: Json) -> Json:
    """Slack's `chat.getPermalink`."""
    channel = channel_of(world, args["channel"])
    message = message_of(world, channel, args["message_ts"])
    link = f"{TEAM_URL}archives/{channel.id}/p{message['ts'].replace('.', '')}"
    if message.get("thread_ts", message["ts"]) != message["ts"]:
        link += f"?thread_ts={message['thread_ts']}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def users_info(world: World, args: Json) -> Json:
    """Slack's `users.info`."""
    person = world.people.get(args["user"])
    if person is None:
        raise ApiError("user_not_found")
    shown = person.as_slack(with_email="users:read.email" in world.app.scopes)
    return {"user": shown | ({"locale": "en-US"} if args.get("include_locale") else {})}


def usergroups_list(world: World, args: Json) -> Json:
    """Slack's `usergroups.list`."""
    with_users = bool(args.get("include_users"))
    return {"usergroups": [group.as_slack(with_users=with_users) for group in world.groups.values()]}


def usergroups_users_list(world: World, args: Json) -> Json:
    """Slack's `usergroups.users.list`."""
    group = world.groups.get(args["usergroup"])
    if group is None:
        raise ApiError("no_such_subteam")
    return {"users": list(group.users)}


def bots_info(world: World, args: Json) -> Json:
    """Slack's `bots.info`."""
    if args.get("bot", BOT) != BOT:
        raise ApiError("bot_not_found")
    person = world.people[BOT_USER]
    return {
        "bot": {
            "id": BOT,
            "deleted": False,
            "name": person.name,
            "updated": 1_700_000_000,
            "app_id": APP,
            "user_id": BOT_USER,
            "icons": {},
        }
    }


def team_info(world: World, args: Json) -> Json:
    """Slack's `team.info`."""
    if args.get("team", TEAM) != TEAM:
        raise ApiError("team_not_found")
    return {"team": {"id": TEAM, "name": TEAM_NAME, "url": TEAM_URL, "domain": "local", "email_domain": "", "icon": {}}}
