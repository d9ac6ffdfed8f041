"""What an API answered, as the model gets it: JSON text in which the API's data is a value of its own, cut to size, secrets masked.

The API is untrusted: its data is under `data` and JSON's own quoting keeps it there; whatever it says cannot end that value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from base.json_text import loads
from base.masking import beginning_at_end, mask
from base.retry import waiting_words
from base.shrink import as_json, shrink
from base.statuses import is_success, status_text
from base.utf8 import encodable
from catalog.secret_values import NOTHING, Hiding
from gate.media import decoded, media_type, read_text

_NO_JSON = "The answer says it is JSON, but is not (or is nested too deeply)."
_PLACE = 1_000  # characters of where a redirect leads
_DEPTH = 100  # levels of JSON that are looked into; deeper ones stay text


@dataclass(frozen=True)
class Answer:
    """An API's answer as it came: `broke_off` says why the body is not whole, where it is not. `headers` by lower-case name."""

    status: int
    content_type: str
    content: bytes
    broke_off: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    hiding: Hiding = NOTHING  # what the catalog hides of it
    identity: str = ""  # whose it was, where the request was made as a person: subject and issuer
    secrets: tuple[str, ...] = field(default=(), repr=False)  # what the request carried, in every spelling

    @property
    def is_success(self) -> bool:
        """Whether its status is one of 2xx."""
        return is_success(self.status)

    def header(self, name: str) -> str:
        """A header's text, empty where it is not there."""
        return self.headers.get(name.lower(), "")


@dataclass(frozen=True)
class ReadResult:
    """What a read gave: the call's result for the model, and the API's status where it answered."""

    text: str
    status: int | None = None
    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    identity: str = ""  # whose it was made with, as the answer has it


@dataclass(frozen=True)
class CallData:
    """What a call brought, ready to be shown: data without secrets, what has to be said about it, numbers that stand beside it.

    `part`: that it is known to be a part of what there is, and why, as a sentence; empty where that is not known.
    """

    status: int
    data: Any
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    part: str = ""


def found_of(answer: Answer, secrets: Sequence[str]) -> CallData:
    """An answer's data as people and the model may see it, and what has to be said about it."""
    data, odd = data_of(answer)
    if answer.broke_off and isinstance(data, str):
        data = data[: len(data) - beginning_at_end(data, secrets)]
    data, kept_back = shown_of(mask(data, secrets), answer.hiding, answer.content_type)
    to = mask(answer.header("location"), secrets)[:_PLACE] if 300 <= answer.status < 400 else ""
    data = ({"location": to} | ({} if data is None else {"body": data})) if to else data
    status = [] if answer.is_success else [f"The API answered {status_text(answer.status)}."]
    notes = [
        *status,
        waiting_words(answer.status, answer.header("retry-after")),
        *(mask(note, secrets) for note in odd),
        answer.broke_off,
        kept_back,
    ]
    shown = tuple(note for note in notes if note)
    return CallData(answer.status, data, shown, part=answer.broke_off)


def shown_of(data: Any, hiding: Hiding, content_type: str = "") -> tuple[Any, str]:
    """Data as people and the model may see it, and what to say where it is kept back: out of a text no field can be taken.

    Plain text, such as a log, may speak of a field; it is kept back where a value follows the name.
    """
    is_plain = media_type(content_type) == "text/plain" and data and str(data).lstrip()[:1] not in ("{", "[", "<")
    if isinstance(data, str) and hiding.names(data, as_key=bool(is_plain)):
        return None, "It is kept back: it is not JSON, and names fields that the catalog hides."
    return hiding.applied(data), ""


@dataclass(frozen=True)
class Shown:
    """What is shown of what was found: data that fits, and what was cut."""

    whole: CallData
    data: Any
    cuts: tuple[str, ...]

    @classmethod
    def of(cls, whole: CallData, limit: int) -> Shown:
        """`limit` is characters of data."""
        data, cuts = shrink(whole.data, limit)
        return cls(whole, data, tuple(cuts))

    def text(self, first: Mapping[str, Any], *more: str) -> str:
        """A call's result: `first`, then `{"status", "data", "note"}`; `more` ends the note."""
        cut = [f"Cut to fit: {'; '.join(self.cuts)}."] if self.cuts else []
        note = " ".join([*self.whole.notes, *cut, *more])
        result = {**first, "status": self.whole.status, **self.whole.counts, "data": self.data}
        return as_json(result | ({"note": note} if note else {}))


def error_text(words: str, secrets: Sequence[str] = (), data: Mapping[str, str] | None = None) -> str:
    """A call's result where there is no answer: a mistake of the model, a limit, a time-out. `data`: what the API had to say to it."""
    return as_json({"error": mask(words, secrets)} | ({"data": mask(dict(data), secrets)} if data else {}))


def outcome_text(outcome: str, words: str, to_do: str = "") -> str:
    """A call's result where a person or the gate decided: what happened, and apart from it what the model is to do.

    People may come to read the note, since models repeat it; `to_do` is for the model alone.
    """
    return as_json({"outcome": outcome, "note": words} | ({"to_do": to_do} if to_do else {}))


def data_of(answer: Answer) -> tuple[Any, list[str]]:
    """The answer's data (JSON where it is some, else text, None where it is neither) and what has to be said about it. What the request
    carried to say who asks is not in it."""
    data, notes = _data_of(answer)
    return (mask(data, answer.secrets), mask(notes, answer.secrets)) if answer.secrets else (data, notes)


def _data_of(answer: Answer) -> tuple[Any, list[str]]:
    if not answer.content:
        return None, []
    text = decoded(answer.content_type, answer.content, is_whole=not answer.broke_off)
    if text is None:
        return None, [f"The answer is {len(answer.content):,} bytes of {_kind(answer.content_type)}, no text."]
    if (read := read_text(answer.content_type, text, is_whole=not answer.broke_off)) is not None:
        data, notes = read
        try:
            return _clean(data, _DEPTH), notes
        except RecursionError:
            return text, [_NO_JSON]
    try:
        return _clean(loads(text, odd=str), _DEPTH), []
    except (ValueError, RecursionError):
        says_json = "json" in answer.content_type.lower() and not answer.broke_off
        return text, [_NO_JSON] if says_json else []


def _clean(value: Any, depth: int) -> Any:
    """JSON that every server and database takes: whole characters, finite numbers. Raises `RecursionError` beyond `depth` levels."""
    if depth == 0:
        raise RecursionError
    match value:
        case str():
            return encodable(value)
        case list():
            return [_clean(one, depth - 1) for one in value]
        case dict():
            return {_clean(key, depth - 1): _clean(one, depth - 1) for key, one in value.items()}
    return value


def _kind(content_type: str) -> str:
    """A media type as our own notes may say it."""
    found = re.match(r"[a-z]+/[a-z0-9.+-]{1,40}", content_type.lower())
    return found[0] if found else "an unnamed type"
