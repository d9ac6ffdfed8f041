"""A rule's condition for a PATCH that merges: what is not in it stays as it is, and the condition is about the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalog.condition_fields import ITEM, SAYS_NOTHING, Place
from catalog.schemas import Schema, pointed


def about(when: Schema, unchanged: frozenset[Place]) -> Schema | None:
    """The condition less all that it says of the fields that are not there; None where it says nothing else."""
    rest: Schema | None = _Rest(when, unchanged).of(when, ())
    return rest


class _Rest:
    """One way through a condition that names each field, and so comes to an end."""

    def __init__(self, root: Schema, unchanged: frozenset[Place]) -> None:
        self._root = root
        self._unchanged = unchanged

    def of(self, schema: Any, place: Place) -> Any:
        """The rest of a schema at a place."""
        if not isinstance(schema, dict):
            return schema
        said = {key: one for key, one in schema.items() if key not in SAYS_NOTHING}
        rest: dict[str, Any] = {}
        for key, one in said.items():
            for name, left in self._by(key, one, said, place):
                rest[name] = [*rest.get(name, []), *left] if name == "allOf" else left
        return rest if rest or not said else None

    def _by(self, key: str, value: Any, schema: dict[str, Any], place: Place) -> Iterator[tuple[str, Any]]:
        """What is left of a keyword, and by which keyword it is said now."""
        match key:
            case "properties" | "dependentSchemas":
                yield from self._some(key, {name: self._named(key, one, place, name) for name, one in value.items()})
            case "required":
                yield from self._some(key, [name for name in value if self._is_there(place, name)])
            case "dependentRequired":
                names = {name: [one for one in more if self._is_there(place, one)] for name, more in value.items()}
                yield from self._some(
                    key, {name: more or None for name, more in names.items() if self._is_there(place, name)}
                )
            case "allOf" | "anyOf" | "oneOf":
                yield from self._some(key, [self.of(one, place) for one in value])
            case "not":
                yield from self._some(key, self.of(value, place))
            case "$ref":
                yield from self._some("allOf", [self.of(pointed(self._root, value), place)])
            case "if":
                yield from self._branches(schema, place)
            case "then" | "else":
                pass
            case "items" | "contains":
                yield key, self.of(value, (*place, ITEM))
            case "prefixItems":
                yield key, [self.of(one, (*place, ITEM)) for one in value]
            case "type" if any(one[: len(place)] == place for one in self._unchanged):
                pass  # of what is there in part, its parts are what the condition is about
            case _:
                yield key, value

    def _branches(self, schema: dict[str, Any], place: Place) -> Iterator[tuple[str, Any]]:
        """`if` with its branches; where it cannot be told which of them is meant, either will do."""
        test, then, other = (self.of(schema.get(key, True), place) for key in ("if", "then", "else"))
        if test is None:
            either = [one for one in (then, other) if one is not None]
            yield from self._some("allOf", [{"anyOf": either} if either else None])
        else:
            yield from (
                ("if", test),
                ("then", True if then is None else then),
                ("else", True if other is None else other),
            )

    def _named(self, key: str, schema: Any, place: Place, name: str) -> Any:
        if not self._is_there(place, name):
            return None
        return self.of(schema, (*place, name) if key == "properties" else place)

    def _is_there(self, place: Place, name: str) -> bool:
        return (*place, name) not in self._unchanged

    def _some(self, key: str, left: Any) -> Iterator[tuple[str, Any]]:
        """A keyword with what is left of its value, where anything is."""
        if isinstance(left, dict) and key in ("properties", "dependentSchemas", "dependentRequired"):
            left = {name: one for name, one in left.items() if one is not None} or None
        if isinstance(left, list):
            left = [one for one in left if one is not None] or None
        if left is not None:
            yield key, left
