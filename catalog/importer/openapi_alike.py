"""Two operations of a description that no call could tell apart, since their paths differ in a placeholder's name alone, as one entry
of the catalog: it takes what either of them takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from catalog.importer.compact_schemas import BODY_SIZE

_PAIR = re.compile(r"(?P<name>[^=&]+)=\[(?P<placeholder>[^\[\]]+)\]")
_DESCRIPTION = 600  # characters
_OR, _MORE = " Or: ", " Or others."
_BODIES = 2 * BODY_SIZE  # characters, from which on of each body only the fields' names and types are kept


def united(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any] | None:
    """Both as one; None where their bodies travel in different ways. The first one's names stay."""
    if "body" in one and "body" in other and one.get("body_type") != other.get("body_type"):
        return None
    url, names = _url(one, other)
    found = {**one, "url": url, "description": _described(one["description"], other["description"])}
    parameters = _parameters(one, other, names)
    body = _body(one, other)
    found.pop("parameters", None)
    more = {"parameters": parameters} if parameters else {}
    if body:
        more |= {key: each[key] for key in ("body_type",) for each in (other, one) if key in each} | {"body": body}
    return (
        {key: value for key, value in found.items() if key not in ("body", "body_type", "pagination")}
        | more
        | ({"pagination": one["pagination"]} if "pagination" in one else {})
    )


def _url(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The first url with what the second one's query has besides; and what the second one's placeholders are called now."""
    path, _, query = str(one["url"]).partition("?")
    there = {found["name"]: found["placeholder"] for found in _PAIR.finditer(query)}
    other_path, _, other_query = str(other["url"]).partition("?")
    placeholders = re.findall(r"\[([^\[\]]+)\]", path)
    names = dict(zip(re.findall(r"\[([^\[\]]+)\]", other_path), placeholders, strict=True))
    taken = {*placeholders, *there.values(), *one.get("parameters", ())}
    for found in _PAIR.finditer(other_query):
        name, wanted = found["name"], found["placeholder"]
        if name not in there:
            there[name] = next(
                free
                for count in range(1, 10_000)
                if (free := wanted if count == 1 else f"{wanted}_{count}") not in taken
            )
            taken.add(there[name])
            query += f"{'&' if query else ''}{name}=[{there[name]}]"
        names[wanted] = there[name]
    return path + ("?" + query if query else ""), names


def _described(one: str, other: str) -> str:
    if other in one.split(_OR) or one.endswith(_MORE):
        return one
    both = f"{one}{_OR}{other}"
    return both if len(both) <= _DESCRIPTION else one + _MORE


def _parameters(one: Mapping[str, Any], other: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """What both allow; what one alone needs is not needed, and what one alone has is in nobody's way."""
    first = one.get("parameters", {})
    second = {names.get(name, name): schema for name, schema in other.get("parameters", {}).items()}
    path = set(re.findall(r"\[([^\[\]]+)\]", str(one["url"]).partition("?")[0]))
    found = {}
    for name in dict.fromkeys([*first, *second]):
        if name in first and name in second:
            schema = _either(first[name], second[name])
        elif name in path:  # any text for the one that says nothing of it
            schema = {}
        else:
            schema = {key: value for key, value in {**first, **second}[name].items() if key != "required"}
        if schema and schema != {"type": "string"}:
            found[name] = schema
    return found


def _either(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What both schemas say, and by the way what each takes where nothing is given."""
    if one.get("type") != other.get("type"):
        return {"in": "header"} if one.get("in") == "header" else {}
    found = {key: value for key, value in one.items() if other.get(key, ...) == value and key != "default"}
    if "enum" in one and "enum" in other:
        found["enum"] = [*one["enum"], *(value for value in other["enum"] if value not in one["enum"])]
    return found


def _body(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A choice of both bodies, each called after its operation. The body of one that has none is that of the other."""
    bodies = [(each["description"], each["body"]) for each in (one, other) if each.get("body")]
    choices: list[dict[str, Any]] = []
    for words, body in bodies:
        is_choice = set(body) <= {"type", "anyOf"} and "description" in (body.get("anyOf") or [{}])[0]
        for choice in body["anyOf"] if is_choice else [{"description": words} | body]:
            if {**choice, "description": ""} not in ({**there, "description": ""} for there in choices):
                choices.append(choice)
    if len(choices) < 2:
        return dict(bodies[0][1]) if bodies else {}
    if len(json.dumps(choices)) > _BODIES:
        choices = [_short(choice) for choice in choices]
    kinds = {json.dumps(body.get("type")) for _, body in bodies}
    typed = {"type": bodies[0][1]["type"]} if len(kinds) == 1 and "type" in bodies[0][1] else {}
    return typed | {"anyOf": choices}


def _short(schema: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its fields' names and types alone."""
    fields = {
        name: {key: value for key, value in field.items() if key in ("type", "secret", "format")}
        if isinstance(field, dict)
        else field
        for name, field in schema.get("properties", {}).items()
    }
    found = {key: schema[key] for key in ("description", "type", "required") if key in schema}
    return found | ({"properties": fields} if fields else {})
