"""What people do in the workspace by talking: say, edit, delete, react, look at the bot. Presses are in gestures.py."""

from __future__ import annotations

from workspace import messages, sessions, speech
from workspace.inner import Inner
from workspace.world import BOT_USER


class Acts(Inner):
    """The part of Workspace for words. All methods may be called from any thread."""

    def say(self, user: str, text: str, channel: str = "C0HR", thread_ts: str | None = None) -> str:
        """Post as a person; the bot hears it where it would in Slack. Returns the ts.

        Raises LookupError when the person is not in the channel.
        """
        with self.world.lock:
            place = self._place(user, channel)
            message = self.world.post(channel, speech.said(self.world, user, text), thread_ts)
            if not place.is_im and BOT_USER in place.members and speech.mentions_bot(message["text"]):
                self.world.tell("app_mention", speech.app_mention(channel, message))
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
            messages.react(self.world, self._message(user, channel, ts), user, name)

    def stop_stream(self, user: str, channel: str, ts: str) -> None:
        """Press Stop while a message grows: its stream and all of the thread end, the app is told.

        Raises LookupError where Slack shows no stop button.
        """
        with self.world.lock:
            stream = self.world.streams.get((channel, ts))
            if stream is None or stream.state(self.world.clock()) != "live":
                raise LookupError(f"message {ts} does not stream")
            thread_ts = stream.thread_ts
        self.stop_session(user, channel, thread_ts)

    def stop_session(self, user: str, channel: str, thread_ts: str) -> None:
        """Press Stop in a thread where the agent works. Raises LookupError where Slack shows no stop button."""
        with self.world.lock:
            self._place(user, channel)
            if not sessions.can_stop(self.world, channel, thread_ts):
                raise LookupError(f"no stop button in thread {thread_ts} of {channel}")
            sessions.stop(self.world, user, channel, thread_ts)
        self.send_events()

    def open_home(self, user: str, tab: str = "home") -> None:
        """Look at the bot's Home (or `messages`) tab."""
        with self.world.lock:
            self.world.tell("app_home_opened", speech.app_home_opened(self.world, user, tab))
        self.send_events()
