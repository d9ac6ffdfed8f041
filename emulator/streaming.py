"""chat.startStream, chat.appendStream, chat.stopStream. Like all methods: see methods.py."""

from __future__ import annotations

from emulator import sessions
from emulator.errors import ApiError, LimitError
from emulator.lookup import channel_of, joined
from emulator.messages import by_bot
from emulator.stream import Stream
from emulator.world import BOT, Channel, Json, World


def chat_start_stream(world: World, args: Json) -> Json:
    """Slack's `chat.startStream`."""
    channel = joined(world, channel_of(world, args["channel"]))
    thread_ts = _parent(world, channel, args["thread_ts"])
    recipient = _recipient(world, channel, args)
    display = args.get("task_display_mode", "timeline")
    stream = Stream(channel.id, "", thread_ts, recipient, display, world.clock())
    stream.add(args, lambda: world.next_id("b"))
    message = world.post(channel.id, by_bot(world, {}) | stream.shown, thread_ts)
    stream.ts = message["ts"]
    world.streams[channel.id, stream.ts] = stream
    if world.app.view:
        sessions.put(world, sessions.opened(world, channel.id, thread_ts), "processing", "stream")
    return {"channel": channel.id, "ts": stream.ts}


def _parent(world: World, channel: Channel, thread_ts: str) -> str:
    root = world.root(channel.id, thread_ts)
    if root is None:
        raise ApiError("invalid_thread_ts")
    if root != thread_ts:
        raise LimitError("invalid_thread_ts", "[ERROR] thread_ts must be the ts of the thread's first message")
    return root


def _recipient(world: World, channel: Channel, args: Json) -> str:
    """Who sees the message grow; in a channel Slack wants to know."""
    for name in ("recipient_user_id", "recipient_team_id"):
        if not channel.is_im and not args.get(name):
            raise LimitError(f"missing_{name}", f"[ERROR] a stream to a channel needs {name}")
    user, team = args.get("recipient_user_id", channel.user), args.get("recipient_team_id")
    person = world.people.get(user)
    if person is None:
        raise ApiError("user_not_found")
    if team and team != person.team_id:
        raise ApiError("team_not_found")
    return person.id


def chat_append_stream(world: World, args: Json) -> Json:
    """Slack's `chat.appendStream`."""
    stream, message = _stream(world, args)
    if stream.ended == "stopped_by_user":
        raise ApiError("stopped_by_user")
    stream.add(args, lambda: world.next_id("b"))
    stream.appends += 1
    world.replace(stream.channel, message, stream.shown, keep_old=False)
    return {"channel": stream.channel, "ts": stream.ts}


def chat_stop_stream(world: World, args: Json) -> Json:
    """Also after a person stopped it, to add blocks and set the session's status; text is refused then."""
    stream, message = _stream(world, args)
    if stream.ended and (args.get("markdown_text") or args.get("chunks")):
        raise ApiError("stopped_by_user")
    stream.add(args, lambda: world.next_id("b"))
    stream.ended = "stopped"
    changes = stream.shown
    if args.get("blocks"):
        changes["blocks"] = [*changes.get("blocks", []), *world.finished_blocks(args["blocks"])]
    if args.get("metadata"):
        changes["metadata"] = args["metadata"]
    world.replace(stream.channel, message, changes)
    if world.app.view:
        session = sessions.opened(world, stream.channel, stream.thread_ts)
        sessions.put(world, session, args.get("session_status", "active"), "method")
    return {"channel": stream.channel, "ts": stream.ts, "message": message}


def _stream(world: World, args: Json) -> tuple[Stream, Json]:
    """A stream of the bot that still takes something, and its message."""
    channel = channel_of(world, args["channel"])
    message = world.find(channel.id, args["ts"])
    if message is None:
        raise ApiError("message_not_found")
    if message.get("bot_id") != BOT:
        raise ApiError("message_not_owned_by_app")
    stream = world.streams.get((channel.id, args["ts"]))
    if stream is None or stream.state(world.clock()) not in ("live", "stopped_by_user"):
        raise ApiError("message_not_in_streaming_state")
    return stream, message
