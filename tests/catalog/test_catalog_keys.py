"""The catalog's keys beyond single endpoints: lists, headers, lookups, paging, recipes, prompts, channels; and their mistakes."""

from __future__ import annotations

import pytest

from catalog.catalog import BadCatalog, Catalog, Operation, load_catalog
from catalog.expressions import BadExpression, Expression, expressions, parse_expression
from tests.harness.cases import each_row

RICH = """
name: HR
base_url: https://hr.example.com
headers: {X-Tenant: acme}
limits: {at_once: 4, per_second: 2.5}
pagination: {style: page, parameter: page, size: per_page, items: data}
endpoints:
  - method: GET
    url: /users?page=[number]&ids=[ids]&email=[email]&per_page=50
    description: Lists users.
    parameters:
      ids: {type: array, items: {type: integer}, style: pipeDelimited}
      email: {type: string, format: email, required: false}
  - {method: GET, url: "/users/[id]", description: d,
     parameters: {id: {type: integer, minimum: 1, lookup: {operation: GET /users, match: [email, names.first], id: id}}}}
  - {method: GET, url: /old, description: d, enabled: false}
  - method: GET
    url: /events?after=[token]
    description: d
    parameters: {X-Region: {in: header, required: true}, token: {required: true}}
    pagination: {style: cursor, parameter: after, next: "data[-1].id", more: has_more, max_pages: 3}
  - {method: POST, url: "/teams/[team]/members?notify=[notify]", description: d, body: {type: object}, body_type: form}
recipes:
  - workflowId: add-to-team
    description: Adds a person.
    inputs: {type: object, required: [email, team], properties: {email: {type: string}, team: {type: string}}}
    steps:
      - stepId: find
        operation: GET /users
        parameters: {email: $inputs.email, page: 1}
        outputs: {id: "$response.body#/data/0/id", how: $statusCode}
      - stepId: add
        operation: POST /teams/[team]/members
        parameters: {team: $inputs.team}
        requestBody: {payload: {user_id: $steps.find.outputs.id, note: "by {$inputs.email}", price: $5}}
prompts: ["Who joined in March?", {title: Teams, message: "Which teams are there?"}]
channels:
  "#hr-bot": {instructions: Be brief., operations: ["GET /users*", "POST /teams/[team]/members"], approval: {quorum: 2, approvers: ["@hr"]}}
  C024BE7LH: {}
"""


def load(text: str) -> Catalog:
    return load_catalog(text, {}, source="apis.yaml")


@pytest.fixture(scope="module")
def rich() -> Catalog:
    return load(RICH)


def named(catalog: Catalog, name: str) -> Operation:
    found = catalog.named(catalog.apis[0], name)
    assert found is not None
    return found


# --- what is handed over ----------------------------------------------------------------------------------------------


def test_a_parameters_schema_is_plain_and_our_own_keys_stand_beside_it(rich: Catalog) -> None:
    users, one = named(rich, "GET /users"), named(rich, "GET /users/[id]")
    assert users.parameters["ids"] == {"type": "array", "items": {"type": "integer"}}
    assert (dict(users.styles), users.required) == ({"ids": ("pipeDelimited", False)}, frozenset())
    assert one.parameters["id"] == {"type": "integer", "minimum": 1}
    assert (one.lookups["id"].operation, one.lookups["id"].match, one.lookups["id"].id) == (
        "GET /users",
        ("email", "names.first"),
        "id",
    )
    assert one.required == {"id"}


def test_header_parameters_and_required_values_are_named(rich: Catalog) -> None:
    events = named(rich, "GET /events")
    assert events.headers == ("X-Region",)
    assert events.required == {"X-Region", "token"}


@pytest.mark.parametrize(
    ("keys", "spelling"),
    [("", ("form", True)), ("explode: false", ("form", False)), ("style: spaceDelimited", ("spaceDelimited", False)),
     ("style: pipeDelimited, explode: true", ("pipeDelimited", True))],
)  # fmt: skip
def test_a_list_has_the_style_that_openapi_gives_it(keys: str, spelling: tuple[str, bool]) -> None:
    found = load(entry("GET", "/x?a=[a]", f"parameters: {{a: {{type: [array, 'null'], {keys}}}}}")).operations[1]
    assert found.styles == {"a": spelling}


def test_an_entry_that_is_switched_off_is_not_there(rich: Catalog) -> None:
    assert "GET /old" not in [one.name for one in rich.operations]


def test_the_apis_paging_holds_for_lists_that_have_its_parameter(rich: Catalog) -> None:
    paging = named(rich, "GET /users").pagination
    assert paging is not None
    assert (paging.style, paging.parameter, paging.size, paging.items) == ("page", "number", "per_page", "data")
    assert (paging.max_pages, paging.max_items) == (50, 5_000)
    assert named(rich, "GET /users/[id]").pagination is None
    own = named(rich, "GET /events").pagination
    assert own is not None
    assert (own.style, own.parameter, own.next, own.max_pages) == ("cursor", "token", "data[-1].id", 3)


def test_paging_by_links_holds_for_every_list() -> None:
    found = load("""
        base_url: http://h
        pagination: {style: link}
        endpoints:
          - {method: GET, url: /a, description: d}
          - {method: GET, url: "/a/[id]", description: d}
          - {method: GET, url: "/a/[id]/b", description: d}
          - {method: POST, url: /a, description: d}
        """)
    assert [one.pagination is not None for one in found.operations] == [True, False, True, False]


def test_a_page_size_that_a_list_does_not_have_is_dropped() -> None:
    found = load("""
        base_url: http://h
        pagination: {style: offset, parameter: skip, size: top}
        endpoints:
          - {method: GET, url: "/a?skip=[s]&top=[t]", description: d}
          - {method: GET, url: "/b?skip=[s]", description: d}
          - {method: GET, url: "/c?skip=[s]&top=5", description: d}
        """)
    assert [one.pagination and one.pagination.size for one in found.operations] == ["t", None, "top"]


def test_limits_are_the_apis(rich: Catalog) -> None:
    assert (rich.apis[0].limits.at_once, rich.apis[0].limits.per_second) == (4, 2.5)
    assert load(entry("GET", "/x")).apis[0].limits.at_once is None


def test_a_recipe_has_its_operations_and_its_names_as_the_operations_have_them(rich: Catalog) -> None:
    (recipe,) = rich.recipes
    assert (recipe.api, recipe.workflow_id, recipe.description) == (rich.apis[0], "add-to-team", "Adds a person.")
    find, add = recipe.steps
    assert find.operation is named(rich, "GET /users")
    assert find.parameters == {"email": "$inputs.email", "number": 1}
    assert find.outputs == {"id": "$response.body#/data/0/id", "how": "$statusCode"}
    assert (add.step_id, add.payload["user_id"]) == ("add", "$steps.find.outputs.id")


def test_prompts_are_what_a_button_says_and_asks(rich: Catalog) -> None:
    assert [(one.title, one.message) for one in rich.prompts] == [
        ("Who joined in March?", "Who joined in March?"),
        ("Teams", "Which teams are there?"),
    ]


def test_a_channel_has_its_operations_by_pattern_and_its_rules(rich: Catalog) -> None:
    channel, all_of_it = rich.channels["#hr-bot"], rich.channels["C024BE7LH"]
    assert channel.operations is not None
    assert [one.name for one in channel.operations] == ["GET /users", "GET /users/[id]", "POST /teams/[team]/members"]
    assert (channel.instructions, channel.rules[0].quorum, channel.rules[0].approvers) == ("Be brief.", 2, ("@hr",))
    assert (all_of_it.operations, all_of_it.rules, all_of_it.instructions) == (None, (), "")


def test_prompts_and_channels_stand_beside_several_apis() -> None:
    found = load("""
        apis:
          - {name: A, base_url: "http://a", endpoints: [{method: GET, url: /x, description: d}]}
          - {name: B, base_url: "http://b", endpoints: [{method: GET, url: /y, description: d}]}
        prompts: [Hello]
        channels: {C1AB: {operations: [GET /y]}}
        """)
    assert (len(found.prompts), [one.api.name for one in found.channels["C1AB"].operations or ()]) == (1, ["B"])


# --- mistakes ---------------------------------------------------------------------------------------------------------


def entry(method: str, url: str, keys: str = "") -> str:
    """A sound file of two entries; the second one, on line 5, has `keys`."""
    more = f", {keys}" if keys else ""
    return f"""name: HR
base_url: http://hr
endpoints:
  - {{method: GET, url: "/list?page=[page]&team=[team]", description: Works.}}
  - {{method: {method}, url: "{url}", description: d{more}}}
"""


def parameter(keys: str, url: str = "/x/[a]?b=[b]", name: str = "a") -> str:
    return entry("GET", url, f"parameters: {{{name}: {{{keys}}}}}")


def recipe(text: str) -> str:
    """A file with a list that needs a team, two writes, and recipes, the first of which begins on line 12."""
    return f"""name: HR
base_url: http://hr
endpoints:
  - {{method: GET, url: "/list?page=[page]&team=[team]", description: d,
     parameters: {{team: {{required: true}}, page: {{type: integer}}}}}}
  - {{method: GET, url: /all, description: d}}
  - {{method: POST, url: "/teams/[team]", description: d, body: {{type: object}}}}
  - {{method: POST, url: /people, description: d, body: {{type: object, required: [name], additionalProperties: false,
     properties: {{name: {{type: string}}}}}}}}
  - {{method: POST, url: /off, description: d, enabled: false}}
recipes:
  - {{workflowId: r, description: d, {text}}}
"""


def steps(*texts: str, more: str = "") -> str:
    ids = "abcdef"
    made = ", ".join(f"{{stepId: {ids[i]}, {text}}}" for i, text in enumerate(texts))
    return recipe(f"inputs: {{type: object, properties: {{who: {{type: string}}}}}}, steps: [{made}]{more}")


ALL, WRITE = "operation: GET /all", "operation: 'POST /teams/[team]', parameters: {team: x}, requestBody: {payload: {}}"
LOOKUP = "type: integer, lookup: {operation: %s, match: [email], id: id}"
API = "base_url: http://h\n{}\nendpoints: [{{method: GET, url: '/x?page=[page]', description: d}}]"
MISTAKES = [
    # parameters
    (parameter("in: query"), "endpoint 2, line 5: 'in' takes 'header'"),
    (parameter("required: true"), "'a' is part of the path and so always required; drop 'required'"),
    (parameter("required: [x]"), "line 5: 'required' takes true or false"),
    (parameter("type: array"), "'a' is a list, which only a query takes"),
    (parameter("type: array", "/x/[c]?b=1[a]"), "'a' is a list, which only a query takes"),
    (parameter("type: string, style: form"), "style and explode are for lists"),
    (parameter("type: string, explode: true"), "style and explode are for lists"),
    (parameter("type: array, style: deepObject", name="b"), "'style' takes 'form', 'spaceDelimited' or 'pipeDelimited'"),
    (parameter("type: array, lookup: {operation: GET /list, match: [a], id: id}", name="b"), "a lookup finds one id"),
    (parameter("type: strin"), "not a valid JSON Schema"),
    (parameter("in: header"), "'a' is a placeholder of the url, so it is not a header; drop 'in'"),
    (parameter("in: header, type: array", name="X-A"), "'X-A' is a header and takes one text"),
    (parameter("in: header, secret: true", name="X-A"), "put secret ones under the API's headers"),
    (parameter("in: header", name="'X A'"), "'X A' is not a header name"),
    (parameter("type: string", name="X-A"), "'X-A' is not a placeholder of /x/[a]?b=[b]; write [X-A] there, say in: header"),
    *[(parameter("in: header", name=name), f"a call may not set the header '{name}'") for name in (
        "Authorization", "authorization", "Host", "Cookie", "Content-Type", "content-length", "Content_Type", "X-HTTP-Method-Override",
        "X-HTTP-Method", "X-Method-Override", "Transfer-Encoding", "Connection", "X-Forwarded-For", "X-Original-URL", "X_Rewrite_Url",
        "Proxy-Authorization", "If-Match", "Idempotency-Key", "User-Agent", "Accept", "Forwarded", "Expect")],
    ("base_url: http://h\nheaders: {X-Tenant: acme}\nendpoints:\n  - method: GET\n    url: /x\n    description: d\n"
     "    parameters:\n      x_tenant: {in: header}\n", "endpoint 1, line 8: 'x_tenant' is set by this API's headers or auth"),
    ("base_url: http://h\nauth: {header: {name: X-Key, value: abcdef}}\nendpoints:\n"
     "  - {method: GET, url: /x, description: d, parameters: {X-KEY: {in: header}}}\n", "'X-KEY' is set by this API's headers or auth"),
    (entry("GET", "/x", "parameters: {X-A: {in: header}, x-a: {in: header}}"), "duplicate header 'x-a'"),
    # lookups
    (parameter(LOOKUP % "GET /nothing"), "lookup: 'GET /nothing' is not a GET of this API; available: GET /list, GET /x/[a]"),
    (parameter(LOOKUP % "'GET /x/[a]'"), "lookup: GET /x/[a] needs 'a' itself; name a list that needs nothing"),
    (entry("GET", "/pay", "approval: always") + "  - {method: GET, url: '/x/[a]', description: d, parameters: {a: "
     "{lookup: {operation: GET /pay, match: [a], id: id}}}}\n", "endpoint 3, line 6: lookup: GET /pay asks for approval each time"),
    (parameter("lookup: {operation: GET /list, match: [], id: id}"), "'match' is empty; write at least one"),
    (parameter("lookup: {operation: GET /list, match: email, id: id}"), "line 5: "),
    (parameter("lookup: {operation: GET /list, match: ['a..b'], id: id}"), "'a..b' is not valid JMESPath"),
    (parameter("lookup: {operation: GET /list, match: [a], id: 'first-name'}"), "'first-name' is not valid JMESPath"),
    (parameter("lookup: {operation: GET /list, match: [a]}"), "'id' is missing; add it"),
    # paging
    (entry("GET", "/x", "pagination: {style: pages, parameter: p}"), "'style' takes 'page', 'offset', 'cursor'"),
    (entry("GET", "/x", "pagination: {style: page}"), "style page needs 'parameter'"),
    (entry("GET", "/x", "pagination: {style: cursor, parameter: p}"), "style cursor needs 'next'"),
    (entry("GET", "/x", "pagination: {style: header, parameter: p}"), "style header needs 'header'"),
    (entry("GET", "/x", "pagination: {style: link, next: n}"), "style link has no 'next'"),
    (entry("GET", "/x", "pagination: {style: page, parameter: p}"), "pagination: 'p' is not a query parameter of /x; write ?p=[p] there"),
    (entry("GET", "/x/[p]?q=a[r]", "pagination: {style: page, parameter: q}"), "pagination: 'q' is not a query parameter"),
    (entry("GET", "/x?p=[p]", "pagination: {style: page, parameter: p, size: n}"), "pagination: 'n' is not a query parameter"),
    (entry("GET", "/x?p=[p]", "pagination: {style: page, parameter: p, items: 'a['}"), "'a[' is not valid JMESPath"),
    (entry("GET", "/x?p=[p]", "pagination: {style: page, parameter: p, max_pages: 0}"), "'max_pages' takes 1 or more"),
    (entry("POST", "/x?p=[p]", "pagination: {style: page, parameter: p}"), "pagination is for GET"),
    (entry("GET", "/x?p=[p]", "pagination: {style: page, parameter: p, size: p}"), "pagination: 'p' is already the parameter"),
    (API.format("pagination: {style: page, parameter: p}"), "line 2: no GET of this API has the query parameter 'p'"),
    (API.format("pagination: {style: page, parameter: page, size: per}"), "line 2: no list of this API has the query parameter 'per'"),
    ("base_url: http://h\npagination: {style: link}\nendpoints: [{method: GET, url: '/x/[id]', description: d}]",
     "line 2: no GET of this API is a list"),
    # limits, bodies, switches
    (API.format("limits: {at_once: 0}"), "line 2: 'at_once' takes "),
    (API.format("limits: {per_second: 0}"), "line 2: 'per_second' takes "),
    (API.format("limits: {per_minute: 5}"), "'per_minute' is not a catalog key"),
    (entry("GET", "/x", "body_type: form"), "a GET has no body"),
    (entry("POST", "/x", "body_type: xml"), "body_type: write json, form, multipart"),
    (entry("POST", "/x", "body_type: form, body: {type: array}"), "body_type: form sends named fields"),
    (entry("GET", "/x", "preview: GET /list"), "preview is for writes; a GET changes nothing"),
    *[(entry("GET", read) + f"  - {{method: PATCH, url: '/x/[a]', description: d, preview: 'GET {read}'}}\n",
       f"preview: GET {read} needs [b], which PATCH /x/[a] does not have") for read in ("/x/[b]/y", "/y/[b]")],
    (entry("PATCH", "/x", "preview: {ignore: [a, b], compare: [b]}"), "'b' is under both ignore and compare; keep one"),
    (entry("PATCH", "/x", "preview: [a]"), "write false, the name of a GET operation, or {operation: ..., ignore: [...], compare: [...]}"),
    (entry("GET", "/x", "title: 'a['"), "'a[' is not valid JMESPath"),
    (entry("HEAD", "/x", "title: name"), "title is for what shows or changes a thing; a HEAD shows none"),
    (entry("POST", "/x", "enabled: maybe"), "line 5: 'enabled' takes true or false"),
    (entry("POST", "/x", "approval: {approvers: U024BE7LH}"), "line 5: 'approvers' takes a list"),
    (entry("POST", "/x", "approval: {approvers: []}"), "'approvers' is empty; name users or groups"),
    (entry("POST", "/x", "approval: {quorum: two}"), "'quorum' takes a whole number"),
    (entry("POST", "/x?v=[v]", "parameters: {v: {type: int}}"), "type takes string, integer, "),
    (API.format("prompts: hello"), "line 2: 'prompts' takes a list"),
    ("base_url: https://a.b\nendpoints:\n  - GET /x", "endpoint 1, line 3: this item takes a mapping (key: value)"),
    ("base_url: http://h\nendpoints: [{method: GET, url: /x, description: d, enabled: false}]", "all endpoints are switched off"),
    # recipes
    (recipe("steps: []"), "recipe 1, line 12: 'steps' is empty"),
    (recipe("inputs: {type: array}, steps: [{stepId: a, operation: GET /all}]"), "inputs: write type: object"),
    (recipe("inputs: {type: object, required: [who]}, steps: [{stepId: a, operation: GET /all}]"), "inputs: 'who' is required, but is"),
    (recipe("steps: [{stepId: 'a b', operation: GET /all}]"), "recipe 1, step 1, line 12: stepId: "),
    (steps("operation: GET /nothing"), "'GET /nothing' is not an operation of this API; available: GET /list"),
    (steps("operation: POST /off"), "'POST /off' is not an operation of this API"),
    (steps(WRITE, ALL), "POST /teams/[team] is a write, and only the last step may be one"),
    (steps(WRITE, WRITE), "POST /teams/[team] is a write, and only the last step may be one"),
    (steps("operation: GET /list"), "GET /list needs 'team'; write it under parameters"),
    (steps("operation: GET /list, parameters: {team: x, teem: y}"), "'teem' is not a placeholder, query parameter or header of /list"),
    (steps("operation: GET /list, parameters: {team: x, page: first}"), "'page' does not fit GET /list: \"first\" is not a whole number"),
    (steps("operation: POST /people, requestBody: {payload: {}}"), "POST /people needs 'name' in its body; write it under payload"),
    (steps("operation: POST /people, requestBody: {payload: {name: x, nmae: y}}"), "'nmae' is not a field of POST /people's body"),
    (steps("operation: POST /people, requestBody: {payload: {name: true}}"), "'name' has to be of type string for POST /people"),
    (steps("operation: GET /all, requestBody: {payload: {}}"), "a GET has no body"),
    (steps("operation: 'POST /teams/[team]', parameters: {team: x}"), "POST /teams/[team] needs a body; write requestBody"),
    (steps(ALL + ", outputs: {x: '$inputs.who'}"), "'$inputs.who' is not part of the answer"),
    (steps(ALL + ", outputs: {x: fixed}"), "'fixed' is not part of the answer"),
    (steps(ALL + ", outputs: {x: $response.code}"), "'$response.code' is not an expression"),
    (steps("operation: GET /list, parameters: {team: $inputs.whom}"), "$inputs.whom does not resolve; inputs has the properties: who"),
    (steps("operation: GET /list, parameters: {team: 'x {$inputs.whom}'}"), "$inputs.whom does not resolve"),
    (steps("operation: GET /list, parameters: {team: $steps.a.outputs.x}"), "$steps.a does not resolve; earlier steps: none"),
    (steps(ALL, "operation: GET /list, parameters: {team: $steps.a.outputs.x}"), "$steps.a.outputs.x does not resolve; that step"),
    (steps("operation: GET /list, parameters: {team: $statusCode}"), "an answer can be named only in the outputs of its own step"),
    (steps("operation: GET /list, parameters: {team: [{a: $what}]}"), "'$what' is not an expression"),
    (steps(ALL, more=", outputs: {x: $steps.a.outputs.y}"), "$steps.a.outputs.y does not resolve"),
    (steps(ALL, more=", outputs: {x: fixed}"), "'fixed' is a constant"),
    (steps(WRITE, more=", outputs: {x: $inputs.who}"), "a recipe with a write ends with the write's own answer"),
    (recipe("steps: [{stepId: a, operation: GET /all}, {stepId: a, operation: GET /all}]"), "duplicate stepId 'a'"),
    (recipe("steps: [{stepId: a, operation: GET /all}]") + "  - {workflowId: r, description: d, steps: [{stepId: b, operation: GET /all}]}",
     "recipe 2, line 13: duplicate workflowId 'r'"),
    # words
    (API.format("words: {server: droplet}"), "line 2: 'droplet' is in no path or description of this API; use a word that is"),
    (API.format("words: {server: [works, of]}"), "'of' is in no path or description of this API"),
    (API.format("words: {server: 5}"), "line 2: server: write a word of this API's operations, or a list of them"),
    (API.format("words: {server: []}"), "line 2: 'server' is empty; write at least one"),
    (API.format("words: server"), "line 2: 'words' takes a mapping"),
    # prompts
    (API.format("prompts: [a, b, c, d, e]"), "line 2: 'prompts' takes at most 4; remove some"),
    (API.format(f"prompts: [{'x' * 76}]"), "line 2: 'title' takes at most 75 characters"),
    (API.format("prompts: [{title: a}]"), "line 2: 'message' is missing"),
    (API.format(f"prompts: [{{title: a, message: {'x' * 2_001}}}]"), "'message' takes at most 2000 characters"),
    (API.format("prompts: ['']"), "line 2: "),
    # channels
    (API.format("channels: {general: {}}"), "line 2: channels: 'general' is not a channel; write its id"),
    (API.format("channels: {C1AB: {operations: [POST *]}}"), "'POST *' matches no operation; write, for example, 'GET *' or 'GET /x'"),
    (API.format("channels: {C1AB: {operations: [get /x]}}"), "'get /x' matches no operation"),
    (API.format("channels: {C1AB: {operations: []}}"), "'operations' is empty"),
    (API.format("channels: {C1AB: {approval: {approvers: [Bob]}}}"), "line 2: 'Bob' is not an approver"),
    (API.format("channels: {C1AB: {approval: never}}"), "approval: never is for single POST endpoints"),
    (API.format("channels: {C1AB: {words: x}}"), "'words' is not a catalog key"),
    (API.format("channels: [C1AB]"), "'channels' takes a mapping"),
]  # fmt: skip


@each_row("text, words", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_to_write(text: str, words: str) -> None:
    with pytest.raises(BadCatalog) as caught:
        load(text)
    assert words in str(caught.value)
    assert all(line.startswith("apis.yaml, ") for line in str(caught.value).splitlines())


def test_every_mistake_between_entries_is_told_at_once() -> None:
    with pytest.raises(BadCatalog) as caught:
        load(
            RICH.replace("GET /users, match", "GET /old, match")
            .replace("steps.find", "steps.fond")
            .replace("GET /users*", "GET /no*")
        )
    assert [line.partition(": ")[2] for line in str(caught.value).splitlines()] == [
        "lookup: 'GET /old' is not a GET of this API; available: GET /users, GET /users/[id], GET /events.",
        "$steps.fond does not resolve; earlier steps: find.",
        "'GET /no*' matches no operation; write, for example, 'GET *' or 'GET /users'.",
    ]


# --- expressions ------------------------------------------------------------------------------------------------------


@each_row(
    "text, expression",
    [
        ("$inputs.email", Expression("inputs", "email")),
        ("$inputs.who#/name/first", Expression("inputs", "who", pointer=("name", "first"))),
        ("$steps.find.outputs.id", Expression("steps", "id", "find")),
        ("$steps.find.outputs.all#/0/a~1b~0", Expression("steps", "all", "find", ("0", "a/b~"))),
        ("$response.body", Expression("body")),
        ("$response.body#/data/0/id", Expression("body", pointer=("data", "0", "id"))),
        ("$response.header.X-Next", Expression("header", "X-Next")),
        ("$statusCode", Expression("status")),
    ],
)
def test_an_expression_names_one_thing(text: str, expression: Expression) -> None:
    assert parse_expression(text) == expression


@each_row(
    "text", ["$", "$inputs", "$inputs.", "$inputs.a.b", "$steps.a.id", "$request.body", "$response.body#x", "$url", "x"]
)
def test_what_names_nothing_is_no_expression(text: str) -> None:
    with pytest.raises(BadExpression, match=r"is not an expression; write \$inputs"):
        parse_expression(text)


def test_expressions_are_found_at_any_depth_and_within_texts() -> None:
    value = {"a": ["$inputs.x", {"b": "{$inputs.y} and {$steps.s.outputs.z}"}], "c": "$5", "d": 5, "e": "{plain}"}
    assert [(one.kind, one.name) for one in expressions(value)] == [("inputs", "x"), ("inputs", "y"), ("steps", "z")]
