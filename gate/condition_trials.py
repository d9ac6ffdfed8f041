"""Calls that show what an operation's conditions take for what: which spelling asks whom, tried out by the law itself (policy.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, product
from typing import Any

from base.json_text import dumps
from catalog.catalog import Operation
from catalog.condition_fields import ITEM, Named, Place
from catalog.conditions import Condition, ConditionInput, NotUnderstood
from catalog.faults import Fault, faults
from catalog.schemas import Schema, fits
from catalog.template import Value
from catalog.validate import typed
from gate.policy import Verdict, judge

_MOST = 256  # calls that are tried to find one that a condition is for
_OF_KIND: Mapping[str, list[Any]] = {
    "integer": [1], "number": [1], "string": ["text"], "boolean": [False, True], "array": [[]], "object": [{}], "null": [None],
}  # fmt: skip
_ABOUT_BOUND = {  # by how much two values on both sides of a bound differ from it
    "minimum": (-1, 0), "maximum": (1, 0), "exclusiveMinimum": (0, 1), "exclusiveMaximum": (0, -1),
}  # fmt: skip
Values = Mapping[Place, Any]


@dataclass(frozen=True)
class Trial:
    """A call that was tried: what it brings, as people write it, and what the policy says of it; None where it does not get there."""

    call: str
    verdict: Verdict | None


def trials(operation: Operation) -> list[Trial]:
    """Calls of an operation that show what its conditions take for what; none where it has none that names its fields."""
    conditions = [one.condition for one in operation.rules or () if one.condition is not None]
    try:
        named = {place: one for each in conditions for place, one in each.named.items()}
    except NotUnderstood:
        return []
    leaves = [one for place, one in named.items() if not any(other[:-1] == place for other in named)]
    tried = {_told(operation, values): values for values in _calls(operation, conditions, leaves)} if leaves else {}
    return [Trial(told, _verdict(operation, values, set(named))) for told, values in tried.items()]


def _verdict(operation: Operation, values: Values, named: set[Place]) -> Verdict | None:
    url, body = _parts(operation, values)
    schemas = {name: operation.parameters.get(name, {}) for name in url}
    is_taken = all(fits(schema, typed(schema, _as_url(url[name]))) for name, schema in schemas.items())
    if not is_taken or _is_refused(operation.body, body, {tuple(map(str, place)) for place in named}):
        return None
    return judge(operation.method, operation.rules, _given(operation, values), tainted=False)


def _is_refused(schema: Schema | None, body: Any, named: set[tuple[str, ...]]) -> bool:
    """Whether a body does not fit, but for what else it would have to hold."""
    if schema is None or fits(schema, body):
        return False
    found = faults(schema, body)
    others = [one for one in found if one.keyword == "required" and not _lacks(one, named)]
    return len(others) < len(found)


def _lacks(fault: Fault, named: set[tuple[str, ...]]) -> bool:
    return any(name not in fault.value and (*fault.place, name) in named for name in fault.schema["required"])


# --- calls to try -----------------------------------------------------------------------------------------------------


def _calls(operation: Operation, conditions: list[Condition], leaves: list[Named]) -> Iterator[Values]:
    """One that falls under a condition, and those that differ from it in one field: its value, its spelling, its place."""
    choices = [_choices(one, _given(operation, {}).kinds(one)) for one in leaves]
    chosen = [dict(zip((one.place for one in leaves), some, strict=True)) for some in islice(product(*choices), _MOST)]
    base = next((one for one in chosen if _is_meant(conditions, _given(operation, one))), chosen[0])
    yield base
    for leaf, values in zip(leaves, choices, strict=True):
        rest = {place: value for place, value in base.items() if place != leaf.place}
        yield from ({**base, leaf.place: value} for value in values)
        yield from (rest | {leaf.place: value} for value in _otherwise(base[leaf.place]))
        if leaf.place[0] not in operation.given_names:
            yield from (rest | {place: base[leaf.place]} for place in _elsewhere(leaf.place))
        yield rest


def _is_meant(conditions: list[Condition], given: ConditionInput) -> bool:
    try:
        return any(one.holds(given) for one in conditions)
    except NotUnderstood:
        return False


def _choices(named: Named, kinds: frozenset[str]) -> list[Any]:
    """Values of a field that a condition may tell apart."""
    found: list[Any] = []
    for keyword, value in named.keywords:
        if keyword in _ABOUT_BOUND:
            found += [value + step for step in _ABOUT_BOUND[keyword]]
        elif keyword in ("const", "enum"):
            found += [
                each for first in ([value] if keyword == "const" else value[:1]) for each in (_other(first), first)
            ]
        elif keyword in ("minLength", "maxLength"):
            found += ["x" * (value + step) for step in (-1, 0, 1) if 0 <= value + step <= _MOST]
    return found or [one for kind in sorted(kinds) for one in _OF_KIND[kind]] or ["text"]


def _other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float() | Decimal():
            return value + 1
    return "other"


def _otherwise(value: Any) -> Iterator[Any]:
    """A value as others write it."""
    match value:
        case bool():
            yield dumps(value)
        case int() | float() | Decimal():
            yield dumps(value)
            yield f"{value:,}"
        case str():
            yield value.swapcase()


def _elsewhere(place: Place) -> Iterator[Place]:
    """Other places and spellings of a field's name."""
    *above, last = place
    if isinstance(last, str):
        yield (*above, last.title() if last.title() != last else last.lower())
        yield (*above, f"{last} ")
    yield ("data", *place)


# --- as a call --------------------------------------------------------------------------------------------------------


def _given(operation: Operation, values: Values) -> ConditionInput:
    url, body = _parts(operation, values)
    return ConditionInput(
        {name: _as_url(one) for name, one in url.items()},
        names=operation.given_names,
        schemas=operation.parameters,
        body=body,
        schema=operation.body,
        merges=operation.method == "PATCH",
    )


def _told(operation: Operation, values: Values) -> str:
    url, body = _parts(operation, values)
    query = "&".join(f"{name}={_text(one)}" for name, one in url.items())
    return " ".join(one for one in (query, dumps(body) if body or not query else "") if one)


def _parts(operation: Operation, values: Values) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of the URL and the headers, and the body."""
    url: dict[str, Any] = {}
    body: dict[str, Any] = {}
    for place, value in values.items():
        _put(url if place[0] in operation.given_names else body, place, value)
    return url, body


def _put(into: Any, place: Place, value: Any) -> None:
    step, *rest = place
    inner: Any = value if not rest else [] if rest[0] == ITEM else {}
    if step == ITEM:
        into[:] = into or [inner]
        at: Any = 0
    else:
        into.setdefault(step, inner)
        at = step
    if rest:
        _put(into[at], tuple(rest), value)


def _as_url(value: Any) -> Value:
    return tuple(map(_text, value)) if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)
