"""The shape of apis.yaml: each key as a pydantic model, with what can be checked of one entry by itself.

The words below each key are what an editor shows (json_schema.py). The larger keys have modules of their own: approval_entry.py,
parameter_entry.py, pagination_entry.py, and auth.py. Single values are in values.py, what has to hold between entries in checks.py, what
the program works with in catalog.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from base.written_numbers import as_text
from catalog.approval_entry import ApprovalKey, AskersKey, not_never, one_or_several
from catalog.auth import Auth, Tls
from catalog.pagination_entry import Pagination
from catalog.parameter_entry import Parameter
from catalog.rules import SAFE_METHODS
from catalog.secret_values import check_path, is_secret, secret_names
from catalog.template import BadTemplate, Template, parse_template
from catalog.values import (
    HEADER_NAME,
    METHODS,
    BaseUrl,
    Expiry,
    HeaderName,
    Jmespath,
    Method,
    Schema,
    Secret,
    Strict,
    Word,
    is_reserved,
)

MAX_PROMPTS = 4  # https://docs.slack.dev/reference/methods/assistant.threads.setSuggestedPrompts
_MAX_WORD = 80  # characters of what people say for something
_MAX_TITLE, _MAX_MESSAGE = 75, 2_000  # characters; Slack names no limit: a title is a button, whose label takes 75


def _prompt(value: object) -> object:
    """A mere text is both what the button says and what it asks."""
    value = as_text(value)
    return {"title": value, "message": value} if isinstance(value, str) else value


def _several(value: object) -> object:
    """A mere text is a list of one."""
    match value:
        case str():
            return [value]
        case list():
            return value
    raise ValueError("write a word of this API's operations, or a list of them")


def _channels(value: dict[str, ChannelEntry]) -> dict[str, ChannelEntry]:
    for name in value:
        if not re.fullmatch(r"#[^\s,#]+|[CGD][A-Z0-9]{2,}", name):
            raise ValueError(
                f"'{name}' is not a channel; write its id (C024BE7LH), or its name in quotes (\"#hr-bot\")"
            )
    return value


def _preview(value: object) -> object:
    match value:
        case False:
            return None
        case str():
            return {"operation": value}
        case dict():
            return value
    raise ValueError("write false, the name of a GET operation, or {operation: ..., ignore: [...], compare: [...]}")


class Preview(Strict):
    """How a write's target is read for the card and before sending: which GET shows it, and which fields may change meanwhile."""

    operation: str | None = None
    """Another GET of this API that shows the target better, for example GET /users/[id]/summary."""
    ignore: tuple[str, ...] = ()
    """Fields that may change between the card and the write, by name or path: updated_at, or stats.hits."""
    compare: tuple[str, ...] = ()
    """The only fields that must not change, beside the target's name and id. Left out: all but those under ignore."""

    @model_validator(mode="after")
    def _is_clear(self) -> Preview:
        if both := sorted(set(self.ignore) & set(self.compare)):
            raise ValueError(f"'{both[0]}' is under both ignore and compare; keep one")
        return self


class Limits(Strict):
    """How much an API can take: requests at once, and requests started per second. Left out: no limit."""

    at_once: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """How many requests may be under way at once."""
    per_second: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """How many requests may start per second; 0.5 is one in two seconds."""


def _hide_paths(said: tuple[str, ...]) -> tuple[str, ...]:
    for path in said:
        check_path(path)
    return said


Hide = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=_MAX_WORD)], ...],
    BeforeValidator(one_or_several, json_schema_input_type=str | list[str]),
    AfterValidator(_hide_paths),
]
_BODY_TYPE = r"^(json|form|multipart|application/([A-Za-z0-9_.-]+\+)?json)$"
BODY_TYPES = ["json", "form", "multipart", "application/merge-patch+json", "application/json-patch+json"]


def _body_type(said: str) -> str:
    if not re.fullmatch(_BODY_TYPE, said):
        raise ValueError(f"write {', '.join(BODY_TYPES[:-1])} or another media type of JSON")
    return said


class Entry(Strict):
    """One endpoint as the file has it."""

    method: Method
    """GET, HEAD, POST, PUT, PATCH or DELETE."""
    url: str
    """Path and query below base_url. [name] or {name} is a placeholder; those in the query are optional."""
    description: Annotated[str, Field(min_length=1)]
    """What it does, for the model. Nothing matters more for good answers."""
    enabled: bool = True
    """false: the entry stays in the file, but is switched off."""
    askers: AskersKey = None
    """Who may ask for it: users (U024BE7LH), user groups (@hr-leads in quotes, or S0614TZR7), e-mail domains (example.com),
    apps and workflows (B061EG9T2 or A061EG9T2), everybody. Left out: the API's askers."""
    parameters: dict[str, Parameter] = {}
    """A JSON Schema for each placeholder of the url, and for each header that a call may set (in: header)."""
    body: Schema | None = None
    """A JSON Schema of the body. Without it any JSON may be sent."""
    body_required: bool = True
    """false: a call may leave its body out."""
    body_type: Annotated[
        str, AfterValidator(_body_type), Field(json_schema_extra={"pattern": _BODY_TYPE, "examples": BODY_TYPES})
    ] = "json"
    """How the body is sent: json, form, multipart, or a media type of JSON, for example application/merge-patch+json. Default: json."""
    approval: ApprovalKey = None
    """always, never (POST only), a rule or a list of rules. Left out: the API's approval, else the method decides."""
    expires: Expiry | None = None
    """How long a request waits for its decision: 45s, 30m, 2h, 1d. Default: 1h."""
    preview: Annotated[
        Preview | None, BeforeValidator(_preview, json_schema_input_type=Literal[False] | str | Preview)
    ] = Preview()
    """How a write's target is shown: by another GET, which fields count, or false. Default: by the GET nearest to its path."""
    title: Annotated[
        tuple[Jmespath, ...], BeforeValidator(one_or_several, json_schema_input_type=Jmespath | list[Jmespath])
    ] = ()
    """What cards call the target: a field of its data (JMESPath), or several that together make its name."""
    hide: Hide = ()
    """Fields that are removed from its answers before the model sees them, beside those of the API: salary, "*.iban"."""
    pagination: Pagination | None = None
    """How the further pages of this list are read. Default: the API's pagination, where it fits."""

    @cached_property
    def template(self) -> Template:
        """The url, parsed. Raises `BadTemplate`."""
        return parse_template(self.url)

    @property
    def name(self) -> str:
        """`METHOD /path`, without the query."""
        return f"{self.method} {self.url.partition('?')[0]}"

    @property
    def headers(self) -> tuple[str, ...]:
        """The names of the headers that a call may set."""
        return tuple(name for name, one in self.parameters.items() if one.in_ == "header")

    @property
    def required(self) -> frozenset[str]:
        """The placeholders and headers that a call has to fill in: those of the path always, others where the entry says so."""
        return self.template.path_names | {name for name, one in self.parameters.items() if one.required}

    @property
    def fixed(self) -> frozenset[str]:
        """The query names whose value the url spells out."""
        return frozenset(name for name, piece in self.template.query if not piece.names)

    def typed(self, name: str, value: Any) -> Any:
        """A value of the file for a placeholder or header, as its schema means it."""
        return self.parameters.get(name, Parameter()).typed(value)

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
            raise ValueError(f"pagination is for GET; a {self.method} returns no list")
        if "preview" in self.model_fields_set and self.method in SAFE_METHODS:
            raise ValueError(f"preview is for writes; a {self.method} changes nothing")
        if self.title and self.method == "HEAD":
            raise ValueError("title is for what shows or changes a thing; a HEAD shows none")
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
            f"parameters: '{name}' is not a placeholder of {url}; write [{name}] there, say in: header, or drop it here"
        )
    if parameter.slash and name not in template.path_names:
        raise ValueError(f"parameters: '{name}' is in the query, which takes any slash; drop 'slash'")
    if parameter.required and name in template.path_names:
        raise ValueError(f"parameters: '{name}' is part of the path and so always required; drop 'required'")
    if parameter.is_list and not any(piece.is_whole and piece.names == (name,) for _, piece in template.query):
        raise ValueError(
            f"parameters: '{name}' is a list, which only a query takes, as in ?{name}=[{name}]; elsewhere write type: string"
        )


def _check_header(name: str, parameter: Parameter, template: Template) -> None:
    if parameter.slash:
        raise ValueError(f"parameters: '{name}' is a header, which takes any slash; drop 'slash'")
    if name in template.names:
        raise ValueError(f"parameters: '{name}' is a placeholder of the url, so it is not a header; drop 'in'")
    if not re.fullmatch(HEADER_NAME, name):
        raise ValueError(f"parameters: '{name}' is not a header name; write letters, digits and '-'")
    if is_reserved(name):
        raise ValueError(f"parameters: a call may not set the header '{name}'; fixed ones go under the API's headers")
    if parameter.is_list:
        raise ValueError(f"parameters: '{name}' is a header and takes one text; write type: string")
    if parameter.plain.get("secret") is True:
        raise ValueError(
            f"parameters: '{name}' is shown to whoever approves it; put secret ones under the API's headers"
        )


def _check_body(entry: Entry) -> None:
    """A body's schema and type against the method, and each other. Raises `ValueError`."""
    body = entry.body
    if body is not None and body.get("secret") is True:
        raise ValueError("secret: true belongs on single fields of the body, or nobody could see what is approved")
    if entry.method in SAFE_METHODS and (body is not None or entry.body_type != "json" or not entry.body_required):
        raise ValueError(f"a {entry.method} has no body; put its values into the url's query")
    if entry.body_type in ("form", "multipart") and body is not None and body.get("type", "object") != "object":
        raise ValueError(f"body_type: {entry.body_type} sends named fields, so the body is of type: object")
    for name, field in _properties(body if entry.body_type == "form" else None):
        if field.get("style", "form") not in ("form", "deepObject") or not isinstance(field.get("explode", True), bool):
            raise ValueError(f"body: {name}: write style: form or deepObject, and explode: true or false")


def _properties(body: Schema | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    properties = body.get("properties") if body is not None else None
    for name, field in properties.items() if isinstance(properties, dict) else ():
        if isinstance(field, dict):
            yield name, field


class RequestBody(Strict):
    """What a recipe's step sends; texts in it may be expressions."""

    payload: Any
    """The body. A text in it may be an expression, for example $inputs.email."""


class StepEntry(Strict):
    """One call of a recipe as the file has it."""

    step_id: Annotated[Word, Field(alias="stepId")]
    """The step's name, for $steps.<stepId>.outputs.<name> in later steps."""
    operation: str
    """An operation of this API by method and path, for example GET /users."""
    parameters: dict[str, Any] = {}
    """Values by the name of a placeholder, query parameter or header; a text may be an expression."""
    request_body: Annotated[RequestBody | None, Field(alias="requestBody")] = None
    """The body of a write."""
    outputs: dict[Word, str] = {}
    """Parts of the answer by name, for example id: $response.body#/data/0/id."""


class RecipeEntry(Strict):
    """A named operation made of several calls, as the file has it; the keys are those of OpenAPI's Arazzo."""

    workflow_id: Annotated[Word, Field(alias="workflowId")]
    """The name by which the model calls it; unique in the file."""
    description: Annotated[str, Field(min_length=1)]
    """What it does, for the model."""
    inputs: Schema = {"type": "object", "additionalProperties": False}
    """A JSON Schema of type object: what a call has to provide."""
    steps: Annotated[tuple[StepEntry, ...], Field(min_length=1, max_length=20)]
    """The calls in their order. The last one may be a write."""
    outputs: dict[Word, str] = {}
    """What the model gets from a recipe without a write, for example id: $steps.person.outputs.id."""

    @property
    def input_names(self) -> frozenset[str]:
        """What may be given to a run, by name."""
        properties = self.inputs.get("properties")
        return frozenset(properties) if isinstance(properties, dict) else frozenset()


_Said = Annotated[str, Field(min_length=1, max_length=_MAX_WORD)]
_Meanings = Annotated[
    Annotated[tuple[_Said, ...], Field(min_length=1)],
    BeforeValidator(_several, json_schema_input_type=_Said | Annotated[list[_Said], Field(min_length=1)]),
]


class ApiEntry(Strict):
    """One API as the file has it."""

    name: Annotated[str, Field(min_length=1, max_length=80)] = "API"
    """What people and logs call it."""
    base_url: BaseUrl
    """Its URL, for example https://hr.example.com/v1 or ${HR_API_URL}. No credentials, no query."""
    instructions: str = ""
    """Instructions for the model: who it is, and what it should know about this API."""
    auth: Auth | None = None
    """How the bot authenticates: one key for the bot, actor to tell the API who asks, or both."""
    tls: Tls | None = None
    """The certificates of this API's connections: the bot's own (mTLS), and the authorities to trust."""
    headers: dict[HeaderName, Secret] = {}
    """Headers that are sent with each request. Write secrets as ${VAR} to take them from the environment."""
    askers: AskersKey = None
    """Who may ask for its operations, for all endpoints that do not say so themselves: users, user groups, e-mail domains,
    apps, everybody. Left out: everybody who may use the bot."""
    answers: Literal["dm"] | None = None
    """dm: an answer that uses this API's data goes to the asker alone, as a direct message. Left out: it is posted where it was asked."""
    approval: Annotated[ApprovalKey, AfterValidator(not_never)] = None
    """Who decides, for all writes of this API that do not say so themselves: always, a rule or a list of rules."""
    expires: Expiry | None = None
    """How long a request waits for its decision, for all writes that do not say so themselves. Default: 1h."""
    limits: Limits = Limits()
    """How many requests this API can take."""
    hide: Hide = ()
    """Fields that are removed from all answers of this API before the model sees them: salary, "*.iban"."""
    words: dict[_Said, _Meanings] = {}
    """What people say, and the word that this API uses for it: server: droplet. Several are a list."""
    pagination: Pagination | None = None
    """How this API's lists are paged. A list that is paged differently says so at its endpoint."""
    endpoints: Annotated[list[Entry], Field(min_length=1)]
    """The operations. What is not listed cannot be called."""
    recipes: list[RecipeEntry] = []
    """Named operations made of several calls."""

    @model_validator(mode="after")
    def _has_tls(self) -> ApiEntry:
        if self.tls is not None and self.base_url.startswith("http://"):
            raise ValueError(
                "tls is for base_url with https://, and this one begins with http://; change it, or leave tls out"
            )
        return self

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the fields that any endpoint marks as secret; hidden wherever they appear."""
        of_bodies = (name for one in self.endpoints for name in secret_names(one.body))
        of_values = (name for one in self.endpoints for name, each in one.parameters.items() if is_secret(each.plain))
        return frozenset((*of_bodies, *of_values))

    def named(self, name: str) -> Entry | None:
        """The entry of this name (`METHOD /path`), unless it is switched off."""
        return next((one for one in self.endpoints if one.enabled and one.name == name), None)


class Prompt(Strict):
    """A suggestion in Slack's assistant pane: what the button says, and what it asks."""

    title: Annotated[str, Field(min_length=1, max_length=_MAX_TITLE)]
    """What the button says."""
    message: Annotated[str, Field(min_length=1, max_length=_MAX_MESSAGE)]
    """What it asks."""
    askers: AskersKey = None
    """To whom it is suggested, as for an endpoint. Left out: to everybody."""


class ChannelEntry(Strict):
    """What applies in one Slack channel alone: instructions for the model, what may be called, rules beside the operations' own."""

    instructions: str = ""
    """Instructions for the model, in this channel only."""
    operations: Annotated[tuple[str, ...] | None, Field(min_length=1)] = None
    """The only operations that may be called here, by name; * is any text: GET *. Left out: all."""
    approval: Annotated[ApprovalKey, AfterValidator(not_never)] = None
    """Rules for writes in this channel, beside the operations' own; the strictest applies."""


def _link_host(name: str) -> str:
    host = name.removeprefix("*.").lower()
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", host):
        raise ValueError(
            f"'{name}' is not a host name; write only the name, for example wiki.example.com or *.example.com"
        )
    return name.lower()


LinkHost = Annotated[str, AfterValidator(_link_host)]
_Prompt = Annotated[Prompt, BeforeValidator(_prompt, json_schema_input_type=str | Prompt)]


class CatalogFile(Strict):
    """A file with several APIs; a file with one has its keys at the top, beside `prompts` and `channels`."""

    apis: Annotated[list[ApiEntry], Field(min_length=1)]
    """Several APIs, each with the keys of one."""
    prompts: Annotated[tuple[_Prompt, ...], Field(max_length=MAX_PROMPTS)] = ()
    """Up to four suggestions in Slack's assistant pane: a text, or title and message."""
    channels: Annotated[dict[str, ChannelEntry], AfterValidator(_channels)] = {}
    """What applies in single Slack channels, by id (C024BE7LH) or by name in quotes ("#hr-bot")."""
    links: Literal["plain"] | None = None
    """plain: URLs in answers are written as code, except those of the APIs' hosts and of link_hosts. Left out: they are links."""
    link_hosts: tuple[LinkHost, ...] = ()
    """With links: plain, further hosts whose URLs stay links, for example wiki.example.com; *.example.com means all below it."""

    @model_validator(mode="after")
    def _lists_hosts_for_something(self) -> CatalogFile:
        if self.link_hosts and self.links is None:
            raise ValueError("link_hosts is for links: plain; add that, or remove link_hosts")
        return self
