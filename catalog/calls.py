"""From what the model wrote to a call that may be made: the allow-list's side of the gate. Nothing here sends anything.

The model is untrusted. A call is matched against method and path template (matching.py), each value is decoded, checked
(call_values.py, call_bodies.py) and encoded again, and the URL is built from the catalog. What does not fit raises `BadCall`, whose text
goes back to the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from base.jmespath_bounded import BadQuery, check_expression
from base.json_text import dumps, loads
from base.shrink import as_json
from catalog.bad_call import BadCall
from catalog.call_bodies import body_of, json_of
from catalog.call_values import check_fillings, check_values, filling, headers_of, may_be_name, needs
from catalog.catalog import Catalog, Operation
from catalog.conditions import ConditionInput
from catalog.lookup import Matched
from catalog.matching import MAX_URL, Match, match
from catalog.secret_values import hide, is_secret
from catalog.template import Value
from catalog.validate import shortened

MAX_ARGUMENTS = 262_144  # characters of one call's arguments; nobody can read and approve more than that
_ARGUMENTS = ("method", "url", "body", "headers", "all_pages", "select")


@dataclass(frozen=True)
class Call:
    """A validated call: the catalog's operation, the full URL without credentials, the body's exact text (JSON, however it travels).

    `values` are the URL's placeholders, `headers` the header parameters; `others` are operations that some server might take it for,
    and whose rules hold as well; `shown_url` and `shown_body` are for people's eyes, secret values hidden. `unresolved` names the
    placeholders and headers whose value has to be looked up before anything is sent, since it may be a name: `with_values`.
    `all_pages` and `select` (JMESPath) say what the model wants to see of a read's answer; `matched` what names were looked up.
    """

    operation: Operation
    url: str
    body: str | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    others: tuple[Operation, ...] = ()
    shown_url: str = ""
    shown_body: str | None = None
    unresolved: frozenset[str] = frozenset()
    all_pages: bool = False
    select: str = ""
    matched: tuple[Matched, ...] = ()

    def condition_input(self, entry: Operation) -> ConditionInput:
        """What the conditions of an entry look at: the call's own, or another that some server might take it for."""
        body = None if self.body is None else loads(self.body)
        return ConditionInput(
            {**self.values, **self.headers},
            names=entry.given_names,
            schemas=entry.parameters,
            body=body,
            schema=entry.body,
            merges=self.method == "PATCH" and isinstance(body, dict),
        )

    @property
    def method(self) -> str:
        """GET, POST and so on, in capitals."""
        return self.operation.method


def parse_arguments(raw: object) -> dict[str, Any]:
    """The tool's arguments as an object, from the JSON text (or the object) that a model server gave. Raises `BadCall`."""
    if isinstance(raw, str):
        if len(raw) > MAX_ARGUMENTS:
            raise BadCall(
                f"The arguments are {len(raw):,} characters long; at most {MAX_ARGUMENTS:,} are taken. Send less in one call."
            )
        raw = json_of(raw, "The arguments are")
    elif isinstance(raw, dict) and (length := _length(raw)) > MAX_ARGUMENTS:
        raise BadCall(
            f"The arguments are {length:,} characters long; at most {MAX_ARGUMENTS:,} are taken. Send less in one call."
        )
    if not isinstance(raw, dict):
        raise BadCall('The arguments are not a JSON object. Write {"method": ..., "url": ..., "body": ...}.')
    return raw


def _length(arguments: dict[str, Any]) -> int:
    try:
        return len(dumps(arguments))
    except (ValueError, TypeError, RecursionError):
        raise BadCall("The arguments are not valid JSON, or nested too deeply.") from None


def resolve(catalog: Catalog, arguments: Mapping[str, Any]) -> Call:
    """The call that the tool's arguments mean. Raises `BadCall`."""
    if unknown := sorted(str(key) for key in set(arguments) - set(_ARGUMENTS)):
        raise BadCall(f"Unknown argument '{shortened(unknown[0])}'. call_rest_api takes {', '.join(_ARGUMENTS)}.")
    method, url = arguments.get("method"), arguments.get("url")
    if not isinstance(method, str) or not isinstance(url, str):
        raise BadCall("method and url are both needed, as text.")
    found = match(catalog, method.strip().upper(), url)
    call = _call(catalog, found, headers_of(found.operation, arguments.get("headers")), arguments.get("body"))
    return replace(call, all_pages=_all_pages(arguments.get("all_pages")), select=select_of(arguments.get("select")))


def _all_pages(raw: object) -> bool:
    if raw in (None, False, "", "false"):
        return False
    if raw in (True, "true"):
        return True
    raise BadCall("Set all_pages to true, or leave it out.")


def select_of(raw: object) -> str:
    """A call's or read_result's JMESPath. Raises `BadCall`."""
    if raw in (None, ""):
        return ""
    if not isinstance(raw, str):
        raise BadCall("select is a JMESPath as text, for example data[*].{id: id, name: name}.")
    try:
        check_expression(raw)
    except BadQuery as error:
        raise BadCall(f"select: {error}.") from None
    return raw


def check_plain(call: Call) -> None:
    """Raises `BadCall` where a call that goes through approval has what is for reads alone."""
    if call.all_pages or call.select:
        raise BadCall("all_pages and select are for reads; this call goes through approval. Make it without them.")


def build(catalog: Catalog, operation: Operation, parameters: Mapping[str, Any], body: object = None) -> Call:
    """The call of `operation` with `parameters` (JSON values by placeholder's or header's name), as if the model had written it.

    None and empty texts count as not given. Raises `BadCall`.
    """
    given = {
        name: filling(operation, name, value)
        for name, value in parameters.items()
        if value is not None and value not in ("", [], ())
    }
    if unknown := set(given) - operation.given_names:
        raise BadCall(f"{operation.name} has no parameter '{shortened(min(unknown))}'.")
    values = {name: value for name, value in given.items() if name in operation.template.names}
    if missing := operation.template.path_names - set(values):
        raise BadCall(f"{operation.name} needs '{min(missing)}'.")
    found = match(catalog, operation.method, operation.api.base_url + operation.filled(values), operation.api)
    if not found.operation.is_entry_of(operation) or found.values != values:
        raise BadCall(f"{operation.name} cannot take these values: they would turn its url into a different one.")
    headers = {name: value for name, value in given.items() if name in operation.headers}
    return _call(catalog, found, headers_of(operation, headers), body)


def with_values(catalog: Catalog, call: Call, values: Mapping[str, Any]) -> Call:
    """`call` with these values in place of its own (by placeholder's or header's name, `unresolved` ones above all). Raises `BadCall`.

    From now on every value has to fit its schema, so the new call has nothing unresolved.
    """
    made = build(catalog, call.operation, {**call.values, **call.headers, **values}, call.body)
    check_values(made.operation, {**made.values, **made.headers})
    return replace(made, unresolved=frozenset(), all_pages=call.all_pages, select=call.select)


def check_resolved(call: Call) -> None:
    """Raises `BadCall` where a value still has to be looked up; such a call must not be sent, nor shown to be approved."""
    if call.unresolved:
        raise BadCall(f"{call.operation.name}: '{min(call.unresolved)}' has to be looked up first; write its id.")


def _call(catalog: Catalog, found: Match, headers: Mapping[str, str], raw_body: object) -> Call:
    operation, values = found.operation, found.values
    given = {**values, **headers}
    if missing := operation.required - set(given):
        raise BadCall(needs(operation, missing))
    check_fillings(operation, headers)
    body = body_of(operation, raw_body)
    sent = operation.api.base_url + operation.filled(values)
    if len(sent) > MAX_URL:
        raise BadCall(f"The url, percent-encoded, is longer than {MAX_URL:,} characters.")
    return Call(
        operation,
        url=sent,
        body=body,
        values=values,
        headers=headers,
        others=found.others,
        shown_url=shown_url(operation, values),
        shown_body=None if body is None else as_json(hide(loads(body), operation.api.secrets)),
        unresolved=frozenset(
            name for name in operation.lookups if name in given and may_be_name(operation, name, given[name])
        ),
    )


def shown_url(operation: Operation, values: Mapping[str, Value]) -> str:
    """A call's URL for people's eyes."""
    shown = {name: "hidden" if is_secret(operation.parameters.get(name)) else value for name, value in values.items()}
    return operation.api.base_url + operation.filled(shown)
