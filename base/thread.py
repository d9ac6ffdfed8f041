"""Where something stands in Slack: a thread's address."""

from __future__ import annotations

from dataclasses import dataclass

TOP = "0"  # in place of a thread's ts: what is said there begins no thread but stands in the channel itself


@dataclass(frozen=True)
class Thread:
    """A Slack thread: workspace, channel and the ts of its first message (or `TOP`)."""

    team: str
    channel: str
    ts: str

    @property
    def key(self) -> str:
        """The one text by which store, queues and logs know the thread."""
        return f"{self.team}/{self.channel}/{self.ts}"

    @property
    def is_direct(self) -> bool:
        """Whether it lies in a direct message with the bot (Slack's ids of those begin with D)."""
        return self.channel.startswith("D")

    @property
    def is_persons(self) -> bool:
        """Whether a person stands in the channel's place: what is said there goes into that person's direct message with the bot."""
        return self.channel.startswith(("U", "W"))

    @classmethod
    def from_key(cls, key: str) -> Thread:
        """The thread that has this key. Raises `ValueError` where it is none."""
        team, channel, ts = key.split("/")
        return cls(team, channel, ts)


def permalink(home: str, thread: Thread, ts: str) -> str:
    """The address of a message for people's browsers, as chat.getPermalink gives it
    (https://docs.slack.dev/reference/methods/chat.getPermalink). `home` is the workspace's, with a slash at the end."""
    link = f"{home}archives/{thread.channel}/p{ts.replace('.', '')}"
    return link if thread.ts in (TOP, ts) else f"{link}?thread_ts={thread.ts}&cid={thread.channel}"
