"""What the page asks for: the workspace as one person sees it, and what that person does. JSON over /page/*.

The page is page.html with its scripts and style beside it. It needs no network beyond this server.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, jsonify, request, send_from_directory

from emulator import faults, limits, sessions
from emulator.world import BOT_USER, Channel, Json

if TYPE_CHECKING:
    from emulator.emulator import Workspace

HERE = Path(__file__).parent
ASSETS = (
    "page.css",
    *(f"{name}.js" for name in ("page", "state", "messages", "composer", "dialogs", "blocks", "drawer", "text")),
)
POLL_SECONDS = 20.0
LOG_LINES = 40


def blueprint(workspace: Workspace) -> Blueprint:
    """Routes for the browser; actions take JSON only, so that no other site can send them."""
    page = Blueprint("page", __name__)
    actions = _actions(workspace)

    @page.get("/")
    def index() -> Response:
        return _file("page.html")

    @page.get("/page/<name>")
    def asset(name: str) -> Response:
        return _file(name) if name in ASSETS else abort(404)

    @page.get("/page/state")
    def state() -> Response:
        with workspace.world.lock:
            return jsonify(seen_by(workspace, request.args.get("me", "U0ANN")))

    @page.get("/page/changes")
    def changes() -> Response:
        return jsonify(version=_await_change(workspace, request.args.get("since", -1, type=int)))

    @page.post("/page/act/<name>")
    def act(name: str) -> Response | tuple[Response, int]:
        if name not in actions:
            abort(404)
        try:
            return jsonify(result=actions[name](request.get_json()))
        except (LookupError, ValueError) as wrong:
            return jsonify(error=str(wrong)), 400

    return page


def _file(name: str) -> Response:
    answer = send_from_directory(HERE, name)
    answer.headers["Content-Security-Policy"] = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _await_change(workspace: Workspace, since: int) -> int:
    """The version of the workspace as soon as it is another than `since`, or after POLL_SECONDS."""
    world = workspace.world
    with world.lock:
        world.lock.wait_for(lambda: world.version != since or workspace.stopping.is_set(), POLL_SECONDS)
        return world.version


def _actions(workspace: Workspace) -> dict[str, Callable[[Json], Any]]:
    """What a person can do, by the name the page uses."""

    def click(body: Json) -> int:
        if "view_id" in body:
            return workspace.click_view(body["me"], body["view_id"], body["action_id"], body.get("value"))
        return workspace.click(body["me"], body["ts"], body["action_id"], body.get("value"), body["channel"])

    return {
        "say": lambda body: workspace.say(body["me"], body["text"], body["channel"], body.get("thread_ts")),
        "click": click,
        "submit": lambda body: workspace.submit(body["view_id"], body["me"], body["values"]).status,
        "close": lambda body: workspace.close(body["view_id"], body["me"]),
        "shortcut": lambda body: workspace.shortcut(body["me"], body["ts"], body["callback_id"], body["channel"]),
        "edit": lambda body: workspace.edit(body["me"], body["channel"], body["ts"], body["text"]),
        "delete": lambda body: workspace.delete(body["channel"], body["ts"], body["me"]),
        "stop": lambda body: workspace.stop_session(body["me"], body["channel"], body["thread_ts"]),
        "rename": lambda body: workspace.rename_session(body["me"], body["channel"], body["thread_ts"], body["title"]),
        "open-assistant": lambda body: workspace.open_assistant(body["me"]),
        "look": lambda body: workspace.look_at(body["me"], body["channel"]),
        "react": lambda body: workspace.react(body["me"], body["channel"], body["ts"], body["name"]),
        "home": lambda body: workspace.open_home(body["me"], body.get("tab", "home")),
        "fault": lambda body: workspace.fault(body["method"], body["kind"], int(body["times"])),
        "clear-faults": lambda body: workspace.clear_faults(),
        "redeliver": lambda body: workspace.redeliver_last(),
        "cut-off": lambda body: workspace.cut_off(bool(body["down"])),
    }


def seen_by(workspace: Workspace, me: str) -> Json:
    """Everything the page shows to one person."""
    world = workspace.world
    mine = [channel for channel in world.channels.values() if me in channel.members]
    return {
        "version": world.version,
        "me": me,
        "bot": BOT_USER,
        "people": {p.id: _person(workspace, p.id) for p in world.people.values()},
        "groups": {group.id: group.handle for group in world.groups.values()},
        "channels": [{"id": c.id, "name": c.name, "im": c.is_im, "members": len(c.members)} for c in mine],
        "messages": {c.id: _messages(workspace, c, me) for c in mine},
        "streams": _streams(workspace),
        "ephemerals": [message for message in world.ephemerals if message["to"] == me],
        "statuses": _statuses(workspace),
        "sessions": _sessions(workspace),
        "prompts": {f"{channel}/{ts}": prompts for (channel, ts), prompts in world.prompts.items()},
        "view": world.app.view,
        "modals": [world.views[ident] for ident in world.modals.get(me, [])],
        "view_errors": world.view_errors,
        "home": world.views.get(world.homes.get(me, "")),
        "notices": [text for to, text in world.notices if to == me],
        "shortcuts": [{"callback_id": ident, "name": name} for ident, name in world.app.offered().items()],
        "examples": list(workspace.examples()),
        "engine": _developer_drawer(workspace),
    }


def _messages(workspace: Workspace, channel: Channel, me: str) -> list[Json]:
    """The messages of a conversation. A stream in a channel grows before its recipient's eyes alone."""
    world = workspace.world
    shown = []
    for message in world.messages.get(channel.id, {}).values():
        stream = world.streams.get((channel.id, message["ts"]))
        if stream and not channel.is_im and me != stream.recipient and stream.state(world.clock()) == "live":
            message = message | stream.begun
        shown.append(message)
    return shown


def _streams(workspace: Workspace) -> Json:
    """The state of every stream, and whether this person may press Stop."""
    world = workspace.world
    return {
        f"{channel}/{ts}": {"state": stream.state(world.clock()), "thread_ts": stream.thread_ts}
        for (channel, ts), stream in world.streams.items()
    }


def _sessions(workspace: Workspace) -> Json:
    world = workspace.world
    return {
        f"{session.channel}/{session.thread_ts}": {
            "title": session.title,
            "status": sessions.status_now(world, session),
            "stoppable": sessions.can_stop(world, session.channel, session.thread_ts),
        }
        for session in world.sessions.values()
    }


def _person(workspace: Workspace, ident: str) -> Json:
    person = workspace.people[ident]
    return {
        "id": ident,
        "name": person.real_name,
        "title": person.title,
        "bot": person.is_bot,
        "admin": person.is_admin,
        "guest": person.is_restricted or person.is_ultra_restricted,
    }


def _statuses(workspace: Workspace) -> Json:
    world = workspace.world
    return {
        f"{channel}/{ts}": {"text": status.text, "loading_messages": status.loading_messages}
        for (channel, ts), status in world.statuses.items()
        if world.status(channel, ts)
    }


def _developer_drawer(workspace: Workspace) -> Json:
    """What the drawer for developers shows."""
    api, courier = workspace.api, workspace.courier
    return {
        "methods": list(limits.METHODS),
        "kinds": faults.KINDS,
        "faults": {
            method: [fault.kind for fault in waiting] for method, waiting in api.faults.waiting.items() if waiting
        },
        "cut_off": courier.cut_off,
        "bot_url": workspace.http.base_url,
        "sockets": workspace.connections if workspace.sockets else None,
        "violations": api.violations[-LOG_LINES:],
        "calls": [
            {
                "method": call.method,
                "at": call.at,
                "fault": call.fault,
                "status": call.status,
                "error": (call.answer or {}).get("error", ""),
            }
            for call in api.calls[-LOG_LINES:]
        ],
        "attempts": [dataclasses.asdict(attempt) for attempt in courier.attempts[-LOG_LINES:]],
    }
