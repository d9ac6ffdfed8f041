"""The Web API: one small function per method, in a table. Arguments were checked by limits.py before they come here.

A function gets the world, its lock held, and the decoded arguments; it returns the answer without `ok`, or raises
ApiError with the code that Slack documents for it. No HTTP here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from workspace.limits import TEXT_CUT, ApiError, LimitError
from workspace.world import APP, BOT, BOT_USER, TEAM, TRIGGER_SECONDS, Channel, Json, ResponseUrl, Status, World

Perform = Callable[[World, Json], Json]

REACTIONS_PER_MESSAGE = 23  # distinct ones by one app; Slack's too_many_reactions
_SHOWN = ("text", "blocks", "attachments", "metadata")


def api_test(world: World, args: Json) -> Json:
    if "error" in args:
        raise ApiError(args["error"])
    return {"args": args}


def auth_test(world: World, args: Json) -> Json:
    return {
        "url": "https://local.slack.example/",
        "team": "Local workspace",
        "user": world.people[BOT_USER].name,
        "team_id": TEAM,
        "user_id": BOT_USER,
        "bot_id": BOT,
        "is_enterprise_install": False,
    }


# Messages


def chat_post_message(world: World, args: Json) -> Json:
    channel = _joined(world, _destination(world, args["channel"]))
    message = world.post(channel.id, by_bot(world, args), args.get("thread_ts"))
    if args.get("reply_broadcast") and "thread_ts" in message:
        message["subtype"] = "thread_broadcast"
    return {"channel": channel.id, "ts": message["ts"], "message": message}


def chat_post_ephemeral(world: World, args: Json) -> Json:
    channel = _joined(world, _channel(world, args["channel"]))
    if args["user"] not in channel.members:
        raise ApiError("user_not_in_channel")
    message = by_bot(world, args) | {"ts": world.next_ts(), "type": "message"}
    return {"message_ts": whisper(world, channel.id, args["user"], message, args.get("thread_ts"))}


def whisper(world: World, channel: str, user: str, message: Json, thread_ts: str | None) -> str:
    """Show somebody a message that nobody else sees; returns its ts."""
    shown = message | {"channel": channel, "to": user, "is_ephemeral": True}
    if root := world.root(channel, thread_ts):
        shown["thread_ts"] = root
    world.ephemerals.append(shown)
    world.changed()
    return str(message["ts"])


def respond(world: World, place: ResponseUrl, body: Json) -> None:
    """A use of a response_url: replace, delete, or a new message that is ephemeral unless asked otherwise."""
    hidden = next((m for m in world.ephemerals if m["ts"] == place.ts), None)
    original = hidden or world.find(place.channel, place.ts)
    if original and (body.get("delete_original") or body.get("replace_original")):
        _replace_original(world, place.channel, original, body)
        return
    message = by_bot(world, body)
    if body.get("response_type") == "in_channel":
        world.post(place.channel, message, body.get("thread_ts"))
    else:
        thread_ts = body.get("thread_ts") or place.thread_ts or None
        whisper(world, place.channel, place.user, message | {"ts": world.next_ts(), "type": "message"}, thread_ts)


def _replace_original(world: World, channel: str, original: Json, body: Json) -> None:
    if body.get("delete_original") and original.get("is_ephemeral"):
        world.ephemerals.remove(original)
    elif body.get("delete_original"):
        world.delete(channel, original["ts"])
    else:
        world.replace(channel, original, _content(world, body), {"blocks"} - body.keys())
    world.changed()


def by_bot(world: World, args: Json) -> Json:
    """A message of the bot, without ts."""
    message: Json = {
        "user": BOT_USER,
        "bot_id": BOT,
        "app_id": APP,
        "bot_profile": {"id": BOT, "app_id": APP, "name": world.people[BOT_USER].name, "team_id": TEAM},
    }
    return message | _content(world, args)


def _content(world: World, args: Json) -> Json:
    shown = {name: args[name] for name in _SHOWN if args.get(name)}
    if "markdown_text" in args:
        shown = {"text": args["markdown_text"], "blocks": [{"type": "markdown", "text": args["markdown_text"]}]}
    shown["text"] = shown.get("text", "")[:TEXT_CUT]
    if "blocks" in shown:
        shown["blocks"] = world.finished_blocks(shown["blocks"])
    return shown


def chat_update(world: World, args: Json) -> Json:
    channel = _channel(world, args["channel"])
    message = _message(world, channel, args["ts"])
    if message.get("bot_id") != BOT:
        raise ApiError("cant_update_message")
    gone = {name for name in ("blocks", "metadata") if args.get(name) in ([], {})}
    changes = _content(world, args) | {"edited": {"user": BOT_USER, "ts": world.next_ts()}}
    world.replace(channel.id, message, changes, gone)
    return {"channel": channel.id, "ts": args["ts"], "text": message["text"], "message": message}


def chat_delete(world: World, args: Json) -> Json:
    channel = _channel(world, args["channel"])
    if _message(world, channel, args["ts"]).get("bot_id") != BOT:
        raise ApiError("cant_delete_message")
    world.delete(channel.id, args["ts"])
    return {"channel": channel.id, "ts": args["ts"]}


def reactions_add(world: World, args: Json) -> Json:
    message = _message(world, _channel(world, args["channel"]), args["timestamp"])
    entries = message.setdefault("reactions", [])
    if any(entry["name"] == args["name"] and BOT_USER in entry["users"] for entry in entries):
        raise ApiError("already_reacted")
    if sum(BOT_USER in entry["users"] for entry in entries) >= REACTIONS_PER_MESSAGE:
        raise ApiError("too_many_reactions")
    react(world, message, BOT_USER, args["name"])
    return {}


def react(world: World, message: Json, user: str, name: str) -> None:
    entries = message.setdefault("reactions", [])
    entry = next((entry for entry in entries if entry["name"] == name), None)
    if entry is None:
        entries.append({"name": name, "users": [user], "count": 1})
    elif user not in entry["users"]:
        entry |= {"users": [*entry["users"], user], "count": entry["count"] + 1}
    world.changed()


def reactions_remove(world: World, args: Json) -> Json:
    if not ("channel" in args and "timestamp" in args):
        raise LimitError("no_item_specified", "[ERROR] give channel and timestamp")
    message = _message(world, _channel(world, args["channel"]), args["timestamp"])
    mine = (entry for entry in message.get("reactions", []) if BOT_USER in entry["users"])
    entry = next((entry for entry in mine if entry["name"] == args["name"]), None)
    if entry is None:
        raise ApiError("no_reaction")
    entry |= {"users": [user for user in entry["users"] if user != BOT_USER], "count": entry["count"] - 1}
    message["reactions"] = [entry for entry in message["reactions"] if entry["users"]]
    world.changed()
    return {}


# Conversations and people


def conversations_replies(world: World, args: Json) -> Json:
    channel = _joined(world, _channel(world, args["channel"]))
    root = world.root(channel.id, args["ts"])
    if root is None:
        raise ApiError("thread_not_found")
    return _messages_page(world.thread(channel.id, root), args, default=1000)


def conversations_history(world: World, args: Json) -> Json:
    channel = _joined(world, _channel(world, args["channel"]))
    return _messages_page(reversed(list(world.top_level(channel.id))), args, default=100)


def _messages_page(found: Iterable[Json], args: Json, default: int) -> Json:
    chosen = [_readable(message, args) for message in found if _in_range(message["ts"], args)]
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
    channel = _channel(world, args["channel"])
    entry = channel.as_slack()
    return {"channel": entry | ({"num_members": len(channel.members)} if args.get("include_num_members") else {})}


def conversations_members(world: World, args: Json) -> Json:
    members, cursor = _page(list(_channel(world, args["channel"]).members), args, 100)
    return {"members": members, "response_metadata": {"next_cursor": cursor}}


def conversations_list(world: World, args: Json) -> Json:
    types = args.get("types", "public_channel").replace(" ", "").split(",")
    found = [channel.as_slack() for channel in world.channels.values() if _kind(channel) in types]
    channels, cursor = _page(found, args, 100)
    return {"channels": channels, "response_metadata": {"next_cursor": cursor}}


def _kind(channel: Channel) -> str:
    if channel.is_im:
        return "im"
    return "private_channel" if channel.is_private else "public_channel"


def conversations_open(world: World, args: Json) -> Json:
    if "channel" in args:
        channel = _channel(world, args["channel"])
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


def users_info(world: World, args: Json) -> Json:
    person = world.people.get(args["user"])
    if person is None:
        raise ApiError("user_not_found")
    return {"user": person.as_slack() | ({"locale": "en-US"} if args.get("include_locale") else {})}


def usergroups_list(world: World, args: Json) -> Json:
    with_users = bool(args.get("include_users"))
    return {"usergroups": [group.as_slack(with_users=with_users) for group in world.groups.values()]}


def usergroups_users_list(world: World, args: Json) -> Json:
    group = world.groups.get(args["usergroup"])
    if group is None:
        raise ApiError("no_such_subteam")
    return {"users": list(group.users)}


# Assistant threads


def set_status(world: World, args: Json) -> Json:
    where = _assistant_thread(world, args)
    if args["status"]:
        world.statuses[where] = Status(args["status"], tuple(args.get("loading_messages", ())), world.clock())
    else:
        world.statuses.pop(where, None)
    world.changed()
    return {}


def set_title(world: World, args: Json) -> Json:
    world.titles[_assistant_thread(world, args)] = args["title"]
    world.changed()
    return {}


def set_suggested_prompts(world: World, args: Json) -> Json:
    channel = _channel(world, args["channel_id"])
    world.prompts[channel.id, args.get("thread_ts", "")] = args["prompts"]
    world.changed()
    return {}


def _assistant_thread(world: World, args: Json) -> tuple[str, str]:
    channel = _joined(world, _channel(world, args["channel_id"]))
    if world.root(channel.id, args["thread_ts"]) != args["thread_ts"]:
        raise ApiError("invalid_thread_ts")
    return channel.id, args["thread_ts"]


# Views


def views_open(world: World, args: Json) -> Json:
    user = _gesture(world, args)
    view = new_view(world, args["view"])
    world.modals[user] = [view["id"]]
    world.changed()
    return {"view": view}


def views_push(world: World, args: Json) -> Json:
    user = _gesture(world, args)
    return {"view": push(world, user, args["view"])}


def push(world: World, user: str, wanted: Json) -> Json:
    """Put a view on top of somebody's modals; Slack allows three."""
    stack = world.modals.setdefault(user, [])
    if len(stack) >= 3:
        raise ApiError("push_limit_reached")
    view = new_view(world, wanted, below=stack[-1] if stack else None)
    stack.append(view["id"])
    world.changed()
    return view


def views_update(world: World, args: Json) -> Json:
    by_name = (
        view
        for view in world.views.values()
        if view["external_id"] and "external_id" in args and view["external_id"] == args["external_id"]
    )
    view = world.views.get(args.get("view_id", "")) or next(by_name, None)
    if view is None:
        raise ApiError("not_found")
    if args.get("hash") not in (None, view["hash"]):
        raise ApiError("hash_conflict")
    return {"view": refresh(world, view, args["view"])}


def views_publish(world: World, args: Json) -> Json:
    if args["user_id"] not in world.people:
        raise ApiError("user_not_found")
    view = world.views.get(world.homes.get(args["user_id"], ""))
    if view and args.get("hash") not in (None, view["hash"]):
        raise ApiError("hash_conflict")
    if view:
        return {"view": refresh(world, view, args["view"])}
    view = new_view(world, args["view"])
    world.homes[args["user_id"]] = view["id"]
    world.changed()
    return {"view": view}


def new_view(world: World, wanted: Json, below: str | None = None) -> Json:
    """Store a view as Slack completes it; `below` is the modal it is stacked on."""
    ident = world.next_id("V")
    root = world.views[below]["root_view_id"] if below else ident
    view = {
        "id": ident,
        "root_view_id": root,
        "previous_view_id": below,
        "team_id": TEAM,
        "app_id": APP,
        "bot_id": BOT,
        "app_installed_team_id": TEAM,
    }
    world.views[ident] = refresh(world, view, wanted)
    return view


def refresh(world: World, view: Json, wanted: Json) -> Json:
    """Show something else in a view that is open."""
    if wanted.get("external_id") and any(
        other["external_id"] == wanted["external_id"] for other in world.views.values() if other is not view
    ):
        raise ApiError("duplicate_external_id")
    defaults: Json = {
        "private_metadata": "",
        "callback_id": "",
        "external_id": "",
        "state": {"values": {}},
        "submit": None,
        "close": None,
        "title": None,
        "clear_on_close": False,
        "notify_on_close": False,
    }
    view |= defaults | wanted | {"blocks": world.finished_blocks(wanted["blocks"])}
    view["hash"] = f"{world.next_ts()[:10]}.{world.next_id('h')}"
    world.view_errors.pop(view["id"], None)
    world.changed()
    return view


def _gesture(world: World, args: Json) -> str:
    """The person whose trigger_id this is; it works once and not for long."""
    trigger = world.triggers.get(args.get("trigger_id", ""))
    if trigger is None:
        raise ApiError("invalid_trigger_id")
    if trigger.used:
        raise ApiError("exchanged_trigger_id")
    if world.clock() - trigger.born > TRIGGER_SECONDS:
        raise ApiError("expired_trigger_id")
    trigger.used = True
    return trigger.user


# Looking things up


def _channel(world: World, ident: str) -> Channel:
    channel = world.channels.get(ident)
    if channel is None or (channel.is_im and BOT_USER not in channel.members):
        raise ApiError("channel_not_found")
    return channel


def _destination(world: World, ident: str) -> Channel:
    """Where chat.postMessage goes: a conversation's id, a channel's name, or a person for their direct message."""
    name = ident.removeprefix("#")
    named: Iterator[Channel] = (c for c in world.channels.values() if c.name == name and not c.is_im)
    return world.direct(ident) or next(named, None) or _channel(world, ident)


def _joined(world: World, channel: Channel) -> Channel:
    if BOT_USER not in channel.members:
        raise ApiError("not_in_channel")
    return channel


def _message(world: World, channel: Channel, ts: str) -> Json:
    message = world.find(channel.id, ts)
    if message is None or message.get("subtype") == "tombstone":
        raise ApiError("message_not_found")
    return message


METHODS: dict[str, Perform] = {
    "api.test": api_test,
    "auth.test": auth_test,
    "chat.postMessage": chat_post_message,
    "chat.postEphemeral": chat_post_ephemeral,
    "chat.update": chat_update,
    "chat.delete": chat_delete,
    "reactions.add": reactions_add,
    "reactions.remove": reactions_remove,
    "conversations.replies": conversations_replies,
    "conversations.history": conversations_history,
    "conversations.info": conversations_info,
    "conversations.members": conversations_members,
    "conversations.list": conversations_list,
    "conversations.open": conversations_open,
    "users.info": users_info,
    "usergroups.list": usergroups_list,
    "usergroups.users.list": usergroups_users_list,
    "assistant.threads.setStatus": set_status,
    "assistant.threads.setTitle": set_title,
    "assistant.threads.setSuggestedPrompts": set_suggested_prompts,
    "views.open": views_open,
    "views.push": views_push,
    "views.update": views_update,
    "views.publish": views_publish,
}
