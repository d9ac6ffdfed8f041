"""The schemas that a discriminator chooses among, where the schema itself does not list them: those that build on it by allOf.

https://spec.openapis.org/oas/v3.0.4.html#discriminator-object: by its `mapping`, else each schema is chosen by its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from base.written_numbers import as_text
from catalog.references import Documents, Node

Names = frozenset[tuple[str, tuple[str, ...]]]  # schemas that a $ref led to, by document and pointer


@dataclass(frozen=True)
class Heir:
    """A schema that builds on another one: `value` of the field `field` chooses it, `node` has what it says beside the other one."""

    field: str
    value: str
    node: Node
    place: tuple[str, tuple[str, ...]]


def heirs(documents: Documents, nodes: Iterable[Node], names: Names) -> list[Heir]:
    """Those of the schema that `nodes` say together and `names` name; none where it is itself one that builds on another."""
    speaking = [node for node in nodes if "properties" in node.value or "discriminator" in node.value]
    if len(speaking) != 1 or not (field := speaking[0].get("discriminator").text("propertyName")):
        return []
    found: dict[tuple[str, tuple[str, ...]], Heir] = {}
    for value, written in _chosen(documents, speaking[0], names):
        at = written.target
        if isinstance(at.value, dict) and (place := (at.document, at.steps)) not in names | found.keys():
            found[place] = Heir(field, value, _beside(at, names), place)
    return list(found.values())


def _chosen(documents: Documents, base: Node, names: Names) -> Iterator[tuple[str, Node]]:
    """(value, schema) by the mapping, else by the names of the schemas that build on this one."""
    mapping = list(base.get("discriminator").get("mapping").items())
    for value, written in mapping:
        if isinstance(goal := as_text(written.value), str):
            is_name = not any(mark in goal for mark in "#/.")
            yield value, written.holding({"$ref": f"#/components/schemas/{goal}" if is_name else goal})
    if mapping:
        return
    root = documents.root
    for place in (root.get("components").get("schemas"), root.get("definitions")):
        for name, schema in place.items():
            if any(_leads_to(part, names) for part in schema.get("allOf").each()):
                yield name, schema


def _leads_to(part: Node, names: Names) -> bool:
    at = part.target
    return at is not part and (at.document, at.steps) in names


def _beside(schema: Node, names: Names) -> Node:
    """What a schema says beside the one that it builds on."""
    parts = [part.value for part in schema.get("allOf").each() if not _leads_to(part, names)]
    rest = {key: value for key, value in schema.value.items() if key not in ("allOf", "discriminator")}
    return schema.holding(rest | ({"allOf": parts} if parts else {}))
