"""Writes a catalog as YAML that people like to read: short things on one line, entries apart from each other, comments where a choice
has to be made. What YAML 1.1 or 1.2 would not take for the same text is in quotes: the file is for other programs, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import yaml

from base.written_numbers import FLOAT, INTEGER, WrittenFloat, WrittenInteger
from catalog.references import printable
from catalog.rules import SAFE_METHODS

WIDTH = 120  # characters of a line, where it can be helped
_BARE = re.compile(r"[A-Za-z0-9][\w ./()-]*")  # needs no quotes, or hardly ever
_INDENT = "  "
_AnyDumper: type[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_AnyDumper):  # type: ignore[misc]  # whichever of the two PyYAML was built with
    """PyYAML's own knows the numbers of YAML 1.1; those of 1.2 are added below."""


for _kind, _pattern in (("int", INTEGER), ("float", FLOAT)):
    _Dumper.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_pattern.pattern})\Z"), list("-+.0123456789")
    )


class _Representer(yaml.representer.SafeRepresenter):
    def ignore_aliases(self, data: Any) -> bool:
        return True  # what is shared is written twice: nobody wants to read &id001

    def represent_written(self, value: WrittenInteger | WrittenFloat) -> yaml.Node:
        """A number as its author wrote it."""
        kind = "int" if isinstance(value, int) else "float"
        return self.represent_scalar(f"tag:yaml.org,2002:{kind}", value.text)


def _decimal(representer: _Representer, value: Decimal) -> yaml.Node:
    return representer.represent_scalar("tag:yaml.org,2002:float", str(value))


_Representer.add_representer(Decimal, _decimal)
_Representer.add_representer(WrittenInteger, _Representer.represent_written)
_Representer.add_representer(WrittenFloat, _Representer.represent_written)


def endpoint_text(entry: Mapping[str, Any], indent: int = 2) -> str:
    """One entry of `endpoints`, as list item whose dash stands `indent` characters from the left."""
    lines = "".join(key_text(key, value, indent + 2) for key, value in entry.items())
    return " " * indent + "- " + lines[indent + 2 :]


def key_text(key: str, value: Any, indent: int, *, apart: bool = False) -> str:
    """`key: value` as lines that begin `indent` characters from the left. `apart`: each key of the value on a line of its own."""
    if key == "url" and isinstance(value, str) and len(value) > WIDTH and "&" in value:
        return _long_url(key, value, indent)
    node: Any = _Representer(sort_keys=False).represent_data({key: value})
    _lay_out(node, WIDTH - indent)
    node.flow_style = False
    if apart:
        for _, inner in node.value:
            inner.flow_style = False
    text: str = yaml.serialize(node, Dumper=_Dumper, allow_unicode=True, width=WIDTH - indent)
    return "".join(" " * indent + line for line in text.splitlines(keepends=True))


def _long_url(key: str, url: str, indent: int) -> str:
    """A url with many query values over several lines: in double quotes, a backslash at a line's end joins it with the next."""
    lines, rest = [""], url.replace("\\", "\\\\").replace('"', '\\"')
    for number, part in enumerate(rest.split("&")):
        piece = part if number == 0 else "&" + part
        if lines[-1] and len(lines[-1]) + len(piece) > WIDTH - indent - 4:
            lines.append("")
        lines[-1] += piece
    inner = "\\\n" + " " * (indent + 2)
    return " " * indent + f'{key}: "' + inner.join(lines) + '"\n'


def _lay_out(node: yaml.Node, room: int) -> int:
    """Sets each collection's style: on one line where it fits into `room` characters, lists of plain values always so, over several
    lines where they have to. Gives the length on one line."""
    match node:
        case yaml.MappingNode():
            sizes = [_lay_out(key, room) + _lay_out(value, room - 2 - len(key.value)) + 4 for key, value in node.value]
            is_long = sum(sizes) > room
        case yaml.SequenceNode():
            sizes = [_lay_out(one, room - 2) + 2 for one in node.value]
            is_long = sum(sizes) > room and not all(isinstance(one, yaml.ScalarNode) for one in node.value)
        case _:
            return len(node.value) + (0 if _BARE.fullmatch(node.value) else 2)
    node.flow_style = not is_long
    return sum(sizes)


# --- a whole file -----------------------------------------------------------------------------------------------------


def api_text(
    name: str,
    base_url: str,
    credentials: Mapping[str, Any],
    endpoints: Iterable[tuple[str, Mapping[str, Any]]],
    header: Iterable[str],
    hints: Iterable[str] = (),
) -> str:
    """A catalog of one API. `credentials`: auth and headers; `endpoints`: each with its group; `header`, `hints`: comments' lines, of the
    file and of the credentials."""
    parts = [_comment(header), "\n", key_text("name", name, 0), key_text("base_url", base_url, 0)]
    parts += [_comment(hints), *(key_text(key, value, 0, apart=True) for key, value in credentials.items() if value)]
    parts.append("\nendpoints:\n")
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for group, entry in endpoints:
        groups.setdefault(group, []).append(entry)
    for number, (group, entries) in enumerate(groups.items()):
        parts.append("\n" if number else "")
        parts.append(f"{_INDENT}# --- {printable(group, 80)} ---\n" if group else "")
        parts.append("\n".join(endpoint_text(entry) for entry in entries))
    return "".join(parts)


def _comment(lines: Iterable[str]) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def switched(entry: Mapping[str, Any], *, writes: bool) -> dict[str, Any]:
    """An imported entry with its switch: reads are on, writes only where `writes` says so. What comes switched off stays off."""
    if entry.get("enabled") is not False and (writes or entry["method"] in SAFE_METHODS):
        return dict(entry)
    head = {key: entry[key] for key in ("method", "url", "description")}
    return head | {"enabled": False} | {key: value for key, value in entry.items() if key not in head}
