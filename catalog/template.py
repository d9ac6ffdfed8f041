"""URL templates of the catalog: `/api/users/[user_id]?page=[page_id]` against the path and query that a model gave.

Only what a template spells out, or a placeholder stands for, can match; values come out decoded and go back in percent-encoded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, unquote, unquote_to_bytes

from catalog.spelling import caseless, loosely_read

PLACEHOLDER = re.compile(r"\[([A-Za-z_][\w-]*)\]|\{([A-Za-z_][\w-]*)\}", re.ASCII)
MAX_VALUE = 1_024  # characters of one path value or header; longer ones are refused by common servers anyway
_MAX_QUERY_VALUE = 4_096  # of one query value: cursors may be long
Value = str | tuple[str, ...]  # of a placeholder, decoded; a tuple is a list in the query
Spelling = tuple[
    str, bool
]  # (style, explode) of a list in the query: https://spec.openapis.org/oas/v3.1.1.html#style-values
# Placeholders as others write them: :id, <id>, <int:id>, {{id}}. Within a segment ':' is a letter like others: /files:search.
_FOREIGN = re.compile(r"^:([A-Za-z_]\w*)(?=$|[.-])|<(?:\w+:)?([A-Za-z_]\w*)>|\{\{\s*([A-Za-z_]\w*)\s*\}\}", re.ASCII)
_DELIMITERS = {"form": (",", ","), "spaceDelimited": (" ", "%20"), "pipeDelimited": ("|", "%7C")}  # as itself, in a URL
# What a plus sign can only be: the offset of a time or date (RFC 3339, ISO 8601), part of an e-mail address, the beginning of a telephone
# number (E.164). Elsewhere it may be a blank.
_COLON = "(?::|%3A)"
_CLOCK = rf"\d\d{_COLON}\d\d(?:{_COLON}\d\d(?:[.,]\d+)?)?"
_OFFSET = re.compile(
    rf"({_CLOCK}|T\d{{4,6}}(?:[.,]\d+)?|\d{{4}}-\d\d-\d\d)\+((?:0\d|1[0-4]){_COLON}?[0-5]\d)(?!\d)"
    rf"|(T{_CLOCK})\+(0\d|1[0-4])(?![\d:%])",
    re.IGNORECASE | re.ASCII,
)
_PLUS = re.compile(r"[^\s@+]+(?:\+[^\s@+]+)+(?:@|%40)[^\s@+]+|\+[1-9][0-9().-]{6,20}", re.IGNORECASE | re.ASCII)
_OVERLONG = re.compile(
    r"%c[01]|%e0%[89]|%f0%8", re.IGNORECASE
)  # ASCII in more bytes than UTF-8 has for it, to a lenient server
_LEVELS = 5  # of escapes within escapes that are looked into
_LITERAL_SAFE = "!$&'()*+,;=:@"  # RFC 3986 pchar without '%' and unreserved


class BadTemplate(ValueError):
    """The catalog's author wrote a URL that cannot be one. Its text says what to write."""


class BadValue(ValueError):
    """A path or query value that must not leave. Its text is for the model."""


@dataclass(frozen=True)
class Piece:
    """One path segment or one query value: literal text and placeholders in the order written."""

    parts: tuple[tuple[str, bool], ...]  # (text or placeholder name, is it a placeholder)

    @property
    def names(self) -> tuple[str, ...]:
        """The placeholders in it, from left to right."""
        return tuple(text for text, open_ in self.parts if open_)

    @property
    def literal(self) -> str | None:
        """The text of a piece without placeholders; None where there is one."""
        return None if self.names else "".join(text for text, _ in self.parts)

    @property
    def is_whole(self) -> bool:
        """Whether one placeholder is all that stands here."""
        return len(self.parts) == 1 and self.parts[0][1]

    @property
    def shape(self) -> tuple[str | None, ...]:
        """Its parts in order: texts, and None where a placeholder of whatever name stands."""
        return tuple(None if open_ else text for text, open_ in self.parts)

    @cached_property
    def _literals(self) -> tuple[str, ...]:
        """The text before the first placeholder, between each two, and after the last; an empty one where there is none."""
        texts = [""]
        for text, open_ in self.parts:
            if open_:
                texts.append("")
            else:
                texts[-1] += text
        return tuple(texts)

    def match(self, text: str) -> dict[str, str] | None:
        """The placeholders' values in a decoded `text`, or None where it does not fit. Of several ways each takes all that it can."""
        found = _parted(text, self._literals)
        return dict(zip(self.names, found, strict=True)) if found is not None else None

    def could_be(self, text: str) -> bool:
        """Whether a server that does not tell capitals from small letters may take `text` for this piece."""
        return _parted(caseless(text), [caseless(one) for one in self._literals]) is not None

    def fill(self, values: Mapping[str, Value], literal_safe: str = _LITERAL_SAFE) -> str:
        """The piece percent-encoded with `values`."""
        return "".join(
            quote(_one(values[text]), safe="") if open_ else quote(text, safe=literal_safe)
            for text, open_ in self.parts
        )


@dataclass(frozen=True)
class Template:
    """A parsed URL template: path segments, and query names with what each may be."""

    path: tuple[Piece, ...]
    query: tuple[tuple[str, Piece], ...]

    @property
    def names(self) -> frozenset[str]:
        """Every placeholder of path and query."""
        return frozenset(name for piece in (*self.path, *(value for _, value in self.query)) for name in piece.names)

    @property
    def path_names(self) -> frozenset[str]:
        """The placeholders of the path, which every call fills in."""
        return frozenset(name for piece in self.path for name in piece.names)

    @property
    def literals(self) -> int:
        """How many segments are spelled out; of two templates that match, the one with more is meant."""
        return sum(piece.literal is not None for piece in self.path)

    def match_path(self, segments: list[str]) -> dict[str, str] | None:
        """The placeholders' values in decoded path segments, or None where the path is another one."""
        if len(segments) != len(self.path):
            return None
        values: dict[str, str] = {}
        for piece, segment in zip(self.path, segments, strict=True):
            found = piece.match(segment)
            if found is None:
                return None
            values |= found
        return values

    def could_be(self, segments: list[str]) -> bool:
        """Whether some server may take these path segments for this template."""
        tight = [one for one in segments if one]  # nginx takes two slashes for one
        return any(
            len(given) == len(self.path)
            and all(
                piece.could_be(one) or piece.could_be(loosely_read(one))
                for piece, one in zip(self.path, given, strict=True)
            )
            for given in (segments, tight)
        )

    def fill(self, values: Mapping[str, Value], spellings: Mapping[str, Spelling] | None = None) -> str:
        """Path and query with `values` in place, encoded. Query parts whose placeholder has no value are left out.

        `spellings` are those of the placeholders that stand for lists.
        """
        path = "/" + "/".join(piece.fill(values) for piece in self.path)
        pairs: list[str] = []
        for name, piece in self.query:
            items = values.get(piece.names[0]) if piece.is_whole else None
            if isinstance(items, tuple):
                texts = join_list(items, (spellings or {})[piece.names[0]])
            else:
                texts = [piece.fill(values, "")] if all(one in values for one in piece.names) else []
            pairs += [f"{quote(name, safe='')}={text}" for text in texts]
        return path + ("?" + "&".join(pairs) if pairs else "")


def _parted(text: str, literals: Sequence[str]) -> list[str] | None:
    """What stands between the literals, a character at least each; None where they are not all there, in their order.

    From the end, each literal is taken where it stands last. That leaves the most for whatever is before it, so there is nothing
    to try again, and the time grows with the text alone.
    """
    first, *rest = literals
    if not rest:
        return [] if text == first else None
    if not text.startswith(first) or not text.endswith(rest[-1]):
        return None
    end = len(text) - len(rest[-1])
    found: list[str] = []
    for literal in reversed(rest[:-1]):
        at = text.rfind(literal, len(first) + 1, max(end - 1, 0))
        if at < 0:
            return None
        found.append(text[at + len(literal) : end])
        end = at
    return [text[len(first) : end], *reversed(found)] if end > len(first) else None


def _one(value: Value) -> str:
    assert isinstance(value, str), "a list stands for a whole query value alone; the catalog's check sees to it"
    return value


def with_plus(raw: str) -> str:
    """A raw query value whose plus sign can only be one, with that encoded: many servers read it as a blank. Any other as it is."""
    if "+" not in raw:
        return raw
    raw = _OFFSET.sub(lambda found: "%2B".join(one for one in found.groups() if one is not None), raw)
    return raw.replace("+", "%2B") if _PLUS.fullmatch(raw) else raw


def split_list(raw: str, spelling: Spelling) -> list[str]:
    """The items of one raw (still encoded) query value. A bare comma always parts items, whichever way the API wants them."""
    style, exploded = spelling
    mark = _DELIMITERS[style][0]
    marks = {","} | (set() if exploded else {mark, quote(mark, safe="")})
    return re.split("|".join(re.escape(one) for one in sorted(marks)), raw, flags=re.IGNORECASE)


def join_list(items: tuple[str, ...], spelling: Spelling) -> list[str]:
    """A list's encoded query values: one for all items, or one each where it is exploded."""
    style, exploded = spelling
    encoded = [quote(item, safe="") for item in items]
    return encoded if exploded else [_DELIMITERS[style][1].join(encoded)]


def parting(items: tuple[str, ...], spelling: Spelling) -> str | None:
    """The character in an item that would make two of it for the API; None where there is none."""
    style, exploded = spelling
    mark = _DELIMITERS[style][0]
    return mark if not exploded and any(mark in item for item in items) else None


def paired(path: Sequence[Piece], other: Sequence[Piece]) -> dict[str, str] | None:
    """The placeholders of a path beside those at the same places of another, which begins like it; None where it does not."""
    if not path or len(path) > len(other):
        return None
    pairs: dict[str, str] = {}
    for one, its in zip(path, other, strict=False):
        if one.shape != its.shape:
            return None
        pairs |= dict(zip(one.names, its.names, strict=True))
    return pairs


def parse_template(url: str) -> Template:
    """The template of a catalog entry's `url`. Raises `BadTemplate`."""
    if not url.startswith("/") or url.startswith("//"):
        raise BadTemplate("a url starts with one '/' and goes on from base_url, for example /api/users/[user_id]")
    if "#" in url or "\\" in url or any(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in url):
        raise BadTemplate("a url may not contain '#', a backslash, a space or a control character")
    if "${" in url:
        raise BadTemplate("variables are read in base_url, auth, tls and headers only; write the url in full")
    path, _, query = url.partition("?")
    if any(PLACEHOLDER.search(pair.partition("=")[0]) for pair in query.split("&")):  # %5B in a name is a mere bracket
        raise BadTemplate("a query part is name=[placeholder], for example ?page=[page_id]")
    segments = tuple(_piece(segment) for segment in path[1:].split("/"))
    if any(segment.literal in (".", "..") for segment in segments):
        raise BadTemplate("a url may not contain a '.' or '..' segment; write the path in full")
    if any(segment.literal == "" for segment in segments[:-1]):
        raise BadTemplate("a url may not contain an empty segment ('//')")
    _check_literals(segments)
    pairs = tuple(
        (_decode(name), _piece(value)) for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)
    )
    template = Template(segments, pairs)
    _check_names(template)
    return template


def _check_literals(segments: tuple[Piece, ...]) -> None:
    """What a template spells out has to be what `decode_value` lets through, or nothing could ever be called."""
    for piece in segments:
        whole = piece.literal is not None
        for text in [piece.literal or ""] if whole else [text for text, open_ in piece.parts if not open_]:
            try:
                decode_value(quote(text, safe=""), where=f"'{text}'", in_path=whole, slash=True)
            except BadValue as error:
                raise BadTemplate(str(error)) from None
            if "\\" in text:
                raise BadTemplate(f"'{text}' contains an encoded backslash, which no call could match")


def _check_names(template: Template) -> None:
    query_names = [name for name, _ in template.query]
    if any(not name for name in query_names):
        raise BadTemplate("a query part is name=[placeholder], for example ?page=[page_id]")
    placeholders = [n for piece in (*template.path, *(p for _, p in template.query)) for n in piece.names]
    for kind, names in (("query name", query_names), ("placeholder", placeholders)):
        for name in names:
            if names.count(name) > 1:
                raise BadTemplate(f"duplicate {kind} '{name}'; give each its own name")


def _piece(text: str) -> Piece:
    if found := _FOREIGN.search(text):
        raise BadTemplate(f"'{found[0]}' does not mark a placeholder here; write [{found[1] or found[2] or found[3]}]")
    parts: list[tuple[str, bool]] = []
    at = 0
    for found in PLACEHOLDER.finditer(text):
        parts += [(_decode(text[at : found.start()]), False), (found[1] or found[2], True)]
        at = found.end()
    parts.append((_decode(text[at:]), False))
    if any(not open_ and re.search(r"[\[\]{}]", part) for part, open_ in parts):
        raise BadTemplate(
            f"'{text}' has a bracket that does not mark a placeholder; write [name] with letters, digits, '_' and '-'"
        )
    return Piece(tuple((part, open_) for part, open_ in parts if part or open_))


def _decode(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise BadTemplate(f"'{text}' has a '%' that does not start an escape; write a literal percent sign as %25")
    return unquote_to_bytes(text).decode("utf-8", "strict")


def decode_value(raw: str, *, where: str, in_path: bool, slash: bool = False) -> str:
    """One raw path segment or query value of the model, decoded once and checked.

    Refused with `BadValue`: broken escapes, bytes that are no UTF-8, control characters, and in a path everything that some server
    reads as a separator or a dot segment, also after Unicode normalisation, and what would be one to a server that decodes twice.
    `slash`: the segment may hold encoded slashes, though none that part dot segments.
    """
    if re.search(r"%(?![0-9A-Fa-f]{2})", raw):
        raise BadValue(f"{where} has a '%' that does not start an escape; write a literal percent sign as %25")
    try:
        value = unquote_to_bytes(raw).decode("utf-8", "strict")
    except UnicodeError:
        raise BadValue(f"{where} is not UTF-8") from None
    most = MAX_VALUE if in_path else _MAX_QUERY_VALUE
    if len(value) > most:
        raise BadValue(f"{where} is longer than {most:,} characters")
    if _has_control(value):
        raise BadValue(f"{where} contains a control character")
    if in_path:
        if _hides(value):
            raise BadValue(
                f"{where} still contains an escaped dot, slash or control character after decoding; encode it once"
            )
        _check_segment(value, where, slash=slash)
    return value


def _has_control(text: str) -> bool:
    return any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text)


def _hides(value: str) -> bool:
    """Whether a server that decodes once more, or several times, would see a separator, a dot or a control character."""
    if re.search(r"%u[0-9A-Fa-f]{4}", value):  # as IIS has them
        return True
    for _ in range(_LEVELS):
        escapes = re.findall(r"(?:%[0-9A-Fa-f]{2})+", value)
        inner = [unicodedata.normalize("NFKC", unquote(one)) for one in escapes]
        if any(_has_control(one) or not set(one).isdisjoint("./\\") for one in inner):
            return True
        if any(_OVERLONG.search(one) for one in escapes):
            return True
        if not escapes:
            return False
        value = unquote(value)
    return True


def _check_segment(value: str, where: str, *, slash: bool) -> None:
    plain = unicodedata.normalize("NFKC", value)
    if "\\" in plain or plain.count("/") > (value.count("/") if slash else 0):
        raise BadValue(f"{where} contains a slash; a path value is one segment")
    for form in (part for text in (value, plain) for part in text.split("/")):
        # servers such as Tomcat drop ';...' from a segment before they look for dots
        if form.split(";", 1)[0].strip() in (".", "..") or form.strip() in (".", ".."):
            raise BadValue(f"{where} is a dot segment; write the path in full")
