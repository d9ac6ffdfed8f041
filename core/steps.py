"""What the bot does at this moment, in a few words for the thinking status: "is reading employees, page 2"."""

from __future__ import annotations

from core import words
from core.calls import Call
from core.cards import visible
from core.policy import SAFE_METHODS
from core.secret import is_secret

_LENGTH = 80  # characters of a status
_VALUE = 24  # characters of a value in it


def step(call: Call) -> str:
    """The status for a call: what kind of things it is about, and which one or which page."""
    operation = call.operation
    path = [piece.literal for piece in operation.template.path if piece.literal and not piece.names]
    things = next((one for one in reversed(path) if not one.isdigit()), operation.api.name).replace("_", " ")
    in_path = [name for piece in operation.template.path for name in piece.names]
    told = [value for name in in_path[-1:] if (value := _shown(call, name))]
    page = next(
        (f", page {_shown(call, name)}" for name in call.values if "page" in name.lower() and _shown(call, name)), ""
    )
    verb = words.READING if call.method in SAFE_METHODS else words.PREPARING
    return f"{verb} {visible(' '.join([things, *told]))}{page}"[:_LENGTH]


def _shown(call: Call, name: str) -> str:
    """A value as everybody may see it, or nothing."""
    if is_secret(call.operation.parameters.get(name)):
        return ""
    value = call.values.get(name, "")
    text = value if isinstance(value, str) else ", ".join(value)
    return text.replace("<", " ").replace(">", " ")[:_VALUE]
