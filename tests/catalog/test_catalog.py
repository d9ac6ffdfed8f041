"""The catalog: what a file means, and for each mistake the entry, the line and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.calls import resolve
from catalog.catalog import BadCatalog, Catalog, load_catalog
from tests.harness.cases import each_row

ROOT = Path(__file__).parents[2]
SMALLEST = """
name: HR
base_url: ${HR_API_URL}
instructions: You are an HR helper who makes API calls on behalf of an HR representative.
endpoints:
  - method: GET
    url: /api/users?page=[page_id]
    description: Lists employees. The response is paginated.
  - method: DELETE
    url: /api/users/[user_id]
    description: Removes the employee identified by the given id.
"""


def load(text: str, **environ: str) -> Catalog:
    return load_catalog(text, environ, source="apis.yaml")


def with_entry(entry: str) -> str:
    """A sound file with one more entry, which begins on line 6."""
    return f"""name: HR
base_url: http://hr
instructions: Be kind.
endpoints:
  - {{method: GET, url: /ok, description: Works.}}
  - {entry}
"""


def with_key(line: str) -> str:
    """A sound file whose first line is `line`."""
    return f"""{line}
base_url: http://hr
endpoints:
  - {{method: GET, url: /ok, description: Works.}}
"""


# --- what works -------------------------------------------------------------------------------------------------------


def test_the_smallest_catalog_works_as_it_stands() -> None:
    catalog = load(SMALLEST, HR_API_URL="http://hr.example.com")
    assert [operation.name for operation in catalog.operations] == ["GET /api/users", "DELETE /api/users/[user_id]"]
    call = resolve(catalog, {"method": "DELETE", "url": "/api/users/7"})
    assert (call.method, call.url, call.body) == ("DELETE", "http://hr.example.com/api/users/7", None)


def test_the_sample_catalog_loads() -> None:
    assert load((ROOT / "apis.yaml").read_text("utf-8"), HR_API_URL="http://hr").operations


def test_both_kinds_of_brackets_mark_placeholders() -> None:
    catalog = load(with_entry('{method: GET, url: "/a/{one}/[two]?x={three}", description: d}'))
    assert catalog.operations[1].template.names == {"one", "two", "three"}


def test_methods_may_be_written_small() -> None:
    assert load(with_entry("{method: delete, url: /a, description: d}")).operations[1].method == "DELETE"


def test_several_apis_have_their_own_keys() -> None:
    catalog = load("""
        apis:
          - {name: A, base_url: "http://a/", expires: 2h, endpoints: [{method: GET, url: /x, description: d}]}
          - name: B
            base_url: http://b/v1
            auth: {bearer: abcdef}
            endpoints: [{method: PUT, url: /x, description: d, expires: 30m}]
        """)
    assert [(o.api.name, o.api.base_url, o.expires) for o in catalog.operations] == [
        ("A", "http://a", 7_200),
        ("B", "http://b/v1", 1_800),
    ]


@each_row("written, seconds", [("45s", 45), ("30m", 1_800), ("1h", 3_600), ("2d", 172_800), ("' 5 m '", 300)])
def test_an_expiry_is_a_number_with_a_unit(written: str, seconds: int) -> None:
    catalog = load(with_entry(f"{{method: DELETE, url: /a, description: d, expires: {written}}}"))
    assert catalog.operations[1].expires == seconds


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeff" + with_key("name: HR"), id="byte order mark"),
        pytest.param(with_key("name: HR").replace("\n", "\r\n"), id="CRLF"),
        pytest.param("%YAML 1.1\n---\n" + with_key("name: HR"), id="directive"),
        pytest.param(
            '{"base_url": "http://hr", "endpoints": [{"method": "GET", "url": "/ok", "description": "d"}]}', id="JSON"
        ),
        pytest.param(
            "base_url: http://hr\nendpoints:\n  - &e {method: GET, url: /ok, description: d}\n  - {<<: *e, url: /other}\n",
            id="merge key",
        ),
        pytest.param(
            "base_url: http://hr\nendpoints:\n  - method: GET\n    url: /ok\n    description: >-\n      Two\n      lines.\n",
            id="folded",
        ),
    ],
)
def test_unusual_yaml_is_read(text: str) -> None:
    assert load(text).operations[0].url == "/ok"


# --- the environment --------------------------------------------------------------------------------------------------


def test_variables_are_read_in_base_url_auth_and_headers() -> None:
    catalog = load(
        """
        base_url: http://${HOST:-nowhere}/${PREFIX:-v1}
        auth: {basic: {username: "${USER_NAME}", password: "${PASS_WORD}"}}
        headers: {X-Tenant: "t-${TENANT}"}
        endpoints: [{method: GET, url: /x, description: d}]
        """,
        HOST="hr",
        USER_NAME="bot",
        PASS_WORD="s3cret",
        TENANT="7",
    )
    (api,) = catalog.apis
    assert api.base_url == "http://hr/v1"
    assert api.auth is not None
    assert api.auth.basic is not None
    assert api.auth.basic.password.get_secret_value() == "s3cret"
    assert api.headers["X-Tenant"].get_secret_value() == "t-7"


@each_row(
    "line",
    [
        "name: N ${V}",
        "instructions: I ${V}",
        "instructions: |\n  Two\n  lines ${V}",
        "approval: {approvers: ['${V}']}",
        "prompts: ['Who is ${V}?']",
        "channels: {'#${V}': {instructions: x}, C0123: {instructions: 'for ${V:-all}'}}",
    ],
)
def test_a_variable_that_is_read_nowhere_is_told(line: str) -> None:
    with pytest.raises(
        BadCatalog, match=r"line \d.*\$\{V(:-all)?\}: variables are read in base_url, auth, tls and headers only"
    ):
        load(with_key(line), V="expanded-value")


@each_row(
    "entry",
    [
        "{method: GET, url: '/x/[id]', description: 'D ${V}'}",
        "{method: GET, url: '/x/[id]', description: d, parameters: {id: {type: string, description: 'P ${V}'}}}",
        "{method: GET, url: '/x/[id]', description: d, parameters: {id: {const: '${V}'}}}",
        "{method: GET, url: '/x/[id]', description: d, parameters: {id: {enum: [a, '${tenant}']}}}",
        "{method: POST, url: /x, description: d, body: {type: object, properties: {t: {default: '${V}'}}}}",
    ],
)
def test_a_variable_in_an_entry_is_told_with_its_line(entry: str) -> None:
    with pytest.raises(BadCatalog, match=r"endpoint 2, line 6: \$\{\w+\}: variables are read in"):
        load(with_entry(entry), V="expanded-value", tenant="x")


def test_words_may_speak_of_a_template() -> None:
    """Only what is written like an environment's variable was meant as one."""
    catalog = load(with_key("instructions: 'Write ${name} for the name, ${user.id} for the id, and $5.'"))
    assert catalog.apis[0].instructions == "Write ${name} for the name, ${user.id} for the id, and $5."


def test_a_variable_in_a_url_is_told_and_not_taken_for_a_placeholder() -> None:
    with pytest.raises(BadCatalog, match=r"line 6.*(base_url|environment)"):
        load(with_entry('{method: GET, url: "/${TENANT}/users", description: d}'), TENANT="t")


def test_the_value_of_a_variable_is_not_read_again() -> None:
    catalog = load(
        "base_url: http://hr\nauth: {bearer: '${A}'}\nendpoints: [{method: GET, url: /x, description: d}]",
        A="${B}x",
        B="b",
    )
    assert catalog.apis[0].auth is not None
    assert catalog.apis[0].auth.bearer is not None
    assert catalog.apis[0].auth.bearer.get_secret_value() == "${B}x"


@each_row(
    "base_url, sound",
    [
        ("http://hr", True),
        ("https://hr.example.com:8443/v1/", True),
        ("http://[::1]:8080", True),
        ("http://h r", False),
        ("http://hr/a b", False),
        ("http://hr/../admin", False),
        ("http://hr/%2e%2e/admin", False),
        ("http://hr\\@evil", False),
        ("http://user@hr", False),
        ("http://user:pass@hr", False),
        ("http://:@hr", False),
        ("http://hr?x=1", False),
        ("http://hr#x", False),
        ("http://hr:99999", False),
        ("http://hr:abc", False),
        ("http://[::1", False),
        ("ftp://hr", False),
        ("file:///etc", False),
        ("//hr", False),
        ("hr.example.com", False),
        ("http://", False),
        ("http://\u200bhr", False),
    ],
)
def test_a_base_url_that_cannot_be_called_stops_the_start(base_url: str, sound: bool) -> None:
    text = "base_url: ${BASE}\nendpoints: [{method: GET, url: /x, description: d}]"
    if sound:
        assert load(text, BASE=base_url).apis[0].base_url == base_url.rstrip("/")
    else:
        with pytest.raises(BadCatalog, match=r"apis\.yaml, line 1: base_url: "):
            load(text, BASE=base_url)


@pytest.mark.parametrize("base_url", ["http://hr\n", "http://hr/v1 ", " http://hr", "http://hr/\r\n"])
def test_a_base_url_with_a_blank_at_its_end_is_refused_or_trimmed(base_url: str) -> None:
    """Variables out of files and secrets end in line breaks often; every call would fail later."""
    try:
        catalog = load("base_url: ${BASE}\nendpoints: [{method: GET, url: /x, description: d}]", BASE=base_url)
    except BadCatalog:
        pass
    else:
        assert catalog.apis[0].base_url == base_url.strip().rstrip("/")


# --- secrets ----------------------------------------------------------------------------------------------------------


@each_row(
    "auth",
    [
        "bearer: 'T0P-s3cret\tx'",
        "basic: {username: a, password: 'T0P-s3cret\u00e9'}",
        "header: {name: 'X Key', value: T0P-s3cret}",
        "query: {name: '', value: T0P-s3cret}",
        "bearer: T0P-s3cret, token: T0P-s3cret",
        "bearer: [T0P-s3cret]",
        "bearer: {T0P-s3cret: 1}",
        "bearer: T0P-s3cret, basic: {username: u, password: T0P-s3cret}",
    ],
)
def test_no_message_about_a_mistake_shows_a_secret(auth: str) -> None:
    with pytest.raises(BadCatalog) as caught:
        load(f"base_url: http://hr\nauth: {{{auth}}}\nendpoints: [{{method: GET, url: /x, description: d}}]")
    assert "s3cret" not in str(caught.value)


def test_a_catalog_in_a_traceback_or_log_shows_no_secret() -> None:
    catalog = load("""
        base_url: http://hr
        auth: {bearer: T0P-s3cret}
        headers: {X-Key: 0ther-s3cret}
        endpoints: [{method: GET, url: /x, description: d}]
        """)
    assert "s3cret" not in repr(catalog) + str(catalog.apis[0]) + repr(catalog.apis[0].auth)


# --- mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = [
    # the file as a whole
    ("", "is empty"),
    ("# only a comment\n", "is empty"),
    ("just words", "write a mapping with name, base_url and endpoints"),
    ("- a\n- b\n", "write a mapping"),
    ("a: [1\nb: 2\n", "line 2: not valid YAML"),
    ("a: b\n\tc: d\n", "line 2: not valid YAML"),
    ("a: 1\n---\nb: 2\n", "line 2: a second document begins here"),
    ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ("base_url: 'unclosed\n", "not valid YAML"),
    ("? [a, b]\n: c\n", "line 1: a key has to be plain text"),
    ("{{NAME}}: c\n", "a text that begins with a bracket needs quotes"),
    ("a: \x00", "not valid YAML"),
    ("a: !include other.yaml\n", "the tag '!include' has no meaning; remove it"),
    ("a: [" + "[" * 300, "nested"),
    # keys of the api
    ("name: HR\nendpoints: [{method: GET, url: /x, description: d}]", "line 1: 'base_url' is missing; add it"),
    ("name: HR\nbase_url: http://h\n", "line 1: 'endpoints' is missing; add it"),
    ("base_url: http://h\nendpoints: []\n", "line 2: 'endpoints' is empty; write at least one"),
    ("base_url: http://h\nendpoints:\n", "line 2: 'endpoints' takes a list"),
    ("base_url: http://h\nendpoints: {a: b}\n", "line 2: 'endpoints' takes a list"),
    ("base_url: ${NOT_SET}\nendpoints: [{method: GET, url: /x, description: d}]",
     "line 1: base_url: NOT_SET is not set: set it in the environment, or write ${NOT_SET:-a default}"),
    (with_key("nmae: HR"), "line 1: 'nmae' is not a catalog key"),
    (with_key("name: true"), "line 1: 'name' takes text; put true in quotes"),
    (with_key("name: [HR]"), "line 1: 'name' takes text; a text that begins with a bracket needs quotes"),
    (with_key("name:"), "line 1: 'name' takes text"),
    (with_key("name: ''"), "line 1: "),
    (with_key("1: x"), "line 1: "),
    (with_key("instructions: [a]"), "line 1: 'instructions' takes text"),
    (with_key("headers: {'X Bad': y}"), "line 1: "),
    (with_key("headers: {X-A: \"a\\nb\"}"), "printable ASCII"),
    (with_key("headers: [a]"), "line 1: 'headers' takes a mapping"),
    (with_key("auth: {}"), "write exactly one of bearer, bearer_file, bearer_command, basic, header, query, client_credentials"),
    (with_key("auth: {bearer: aaaaaa, header: {name: X, value: bbbbbb}}"), "write exactly one of"),
    (with_key("auth: {bearer: '${NOT_SET}'}"), "line 1: bearer: NOT_SET is not set"),
    (with_key("auth: secret"), "line 1: 'auth' takes a mapping"),
    (with_key("auth: {basic: {username: u}}"), "line 1: 'password' is missing"),
    (with_key("expires: soon"), "write a duration, for example 45s, 30m, 1h or 2d"),
    (with_key("name: A\nname: B"), "line 2: duplicate key 'name'"),
    # entries
    (with_entry("GET /x"), "endpoint 2, line 6: "),
    (with_entry("{url: /x, description: d}"), "endpoint 2, line 6: 'method' is missing; add it"),
    (with_entry("{method: GET, description: d}"), "endpoint 2, line 6: 'url' is missing; add it"),
    (with_entry("{method: GET, url: /x}"), "endpoint 2, line 6: 'description' is missing; add it"),
    (with_entry("{method: GET, url: /x, description: ''}"), "endpoint 2, line 6: "),
    (with_entry("{method: ON, url: /x, description: d}"), "line 6: method 'ON' is not one of GET, HEAD"),
    (with_entry("{method: FETCH, url: /x, description: d}"), "line 6: method 'FETCH' is not one of GET, HEAD"),
    (with_entry("{method: CONNECT, url: /x, description: d}"), "method 'CONNECT' is not one of"),
    (with_entry("{method: OPTIONS, url: /x, description: d}"), "method 'OPTIONS' is not one of"),
    (with_entry("{method: GET, url: /x, description: d, aproval: always}"), "line 6: 'aproval' is not a catalog key"),
    (with_entry("{method: GET, url: /x, description: d, approval: never}"), "approval: never is for POST only"),
    (with_entry("{method: DELETE, url: /x, description: d, approval: never}"), "approval: never is for POST only"),
    (with_entry("{method: PUT, url: /x, description: d, approval: never}"), "approval: never is for POST only"),
    (with_entry("{method: GET, url: /x, description: d, approval: no}"), "line 6: approval: write always, never, a rule"),
    (with_entry("{method: GET, url: /x, description: d, approval: sometimes}"), "approval: write always, never, a rule"),
    (
        with_entry("{method: GET, url: /x, description: d, approval: [hr-leads]}"),
        'approval: write always, never, a rule, for example {approvers: ["@hr-leads"]}, or a list of rules.',
    ),
    (with_entry("{method: GET, url: /x, description: d, expires: 0s}"), "write a duration, for example"),
    (with_entry("{method: GET, url: /x, description: d, expires: 60}"), "write a duration, for example"),
    (with_entry("{method: GET, url: /x, description: d, expires: -5m}"), "write a duration, for example"),
    (with_entry("{method: GET, url: /x, description: d, body: {type: object}}"), "a GET has no body"),
    (with_entry("{method: POST, url: /x, description: d, body: [1]}"), "'body' takes a mapping"),
    (with_entry("{method: POST, url: /x, description: d, body: {type: objekt}}"), "not a valid JSON Schema"),
    (with_entry("{method: POST, url: /x, description: d, body: {properties: {a: {pattern: '['}}}}"), "not a valid JSON Schema"),
    (with_entry("{method: POST, url: /x, description: d, body: {$ref: 'http://evil/s.json'}}"), "does not resolve"),
    (with_entry("{method: POST, url: /x, description: d, body: {$ref: '#/$defs/none'}}"), "does not resolve"),
    (with_entry("{method: GET, url: '/x/[id]', description: d, parameters: {ide: {type: string}}}"),
     "parameters: 'ide' is not a placeholder of /x/[id]"),
    (with_entry("{method: GET, url: '/x/[id]', description: d, parameters: {id: string}}"), "'id' takes a mapping"),
    (with_entry("{method: GET, url: '/x/[id]', description: d, parameters: {id: {minimum: one}}}"), "not a valid JSON Schema"),
    # urls
    (with_entry("{method: GET, url: x, description: d}"), "a url starts with one '/'"),
    (with_entry("{method: GET, url: //evil/x, description: d}"), "a url starts with one '/'"),
    (with_entry("{method: GET, url: 'http://evil/x', description: d}"), "a url starts with one '/'"),
    (with_entry("{method: GET, url: '/x#y', description: d}"), "may not contain '#'"),
    (with_entry("{method: GET, url: '/x y', description: d}"), "space"),
    (with_entry("{method: GET, url: '/x\\y', description: d}"), "backslash"),
    (with_entry('{method: GET, url: "/x\\u202ey", description: d}'), "control character"),
    (with_entry("{method: GET, url: /a/../b, description: d}"), "may not contain a '.' or '..' segment"),
    (with_entry("{method: GET, url: /a/%2e%2E/b, description: d}"), "may not contain a '.' or '..' segment"),
    (with_entry("{method: GET, url: /a//b, description: d}"), "may not contain an empty segment"),
    (with_entry("{method: GET, url: '/a/[b', description: d}"), "a bracket that does not mark a placeholder"),
    (with_entry("{method: GET, url: '/a/[]', description: d}"), "a bracket that does not mark a placeholder"),
    (with_entry("{method: GET, url: '/a/[b c]', description: d}"), "space"),
    (with_entry("{method: GET, url: '/a/[1b]', description: d}"), "a bracket that does not mark a placeholder"),
    (with_entry("{method: GET, url: '/a/[b]/[b]', description: d}"), "duplicate placeholder 'b'"),
    (with_entry("{method: GET, url: '/a/[b]?c=[b]', description: d}"), "duplicate placeholder 'b'"),
    (with_entry("{method: GET, url: '/a?c=[b]&c=[d]', description: d}"), "duplicate query name 'c'"),
    (with_entry("{method: GET, url: '/a?[b]=c', description: d}"), "a query part is name=[placeholder]"),
    (with_entry("{method: GET, url: '/a?=c', description: d}"), "a query part is name=[placeholder]"),
    (with_entry("{method: GET, url: '/a%ff', description: d}"), "endpoint 2, line 6: "),
    (with_entry("{method: GET, url: '/a%5Cb', description: d}"), "endpoint 2, line 6: "),  # could never be called
    (with_entry("{method: GET, url: '/a/[b]%5C', description: d}"), "an encoded backslash, which no call could match"),
    (with_entry("{method: GET, url: '/a%00b', description: d}"), "endpoint 2, line 6: "),
    (with_entry("{method: GET, url: '/a%zzb', description: d}"), "endpoint 2, line 6: "),
    # twins
    (with_entry("{method: GET, url: /ok, description: again}"), "line 6: duplicate operation GET /ok; remove one"),
    (with_entry("{method: GET, method: PUT, url: /x, description: d}"), "line 6: duplicate key 'method'"),
    # several
    ("apis: []", "line 1: 'apis' is empty"),
    ("apis: {a: b}", "line 1: 'apis' takes a list"),
    ("name: x\napis: [{base_url: http://h, endpoints: [{method: GET, url: /x, description: d}]}]",
     "line 1: 'name' belongs to each API of the list; move it there"),
    ("apis:\n  - {name: A, base_url: 'http://a', endpoints: [{method: GET, url: /x, description: d}]}\n"
     "  - {name: A, base_url: 'http://b', endpoints: [{method: GET, url: /x, description: d}]}\n",
     "line 3: duplicate API name 'A'"),
    ("apis:\n  - {name: A, base_url: 'http://a', endpoints: [{method: GET, url: /x, description: d}]}\n"
     "  - name: B\n    base_url: http://b\n    endpoints:\n      - {method: GET, url: /x, description: d}\n"
     "      - {method: GET, url: /x, description: d}\n",
     "line 7: duplicate operation GET /x"),
    ("apis:\n  - {name: A, base_url: 'http://a', endpoints: [{method: GET, url: /x, description: d}]}\n"
     "  - name: B\n    base_url: http://b\n    endpoints:\n      - {method: GET, url: /x}\n",
     "line 6: 'description' is missing"),
]  # fmt: skip


@each_row("text, words", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_to_write(text: str, words: str) -> None:
    with pytest.raises(BadCatalog) as caught:
        load(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith("apis.yaml")


def test_every_mistake_of_a_file_is_told_at_once() -> None:
    with pytest.raises(BadCatalog) as caught:
        load(
            "nmae: x\nbase_url: ftp://h\nendpoints:\n  - {method: GET, url: x, description: d}\n  - {method: GET, url: /x}\n"
        )
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        "apis.yaml, line 2",
        "apis.yaml, endpoint 1, line 4",
        "apis.yaml, endpoint 2, line 5",
        "apis.yaml, line 1",
    ]


def test_the_name_of_the_file_is_the_one_that_was_given() -> None:
    with pytest.raises(BadCatalog, match=r"^other\.yml is empty"):
        load_catalog("", {}, source="other.yml")
