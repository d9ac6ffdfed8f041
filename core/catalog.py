"""The catalog: what apis.yaml says, as values. Reading it here means reading its text; who opens the file is no matter of this room.

A mistake in the file raises `BadCatalog` with every entry that is wrong, its line and what to write instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from core.policy import ANYONE, ASKER, SAFE_METHODS, Rule
from core.settings import Misconfigured
from core.template import BadTemplate, Template, parse_template

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
DEFAULT_EXPIRY = 3_600.0  # seconds that an approval may wait where the catalog says nothing


class BadCatalog(Misconfigured):
    """The catalog's mistakes, a line each."""


# --- the file's shape -------------------------------------------------------------------------------------------------


def _expand(value: object, info: ValidationInfo) -> object:
    """`${VAR}` and `${VAR:-default}` from the environment; only base_url, auth and headers go through here."""
    if not isinstance(value, str):
        return value
    environ: Mapping[str, str] = (info.context or {}).get("environ", {})

    def look_up(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        text = environ.get(name) or default
        if text is None:
            raise ValueError(f"{name} is not set: set it in the environment, or write ${{{name}:-a default}}")
        return text

    return re.sub(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}", look_up, value)


def _base_url(value: str) -> str:
    value = value.strip()
    if any(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in value) or "\\" in value:
        raise ValueError("no blanks, backslashes or invisible characters in base_url")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError(f"'{value}' is no URL; write such as https://hr.example.com/v1") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a URL with its scheme, such as https://hr.example.com/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "no user or password in base_url: write them under auth: {basic: {username: ..., password: ...}}"
        )
    if parts.query or parts.fragment:
        raise ValueError("no '?' or '#' in base_url; a fixed query belongs into each endpoint's url")
    if any(unquote(step) in (".", "..") for step in parts.path.split("/")):
        raise ValueError("no '.' or '..' in base_url; write the path in full")
    return value.rstrip("/")


def _header_text(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or not text.isprintable() or not text.isascii():
        raise ValueError("write printable ASCII on one line (is the variable empty, or does it end in a line break?)")
    return value


def _seconds(value: object) -> object:
    """`45s`, `30m`, `1h`, `2d` -> seconds."""
    found = re.fullmatch(r"\s*(\d+)\s*([smhd])\s*", str(value))
    if not found or int(found[1]) == 0:
        raise ValueError("write a time such as 45s, 30m, 1h or 2d")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[found[2]]


def _schema(value: dict[str, Any]) -> dict[str, Any]:
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as error:
        raise ValueError(f"no valid JSON Schema: {error.message}") from None
    if _stray_secret(value, is_field=True):
        raise ValueError(
            "secret: true belongs on a field itself (under properties, or the items of a field's list) or on a parameter"
        )
    for ref in _refs(value):
        if ref != "#" and not _resolves(value, ref):
            raise ValueError(f"$ref '{ref}' leads nowhere; write '#/$defs/...' and define it in the same schema")
    return value


def _stray_secret(schema: object, *, is_field: bool) -> bool:
    """Whether `secret: true` stands where no field's name says what to hide."""
    match schema:
        case dict():
            if schema.get("secret") is True and not is_field:
                return True
            fields = schema.get("properties")
            below = [(one, True) for one in fields.values()] if isinstance(fields, dict) else []
            below += [
                (one, is_field and key == "items")
                for key, one in schema.items()
                if key not in ("properties", "enum", "const", "default", "examples")
            ]
            return any(_stray_secret(one, is_field=field) for one, field in below)
        case list():
            return any(_stray_secret(one, is_field=False) for one in schema)
    return False


def _refs(schema: object) -> Iterator[str]:
    match schema:
        case dict():
            if isinstance(ref := schema.get("$ref"), str):
                yield ref
            for value in schema.values():
                yield from _refs(value)
        case list():
            for value in schema:
                yield from _refs(value)


def _resolves(schema: object, ref: str) -> bool:
    for step in ref.removeprefix("#/").split("/") if ref.startswith("#/") else ("#",):
        schema = schema.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(schema, dict) else None
    return isinstance(schema, (dict, bool))


def _approver(value: str) -> str:
    if value in (ASKER, ANYONE) or re.fullmatch(r"@[a-z0-9._-]+|[SUW][A-Za-z0-9_]{2,}", value):
        return value
    raise ValueError(
        f"'{value}' is no approver: write a user id (U024BE7LH), a group (@hr-leads or S0614TZR7), {ASKER} or {ANYONE}"
    )


def _rules(value: object) -> object:
    """`always`, `never`, one rule or a list of them, as a list of rules."""
    match value:
        case "always":
            return ({},)
        case "never":
            return ()
        case None | []:
            raise ValueError("write always, never, a rule (approvers, quorum, ...) or a list of rules, or leave it out")
        case dict():
            return (value,)
        case list():
            return tuple(value)
    raise ValueError("write always, never, a rule (approvers, quorum, ...) or a list of rules")


def _not_never(value: tuple[ApprovalRule, ...] | None) -> tuple[ApprovalRule, ...] | None:
    if value == ():
        raise ValueError("approval: never is for single POST endpoints, not for a whole API")
    return value


def _preview(value: object) -> object:
    match value:
        case False:
            return None
        case str():
            return {"operation": value}
        case dict():
            return value
    raise ValueError("write false, the name of a GET operation, or {operation: ..., ignore: [...]}")


Secret = Annotated[SecretStr, BeforeValidator(_expand), AfterValidator(_header_text)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Schema = Annotated[dict[str, Any], AfterValidator(_schema)]
Expiry = Annotated[float, BeforeValidator(_seconds)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Basic(_Strict):
    username: Secret
    password: Secret


class HeaderKey(_Strict):
    name: HeaderName
    value: Secret


class QueryKey(_Strict):
    name: Annotated[str, Field(min_length=1)]
    value: Secret


class Auth(_Strict):
    """How the API knows the bot: exactly one of the four."""

    bearer: Secret | None = None
    basic: Basic | None = None
    header: HeaderKey | None = None
    query: QueryKey | None = None

    @model_validator(mode="after")
    def _one(self) -> Auth:
        if sum(way is not None for way in (self.bearer, self.basic, self.header, self.query)) != 1:
            raise ValueError("write exactly one of bearer, basic, header, query")
        return self


Approver = Annotated[str, AfterValidator(_approver)]


class ApprovalRule(_Strict):
    """Who decides, and when they have to."""

    approvers: tuple[Approver, ...] = (ASKER,)
    not_asker: bool = False
    quorum: Annotated[int, Field(ge=1, le=20)] = 1
    expires: Expiry | None = None
    when: Schema | None = None
    batch: bool = False

    @model_validator(mode="after")
    def _can_be_met(self) -> ApprovalRule:
        people = [one for one in self.approvers if one != ASKER or not self.not_asker]
        if not people:
            raise ValueError("nobody could approve: not_asker needs approvers other than the asker")
        if not any(one == ANYONE or one[:1] in "@S" for one in people) and self.quorum > len(set(people)):
            raise ValueError(
                f"quorum: {self.quorum} can never be met by {len(set(people))} approver(s); name more or lower it"
            )
        return self


Approval = Annotated[tuple[ApprovalRule, ...] | None, BeforeValidator(_rules)]  # None: not said; empty: never


class Preview(_Strict):
    """How a write's target is read before and after: `operation` names another GET, `ignore` fields that may change."""

    operation: str | None = None
    ignore: tuple[str, ...] = ()


class Entry(_Strict):
    """One endpoint as the file has it."""

    method: Annotated[str, BeforeValidator(lambda v: v.upper() if isinstance(v, str) else v)]
    url: str
    description: Annotated[str, Field(min_length=1)]
    parameters: dict[str, Schema] = {}
    body: Schema | None = None
    approval: Approval = None
    expires: Expiry | None = None
    preview: Annotated[Preview | None, BeforeValidator(_preview)] = Preview()

    @model_validator(mode="after")
    def _makes_sense(self) -> Entry:
        if self.method not in METHODS:
            raise ValueError(f"method '{self.method}' is not one of {', '.join(METHODS)}")
        if self.approval == () and self.method != "POST":
            raise ValueError(
                "approval: never is for POST only; leave it out (GET needs none, PUT, PATCH and DELETE always ask)"
            )
        if self.body is not None and self.body.get("secret") is True:
            raise ValueError("secret: true belongs on single fields of the body, or nobody could see what is approved")
        if self.body is not None and self.method in ("GET", "HEAD"):
            raise ValueError(f"a {self.method} has no body; put its values into the url's query")
        try:
            template = parse_template(self.url)
        except (BadTemplate, UnicodeError) as error:
            raise ValueError(str(error)) from None
        for name in self.parameters:
            if name not in template.names:
                raise ValueError(
                    f"parameters: '{name}' is no placeholder of {self.url}; write [{name}] there or drop it here"
                )
        return self


class ApiEntry(_Strict):
    """One API as the file has it."""

    name: Annotated[str, Field(min_length=1, max_length=80)] = "API"
    base_url: Annotated[str, BeforeValidator(_expand), AfterValidator(_base_url)]
    instructions: str = ""
    auth: Auth | None = None
    headers: dict[HeaderName, Secret] = {}
    approval: Annotated[Approval, AfterValidator(_not_never)] = None
    expires: Expiry | None = None
    endpoints: Annotated[list[Entry], Field(min_length=1)]


class CatalogFile(_Strict):
    """The file with several APIs; a file with one is that one's keys at the top."""

    apis: Annotated[list[ApiEntry], Field(min_length=1)]


# --- what the rest of the house works with ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Api:
    """One internal API: where it is and how it is told who calls. Secrets stay in here."""

    name: str
    base_url: str
    instructions: str
    auth: Auth | None = field(repr=False)
    headers: Mapping[str, SecretStr] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Operation:
    """What may be called: one entry of the catalog."""

    api: Api
    method: str
    url: str
    template: Template
    description: str
    parameters: Mapping[str, dict[str, Any]]
    body: dict[str, Any] | None
    rules: tuple[Rule, ...] | None  # of `approval:`; None: not said, empty: never
    expires: float  # seconds a proposal waits for a decision
    preview: Preview | None  # None: turned off

    @property
    def name(self) -> str:
        """`METHOD /path`, without the query."""
        return f"{self.method} {self.url.partition('?')[0]}"


@dataclass(frozen=True, eq=False)
class Catalog:
    """The allow-list."""

    apis: tuple[Api, ...]
    operations: tuple[Operation, ...]

    def named(self, api: Api, name: str) -> Operation | None:
        """The API's operation of this name (`METHOD /path`)."""
        return next((one for one in self.operations if one.api is api and one.name == name), None)

    def preview_of(self, operation: Operation) -> Operation | None:
        """The GET that shows what a write is about: the one that the entry names, else the one of the same path."""
        if operation.preview is None or operation.method not in ("PUT", "PATCH", "DELETE"):
            return None
        path = operation.name.split(" ", 1)[1]
        return self.named(operation.api, operation.preview.operation or f"GET {path}")

    def api(self, name: str) -> Api | None:
        return next((api for api in self.apis if api.name == name), None)


def load_catalog(text: str, environ: Mapping[str, str], *, source: str = "apis.yaml") -> Catalog:
    """The catalog that `text` (YAML) describes. Raises `BadCatalog`, naming `source`, entry and line."""
    root = _compose(text, source)
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadCatalog(f"{source}: no valid YAML: {error}.") from None
    if not isinstance(data, dict):
        raise BadCatalog(f"{source}: write a mapping with name, base_url and endpoints (README, 'The catalog').")
    several = "apis" in data
    try:
        file = CatalogFile.model_validate(data if several else {"apis": [data]}, context={"environ": environ})
    except ValidationError as error:
        lines = [
            _mistake(source, root, problem["loc"] if several else problem["loc"][2:], problem)
            for problem in error.errors()
        ]
        raise BadCatalog("\n".join(dict.fromkeys(lines))) from None
    apis = [_api(entry) for entry in file.apis]
    catalog = Catalog(
        tuple(api for api, _ in apis), tuple(operation for _, operations in apis for operation in operations)
    )
    _check_unique(catalog, source, root, several=several)
    _check_previews(catalog, source, root, several=several)
    return catalog


def _api(entry: ApiEntry) -> tuple[Api, list[Operation]]:
    api = Api(entry.name, entry.base_url, entry.instructions, entry.auth, entry.headers)
    return api, [_operation(api, one, entry) for one in entry.endpoints]


def _operation(api: Api, entry: Entry, of_api: ApiEntry) -> Operation:
    return Operation(
        api=api,
        method=entry.method,
        url=entry.url,
        template=parse_template(entry.url),
        description=" ".join(entry.description.split()),
        parameters=entry.parameters,
        body=entry.body,
        rules=_policy_rules(entry, of_api),
        expires=entry.expires or of_api.expires or DEFAULT_EXPIRY,
        preview=entry.preview,
    )


def _policy_rules(entry: Entry, of_api: ApiEntry) -> tuple[Rule, ...] | None:
    """The entry's own rules, else the API's, which are for writes only."""
    said = entry.approval
    if said is None and entry.method not in SAFE_METHODS:
        said = of_api.approval
    return None if said is None else tuple(Rule(**dict(one)) for one in said)


def _check_unique(catalog: Catalog, source: str, root: yaml.Node, *, several: bool) -> None:
    names = [api.name for api in catalog.apis]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise BadCatalog(
                f"{source}, line {_line(root, ('apis', index, 'name'))}: a second API is named '{name}'; give each its own name."
            )
    seen: set[tuple[str, str, str]] = set()
    counts = dict.fromkeys(names, 0)
    for operation in catalog.operations:
        place = ("endpoints", counts[operation.api.name])
        counts[operation.api.name] += 1
        key = (operation.api.name, operation.method, operation.url)
        if key in seen:
            where = ("apis", names.index(operation.api.name), *place) if several else place
            raise BadCatalog(
                f"{source}, line {_line(root, where)}: {operation.method} {operation.url} stands twice; remove one."
            )
        seen.add(key)


def _check_previews(catalog: Catalog, source: str, root: yaml.Node, *, several: bool) -> None:
    """A preview has to name a GET of the same API that needs no placeholder which the write does not have."""
    for operation in catalog.operations:
        if operation.preview is None or operation.preview.operation is None:
            continue
        read = catalog.named(operation.api, operation.preview.operation)
        same = [one for one in catalog.operations if one.api is operation.api]
        place = ("endpoints", same.index(operation), "preview")
        where = ("apis", catalog.apis.index(operation.api), *place) if several else place
        if read is None or read.method != "GET":
            names = ", ".join(one.name for one in same if one.method == "GET") or "none"
            raise BadCatalog(
                f"{source}, line {_line(root, where)}: preview: '{operation.preview.operation}' is no GET of this API; there is: {names}."
            )
        if missing := {name for piece in read.template.path for name in piece.names} - operation.template.names:
            raise BadCatalog(
                f"{source}, line {_line(root, where)}: preview: {read.name} needs [{min(missing)}], which {operation.name} does not have."
            )


# --- lines ------------------------------------------------------------------------------------------------------------


def _compose(text: str, source: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadCatalog(f"{source}, line {line}: no valid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise BadCatalog(f"{source}: no valid YAML: {error}.") from None
    if root is None:
        raise BadCatalog(f"{source} is empty; write name, base_url and endpoints (README, 'The catalog').")
    for key, line in _twice(root):
        raise BadCatalog(
            f"{source}, line {line}: the key '{key}' stands twice here; YAML would keep only the last one."
        )
    return root


def _twice(node: yaml.Node, above: tuple[int, ...] = ()) -> Iterator[tuple[str, int]]:
    if id(node) in above:  # an alias that holds itself
        return
    match node:
        case yaml.MappingNode():
            keys = [key.value for key, _ in node.value]
            yield from (
                (key.value, key.start_mark.line + 1) for i, (key, _) in enumerate(node.value) if key.value in keys[:i]
            )
            for _, value in node.value:
                yield from _twice(value, (*above, id(node)))
        case yaml.SequenceNode():
            for value in node.value:
                yield from _twice(value, (*above, id(node)))


def _line(node: yaml.Node, where: tuple[int | str, ...]) -> int:
    """The line of the deepest place of `where` that the file has."""
    line = node.start_mark.line + 1
    for step in where:
        match node:
            case yaml.MappingNode() if isinstance(step, int):
                continue  # one rule written without a list
            case yaml.MappingNode():
                found = next(((key, value) for key, value in node.value if key.value == str(step)), None)
                if found is None:
                    return line
                line, node = found[0].start_mark.line + 1, found[1]
            case yaml.SequenceNode() if isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            case _:
                return line
    return line


_WORDS = {
    "missing": "'{key}' is missing; add it",
    "extra_forbidden": "'{key}' is no key of the catalog; see docs/catalog.md for the keys, or remove it",
    "too_short": "'{key}' is empty; write at least one",
    "string_type": "'{key}' takes text",
    "dict_type": "'{key}' takes a mapping (key: value)",
    "list_type": "'{key}' takes a list (lines that start with '- ')",
    "literal_error": "'{key}' takes {expected}",
    "model_type": "'{key}' takes a mapping (key: value)",
}


def _mistake(source: str, root: yaml.Node, where: tuple[int | str, ...], problem: Any) -> str:
    key = where[-1] if where else "the file"
    words = _WORDS.get(problem["type"], "{key}: {message}").format(
        key=key,
        message=problem["msg"].removeprefix("Value error, "),
        expected=(problem.get("ctx") or {}).get("expected", ""),
    )
    at = where.index("endpoints") + 1 if "endpoints" in where else len(where)
    number = where[at] if at < len(where) else None
    entry = f"endpoint {number + 1}, " if isinstance(number, int) else ""
    if words.startswith(f"{key}: ") and (isinstance(key, int) or not where):
        words = words.split(": ", 1)[1]
    return f"{source}, {entry}line {_line(root, where)}: {words.rstrip('.')}."
