"""The values of a call: what fills a placeholder or a header, checked against what the catalog says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal

from base.json_text import dumps
from catalog.bad_call import BadCall
from catalog.catalog import Operation, header_key
from catalog.template import MAX_VALUE, Value, parting
from catalog.validate import problems, shortened, typed


def filling(operation: Operation, name: str, value: object) -> Value:
    """A JSON value as a URL or a header has it. Raises `BadCall`."""
    spelling = operation.styles.get(name)
    if spelling is None:
        return text_of_value(name, value)
    items = tuple(text_of_value(name, one) for one in (value if isinstance(value, (list, tuple)) else [value]))
    if (mark := parting(items, spelling)) is not None:
        raise BadCall(f"An item of '{name}' contains '{mark}', which separates the items; the API cannot take it.")
    return items


def text_of_value(name: str, value: object) -> str:
    """A single JSON value as a URL or a header has it. Raises `BadCall`."""
    match value:
        case str() if any("\ud800" <= character <= "\udfff" for character in value):
            raise BadCall(f"'{shortened(name)}' contains half of a surrogate pair, which no URL can carry.")
        case str():
            return value
        case bool() | int() | float() | Decimal():
            with suppress(ValueError):  # endless, or of thousands of digits
                return dumps(value, allow_nan=False)
    raise BadCall(f"'{shortened(name)}' takes a text, a number, or true or false.")


def needs(operation: Operation, missing: frozenset[str]) -> str:
    """What the model is told where a call lacks query values or headers that it has to bring."""
    of_header = [name for name in operation.headers if name in missing]
    if of_header:
        return f"{operation.name} needs the header '{of_header[0]}': write headers: {{\"{of_header[0]}\": ...}}."
    parts = [f"{name}=..." for name, piece in operation.template.query if missing & set(piece.names)]
    return f"{operation.name} needs {' and '.join(parts)} in the url's query."


def headers_of(operation: Operation, raw: object) -> dict[str, str]:
    """The header parameters of a call, named as the catalog names them. Empty ones count as not given. Raises `BadCall`."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise BadCall('headers is an object of strings, for example {"X-Region": "eu"}.')
    known = {header_key(name): name for name in operation.headers}
    headers: dict[str, str] = {}
    for name, value in raw.items():
        declared = known.get(header_key(str(name)))
        if declared is None:
            allowed = ", ".join(operation.headers) or "none"
            raise BadCall(f"{operation.name} takes no header '{shortened(str(name))}'. Allowed: {allowed}.")
        if declared in headers:
            raise BadCall(f"Duplicate header '{declared}'; give it once.")
        if value not in (None, ""):
            headers[declared] = _header_text(declared, text_of_value(declared, value))
    return headers


def _header_text(name: str, value: str) -> str:
    """A header's text as RFC 9110 (5.5) lets it be without any reading of its own: visible ASCII, blanks inside."""
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise BadCall(f"The header '{name}' takes printable ASCII on one line, without spaces around it.")
    if len(value) > MAX_VALUE:
        raise BadCall(f"The header '{name}' is longer than {MAX_VALUE:,} characters.")
    return value


def check_fillings(operation: Operation, values: Mapping[str, Value]) -> None:
    """Raises `BadCall` where a value is no value or does not fit. A name that has to be looked up may stand where an id will."""
    for name, value in values.items():
        if value in (f"[{name}]", f"{{{name}}}"):
            raise BadCall(f"Fill in the placeholder [{name}] of {operation.url} with a value.")
    check_values(operation, {name: value for name, value in values.items() if name not in operation.lookups})


def check_values(operation: Operation, values: Mapping[str, Value]) -> None:
    """Raises `BadCall` unless these values of placeholders and headers fit their schemas."""
    for name, value in values.items():
        for problem in _misfit(operation, name, value):
            raise BadCall(f"{operation.name}: {name}: {problem}.")


def _misfit(operation: Operation, name: str, value: Value) -> Iterator[str]:
    schema = operation.parameters.get(name, {})
    return problems(schema, typed(schema, value))


def may_be_name(operation: Operation, name: str, value: Value) -> bool:
    """Whether a value that has a lookup needs it: it does not fit, or it is a text, which an id could be and a name as well."""
    reading = typed(operation.parameters.get(name, {}), value)
    return isinstance(reading, str) or any(True for _ in _misfit(operation, name, value))
