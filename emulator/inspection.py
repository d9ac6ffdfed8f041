"""What there is to see in the workspace: messages, statuses, views, and what was sent to and asked by the bot."""

from __future__ import annotations

import copy

from emulator import sessions
from emulator.delivery import Attempt
from emulator.stream import State, Stream
from emulator.webapi import Call
from emulator.workspace_parts import WorkspaceParts
from emulator.world import Json


class Inspection(WorkspaceParts):
    """The part of Workspace for looking. Everything is a copy; all methods may be called from any thread."""

    def messages(self, channel: str = "C0HR", thread_ts: str | None = None) -> list[Json]:
        """Messages of a channel, or of a thread with its parent, oldest first, with their metadata."""
        with self.world.lock:
            found = self.world.thread(channel, thread_ts) if thread_ts else self.world.top_level(channel)
            return copy.deepcopy(list(found))

    def message(self, channel: str, ts: str) -> Json | None:
        """A message as it is now; None where there is none."""
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

    def session_status(self, channel: str, thread_ts: str) -> str:
        """`processing`, `active`, `suspended` or `closed`; "" in a thread without a session."""
        with self.world.lock:
            session = sessions.session_of(self.world, channel, thread_ts)
            return sessions.status_now(self.world, session) if session else ""

    def title(self, channel: str, thread_ts: str) -> str:
        """The title of a thread's session or of an assistant's thread, "" without one."""
        with self.world.lock:
            session = sessions.session_of(self.world, channel, thread_ts)
            return session.title if session else ""

    def prompts(self, channel: str, thread_ts: str = "") -> list[Json]:
        """The suggested prompts: of a thread with assistant_view, of the whole conversation with agent_view."""
        with self.world.lock:
            return copy.deepcopy(self.world.prompts.get((channel, thread_ts), {}).get("prompts", []))

    def stream(self, channel: str, ts: str) -> Stream | None:
        """The stream behind a message, None for another message; what became of it: `stream_state`."""
        with self.world.lock:
            return copy.deepcopy(self.world.streams.get((channel, ts)))

    def stream_state(self, channel: str, ts: str) -> State | None:
        """`live`, `stopped` (by the bot), `stopped_by_user` or `expired`, by the workspace's clock."""
        with self.world.lock:
            stream = self.world.streams.get((channel, ts))
            return stream.state(self.world.clock()) if stream else None

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
        """The calls of one method, oldest first."""
        with self.world.lock:
            return [call for call in self.api.calls if call.method == method]
