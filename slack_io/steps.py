"""What the bot does at this moment, in a few words for the thinking status: "is reading employees, page 2"."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from base import words
from base.masking import mask
from base.visible import visible
from catalog.calls import Call
from catalog.rules import SAFE_METHODS
from catalog.secret_values import is_secret
from gate.gate import Gate
from slack_io.assistant_status import AssistantStatus

_LENGTH = 80  # characters of a status
_VALUE = 24  # characters of a value in it


class TurnProgress:
    """A turn's steps, each shown before it is made; `check` raises where the turn may not go on."""

    def __init__(self, thread: str, status: AssistantStatus, check: Callable[[], None], gate: Gate) -> None:
        self._thread = thread
        self._status = status
        self.check = check
        self._gate = gate

    def calling(self, call: Call, page: int = 0) -> None:
        """A call, or a further page of a list."""
        self.check()
        self._status.status(self._thread, step(call, page, self._gate.secrets))

    def finding(self) -> None:
        """A look for operations that were not listed."""
        self.check()
        self._status.status(self._thread, words.FINDING)


def step(call: Call, number: int = 0, secrets: Sequence[str] = ()) -> str:
    """The status for a call: what kind of things it is about, and which one or which page. `number`: of a page after the first; what it
    asks for may be of the API's making, so it must show none of the `secrets`."""
    operation = call.operation
    path = [piece.literal for piece in operation.template.path if piece.literal and not piece.names]
    things = next((one for one in reversed(path) if not one.isdigit()), operation.api.name).replace("_", " ")
    in_path = [name for piece in operation.template.path for name in piece.names]
    told = [value for name in in_path[-1:] if (value := _shown(call, name, secrets))]
    page = str(number) if number else next((text for name in call.values if (text := _page(call, name, secrets))), "")
    verb = words.READING if call.method in SAFE_METHODS else words.PREPARING
    return f"{verb} {visible(' '.join([things, *told]))}{f', page {page}' if page else ''}"[:_LENGTH]


def _page(call: Call, name: str, secrets: Sequence[str]) -> str:
    """A value that says which page is asked for, or nothing."""
    plain = name.lower().replace("_", "").replace("-", "")
    return _shown(call, name, secrets) if "page" in plain and "perpage" not in plain and "pagesize" not in plain else ""


def _shown(call: Call, name: str, secrets: Sequence[str]) -> str:
    """A value as everybody may see it, or nothing."""
    if is_secret(call.operation.parameters.get(name)):
        return ""
    value = call.values.get(name, "")
    text = str(mask(value if isinstance(value, str) else ", ".join(value), secrets))  # before the cut
    return text.replace("<", " ").replace(">", " ")[:_VALUE]
