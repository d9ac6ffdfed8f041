"""Where a rule's condition can be missed by a call that it was meant for, or is never understood: what `check` warns of."""

from __future__ import annotations

from collections.abc import Iterator

from catalog.catalog import Operation
from catalog.condition_fields import ITEM, Named, Place, declared, fields_declared, kinds_of, shown, spelled
from catalog.conditions import Condition, NotUnderstood
from catalog.rules import SAFE_METHODS
from catalog.schemas import Schema, schemas_in
from catalog.validate import kinds_said

_OPEN = (
    "the body may have fields that no schema names, and the API may take one of them for '{name}'; "
    "write body, with additionalProperties: false"
)


def gaps(operation: Operation) -> list[str]:
    """The gaps of an operation's conditions, each with what to write."""
    conditions = [one.condition for one in operation.rules or () if one.condition is not None]
    return list(dict.fromkeys(gap for one in conditions for gap in _gaps(operation, one)))


def _gaps(operation: Operation, condition: Condition) -> Iterator[str]:
    said = {keyword for one in schemas_in(condition.when) for keyword in one}
    if "items" in said:
        yield "items holds where every item of a list fits, so one that does not hides the others; write contains"
    if "oneOf" in said:
        yield "oneOf holds where exactly one fits, so a call that fits two is missed; write anyOf"
    try:
        fields = [one for one in condition.named.values() if one.place[0] not in operation.given_names]
    except NotUnderstood as error:
        yield f"{error}, so the strictest rule holds for every call; name the fields under properties"
        return
    for one in fields:
        if operation.method in SAFE_METHODS:
            yield f"no {operation.method} can have '{one.name}', so the strictest rule holds; name a placeholder or a header"
        elif one.place[-1] != ITEM:
            yield from _of_field(operation.body or {}, one, condition)


def _of_field(body: Schema, named: Named, condition: Condition) -> Iterator[str]:
    """The gaps about one field of a body."""
    here = declared(body, named.place)
    is_closed = any(one.get("additionalProperties") is False for one in declared(body, named.place[:-1]))
    if not is_closed:
        yield _OPEN.format(name=named.name)
    elif not here:
        yield f"no call can have '{named.name}', which the body's schema does not name, so the strictest rule holds; write it there"
    if named.types and (kinds := kinds_of(here)) and not _meet(named.types, kinds):
        there, wanted = kinds_said(sorted(kinds)), kinds_said(sorted(named.types))
        yield f"'{named.name}' is {there} in the body's schema and {wanted} in the condition, so the strictest rule holds"
    for place in fields_declared(body):
        if place not in condition.named and _is_alike(named.place, place):
            yield f"'{shown(place)}' is another field of the body, at which no rule for '{named.name}' looks"


def _is_alike(some: Place, other: Place) -> bool:
    return not spelled(some, str(some[-1])).isdisjoint(spelled(other, str(other[-1])))


def _meet(some: frozenset[str], others: frozenset[str]) -> bool:
    numbers = {"integer", "number"}
    return not some.isdisjoint(others) or not (some.isdisjoint(numbers) or others.isdisjoint(numbers))
