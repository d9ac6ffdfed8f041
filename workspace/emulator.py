"""The local workspace as a whole: class Workspace starts and stops it and is what tests and the demo hold.

The people are here: who talks and presses (`say`, `click`, `submit` ...), and what there is to see. What the bot calls
is in webapi.py, the way to the bot in delivery.py, HTTP in server.py.
"""

from __future__ import annotations

import copy
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from workspace import interactions, limits, methods, server, speech
from workspace.delivery import ACK_SECONDS, RETRY_DELAYS, Attempt, Courier, Reply
from workspace.faults import Fault, Kind
from workspace.limits import ApiError, LimitError
from workspace.webapi import Call, WebApi
from workspace.world import BOT_USER, Channel, Json, Person, UserGroup, World

T = TypeVar("T")

NO_ACK = "hr-bot did not respond. Sorry, that didn't work. Try again?"


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Every call is in Workspace.calls; the terminal belongs to the bot."""


class Workspace:
    """A Slack workspace on this machine. All methods may be called from any thread.

    `retry_delays`: seconds before each retry of an event (Slack: at once, 1 min, 5 min); `ack_seconds`: how long the
    bot may take to answer; `shortcuts`: callback_id and name of the app's message shortcuts; `examples`: questions that
    the page offers; `enforce_rates`: answer 429 beyond Slack's rates. `clock` gives seconds since 1970.
    """

    bot_user_id = BOT_USER

    def __init__(
        self,
        *,
        bot_token: str = "xoxb-local",
        signing_secret: str = "local-signing-secret",
        port: int = 0,
        retry_delays: Sequence[float] = RETRY_DELAYS,
        ack_seconds: float = ACK_SECONDS,
        enforce_rates: bool = False,
        shortcuts: Mapping[str, str] | None = None,
        examples: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bot_token = bot_token
        self.signing_secret = signing_secret
        self.shortcuts = dict(shortcuts or {})
        self.examples = tuple(examples)
        self.world = World(clock)
        self.api = WebApi(self.world, bot_token, enforce_rates=enforce_rates)
        self.courier = Courier(self.world, signing_secret, ack_seconds, retry_delays)
        self.stopping = threading.Event()
        self._port = port
        self._server: BaseWSGIServer | None = None

    # Running

    def start(self) -> Workspace:
        """Listen on 127.0.0.1. Raises OSError when the port is taken."""
        app = server.create_app(self)
        # werkzeug would end the process over a port that is taken; a socket of our own raises.
        with socket.create_server(("127.0.0.1", self._port), backlog=128) as listener:
            self._server = make_server(
                "127.0.0.1", self._port, app, threaded=True, request_handler=_Quiet, fd=listener.fileno()
            )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="workspace", daemon=True).start()
        return self

    def stop(self) -> None:
        """Close the port and forget the retries that are due."""
        self.stopping.set()
        self.courier.stop()
        with self.world.lock:
            self.world.changed()
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> Workspace:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the page is. Only once started."""
        if self._server is None:
            raise RuntimeError("start() the workspace first")
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def api_url(self) -> str:
        """The base of the Web API, with a slash at the end."""
        return f"{self.url}/api/"

    def connect(self, base_url: str) -> None:
        """Say where the bot listens: events go to /slack/events there, gestures to /slack/interactions."""
        self.courier.base_url = base_url

    def cut_off(self, down: bool) -> None:
        """While the bot is cut off, nothing reaches it."""
        with self.world.lock:
            self.courier.cut_off = down
            self.world.changed()

    # Who is there

    @property
    def people(self) -> dict[str, Person]:
        return self.world.people

    @property
    def channels(self) -> dict[str, Channel]:
        return self.world.channels

    @property
    def groups(self) -> dict[str, UserGroup]:
        return self.world.groups

    def add_person(self, person: Person) -> None:
        """Somebody new, with a direct message to the bot, in no channel yet."""
        with self.world.lock:
            self.people[person.id] = person
            self.channels[f"D0{person.id[2:]}"] = Channel(f"D0{person.id[2:]}", "", (person.id, BOT_USER), person.id)
            self.world.changed()

    def add_channel(self, channel: Channel) -> None:
        """A new channel, or one that replaces the channel of this id."""
        with self.world.lock:
            self.channels[channel.id] = channel
            self.world.changed()

    # What people do

    def say(self, user: str, text: str, channel: str = "C0HR", thread_ts: str | None = None) -> str:
        """Post as a person; the bot hears it where it would in Slack. Returns the ts.

        Raises LookupError when the person is not in the channel.
        """
        with self.world.lock:
            place = self._place(user, channel)
            message = self.world.post(channel, speech.said(self.world, user, text), thread_ts)
            if not place.is_im and BOT_USER in place.members and speech.mentions_bot(message["text"]):
                self.world.outbox.append(speech.app_mention(channel, copy.deepcopy(message)))
        self.send_events()
        return str(message["ts"])

    def delete(self, channel: str, ts: str) -> None:
        """Delete a message, as its author or an administrator."""
        with self.world.lock:
            self.world.delete(channel, ts)
        self.send_events()

    def react(self, user: str, channel: str, ts: str, name: str) -> None:
        """Add a person's reaction; the bot is not told."""
        with self.world.lock:
            methods.react(self.world, self._message(user, channel, ts), user, name)

    def open_home(self, user: str, tab: str = "home") -> None:
        """Look at the bot's Home (or `messages`) tab."""
        with self.world.lock:
            self.world.outbox.append(speech.app_home_opened(self.world, user, tab))
        self.send_events()

    def click(self, user: str, message_ts: str, action_id: str, value: str | None = None, channel: str = "C0HR") -> int:
        """Press a button of a message; returns the HTTP status of the bot's answer, 0 without one.

        `value` tells buttons of the same action_id apart, or is the option chosen. A button that the message has
        lost since then can still be pressed, as by a client that is a moment behind. Raises LookupError for one that
        was never there.
        """
        with self.world.lock:
            versions = [self._message(user, channel, message_ts), *self._older(channel, message_ts)]
            for message in versions:
                if found := interactions.find_element(message.get("blocks", []), action_id, value):
                    payload = interactions.block_actions(self.world, user, found, value)
                    payload = interactions.pressed_in_message(self.world, payload, channel, message, self.url)
                    break
            else:
                raise LookupError(f"message {message_ts} has no element {action_id} with value {value}")
        return self._interact(user, payload).status

    def click_view(self, user: str, view_id: str, action_id: str, value: str | None = None) -> int:
        """Press a button in a modal or in Home; like `click`."""
        with self.world.lock:
            view = self._view(view_id)
            found = interactions.find_element(view["blocks"], action_id, value)
            if found is None:
                raise LookupError(f"view {view_id} has no element {action_id} with value {value}")
            payload = interactions.block_actions(self.world, user, found, value)
            payload = interactions.pressed_in_view(payload, view)
        return self._interact(user, payload).status

    def shortcut(self, user: str, message_ts: str, callback_id: str, channel: str = "C0HR") -> int:
        """Use a message shortcut of the app; returns the HTTP status of the bot's answer."""
        with self.world.lock:
            message = self._message(user, channel, message_ts)
            payload = interactions.message_action(self.world, user, channel, message, self.url)
            payload["callback_id"] = callback_id
        return self._interact(user, payload).status

    def submit(self, view_id: str, user: str, values: Mapping[str, Any] | None = None) -> Reply:
        """Submit a modal; `values` maps the block_id of an input to what is entered there (an option's value, a list).

        Nothing is sent while a required input is empty: the reply then has status 0.
        """
        with self.world.lock:
            view = self._view(view_id)
            view["state"] = interactions.view_state(view, values or {})
            if missing := interactions.missing_inputs(view):
                self.world.view_errors[view_id] = dict.fromkeys(missing, "Please fill out this field.")
                self.world.changed()
                return Reply(0, reason="required_inputs_empty")
            payload = interactions.view_submission(self.world, user, view)
        reply = self._interact(user, payload)
        if reply.ok:
            with self.world.lock:
                self._after_submission(user, view, reply)
        return reply

    def close(self, view_id: str, user: str) -> None:
        """Close a modal without submitting it; the bot hears of it if it asked to."""
        with self.world.lock:
            view = self._view(view_id)
            self._remove_view(user, view_id)
            payload = interactions.view_closed(self.world, user, view, cleared=False)
        if view["notify_on_close"]:
            self._interact(user, payload)

    def deliver(self, envelope: Json, headers: Mapping[str, str] | None = None) -> Reply:
        """Post an envelope to the bot once, signed; `headers` are added and may replace the signature."""
        return self.courier.post_event(envelope, headers or {})

    def deliver_interaction(self, payload: Json) -> Reply:
        """Post an interaction payload to the bot once, signed."""
        return self.courier.post_interaction(payload)

    def redeliver_last(self) -> bool:
        """Send the last event again, with the same event_id. False when there was none."""
        if self.courier.last_envelope is None:
            return False
        self.courier.send_event(self.courier.last_envelope)
        return True

    # What there is to see

    def messages(self, channel: str = "C0HR", thread_ts: str | None = None) -> list[Json]:
        """Messages of a channel, or of a thread with its parent, oldest first, with their metadata."""
        with self.world.lock:
            found = self.world.thread(channel, thread_ts) if thread_ts else self.world.top_level(channel)
            return copy.deepcopy(list(found))

    def message(self, channel: str, ts: str) -> Json | None:
        with self.world.lock:
            return copy.deepcopy(self.world.find(channel, ts))

    def ephemerals(self, user: str) -> list[Json]:
        """Messages that only this person sees."""
        with self.world.lock:
            return copy.deepcopy([message for message in self.world.ephemerals if message["to"] == user])

    def reactions(self, channel: str, ts: str) -> list[Json]:
        """`[{"name", "users", "count"}]` of a message."""
        with self.world.lock:
            message = self.world.find(channel, ts) or {}
            return copy.deepcopy(message.get("reactions", []))

    def status(self, channel: str, thread_ts: str) -> str:
        """The line under a thread such as "is thinking...", "" without one."""
        with self.world.lock:
            return self.world.status(channel, thread_ts)

    def modals(self, user: str) -> list[Json]:
        """The views open before somebody, the top one last."""
        with self.world.lock:
            return copy.deepcopy([self.world.views[ident] for ident in self.world.modals.get(user, [])])

    def view_errors(self, view_id: str) -> dict[str, str]:
        """Words under the inputs of a view, by block_id."""
        with self.world.lock:
            return dict(self.world.view_errors.get(view_id, {}))

    def home(self, user: str) -> Json | None:
        """What the bot published to somebody's Home."""
        with self.world.lock:
            return copy.deepcopy(self.world.views.get(self.world.homes.get(user, "")))

    def notices(self, user: str) -> list[str]:
        """Errors that Slack's client showed to somebody, such as NO_ACK."""
        with self.world.lock:
            return [text for to, text in self.world.notices if to == user]

    @property
    def attempts(self) -> list[Attempt]:
        """Every attempt to deliver an event."""
        with self.world.lock:
            return list(self.courier.attempts)

    @property
    def calls(self) -> list[Call]:
        """Every call of the Web API, refused ones included."""
        with self.world.lock:
            return list(self.api.calls)

    @property
    def violations(self) -> list[str]:
        """Every call that broke a documented limit or had wrong arguments, in words."""
        with self.world.lock:
            return list(self.api.violations)

    def calls_of(self, method: str) -> list[Call]:
        with self.world.lock:
            return [call for call in self.api.calls if call.method == method]

    def wait(self, predicate: Callable[[], T], seconds: float = 10.0) -> T:
        """Block until the predicate is true, asking again at every change of the workspace; returns what it gave.

        Raises TimeoutError, which tells what the workspace saw last.
        """
        deadline = time.monotonic() + seconds
        waiting = True
        while True:
            with self.world.lock:
                version = self.world.version
            # Asked without the lock: a predicate may call the bot, which may call the workspace.
            if result := predicate():
                return result
            if not waiting:
                raise TimeoutError(f"not within {seconds} s. {self._story()}")
            waiting = self._changes(version, deadline - time.monotonic())

    def _changes(self, version: int, seconds: float) -> bool:
        """Whether the workspace is, within that time, another than at this version."""
        with self.world.lock:
            return self.world.lock.wait_for(lambda: self.world.version != version, max(seconds, 0))

    def fault(self, method: str, kind: Kind, times: int = 1, **more: Any) -> None:
        """Make the next calls of a method ("*": of any) fail; see faults.Fault for the kinds and `more`."""
        with self.world.lock:
            self.api.faults.add(method, Fault(kind, **more), times)
            self.world.changed()

    def clear_faults(self) -> None:
        with self.world.lock:
            self.api.faults.clear()
            self.world.changed()

    # Inner parts

    def send_events(self) -> None:
        """Deliver what happened since the last time."""
        with self.world.lock:
            events, self.world.outbox = self.world.outbox, []
            envelopes = [speech.envelope(self.world, event) for event in events]
        for envelope in envelopes:
            self.courier.send_event(envelope)

    def _interact(self, user: str, payload: Json) -> Reply:
        """Post a gesture; without a 200 in time the person sees an error."""
        with self.world.lock:
            payload = copy.deepcopy(payload)
        reply = self.courier.post_interaction(payload)
        with self.world.lock:
            if not reply.ok:
                self.world.notify(user, NO_ACK)
            self.world.changed()
        return reply

    def _after_submission(self, user: str, view: Json, reply: Reply) -> None:
        """Do what the bot's answer to a submitted view asks for."""
        action = reply.json()
        try:
            match action.get("response_action"):
                case None if reply.text.strip() and not action and reply.text.strip() != "{}":
                    raise LimitError("invalid_response", "[ERROR] a view_submission is answered with nothing or JSON")
                case None:
                    self._remove_view(user, view["id"])
                case "errors":
                    self.world.view_errors[view["id"]] = limits.check_view_errors(view, action)
                case "update":
                    limits.check_view(action.get("view"), "modal")
                    methods.refresh(self.world, view, action["view"])
                case "push":
                    limits.check_view(action.get("view"), "modal")
                    methods.push(self.world, user, action["view"])
                case "clear":
                    self.world.modals[user] = []
                case other:
                    raise LimitError("invalid_response", f"[ERROR] unknown response_action: {other}")
        except ApiError as wrong:
            self.api.violation("view_submission", wrong.code, *wrong.messages)
            self.world.notify(user, NO_ACK)
        self.world.changed()

    def _remove_view(self, user: str, view_id: str) -> None:
        stack = self.world.modals.get(user, [])
        if view_id in stack:
            stack.remove(view_id)
        self.world.views.pop(view_id, None)
        self.world.changed()

    def _place(self, user: str, channel: str) -> Channel:
        place = self.channels[channel]
        if user not in place.members:
            raise LookupError(f"{user} is not in {channel}")
        return place

    def _message(self, user: str, channel: str, ts: str) -> Json:
        """A message that this person can see."""
        self._place(user, channel)
        own = (m for m in self.world.ephemerals if m["ts"] == ts and m["to"] == user and m["channel"] == channel)
        message = next(own, None) or self.world.find(channel, ts)
        if message is None:
            raise LookupError(f"{user} sees no message {ts} in {channel}")
        return message

    def _older(self, channel: str, ts: str) -> list[Json]:
        return list(reversed(self.world.replaced.get((channel, ts), [])))

    def _view(self, view_id: str) -> Json:
        if view_id not in self.world.views:
            raise LookupError(f"view {view_id} is not open")
        return self.world.views[view_id]

    def _story(self) -> str:
        with self.world.lock:
            return self._last_words()

    def _last_words(self) -> str:
        last = [f"{call.method} {call.fault or (call.answer or {}).get('error', 'ok')}" for call in self.api.calls[-8:]]
        texts = [m.get("text", "")[:80] for channel in self.world.messages.values() for m in channel.values()][-6:]
        events = [f"{a.type}#{a.number} {a.reply.status} {a.reply.reason}".strip() for a in self.courier.attempts[-4:]]
        return f"Last calls: {last}; messages: {texts}; deliveries: {events}; violations: {self.api.violations[-4:]}"
