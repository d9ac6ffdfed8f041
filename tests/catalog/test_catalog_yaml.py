"""One YAML for both doors: what words and numbers mean in a catalog and in a description, and what is told where a text is no YAML."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from base.written_numbers import as_text, as_typed, plain, settled
from catalog.bad_call import BadCall
from catalog.calls import resolve
from catalog.catalog import BadCatalog, Catalog, load_catalog
from catalog.documents import BadDocument, read_text, read_yaml
from catalog.yaml_text import key_text
from tests.harness.cases import each_row
from tests.harness.descriptions import description, entry, get, post, query

HEAD = "name: HR\nbase_url: http://hr\nendpoints:\n  - {method: GET, url: /ok, description: d}\n"


def with_post(body: str, parameters: str = "{}") -> Catalog:
    text = f"{HEAD}  - {{method: POST, url: '/a/[id]?b=[b]', description: d, parameters: {parameters}, body: {body}}}\n"
    return load_catalog(text, {})


def told(text: str) -> str:
    with pytest.raises(BadCatalog) as caught:
        load_catalog(text, {})
    return str(caught.value)


# --- words and numbers ------------------------------------------------------------------------------------------------

# written: what it is, and as what type
SCALARS: dict[str, object] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
    "yes": "yes", "no": "no", "on": "on", "off": "off", "Y": "Y", "n": "n", "On": "On", "tRUE": "tRUE", "nuLL": "nuLL",
    "2024-01-01": "2024-01-01", "2024-13-45": "2024-13-45", "2024-01-01T10:00:00Z": "2024-01-01T10:00:00Z",
    "12": 12, "-3": -3, "012": 12, "08": 8, "+5": 5, "0o14": 12, "0x1F": 31, "1_000": "1_000", "0b11": "0b11", "1:30": "1:30",
    "12345678901234567890123": 12345678901234567890123,
    "1.5": 1.5, "1.10": 1.1, "1e3": 1000.0, ".5": 0.5, "1.": 1.0, "-0.0": 0.0, "1,5": "1,5",
    ".inf": ".inf", ".nan": ".nan", "1e999": "1e999", "1.2.3": "1.2.3", "=": "=",
    "'012'": "012", '"true"': "true", "!!str 012": "012", "!!int '7'": 7,
}  # fmt: skip


@each_row("written", SCALARS)
def test_a_scalar_is_what_yaml_1_2_says(written: str) -> None:
    found = read_yaml(f"a: {written}\n", "f")[0]["a"]
    assert (found, type(plain(found))) == (SCALARS[written], type(SCALARS[written]))


NUMBERS = [
    "012",
    "1.10",
    "01",
    "0o14",
    "1e3",
    ".5",
    "0x1F",
    "+7",
    "-0",
    "1.",
    "00",
    "12345678901234567890123",
    "1.0",
    "7",
]


@each_row("written", NUMBERS)
def test_a_number_keeps_its_text_where_a_schema_says_string(written: str) -> None:
    catalog = with_post(
        f"{{properties: {{zip: {{type: string, enum: [{written}, x], default: {written}, examples: [{written}]}}}}}}",
        f"{{id: {{type: [string, null], const: {written}}}, b: {{enum: [{written}, x]}}}}",
    )
    operation = catalog.operations[1]
    assert operation.body is not None
    field = operation.body["properties"]["zip"]
    assert (field["enum"], field["default"], field["examples"]) == ([written, "x"], written, [written])
    assert operation.parameters["id"]["const"] == written
    url = f"/a/{quote(written)}?b={quote(written)}"
    call = resolve(catalog, {"method": "POST", "url": url, "body": {"zip": written}})
    assert call.url == f"http://hr{url}"
    assert call.body is not None
    assert json.loads(call.body) == {"zip": written}


@pytest.mark.parametrize(("written", "value"), [("012", 12), ("1.10", 1.1), ("1e3", 1000.0), ("0x10", 16)])
def test_a_number_is_one_where_a_schema_says_so(written: str, value: float) -> None:
    schema = f"{{type: number, maximum: {written}, enum: [{written}], default: {written}}}"
    found = with_post(f"{{properties: {{a: {schema}}}}}").operations[1].body
    assert found is not None
    field = found["properties"]["a"]
    assert [field["maximum"], field["enum"], field["default"]] == [value, [value], value]
    assert {type(one) for one in (field["maximum"], *field["enum"], field["default"])} == {type(value)}


def test_the_type_counts_wherever_it_is_said() -> None:
    schema = read_yaml(
        """
        $defs: {zip: {type: string}}
        properties:
          a: {$ref: '#/$defs/zip', default: 012}
          b: {allOf: [{type: string}, {enum: [01]}]}
          c: {type: array, items: {type: string, enum: [01]}, default: [01, 02]}
          d: {type: object, additionalProperties: {type: string}, default: {x: 01}}
          e: {type: [string, integer], const: 01}
          f: {type: string, anyOf: [{const: 01}, {const: 02}]}
          default: {type: string, const: 01}
          enum: {const: 01}
        """,
        "f",
    )[0]
    found = settled(schema)["properties"]
    assert found["a"]["default"] == "012"
    assert found["b"]["allOf"][1] == {"enum": ["01"]}
    assert (found["c"]["items"]["enum"], found["c"]["default"]) == (["01"], ["01", "02"])
    assert found["d"]["default"] == {"x": "01"}
    assert found["e"] == {"type": ["string", "integer"], "const": 1}
    assert found["f"]["anyOf"] == [{"const": "01"}, {"const": "02"}]
    assert found["default"] == {"type": "string", "const": "01"}
    assert found["enum"] == {"const": 1}


def test_where_text_belongs_a_number_is_the_text_that_was_written() -> None:
    catalog = load_catalog(
        """
        apis:
          - name: 1.10
            base_url: http://h
            instructions: 007
            auth: {basic: {username: 0123, password: 1e10}}
            headers: {X-Version: 2024.10}
            endpoints: [{method: GET, url: /x, description: 0x10}]
        prompts: [2024, {title: 01, message: 1.0}]
        """,
        {},
    )
    (api,) = catalog.apis
    assert api.auth is not None
    assert api.auth.basic is not None
    assert (api.name, api.instructions, catalog.operations[0].description) == ("1.10", "007", "0x10")
    assert api.auth.basic.username.get_secret_value() == "0123"
    assert api.auth.basic.password.get_secret_value() == "1e10"
    assert api.headers["X-Version"].get_secret_value() == "2024.10"
    assert [(one.title, one.message) for one in catalog.prompts] == [("2024", "2024"), ("01", "1.0")]


def test_a_recipes_values_are_of_the_types_that_its_operations_say() -> None:
    text = """
        base_url: http://h
        endpoints:
          - {method: GET, url: "/zips/[zip]?v=[v]&n=[n]", description: d, parameters: {n: {type: integer}}}
          - method: POST
            url: /x
            description: d
            body: {type: object, properties: {zip: {type: string}, n: {type: number}, tags: {type: array, items: {type: string}}}}
        recipes:
          - workflowId: r
            description: d
            inputs: {type: object}
            steps:
              - {stepId: a, operation: "GET /zips/[zip]", parameters: {zip: 01234, v: 1.10, n: 010}}
              - {stepId: b, operation: POST /x, requestBody: {payload: {zip: 01234, n: 1.10, tags: [01, 1e3], free: 012}}}
        """
    first, second = load_catalog(text, {}).recipes[0].steps
    assert first.parameters == {"zip": "01234", "v": "1.10", "n": 10}
    assert second.payload == {"zip": "01234", "n": 1.1, "tags": ["01", "1e3"], "free": 12}
    assert json.dumps(second.payload) == '{"zip": "01234", "n": 1.1, "tags": ["01", "1e3"], "free": 12}'


def test_a_catalog_written_with_yes_and_no_means_what_it_meant() -> None:
    text = "approval: {not_asker: yes, approvers: [U024BE7LH], batch: off}\n" + HEAD.replace(
        "/ok,", "/ok, enabled: on,"
    )
    catalog = load_catalog(text + "  - {method: PUT, url: /p, description: d, preview: {ignore: [no]}}\n", {})
    rules = catalog.operations[1].rules
    assert rules is not None
    assert (rules[0].not_asker, rules[0].batch) == (True, False)


@each_row("written", [*NUMBERS, "on", "yes", "2024-01-01"])
def test_a_description_says_it_like_a_catalog(written: str) -> None:
    """Both YAML and JSON, where the text is a number of JSON, too."""
    schema = f"{{type: string, enum: [{written}, x], default: {written}}}"
    text = f"""
        openapi: 3.0.3
        info: {{title: Shop}}
        servers: [{{url: 'https://shop.example/{{v}}', variables: {{v: {{default: {written}}}}}}}]
        paths: {{/a: {{get: {{tags: [{written}], parameters: [{{name: {written}, in: query, schema: {schema}}}], responses: {{}}}}}}}}
        """
    made = entry(read_text(text, "f")[0])
    (said,) = made["parameters"].values()
    assert said == {"type": "string", "enum": [written, "x"], "default": written}
    assert f"?{written.replace('+', '%2B')}=[" in made["url"]


@each_row("written", ["1.10", "1e3", "1.0", "-0", "12345678901234567890123"])
def test_a_number_of_json_keeps_its_text_too(written: str) -> None:
    text = json.dumps(description({"/a": get(query("v", {"type": "string", "default": "@"}))})).replace('"@"', written)
    assert entry(read_text(text, "f")[0])["parameters"]["v"]["default"] == written


@each_row(
    "schema, said",
    [
        ({"type": "integer", "default": "10"}, {"type": "integer"}),
        ({"type": "boolean", "default": "true"}, {"type": "boolean"}),
        ({"type": "string", "default": False}, {"type": "string", "default": "false"}),
        ({"type": "string", "enum": [True, False]}, {"type": "string", "enum": ["true", "false"]}),
        ({"type": "array", "items": {"type": "string"}, "enum": ["a"]}, {"type": "array", "items": {"type": "string"}}),
        ({"type": "integer", "enum": [1, "many"]}, {"type": "integer"}),
        ({"type": "boolean", "enum": [0, 1]}, {"type": "boolean"}),
        ({"type": "string", "enum": ["a", None]}, {"type": "string", "enum": ["a"]}),
        ({"type": "string", "enum": ["a", "${B}"]}, {"type": "string"}),
        ({"type": "string", "description": "Of ${TENANT:-us}."}, {"type": "string", "description": "Of $TENANT"}),
    ],
)
def test_a_description_that_contradicts_itself_still_makes_a_catalog(schema: Any, said: Any) -> None:
    made = entry(description({"/a": post({"type": "object", "properties": {"f": schema}})}))
    assert made["body"]["properties"]["f"] == said


# --- writing ----------------------------------------------------------------------------------------------------------

TEXTS = st.one_of(st.text(max_size=12), st.text("0123456789._-+eExob:", max_size=8), st.sampled_from(list(SCALARS)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(VALUES)
def test_what_is_written_is_read_again_also_by_programs_that_know_yaml_1_1(value: object) -> None:
    text = key_text("a", value, 0)
    try:
        found = read_yaml(text, "f")[0]
    except BadDocument:  # characters that no YAML takes stand escaped; whatever is refused, both refuse
        with pytest.raises(yaml.YAMLError):
            yaml.safe_load(text)
        return
    assert found == {"a": value}
    assert yaml.safe_load(text) == {"a": value}


@given(st.sampled_from(NUMBERS), st.integers(0, 4))
def test_a_number_is_written_as_its_author_wrote_it(written: str, depth: int) -> None:
    value = read_yaml(written, "f")[0]
    for _ in range(depth):
        value = {"a": [value]}
    text = key_text("a", value, 0)
    assert written in text
    assert read_yaml(text, "f")[0] == {"a": value}


@given(st.sampled_from(NUMBERS))
def test_no_number_that_leaves_is_more_than_a_number(written: str) -> None:
    value = read_yaml(f"[{written}, {{a: {written}}}]", "f")[0]
    for found in (plain(value), as_typed(value, {}), settled({"enum": value})["enum"]):
        assert found == value
        assert {type(found[0]), type(found[1]["a"])} <= {int, float}
    assert as_text(value[0]) == written


# --- what can't be its type -------------------------------------------------------------------------------------------


@each_row(
    "schema, words",
    [
        ("{type: string, enum: [true, x]}", "line 5: enum: true is not text; put it in quotes."),
        (
            "{type: string, enum: [x, null]}",
            "enum: null is not text; put it in quotes, or write type: [string, 'null'].",
        ),
        ("{type: boolean, enum: [on, off]}", 'enum: "on" is not true or false; write true or false.'),
        ("{type: boolean, default: yes}", 'default: "yes" is not true or false; write true or false.'),
        ("{type: integer, enum: ['1', 2]}", 'enum: "1" is not a whole number; write it without quotes.'),
        ("{type: integer, const: 1.5}", "const: 1.5 is not a whole number; write another value, or another type."),
        ("{type: number, default: 1_000}", 'default: "1_000" is not a number; write another value, or another type.'),
        ("{type: [integer, boolean], enum: [many]}", 'enum: "many" is not a whole number or true or false;'),
        ("{type: array, default: a}", 'default: "a" is not a list; write another value, or another type.'),
        ("{type: object, properties: {x: {type: string, enum: [true]}}}", "enum: true is not text"),
        ("{type: object, additionalProperties: {anyOf: [{type: string, const: true}]}}", "const: true is not text"),
        ("{type: string, secret: yes}", 'secret takes true or false, not "yes".'),
        ("{type: string, secret: 'true'}", 'secret takes true or false, not "true".'),
    ],
)
@each_row("place", ["body", "when", "inputs"])
def test_a_value_that_is_not_of_its_type_is_refused(schema: str, words: str, place: str) -> None:
    inner = f"{{type: object, properties: {{f: {schema}}}}}"
    more = {
        "body": f"  - {{method: POST, url: /p, description: d, body: {inner}}}\n",
        "when": f"  - {{method: POST, url: /p, description: d, approval: {{when: {inner}}}}}\n",
        "inputs": f"  - {{method: POST, url: /p, description: d}}\nrecipes: [{{workflowId: w, description: d, inputs: {inner},"
        " steps: [{stepId: s, operation: GET /ok}]}]\n",
    }[place]
    found = told(HEAD + more)
    assert words.removeprefix("line 5: ") in found
    assert f"line {6 if place == 'inputs' else 5}: " in found


def test_a_value_of_a_parameter_is_told_with_its_own_line() -> None:
    found = told(
        HEAD
        + "  - method: GET\n    url: /a/[id]?b=[b]\n    description: d\n    parameters:\n      id:\n        type: string\n"
        + "        enum:\n          - x\n          - true\n      b: {type: integer, default: many}\n"
    )
    assert found.splitlines() == [
        "apis.yaml, endpoint 2, line 13: enum: true is not text; put it in quotes.",
        'apis.yaml, endpoint 2, line 14: default: "many" is not a whole number; write another value, or another type.',
    ]


def test_dates_and_words_that_once_ended_each_call_with_a_fault_can_be_called() -> None:
    catalog = with_post("{type: object}", "{id: {enum: [on, off, 2024-01-01, 012, 1.10]}}")
    call = {"method": "POST", "body": {}}
    for value in ("on", "off", "2024-01-01", "012", "1.10"):
        assert resolve(catalog, call | {"url": f"/a/{value}"}).url == f"http://hr/a/{value}"
    for value in ("true", "10", "1.1", "12"):
        with pytest.raises(BadCall, match="is not one of"):
            resolve(catalog, call | {"url": f"/a/{value}"})


# --- names that there are not -----------------------------------------------------------------------------------------


@each_row(
    "line, words",
    [
        ("nmae: x", "'nmae' is not a catalog key here; did you mean 'name'?"),
        ("baseUrl: x", "'baseUrl' is not a catalog key here; write 'base_url'."),
        ("Instructions: x", "did you mean 'instructions'?"),
        ("chanels: {}", "did you mean 'channels'?"),
        ("approvers: [asker]", "'approvers' belongs under 'approval'; move it there."),
        ("bearer: x", "'bearer' belongs under 'auth'; move it there."),
        ("url: /x", "'url' belongs under 'endpoints'; move it there."),
        ("operations: []", "write 'endpoints'."),
        ("gibberish: x", "see docs/catalog.md for the keys, or remove it."),
        ("auth: {token: x}", "'token' is not a catalog key here; write 'bearer'."),
        ("approval: {approver: [asker]}", "did you mean 'approvers'?"),
        ("limits: {per-second: 5}", "did you mean 'per_second'?"),
        ("pagination: {style: page, param: page}", "did you mean 'parameter'?"),
        ("channels: {'#a': {operation: [x]}}", "did you mean 'operations'?"),
    ],
)
def test_a_key_that_there_is_not_is_told_with_the_one_that_was_meant(line: str, words: str) -> None:
    found = told(line + "\n" + HEAD.removeprefix("name: HR\n"))
    assert "line 1: " in found
    assert words in found


@each_row(
    "key, words",
    [
        ("path: /x", "write 'url'."),
        ("summary: x", "write 'description'."),
        ("requestBody: {}", "write 'body'."),
        ("paramters: {}", "did you mean 'parameters'?"),
        ("quorum: 2", "'quorum' belongs under 'approval'; move it there."),
        ("secret: true", "'secret' belongs to a parameter, or to a field of the body; move it there."),
        ("parameters: {id: {reqired: true}}", "'reqired' is not a keyword of JSON Schema; did you mean 'required'?"),
        ("parameters: {id: {secrte: true}}", "'secrte' is not a keyword of JSON Schema; did you mean 'secret'?"),
        ("parameters: {id: {type: string, lokup: {}}}", "did you mean 'lookup'?"),
        ("body: {properties: {pin: {type: string, secrte: true}}}", "line 5: 'secrte' is not a keyword"),
        ("body: {properties: {pin: {type: string, Secret: true}}}", "did you mean 'secret'?"),
        ("body: {items: {minimun: 1}}", "did you mean 'minimum'?"),
        (
            "body: {type: object, properties: {a: {nullable: true}}}",
            "write null among the types: type: [string, 'null'].",
        ),
        ("body: {anyOf: [{max: 5}]}", "'max' is not a keyword of JSON Schema; write maximum."),
        ("body: {gibberish: 5}", "remove it, or begin it with x- if it is your own annotation."),
    ],
)
def test_a_word_of_an_entry_that_there_is_not_is_told_with_the_one_that_was_meant(key: str, words: str) -> None:
    assert words in told(HEAD + f"  - {{method: POST, url: '/x/[id]', description: d, {key}}}\n")


@pytest.mark.parametrize(
    "schema",
    [
        "{type: object, properties: {secrte: {type: string}, max: {}}, required: [secrte]}",
        "{x-note: mine, $comment: c, example: {max: 1}, deprecated: true, readOnly: true}",
        "{enum: [{secrte: true}], default: {max: 1}}",
        "{patternProperties: {'^x': {}}, propertyNames: {pattern: a}, dependentRequired: {a: [b]}}",
    ],
)
def test_what_only_looks_like_a_keyword_is_no_mistake(schema: str) -> None:
    assert with_post(schema).operations


@each_row(
    "url, words",
    [
        ("/devices/:id", "':id' does not mark a placeholder here; write [id]"),
        ("/devices/:device_id/ports", "write [device_id]"),
        ("/devices/:id.json", "write [id]"),
        ("/devices/<id>", "'<id>' does not mark a placeholder here; write [id]"),
        ("/devices/<int:id>", "write [id]"),
        ("/devices/{{id}}", "'{{id}}' does not mark a placeholder here; write [id]"),
        ("/devices?page=:page", "write [page]"),
        ("/devices?page=<page>", "write [page]"),
    ],
)
def test_a_placeholder_as_others_write_it_is_told(url: str, words: str) -> None:
    assert words in told(HEAD + f'  - {{method: GET, url: "{url}", description: d}}\n')


@each_row("url", ["/files:search", "/projects/[id]:cancel", "/times/10:30", "/a?sort=name:asc", "/a/b:c"])
def test_a_colon_that_marks_no_placeholder_is_a_letter_like_others(url: str) -> None:
    assert load_catalog(HEAD + f'  - {{method: GET, url: "{url}", description: d}}\n', {}).operations[1].url == url


def test_a_colon_before_a_described_name_is_a_placeholder_for_the_import() -> None:
    given = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    assert entry(description({"/devices/:id/ports": get(given)}))["url"] == "/devices/[id]/ports"


def test_of_many_names_those_most_like_it_are_told() -> None:
    endpoints = "".join(f"  - {{method: GET, url: /things{number}, description: d}}\n" for number in range(50))
    found = told(HEAD + endpoints + "  - {method: PUT, url: /p, description: d, preview: GET /thing7}\n")
    assert "'GET /thing7' is not a GET of this API; available: GET /things7, " in found
    assert found.endswith(" and 46 more.")


# --- what is no YAML --------------------------------------------------------------------------------------------------


@each_row(
    "text, words",
    [
        ("approval: {approvers: [@hr-leads]}", "line 1: not valid YAML: YAML reserves '@'; put the text in quotes: \"@hr-leads\"."),
        ("approval:\n  approvers:\n    - @hr-leads", "line 3: not valid YAML: YAML reserves '@'; put the text in quotes"),
        ("instructions: `x`", "YAML reserves '`'"),
        ("instructions: %x", "YAML reserves '%'"),
        ("name:\n\tHR: x", "line 2: not valid YAML: it contains a tab; indent with spaces."),
        ("channels: {'#a': {operations: [*]}}", "'*' has a special meaning in YAML; put the text in quotes."),
        ("channels: {'#a': {operations: [*users]}}", "a text that begins with * needs quotes."),
        ("instructions: & more", "'&' has a special meaning in YAML; put the text in quotes."),
        ("approval: {approvers: [#hr-leads]}\nname: x", "'#hr-leads' begins a comment; put it in quotes: \"#hr-leads\"."),
        ("channels: {#hr-bot: {instructions: x}}\nname: x", "'#hr-bot' begins a comment; put it in quotes: \"#hr-bot\"."),
        ("approval: {approvers: #hr-leads}\nname: x", "'#hr-leads' begins a comment"),
        ("channels: #hr-bot", "line 1: 'channels' takes a mapping (key: value); '#hr-bot' begins a comment, so put it in quotes."),
        ("channels:\n  #hr-bot:\n    instructions: x", "'#hr-bot' begins a comment, so put it in quotes."),
        ("channels:\n  #hr-bot: {instructions: x}", "'#hr-bot' begins a comment, so put it in quotes."),
        ("approval:\n  approvers:\n    - #hr-leads", "line 3: this item takes text; '#hr-leads' begins a comment, so put it in quotes."),
        ("name: #hr", "line 1: 'name' takes text; '#hr' begins a comment, so put it in quotes."),
        ("recipes: [{stepId: a, operation: GET /d/[id]}]", 'within { } and [ ] a text that contains a bracket needs quotes: "/d/[id]".'),
        ("headers: {X-Tenant: ${TENANT}}", 'within { } and [ ] a text that contains a bracket needs quotes: "${TENANT}".'),
        ("instructions: [a] b", 'a text that begins with a bracket needs quotes: "[a] b".'),
        ("instructions: Note: all", "line 1: not valid YAML: a text with ': ' in it needs quotes."),
        ("prompts: [{title: Who: all, message: x}]", "a text with ': ' in it needs quotes."),
        ("name:HR\ninstructions: x", "line 2: not valid YAML: write a space after 'name:' in the line above."),
        ("name: HR\n  instructions: x", "line 2: not valid YAML: indent the line like its neighbours"),
        ("auth:\n    bearer: x\n  name: HR", "line 3: not valid YAML: indent the line like its neighbours."),
        ("recipes:\n  - workflowId: a\n  approval: always", "line 3: not valid YAML: indent the line like its neighbours."),
        ("instructions: 'it's'", "the quotes end before the text does; write '' for an apostrophe between single quotes."),
        ("instructions: 'x\nname: HR", "the ' of line 1 is not closed."),
        ("prompts: [a, b\nname: HR", "the [ of line 1 is not closed."),
        ('instructions: "\\d"', "between double quotes a backslash is \\\\; single quotes take it as it is."),
        ("instructions: | x", "after | and > the text begins on the next line"),
        ("prompts: - a", "begin the list on a line of its own."),
        ("name: <<HR>>\n<<: 5", "'<<' takes a mapping, or a list of them."),
    ],
)  # fmt: skip
def test_what_yaml_cannot_read_is_told_with_what_to_write(text: str, words: str) -> None:
    assert words in told(text + "\nbase_url: http://h\nendpoints:\n  - {method: GET, url: /ok, description: d}\n")


@given(st.text("ab:#@*&!|>'\"%`[]{}, \n\t-?${}1", max_size=30))
def test_whatever_stands_there_is_told_with_the_file_that_it_stands_in(text: str) -> None:
    with pytest.raises(BadCatalog, match=r"^apis\.yaml"):
        load_catalog(text, {})


def test_escapes_that_json_writes_for_an_emoji_are_that_emoji() -> None:
    text = json.dumps(
        {"base_url": "http://h", "endpoints": [{"method": "GET", "url": "/x", "description": "\N{ROCKET} up"}]}
    )
    assert "\\ud83d" in text
    assert load_catalog(text, {}).operations[0].description == "\N{ROCKET} up"
