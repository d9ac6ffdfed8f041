"""What people do in the workspace by talking: say, edit, delete, react, look at the bot, stop it. Presses: user_interactions.py."""

from __future__ import annotations

from collections.abc import Sequence

from emulator import assistant, messages, sessions, speech
from emulator.workspace_parts import WorkspaceParts
from emulator.world import BOT_USER, Channel, Json


class Messaging(WorkspaceParts):
    """The part of Workspace for words. All methods may be called from any thread."""

    def say(
        self,
        user: str,
        text: str,
        channel: str = "C0HR",
        thread_ts: str | None = None,
        *,
        files: Sequence[str] = (),
        broadcast: bool = False,
    ) -> str:
        """Post as a person; the bot hears it where it would in Slack. Returns the ts.

        `files`: names of files shared with it; `broadcast`: a reply that the channel sees too.
        Raises LookupError when the person is not in the channel.
        """
        with self.world.lock:
            place = self._place(user, channel)
            said = speech.said(self.world, user, text) | speech.shared(self.world, user, files)
            said |= {"subtype": "thread_broadcast"} if broadcast and self.world.root(channel, thread_ts) else {}
            message = self.world.post(channel, said, thread_ts, self._beside(place, user, thread_ts))
            if not place.is_im and BOT_USER in place.members and speech.mentions_bot(message["text"]):
                self.world.tell("app_mention", speech.app_mention(channel, message))
        self.send_events()
        return str(message["ts"])

    def _beside(self, place: Channel, user: str, thread_ts: str | None) -> Json:
        """What the event about a message to the bot tells besides: a token, or what the person has before them."""
        if self.world.app.view == "assistant_view" and thread_ts:
            if assistant.is_assistant_thread(self.world, place.id, thread_ts):
                return {"assistant_thread": {"action_token": self.world.next_id("10647138185092.")}}
        elif self.world.app.view == "agent_view" and user in self.world.viewing:
            return {"app_context": speech.app_context(self.world.viewing[user])}
        return {}

    def app_says(
        self,
        name: str,
        text: str,
        channel: str = "C0HR",
        thread_ts: str | None = None,
        *,
        blocks: Sequence[Json] = (),
        attachments: Sequence[Json] = (),
    ) -> str:
        """Post as a workflow or another app does, which has a name and no person. Returns the ts."""
        with self.world.lock:
            said: Json = {"subtype": "bot_message", "bot_id": "B0OTHER", "app_id": "A0OTHER", "username": name}
            said |= {"text": speech.escaped(self.world, text)} | ({"blocks": [*blocks]} if blocks else {})
            message = self.world.post(
                channel, said | ({"attachments": [*attachments]} if attachments else {}), thread_ts
            )
            if speech.mentions_bot(message["text"]):
                self.world.tell("app_mention", speech.app_mention(channel, message))
        self.send_events()
        return str(message["ts"])

    def edit(self, user: str, channel: str, ts: str, text: str) -> None:
        """Change one's own message; the bot hears of it in a direct message, and where it is mentioned: app_mention comes (again) then.

        Raises LookupError for another's.
        """
        with self.world.lock:
            message = self._message(user, channel, ts)
            if message.get("user") != user or message.get("bot_id") or message.get("subtype") == "tombstone":
                raise LookupError(f"{user} cannot edit message {ts}")
            said = speech.said(self.world, user, text)
            edited = {"edited": {"user": user, "ts": f"{int(self.world.clock())}.000000"}}
            self.world.replace(channel, message, {"text": said["text"], "blocks": said["blocks"]} | edited)
            place = self.world.channels[channel]
            if not place.is_im and BOT_USER in place.members and speech.mentions_bot(said["text"]):
                self.world.tell("app_mention", speech.app_mention(channel, message))
        self.send_events()

    def delete(self, channel: str, ts: str, user: str | None = None) -> None:
        """Delete a message; `user` is who does it, left out: its author or an administrator.

        Raises LookupError where that person may not: another's message without being an administrator.
        """
        with self.world.lock:
            if user is not None:
                message = self._message(user, channel, ts)
                if message.get("user") != user and not self.world.people[user].is_admin:
                    raise LookupError(f"{user} cannot delete message {ts}")
            self.world.delete(channel, ts)
        self.send_events()

    def react(self, user: str, channel: str, ts: str, name: str) -> None:
        """Add a person's reaction; the bot is not told."""
        with self.world.lock:
            messages.react(self.world, self._message(user, channel, ts), user, name)

    # The bot's own place

    def open_home(self, user: str, tab: str = "home") -> None:
        """Look at the bot's `home` or `messages` tab; the latter is how a conversation with an agent is opened."""
        with self.world.lock:
            self.world.tell("app_home_opened", speech.app_home_opened(self.world, user, tab))
        self.send_events()

    def open_assistant(self, user: str) -> str:
        """Open a new thread with the assistant, as in an app with assistant_view. Returns the thread's ts.

        Raises LookupError in an app that has no such threads.
        """
        with self.world.lock:
            direct = self.world.direct(user)
            if self.world.app.view != "assistant_view" or direct is None:
                raise LookupError("only an app with assistant_view has assistant threads")
            root = self.world.post(direct.id, speech.new_chat())
            self.world.assistant_threads[user] = root["ts"]
            self.world.tell(*speech.assistant_thread(self.world, "assistant_thread_started", user))
        self.send_events()
        return str(root["ts"])

    def look_at(self, user: str, channel: str) -> None:
        """Look at a channel while the bot stays open beside it; the bot is told if its app asks for that."""
        with self.world.lock:
            self._place(user, channel)
            self.world.viewing[user] = channel
            if self.world.app.view == "agent_view":
                self.world.tell("app_context_changed", speech.app_context_changed(self.world, channel))
            elif user in self.world.assistant_threads:
                self.world.tell(*speech.assistant_thread(self.world, "assistant_thread_context_changed", user))
        self.send_events()

    # Sessions

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

    def rename_session(self, user: str, channel: str, thread_ts: str, title: str) -> None:
        """Give a session another title; the app is told. Raises LookupError where there is no session."""
        with self.world.lock:
            self._place(user, channel)
            session = sessions.session_of(self.world, channel, thread_ts)
            if session is None:
                raise LookupError(f"no session in thread {thread_ts} of {channel}")
            sessions.renamed_by(self.world, user, session, title)
        self.send_events()
