"""What the catalog hides: fields marked `secret: true`, in whose place people and the model see how long the value is, and fields
under `hide:`, which are taken out of what an API answers.

Both go by name, in any spelling and at any depth: an API repeats a field wherever it likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from base import words
from base.json_text import dumps, loads
from catalog.spelling import bare, parts

_FATES = 10_000  # names that are remembered; an API may make up any number
_LONGEST = 200  # characters of a name; a longer text is none
_AROUND_JSON = " \t\r\n\ufeff"
_BEFORE_JSON = ("{", "[", '"', *_AROUND_JSON)
_Steps = tuple[re.Pattern[str] | None, ...]  # of a path; None: any number of names
_State = frozenset[tuple[int, int]]  # which paths are begun, and how far each is
_Fate = _State | Literal["gone", "secret"]


def hidden(value: Any) -> str:
    """What stands where a secret value was."""
    text = value if isinstance(value, str) else str(value)
    return words.HIDDEN.format(count=len(text))


def hide(value: Any, names: Iterable[str]) -> Any:
    """`value` with what stands in fields of these names hidden, at any depth; the shape around it stays to be seen."""
    return Hiding(frozenset(names)).applied(value)


def _hide_all(value: Any) -> Any:
    match value:
        case dict():
            return {key: _hide_all(one) for key, one in value.items()}
        case list():
            return [_hide_all(one) for one in value]
        case None:
            return None
    return hidden(value)


def secret_names(schema: Any) -> Iterator[str]:
    """The names of the fields that a schema, or one inside of it, marks as secret."""
    match schema:
        case dict():
            properties = schema.get("properties")
            for name, one in properties.items() if isinstance(properties, dict) else ():
                if is_secret(one) or is_secret(one.get("items") if isinstance(one, dict) else None):
                    yield name
            for one in schema.values():
                yield from secret_names(one)
        case list():
            for one in schema:
                yield from secret_names(one)


def has_secret(schema: Any) -> bool:
    """Whether a schema, or one inside of it, says `secret: true`; words about its values would repeat them."""
    return is_secret(schema) or any(True for _ in secret_names(schema))


def is_secret(schema: Any) -> bool:
    """Whether a parameter's or field's schema says `secret: true`."""
    return isinstance(schema, Mapping) and schema.get("secret") is True


# --- in data ----------------------------------------------------------------------------------------------------------


class BadPath(ValueError):
    """A path under `hide:` that is none. Its text says what to write."""


def check_path(path: str) -> None:
    """Raises `BadPath`."""
    if not _steps(path):
        raise BadPath(f"'{path}' names no field; write, for example, salary, bank.iban or '*.iban'")


@lru_cache(maxsize=1_024)
def _steps(path: str) -> _Steps:
    """A path's steps. Those at its beginning and its end that stand for any name change nothing: a path fits wherever it ends."""
    found: list[re.Pattern[str] | None] = []
    for step in path.split("."):
        if step.strip("* "):
            found.append(re.compile(".*".join(re.escape(bare(one)) if one else "" for one in step.split("*"))))
        elif found and found[-1] is not None:
            found.append(None)
    return tuple(found[:-1] if found and found[-1] is None else found)


@lru_cache(maxsize=20_000)
def _bare(name: str) -> str:
    return bare(name)


@dataclass(frozen=True)
class Hiding:
    """What is hidden of some data: fields of these names (`secrets`), in whose place their length stands, and those of these paths
    (`gone`), which are taken out."""

    secrets: frozenset[str] = frozenset()
    gone: tuple[str, ...] = ()

    def __or__(self, other: Hiding) -> Hiding:
        return Hiding(self.secrets | other.secrets, tuple(dict.fromkeys((*self.gone, *other.gone))))

    def applied(self, value: Any) -> Any:
        """`value` as people and the model may see it."""
        return self._of(value, frozenset()) if self.secrets or self.gone else value

    def taken(self, value: Any) -> tuple[str, ...]:
        """The names of the fields of `value` that would be taken out of it."""
        return tuple(sorted(set(_lost(value, self.applied(value)))))

    @property
    def without(self) -> Hiding:
        """The same, but what is secret is taken out as well: where a value's length in its place would be taken for the value."""
        return Hiding(gone=(*self.gone, *self.secrets))

    def names(self, text: str, *, as_key: bool = False) -> bool:
        """Whether a text that is no data names a field that is hidden. `as_key`: as one whose value follows, `pin: ...` or `pin=...`."""
        lower = text.lower()
        found = [one for one in self._spellings if one in lower]
        return bool(found) and (
            not as_key
            or re.search(rf"(?:{'|'.join(map(re.escape, found))})[\"'\])]{{0,3}}\s{{0,9}}[:=]", lower) is not None
        )

    @cached_property
    def _secrets(self) -> frozenset[str]:
        return frozenset(map(_bare, self.secrets))

    @cached_property
    def _fates(self) -> dict[str, _Fate]:
        """What was found of names outside of all paths that are begun."""
        return {}

    @cached_property
    def _paths(self) -> tuple[_Steps, ...]:
        return tuple(map(_steps, self.gone))

    @cached_property
    def _spellings(self) -> frozenset[str]:
        """The hidden names as a text may write them: camelCase in small letters, words joined by `_` or `-`."""
        last = [max(re.split(r"[*.]", one.rstrip("*. ").rpartition(".")[2]), key=len) for one in self.gone]
        names = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s_-]+", "_", one).lower() for one in (*last, *self.secrets) if one]
        return frozenset(one.replace("_", mark) for one in names for mark in ("_", "-", " ", ""))

    def _of(self, value: Any, state: _State) -> Any:
        match value:
            case dict():
                return self._of_fields(value, state)
            case list():
                return [self._of(one, state) for one in value]
            case str() if value[:1] in _BEFORE_JSON and self.names(value):
                return self._of_json(value)
        return value

    def _of_fields(self, fields: Mapping[str, Any], state: _State) -> dict[str, Any]:
        found = {}
        for name, one in fields.items():
            fate = self._fates.get(name) if not state else None  # most fields are in no path that is begun
            if fate is None:
                fate = self._fate(name, state)
            if fate == "secret":
                found[name] = _hide_all(one)
            elif not isinstance(fate, str):
                found[name] = self._of(one, fate) if isinstance(one, (dict, list, str)) else one
        return found

    def _fate(self, name: str, state: _State) -> _Fate:
        """What becomes of a field: which paths it begins or goes on with, or that it is taken out or masked."""
        plain = _bare(name) if len(name) <= _LONGEST else name
        fate = self._own_fate(plain, state)
        joined = parts(name) if len(name) <= _LONGEST else []
        if not isinstance(fate, str) and len(joined) > 1:
            fate = self._joined_fate(joined, fate, state)
        if not state and len(self._fates) < _FATES:
            self._fates[name] = fate
        return fate

    def _own_fate(self, plain: str, state: _State) -> _Fate:
        is_gone, below = self._step(plain, state)
        return "gone" if is_gone else "secret" if plain in self._secrets else below

    def _joined_fate(self, joined: list[str], whole: _State, state: _State) -> _Fate:
        """Of a name that holds those on the way to it, as flattened answers and tables have them: `employee.salary`."""
        for one in joined:
            fate = self._own_fate(_bare(one), state)
            if isinstance(fate, str):
                return fate
            state = fate
        return whole | state

    def _step(self, name: str, state: _State) -> tuple[bool, _State]:
        """Whether a field's path is one of those that are taken out, and which are begun by it."""
        below: set[tuple[int, int]] = set()
        for path, at in (*state, *((one, 0) for one in range(len(self._paths)))):
            steps = self._paths[path]
            if steps[at] is None:
                below.add((path, at))
                at += 1
            step = steps[at]
            if step is not None and step.fullmatch(name):
                if at + 1 == len(steps):
                    return True, frozenset()
                below.add((path, at + 1))
        return False, frozenset(below)

    def _of_json(self, text: str) -> Any:
        """A text that is JSON itself, as some APIs nest it."""
        inner = text.strip(_AROUND_JSON)
        if inner[:1] not in ("{", "[", '"'):
            return text
        try:
            return dumps(self._of(loads(inner), frozenset()), ensure_ascii=False, separators=(",", ":"))
        except (ValueError, RecursionError):
            return text if inner[0] == '"' else hidden(text)  # prose may begin with a quotation


def _lost(value: Any, left: Any) -> Iterator[str]:
    match value, left:
        case dict(), dict():
            yield from value.keys() - left.keys()
            for name in left:
                yield from _lost(value[name], left[name])
        case list(), list():
            for one, rest in zip(value, left, strict=True):
                yield from _lost(one, rest)


NOTHING = Hiding()  # is hidden
