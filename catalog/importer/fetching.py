"""Door to API descriptions, for the command line alone: fetches a description with the files that it names, hands back a catalog's text.

What a description means is no matter of this room (openapi.py), nor what the catalog keeps of a person's hand (merge.py).
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2

from base.settings import Misconfigured
from base.unpack import BadPacking, TooLarge, unpacked
from catalog.documents import MAX_TEXT, BadDocument, read_text
from catalog.importer.import_words import head, hints, mistakes, news, remarks, summary
from catalog.importer.merge import Upstream, marks_text, merge
from catalog.importer.openapi import Choice, Imported, read_api
from catalog.references import Documents, Node, Notes, outside, printable
from catalog.yaml_text import api_text, switched

_FETCH_SECONDS = 60.0  # for a whole document
_WANTED = {"Accept": "application/json, */*", "Accept-Encoding": "gzip, deflate"}
_FILES = 300  # that a description may name


@dataclass(frozen=True)
class Order:
    """What to import: `source` is a file or an http(s) URL; `name` and `base_url` set what the description says otherwise."""

    source: str
    choice: Choice = field(default_factory=Choice)
    name: str = ""
    base_url: str = ""
    writes: bool = False  # arrive switched on

    @property
    def again(self) -> str:
        """The command that imports again into what this one made. New writes arrive switched off then, whatever was said now."""
        parts = ["python bot.py import", shlex.quote(_shown(self.source)), "--into apis.yaml"]
        values = [("--name", self.name), ("--base-url", self.base_url)]
        values += [("--only", one) for one in self.choice.only] + [("--tag", one) for one in self.choice.tags]
        parts += [f"{option} {shlex.quote(printable(value, 300))}" for option, value in values if value]
        return " ".join([*parts, *(["--read-only"] if self.choice.read_only else [])])


@dataclass(frozen=True)
class Outcome:
    """The catalog's text, and what to tell the person who asked for it."""

    text: str
    report: tuple[str, ...]


def make(order: Order, into: str | None = None) -> Outcome:
    """A catalog of its own, written to the new file `into` where one is named. Raises `Misconfigured`."""
    api = _read(order)
    text = api_text(
        api.name,
        api.base_url,
        {"auth": api.credentials.auth, "headers": api.credentials.headers},
        [(group, switched(entry, writes=order.writes)) for group, entry in api.endpoints],
        header=head(api, _shown(order.source), order.again, writes=order.writes),
        hints=hints(api),
    )
    text += "\n" + marks_text(entry for _, entry in api.endpoints)
    if into:
        _write(Path(into), text)
    return Outcome(text, (*remarks(api), *summary(api, writes=order.writes), *mistakes(text)))


def renew(order: Order, into: str) -> Outcome:
    """Imports into the catalog in the file `into`, and writes it. Raises `Misconfigured`."""
    path = Path(into).resolve()
    before = _file(path, into)
    api = _read(order)
    upstream = Upstream(api.name, api.base_url, [entry for _, entry in api.endpoints], api.shapes)
    text, changes = merge(before, upstream, source=into, writes=order.writes)
    if text != before:
        _write(path, text)
    return Outcome(text, (*remarks(api), *news(changes, into, same=text == before), *mistakes(text)))


def _write(path: Path, text: str) -> None:
    """Replaces a file as a whole, or not at all. Raises `Misconfigured`."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(text.encode())
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path)
    except OSError as error:
        raise Misconfigured(f"Cannot write {path}: {error.strerror}.") from None


def _read(order: Order) -> Imported:
    documents = _documents(order.source)
    url = _bare(order.source) if _is_url(order.source) else ""  # relative addresses are told, and written down
    try:
        return read_api(documents, order.choice, source=url, name=order.name, base_url=order.base_url)
    except BadDocument as error:
        raise BadDocument(f"{_shown(order.source)}: {error}") from None


# --- fetching ---------------------------------------------------------------------------------------------------------


def _is_url(source: str) -> bool:
    return re.match(r"https?://", source, re.IGNORECASE) is not None


def _shown(source: str) -> str:
    """A source as it may be shown and written down."""
    return printable(_bare(source) if _is_url(source) else source, 300)


def _bare(url: str) -> str:
    """A URL without a user, a password, or a query that may hold a key."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _documents(source: str) -> Documents:
    """The description and the files that it names. Raises `Misconfigured`."""
    text = _fetched(source) if _is_url(source) else _file(Path(source), source)
    root, twice = read_text(text, _shown(source))
    others: dict[str, Any] = {}
    notes = Notes()
    for line in twice:
        notes.add(Node(root), line)
    waiting = sorted(outside(root, ""))
    while waiting:
        name = waiting.pop(0)
        if name in others or len(others) >= _FILES:
            continue
        others[name] = None
        if _is_url(source) or _is_url(name):
            notes.add(
                Node(None, (), name),
                "other documents are read from files alone; bundle the description into one, or import it as files",
            )
            continue
        try:
            others[name], _ = read_text(_beside(Path(source), name), name)
        except Misconfigured as error:
            notes.add(Node(None, (), name), str(error))
        waiting += sorted(outside(others[name], name))
    return Documents(root, others, notes)


def _beside(root: Path, name: str) -> str:
    """The text of a file that a description names. Only what lies below its folder, or the current one, is read: a description from
    elsewhere must not choose among all files of this machine."""
    path = (root.parent / name).resolve()
    if not any(path.is_relative_to(folder) for folder in (root.parent.resolve(), Path.cwd())):
        raise Misconfigured(
            "it lies outside of the description's folder; start the import in the folder that holds both"
        )
    return _file(path, name)


def _file(path: Path, name: str) -> str:
    try:
        if path.stat().st_size > 4 * MAX_TEXT:
            raise Misconfigured(f"{printable(name, 300)} is too large.")
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise Misconfigured(f"Cannot read {printable(name, 300)}: {reason}.") from None


def _fetched(url: str) -> str:
    """The text at an http(s) URL. Raises `Misconfigured`."""
    shown, until = _shown(url), time.monotonic() + _FETCH_SECONDS
    content = bytearray()
    try:
        with httpx2.stream("GET", url, follow_redirects=True, timeout=20, headers=_WANTED) as answer:
            if answer.status_code != 200:
                raise Misconfigured(
                    f"{shown} answered {answer.status_code}; give the address of the description itself."
                )
            for piece in unpacked(_timely(answer, until), answer.headers.get("content-encoding", ""), MAX_TEXT):
                content += piece
        return content.decode("utf-8-sig")
    except TooLarge:
        raise Misconfigured(f"{shown} is too large or too slow; save it to a file and import that.") from None
    except BadPacking:
        raise Misconfigured(
            f"{shown} came packed in a way that cannot be undone; save it to a file and import that."
        ) from None
    except UnicodeError:
        raise Misconfigured(f"{shown} is no UTF-8 text.") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise Misconfigured(f"{shown} could not be read ({type(error).__name__}).") from None


def _timely(answer: httpx2.Response, until: float) -> Iterator[bytes]:
    """A body as it comes, until a moment (monotonic seconds). Raises `TooLarge`."""
    for piece in answer.iter_raw():
        if time.monotonic() > until:
            raise TooLarge(MAX_TEXT)
        yield piece
