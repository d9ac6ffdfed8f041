"""Door to API descriptions, for the command line alone: fetches a description with the files that it names, hands back a catalog's text.

What a description means is not this room's concern (openapi.py), nor what the catalog keeps of a person's hand (merge.py).
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2

from base.settings import Misconfigured
from base.unpack import BadPacking, TooLarge, unpacked
from catalog.documents import MAX_TEXT, BadDocument, read_text
from catalog.importer.import_words import head, hints, losses, mistakes, news, remarks, summary
from catalog.importer.merge import Upstream, marks_text, merge
from catalog.importer.openapi import Choice, Imported, read_api
from catalog.references import Documents, Node, Notes, printable
from catalog.values import HEADER_NAME
from catalog.yaml_text import api_text, switched

Headers = tuple[tuple[str, str], ...]  # (name, value)
_REDIRECTS = 10
_FETCH_SECONDS = 60.0  # for a whole document
_WANTED = {"Accept": "application/json, */*", "Accept-Encoding": "gzip, deflate"}
_FILES = 5_000  # that a description may name; DigitalOcean's names 2,600


@dataclass(frozen=True)
class Order:
    """What to import: `source` is a file or an http(s) URL; `name` and `base_url` set what the description says otherwise."""

    source: str
    choice: Choice = field(default_factory=Choice)
    name: str = ""
    base_url: str = ""
    writes: bool = False  # arrive switched on
    headers: tuple[tuple[str, str], ...] = field(
        default=(), repr=False
    )  # (name, value), that go with the request for a URL

    @property
    def again(self) -> str:
        """The command that imports again into what this one made. New writes arrive switched off then, whatever was said now."""
        parts = ["python bot.py import", shlex.quote(_shown(self.source)), "--into apis.yaml"]
        values = [("--name", self.name), ("--base-url", self.base_url)]
        values += [("--only", one) for one in self.choice.only] + [("--tag", one) for one in self.choice.tags]
        parts += [f"{option} {shlex.quote(printable(value, 300))}" for option, value in values if value]
        parts += ["--header ..."] if self.headers else []  # which may hold a key, and is not written down
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
    return Outcome(text, (*losses(api), *remarks(api), *summary(api, writes=order.writes), *mistakes(text)))


def renew(order: Order, into: str) -> Outcome:
    """Imports into the catalog in the file `into`, and writes it. Raises `Misconfigured`."""
    path = Path(into).resolve()
    before = _file(path, into)
    api = _read(order)
    upstream = Upstream(api.name, api.base_url, [entry for _, entry in api.endpoints], api.shapes)
    text, changes = merge(before, upstream, source=into, writes=order.writes)
    if text != before:
        _write(path, text)
    return Outcome(
        text, (*losses(api), *remarks(api, changes.allowed), *news(changes, into, same=text == before), *mistakes(text))
    )


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
    documents = _documents(order.source, order.headers)
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


def header(text: str) -> tuple[str, str]:
    """(name, value) of a header as the command line has it. Raises `Misconfigured`, which repeats nothing of it: it may be a key."""
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon or not re.fullmatch(HEADER_NAME, name) or not value or not re.fullmatch(r"[\x20-\x7e]+", value):
        raise Misconfigured(
            "--header takes a header's name and value, for example 'Authorization: Bearer ...' (in quotes)."
        )
    return name, value


def _documents(source: str, headers: Headers = ()) -> Documents:
    """The description; the files that it names are read as they are needed. Raises `Misconfigured`."""
    if headers and not _is_url(source):
        raise Misconfigured(f"--header goes with a URL, and {printable(source, 300)} is a file; leave it out.")
    text = _fetched(source, headers) if _is_url(source) else _file(Path(source), source)
    root, twice = read_text(text, _shown(source))
    notes = Notes()
    for line in twice:
        notes.add(Node(root), line)
    return Documents(root, _Files(source, notes).read, notes)


class _Files:
    """The documents that a description names, beside its own."""

    def __init__(self, source: str, notes: Notes) -> None:
        self._source = source
        self._notes = notes
        self._files, self._room = 0, MAX_TEXT  # how many were read, and the characters that may still be

    def read(self, name: str) -> Any:
        """The document of this name; None, and a note, where it cannot be had."""
        try:
            return self._read(name)
        except Misconfigured as error:
            self._notes.add(Node(None, (), name), str(error), lost="documents")
            return None

    def _read(self, name: str) -> Any:
        if _is_url(self._source) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", name):
            raise Misconfigured(
                "it refers to another document, which works only for files; bundle the description into one file, or import it from files"
            )
        text = _beside(Path(self._source), name)
        self._files += 1
        self._room -= len(text)
        if self._files > _FILES or self._room < 0:
            raise Misconfigured(
                f"at most {_FILES:,} files of {MAX_TEXT:,} characters in all are read; bundle the description into one"
            )
        return read_text(text, name)[0]


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
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise Misconfigured(f"Cannot read {printable(name, 300)}: {reason}.") from None


def _fetched(url: str, headers: Headers = ()) -> str:
    """The text at an http(s) URL. Raises `Misconfigured`."""
    shown, until = _shown(url), time.monotonic() + _FETCH_SECONDS
    content = bytearray()
    try:
        with httpx2.Client(timeout=20) as client, _found(client, url, headers) as answer:
            if answer.status_code != 200:
                raise Misconfigured(f"{shown} answered {answer.status_code}; {_instead(answer.status_code, headers)}")
            for piece in unpacked(_timely(answer, until), answer.headers.get("content-encoding", ""), MAX_TEXT):
                content += piece
        return content.decode("utf-8-sig")
    except TooLarge:
        raise Misconfigured(f"{shown} is too large or too slow; save it to a file and import that.") from None
    except BadPacking:
        raise Misconfigured(
            f"{shown} is compressed in a way that cannot be read; save it to a file and import that."
        ) from None
    except UnicodeError:
        raise Misconfigured(f"{shown} is not UTF-8 text.") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise Misconfigured(f"{shown} could not be read ({type(error).__name__}).") from None


def _instead(status: int, headers: Headers) -> str:
    if status not in (401, 403):
        return "give the address of the description itself."
    if headers:
        return "is the key in --header right? It is sent only to the URL's own host, not to where that redirects."
    return "if it wants a key, give it with --header 'Name: value'."


@contextmanager
def _found(client: httpx2.Client, url: str, headers: Headers) -> Iterator[httpx2.Response]:
    """The answer behind all redirects. Where these lead to another host, or away from HTTPS, `headers` stay behind: they may hold a key."""
    given = httpx2.Headers([*_WANTED.items()])
    given.update(dict(headers))
    request = client.build_request("GET", url, headers=given)
    home = request.url
    for _ in range(_REDIRECTS):
        answer = client.send(request, stream=True)
        try:
            if answer.next_request is None:
                yield answer
                return
        finally:
            answer.close()
        request = answer.next_request
        if not _is_home(request.url, home):
            for name, _value in headers:
                request.headers.pop(name, None)
    raise httpx2.TooManyRedirects("too many redirects", request=request)


def _is_home(url: httpx2.URL, home: httpx2.URL) -> bool:
    """Whether a URL is on the server of `home`, by the same or a safer way."""
    same = (url.scheme, url.host, url.port) == (home.scheme, home.host, home.port)
    safer = (home.scheme, home.port, url.scheme, url.port) == ("http", None, "https", None) and url.host == home.host
    return same or safer


def _timely(answer: httpx2.Response, until: float) -> Iterator[bytes]:
    """A body as it comes, until a moment (monotonic seconds). Raises `TooLarge`."""
    for piece in answer.iter_raw():
        if time.monotonic() > until:
            raise TooLarge(MAX_TEXT)
        yield piece
