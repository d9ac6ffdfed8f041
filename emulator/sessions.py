"""Agent sessions: the state of a thread in which an agent works, and when somebody may stop it.

https://docs.slack.dev/ai/agent-sessions. A session has one status slot: agents.sessions.setStatus, a stream and
assistant.threads.setStatus all write it, and the last one counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from emulator.stream import Stream
from emulator.world import TEAM, Json, World

PROCESSING_SECONDS = 3600  # then a session is active again by itself


@dataclass
class Session:
    """`source` is what set it to processing: the method itself, a stream, or the line of assistant.threads.setStatus."""

    channel: str
    thread_ts: str
    initiator: str
    title: str = ""
    status: str = "active"
    source: Literal["method", "stream", "line"] = "method"
    since: float = 0.0
    looks: Json = field(default_factory=dict)


def session_of(world: World, channel: str, thread_ts: str) -> Session | None:
    """The agent's session of a thread; None where there is none."""
    return world.sessions.get((channel, thread_ts))


def opened(world: World, channel: str, thread_ts: str, initiator: str = "", title: str = "") -> Session:
    """The session of a thread, which is made if there is none; only then `initiator` and `title` count."""
    found = session_of(world, channel, thread_ts)
    if found is None:
        root = world.find(channel, thread_ts) or {}
        found = Session(channel, thread_ts, initiator or str(root.get("user", "")), title)
        world.sessions[channel, thread_ts] = found
    return found


def put(world: World, session: Session, status: str, source: Literal["method", "stream", "line"] = "method") -> None:
    """Sets a session's status, and by what it was set."""
    session.status, session.source, session.since = status, source, world.clock()
    world.changed()


def status_now(world: World, session: Session) -> str:
    """The status after what time has done to it."""
    if session.status != "processing":
        return session.status
    match session.source:
        case "stream":
            states = [one.state(world.clock()) for one in _streams(world, session.channel, session.thread_ts)]
            goes_on = "live" in states or "stopped_by_user" in states
        case "line":
            goes_on = bool(world.status(session.channel, session.thread_ts))
        case "method":
            goes_on = world.clock() - session.since < PROCESSING_SECONDS
    return "processing" if goes_on else "active"


def _streams(world: World, channel: str, thread_ts: str) -> Iterator[Stream]:
    for stream in world.streams.values():
        if (stream.channel, stream.thread_ts) == (channel, thread_ts):
            yield stream


def can_stop(world: World, channel: str, thread_ts: str) -> bool:
    """Whether Slack shows a stop button: an agent that hears of it streams there, or its session is processing.

    A line of assistant.threads.setStatus takes the place of the session's own sign, and with it of its button.
    """
    if not world.app.view or not world.app.hears("agent_session_stopped"):
        return False
    if any(stream.state(world.clock()) == "live" for stream in _streams(world, channel, thread_ts)):
        return True
    session = session_of(world, channel, thread_ts)
    return session is not None and session.source != "line" and status_now(world, session) == "processing"


def stop(world: World, user: str, channel: str, thread_ts: str) -> None:
    """Somebody presses the stop button: streams end, the app is told; the status stays until the app changes it."""
    live = [one for one in _streams(world, channel, thread_ts) if one.state(world.clock()) == "live"]
    for stream in live:
        stream.ended = "stopped_by_user"
    world.tell(
        "agent_session_stopped",
        {
            "type": "agent_session_stopped",
            "channel": channel,
            "thread_ts": thread_ts,
            "user": user,
            "streaming_message_ts": [stream.ts for stream in live],
            "event_ts": world.next_ts(),
        },
    )
    world.changed()


def renamed_by(world: World, user: str, session: Session, title: str) -> None:
    """A person changes the title; the app is told what it was, if it was anything."""
    event = {
        "type": "agent_session_title_changed",
        "channel": session.channel,
        "thread_ts": session.thread_ts,
        "team_id": TEAM,
        "user": user,
        "title": title,
        "event_ts": world.next_ts(),
    }
    world.tell("agent_session_title_changed", event | ({"previous_title": session.title} if session.title else {}))
    session.title = title
    world.changed()
