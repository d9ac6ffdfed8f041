"""The shape of apis.yaml: each key as a pydantic model, with what can be checked of one entry by itself.

What has to hold between entries stands in catalog_checks.py; what the house works with, in catalog.py.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import jmespath
from jmespath.exceptions import JMESPathError
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    model_validator,
)

from core.plain_schema import surely_valid
from core.policy import ANYONE, ASKER, SAFE_METHODS
from core.template import BadTemplate, Template, parse_template

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
MAX_PROMPTS = 4  # https://docs.slack.dev/reference/methods/assistant.threads.setSuggestedPrompts
_MAX_TITLE, _MAX_MESSAGE = 75, 2_000  # characters; Slack names no limit: a title is a button, whose label takes 75

# Headers that no call may bring: who calls, where it goes, how the body is read, and what would make another call of it.
_RESERVED = frozenset(
    ("accept", "accept-encoding", "authorization", "connection", "cookie", "cookie2", "date", "expect", "forwarded",
     "host", "idempotency-key", "if-match", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
     "via", "x-method-override", "x-real-ip")
)  # fmt: skip
_RESERVED_BEGINNINGS = ("content-", "proxy-", "sec-", "x-forwarded-", "x-http-method", "x-original-", "x-rewrite-")


def header_key(name: str) -> str:
    """A header's name as servers compare it: capitals do not count, and CGI makes '_' of '-'."""
    return name.lower().replace("_", "-")


def is_reserved(name: str) -> bool:
    """Whether a header of this name is the bot's alone to send."""
    return header_key(name) in _RESERVED or header_key(name).startswith(_RESERVED_BEGINNINGS)


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
    if not surely_valid(value):
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
        raise ValueError("approval: never is for single POST endpoints, not for a whole API or channel")
    return value


def _jmespath(value: str) -> str:
    try:
        jmespath.compile(value)
    except JMESPathError:
        raise ValueError(f"'{value}' is no JMESPath; write such as data[*].id, see https://jmespath.org") from None
    return value


def _prompt(value: object) -> object:
    """A mere text is both what the button says and what it asks."""
    return {"title": value, "message": value} if isinstance(value, str) else value


def _json_value(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("write JSON values only; a date goes into quotes") from None
    return value


def _channels(value: dict[str, ChannelEntry]) -> dict[str, ChannelEntry]:
    for name in value:
        if not re.fullmatch(r"#[^\s,#]+|[CGD][A-Z0-9]{2,}", name):
            raise ValueError(f"'{name}' is no channel; write its id (C024BE7LH), or its name in quotes (\"#hr-bot\")")
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
HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"  # RFC 9110, 5.1
HeaderName = Annotated[str, Field(pattern=HEADER_NAME)]
Schema = Annotated[dict[str, Any], AfterValidator(_schema)]
Expiry = Annotated[float, BeforeValidator(_seconds)]


Jmespath = Annotated[str, Field(min_length=1), AfterValidator(_jmespath)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


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


class Lookup(_Strict):
    """A name becomes an id: the list that `operation` (a GET of the same API) gives, the fields to compare, the field with the id."""

    operation: str
    match: Annotated[tuple[Jmespath, ...], Field(min_length=1)]
    id: Jmespath


class Parameter(BaseModel):
    """What the catalog says of one value: our own keys, and beside them its JSON Schema (`plain`)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    in_: Annotated[Literal["header"] | None, Field(alias="in")] = None
    required: bool = False
    lookup: Lookup | None = None
    style: Literal["form", "spaceDelimited", "pipeDelimited"] | None = None
    explode: bool | None = None

    @property
    def plain(self) -> dict[str, Any]:
        """The JSON Schema alone."""
        return self.model_extra or {}

    @property
    def is_list(self) -> bool:
        kind = self.plain.get("type")
        return "array" in (kind if isinstance(kind, list) else [kind])

    @property
    def spelling(self) -> tuple[str, bool]:
        """(style, explode) with OpenAPI 3's defaults: form, and exploded where the style is form."""
        style = self.style or "form"
        return style, style == "form" if self.explode is None else self.explode

    @model_validator(mode="after")
    def _makes_sense(self) -> Parameter:
        _schema(self.plain)
        if not self.is_list and (self.style is not None or self.explode is not None):
            raise ValueError("style and explode are for lists; write type: array beside them, or drop them")
        if self.is_list and self.lookup is not None:
            raise ValueError("a lookup finds one id; it cannot stand beside type: array")
        return self


class Pagination(_Strict):
    """How the further pages of a list are found. In an operation, `parameter` and `size` are placeholders' names where they name one."""

    style: Literal["page", "offset", "cursor", "link", "next_url", "header"]
    parameter: str | None = None
    size: str | None = None
    items: Jmespath | None = None
    next: Jmespath | None = None
    more: Jmespath | None = None
    pages: Jmespath | None = None
    total: Jmespath | None = None
    header: HeaderName | None = None
    max_pages: Annotated[int, Field(ge=1, le=1_000)] = 50
    max_items: Annotated[int, Field(ge=1, le=100_000)] = 5_000

    @model_validator(mode="after")
    def _has_what_its_style_needs(self) -> Pagination:
        needs = {
            "parameter": self.style in ("page", "offset", "cursor", "header"),
            "next": self.style in ("cursor", "next_url"),
            "header": self.style == "header",
        }
        for key, is_needed in needs.items():
            if is_needed and getattr(self, key) is None:
                raise ValueError(f"style {self.style} needs '{key}'; see docs/catalog.md")
            if not is_needed and getattr(self, key) is not None:
                raise ValueError(f"style {self.style} has no '{key}'; remove it, or choose another style")
        return self


class Limits(_Strict):
    """What an API can take: requests at once, and requests started per second. None: no bound."""

    at_once: Annotated[int, Field(ge=1, le=1_000)] | None = None
    per_second: Annotated[float, Field(gt=0, le=10_000)] | None = None


class Entry(_Strict):
    """One endpoint as the file has it."""

    method: Annotated[str, BeforeValidator(lambda v: v.upper() if isinstance(v, str) else v)]
    url: str
    description: Annotated[str, Field(min_length=1)]
    enabled: bool = True
    parameters: dict[str, Parameter] = {}
    body: Schema | None = None
    body_type: Literal["json", "form", "multipart"] = "json"
    approval: Approval = None
    expires: Expiry | None = None
    preview: Annotated[Preview | None, BeforeValidator(_preview)] = Preview()
    pagination: Pagination | None = None

    @cached_property
    def template(self) -> Template:
        return parse_template(self.url)

    @property
    def name(self) -> str:
        """`METHOD /path`, without the query."""
        return f"{self.method} {self.url.partition('?')[0]}"

    @property
    def headers(self) -> tuple[str, ...]:
        """The names of the headers that a call may bring."""
        return tuple(name for name, one in self.parameters.items() if one.in_ == "header")

    @property
    def required(self) -> frozenset[str]:
        """The placeholders and headers that a call has to fill in: those of the path always, others where the entry says so."""
        return self.template.path_names | {name for name, one in self.parameters.items() if one.required}

    @property
    def fixed(self) -> frozenset[str]:
        """The query names whose value the url spells out."""
        return frozenset(name for name, piece in self.template.query if not piece.names)

    def placeholder(self, name: str) -> str | None:
        """The placeholder that `name` means: its own name, or the query name whose whole value it is."""
        whole = {query: piece.names[0] for query, piece in self.template.query if piece.is_whole}
        return name if name in self.template.names else whole.get(name)

    @model_validator(mode="after")
    def _makes_sense(self) -> Entry:
        if self.method not in METHODS:
            raise ValueError(f"method '{self.method}' is not one of {', '.join(METHODS)}")
        if self.approval == () and self.method != "POST":
            raise ValueError(
                "approval: never is for POST only; leave it out (GET needs none, PUT, PATCH and DELETE always ask)"
            )
        if self.pagination is not None and self.method != "GET":
            raise ValueError(f"pagination is for GET; a {self.method} gives no list")
        try:
            template = self.template
        except (BadTemplate, UnicodeError) as error:
            raise ValueError(str(error)) from None
        for name, parameter in self.parameters.items():
            _check_parameter(name, parameter, template, self.url)
        _check_body(self)
        return self


def _check_parameter(name: str, parameter: Parameter, template: Template, url: str) -> None:
    """A parameter against its entry's url. Raises `ValueError`."""
    if parameter.in_ == "header":
        _check_header(name, parameter, template)
        return
    if name not in template.names:
        raise ValueError(
            f"parameters: '{name}' is no placeholder of {url}; write [{name}] there, say in: header, or drop it here"
        )
    if parameter.required and name in template.path_names:
        raise ValueError(f"parameters: '{name}' is part of the path and so always required; drop 'required'")
    if parameter.is_list and not any(piece.is_whole and piece.names == (name,) for _, piece in template.query):
        raise ValueError(
            f"parameters: '{name}' is a list, which only a query takes, as in ?{name}=[{name}]; elsewhere write type: string"
        )


def _check_header(name: str, parameter: Parameter, template: Template) -> None:
    if name in template.names:
        raise ValueError(f"parameters: '{name}' is a placeholder of the url, so it is no header; drop 'in'")
    if not re.fullmatch(HEADER_NAME, name):
        raise ValueError(f"parameters: '{name}' is no header's name; write letters, digits and '-'")
    if is_reserved(name):
        raise ValueError(f"parameters: a call may not bring the header '{name}'; fixed ones go under the API's headers")
    if parameter.is_list:
        raise ValueError(f"parameters: '{name}' is a header and takes one text; write type: string")
    if parameter.plain.get("secret") is True:
        raise ValueError(f"parameters: '{name}' is shown to who approves it; secret ones go under the API's headers")


def _check_body(entry: Entry) -> None:
    """A body's schema and type against the method, and each other. Raises `ValueError`."""
    body = entry.body
    if body is not None and body.get("secret") is True:
        raise ValueError("secret: true belongs on single fields of the body, or nobody could see what is approved")
    if entry.method in SAFE_METHODS and (body is not None or entry.body_type != "json"):
        raise ValueError(f"a {entry.method} has no body; put its values into the url's query")
    if entry.body_type != "json" and body is not None and body.get("type", "object") != "object":
        raise ValueError(f"body_type: {entry.body_type} sends named fields, so the body is of type: object")
    for name, field in _properties(body if entry.body_type == "form" else None):
        if field.get("style", "form") not in ("form", "deepObject") or not isinstance(field.get("explode", True), bool):
            raise ValueError(f"body: {name}: write style: form or deepObject, and explode: true or false")


def _properties(body: Schema | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    properties = body.get("properties") if body is not None else None
    for name, field in properties.items() if isinstance(properties, dict) else ():
        if isinstance(field, dict):
            yield name, field


class RequestBody(_Strict):
    """What a recipe's step sends; texts in it may be expressions."""

    payload: Annotated[Any, AfterValidator(_json_value)]


class StepEntry(_Strict):
    """One call of a recipe as the file has it."""

    step_id: Annotated[Word, Field(alias="stepId")]
    operation: str
    parameters: Annotated[dict[str, Any], AfterValidator(_json_value)] = {}
    request_body: Annotated[RequestBody | None, Field(alias="requestBody")] = None
    outputs: dict[Word, str] = {}


class RecipeEntry(_Strict):
    """A named operation made of several calls, as the file has it; the words are OpenAPI's Arazzo."""

    workflow_id: Annotated[Word, Field(alias="workflowId")]
    description: Annotated[str, Field(min_length=1)]
    inputs: Schema = {"type": "object", "additionalProperties": False}
    steps: Annotated[tuple[StepEntry, ...], Field(min_length=1, max_length=20)]
    outputs: dict[Word, str] = {}

    @property
    def input_names(self) -> frozenset[str]:
        properties = self.inputs.get("properties")
        return frozenset(properties) if isinstance(properties, dict) else frozenset()


class ApiEntry(_Strict):
    """One API as the file has it."""

    name: Annotated[str, Field(min_length=1, max_length=80)] = "API"
    base_url: Annotated[str, BeforeValidator(_expand), AfterValidator(_base_url)]
    instructions: str = ""
    auth: Auth | None = None
    headers: dict[HeaderName, Secret] = {}
    approval: Annotated[Approval, AfterValidator(_not_never)] = None
    expires: Expiry | None = None
    limits: Limits = Limits()
    pagination: Pagination | None = None
    endpoints: Annotated[list[Entry], Field(min_length=1)]
    recipes: list[RecipeEntry] = []

    def named(self, name: str) -> Entry | None:
        """The entry of this name (`METHOD /path`), unless it is switched off."""
        return next((one for one in self.endpoints if one.enabled and one.name == name), None)


class Prompt(_Strict):
    """A suggestion in Slack's assistant pane: what the button says, and what it asks."""

    title: Annotated[str, Field(min_length=1, max_length=_MAX_TITLE)]
    message: Annotated[str, Field(min_length=1, max_length=_MAX_MESSAGE)]


class ChannelEntry(_Strict):
    """What holds in one Slack channel alone: words for the model, what may be called there, a rule beside the operations' own."""

    instructions: str = ""
    operations: Annotated[tuple[str, ...] | None, Field(min_length=1)] = None
    approval: Annotated[Approval, AfterValidator(_not_never)] = None


class CatalogFile(_Strict):
    """The file with several APIs; a file with one has that one's keys at the top, beside `prompts` and `channels`."""

    apis: Annotated[list[ApiEntry], Field(min_length=1)]
    prompts: Annotated[tuple[Annotated[Prompt, BeforeValidator(_prompt)], ...], Field(max_length=MAX_PROMPTS)] = ()
    channels: Annotated[dict[str, ChannelEntry], AfterValidator(_channels)] = {}
