"""chat.* (streams excepted), reactions.* and the uses of a response_url. Like all methods: see methods.py."""

from __future__ import annotations

from emulator.errors import ApiError, LimitError
from emulator.lookup import channel_of, destination, joined, message_of
from emulator.rules import TEXT_CUT
from emulator.world import APP, BOT, BOT_USER, TEAM, Json, ResponseUrl, World

REACTIONS_PER_MESSAGE = 23  # distinct ones by one app; Slack's too_many_reactions
_SHOWN = ("text", "blocks", "attachments", "metadata")


def chat_post_message(world: World, args: Json) -> Json:
    """Slack's `chat.postMessage`."""
    channel = joined(world, destination(world, args["channel"]))
    message = world.post(channel.id, by_bot(world, args), args.get("thread_ts"))
    if args.get("reply_broadcast") and "thread_ts" in message:
        message["subtype"] = "thread_broadcast"
    return {"channel": channel.id, "ts": message["ts"], "message": message}


def chat_post_ephemeral(world: World, args: Json) -> Json:
    """Slack's `chat.postEphemeral`."""
    channel = joined(world, channel_of(world, args["channel"]))
    if args["user"] not in channel.members:
        raise ApiError("user_not_in_channel")
    message = by_bot(world, args) | {"ts": world.next_ts(), "type": "message"}
    return {"message_ts": post_ephemeral(world, channel.id, args["user"], message, args.get("thread_ts"))}


def post_ephemeral(world: World, channel: str, user: str, message: Json, thread_ts: str | None) -> str:
    """Show somebody a message that nobody else sees; returns its ts.

    In a thread it is "only shown if there is already an active thread" (https://docs.slack.dev/reference/methods/chat.postEphemeral).
    """
    shown = message | {"channel": channel, "to": user, "is_ephemeral": True}
    root = world.root(channel, thread_ts)
    if root:
        shown["thread_ts"] = root
    if root is None or "reply_count" in (world.find(channel, root) or {}):
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
        post_ephemeral(
            world, place.channel, place.user, message | {"ts": world.next_ts(), "type": "message"}, thread_ts
        )


def _replace_original(world: World, channel: str, original: Json, body: Json) -> None:
    if body.get("delete_original") and original.get("is_ephemeral"):
        world.ephemerals.remove(original)
    elif body.get("delete_original"):
        world.delete(channel, original["ts"])
    else:
        world.replace(channel, original, content(world, body), {"blocks"} - body.keys())
    world.changed()


def by_bot(world: World, args: Json) -> Json:
    """A message of the bot, without ts."""
    message: Json = {
        "user": BOT_USER,
        "bot_id": BOT,
        "app_id": APP,
        "bot_profile": {"id": BOT, "app_id": APP, "name": world.people[BOT_USER].name, "team_id": TEAM},
    }
    return message | content(world, args)


def content(world: World, args: Json) -> Json:
    """What the arguments of a call make of a message."""
    shown = {name: args[name] for name in _SHOWN if args.get(name)}
    if "markdown_text" in args:
        shown = {"text": args["markdown_text"], "blocks": [{"type": "markdown", "text": args["markdown_text"]}]}
    shown["text"] = shown.get("text", "")[:TEXT_CUT]
    if "blocks" in shown:
        shown["blocks"] = world.finished_blocks(shown["blocks"])
    return shown


def chat_update(world: World, args: Json) -> Json:
    """Slack's `chat.update`."""
    channel = channel_of(world, args["channel"])
    message = message_of(world, channel, args["ts"])
    if message.get("bot_id") != BOT:
        raise ApiError("cant_update_message")
    stream = world.streams.get((channel.id, args["ts"]))
    if stream and stream.state(world.clock()) == "live":
        raise ApiError("streaming_state_conflict")
    if stream:
        stream.ended = "stopped"  # an update is what mends a stream that was left open
    gone = {name for name in ("blocks", "metadata") if args.get(name) in ([], {})}
    changes = content(world, args) | {"edited": {"user": BOT_USER, "ts": world.next_ts()}}
    world.replace(channel.id, message, changes, gone)
    return {"channel": channel.id, "ts": args["ts"], "text": message["text"], "message": message}


def chat_delete(world: World, args: Json) -> Json:
    """Slack's `chat.delete`."""
    channel = channel_of(world, args["channel"])
    if message_of(world, channel, args["ts"]).get("bot_id") != BOT:
        raise ApiError("cant_delete_message")
    world.delete(channel.id, args["ts"])
    return {"channel": channel.id, "ts": args["ts"]}


def reactions_add(world: World, args: Json) -> Json:
    """Slack's `reactions.add`."""
    message = message_of(world, channel_of(world, args["channel"]), args["timestamp"])
    entries = message.setdefault("reactions", [])
    if any(entry["name"] == args["name"] and BOT_USER in entry["users"] for entry in entries):
        raise ApiError("already_reacted")
    if sum(BOT_USER in entry["users"] for entry in entries) >= REACTIONS_PER_MESSAGE:
        raise ApiError("too_many_reactions")
    react(world, message, BOT_USER, args["name"])
    return {}


def react(world: World, message: Json, user: str, name: str) -> None:
    """Adds a person's reaction to a message."""
    entries = message.setdefault("reactions", [])
    entry = next((entry for entry in entries if entry["name"] == name), None)
    if entry is None:
        entries.append({"name": name, "users": [user], "count": 1})
    elif user not in entry["users"]:
        entry |= {"users": [*entry["users"], user], "count": entry["count"] + 1}
    world.changed()


def reactions_remove(world: World, args: Json) -> Json:
    """Slack's `reactions.remove`."""
    if not ("channel" in args and "timestamp" in args):
        raise LimitError("no_item_specified", "[ERROR] give channel and timestamp")
    message = message_of(world, channel_of(world, args["channel"]), args["timestamp"])
    mine = (entry for entry in message.get("reactions", []) if BOT_USER in entry["users"])
    entry = next((entry for entry in mine if entry["name"] == args["name"]), None)
    if entry is None:
        raise ApiError("no_reaction")
    entry |= {"users": [user for user in entry["users"] if user != BOT_USER], "count": entry["count"] - 1}
    message["reactions"] = [entry for entry in message["reactions"] if entry["users"]]
    world.changed()
    return {}
