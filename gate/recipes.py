"""Recipes at work: inputs checked, expressions filled in with what is known so far, the next call made, the result put together.

Nothing here sends anything. Only the catalog's own texts are read as expressions: what the model or an API says is a value, whatever it
looks like, and is never read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from base import words
from base.json_pointer import at
from base.json_text import dumps
from base.shrink import as_json, shrink
from base.statuses import is_success, status_text
from catalog.bad_call import BadCall
from catalog.calls import MAX_ARGUMENTS, Call, build, parse_arguments
from catalog.catalog import RUN, Catalog, Recipe, Step
from catalog.expressions import EMBEDDED, Expression, is_expression, parse_expression
from catalog.validate import problems

_ERROR = 2_000  # characters that are told of a call that could not be made


@dataclass(frozen=True)
class StepAnswer:
    """What a step's read brought, less the secrets: `headers` by lower-case names; `problem` says why it is none, or not whole.

    `part`: that its list shows that there is more, as a sentence.
    """

    status: int | None = None
    data: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""
    part: str = ""
    identity: str = ""  # whose it was made with

    @property
    def why_bad(self) -> str:
        """Why a recipe does not go on with it; empty where it does."""
        if self.problem or self.status is None:
            return self.problem or "no answer"
        return "" if is_success(self.status) else f"the API answered {status_text(self.status)}"


@dataclass(frozen=True)
class Run:
    """How far a recipe has come.

    `problem` says why it ended early, in our own words; `detail` is what the API's data have to do with it.
    """

    recipe: Recipe
    inputs: Mapping[str, Any]
    answers: tuple[StepAnswer, ...] = ()
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: str = ""
    detail: Any = None

    @property
    def number(self) -> int:
        """The next step's, from 1."""
        return len(self.answers) + 1

    @property
    def is_over(self) -> bool:
        """Whether no step is left to be made: all have an answer, or one went wrong."""
        return bool(self.problem) or len(self.answers) == len(self.recipe.steps)

    @property
    def step(self) -> Step:
        """The step to be made next."""
        return self.recipe.steps[len(self.answers)]

    @property
    def is_last(self) -> bool:
        """Whether the step to be made next is the recipe's last."""
        return self.number == len(self.recipe.steps)

    @property
    def where(self) -> str:
        """The step to be made next, in words for the model."""
        return f"step {self.number} ({self.step.step_id}) of recipe {self.recipe.workflow_id}"


# --- before the first step --------------------------------------------------------------------------------------------


def is_run(arguments: Mapping[str, Any]) -> bool:
    """Whether the tool's arguments mean a recipe."""
    method = arguments.get("method")
    return isinstance(method, str) and method.strip().upper() == RUN


def begin(catalog: Catalog, arguments: Mapping[str, Any]) -> Run:
    """The recipe that the tool's arguments mean, with its inputs. Raises `BadCall`."""
    given = {name for name, value in arguments.items() if value not in (None, "", {}, False)}
    if unknown := sorted(map(str, given - {"method", "url", "body"})):
        raise BadCall(f"{RUN} takes url (the recipe's name) and body (its inputs), no '{unknown[0][:60]}'.")
    wanted = str(arguments.get("url")).strip()
    recipe = next((one for one in catalog.recipes if one.workflow_id == wanted), None)
    if recipe is None:
        there = ", ".join(one.workflow_id for one in catalog.recipes) or "none"
        raise BadCall(f"There is no recipe '{wanted[:60]}' here. Available: {there}.")
    inputs = _defaults(recipe) | _inputs(recipe, arguments.get("body"))
    if found := list(dict.fromkeys(problems(recipe.inputs, inputs))):
        raise BadCall(f"{RUN} {recipe.workflow_id}: body: " + "; ".join(found[:5]) + ".")
    return Run(recipe, inputs)


def _inputs(recipe: Recipe, raw: object) -> dict[str, Any]:
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return {}
    try:
        return parse_arguments(raw)
    except BadCall:
        shown = as_json(recipe.inputs)[:600]
        raise BadCall(f"body holds the inputs of {recipe.workflow_id} as one JSON object: {shown}") from None


def _defaults(recipe: Recipe) -> dict[str, Any]:
    properties = recipe.inputs.get("properties", {})
    return {name: one["default"] for name, one in properties.items() if isinstance(one, dict) and "default" in one}


# --- a step -----------------------------------------------------------------------------------------------------------


def next_call(catalog: Catalog, run: Run) -> Call:
    """The next step as a call that the model could have made itself. Raises `BadCall`, whose text may hold values of the API."""
    look = _finder(run)
    try:
        parameters = {name: _parameter(name, value, look) for name, value in run.step.parameters.items()}
        return build(catalog, run.step.operation, parameters, _payload(run.step, look))
    except BadCall as error:
        raise BadCall(f"{run.where}: {error}") from None


def after(run: Run, answer: StepAnswer) -> Run:
    """The run with the next step answered: its outputs, or why the recipe ends here."""
    done = replace(run, answers=(*run.answers, answer))
    if answer.why_bad:
        return replace(done, problem=f"{run.where}: {answer.why_bad}", detail=answer.data)
    try:
        found = {name: _filled(text, _finder(run, answer)) for name, text in run.step.outputs.items()}
    except BadCall as error:
        return replace(done, problem=f"{run.where}: {error}", detail=answer.data)
    return replace(done, outputs={**run.outputs, run.step.step_id: found})


def broken_off(run: Run, error: BadCall) -> Run:
    """The run ended by a call that cannot be made."""
    return replace(
        run, problem=f"{run.where}: its call cannot be made with these values", detail={"problem": str(error)[:_ERROR]}
    )


def _parameter(name: str, template: Any, look: Callable[[str], Any]) -> Any:
    """A parameter's value. An empty one would be left out, and the call would mean more than the recipe says: only an input may be null."""
    value = _filled(template, look)
    may_be_null = not isinstance(template, str) or template.startswith("$inputs.")
    if value in ("", []) or (value is None and not may_be_null):
        raise BadCall(f"'{name}' would be empty: {template} is.")
    return value


def _payload(step: Step, look: Callable[[str], Any]) -> Any:
    if step.payload is None:
        return None
    payload = _filled(step.payload, look)
    if not isinstance(payload, (dict, list)):  # a text would be read as JSON, and a value is never read again
        raise BadCall("the payload is not a JSON object or array.")
    _check_size(payload, "the payload")
    return payload


# --- expressions ------------------------------------------------------------------------------------------------------


def _filled(template: Any, look: Callable[[str], Any]) -> Any:
    """The catalog's `template` with values in place of its expressions; a whole one keeps its value's type. Raises `BadCall`."""
    match template:
        case str() if is_expression(template):
            return look(template)
        case str():
            return EMBEDDED.sub(lambda found: _as_text(found[1], look(found[1])), template)
        case dict():
            return {key: _filled(one, look) for key, one in template.items()}
        case list():
            return [_filled(one, look) for one in template]
    return template


def _as_text(expression: str, value: Any) -> str:
    match value:
        case str():
            return value
        case bool() | int() | float() | Decimal():
            return dumps(value)
    raise BadCall(f"{expression} is neither text nor a number, so it cannot be part of a text.")


def _finder(run: Run, answer: StepAnswer | None = None) -> Callable[[str], Any]:
    """What an expression stands for: in a step's outputs with its `answer`, else with inputs and earlier steps alone."""

    def look(text: str) -> Any:
        named = parse_expression(text)
        try:
            value = at(_named(named, run, answer), named.pointer)
        except LookupError:
            raise BadCall(f"{text} does not resolve.") from None
        if answer is None:
            _check_size(value, text)
        return value

    return look


def _named(named: Expression, run: Run, answer: StepAnswer | None) -> Any:
    """Raises `LookupError`."""
    match named.kind, answer:
        case "inputs", None:
            return run.inputs[named.name]
        case "steps", None:
            return run.outputs[named.step][named.name]
        case "body", StepAnswer():
            return answer.data
        case "header", StepAnswer():
            return answer.headers[named.name.lower()]
        case "status", StepAnswer():
            return answer.status
    raise LookupError(named.kind)


def _check_size(value: Any, what: str) -> None:
    try:
        is_small = len(dumps(value)) <= MAX_ARGUMENTS
    except RecursionError:
        is_small = False
    if not is_small:
        raise BadCall(f"{what} is larger than the {MAX_ARGUMENTS:,} characters that a call may have.")


# --- the result -------------------------------------------------------------------------------------------------------


def run_result(run: Run, limit: int, keep: Callable[[Any], str]) -> str:
    """The result of a run that is over without a write, for the model: what the API said stands under `data`, cut to `limit` characters.

    `keep` keeps what had to be cut and gives its name, empty where it is not kept.
    """
    steps = [
        {"step": step.step_id, "status": one.status} for step, one in zip(run.recipe.steps, run.answers, strict=False)
    ]
    data, problem = _given(run)
    shrunk, cuts = shrink(data, limit)
    result: dict[str, Any] = {"recipe": run.recipe.workflow_id, "steps": steps}
    if problem:
        result = {"error": f"Stopped at {problem.removesuffix('.')}. Nothing after it was sent."} | result
    if problem and data is None:
        return as_json(result)
    kept = keep(data) if cuts else ""
    notes = [
        f"Step {step.step_id}: {one.part}" for step, one in zip(run.recipe.steps, run.answers, strict=False) if one.part
    ]
    is_part = bool(notes)
    notes += [f"Cut to fit: {'; '.join(cuts)}."] if cuts else []
    notes += [(words.KEPT_PART if is_part else words.WHOLE_KEPT).format(name=kept)] if kept else []
    note = {"note": " ".join(notes)} if notes else {}
    return as_json(result | ({"result": kept} if kept else {}) | {"data": shrunk} | note)


def _given(run: Run) -> tuple[Any, str]:
    """What a run gives, and why that is not what the recipe promises."""
    if run.problem:
        return run.detail, run.problem
    last = run.recipe.steps[-1]
    try:
        if run.recipe.outputs:
            look = _finder(run)
            return {name: _filled(text, look) for name, text in run.recipe.outputs.items()}, ""
    except BadCall as error:
        return None, f"the outputs of recipe {run.recipe.workflow_id}: {error}"
    return (run.outputs[last.step_id] if last.outputs else run.answers[-1].data), ""
