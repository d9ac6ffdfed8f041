"""Addresses that are written plainly, as code: `links: plain` of a catalog. Code is no link, so there is nothing to look a preview up for.
Only those of the catalog's APIs, and of hosts that it lists, stay links.

What of a text Slack makes a link of is not documented in full; so whatever looks like an address counts as one.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from base.markdown_map import Map, Span

# A scheme, www., a host with something behind it, or a host of three names or more; not a part of an e-mail's address.
_LABEL = r"[^\W_][\w-]{0,62}\."
ADDRESS = re.compile(
    rf"(?<![^\W_])(?<![@.-])(?:[a-z][a-z0-9+.-]{{1,30}}:[\\/]{{2}}|www\.|(?:{_LABEL})+[^\W\d_]{{2,24}}(?=[/:?#]\S)"
    rf"|(?:{_LABEL}){{2,}}[^\W\d_]{{2,24}}(?![\w.@-]))[^\s<>`|\[\]\ufffe]*",
    re.IGNORECASE,
)
# Where one may begin, for who has a text that is not yet whole.
BEGINNING = r"\[|:[\\/]|www\.|[\w-]\.[^\W\d_]"
_BEHIND = ".,;:!?'\"*_~]}"  # of a sentence, not of its address
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_NO_HOST = re.compile(r"(?:mailto|tel):[^/\\]*", re.IGNORECASE)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_DEFINITION = re.compile(r"^[ \t>*+\-\d.)]*(\[)(?=[^\]\n]*\]:)", re.MULTILINE)

# Start, end, and what stands there instead.
Edit = tuple[int, int, str]


@dataclass(frozen=True)
class Links:
    """The hosts whose addresses stay links; `*.example.com` are all below that one."""

    hosts: frozenset[str]

    def allow(self, address: str) -> bool:
        """Whether an address leads to one of the hosts, for everybody who may read it."""
        if not address.isprintable() or "\\" in address or " " in address:
            return False
        full = address if _SCHEME.match(address) and "://" in address else f"https://{address.lstrip('/')}"
        try:
            parts = urlsplit(full)
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            return False
        return parts.scheme.lower() in ("http", "https") and "@" not in parts.netloc and self._know(host)

    def _know(self, host: str) -> bool:
        above = (f"*.{host.split('.', number)[-1]}" for number in range(1, host.count(".") + 1))
        return host in self.hosts or any(one in self.hosts for one in above)


def edits(text: str, there: Map, seen: Iterable[tuple[int, int, str]], links: Links, tick: str) -> Iterator[Edit]:
    """What has to change so that no other host's address is a link. `seen` are the places of what looks like an address, with what is
    meant there; `tick` begins and ends code in this text."""
    has_foreign = any(not _stays(one, links) for one in there.references)
    inline: list[Span] = []
    images = {(one.start, one.end) for one in there.images}
    for link in there.links:
        if (link.start, link.end) in images:
            inline.append(link)  # another edit makes a link of it first
            continue
        yield from _of_link(text, link, there, links, tick, inline, has_foreign=has_foreign)
    if has_foreign:
        yield from ((found.start(1), found.start(1), "\\") for found in _DEFINITION.finditer(text))
    for start, end, meant in seen:
        address = _trimmed(meant)
        if not links.allow(address) and not any(one.start <= start < one.end for one in inline):
            rest = meant[len(address) :]
            yield start, end, _code(address, tick, text[start - 1 : start], (rest + text[end : end + 1])[:1]) + rest


def _of_link(
    text: str, link: Span, there: Map, links: Links, tick: str, inline: list[Span], *, has_foreign: bool
) -> Iterator[Edit]:
    """One link's edits; notes in `inline` where the address of one that stays is."""
    if text[link.start] == "<":
        inner = text[link.start + 1 : link.end - 1]
        if not _stays(inner, links) and ":" in inner:
            yield (
                link.start,
                link.end,
                _code(inner, tick, text[link.start - 1 : link.start], text[link.end : link.end + 1]),
            )
        else:
            inline.append(link)
        return
    behind = next((one for one in there.addresses if one.end == link.end and one.start > link.start), None)
    if behind is None or text[behind.start] != "(":
        if has_foreign:
            yield link.start, link.start, "\\"
        return
    address = _destination(text[behind.start : behind.end])
    if _stays(address, links):
        inline.append(behind)
        return
    yield link.start, link.start + 1, ""
    yield behind.start - 1, behind.end, f" ({_code(address, tick)})"


def _destination(behind: str) -> str:
    """The address in what stands behind a link's label: `(address "title")`."""
    inner = behind[1:-1].strip()
    raw = inner[1:].partition(">")[0] if inner.startswith("<") else (inner.split() or [""])[0]
    return html.unescape(_ESCAPE.sub(r"\1", raw))


def _stays(address: str, links: Links) -> bool:
    """Whether a link with this address may stay: of an allowed host, or of none."""
    if _NO_HOST.fullmatch(address) or (
        re.fullmatch(r"[^\s:\\]*", address) and "//" not in address and not ADDRESS.search(address)
    ):
        return True
    return links.allow(address)


def _trimmed(address: str) -> str:
    """An address without the sentence's marks behind it."""
    kept = address.rstrip(_BEHIND)
    return kept.rstrip(")" + _BEHIND) if "(" not in kept else kept


def _code(address: str, tick: str, before: str = "", after: str = "") -> str:
    """An address as code, apart from backticks that stand `before` and `after` it."""
    shown = " ".join(address.replace("`", "%60").replace("|", "%7C").split())
    return f"{' ' if before == '`' else ''}{tick}{shown}{tick}{' ' if after == '`' else ''}"
