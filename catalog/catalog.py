"""The catalog: what apis.yaml says, as values. Reading it here means reading its text; who opens the file is not this room's concern.

A mistake in the file raises `BadCatalog` with every entry that is wrong, its line and what to write instead. The file's shape stands
in entries.py; other rooms take what they need of it from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from base.links import Links
from base.utf8 import encoded
from base.written_numbers import as_typed
from catalog.approval_entry import ApprovalRule
from catalog.askers import ALL, EVERYBODY, Circle, is_app_id, is_domain
from catalog.auth import Auth, Tls
from catalog.checks import Mistake, askers_of, check_file, check_variables, fitting, key_of, paging_of
from catalog.entries import ApiEntry, CatalogFile, ChannelEntry, Entry, Limits, Preview, Prompt, RecipeEntry, StepEntry
from catalog.key_hints import unknown_key
from catalog.pagination_entry import Pagination
from catalog.parameter_entry import Lookup, Parameter
from catalog.rules import SAFE_METHODS, Rule
from catalog.schema_keywords import BadSchema
from catalog.secret_values import Hiding
from catalog.source import BadCatalog, Place, Source
from catalog.template import Spelling, Template, Value
from catalog.values import METHODS, header_key

__all__ = [
    "METHODS",
    "RUN",
    "Api",
    "ApiEntry",
    "ApprovalRule",
    "Auth",
    "BadCatalog",
    "Catalog",
    "Channel",
    "Entry",
    "Limits",
    "Lookup",
    "Operation",
    "Pagination",
    "Parameter",
    "Preview",
    "Prompt",
    "Recipe",
    "Step",
    "Tls",
    "header_key",
    "load_catalog",
]

RUN = "RUN"  # the method by which the model calls a recipe
DEFAULT_EXPIRY = 3_600.0  # seconds that an approval may wait where the catalog says nothing
KEPT_PARTS = 128  # parts of catalogs, for a channel or for who asks, that are kept with what is made of them
_TOP = ("prompts", "channels", "links", "link_hosts")  # keys of the whole file, which stand beside an only API's own


@dataclass(frozen=True, eq=False)
class Api:
    """One internal API: where it is and how it is told who calls. Secrets stay in here."""

    name: str
    base_url: str
    instructions: str
    auth: Auth | None = field(repr=False)
    headers: Mapping[str, SecretStr] = field(repr=False)
    limits: Limits = field(default_factory=Limits)
    secrets: frozenset[str] = frozenset()  # names of fields marked `secret: true` anywhere in it, enabled or not
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what people say, for words of its operations
    tls: Tls | None = None
    answers_alone: bool = False  # what comes of its answers is for the asker alone: a direct message

    @property
    def is_personal(self) -> bool:
        """Whether what it answers is one person's own: it sees who asks, and so may tell each something else, or the catalog says so."""
        return self.answers_alone or (self.auth is not None and self.auth.is_personal)


@dataclass(frozen=True, eq=False)
class Operation:
    """What may be called: one entry of the catalog.

    `parameters` maps placeholders and header parameters to their plain JSON Schemas; `lookups` and `styles` (of lists in the query:
    (style, explode) in OpenAPI's words) to our own keys about them. `required`: what every call fills in, the path's placeholders too.
    """

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
    body_type: str = "json"  # or form, multipart, a media type of JSON
    body_required: bool = True
    headers: tuple[str, ...] = ()  # names of header parameters
    required: frozenset[str] = frozenset()
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    styles: Mapping[str, Spelling] = field(default_factory=dict)
    pagination: Pagination | None = None
    slashes: frozenset[str] = frozenset()  # placeholders whose values may hold a slash
    hide: tuple[str, ...] = ()  # paths of fields that are taken out of its answers: the API's and its own
    title: tuple[str, ...] = ()  # JMESPaths that make the name of the thing that it is about; empty: the usual fields
    askers: Circle = ALL

    @property
    def name(self) -> str:
        """`METHOD /path`, without the query."""
        return f"{self.method} {self.url.partition('?')[0]}"

    @property
    def is_limited(self) -> bool:
        """Whether not everybody may ask for it."""
        return EVERYBODY not in self.askers

    @property
    def given_names(self) -> frozenset[str]:
        """What its URL and its headers may be given: placeholders and header parameters."""
        return self.template.names | frozenset(self.headers)

    def is_entry_of(self, other: Operation) -> bool:
        """Whether both are the same entry, whatever rules a channel adds to it."""
        return self.api is other.api and (self.method, self.url) == (other.method, other.url)

    @cached_property
    def hiding(self) -> Hiding:
        """What is hidden of its answers."""
        return Hiding(self.api.secrets, self.hide)

    def takes_slashes(self, values: Mapping[str, Value]) -> bool:
        """Whether each value of the path that holds a slash may do so."""
        return all("/" not in values.get(name, "") for name in self.template.path_names - self.slashes)

    def filled(self, values: Mapping[str, Value]) -> str:
        """Path and query below the API's base_url, with `values` in place, encoded."""
        return self.template.fill(values, self.styles)


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a recipe: `parameters` by placeholder's or header's name; texts in them and in `payload` may be expressions.

    `outputs` maps names to expressions over the answer (expressions.py).
    """

    step_id: str
    operation: Operation
    parameters: Mapping[str, Any]
    payload: Any  # None: no body
    outputs: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Recipe:
    """A named operation made of several calls. `inputs` is a JSON Schema, `outputs` maps names to expressions over inputs and steps."""

    api: Api
    workflow_id: str
    description: str
    inputs: dict[str, Any]
    steps: tuple[Step, ...]
    outputs: Mapping[str, str]

    def among(self, operations: Mapping[Operation, Operation]) -> Recipe:
        """The recipe with each operation as it stands there."""
        return replace(self, steps=tuple(replace(one, operation=operations[one.operation]) for one in self.steps))


@dataclass(frozen=True, eq=False)
class Channel:
    """What holds in one Slack channel beside the rest. `operations`: all that may be called there; None: whatever the catalog has."""

    instructions: str
    operations: tuple[Operation, ...] | None
    rules: tuple[Rule, ...]  # join those of an operation; the strictest holds


@dataclass(frozen=True, eq=False)
class Catalog:
    """The allow-list. `channels` by id or #name."""

    apis: tuple[Api, ...]
    operations: tuple[Operation, ...]
    recipes: tuple[Recipe, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    channels: Mapping[str, Channel] = field(default_factory=dict)
    switched_off: int = 0  # entries of the file that are no operations
    links: Links | None = None  # whose addresses stay links in answers; None: all
    hidden: tuple[
        Operation, ...
    ] = ()  # of a part: what is left out. No call may mean one of these by the path of another
    beyond: Catalog | None = field(
        default=None, repr=False
    )  # of a channel's part: the same without what the channel says
    digest: str = field(default="", compare=False)  # tells its file from others; empty where it was not made of one

    def narrowed(self, channel: Channel) -> Catalog:
        """The catalog as it holds in a channel: its operations alone, its rules beside theirs, the recipes that need no others."""
        return _narrowed(self, channel)

    def open_to(self, circles: frozenset[Circle]) -> Catalog:
        """The catalog as it is for whoever is in these of its circles: the same value for all who are in the same ones."""
        return self if circles >= self.circles else _part(self, circles & self.circles)

    @cached_property
    def circles(self) -> frozenset[Circle]:
        """Everybody's, and those of its operations and prompts."""
        named = (frozenset(one.askers) for one in self.prompts if one.askers is not None)
        return frozenset({ALL, *named, *(one.askers for one in self.operations)})

    @property
    def askers(self) -> frozenset[str]:
        """Whom its circles name."""
        return frozenset().union(*self.circles) - {EVERYBODY}

    @property
    def emails_for(self) -> tuple[str, ...]:
        """What of it needs people's e-mail addresses, as its author would look for it."""
        domains = sorted(filter(is_domain, self.askers))
        of_apis = (f"auth of {api.name}" for api in self.apis if api.auth is not None and api.auth.needs_email)
        return (*([f"askers {', '.join(domains)}"] if domains else []), *of_apis)

    @property
    def alone_for(self) -> tuple[str, ...]:
        """What of it has answers sent as direct messages, as its author would look for it."""
        return tuple(f"answers of {api.name}" for api in self.apis if api.answers_alone)

    @property
    def apps(self) -> frozenset[str]:
        """The ids of the apps that may ask for something."""
        return frozenset(name for name in self.askers if is_app_id(name))

    @property
    def of_everybody(self) -> Catalog:
        """The part for whoever no circle names."""
        return self.open_to(frozenset(one for one in self.circles if EVERYBODY in one))

    @cached_property
    def is_limited(self) -> bool:
        """Whether it has something that not everybody may ask for, so that what is seen of it is its asker's alone."""
        return any(one.is_limited for one in self.operations)

    def named(self, api: Api, name: str) -> Operation | None:
        """The operation of this name (`METHOD /path`) of the API, which may be that of an earlier catalog."""
        return next((one for one in self.operations if one.api.name == api.name and one.name == name), None)

    @property
    def approvers(self) -> tuple[str, ...]:
        """Whom it names, for an operation or for a channel."""
        of_channels = [rule for channel in self.channels.values() for rule in channel.rules]
        rules = [*of_channels, *(rule for operation in self.operations for rule in operation.rules or ())]
        return tuple(one for rule in rules for one in rule.approvers)

    def api(self, name: str) -> Api | None:
        """The API of this name, or None."""
        return next((api for api in self.apis if api.name == name), None)


@lru_cache(maxsize=KEPT_PARTS)
def _narrowed(catalog: Catalog, channel: Channel) -> Catalog:
    """Made once, so that what is made of it (its index, its listing) is made once, too."""
    allowed = frozenset(catalog.operations if channel.operations is None else channel.operations)
    ruled = {one: _ruled(one, channel.rules) for one in catalog.operations if one in allowed}
    return replace(_only(catalog, ruled), beyond=catalog)


@lru_cache(maxsize=KEPT_PARTS)
def _part(catalog: Catalog, circles: frozenset[Circle]) -> Catalog:
    """The part for those who are in these circles, made once for all of them. It knows no API of which nothing is left."""
    left = {one: one for one in catalog.operations if one.askers in circles}
    apis = tuple(api for api in catalog.apis if any(one.api is api for one in left))
    told = (one for one in catalog.prompts if one.askers is None or frozenset(one.askers) in circles)
    return replace(_only(catalog, left), apis=apis, prompts=tuple(told))


def _only(catalog: Catalog, left: Mapping[Operation, Operation]) -> Catalog:
    """The catalog with these of its operations, as they stand there, and the recipes that need no others."""
    kept = (one.among(left) for one in catalog.recipes if all(step.operation in left for step in one.steps))
    hidden = (*catalog.hidden, *(one for one in catalog.operations if one not in left))
    return replace(catalog, operations=tuple(left.values()), recipes=tuple(kept), hidden=hidden)


def _ruled(operation: Operation, rules: tuple[Rule, ...]) -> Operation:
    """A write with further rules; what reads needs none."""
    if not rules or operation.method in SAFE_METHODS:
        return operation
    return replace(operation, rules=(*(operation.rules or ()), *rules))


def load_catalog(text: str, environ: Mapping[str, str] | None, *, source: str = "apis.yaml") -> Catalog:
    """The catalog that `text` (YAML) describes. Raises `BadCatalog`, naming `source`, entry and line.

    `environ` None: no variable is looked up; those without a default stay as they are written, for who only checks the text.
    """
    lines, data = Source.read(text, source)
    several = "apis" in data
    if not several:
        data = {key: data[key] for key in _TOP if key in data} | {
            "apis": [{key: value for key, value in data.items() if key not in _TOP}]
        }

    def written(place: Place) -> Place:
        return place if several or place[:1] != ("apis",) else place[2:]

    mistakes = list(check_variables(data))
    try:
        file = CatalogFile.model_validate(data, context={"environ": environ})
    except ValidationError as error:
        mistakes += [mistake for one in error.errors() for mistake in _mistakes(one)]
    else:
        mistakes += check_file(file)
    if mistakes:
        lines_of_mistakes = (lines.mistake(written(place), words) for place, words in mistakes)
        raise BadCatalog("\n".join(dict.fromkeys(lines_of_mistakes)))
    return replace(_catalog(file), digest=digest_of(text))


def digest_of(text: str) -> str:
    """What tells a catalog's file from others."""
    return hashlib.sha256(encoded(text)).hexdigest()


# --- from the file to values ------------------------------------------------------------------------------------------


def _catalog(file: CatalogFile) -> Catalog:
    apis: list[Api] = []
    operations: list[Operation] = []
    recipes: list[Recipe] = []
    for entry in file.apis:
        own = (
            entry.name,
            entry.base_url,
            entry.instructions,
            entry.auth,
            entry.headers,
            entry.limits,
            entry.secrets,
            entry.words,
            entry.tls,
            entry.answers == "dm",
        )
        api = Api(*own)
        of_api = [_operation(api, one, entry) for one in entry.endpoints if one.enabled]
        by_name = {one.name: one for one in reversed(of_api)}  # of several with one name, the first is meant
        apis.append(api)
        operations += of_api
        recipes += [_recipe(api, one, entry, by_name) for one in entry.recipes]
    channels = {name: _channel(one, operations) for name, one in file.channels.items()}
    switched_off = sum(not one.enabled for entry in file.apis for one in entry.endpoints)
    return Catalog(
        tuple(apis), tuple(operations), tuple(recipes), file.prompts, channels, switched_off, _links(file, apis)
    )


def _links(file: CatalogFile, apis: Iterable[Api]) -> Links | None:
    if file.links is None:
        return None
    own = {urlsplit(one.base_url).hostname or "" for one in apis}
    return Links(frozenset(own) | frozenset(file.link_hosts))


def _operation(api: Api, entry: Entry, of_api: ApiEntry) -> Operation:
    return Operation(
        api=api,
        method=entry.method,
        url=entry.url,
        template=entry.template,
        description=" ".join(entry.description.split()),
        parameters={name: one.plain for name, one in entry.parameters.items()},
        body=entry.body,
        rules=_policy_rules(entry, of_api),
        expires=entry.expires or of_api.expires or DEFAULT_EXPIRY,
        preview=entry.preview,
        body_type=entry.body_type,
        body_required=entry.body_required,
        headers=entry.headers,
        required=entry.required,
        lookups={name: one.lookup for name, one in entry.parameters.items() if one.lookup is not None},
        styles={name: one.spelling for name, one in entry.parameters.items() if one.is_list},
        slashes=frozenset(name for name, one in entry.parameters.items() if one.slash),
        pagination=_pagination(entry, of_api),
        hide=(*of_api.hide, *entry.hide),
        title=entry.title,
        askers=frozenset(askers_of(entry, of_api)),
    )


def _policy_rules(entry: Entry, of_api: ApiEntry) -> tuple[Rule, ...] | None:
    """The entry's own rules, else the API's, which are for writes only."""
    said = entry.approval
    if said is None and entry.method not in SAFE_METHODS:
        said = of_api.approval
    return None if said is None else _rules(said)


def _rules(said: tuple[ApprovalRule, ...]) -> tuple[Rule, ...]:
    return tuple(Rule(**dict(one)) for one in said)


def _pagination(entry: Entry, of_api: ApiEntry) -> Pagination | None:
    """The entry's paging with its names as the placeholders' names, so that who pages has one kind of name."""
    paging = paging_of(entry, of_api)
    if paging is None:
        return None
    parameter, size = (name and (key_of(entry, name) or name) for name in (paging.parameter, paging.size))
    if size not in entry.template.names | entry.fixed:  # the API's default may name what this entry does not have
        size = None
    return paging.model_copy(update={"parameter": parameter, "size": size})


def _recipe(api: Api, recipe: RecipeEntry, entry: ApiEntry, operations: Mapping[str, Operation]) -> Recipe:
    steps = tuple(_step(one, entry, operations) for one in recipe.steps)
    words = " ".join(recipe.description.split())
    return Recipe(api, recipe.workflow_id, words, recipe.inputs, steps, recipe.outputs)


def _step(step: StepEntry, entry: ApiEntry, operations: Mapping[str, Operation]) -> Step:
    of_step = entry.named(step.operation)
    assert of_step is not None  # check_file saw to it
    given = {key_of(of_step, name) or name: value for name, value in step.parameters.items()}
    parameters = {name: of_step.typed(name, value) for name, value in given.items()}
    payload = as_typed(step.request_body.payload, of_step.body or {}) if step.request_body is not None else None
    return Step(step.step_id, operations[of_step.name], parameters, payload, step.outputs)


def _channel(entry: ChannelEntry, operations: list[Operation]) -> Channel:
    """A channel with its patterns as the operations that they fit."""
    allowed = None
    if entry.operations is not None:
        names = {name for one in entry.operations for name in fitting(one, {each.name for each in operations})}
        allowed = tuple(each for each in operations if each.name in names)
    return Channel(entry.instructions, allowed, _rules(entry.approval or ()))


# --- words ------------------------------------------------------------------------------------------------------------

_LIST = "{key} takes a list (lines that start with '- ', or [a, b])"
_MAPPING = "{key} takes a mapping (key: value)"
_WORDS = {
    "missing": "{key} is missing; add it",
    "too_short": "{key} is empty; write at least one",
    "too_long": "{key} takes at most {max_length}; remove some",
    "string_too_long": "{key} takes at most {max_length} characters; write it shorter",
    "string_type": "{key} takes text",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "literal_error": "{key} takes {expected}",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "{key} takes a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "{key} takes a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "{key} takes true or false"),
    "greater_than_equal": "{key} takes {ge} or more",
    "greater_than": "{key} takes more than {gt}",
    "less_than_equal": "{key} takes {le} or less",
}


def _mistakes(problem: Any) -> Iterator[Mistake]:
    """What pydantic found, in words of our own where there are any."""
    place, context = problem["loc"], problem.get("ctx") or {}
    match context.get("error"):
        case BadSchema() as bad:
            yield from (((*place, *inner), words) for inner, words in bad.mistakes)
            return
    key = place[-1] if place else "the file"
    named = {"key": "this item" if isinstance(key, int) else f"'{key}'", **context}
    known = _WORDS.get(problem["type"])
    words = known.format(**named) if known else f"{key}: {problem['msg'].removeprefix('Value error, ')}"
    if problem["type"] == "extra_forbidden":
        words = unknown_key(place)
    if words.startswith(f"{key}: ") and (isinstance(key, int) or not place):
        words = words.split(": ", 1)[1]
    yield place, words + _instead(problem)


def _instead(problem: Any) -> str:
    """How to write as text what YAML takes for something else."""
    if problem["type"] != "string_type":
        return ""
    match problem.get("input"):
        case bool() as value:
            return f"; put {str(value).lower()} in quotes"
        case dict() | list():
            return "; a text that begins with a bracket needs quotes"
    return ""
