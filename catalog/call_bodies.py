"""A call's body: JSON as the model wrote it, checked against the operation's schema, and the one text that is stored, shown and sent."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from base.json_text import dumps, loads
from catalog.bad_call import BadCall
from catalog.bodies import unfit
from catalog.catalog import Operation
from catalog.template import MAX_VALUE
from catalog.validate import problems, shortened

_MAX_DEPTH = 50
_OVERRIDES = {"_method", "x-http-method", "x-http-method-override", "x-method-override"}


def body_of(operation: Operation, raw: object) -> str | None:
    """The one text of a call's body, checked against the operation's schema. Raises `BadCall`."""
    value = json_of(raw, "body is") if isinstance(raw, str) and raw.strip() else raw
    if operation.method in ("GET", "HEAD", "DELETE") and operation.body is None and value in (None, "", {}, []):
        return None
    if value is None or value == "":
        if operation.body is not None and operation.body_required:
            raise BadCall(f"{operation.name} needs a body: {shortened(dumps(operation.body), 600)}")
        return None
    if operation.method in ("GET", "HEAD"):
        raise BadCall(f"{operation.name} takes no body; put the values into the url.")
    if not isinstance(value, (dict, list)):
        raise BadCall("body is a JSON object or array, or JSON text of one.")
    if _is_deep(value):
        raise BadCall(f"body is nested too deeply; at most {_MAX_DEPTH} levels are taken.")
    if (twins := _twins(value)) is not None:
        raise BadCall(
            f"body has the fields '{shortened(twins[0])}' and '{shortened(twins[1])}', which some servers take for one."
        )
    _check_override(operation, value)
    if operation.body is not None and (misfits := list(problems(operation.body, value))):
        raise BadCall(f"{operation.name}: body: " + "; ".join(misfits[:5]) + ".")
    if (problem := unfit(operation.body_type, value, operation.body)) is not None:
        raise BadCall(f"{operation.name}: body: {problem}.")
    return _canonical(value)


def _check_override(operation: Operation, value: object) -> None:
    """Frameworks that read the method out of the body (Rails, Laravel and others) would turn a POST into a DELETE."""
    declared = (operation.body or {}).get("properties", {})
    for key in value if isinstance(value, dict) else ():
        if re.sub(r"[ .]", "_", key.strip()).lower() in _OVERRIDES and key not in declared:  # PHP makes '_' of '.'
            raise BadCall(
                f"The body's '{shortened(key)}' would change the method; call the operation with that method instead."
            )


def _twins(value: object) -> tuple[str, str] | None:
    """Two names in one object that differ only in case, blanks or Unicode form, if there are any. Raises `BadCall` for endless names."""
    if isinstance(value, list):
        return next((found for one in value if (found := _twins(one)) is not None), None)
    if not isinstance(value, dict):
        return None
    seen: dict[str, str] = {}
    for name in value:
        if len(name) > MAX_VALUE:  # to bring it into its plain form could take minutes
            raise BadCall(f"body has a field whose name is longer than {MAX_VALUE:,} characters.")
        plain = unicodedata.normalize("NFKC", name).strip().casefold()
        if plain in seen:
            return seen[plain], name
        seen[plain] = name
    return _twins(list(value.values()))


def _is_deep(value: object) -> bool:
    """Whether JSON is nested beyond what a person could read and every server takes."""
    level: list[object] = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
        ]
        if not level:
            return False
    return True


def _canonical(value: object) -> str:
    """The one text of a JSON value: what is stored, hashed, shown and sent."""
    try:
        text = dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode("utf-8")
    except (ValueError, UnicodeError, RecursionError):
        raise BadCall("body contains a number or a character that JSON cannot carry.") from None
    return text


def json_of(text: str, what: str) -> Any:
    """JSON that the model wrote, numbers as they were written; `what` begins the refusal ("body is"). Raises `BadCall`."""
    try:
        return loads(text, pairs=_no_twins)
    except json.JSONDecodeError as error:
        raise BadCall(f"{what} not valid JSON: {error.msg} at character {error.pos + 1}.") from None
    except ValueError as error:
        raise BadCall(f"{what} not valid JSON: {shortened(str(error))}.") from None
    except RecursionError:
        raise BadCall(f"{what} nested too deeply.") from None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) != len(pairs):
        raise ValueError("duplicate key in an object")
    return whole
