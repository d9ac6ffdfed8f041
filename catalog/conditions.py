"""Whether a rule's condition (`when`) holds for a call, and whether that can be said at all.

A rule may only let pass what it has understood. Each field that a condition names has to be there, as what it is (a number, a text),
in its own place and nowhere else: an API may read `"5,000"`, `Amount` or `data.amount` where the condition, which reads JSON, saw no
amount at all. Where one is not, `NotUnderstood` is raised; what holds then is gate/policy.py's matter.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import product
from typing import Any

from base.json_text import loads
from catalog.condition_fields import (
    ITEM,
    Named,
    Nameless,
    Place,
    declared,
    fields_named,
    kind_of,
    kinds_of,
    shown,
    spelled,
)
from catalog.partial_conditions import about
from catalog.patterns import of_plain_text
from catalog.schemas import Schema, Unreadable, fits
from catalog.spelling import meanings, plain
from catalog.template import Value
from catalog.validate import kinds_said, shortened

_MOST_READINGS = 512
_LONGEST_NAME = 200  # characters; a longer text is no name
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")  # in a URL: as JSON writes them, less the exponent


# A name whose value follows in a text, as forms, YAML, scripts and JSON within JSON have it: `amount=`, `amount: `, `\"amount\":`, a tag
_SAID = re.compile(r"<([\w.-]{1,200})|(?<![\w.-])([\w.-]{1,200})[\"'\\\]\[]{0,20}\s{0,9}[:=]")


class NotUnderstood(Exception):
    """A condition that cannot be judged for a call. Its text, for people, says which field is not what the condition looks for."""


class _OnWire(str):
    """A value of the URL or a header: text, whatever it means."""


@dataclass(frozen=True)
class ConditionInput:
    """What a call brings, as the conditions of one entry look at it.

    `url`: the values of placeholders and header parameters, all of them text, and `schemas` what the catalog says of each; `names` are
    those that the entry has, given or not. `body` is the JSON that travels, None where there is none; `schema` its schema. `merges`: a
    field that is not in the body stays as it is.
    """

    url: Mapping[str, Value] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    body: Any = None
    schema: Schema | None = None
    merges: bool = False

    @property
    def tops(self) -> list[dict[str, Any]]:
        """The values by name. Where a name stands in the URL and in the body, each in turn."""
        url = {name: _on_wire(value) for name, value in self.url.items()}
        body = self.body if isinstance(self.body, dict) else {}
        return [url | body, body | url] if url.keys() & body.keys() else [url | body]

    def keeps(self, place: Place) -> bool:
        """Whether a field that is not there stays as it is. What is in a list does not: lists are replaced as a whole."""
        return self.merges and ITEM not in place and place[0] not in self.names

    def kinds(self, named: Named) -> frozenset[str]:
        """The types that a field may have: by the condition, else by the catalog's schema of it, else by what is compared."""
        if named.types:
            return named.types
        of_url = self.schemas.get(str(named.place[0])) if named.place[0] in self.names else None
        said = declared(of_url, named.place[1:]) if of_url is not None else declared(self.schema or {}, named.place)
        return kinds_of(said) or named.implied


def _on_wire(value: Value) -> Any:
    return [_OnWire(one) for one in value] if isinstance(value, tuple) else _OnWire(value)


@dataclass(frozen=True)
class Condition:
    """A rule's `when`."""

    when: Schema

    @cached_property
    def named(self) -> Mapping[Place, Named]:
        """The fields that it names, each after what it stands in. Raises `NotUnderstood`, where it does not name them."""
        try:
            return fields_named(self.when)
        except Nameless as error:
            raise NotUnderstood(f"its condition says '{error}', which names no field") from None

    def holds(self, given: ConditionInput) -> bool:
        """Whether the condition holds. Raises `NotUnderstood`."""
        try:
            self._check_elsewhere(given)
            held = [self._holds(top, given) for top in given.tops]  # each of them, since any may be unclear
            return any(held)
        except Unreadable as error:
            raise NotUnderstood(f"the request {error}") from None
        except ValueError:  # of a pattern such as [Z-a]
            raise NotUnderstood("a pattern of its condition would mean something else in lower case") from None
        except RecursionError:
            raise NotUnderstood("the request is nested too deeply") from None

    def _holds(self, top: dict[str, Any], given: ConditionInput) -> bool:
        unchanged = self._check(top, given)
        when = about(self.when, unchanged) if unchanged else self.when
        if when is None or any(fits(when, one) for one in self._readings(top, (), given)):
            return when is not None
        return self._has_pattern and any(
            fits(_of_plain_texts(when), one) for one in self._readings(top, (), given, True)
        )

    @cached_property
    def _has_pattern(self) -> bool:
        return any(one.has_pattern for one in self.named.values())

    # --- in its own place ---------------------------------------------------------------------------------------------

    def _check(self, top: dict[str, Any], given: ConditionInput) -> frozenset[Place]:
        """The fields that are not there and so stay as they are. Raises `NotUnderstood` where one is not what the condition looks for."""
        unchanged: set[Place] = set()
        for place, named in self.named.items():
            if place[:-1] in unchanged:
                unchanged.add(place)
                continue
            values, is_missing = _at(top, place)
            if is_missing and given.keeps(place) and all(isinstance(one, dict) for one in _at(top, place[:-1])[0]):
                unchanged.add(place)
            elif is_missing and named.keywords:
                raise NotUnderstood(f"'{named.name}' is not there")
            kinds = given.kinds(named)
            if not all(_is_of(one, kinds) for one in values):
                raise NotUnderstood(f"'{named.name}' is not {kinds_said(sorted(kinds))}")
        return frozenset(unchanged)

    # --- and nowhere else ---------------------------------------------------------------------------------------------

    def _check_elsewhere(self, given: ConditionInput) -> None:
        """Raises `NotUnderstood` where the body has a name in another spelling or place, but for what its schema says is there."""
        wanted = {one: named for named in self.named.values() for one in spelled(named.place, _last(named.place))}
        for place, text in _names(given.body, ()) if wanted else ():
            meant = spelled(place, text) & wanted.keys()
            if meant and place not in self.named and not (given.schema is not None and declared(given.schema, place)):
                where = json.dumps(shown(place))  # as it was spelled, invisible characters too
                raise NotUnderstood(f"{shortened(where, 60)} may mean '{wanted[min(meant)].name}'")

    # --- readings -----------------------------------------------------------------------------------------------------

    def _readings(self, value: Any, place: Place, given: ConditionInput, is_plain: bool = False) -> list[Any]:
        """What a value may be read as: a text in a named place may mean a number, or the very text that the condition names. `is_plain`:
        what a pattern is about is in its plain spelling."""
        match value:
            case dict():
                names = [name for name in value if (*place, name) in self.named]
                found = _combined([self._readings(value[name], (*place, name), given, is_plain) for name in names])
                return [value | dict(zip(names, one, strict=True)) for one in found]
            case list() if (*place, ITEM) in self.named:
                items = [self._readings(one, (*place, ITEM), given, is_plain) for one in value]
                return [list(one) for one in _combined(items)]
            case str() if place in self.named:
                named = self.named[place]
                if is_plain and named.has_pattern:
                    return [plain(value)]
                return list(dict.fromkeys(_texts(value, named, given.kinds(named))))
            case int() | Decimal() if place in self.named and not isinstance(value, bool):
                return [value, *_as_doubles(value, self.named[place])]
        return [value]


def _of_plain_texts(when: Any) -> Any:
    """A condition with each of its patterns as plain texts fit them."""
    match when:
        case dict():
            return {
                key: of_plain_text(one) if key == "pattern" and isinstance(one, str) else _of_plain_texts(one)
                for key, one in when.items()
            }
        case list():
            return [_of_plain_texts(one) for one in when]
    return when


def _combined(choices: Sequence[list[Any]]) -> Iterator[tuple[Any, ...]]:
    if math.prod(map(len, choices)) > _MOST_READINGS:
        raise NotUnderstood("its values can be read in too many ways")
    return product(*choices)


def _texts(text: str, named: Named, kinds: frozenset[str]) -> Iterator[Any]:
    if not isinstance(text, _OnWire) or not kinds or "string" in kinds:
        yield str(text)
        yield from (one for one in named.values if isinstance(one, str) and one != text and plain(one) == plain(text))
        if named.is_measured:
            yield from {text.strip(), *([] if named.has_pattern else [plain(text)])} - {text}
    if named.is_counted or kinds & {"number", "integer", "boolean"}:
        yield from meanings(text)


def _as_doubles(value: int | Decimal, named: Named) -> Iterator[int | Decimal]:
    """The numbers that one with more digits than a double has is to many servers (RFC 8259, section 6): it, and those of the condition."""
    double = _double(value)
    if double is not None and double != value:
        yield double
    yield from (one for one in named.values if kind_of(one) == "number" and one != value and _double(one) == double)


def _double(value: int | Decimal) -> Decimal | None:
    """None: beyond all doubles."""
    with suppress(OverflowError):
        return Decimal(float(value)) if math.isfinite(float(value)) else None
    return None


def _is_of(value: Any, kinds: frozenset[str]) -> bool:
    """Whether a value is of one of these types; any is where there are none. A text of the URL may say a number, plainly."""
    if isinstance(value, _OnWire) and kinds:
        says_number = _NUMBER.fullmatch(value) and ("number" in kinds or ("integer" in kinds and "." not in value))
        says_truth = value in ("true", "false") and "boolean" in kinds
        return bool("string" in kinds or says_number or says_truth)
    kind = kind_of(value)
    is_whole = kind == "number" and value == math.floor(value)
    return not kinds or kind in kinds or (is_whole and "integer" in kinds)


def _at(top: Any, place: Place) -> tuple[list[Any], bool]:
    """The values at a place, and whether one is missing: a name, or what it would stand in."""
    found, is_missing = [top], False
    for step in place:
        inner = [_step(one, step) for one in found]
        is_missing = is_missing or None in inner
        found = [each for some in inner if some is not None for each in some]
    return found, is_missing


def _step(value: Any, step: str | int) -> list[Any] | None:
    """What a step leads to: a list's items, or the field of a name alone; None where it leads nowhere."""
    match value, step:
        case list(), int():
            return value
        case dict(), str() if step in value:
            return [value[step]]
    return None


def _last(place: Place) -> str:
    return next((one for one in reversed(place) if isinstance(one, str)), "")


def _names(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Every name in a body with its place, and every text that may be one: of JSON in it, or in place of it, as a patch has them."""
    match value:
        case dict():
            for name, one in value.items():
                if len(name) > _LONGEST_NAME:
                    raise NotUnderstood("it has a name that is too long to be read")
                yield (*place, name), name
                yield from _names(one, (*place, name))
        case list():
            for one in value:
                yield from _names(one, (*place, ITEM))
        case str():
            if len(value) <= _LONGEST_NAME and not any(one.isspace() for one in value.strip()):
                yield place, value
            yield from ((place, one[1] or one[2]) for one in _SAID.finditer(value))
            if value.strip()[:1] + value.strip()[-1:] in ("{}", "[]"):
                yield from _names(_json_in(value), (*place, "JSON"))


def _json_in(text: str) -> Any:
    try:
        return loads(text)
    except ValueError:
        return None
