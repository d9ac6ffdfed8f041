"""A thread as the scripted model is asked about it: questions, calls and their results, read from the messages."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

TOOL = "call_rest_api"


@dataclass(frozen=True)
class Call:
    """One use of the tool; `body` is the JSON to send, if any."""

    method: str
    url: str
    body: Any = None


@dataclass(frozen=True)
class Result:
    """What came back for a call, as far as it can be understood."""

    status: int | None = None
    data: Any = None
    error: str = ""
    outcome: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the API did what was asked."""
        if self.error:
            return False
        if self.status is not None:
            return 200 <= self.status < 300
        return self.data is not None and self.outcome in ("", "done")

    @property
    def reason(self) -> str:
        """Why it did not work, in the words of the result."""
        said = self.error or ("" if self.ok else words_of(self.data))
        told = self.ok or self.status is None or str(self.status) in self.note
        status = "" if told else f"the API answered {self.status}"
        parts = [part.strip().rstrip(".") for part in (self.outcome, status, said, self.note)]
        return ". ".join(dict.fromkeys(part for part in parts if part)) or "nothing that I can read"


@dataclass(frozen=True)
class Step:
    """A call that was made, and what came of it."""

    call: Call
    result: Result


@dataclass(frozen=True)
class Turn:
    """One question, the calls made for it so far, and the answer if there was one."""

    question: str
    steps: tuple[Step, ...] = ()
    answer: str = ""


def turns_of(messages: list[dict[str, Any]]) -> list[Turn]:
    """The turns of a checked list of messages, oldest first; at least one."""
    turns = [Turn("")]
    calls: dict[str, Call] = {}
    for message in messages:
        match message["role"]:
            case "user":
                turns.append(Turn(own_words(text_of(message))))
            case "assistant":
                calls |= {
                    call["id"]: call_of(call["function"]["arguments"]) for call in message.get("tool_calls") or []
                }
                turns[-1] = replace(turns[-1], answer=text_of(message))
            case "tool":
                step = Step(calls[message["tool_call_id"]], result_of(text_of(message)))
                turns[-1] = replace(turns[-1], steps=(*turns[-1].steps, step))
    return turns


def own_words(text: str) -> str:
    """A person's words without the context that the bot puts before them: behind the border that the first line names."""
    border = re.match(r"From the bot: all up to the line (=== \w+ ===) ", text)
    return text.split(f"\n{border[1]}\n", 1)[-1] if border else text


def text_of(message: dict[str, Any]) -> str:
    """The words of a message, whichever form its content has."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def call_of(arguments: str) -> Call:
    """The call that these arguments describe; an empty one where they describe none."""
    try:
        value = json.loads(arguments)
        return Call(str(value["method"]).upper(), str(value["url"]), value.get("body"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return Call("", "")


def result_of(content: str) -> Result:
    """Reads a tool result leniently: the keys may lie at the top or further in; text that is no JSON is a note."""
    try:
        value = json.loads(content)
    except ValueError:
        return Result(note=content)
    if not isinstance(value, dict):
        return Result(data=value)
    status = re.match(r"\d{3}\b", str(found(value, "status")))
    return Result(
        status=int(status[0]) if status else None,
        data=found(value, "data"),
        error=words_of(found(value, "error")),
        outcome=words_of(found(value, "outcome")),
        note=words_of(found(value, "note")),
    )


def found(value: dict[str, Any], key: str) -> Any:
    """The value under `key`, here or in an object further in; never from within the API's own data."""
    if key in value:
        return value[key]
    inner = [part for name, part in value.items() if isinstance(part, dict) and name != "data"]
    return next((hit for part in inner if (hit := found(part, key)) is not None), None)


def words_of(value: Any) -> str:
    """The words in an error, a note or an error's data, on one line."""
    if isinstance(value, dict):
        value = value.get("error") or value.get("message") or json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return " ".join(str(value).split()) if value is not None else ""
