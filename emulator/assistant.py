"""assistant.threads.* and agents.sessions.*: what a thread shows of an agent's work. Like all methods: see methods.py.

https://docs.slack.dev/ai/agent-sessions and https://docs.slack.dev/ai/migrating-to-agent-messaging.
"""

from __future__ import annotations

from emulator import sessions
from emulator.errors import ApiError, LimitError
from emulator.limits import LOOKS
from emulator.lookup import channel_of, joined
from emulator.world import BOT_USER, Channel, Json, Status, World

DEAF = "missing_agent_session_stopped_event_subscription"


def set_status(world: World, args: Json) -> Json:
    """The line under a thread. It also writes the thread's session, as in Slack, where both share one slot."""
    channel = joined(world, channel_of(world, args["channel_id"]))
    where = channel.id, _root(world, channel, args["thread_ts"])
    if args["status"]:
        world.statuses[where] = Status(args["status"], tuple(args.get("loading_messages", ())), world.clock())
    else:
        world.statuses.pop(where, None)
    if world.app.view:
        sessions.put(world, sessions.opened(world, *where), "processing" if args["status"] else "active", "line")
    world.changed()
    return {}


def set_title(world: World, args: Json) -> Json:
    """The title of an assistant's thread, which its first message carries, or that of a session."""
    channel = joined(world, channel_of(world, args["channel_id"]))
    where = channel.id, _root(world, channel, args["thread_ts"])
    if not world.app.view or (world.app.view == "assistant_view" and not is_assistant_thread(world, *where)):
        raise ApiError("invalid_thread_ts")
    sessions.opened(world, *where).title = args["title"]
    if is_assistant_thread(world, *where):
        root = world.messages[channel.id][args["thread_ts"]]
        world.replace(
            channel.id, root, {"assistant_app_thread": root["assistant_app_thread"] | {"title": args["title"]}}
        )
    world.changed()
    return {}


def set_suggested_prompts(world: World, args: Json) -> Json:
    """Up to four questions: in the thread of an assistant, but over the whole conversation in agent_view.

    There a `thread_ts` makes the call fail silently.
    """
    channel = channel_of(world, args["channel_id"])
    if not world.app.view:
        raise ApiError("not_agent_app")
    if not channel.is_im:
        raise ApiError("channel_not_found")
    thread_ts = args.get("thread_ts", "")
    if world.app.view == "assistant_view" and not is_assistant_thread(world, channel.id, thread_ts):
        raise ApiError("invalid_thread_ts")
    if world.app.view == "assistant_view" or not thread_ts:
        world.prompts[channel.id, thread_ts] = {"title": args.get("title", ""), "prompts": args["prompts"]}
        world.changed()
    return {}


def is_assistant_thread(world: World, channel: str, thread_ts: str) -> bool:
    """Whether a thread belongs to the assistant's pane."""
    return (world.find(channel, thread_ts) or {}).get("subtype") == "assistant_app_thread"


def _root(world: World, channel: Channel, thread_ts: str) -> str:
    if world.root(channel.id, thread_ts) != thread_ts:
        raise ApiError("invalid_thread_ts")
    return thread_ts


# Sessions


def session_set_status(world: World, args: Json) -> Json:
    """Slack's `agents.sessions.setStatus`."""
    where = _session_thread(world, args)
    initiator = args.get("initiator_user_id", "")
    if initiator and initiator not in world.channels[where[0]].members:
        raise ApiError("user_not_found")
    session = sessions.opened(world, *where, initiator, args.get("title", ""))
    if any(args.get(look) for look in LOOKS):
        session.looks = {look: args[look] for look in LOOKS if args.get(look)}
    world.statuses.pop(where, None)
    sessions.put(world, session, args["status"])
    answer = {"status": session.status, "agent_status": session.status, "title": session.title}
    if world.app.hears("agent_session_stopped"):
        return answer
    return answer | {"warning": DEAF, "response_metadata": {"warnings": [DEAF]}}


def session_rename(world: World, args: Json) -> Json:
    """Slack's `agents.sessions.rename`."""
    session = sessions.session_of(world, *_session_thread(world, args))
    if session is None:
        raise ApiError("session_not_found")
    session.title = args["title"]
    world.changed()
    return {"title": session.title}


def _session_thread(world: World, args: Json) -> tuple[str, str]:
    """Where a session is: only an agent has sessions, only in threads of conversations that it is in."""
    channel = channel_of(world, args["channel_id"])
    if not world.app.view or BOT_USER not in channel.members:
        raise ApiError("not_authorized")
    if not args.get("thread_ts"):
        raise LimitError("thread_ts_required", "[ERROR] sessions are those of threads: give thread_ts")
    return channel.id, _root(world, channel, args["thread_ts"])
