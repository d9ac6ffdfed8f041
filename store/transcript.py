"""A thread's transcript as values: who said what, which calls were made, what came of them, and who may see it.

A call that waits is a call without a result. Calls are matched by position, since ids may repeat or be empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class UserMessage:
    """A person's words, and whose."""

    text: str
    by: str


@dataclass(frozen=True)
class ThreadMessage:
    """One message that somebody wrote in the thread: their id, their name, and whether a bot wrote it.

    `is_attached`: it is what somebody attached to theirs, a shared message or a link's preview; `name` is whose, where Slack says so.
    Like a bot's it is data, whoever attached it.
    """

    by: str
    name: str
    text: str
    is_bot: bool = False
    is_attached: bool = False


@dataclass(frozen=True)
class ThreadContext:
    """What was written in the thread before a question: context for the model, no request to it."""

    lines: tuple[ThreadMessage, ...]


@dataclass(frozen=True)
class TurnNote:
    """What the bot itself says with a question: who asks and when, and operations where not all are listed. Stored, so that it stays.

    `only_for`: whose turns alone may see the operations; empty: all.
    """

    about: str
    operations: str
    only_for: str = ""

    @property
    def text(self) -> str:
        """All that stands beside the question, as the model reads it."""
        return "\n\n".join(filter(None, [self.about, self.operations]))


@dataclass(frozen=True)
class ToolCall:
    """One tool call as the transcript keeps it. `arguments` is JSON text of an object, whatever the model sent."""

    id: str
    name: str
    arguments: str
    key: str = ""  # the same for calls that mean the same, also where the arguments are not kept


@dataclass(frozen=True)
class AssistantMessage:
    """What the model said: words, calls, or both. `row` is the transcript row, 0 until stored.

    `only_for`: whose turns alone may see what is neither a call nor posted; empty: all. `opaque` is what the model's server added
    (opaque_members.py), for the rest of the turn and for the server and model `opaque_of` alone.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    row: int = 0
    only_for: str = ""
    opaque: str = ""
    opaque_of: str = ""


@dataclass(frozen=True)
class Result:
    """What became of call number `call` of the reply in row `reply`: JSON text for the model.

    `only_for`: whose turns alone may see it, and the call with it; empty: all.
    """

    reply: int
    call: int
    content: str
    only_for: str = ""


Item = ThreadContext | TurnNote | UserMessage | AssistantMessage | Result


@dataclass(frozen=True)
class Usage:
    """Tokens of one model call, as the server counted them."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0  # of the prompt, served from the server's cache
    reasoning: int = 0  # of the completion, thought and not shown

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))


def is_private(items: Iterable[Item]) -> bool:
    """Whether any of it is one person's alone. What a model writes with that in view may tell of it."""
    return any(isinstance(item, (AssistantMessage, Result)) and bool(item.only_for) for item in items)


def visible_to(items: Sequence[Item], asker: str) -> list[Item]:
    """What the turns of `asker` may see of a transcript: what is nobody's own, and what is theirs.

    A call goes with its result, also out of the middle of a reply. What was posted in the thread stays: questions, and replies
    without calls, but for answers that went to somebody alone.
    """
    hidden = {(one.reply, one.call) for one in items if isinstance(one, Result) and one.only_for not in ("", asker)}
    seen: list[Item] = []
    places: dict[tuple[int, int], int] = {}  # of the calls that are left, each in its reply
    for item in items:
        match item:
            case AssistantMessage() if item.calls:
                left = [i for i in range(len(item.calls)) if (item.row, i) not in hidden]
                places |= {(item.row, i): place for place, i in enumerate(left)}
                seen += _less(item, left, asker)
            case AssistantMessage() if item.only_for not in ("", asker):
                continue
            case Result():
                place = places.get((item.reply, item.call))
                seen += [replace(item, call=place)] if place is not None else []
            case TurnNote() if item.only_for not in ("", asker):
                seen.append(TurnNote(item.about, ""))
            case _:
                seen.append(item)
    return seen


def _less(reply: AssistantMessage, left: Sequence[int], asker: str) -> list[AssistantMessage]:
    """A reply of which only these calls are left. If that is less than all of it, whatever else is in it goes, too: the words
    beside calls were not posted, and they may tell of the calls."""
    if len(left) == len(reply.calls) and reply.only_for in ("", asker):
        return [reply]
    return [AssistantMessage("", tuple(reply.calls[i] for i in left), reply.row)] if left else []


def open_calls(items: Iterable[Item]) -> list[tuple[AssistantMessage, int]]:
    """The calls without a result, as (reply, position)."""
    items = list(items)
    closed = {(item.reply, item.call) for item in items if isinstance(item, Result)}
    return [
        (item, i)
        for item in items
        if isinstance(item, AssistantMessage)
        for i in range(len(item.calls))
        if (item.row, i) not in closed
    ]


def first_noted(items: Iterable[Item]) -> TurnNote | None:
    """What went with the thread's first question. It belongs to the system message, which so is the same in the whole thread."""
    return next((item for item in items if isinstance(item, TurnNote)), None)
