"""docs/apis.schema.json, for editors: it is what the models say, takes every catalog that loads, and shows typical mistakes."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema_rs import Draft7Validator, Draft202012Validator, meta

from bot import main
from catalog.catalog import BadCatalog, load_catalog
from catalog.json_schema import catalog_schema, schema_text
from tests.harness.cases import each_row

ROOT = Path(__file__).parents[2]
SCHEMA = catalog_schema()
VALIDATORS = [Draft202012Validator(SCHEMA), Draft7Validator(SCHEMA)]  # many editors know draft 7 best
FILE = ROOT / "docs" / "apis.schema.json"


class Anything(dict[str, str]):
    """An environment in which every variable is set."""

    def get(self, key: str, default: Any = None) -> str:
        return "https://set.example.com"


@functools.cache
def catalogs() -> dict[str, str]:
    """Every catalog that loads, of the sample, the documents, the tests and the demo, by its file and number. Looked for by the tests that
    need them: finding them takes seconds, and every worker collects all tests."""
    found = {}
    seen = set()
    for path in [*ROOT.glob("*.yaml"), *ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("[tbd]*/**/*.py")]:
        for number, text in enumerate(texts(path)):
            if text not in seen and "endpoints" in text and "base_url" in text and loads(text):
                seen.add(text)
                found[f"{path.relative_to(ROOT)}-{number}"] = text
    return found


def texts(path: Path) -> list[str]:
    text = path.read_text("utf-8")
    if path.suffix == ".yaml":
        return [text]
    if path.suffix == ".md":
        return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    if "endpoints" not in text or "base_url" not in text:
        return []
    constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    found = [one for one in constants if isinstance(one, str)]
    return found + [one.replace("{base}", "http://h").replace("{{", "{").replace("}}", "}") for one in found]


def loads(text: str) -> bool:
    try:
        load_catalog(text, Anything())
    except BadCatalog:
        return False
    return True


def mistakes(text: str) -> list[str]:
    data = yaml.load(text, yaml.CSafeLoader)
    found = [sorted(error.message for error in one.iter_errors(data)) for one in VALIDATORS]
    assert found[0] == found[1]
    return found[0]


def test_the_file_in_the_documents_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(main, ["schema"])
    assert printed.output == schema_text()
    assert FILE.read_text("utf-8") == schema_text(), "run: python bot.py schema > docs/apis.schema.json"


def test_the_schema_is_one_and_needs_nothing_from_elsewhere() -> None:
    meta.validate(SCHEMA)
    refs = re.findall(r'"\$ref": "([^"]*)"', schema_text())
    assert refs
    assert {ref for ref in refs if not ref.startswith("#/$defs/")} == set()
    assert {ref.removeprefix("#/$defs/") for ref in refs} == set(SCHEMA["$defs"])


def keys(schema: object, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, schema) of every key that the schema knows."""
    match schema:
        case dict():
            named = schema.get("properties") if not place.endswith("/properties") else None
            yield from ((f"{place}/{key}", one) for key, one in (named or {}).items())
            for key, one in schema.items():
                yield from keys(one, f"{place}/{key}")
        case list():
            for one in schema:
                yield from keys(one, place)


def test_every_key_is_told_in_words_that_end() -> None:
    found = [(place, one) for place, one in keys(SCHEMA) if "/if/" not in place]
    assert len(found) > 100
    assert [place for place, one in found if not one.get("description", "").endswith(".")] == []


def test_the_sample_names_the_schema_for_editors() -> None:
    first = (ROOT / "apis.yaml").read_text("utf-8").splitlines()[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(.*)", first)
    assert found is not None
    assert ROOT / found[1] == FILE


def test_a_catalog_that_loads_is_right_by_the_schema() -> None:
    found = {name: wrong for name, text in catalogs().items() if (wrong := mistakes(text))}
    assert found == {}
    origins = {name.rpartition("-")[0].rpartition("/")[2] for name in catalogs()}
    assert {
        "apis.yaml",
        "README.md",
        "catalog.md",
        "test_catalog.py",
        "test_catalog_keys.py",
        "test_gate.py",
    } <= origins


GET = "base_url: http://h\nendpoints: [{method: GET, url: '/x?page=[page]', description: d%s}]\n"
POST = "base_url: http://h\nendpoints: [{method: POST, url: /x, description: d%s}]\n"
WRONG = [
    "name: HR\n",
    "base_url: http://h\n",
    "base_url: http://h\nendpoints: []\n",
    "base_url: http://h\nendpoints: {method: GET, url: /x, description: d}\n",
    "base_url: http://h\nendpoints: [{method: GET, url: /x}]\n",
    "base_url: http://h\nendpoints: [{method: POTS, url: /x, description: d}]\n",
    "base_url: http://h\nendpoints: [{method: GET, path: /x, description: d}]\n",
    "apis: []\n",
    "apis: [{name: HR}]\n",
    "apis: [{base_url: http://h, endpoints: [{method: GET, url: /x, description: d}]}]\nname: HR\n",
    GET % "" + "nmae: HR\n",
    GET % "" + "auth: {bearer: a, header: {name: X, value: b}}\n",
    GET % "" + "auth: {}\n",
    GET % "" + "auth: {token: a}\n",
    GET % "" + "headers: {'X Y': a}\n",
    GET % "" + "expires: soon\n",
    GET % "" + "limits: {at_once: 0}\n",
    GET % "" + "limits: {per_minute: 5}\n",
    GET % "" + "pagination: {style: pages}\n",
    GET % "" + "pagination: {style: cursor, parameter: page}\n",
    GET % "" + "pagination: {style: page}\n",
    GET % "" + "pagination: {style: header, parameter: page}\n",
    GET % "" + "prompts: [a, b, c, d, e]\n",
    GET % "" + "prompts: [{title: a}]\n",
    GET % "" + "channels: {C1AB: {operations: []}}\n",
    GET % "" + "channels: {C1AB: {words: x}}\n",
    GET % "" + "recipes: [{workflowId: a b, description: d, steps: [{stepId: s, operation: GET /x}]}]\n",
    GET % "" + "recipes: [{workflowId: r, description: d, steps: []}]\n",
    GET % "" + "recipes: [{workflowId: r, description: d, steps: [{operation: GET /x}]}]\n",
    GET % ", parameters: {page: {type: strin}}",
    GET % ", parameters: {page: {in: query}}",
    GET % ", parameters: {page: {required: [page]}}",
    GET % ", parameters: {page: {type: array, style: deepObject}}",
    GET % ", parameters: {page: {lookup: {operation: GET /x, match: [], id: id}}}",
    GET % ", parameters: {page: {lookup: {operation: GET /x, id: id}}}",
    GET % ", enabled: perhaps",
    GET % ", preview: true",
    POST % ", body_type: xml",
    POST % ", body: {type: object, properties: {a: {type: strin}}}",
    POST % ", body: {type: object, properties: [a]}",
    POST % ", body: {type: object, required: name}",
    POST % ", approval: sometimes",
    POST % ", approval: {approver: [asker]}",
    POST % ", approval: {quorum: 0}",
    POST % ", approval: [{expires: 1 week}]",
]  # fmt: skip


@each_row("text", WRONG)
def test_a_typical_mistake_is_shown_by_the_schema_and_refused_at_the_start(text: str) -> None:
    assert mistakes(text)
    with pytest.raises(BadCatalog):
        load_catalog(text, {})
