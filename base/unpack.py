"""An answer's body, unpacked piece by piece where it came packed: bounded in what came and in what that makes, before it is there.

Who sends it is untrusted: 300 bytes can stand for gigabytes and, packed several times, for hours that end in no byte at all.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

_PIECE = 65_536  # bytes that are made at once
_WBITS = {  # how zlib reads each coding; some servers send deflate without its head
    "gzip": (16 + zlib.MAX_WBITS,),
    "x-gzip": (16 + zlib.MAX_WBITS,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}
_OTHERS = frozenset(("br", "zstd", "compress", "x-compress"))  # that nobody asked for
_HEAD = 2  # bytes by which zlib tells a head from none
_MEMBER = b"\x1f"  # how a further part of a gzip file begins (RFC 1952, 2.2)


class TooLarge(BaseException):
    """A body has more bytes than the `most` that are taken. No `Exception`: client libraries would take it for a failure and ask again."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


class BadPacking(Exception):
    """A body cannot be unpacked. `coding`: as what it came, where that is one that is not read."""

    def __init__(self, coding: str = "") -> None:
        super().__init__(coding)
        self.coding = coding


def unpacked(pieces: Iterable[bytes], coding: str, most: int) -> Iterator[bytes]:
    """The bytes of a body with this Content-Encoding: at most `most`, then raises `TooLarge`, also where so many came packed.

    Raises `BadPacking`, also where it is packed more than once. A coding that is none of HTTP's counts as not packed.
    """
    came = _bounded(pieces, most)
    codings = [one for one in re.split(r"[\s,]+", coding.lower()) if one in _WBITS or one in _OTHERS]
    if not codings:
        return came
    if len(codings) > 1 or codings[0] not in _WBITS:
        raise BadPacking(codings[0] if len(codings) == 1 else "")
    return _bounded(_inflated(iter(came), _WBITS[codings[0]]), most)


def _bounded(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    left = most
    for piece in pieces:
        yield piece[:left]
        left -= len(piece)
        if left < 0:
            raise TooLarge(most)


def _inflated(pieces: Iterable[bytes], wbits: tuple[int, ...]) -> Iterator[bytes]:
    """What packed bytes make. What stands behind their end, and is no further part, is not read."""
    unpacker: Any = None
    is_begun = False
    for piece in _begun(pieces):
        rest = piece
        while rest:
            if unpacker is None and is_begun and not rest.startswith(_MEMBER):
                return
            unpacker, is_begun = unpacker or _unpacker(rest, wbits), True
            yield from _drained(unpacker, rest)
            rest = unpacker.unused_data
            unpacker = None if unpacker.eof else unpacker
    if unpacker is not None:  # its end is missing
        raise BadPacking


def _begun(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces, the first of them long enough to say what it is."""
    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= _HEAD:
            yield start
            break
    else:
        yield start
    yield from pieces


def _unpacker(start: bytes, wbits: tuple[int, ...]) -> Any:
    """What unpacks a body that begins like this."""
    for one in wbits:
        try:
            zlib.decompressobj(one).decompress(start, 1)
        except zlib.error:
            continue
        return zlib.decompressobj(one)
    raise BadPacking


def _drained(unpacker: Any, packed: bytes) -> Iterator[bytes]:
    """All that these bytes make, in small pieces."""
    try:
        while made := unpacker.decompress(packed, _PIECE):
            yield made
            packed = unpacker.unconsumed_tail
    except zlib.error:
        raise BadPacking from None
