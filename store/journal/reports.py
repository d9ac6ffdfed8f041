"""The journal for people's eyes and for other programs: lists, exports, and the errors that repeat. Lines in, text out."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from base.statuses import status_text
from store.journal.hash_chain import ChainedEntry

_NO_YEAR = 253_402_300_800.0  # seconds since 1970 at which the year 10,000 begins
_FIELDS = ("number", "at", "thread", "turn", "kind", "data", "hash")


def moment(at: float) -> str:
    """A moment as ISO 8601 in UTC, to the millisecond; as it stands where somebody put something else in its place."""
    if not isinstance(at, (int, float)) or not 0 <= at < _NO_YEAR:
        return str(at)
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def data_of(line: ChainedEntry) -> dict[str, Any]:
    """A line's data as a mapping; of one that somebody has broken, a note that says so."""
    try:
        value = json.loads(line.data)
    except (TypeError, ValueError, RecursionError):
        return {"note": "this entry was altered; --verify names the first such entry"}
    return value if isinstance(value, dict) else {}


def person_of(line: ChainedEntry) -> str:
    """Who did it: the approver, clicker or asker that the entry names."""
    data = data_of(line)
    return next((str(data[key]) for key in ("by", "user", "asker") if data.get(key)), "")


def summary(line: ChainedEntry) -> str:
    """What an entry says, in one line."""
    data = data_of(line)
    keys = (
        "operation",
        "call",
        "url",
        "model",
        "status",
        "state",
        "reason",
        "note",
        "fingerprint",
        "outcome",
        "reference",
        "questions",
        "replaced",
    )
    shown = {key: str(data[key])[:12] if key == "fingerprint" else data[key] for key in keys if data.get(key)}
    if "prompt_tokens" in data:
        shown["tokens"] = f"{data['prompt_tokens']}+{data['completion_tokens']}"
        inner = {"from cache": data.get("cached_tokens"), "reasoning": data.get("reasoning_tokens")}
        shown |= {name: count for name, count in inner.items() if count}
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def export(lines: Iterable[ChainedEntry], form: Literal["jsonl", "csv"]) -> Iterator[str]:
    """The lines as JSON Lines, or as CSV with a heading; each with everything that its hash covers."""
    if form == "jsonl":
        for line in lines:
            yield json.dumps(
                {**vars(line), "at": moment(line.at), "at_seconds": line.at, "data": data_of(line)},
                ensure_ascii=False,
                default=str,  # what somebody put there by hand may be of any type
            )
        return
    yield _csv_row((*_FIELDS[:2], "at_seconds", *_FIELDS[2:]))
    for line in lines:
        yield _csv_row(
            (line.number, moment(line.at), repr(line.at), line.thread, line.turn, line.kind, line.data, line.hash)
        )


def _csv_row(values: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([_no_formula(value) for value in values])
    return text.getvalue()


def _no_formula(value: object) -> object:
    """Spreadsheets run cells that begin so: https://owasp.org/www-community/attacks/CSV_Injection."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


@dataclass
class Repeated:
    """A kind of error: how often it came, and the newest example with the turn that led there."""

    operation: str
    reason: str
    count: int
    at: float
    example: str
    turn: str


def repeated(lines: Iterable[ChainedEntry], since: float = 0.0) -> list[Repeated]:
    """Bad calls and API errors since a moment by operation and reason, the most frequent first."""
    groups: dict[tuple[str, str], Repeated] = {}
    for line in lines:
        found = _error(line) if isinstance(line.at, (int, float)) and line.at >= since else None
        if found is None:
            continue
        operation, reason, example = found
        group = groups.setdefault((operation, _alike(reason)), Repeated(operation, reason, 0, 0.0, "", ""))
        group.count += 1
        if line.at >= group.at:
            group.reason, group.at, group.example, group.turn = reason, line.at, example, line.turn
    return sorted(groups.values(), key=lambda group: (-group.count, -group.at))


_COUNTED = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")


def totals(lines: Iterable[ChainedEntry], since: float = 0.0) -> dict[str, int]:
    """The model calls since a moment (`calls`) and their tokens, by the names that the journal has them under."""
    sums = dict.fromkeys(("calls", *_COUNTED), 0)
    for line in lines:
        if line.kind == "model call" and isinstance(line.at, (int, float)) and line.at >= since:
            data = data_of(line)
            sums["calls"] += 1
            for name in _COUNTED:
                count = data.get(name)
                sums[name] += count if isinstance(count, int) else 0
    return sums


def totals_told(sums: Mapping[str, int]) -> str:
    """The same in one line."""
    asked = f"{sums['prompt_tokens']:,} prompt tokens ({sums['cached_tokens']:,} of them from the server's cache)"
    said = f"{sums['completion_tokens']:,} completion tokens ({sums['reasoning_tokens']:,} of them for reasoning)"
    return f"Model calls: {sums['calls']:,}, {asked}, {said}."


def _error(line: ChainedEntry) -> tuple[str, str, str] | None:
    """(operation, reason, example) of an entry that tells of an error, else None."""
    data = data_of(line)
    if line.kind == "bad call":
        return _alike(str(data.get("call"))), str(data.get("reason")), str(data.get("call"))
    if line.kind not in ("read", "look", "fail", "lose"):
        return None
    status, problem = data.get("status"), data.get("problem") or data.get("note")
    if isinstance(status, int) and 200 <= status < 400:
        return None
    reason = f"the API answered {status_text(status)}" if isinstance(status, int) else str(problem or "no answer")
    return str(data.get("operation")), reason, f"{data.get('operation')} at {data.get('url')}"


def _alike(text: str) -> str:
    """The same text for errors that differ in values only."""
    return re.sub(r"\d+", "#", re.sub(r"'[^']*'", "'...'", text))


def error_rows(groups: Iterable[Repeated], words_of: Callable[[str], str | None]) -> Iterator[tuple[str, ...]]:
    """Table rows of repeated errors: count, operation, reason, newest example, the question behind it."""
    for group in groups:
        question = words_of(group.turn) or "(no longer kept)"
        yield str(group.count), group.operation, group.reason, f"{moment(group.at)} {group.example}", question[:200]
