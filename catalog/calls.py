"""From what the model wrote to a call that may be made: the allow-list's side of the gate. Nothing here sends anything.

The model is untrusted. A call is matched against method and path template, each value is decoded, checked and encoded anew, and
the URL is built from the catalog. What does not fit raises `BadCall`, whose text goes back to the model.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from base.jmespath_bounded import BadQuery, check_expression
from base.json_text import dumps, loads
from base.shrink import as_json
from catalog.bodies import unfit
from catalog.catalog import Api, Catalog, Operation, header_key
from catalog.conditions import ConditionInput
from catalog.lookup import Matched
from catalog.secret_values import hide, is_secret
from catalog.spelling import caseless
from catalog.template import MAX_VALUE, BadValue, Piece, Value, decode_value, parting, split_list, with_plus
from catalog.validate import problems, shortened, typed

MAX_ARGUMENTS = 262_144  # characters of one call's arguments; nobody can read and approve more than that
MAX_URL = 8_192
_MAX_DEPTH = 50
_ARGUMENTS = ("method", "url", "body", "headers", "all_pages", "select")
_OVERRIDES = {"_method", "x-http-method", "x-http-method-override", "x-method-override"}


class BadCall(Exception):
    """The model's mistake. Its text goes to the model: what is wrong and what to write instead, in few words."""


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
        raw = _json(raw, "The arguments are")
    elif isinstance(raw, dict) and (length := _length(raw)) > MAX_ARGUMENTS:
        raise BadCall(
            f"The arguments are {length:,} characters long; at most {MAX_ARGUMENTS:,} are taken. Send less in one call."
        )
    if not isinstance(raw, dict):
        raise BadCall('The arguments are no JSON object. Write {"method": ..., "url": ..., "body": ...}.')
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
    raise BadCall("all_pages is true or left out.")


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
        name: _filling(operation, name, value)
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


def _filling(operation: Operation, name: str, value: object) -> Value:
    """A JSON value as a URL or a header has it. Raises `BadCall`."""
    spelling = operation.styles.get(name)
    if spelling is None:
        return _text(name, value)
    items = tuple(_text(name, one) for one in (value if isinstance(value, (list, tuple)) else [value]))
    if (mark := parting(items, spelling)) is not None:
        raise BadCall(f"An item of '{name}' contains '{mark}', which separates the items; the API cannot take it.")
    return items


def _text(name: str, value: object) -> str:
    match value:
        case str() if any("\ud800" <= character <= "\udfff" for character in value):
            raise BadCall(f"'{shortened(name)}' contains half of a surrogate pair, which no URL can carry.")
        case str():
            return value
        case bool() | int() | float() | Decimal():
            with suppress(ValueError):  # endless, or of thousands of digits
                return dumps(value, allow_nan=False)
    raise BadCall(f"'{shortened(name)}' takes a text, a number, or true or false.")


def _call(catalog: Catalog, found: Match, headers: Mapping[str, str], raw_body: object) -> Call:
    operation, values = found.operation, found.values
    given = {**values, **headers}
    if missing := operation.required - set(given):
        raise BadCall(_needs(operation, missing))
    _check_fillings(operation, headers)
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
            name for name in operation.lookups if name in given and _may_be_name(operation, name, given[name])
        ),
    )


def _needs(operation: Operation, missing: frozenset[str]) -> str:
    of_header = [name for name in operation.headers if name in missing]
    if of_header:
        return f"{operation.name} needs the header '{of_header[0]}': write headers: {{\"{of_header[0]}\": ...}}."
    parts = [f"{name}=..." for name, piece in operation.template.query if missing & set(piece.names)]
    return f"{operation.name} needs {' and '.join(parts)} in the url's query."


def shown_url(operation: Operation, values: Mapping[str, Value]) -> str:
    """A call's URL for people's eyes."""
    shown = {name: "hidden" if is_secret(operation.parameters.get(name)) else value for name, value in values.items()}
    return operation.api.base_url + operation.filled(shown)


@dataclass(frozen=True)
class Match:
    """What a method and a URL mean: the operation, its values, and the `others` that some server might take the same path for."""

    operation: Operation
    values: Mapping[str, Value]
    others: tuple[Operation, ...] = ()


def match(catalog: Catalog, method: str, url: str, api: Api | None = None) -> Match:
    """The one operation that method and URL (a path, or a whole URL below a base_url) mean. Raises `BadCall`.

    `api` says which one is meant where several are at one address.
    """
    places = [(one, rest) for one, rest in _locate(catalog, url.strip(" ")) if api is None or one is api]
    problem: BadCall | None = None
    for one, rest in places:
        try:
            return _match_at(catalog, method, one, rest)
        except BadCall as error:
            problem = problem or error
    raise problem or BadCall("That host is not in the catalog.")


def _match_at(catalog: Catalog, method: str, api: Api | None, rest: str) -> Match:
    path, _, query = rest.partition("?")
    segments, refusal = _segments(path)
    candidates = [one for one in catalog.operations if one.method == method and (api is None or one.api is api)]
    fitting = [
        (one, values)
        for one in candidates
        if (values := one.template.match_path(segments)) is not None and one.takes_slashes(values)
    ]
    fitting.sort(key=lambda found: -found[0].template.literals)
    if not fitting:
        raise refusal or BadCall(_no_operation(catalog, method, path))
    if len({operation.api.name for operation, _ in fitting}) > 1:
        bases = ", ".join(sorted({operation.api.base_url for operation, _ in fitting}))
        raise BadCall(f"{shortened(path)} exists in several APIs. Write the whole URL, beginning with one of: {bases}.")
    operation, whole = _first_that_takes(fitting, query)
    parted = [part for segment in segments for part in segment.split("/")]  # to a server that decodes before it routes
    hidden = [one for one in catalog.hidden if one.method == method]
    if any(_is_meant(one, operation, path, query) for one in hidden):
        raise BadCall(_no_operation(catalog, method, path))
    others = tuple(
        one
        for one in (*candidates, *(one for one in hidden if api is None or one.api is api))
        if one is not operation and (one.template.could_be(segments) or one.template.could_be(parted))
    )
    return Match(operation, whole, others)


def _is_meant(hidden: Operation, found: Operation, path: str, query: str) -> bool:
    """Whether a server may take a path, by which `found` was found, for an operation that is left out: one that spells out as much of it,
    or more. `/users/admin` is no way to `/users/[id]` where it has an entry of its own."""
    base, whole = f"{hidden.api.base_url}/".lower(), f"{found.api.base_url}{path}"
    mine, its = found.template.path, hidden.template.path
    if whole[: len(base)].lower() != base or _open(its) > _open(mine):
        return False
    if hidden.api.base_url == found.api.base_url and [one.shape for one in its] == [one.shape for one in mine]:
        return _spells_out(hidden, found, query)
    segments, _ = _segments(whole[len(base) - 1 :])
    parted = [part for segment in segments for part in segment.split("/")]
    return hidden.template.could_be(segments) or hidden.template.could_be(parted)


def _spells_out(hidden: Operation, found: Operation, query: str) -> bool:
    """Whether a query has all that an operation of the same path spells out of its own, and the one that was found does not."""
    mine, its = (
        {(name, piece.literal or "") for name, piece in one.template.query if not piece.names}
        for one in (found, hidden)
    )
    given = {name: caseless(value) for name, value in parse_qsl(query, keep_blank_values=True)}
    return bool(its - mine) and all(given.get(name) == caseless(value) for name, value in its - mine)


def _open(path: Sequence[Piece]) -> int:
    """How many segments of a path are not spelled out."""
    return sum(piece.literal is None for piece in path)


def _segments(path: str) -> tuple[list[str], BadCall | None]:
    """A path's decoded segments, and where some hold encoded slashes what to say if no operation takes them. Raises `BadCall`."""
    try:
        return _decoded_path(path, slash=False), None
    except BadValue as error:
        refusal = BadCall(f"{error}.")
    try:
        return _decoded_path(path, slash=True), refusal
    except BadValue:
        raise refusal from None


def _decoded_path(path: str, *, slash: bool) -> list[str]:
    return [
        decode_value(raw, where=f"'{shortened(raw)}' in the path", in_path=True, slash=slash)
        for raw in path[1:].split("/")
    ]


def _first_that_takes(
    fitting: list[tuple[Operation, dict[str, str]]], query: str
) -> tuple[Operation, dict[str, Value]]:
    problem: BadCall | None = None
    for operation, values in fitting:
        try:
            whole = values | _query(operation, query)
            _check_fillings(operation, whole)
            if missing := operation.required - set(whole) - set(operation.headers):
                raise BadCall(_needs(operation, missing))
        except BadCall as error:
            problem = problem or error
        else:
            return operation, whole
    assert problem is not None
    raise problem


def _locate(catalog: Catalog, url: str) -> list[tuple[Api | None, str]]:
    """The APIs whose base_url a whole URL begins with, the longest first, each with the rest; for a mere path (None, path)."""
    if len(url) > MAX_URL:
        raise BadCall(f"The url is longer than {MAX_URL:,} characters.")
    if "\\" in url or "#" in url or any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in url):
        raise BadCall("The url contains a backslash, a '#' or a control character; leave it out or percent-encode it.")
    if url.startswith("/") and not url.startswith("//"):
        return [(None, url)]
    found = [
        (api, url[len(api.base_url) :])
        for api in sorted(catalog.apis, key=lambda api: -len(api.base_url))
        if url[: len(api.base_url)].lower() == api.base_url.lower()
        and url[len(api.base_url) : len(api.base_url) + 1] == "/"
    ]
    if found:
        return list(found)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//", url):
        raise BadCall(
            f"That host is not in the catalog. Write only the path of an operation, for example {_example(catalog)}."
        )
    raise BadCall(f"The url has to start with '/', as in {_example(catalog)}.")


def _example(catalog: Catalog) -> str:
    return catalog.operations[0].url if catalog.operations else "/path"


def _no_operation(catalog: Catalog, method: str, path: str) -> str:
    names = {operation.name: operation.url for operation in catalog.operations}
    wanted = f"{method} {unquote_plus(path)}"
    close = difflib.get_close_matches(wanted, names, n=4, cutoff=0.5) or list(names)[:4]
    listed = "; ".join(f"{name.split(' ', 1)[0]} {names[name]}" for name in close)
    return f"The catalog has no operation {shortened(wanted)}. The nearest: {listed}. Use a listed one, its placeholders filled in."


def _query(operation: Operation, query: str) -> dict[str, Value]:
    """The values of the query's placeholders. An empty value counts as not given."""
    values: dict[str, Value] = {}
    known = dict(operation.template.query)
    seen: set[str] = set()
    for pair in query.split("&") if query else ():
        raw_name, _, raw_value = pair.partition("=")
        name = _decoded(raw_name.replace("+", "%20"), "A query name")
        if re.search(r"%[0-9A-Fa-f]{2}", name):
            raise BadCall("A query name still holds an escape after decoding; encode it once.")
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise BadCall(f"{operation.name} has no query parameter '{shortened(name)}'. Allowed: {allowed}.")
        listed = known[name].names[0] if known[name].is_whole and known[name].names[0] in operation.styles else None
        if name in seen and listed is None:
            raise BadCall(f"Duplicate query name '{name}'; give it once.")
        seen.add(name)
        if raw_value == "":
            continue
        if listed is not None:
            before = values.get(listed, ())
            assert isinstance(before, tuple)
            values[listed] = (*before, *_items(operation, listed, raw_value))
            continue
        found = known[name].match(_decoded(with_plus(raw_value), f"The query value of '{shortened(raw_name)}'"))
        if found is None:
            raise BadCall(
                f"'{name}' in the query is fixed to '{known[name].literal or operation.url}'; leave it out or write it so."
            )
        values |= found
    return values


def _items(operation: Operation, name: str, raw: str) -> tuple[str, ...]:
    """The items of a list in the query, each decoded by itself."""
    items = tuple(_decoded(with_plus(one), f"An item of '{name}'") for one in split_list(raw, operation.styles[name]))
    if "" in items:
        raise BadCall(f"'{name}' has an empty item; write, for example, 1,2.")
    return items


def _decoded(raw: str, where: str) -> str:
    if "+" in raw:  # a blank to most servers, and a plus sign to others
        raise BadCall(f"{where} holds a '+'. Write %20 where a space is meant, and %2B for a plus sign.")
    try:
        return decode_value(raw, where=where, in_path=False)
    except BadValue as error:
        raise BadCall(f"{error}.") from None


# --- values -----------------------------------------------------------------------------------------------------------


def headers_of(operation: Operation, raw: object) -> dict[str, str]:
    """The header parameters of a call, named as the catalog names them. Empty ones count as not given. Raises `BadCall`."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise BadCall('headers is an object of texts, for example {"X-Region": "eu"}.')
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
            headers[declared] = _header_text(declared, _text(declared, value))
    return headers


def _header_text(name: str, value: str) -> str:
    """A header's text as RFC 9110 (5.5) lets it be without any reading of its own: visible ASCII, blanks inside."""
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise BadCall(f"The header '{name}' takes printable ASCII on one line, without spaces around it.")
    if len(value) > MAX_VALUE:
        raise BadCall(f"The header '{name}' is longer than {MAX_VALUE:,} characters.")
    return value


def _check_fillings(operation: Operation, values: Mapping[str, Value]) -> None:
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


def _may_be_name(operation: Operation, name: str, value: Value) -> bool:
    """Whether a value that has a lookup needs it: it does not fit, or it is a text, which an id could be and a name as well."""
    reading = typed(operation.parameters.get(name, {}), value)
    return isinstance(reading, str) or any(True for _ in _misfit(operation, name, value))


# --- bodies -----------------------------------------------------------------------------------------------------------


def body_of(operation: Operation, raw: object) -> str | None:
    """The one text of a call's body, checked against the operation's schema. Raises `BadCall`."""
    value = _json(raw, "body is") if isinstance(raw, str) and raw.strip() else raw
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
    if operation.body is not None and (found := list(problems(operation.body, value))):
        raise BadCall(f"{operation.name}: body: " + "; ".join(found[:5]) + ".")
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


def _json(text: str, what: str) -> Any:
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
