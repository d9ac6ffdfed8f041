"""Runtime expressions of recipes, as OpenAPI's Arazzo writes them (https://spec.openapis.org/arazzo/latest.html#runtime-expressions):
text in, what it names out. What they stand for at run time is not this file's concern.

Taken: `$inputs.name`, `$steps.id.outputs.name`, `$response.body`, `$response.header.Name`, `$statusCode`; a JSON pointer may follow the
first three (`$response.body#/data/0/id`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from base.json_pointer import steps_of

_NAME = r"[A-Za-z0-9_-]+"
_FORMS: tuple[tuple[Literal["inputs", "steps", "body", "header", "status"], re.Pattern[str]], ...] = (
    ("inputs", re.compile(rf"\$inputs\.(?P<name>{_NAME})(?P<pointer>#/.*)?", re.DOTALL)),
    ("steps", re.compile(rf"\$steps\.(?P<step>{_NAME})\.outputs\.(?P<name>{_NAME})(?P<pointer>#/.*)?", re.DOTALL)),
    ("body", re.compile(r"\$response\.body(?P<pointer>#/.*)?", re.DOTALL)),
    ("header", re.compile(r"\$response\.header\.(?P<name>[!#$%&'*+.^_`|~A-Za-z0-9-]+)")),
    ("status", re.compile(r"\$statusCode")),
)
EMBEDDED = re.compile(r"\{(\$[^{}]*)\}")  # an expression within a longer text: "Bearer {$inputs.token}"


class BadExpression(ValueError):
    """No expression that is known. Its text says what to write."""


@dataclass(frozen=True)
class Expression:
    """What an expression names: `kind`, the step and the name where it has them, and the steps of its JSON pointer."""

    kind: Literal["inputs", "steps", "body", "header", "status"]
    name: str = ""
    step: str = ""
    pointer: tuple[str, ...] = ()


def is_expression(text: str) -> bool:
    """Whether a whole text is meant as one: `$word...`. `$5` is a text like any other."""
    return re.match(r"\$[A-Za-z]", text) is not None


def parse_expression(text: str) -> Expression:
    """What `text` names. Raises `BadExpression`."""
    for kind, form in _FORMS:
        if (found := form.fullmatch(text)) is not None:
            parts = found.groupdict()
            pointer = steps_of(parts.get("pointer") or "")
            return Expression(kind, parts.get("name") or "", parts.get("step") or "", pointer)
    raise BadExpression(
        f"'{text[:100]}' is not an expression; write $inputs.<name>, $steps.<stepId>.outputs.<name>, "
        "$response.body#/<pointer>, $response.header.<name> or $statusCode"
    )


def expressions(value: Any) -> Iterator[Expression]:
    """Every expression in a JSON value: whole texts, and those in braces within texts. Raises `BadExpression`."""
    match value:
        case str() if is_expression(value):
            yield parse_expression(value)
        case str():
            yield from (parse_expression(one) for one in EMBEDDED.findall(value))
        case dict():
            for one in value.values():
                yield from expressions(one)
        case list():
            for one in value:
                yield from expressions(one)
