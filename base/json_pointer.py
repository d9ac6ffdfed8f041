"""JSON pointers (RFC 6901): text to steps and back, and what steps lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")  # of a list's item: no zero before it, and no more digits than any list needs


def steps_of(pointer: str) -> tuple[str, ...]:
    """The steps of a pointer: `/a~1b/0` has `a/b` and `0`, the empty one has none. What stands before the first slash is left out."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def pointer_of(steps: Iterable[str]) -> str:
    """The pointer that has these steps."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def fragment_steps(fragment: str) -> tuple[str, ...]:
    """The steps of a pointer in a URL's fragment (RFC 6901, 6), which is percent-encoded. Raises `ValueError` where it is no pointer."""
    if fragment and not fragment.startswith("/"):
        raise ValueError(f"'{fragment}' is not a JSON pointer")
    return tuple(unquote(step) for step in steps_of(fragment))


def at(value: Any, steps: Iterable[str]) -> Any:
    """What the steps lead to in a JSON value. Raises `LookupError` where they do not resolve."""
    for step in steps:
        match value:
            case dict():
                value = value[step]
            case list() if _INDEX.fullmatch(step):
                value = value[int(step)]
            case _:
                raise LookupError(step)
    return value


def referred(root: Any, ref: object) -> Any:
    """What a `$ref` leads to within its own document `root`; None where it does not resolve, or is about another document."""
    if not isinstance(ref, str) or not ref.startswith("#"):
        return None
    try:
        return at(root, fragment_steps(ref.removeprefix("#")))
    except (ValueError, LookupError):
        return None
