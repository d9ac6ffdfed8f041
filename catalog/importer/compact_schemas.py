"""An OpenAPI schema as a small JSON Schema (2020-12) for the model and the check of its calls.

It never refuses what the document allows, readOnly fields apart: whatever cannot be said in few words is left out, and so allowed.
For that reason oneOf becomes anyOf, and patterns are dropped (descriptions write them for engines of their own).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from base.json_text import dumps
from base.utf8 import encodable
from base.written_numbers import as_text, has_zeros
from catalog.importer.discriminators import Heir, Names, heirs
from catalog.importer.prose import cut, first_sentence, says_nothing_new
from catalog.references import Documents, Node, printable
from catalog.schema_keywords import is_of

BODY_SIZE = 3_000  # characters of a body's schema as JSON, some 800 tokens
PARAMETER_SIZE = 600
_ENUM_VALUES, _ENUM_SIZE, _ENUM_SHOWN = (
    40,
    400,
    8,
)  # values and characters of a list of values; how many a longer one shows
_MOST_VARIANTS = 6
_MOST_REQUIRED = 100
_MOST_PARTS = 500  # of one allOf, with those inside of them
_LARGE = 1_000  # a maxLength above it hinders nobody, and costs tokens
_VISITS = 20_000  # schemas looked at for one result
_PATTERN, _TELLING = 60, 80  # characters of a pattern that is shown, and of the descriptions beside it
_NAME = 200  # characters of a field's name; longer ones are left out

_TYPES = frozenset(("string", "number", "integer", "boolean", "object", "array", "null"))
_MEANT = {
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "file": "string",
}
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems")
_CHOICES = ("anyOf", "oneOf")
_OPEN = ("patternProperties", "unevaluatedProperties", "propertyNames")
_NO_FORMAT = frozenset(
    ("int32", "int64", "float", "double", "string", "decimal", "int", "number", "integer", "boolean")
)


@dataclass(frozen=True)
class _Level:
    """How much is said: levels of nesting, characters of a description, and whether fields are left out at the end."""

    depth: int
    words: int
    drop: bool = False


# From the most telling to the shortest; the first whose result fits is taken.
_LEVELS = (
    *(
        _Level(depth, words)
        for depth, words in ((7, 160), (7, 80), (4, 80), (3, 80), (2, 80), (2, 50), (1, 80), (1, 50))
    ),
    _Level(1, 50, drop=True),
)


class _TooLong(Exception):
    """The result cannot fit at this level."""


def compact(documents: Documents, node: Node, limit: int, *, about: str = "") -> dict[str, Any]:
    """The schema at `node` in at most about `limit` characters of JSON. `about` is said beside it already."""
    looks: _Looks = {}
    for level in _LEVELS:
        compactor = _Compactor(documents, level, limit, looks)
        try:
            found = compactor.schema((node,), 0, frozenset(), about)
        except _TooLong:
            continue
        documents.notes.shortened += compactor.is_short and limit == BODY_SIZE
        return found
    documents.notes.shortened += limit == BODY_SIZE
    return {}


@dataclass
class Merged:
    """What a schema and all of its allOf say together."""

    nodes: list[Node] = field(default_factory=list)
    names: Names = frozenset()  # of those that a $ref led to
    nullable: bool = False

    def first(self, key: str) -> Node | None:
        """The first thing that is said of `key`."""
        return next((node.get(key) for node in self.nodes if key in node.value), None)

    def all(self, key: str) -> list[Node]:
        """All that is said of `key`, by whichever of the schemas."""
        return [node.get(key) for node in self.nodes if key in node.value]

    @property
    def properties(self) -> dict[str, tuple[Node, ...]]:
        """Each field with every schema that is said of it."""
        found: dict[str, tuple[Node, ...]] = {}
        for properties in self.all("properties"):
            at = properties.target
            for name in at.value if isinstance(at.value, dict) else ():
                found[name] = (*found.get(name, ()), at.get(name))
        return found

    @property
    def kinds(self) -> list[str]:
        """The types that are allowed, null among them; none said, or one that JSON Schema does not know: an empty list."""
        said = self.first("type")
        names = [] if said is None else said.value if isinstance(said.value, list) else [said.value]
        kinds = [_MEANT.get(name, name) for name in (str(name).lower() for name in names)]
        if not kinds or not set(kinds) <= _TYPES:
            return []
        return list(dict.fromkeys([*kinds, "null"] if self.nullable else kinds))

    @property
    def required(self) -> list[str]:
        """The fields that have to be there."""
        names = (as_text(one.value) for said in self.all("required") for one in said.each())
        return list(dict.fromkeys(name for name in names if isinstance(name, str)))

    def says(self, key: str) -> bool:
        """Whether one of the schemas says that `key` is true."""
        return any(node.is_set(key) for node in self.nodes)


def merged(documents: Documents, nodes: Iterable[Node]) -> Merged:
    """The schemas behind references and allOf, flat; a choice of one thing, or of one thing and null, among them."""
    whole, waiting = Merged(), deque(nodes)
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_PARTS:
        node = waiting.popleft()
        at = documents.follow(node)
        if id(at.value) in seen or not isinstance(at.value, dict):
            if not isinstance(at.value, (dict, bool, type(None))):
                documents.notes.add(at, "a schema has to be a mapping; this one is left out")
            continue
        seen.add(id(at.value))
        if at is not node:
            name = (at.document, at.steps)
            whole.names |= {name}
            beside = {key: value for key, value in node.value.items() if key != "$ref"}
            if beside:  # what stands beside a $ref says more of this very place
                whole.nodes.append(node.holding(beside))
        whole.nodes.append(at)
        waiting.extend(at.get("allOf").each())
        for key in _CHOICES:
            if len(variants := _variants(at.get(key))) == 1:
                waiting.extend(variants)
                whole.nullable = whole.nullable or len(list(at.get(key).each())) > 1
    whole.nullable = whole.nullable or whole.says("nullable") or whole.says("x-nullable")
    return whole


# What was merged before, by the ids of the values, which are kept so that no id is given again.
_Looks = dict[tuple[int, ...], tuple[tuple[Node, ...], Merged]]


class _Compactor:
    """One attempt at one level."""

    def __init__(self, documents: Documents, level: _Level, limit: int, looks: _Looks) -> None:
        self._documents = documents
        self._targets = looks
        self._level = level
        self._room = limit
        self._visits = _VISITS
        self.is_short = False  # whether fields had to be told by their names alone

    def schema(self, nodes: tuple[Node, ...], depth: int, above: Names, about: str = "") -> dict[str, Any]:
        """What the schemas say together. `above`: the named schemas around them."""
        whole = self._look(nodes)
        kinds = whole.kinds
        compacted: dict[str, Any] = {}
        self._describe(compacted, whole, about)
        if kinds:
            self._put(compacted, "type", kinds[0] if len(kinds) == 1 else kinds)
        self._scalars(compacted, whole, kinds)
        if depth >= self._level.depth or whole.names & above:
            self._stump(compacted, whole)
            return _in_order(compacted)
        above |= whole.names
        chosen = [] if whole.first("anyOf") or whole.first("oneOf") else self._heirs(whole)
        self._fields(compacted, whole, depth, above, is_closed=not chosen)
        items = [node for node in whole.all("items") if isinstance(node.value, dict)]
        if items and whole.first("prefixItems") is None:
            self._put(compacted, "items", self.schema(tuple(items), depth + 1, above))
        if chosen:
            self._choice_of_heirs(compacted, whole, chosen, depth, above)
        else:
            self._choice(compacted, whole, depth, above)
        return _in_order(compacted)

    def _put(self, found: dict[str, Any], key: str, value: Any) -> None:
        """Sets a key; what is nested has paid for itself already."""
        size = 5 if isinstance(value, dict) or key in ("anyOf", "properties") else len(_json(value))
        self._room -= len(key) + 4 + size
        if self._room < 0 and not self._level.drop:
            raise _TooLong
        found[key] = value

    def _describe(self, found: dict[str, Any], whole: Merged, about: str) -> None:
        words = next((text for node in whole.nodes if (text := node.text("description"))), "")
        if self._level.words and words:
            short = first_sentence(words, self._level.words)
            if short and not says_nothing_new(short, about):
                self._put(found, "description", short if short.endswith("...") else short.rstrip("."))

    def _add_words(self, found: dict[str, Any], words: str) -> None:
        before = found.pop("description", "")
        stop = "" if before.endswith("...") else "."
        self._put(found, "description", f"{before}{stop} {words}" if before else words)

    def _scalars(self, found: dict[str, Any], whole: Merged, kinds: list[str]) -> None:
        form = next((text for node in whole.nodes if (text := node.text("format"))), "")
        if form and form not in _NO_FORMAT and len(form) < 40:
            self._put(found, "format", printable(form, 40))
        elif any(node.value.get("type") == "file" for node in whole.nodes):
            self._put(found, "format", "binary")
        for key in ("contentMediaType", "contentEncoding"):  # OpenAPI 3.1's words for a file
            said = next((text for node in whole.nodes if (text := node.text(key))), "")
            if 0 < len(said) <= 60 and said.isprintable() and (not kinds or "string" in kinds):
                self._put(found, key, said)
        self._enum(found, whole, kinds)
        pattern = next((text for node in whole.nodes if (text := node.text("pattern"))), "")
        if 0 < len(pattern) <= _PATTERN and pattern.isprintable() and self._level.words >= _TELLING:
            self._add_words(found, f"Written as {pattern}")  # in words: a foreign expression is not run
        for key, value in _bounds(whole):
            self._put(found, key, value)
        default = whole.first("default")
        if default is not None and _is_scalar(default.value) and default.value not in (None, ""):
            for value in _allowed([default.value], kinds):
                if len(_json(value)) <= 60:
                    self._put(found, "default", value)

    def _enum(self, found: dict[str, Any], whole: Merged, kinds: list[str]) -> None:
        const, enum = whole.first("const"), whole.first("enum")
        given = [const.value] if const is not None else enum.target.value if enum is not None else None
        values = _allowed(given, kinds) if isinstance(given, list) else []
        if not values:
            return
        if whole.nullable and None not in values:
            values.append(None)
        if len(values) <= _ENUM_VALUES and len(_json(values)) <= _ENUM_SIZE:
            self._put(found, "enum", values)
        else:
            shown = ", ".join(cut(str(value), 40) for value in values[:_ENUM_SHOWN])
            self._add_words(found, f"One of {len(values)} values, such as {shown}")

    def _stump(self, found: dict[str, Any], whole: Merged) -> None:
        """In place of what is nested too deeply, or within itself: the names of the fields, the type of a list's things."""
        kinds = [kind for items in whole.all("items") for kind in self._look((items,)).kinds]
        if len(kinds) == 1 and whole.first("prefixItems") is None:
            self._put(found, "items", {"type": kinds[0]})
        fields = whole.properties.items()
        names = [name for name, nodes in fields if len(name) <= 40 and not self._says(nodes, "readOnly")]
        if names:
            self.is_short = True
            shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            self._add_words(found, f"With {printable(shown, 200)}")

    def _fields(self, found: dict[str, Any], whole: Merged, depth: int, above: Names, *, is_closed: bool) -> None:
        properties = whole.properties
        sent = {name: nodes for name, nodes in properties.items() if not self._says(nodes, "readOnly")}
        required = {name for name in whole.required if name in sent or name not in properties}
        current = {name: sent[name] for name in sent if name in required or not self._says(sent[name], "deprecated")}
        fields = self._shown(current, required, depth, above)
        left_out = [name for name in sorted(current, key=lambda name: name not in required) if name not in fields]
        needed = [_clean(name) for name in whole.required if name in required - set(left_out) and len(name) <= _NAME]
        if needed:
            self._put(found, "required", list(dict.fromkeys(needed))[:_MOST_REQUIRED])
        if fields:
            self._put(found, "properties", {_clean(name): schema for name, schema in fields.items()})
        if left_out:
            self.is_short = True
            self._add_words(found, _more(left_out))
        elif len(current) == len(sent) and is_closed:
            self._others(found, whole, depth, above)

    def _shown(
        self, sent: Mapping[str, tuple[Node, ...]], required: Container[str], depth: int, above: Names
    ) -> dict[str, Any]:
        """The schemas of those fields that there is room for, the needed ones first."""
        fields: dict[str, Any] = {}
        for name in sorted(sent, key=lambda name: name not in required):
            if len(name) <= _NAME and not (self._level.drop and self._room < 0):
                self._room -= len(name) + 6
                fields[name] = _secret(name, self.schema(sent[name], depth + 1, above, name))
        return fields

    def _others(self, found: dict[str, Any], whole: Merged, depth: int, above: Names) -> None:
        """Fields without a name: forbidden where one schema alone says so, described where it says of what kind they are."""
        said = whole.first("additionalProperties")
        if said is None or any(whole.first(key) is not None for key in _OPEN):
            return
        if sum("properties" in node.value or "additionalProperties" in node.value for node in whole.nodes) > 1:
            return
        if said.value is False and not whole.first("anyOf") and not whole.first("oneOf"):
            self._put(found, "additionalProperties", False)
        elif isinstance(said.value, dict) and said.value and not whole.properties:
            self._put(found, "additionalProperties", self.schema((said,), depth + 1, above))

    def _choice(self, found: dict[str, Any], whole: Merged, depth: int, above: Names) -> None:
        """anyOf and oneOf with more than one variant; of several such choices the first."""
        choices = (said for key in _CHOICES for said in whole.all(key) if len(_variants(said)) > 1)
        said = next(choices, None)
        if said is None:
            return
        given = _variants(said)
        if len(given) > _MOST_VARIANTS:
            self._add_words(found, f"One of {len(given)} forms")
            return
        variants: list[dict[str, Any]] = []
        for one in given:
            variant = self.schema((one,), depth + 1, above)
            if variant not in variants:
                variants.append(variant)
        if {} not in variants:
            _join(found, variants, nullable=whole.nullable or len(given) < len(list(said.each())))

    def _heirs(self, whole: Merged) -> list[Heir]:
        return heirs(self._documents, whole.nodes, whole.names) if whole.first("discriminator") else []

    def _choice_of_heirs(
        self, found: dict[str, Any], whole: Merged, chosen: list[Heir], depth: int, above: Names
    ) -> None:
        """The schemas that build on this one, each with what it adds. What they need is needed where this one alone cannot be meant."""
        field = chosen[0].field
        if len(chosen) > _MOST_VARIANTS:
            shown = ", ".join(printable(one.value, 40) for one in chosen[:_ENUM_SHOWN])
            self._add_words(found, f"One of {len(chosen)} forms by {printable(field, 40)}, such as {shown}")
            return
        is_abstract = whole.first("discriminator").get("mapping").value is not None and field in whole.required  # type: ignore[union-attr]
        variants = []
        for one in chosen:
            variant = self.schema((one.node,), depth + 1, above | {one.place})
            if not is_abstract:
                variant.pop("required", None)
            words = f"{printable(field, 40)}: {printable(one.value, 60)}"
            self._put(variant, "description", words)
            variants.append(_in_order({key: value for key, value in variant.items() if key != "type"}))
        if len(variants) == 1:
            variants.append({})
        found["anyOf"] = variants

    def _says(self, nodes: tuple[Node, ...], key: str) -> bool:
        return self._look(nodes).says(key)

    def _look(self, nodes: tuple[Node, ...]) -> Merged:
        self._visits -= 1
        if self._visits < 0:
            raise _TooLong
        key = tuple(id(node.value) for node in nodes)
        if key not in self._targets:
            self._targets[key] = nodes, merged(self._documents, nodes)
        found = self._targets[key][1]
        self._documents.step(len(found.nodes))
        return found


def _bounds(whole: Merged) -> Iterator[tuple[str, Any]]:
    """Bounds of numbers and lengths. In OpenAPI 3.0 `exclusiveMinimum: true` makes the minimum one."""
    for key in _NUMBERS:
        said = whole.first(key)
        if said is None or isinstance(said.value, bool) or not isinstance(said.value, (int, float)):
            continue
        if not math.isfinite(said.value) or (key == "multipleOf" and said.value <= 0):
            continue
        flag = whole.first("exclusive" + key.capitalize()) if key in ("minimum", "maximum") else None
        yield ("exclusive" + key.capitalize() if flag is not None and flag.value is True else key), said.value
    for key in _COUNTS:
        said = whole.first(key)
        if said is None or not isinstance(said.value, int) or isinstance(said.value, bool):
            continue
        if 0 < said.value <= _LARGE or (said.value > 0 and key.startswith("min")):
            yield key, said.value


def _more(names: list[str]) -> str:
    shown = [printable(name, 40) for name in names[:30]]
    return f"{len(names)} more fields: {', '.join(shown)}" + (", ..." if len(names) > 30 else "")


def _allowed(given: list[Any], kinds: list[str]) -> list[Any]:
    """The values of an enum; none where it holds what is no single value, or contradicts its own type."""
    if not given or not all(_is_scalar(value) for value in given):
        return []
    values = [_clean(value) for value in given if value is not None or not kinds or "null" in kinds]
    if set(kinds) <= {"string", "null"} if kinds else any(map(has_zeros, values)):
        values = [_json(value) if isinstance(value, bool) else as_text(value) for value in values]
    if kinds and not all(is_of(value, kinds) for value in values):
        return []
    return list({(type(value), value): value for value in values}.values())


def _variants(said: Node) -> list[Node]:
    """What a choice is between, null left out."""
    return [one for one in said.each() if not (isinstance(one.value, dict) and one.value.get("type") == "null")]


def _join(found: dict[str, Any], variants: list[dict[str, Any]], *, nullable: bool) -> None:
    """anyOf in the shortest words: plain types make a list of types."""
    if nullable and not any("null" in one.get("type", ()) for one in variants):
        variants = [*variants, {"type": "null"}]
    if all(set(one) == {"type"} for one in variants) and "type" not in found:
        kinds = [kind for one in variants for kind in (one["type"] if isinstance(one["type"], list) else [one["type"]])]
        found["type"] = list(dict.fromkeys(kinds))
    else:
        found["anyOf"] = variants


def _in_order(found: dict[str, Any]) -> dict[str, Any]:
    """The schema as people write it: what it is, what it means, what is in it."""
    last = ("description", "required", "properties", "items", "additionalProperties", "anyOf")
    return {
        key: found[key] for key in (*(key for key in found if key not in last), *(key for key in last if key in found))
    }


def _secret(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A password's field, hidden in cards and logs."""
    is_text = schema.get("type") in ("string", ["string", "null"])
    if is_text and (schema.get("format") == "password" or name.lower().endswith(("password", "secret", "private_key"))):
        return {**schema, "secret": True}
    return schema


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def _clean(value: Any) -> Any:
    """A value that every encoding takes."""
    return encodable(value) if isinstance(value, str) else value


def _json(value: object) -> str:
    return dumps(value, ensure_ascii=False, default=str)
