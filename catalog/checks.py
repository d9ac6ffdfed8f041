"""What has to hold between the catalog's entries: names that lead somewhere, nothing twice, no header that the bot itself sends.

Each check gives (place, words) pairs; the place is that of the file with several APIs, whichever way it was written.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fnmatch import translate
from typing import Any

from base.english import telling_terms
from base.json_text import dumps, loads
from base.nearest import there_is
from base.written_numbers import as_typed, kinds_of
from catalog.askers import ALL, is_app_id
from catalog.auth import AUTHORIZATION
from catalog.entries import ApiEntry, CatalogFile, Entry, RecipeEntry, StepEntry
from catalog.expressions import BadExpression, Expression, expressions
from catalog.pagination_entry import Pagination
from catalog.parameter_entry import Lookup, Parameter
from catalog.rules import SAFE_METHODS, Rule
from catalog.schema_keywords import is_of
from catalog.schemas import fits
from catalog.source import Place
from catalog.template import paired
from catalog.validate import problems
from catalog.values import VARIABLE, header_key, is_reserved

Mistake = tuple[Place, str]


def check_file(file: CatalogFile) -> Iterator[Mistake]:
    """Every mistake that single entries cannot show."""
    names = [api.name for api in file.apis]
    for number, api in enumerate(file.apis):
        place: Place = ("apis", number)
        if api.name in names[:number]:
            yield (*place, "name"), f"duplicate API name '{api.name}'; give each its own name"
        yield from _check_api(api, place)
    if not any(entry.enabled for api in file.apis for entry in api.endpoints):
        yield ("apis", 0, "endpoints"), "all endpoints are switched off; enable at least one"
    yield from _check_recipe_names(file)
    yield from _check_channels(file)


_READS_VARIABLES = frozenset(("base_url", "auth", "tls", "headers"))  # keys of an API
_WORDS = frozenset(("description", "instructions", "prompts"))  # where only what looks like a variable's name is told
_NO_VALUES = frozenset(("url", "required", "pagination"))  # names, and what is told elsewhere
_CONSTANT = re.compile(r"\$\{[A-Z_][A-Z0-9_]*(?::-[^}]*)?\}")


def check_variables(value: object, place: Place = (), variable: re.Pattern[str] = VARIABLE) -> Iterator[Mistake]:
    """Variables where none are read, in the data of a file."""
    match value:
        case dict():
            for key, one in value.items():
                if key not in _NO_VALUES and not (len(place) == 2 and key in _READS_VARIABLES):
                    yield from check_variables(one, (*place, key), _CONSTANT if key in _WORDS else variable)
        case list():
            for index, one in enumerate(value):
                yield from check_variables(one, (*place, index), variable)
        case str() if found := variable.search(value):
            yield (
                place,
                f"{found[0]}: variables are read in base_url, auth, tls and headers only; write the value itself",
            )


def _check_api(api: ApiEntry, place: Place) -> Iterator[Mistake]:
    seen: set[tuple[str, str]] = set()
    for number, entry in enumerate(api.endpoints):
        here = (*place, "endpoints", number)
        if (entry.method, entry.url) in seen:
            yield here, f"duplicate operation {entry.method} {entry.url}; remove one"
        seen.add((entry.method, entry.url))
        if entry.enabled:
            yield from _check_preview(api, entry, here)
            yield from _check_parameters(api, entry, here)
            yield from check_pagination(entry, here)
            yield from _check_apps(api, entry, here)
    yield from _check_own_headers(api, place)
    yield from _check_default_pagination(api, (*place, "pagination"))
    yield from _check_words(api, (*place, "words"))
    for number, recipe in enumerate(api.recipes):
        yield from _check_recipe(api, recipe, (*place, "recipes", number))


def _check_own_headers(api: ApiEntry, place: Place) -> Iterator[Mistake]:
    """What is fetched or signed for a request must not be said by anything else, in whatever spelling."""
    if api.auth is None:
        return
    here, fixed = (*place, "auth"), {header_key(name) for name in api.headers}
    for name in api.auth.made:
        if header_key(name) in fixed:
            yield here, f"'{name}' is under this API's headers, too; keep one of the two"
    actor = api.auth.actor
    for name in actor.sent if actor is not None else ():
        if _is_taken(name) and (header_key(name) != AUTHORIZATION or (actor is not None and name in actor.headers)):
            yield (
                (*here, "actor"),
                f"'{name}' already means something else in HTTP; choose another header, for example X-Asker",
            )


def _is_taken(name: str) -> bool:
    """Whether a header is one that the bot or HTTP itself needs for something else. Those of proxies (X-Forwarded-User) may be meant."""
    return is_reserved(name) and not header_key(name).startswith("x-")


def _check_words(api: ApiEntry, place: Place) -> Iterator[Mistake]:
    """What people say has to stand for words that the operations have."""
    if not api.words:
        return
    texts = [(entry.url, entry.description, *entry.parameters, dumps(entry.body)) for entry in api.endpoints]
    known = {word for told in texts for text in told for word in telling_terms(text)}
    for said, meanings in api.words.items():
        for meaning in meanings:
            if not (meant := set(telling_terms(meaning))) or not meant <= known:
                yield (
                    (*place, said),
                    f"'{meaning}' is in no path or description of this API; use a word that is",
                )


def askers_of(entry: Entry, api: ApiEntry) -> Iterable[str]:
    """The names that hold for an entry: its own, else the API's, else everybody."""
    return entry.askers or api.askers or ALL


def _check_apps(api: ApiEntry, entry: Entry, place: Place) -> Iterator[Mistake]:
    """An app decides nothing and nobody is behind it, so each call of its that has to be decided needs people who can."""
    apps = sorted(filter(is_app_id, askers_of(entry, api)))
    is_safe = entry.method in SAFE_METHODS
    rules = entry.approval if entry.approval is not None or is_safe else api.approval
    if not apps or (is_safe and not rules):
        return
    here: Place = (*place, "approval" if entry.approval is not None else "askers")
    told = f"the app {apps[0]} may ask for {entry.name}, but an app cannot approve"
    if any(not Rule(one.approvers, one.not_asker, one.quorum).needs_no_asker for one in rules or ()):
        yield here, f'{told}: name as many people as each rule needs beside the asker, as in approvers: ["@hr-leads"]'
    elif not is_safe and not any(one.when is None for one in rules or ()):
        yield (
            here,
            f"{told}: add a rule without 'when' that names people, as in approval: {{approvers: [\"@hr-leads\"]}}",
        )


def _gets(api: ApiEntry) -> list[str]:
    return [entry.name for entry in api.endpoints if entry.method == "GET" and entry.enabled]


def _check_preview(api: ApiEntry, entry: Entry, place: Place) -> Iterator[Mistake]:
    """A preview has to name a GET of the same API that needs nothing which the write does not have."""
    if entry.preview is None or entry.preview.operation is None:
        return
    read = api.named(entry.preview.operation)
    if read is None or read.method != "GET":
        yield (
            (*place, "preview"),
            f"preview: '{entry.preview.operation}' is not a GET of this API; available: {there_is(entry.preview.operation, _gets(api))}",
        )
    elif (
        missing := read.template.path_names
        - entry.template.names
        - set(paired(read.template.path, entry.template.path) or ())
    ):
        yield (*place, "preview"), f"preview: {read.name} needs [{min(missing)}], which {entry.name} does not have"


# --- parameters and paging --------------------------------------------------------------------------------------------


def _check_parameters(api: ApiEntry, entry: Entry, place: Place) -> Iterator[Mistake]:
    own = {header_key(name) for name in (*api.headers, *(api.auth.sent if api.auth is not None else ()))}
    seen: set[str] = set()
    for name, parameter in entry.parameters.items():
        here = (*place, "parameters", name)
        if parameter.in_ == "header":
            if header_key(name) in own:
                yield here, f"'{name}' is set by this API's headers or auth, so no call may set it; remove it here"
            if header_key(name) in seen:
                yield here, f"duplicate header '{name}': servers ignore case, and some take '_' for '-'"
            seen.add(header_key(name))
        if parameter.lookup is not None:
            yield from _check_lookup(api, parameter.lookup, (*here, "lookup"))


def _check_lookup(api: ApiEntry, lookup: Lookup, place: Place) -> Iterator[Mistake]:
    """A lookup reads a list that can be read without knowing anything."""
    read = api.named(lookup.operation)
    if read is None or read.method != "GET":
        known = there_is(lookup.operation, _gets(api))
        yield place, f"lookup: '{lookup.operation}' is not a GET of this API; available: {known}"
    elif read.required:
        yield place, f"lookup: {read.name} needs '{min(read.required)}' itself; name a list that needs nothing"
    elif _is_write(read):
        yield place, f"lookup: {read.name} asks for approval each time; name a list that needs none"


def paging_of(entry: Entry, api: ApiEntry) -> Pagination | None:
    """The paging that holds for an entry: its own, else the API's where it fits.

    The API's fits a GET that has its `parameter`; where the style has none, a GET whose path ends in a word and so means a list.
    """
    if entry.pagination is not None or api.pagination is None or entry.method != "GET":
        return entry.pagination
    default = api.pagination
    if default.parameter is None:
        return default if not entry.template.path[-1].names else None
    has_it = entry.placeholder(default.parameter) is not None or default.parameter in entry.headers
    return default if has_it else None


def _check_default_pagination(api: ApiEntry, place: Place) -> Iterator[Mistake]:
    """The API's own paging has to fit one of its lists."""
    default = api.pagination
    if default is None:
        return
    fitting = [entry for entry in api.endpoints if paging_of(entry, api) is default]
    if not fitting and default.parameter is not None:
        yield (
            place,
            f"no GET of this API has the query parameter '{default.parameter}'; add it to the query of their url",
        )
    elif not fitting:
        yield place, "no GET of this API is a list, with a path that ends in a word; write pagination at the endpoint"
    elif (name := default.size) is not None and not any(_has_size(entry, name) for entry in fitting):
        yield (
            (*place, "size"),
            f"no list of this API has the query parameter '{name}'; add it to the query of their url",
        )


def _has_size(entry: Entry, name: str) -> bool:
    return entry.placeholder(name) is not None or name in entry.fixed


def check_pagination(entry: Entry, place: Place) -> Iterator[Mistake]:
    """What of an entry's paging does not go with its url."""
    paging = entry.pagination
    if paging is None:
        return
    if paging.size is not None and paging.size == paging.parameter:
        yield (*place, "pagination", "size"), f"pagination: '{paging.size}' is already the parameter; remove size here"
    if (name := paging.parameter) is not None and entry.placeholder(name) is None and name not in entry.headers:
        yield (
            (*place, "pagination", "parameter"),
            f"pagination: '{name}' is not a query parameter of {entry.url}; write ?{name}=[{name}] there",
        )
    if (name := paging.size) is not None and not _has_size(entry, name):
        yield (
            (*place, "pagination", "size"),
            f"pagination: '{name}' is not a query parameter of {entry.url}; write {name}=[{name}] there",
        )


# --- recipes ----------------------------------------------------------------------------------------------------------


def _check_recipe_names(file: CatalogFile) -> Iterator[Mistake]:
    """A recipe is called by its workflowId alone, so no two of them may share one."""
    seen: set[str] = set()
    for number, api in enumerate(file.apis):
        for position, recipe in enumerate(api.recipes):
            if recipe.workflow_id in seen:
                place = ("apis", number, "recipes", position, "workflowId")
                yield place, f"duplicate workflowId '{recipe.workflow_id}'; give each its own"
            seen.add(recipe.workflow_id)


def _check_recipe(api: ApiEntry, recipe: RecipeEntry, place: Place) -> Iterator[Mistake]:
    yield from _check_inputs(recipe, (*place, "inputs"))
    known: dict[str, frozenset[str]] = {}  # step -> its outputs, of the steps so far
    last = len(recipe.steps) - 1
    for number, step in enumerate(recipe.steps):
        here = (*place, "steps", number)
        if step.step_id in known:
            yield (*here, "stepId"), f"duplicate stepId '{step.step_id}'; give each its own"
        yield from _check_step(api, step, here, is_last=number == last)
        sources = {"parameters": step.parameters, "requestBody": step.request_body and step.request_body.payload}
        for key, value in sources.items():
            yield from _check_expressions(value, recipe, known, (*here, key))
        known[step.step_id] = frozenset(step.outputs)
    yield from _check_outputs(api, recipe, known, place)


def _check_inputs(recipe: RecipeEntry, place: Place) -> Iterator[Mistake]:
    if recipe.inputs.get("type") != "object":
        yield place, "inputs: write type: object, and under properties a schema for each input"
    for name in recipe.inputs.get("required", ()):
        if name not in recipe.input_names:
            yield (*place, "required"), f"inputs: '{name}' is required, but is not one of the properties; add it there"


def _check_step(api: ApiEntry, step: StepEntry, place: Place, *, is_last: bool) -> Iterator[Mistake]:
    entry = api.named(step.operation)
    if entry is None:
        known = there_is(step.operation, (one.name for one in api.endpoints if one.enabled))
        yield (*place, "operation"), f"'{step.operation}' is not an operation of this API; available: {known}"
        return
    if _is_write(entry) and not is_last:
        asks = entry.method in SAFE_METHODS
        words = "asks, and only the last step may" if asks else "is a write, and only the last step may be one"
        yield (*place, "operation"), f"{entry.name} {words}; split the recipe there"
    keys = [key_of(entry, name) for name in step.parameters]
    for key, name in zip(keys, step.parameters, strict=True):
        if key is None:
            yield (
                (*place, "parameters", name),
                f"'{name}' is not a placeholder, query parameter or header of {entry.url}; correct it or remove it",
            )
        elif (problem := _misfit(entry.parameters.get(key), entry.typed(key, step.parameters[name]))) is not None:
            yield (*place, "parameters", name), f"'{name}' does not fit {entry.name}: {problem}"
    if len([key for key in keys if key is not None]) > len(set(keys) - {None}):
        yield (*place, "parameters"), "two of these names mean the same value; keep one"
    if missing := entry.required - set(keys):
        yield (*place, "parameters"), f"{entry.name} needs '{min(missing)}'; write it under parameters"
    yield from _check_step_body(entry, step, place)
    if _is_write(entry) and is_last and step.outputs:
        yield (*place, "outputs"), "outputs: the model gets the whole answer of a recipe's write; remove them"
    for name, text in step.outputs.items():
        yield from _check_answer_expression(text, (*place, "outputs", name))


def _misfit(parameter: Parameter | None, value: object) -> str | None:
    """What a parameter's schema has against a fixed value, which travels as text; None for expressions and names to be looked up."""
    if (
        parameter is None
        or parameter.lookup is not None
        or not isinstance(value, (str, int, float, Decimal))
        or _varies(value)
    ):
        return None
    if parameter.is_list or any(fits(parameter.plain, one) for one in _readings(value)):
        return None
    return next(problems(parameter.plain, value), None)


def _varies(value: object) -> bool:
    """Whether a value has expressions in it; wrong ones are told elsewhere."""
    try:
        return any(True for _ in expressions(value))
    except BadExpression:
        return True


def _readings(value: str | float | Decimal) -> Iterator[object]:
    """What a fixed value may be taken for: itself, its text, or the number that its text says."""
    yield value
    if not isinstance(value, str):
        yield dumps(value)
        return
    with contextlib.suppress(ValueError):
        yield loads(value)


def _is_write(entry: Entry) -> bool:
    """Whether each call of it goes through the gate's table of proposals: a write, or a read that always asks."""
    return entry.method not in SAFE_METHODS or any(rule.when is None for rule in entry.approval or ())


def key_of(entry: Entry, name: str) -> str | None:
    """The placeholder or header parameter that a recipe's or paging's name means; None where it means nothing of the entry."""
    headers = {header_key(one): one for one in entry.headers}
    return entry.placeholder(name) or headers.get(header_key(name))


def _check_step_body(entry: Entry, step: StepEntry, place: Place) -> Iterator[Mistake]:
    if step.request_body is not None and entry.method in SAFE_METHODS:
        yield (*place, "requestBody"), f"a {entry.method} has no body; write its values under parameters"
    if step.request_body is None and entry.body is not None and entry.method not in SAFE_METHODS:
        yield place, f"{entry.name} needs a body; write requestBody: {{payload: ...}}"
    if step.request_body is not None and entry.body is not None:
        yield from _check_payload(entry, entry.body, step.request_body.payload, (*place, "requestBody"))


def _check_payload(entry: Entry, body: dict[str, Any], payload: object, place: Place) -> Iterator[Mistake]:
    """The names of a body's fields, which no expression changes, and the values that are fixed."""
    if not isinstance(payload, dict):
        return
    properties = body.get("properties", {})
    for name, value in as_typed(payload, body).items():
        kinds = kinds_of(properties[name]) if isinstance(properties.get(name), dict) else []
        if kinds and not _varies(value) and not is_of(value, kinds):
            yield (
                (*place, "payload", name),
                f"'{name}' has to be of type {' or '.join(kinds)} for {entry.name}; write another value",
            )
    for name in body.get("required", ()):
        if name not in payload:
            yield place, f"{entry.name} needs '{name}' in its body; write it under payload"
    for name in payload if body.get("additionalProperties") is False and "patternProperties" not in body else ():
        if name not in properties:
            yield place, f"'{name}' is not a field of {entry.name}'s body; available: {there_is(name, properties)}"


def _check_outputs(
    api: ApiEntry, recipe: RecipeEntry, known: dict[str, frozenset[str]], place: Place
) -> Iterator[Mistake]:
    last = api.named(recipe.steps[-1].operation)
    if recipe.outputs and last is not None and _is_write(last):
        yield (
            (*place, "outputs"),
            "outputs: a recipe with a write ends with the write's own answer; remove them",
        )
    for name, text in recipe.outputs.items():
        yield from _check_expressions(text, recipe, known, (*place, "outputs", name))
        yield from _check_is_expression(text, (*place, "outputs", name))


def _check_expressions(
    value: object, recipe: RecipeEntry, known: dict[str, frozenset[str]], place: Place
) -> Iterator[Mistake]:
    """The expressions of a step or of the recipe's outputs name inputs, or outputs of earlier steps."""
    try:
        found = list(expressions(value))
    except BadExpression as error:
        yield place, str(error)
        return
    for one in found:
        if (words := _leads_nowhere(one, recipe, known)) is not None:
            yield place, words


def _leads_nowhere(one: Expression, recipe: RecipeEntry, known: dict[str, frozenset[str]]) -> str | None:
    match one.kind:
        case "inputs" if one.name not in recipe.input_names:
            there = ", ".join(sorted(recipe.input_names)) or "none"
            return f"$inputs.{one.name} does not resolve; inputs has the properties: {there}"
        case "steps" if one.step not in known:
            return f"$steps.{one.step} does not resolve; earlier steps: {', '.join(known) or 'none'}"
        case "steps" if one.name not in known[one.step]:
            there = ", ".join(sorted(known[one.step])) or "none"
            return f"$steps.{one.step}.outputs.{one.name} does not resolve; that step's outputs: {there}"
        case "body" | "header" | "status":
            return (
                "an answer can be named only in the outputs of its own step; write $steps.<stepId>.outputs.<name> here"
            )
    return None


def _check_answer_expression(text: str, place: Place) -> Iterator[Mistake]:
    """A step's outputs name parts of its answer."""
    try:
        kinds = {one.kind for one in expressions(text)}
    except BadExpression as error:
        yield place, str(error)
        return
    if kinds & {"inputs", "steps"} or not kinds:
        yield place, f"'{text}' is not part of the answer; write, for example, $response.body#/data/0/id"


def _check_is_expression(text: str, place: Place) -> Iterator[Mistake]:
    try:
        is_one = any(True for _ in expressions(text))
    except BadExpression:
        return  # told already
    if not is_one:
        yield place, f"'{text}' is a constant; write, for example, $steps.<stepId>.outputs.<name>"


# --- channels ---------------------------------------------------------------------------------------------------------


def matches(pattern: str, name: str) -> bool:
    """Whether an operation's name fits a channel's pattern: '*' is any text, '?' any character, brackets are themselves."""
    return re.match(translate(pattern.replace("[", "[[]")), name) is not None


def fitting(pattern: str, names: Iterable[str]) -> list[str]:
    """Those of the operations' `names` that a pattern such as `GET *` fits, in their order."""
    return [name for name in names if matches(pattern, name)]


def _check_channels(file: CatalogFile) -> Iterator[Mistake]:
    names = [entry.name for api in file.apis for entry in api.endpoints if entry.enabled]
    for channel, entry in file.channels.items():
        for number, pattern in enumerate(entry.operations or ()):
            if not fitting(pattern, names):
                yield (
                    ("channels", channel, "operations", number),
                    f"'{pattern}' matches no operation; write, for example, 'GET *' or '{names[0] if names else 'GET /path'}'",
                )
