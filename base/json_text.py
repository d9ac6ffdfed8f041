"""JSON as text, both ways, and no digit lost on the way: a number with a fraction or an exponent is a Decimal, and is written as it was.

Floats would do to `12345678901234567.89` what no card may do: show another amount than the one that was meant. Whole numbers are
Python's own, of any length.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import simplejson

from base.utf8 import encoded
from base.written_numbers import decimal

_LOOKED_AT = 262_144  # characters of a value that is nested too deeply
_DIGITS = 4_000  # of a whole number; Python reads and writes few more


def loads(
    text: str | bytes, *, odd: Callable[[str], Any] | None = None, pairs: Callable[[Any], Any] | None = None
) -> Any:
    """The value of a JSON text. Raises `ValueError` or `RecursionError`.

    `odd`: what becomes of NaN, Infinity and numbers beyond all measure (1e401, 4,001 digits); None: they are refused. `pairs`: what
    makes an object of its (name, value) pairs.
    """
    odd = odd or _refused

    def number(written: str) -> Any:
        return odd(written) if (found := decimal(written)) is None else found

    def whole(written: str) -> Any:
        return int(written) if len(written) <= _DIGITS else odd(written)

    try:
        return json.loads(text, parse_float=number, parse_constant=odd, object_pairs_hook=pairs)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a whole number that Python does not read; to look at each costs time
        return json.loads(text, parse_float=number, parse_int=whole, parse_constant=odd, object_pairs_hook=pairs)


def _refused(written: str) -> Any:
    what = "not a JSON number" if written.lstrip("-") in ("NaN", "Infinity") else "too long a number; write it as text"
    raise ValueError(f"{written[:40]} is {what}")


def dumps(value: object, *, default: Callable[[Any], Any] | None = None, allow_nan: bool = True, **options: Any) -> str:
    """The JSON text of a value, a Decimal as it was written; `options` as the standard library's `json.dumps` has them."""
    text: str = simplejson.dumps(
        value,
        use_decimal=True,
        default=default,
        allow_nan=allow_nan,
        namedtuple_as_object=False,
        encoding=None,  # bytes are no text
        **options,
    )
    return text


def compact(value: object) -> str:
    """The same in as few characters as it takes. Raises `ValueError` and `RecursionError`."""
    return dumps(value, ensure_ascii=False, separators=(",", ":"))


def digest(value: object) -> str:
    """32 hex digits that stand for a value, whichever order its names came in."""
    try:
        text = dumps(value, sort_keys=True, default=str)
    except (ValueError, RecursionError):
        text = repr(value)[:_LOOKED_AT]
    return hashlib.sha256(encoded(text)).hexdigest()[:32]
