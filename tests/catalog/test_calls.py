"""From what the model wrote to a call: good ones become one exact URL and body, bad ones words that help."""

from __future__ import annotations

import contextlib
import functools
import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.bad_call import BadCall
from catalog.calls import MAX_ARGUMENTS, Call, parse_arguments, resolve
from catalog.catalog import Catalog, load_catalog
from catalog.matching import MAX_URL
from catalog.template import Piece
from gate.policy import judge, strictest
from tests.harness.cases import each_row

BASE = "https://hr.example.com/v1"
CATALOG = """
name: HR
base_url: https://HR.example.com/v1
instructions: Be kind.
endpoints:
  - {method: GET, url: "/users?page=[page]&q=[q]&sort=asc", description: d, parameters: {page: {type: integer, minimum: 1}}}
  - {method: GET, url: /users/me, description: d}
  - {method: GET, url: "/users/[id]", description: d}
  - {method: HEAD, url: "/users/[id]", description: d}
  - {method: GET, url: "/files/[name].pdf", description: d}
  - {method: GET, url: "/days/[from]..[to]", description: d}
  - {method: GET, url: /caf%C3%A9/a%20b, description: d}
  - {method: GET, url: /slash/, description: d}
  - {method: GET, url: "/match?filter[]=[f]&a+b=[g]", description: d}
  - {method: POST, url: /users, description: d}
  - {method: PUT, url: "/users/[id]", description: d, body: {type: object, required: [name], properties: {name: {type: string}}}}
  - {method: PATCH, url: "/users/[id]", description: d}
  - {method: DELETE, url: "/users/[id]?force=[force]", description: d, parameters: {force: {type: boolean}}}
  - {method: DELETE, url: "/teams/[id]", description: d, body: {type: object}}
  - {method: POST, url: /forms, description: d, body: {type: object, properties: {_method: {type: string}}}}
""".replace("HR.example", "hr.example")


@functools.cache
def catalog(text: str = CATALOG) -> Catalog:
    return load_catalog(text, {})


def asked(method: object, url: object, *body: object, within: Catalog | None = None) -> Call:
    arguments: dict[str, Any] = {"method": method, "url": url} | ({"body": body[0]} if body else {})
    return resolve(within or catalog(), parse_arguments(json.dumps(arguments)))


# --- good ones --------------------------------------------------------------------------------------------------------

GOOD: list[tuple[tuple[Any, ...], str, str | None]] = [
    (("GET", "/users"), "/users?sort=asc", None),
    (("get", "/users"), "/users?sort=asc", None),
    ((" GET ", " /users "), "/users?sort=asc", None),
    (("GET", "/users?page=2"), "/users?page=2&sort=asc", None),
    (("GET", "/users?sort=asc&page=2"), "/users?page=2&sort=asc", None),
    (("GET", "/users?page=&q="), "/users?sort=asc", None),
    (("GET", "/users?"), "/users?sort=asc", None),
    (("GET", "/users?q=2024-01-31T10:00:00+02:00"), "/users?q=2024-01-31T10%3A00%3A00%2B02%3A00&sort=asc", None),
    (("GET", "/users?q=2024-01-31T10%3A00%3A00.5+0200"), "/users?q=2024-01-31T10%3A00%3A00.5%2B0200&sort=asc", None),
    (("GET", "/users?q=20240131T100000+0200"), "/users?q=20240131T100000%2B0200&sort=asc", None),
    (("GET", "/users?q=2024-01-31T10:00+02/P1D"), "/users?q=2024-01-31T10%3A00%2B02%2FP1D&sort=asc", None),
    (("GET", "/users?q=2024-01-31+02:00"), "/users?q=2024-01-31%2B02%3A00&sort=asc", None),
    (("GET", "/users?q=ann+news@example.com"), "/users?q=ann%2Bnews%40example.com&sort=asc", None),
    (("GET", "/users?q=ann+a+b%40example.com"), "/users?q=ann%2Ba%2Bb%40example.com&sort=asc", None),
    (("GET", "/users?q=+49301234567"), "/users?q=%2B49301234567&sort=asc", None),
    (("GET", "/users?q=%25de%25"), "/users?q=%25de%25&sort=asc", None),
    (("GET", "/users?q=%2541"), "/users?q=%2541&sort=asc", None),
    (("GET", "/users/50%25de"), "/users/50%25de", None),
    (("GET", "/users/1234567890123456789"), "/users/1234567890123456789", None),
    (("GET", "/users?page=12345678901234567890123"), "/users?page=12345678901234567890123&sort=asc", None),
    (("GET", "/users?q=a%2Bb"), "/users?q=a%2Bb&sort=asc", None),
    (("GET", "/users?q=a=b"), "/users?q=a%3Db&sort=asc", None),
    (("GET", "/users?q=a%26sort%3Ddesc"), "/users?q=a%26sort%3Ddesc&sort=asc", None),
    (("GET", "/users?q=a;b"), "/users?q=a%3Bb&sort=asc", None),
    (("GET", "/users?q=a/../b"), "/users?q=a%2F..%2Fb&sort=asc", None),
    (("GET", "/users?q=http://evil/?x"), "/users?q=http%3A%2F%2Fevil%2F%3Fx&sort=asc", None),
    (("GET", "/users?q=<script>"), "/users?q=%3Cscript%3E&sort=asc", None),
    (("GET", "/users?q=100%25"), "/users?q=100%25&sort=asc", None),
    (("GET", "/users?q=é"), "/users?q=%C3%A9&sort=asc", None),
    (("GET", "/users?q=%C3%A9"), "/users?q=%C3%A9&sort=asc", None),
    (("GET", "/users?q=👩"), "/users?q=%F0%9F%91%A9&sort=asc", None),
    (("GET", "/users/7"), "/users/7", None),
    (("GET", BASE + "/users/7"), "/users/7", None),
    (("GET", "HTTPS://HR.EXAMPLE.COM/v1/users/7"), "/users/7", None),
    (("GET", "/users/me"), "/users/me", None),
    (("GET", "/users/%6de"), "/users/me", None),
    (("GET", "/users/a b"), "/users/a%20b", None),
    (("GET", "/users/a+b"), "/users/a%2Bb", None),
    (("GET", "/users/a@b.com"), "/users/a%40b.com", None),
    (("GET", "/users/..."), "/users/...", None),
    (("GET", "/users/.hidden"), "/users/.hidden", None),
    (("GET", "/users/%E2%9C%93"), "/users/%E2%9C%93", None),
    (("HEAD", "/users/7"), "/users/7", None),
    (("GET", "/files/a.b.pdf"), "/files/a.b.pdf", None),
    (("GET", "/days/1..2"), "/days/1..2", None),
    (("GET", "/café/a b"), "/caf%C3%A9/a%20b", None),
    (("GET", "/slash/"), "/slash/", None),
    (("GET", "/match?filter[]=x"), "/match?filter%5B%5D=x", None),
    (("GET", "/users/7", None), "/users/7", None),
    (("GET", "/users/7", ""), "/users/7", None),
    (("GET", "/users/7", "{}"), "/users/7", None),
    (("GET", "/users/7", {}), "/users/7", None),
    (("DELETE", "/users/7?force=true"), "/users/7?force=true", None),
    (("DELETE", "/users/7", "null"), "/users/7", None),
    (("POST", "/users", '{"a": 1}'), "/users", '{"a":1}'),
    (("POST", "/users", {"a": [1, {"b": None}]}), "/users", '{"a":[1,{"b":null}]}'),
    (("POST", "/users", [1, 2]), "/users", "[1,2]"),
    (("POST", "/users", "{}"), "/users", "{}"),
    (("POST", "/users"), "/users", None),
    (("POST", "/users", '{"a":"\\ud83d\\ude00"}'), "/users", '{"a":"😀"}'),
    (("POST", "/users", '{"a":"\\u0000\\u202e"}'), "/users", '{"a":"\\u0000\u202e"}'),
    (("POST", "/users", '{"a":1.0,"b":1e2,"c":12345678901234567890}'), "/users", '{"a":1.0,"b":1e2,"c":12345678901234567890}'),
    (("POST", "/users", '{"__proto__":{"x":1}}'), "/users", '{"__proto__":{"x":1}}'),
    (("POST", "/forms", '{"_method":"x"}'), "/forms", '{"_method":"x"}'),  # the catalog's author says so
    (("PUT", "/users/7", '{"name":"Ann"}'), "/users/7", '{"name":"Ann"}'),
    (("DELETE", "/teams/7", {}), "/teams/7", "{}"),
]  # fmt: skip


@each_row("call, url, body", GOOD)
def test_a_call_becomes_one_exact_url_and_body(call: tuple[Any, ...], url: str, body: str | None) -> None:
    made = asked(*call)
    assert (made.url, made.body) == (BASE + url, body)


@each_row("call, url, body", GOOD)
def test_a_made_call_is_the_same_when_made_again_of_its_own_url(
    call: tuple[Any, ...], url: str, body: str | None
) -> None:
    """The gate holds a stored URL to the catalog once more before it is sent."""
    made = asked(*call)
    again = asked(made.method, made.url, made.body)
    assert (again.operation.name, again.url, again.body) == (made.operation.name, made.url, made.body)


# --- bad ones ---------------------------------------------------------------------------------------------------------

HOST = "not in the catalog"
DOT, ESCAPE, SLASH, CONTROL = "dot segment", "still contains an escape", "slash", "control character"
BAD: list[tuple[tuple[Any, ...], str]] = [
    # other hosts and schemes
    (("GET", "http://evil.com/users"), HOST),
    (("GET", "http://hr.example.com/v1/users"), HOST),  # not the catalog's scheme
    (("GET", "//evil.com/users"), HOST),
    (("GET", "//hr.example.com/v1/users"), HOST),
    (("GET", "https://hr.example.com/v2/users"), HOST),
    (("GET", "https://hr.example.com/users"), HOST),
    (("GET", "https://hr.example.com:8443/v1/users"), HOST),
    (("GET", "https://hr.example.com:443/v1/users"), HOST),
    (("GET", "https://hr.example.com/v1@evil.com/users"), HOST),
    (("GET", "https://hr.example.com/v1.evil.com/users"), HOST),
    (("GET", "https://hr.example.com/v1evil/users"), HOST),
    (("GET", "https://hr.example.com@evil.com/v1/users"), HOST),
    (("GET", "https://evil.com@hr.example.com/v1/users"), HOST),
    (("GET", "https://user:pass@hr.example.com/v1/users"), HOST),
    (("GET", "https://hr.example.com./v1/users"), HOST),
    (("GET", "https:/hr.example.com/v1/users"), HOST),
    (("GET", "https:hr.example.com/v1/users"), HOST),
    (("GET", "https://hr.example.com/v1"), HOST),
    (("GET", "https://hr.example.com/v1?x=/users"), HOST),
    (("GET", "https://hr.example.com%2Fv1/users"), HOST),
    (("GET", "https://ｈr.example.com/v1/users"), HOST),
    (("GET", "javascript:alert(1)"), HOST),
    (("GET", "file:///etc/passwd"), HOST),
    (("GET", "users/7"), "has to start with '/'"),
    (("GET", ""), "has to start with '/'"),
    (("GET", "?page=1"), "has to start with '/'"),
    (("GET", "@evil.com/users"), "has to start with '/'"),
    (("GET", ".evil.com/users"), "has to start with '/'"),
    (("GET", "\\\\evil.com\\users"), "backslash"),
    (("GET", "/\\evil.com/users"), "backslash"),
    (("GET", "https://hr.example.com\\@evil.com/v1/users"), "backslash"),
    (("GET", "/users#/../admin"), "'#'"),
    (("GET", BASE + "/http://evil.com/users"), "no operation"),
    (("GET", "/http://evil.com/users"), "no operation"),
    # dot segments, in all encodings
    (("GET", "/users/.."), DOT),
    (("GET", "/users/."), DOT),
    (("GET", "/users/../admin"), DOT),
    (("GET", BASE + "/../admin/users"), DOT),
    (("GET", "/users/%2e%2e"), DOT),
    (("GET", "/users/%2E."), DOT),
    (("GET", "/users/.%2e"), DOT),
    (("GET", "/users/%2e"), DOT),
    (("GET", "/users/ .."), DOT),
    (("GET", "/users/..%20"), DOT),
    (("GET", "/users/..%C2%A0"), DOT),
    (("GET", "/users/..;"), DOT),
    (("GET", "/users/..;a=b"), DOT),
    (("GET", "/users/%2e%2e%3Bx"), DOT),
    (("GET", "/users/.;/7"), DOT),
    (("GET", "/users/․․"), DOT),  # one dot leaders
    (("GET", "/users/．．"), DOT),  # full width
    (("GET", "/users/‥"), DOT),  # two dot leader
    (("GET", "/users/%EF%BC%8E%EF%BC%8E"), DOT),
    (("GET", "/users/%252e%252e"), ESCAPE),
    (("GET", "/users/%25252e"), ESCAPE),
    (("GET", "/users/%c0%ae%c0%ae"), "not UTF-8"),  # overlong
    (("GET", "/users/%u002e%u002e"), "does not start an escape"),
    # slashes
    (("GET", "/users/7%2Fpassword"), SLASH),
    (("GET", "/users/7%2fpassword"), SLASH),
    (("GET", "/users/%2Fetc"), SLASH),
    (("GET", "/users/..%2F..%2Fadmin"), SLASH),
    (("GET", "/users/7%5Cpassword"), SLASH),
    (("GET", "/users/..%5c..%5cadmin"), SLASH),
    (("GET", "/users/7／password"), SLASH),  # full width
    (("GET", "/users/%EF%BC%8Fx"), SLASH),
    (("GET", "/users/7＼x"), SLASH),
    (("GET", "/users/7℀x"), SLASH),  # 'a/c'
    (("GET", "/users/7%252Fpassword"), ESCAPE),
    (("GET", "/users/7%25252Fpassword"), ESCAPE),
    (("GET", "/users/7%c0%afx"), "not UTF-8"),
    # escapes
    (("GET", "/users/100%"), "does not start an escape"),
    (("GET", "/users/%zz"), "does not start an escape"),
    (("GET", "/users/%"), "does not start an escape"),
    (("GET", "/users/%ff"), "not UTF-8"),
    (("GET", "/users/%ed%a0%80"), "not UTF-8"),  # a surrogate
    (("GET", "/users/%f4%90%80%80"), "not UTF-8"),  # beyond Unicode
    (("GET", "/users?q=%ff"), "not UTF-8"),
    (("GET", "/users?q=a+b"), "contains a '+'. Write %20 where a space is meant, and %2B for a plus sign."),
    (("GET", "/users?q=1+1"), "contains a '+'"),
    (("GET", "/users?q=10:00+12"), "contains a '+'"),
    (("GET", "/users?q=10:00+2024-01-31"), "contains a '+'"),
    (("GET", "/users?q=at+10:00+02:00"), "contains a '+'"),
    (("GET", "/users?q=ann+lee+ann@example.com+x"), "contains a '+'"),
    (("GET", "/users/7%255Cx"), ESCAPE),
    (("GET", "/users/%25c0%25ae"), ESCAPE),  # an overlong dot
    (("GET", "/users/%25EF%25BC%258F"), ESCAPE),  # a full width slash
    (("GET", "/users/7%2500"), ESCAPE),
    (("GET", "/users/%25u002e"), ESCAPE),
    (("GET", "/users?%2570age=1"), ESCAPE),
    # control and invisible characters
    (("GET", "/users/7\n"), CONTROL),
    (("GET", "/users/7\r\nX-Evil: 1"), CONTROL),
    (("GET", "/users/7\x00"), CONTROL),
    (("GET", "/users/7\t"), CONTROL),
    (("GET", "/users/7\x7f"), CONTROL),
    (("GET", "/users/7\x85"), CONTROL),
    (("GET", "/users/7\u2028"), CONTROL),
    (("GET", "/users/7\u202e"), CONTROL),
    (("GET", "/users/7\u2066"), CONTROL),
    (("GET", "/users/7\u200b"), CONTROL),
    (("GET", "/users/\ufeff7"), CONTROL),
    (("GET", "/users/7\ud800"), CONTROL),
    (("GET", "/users/7%00"), CONTROL),
    (("GET", "/users/7%0d%0aX-Evil:%201"), CONTROL),
    (("GET", "/users/7%0A"), CONTROL),
    (("GET", "/users/7%7f"), CONTROL),
    (("GET", "/users/7%E2%80%A8"), CONTROL),
    (("GET", "/users?q=%00"), CONTROL),
    (("GET", "/users?q=a%0D%0Ab"), CONTROL),
    (("GET", "/users?pa%00ge=1"), CONTROL),
    # query names
    (("GET", "/users?admin=1"), "no query parameter 'admin'. Allowed: page, q, sort"),
    (("GET", "/users?PAGE=1"), "no query parameter 'PAGE'"),
    (("GET", "/users?page[]=1"), "no query parameter 'page[]'"),
    (("GET", "/users?page=1&page=2"), "Duplicate query name"),
    (("GET", "/users?page=1&%70age=2"), "Duplicate query name"),
    (("GET", "/users?page=&page=2"), "Duplicate query name"),
    (("GET", "/users?page=1;admin=1"), "page: "),
    (("GET", "/users?page=1&&q=2"), "no query parameter ''"),
    (("GET", "/users?=1"), "no query parameter ''"),
    (("GET", "/users?sort=desc"), "'sort' in the query is fixed to 'asc'"),
    (("GET", "/users/7?page=1"), "Allowed: none"),
    (("GET", "/users?page=0"), "page: "),
    (("GET", "/users?page=two"), "page: "),
    (("GET", "/users?page=1.0"), "page: "),
    (("GET", "/users?page=１"), "page: "),  # a full width digit
    (("GET", "/users?page=9999999999999999999x"), "page: "),
    (("DELETE", "/users/7?force=1"), "force: "),
    (("DELETE", "/users/7?force=TRUE"), "force: "),
    # method overrides
    (("GET", "/users?_method=DELETE"), "no query parameter '_method'"),
    (("POST", "/users?_method=DELETE"), "no query parameter '_method'"),
    (("POST", "/users?X-HTTP-Method-Override=DELETE"), "no query parameter"),
    (("POST", "/users", '{"_method":"DELETE"}'), "would change the method"),
    (("POST", "/users", '{"\\u005fmethod":"DELETE"}'), "would change the method"),
    (("POST", "/users", '{"_METHOD":"delete"}'), "would change the method"),
    (("POST", "/users", '{" _method ":"delete"}'), "would change the method"),
    (("POST", "/users", '{"X-HTTP-Method-Override":"delete"}'), "would change the method"),
    (("POST", "/users", '{"x-http-method":"delete"}'), "would change the method"),
    (("PATCH", "/users/7", '{"_method":"DELETE"}'), "would change the method"),
    (("GET /users HTTP/1.1\r\nX: y", "/users"), "no operation"),
    (("DELETE", "/users"), "no operation"),
    (("OPTIONS", "/users"), "no operation"),
    (("", "/users"), "no operation"),
    (("GET\ud800", "/users"), "no operation"),
    # paths
    (("GET", "/"), "no operation"),
    (("GET", "/admin"), "no operation GET /admin. The nearest: "),
    (("GET", "/users/"), "no operation"),
    (("GET", "/users//7"), "no operation"),
    (("GET", "//users/7"), HOST),
    (("GET", "/Users/7"), "no operation"),
    (("GET", "/users/7/"), "no operation"),
    (("GET", "/users/7/password"), "no operation"),
    (("GET", "/slash"), "no operation"),
    (("GET", "/files/.pdf"), "no operation"),
    (("GET", "/users/[id]"), "Fill in the placeholder [id]"),
    (("GET", "/users/{id}"), "Fill in the placeholder [id]"),
    (("GET", "/users/%5Bid%5D"), "Fill in the placeholder [id]"),
    (("GET", "/users?page=[page]"), "Fill in the placeholder [page]"),
    (("GET", "/users/" + "7" * 1_025), "longer than"),
    (("GET", "/" + "a/" * 4_200), "longer than"),
    (("GET", "/users?page=" + "7" * 4_097), "longer than 4,096 characters"),
    (("PUT", "/users/" + "漢" * 1_000, '{"name":"x"}'), "longer than"),  # too long when encoded
    # bodies
    (("GET", "/users/7", '{"a":1}'), "takes no body"),
    (("HEAD", "/users/7", '{"a":1}'), "takes no body"),
    (("POST", "/users", "words"), "body is not valid JSON"),
    (("POST", "/users", '{"a":1'), "body is not valid JSON"),
    (("POST", "/users", '{"a":1}}'), "body is not valid JSON"),
    (("POST", "/users", '{"a":1} {"b":2}'), "body is not valid JSON"),
    (("POST", "/users", "{'a':1}"), "body is not valid JSON"),
    (("POST", "/users", "5"), "body is a JSON object or array"),
    (("POST", "/users", '"text"'), "body is a JSON object or array"),
    (("POST", "/users", 5), "body is a JSON object or array"),
    (("POST", "/users", False), "body is a JSON object or array"),
    (("POST", "/users", '{"a":1,"a":2}'), "duplicate key"),
    (("POST", "/users", '{"a":{"b":1,"b":2}}'), "duplicate key"),
    (("POST", "/users", '{"a":1,"\\u0061":2}'), "duplicate key"),
    (("POST", "/users", '{"a":1,"A":2}'), "body has the fields 'a' and 'A', which some servers take for one"),
    (("POST", "/users", '{"a":1," a":2}'), "which some servers take for one"),
    (("POST", "/users", '{"a":[{"fi":1,"\\ufb01":2}]}'), "which some servers take for one"),  # a ligature
    (("POST", "/users", '{"a":NaN}'), "NaN is not a JSON number"),
    (("POST", "/users", '{"a":Infinity}'), "not a JSON number"),
    (("POST", "/users", '{"a":-Infinity}'), "not a JSON number"),
    (("POST", "/users", '{"a":1e999}'), "body is not valid JSON: 1e999 is too long a number"),
    (("POST", "/users", '{"a":' + "9" * 5_000 + "}"), "body is not valid JSON"),
    (("POST", "/users", {"a" + "\u0315\u0300" * 20_000: 1}), "name is longer than 1,024 characters"),  # it would take seconds to normalise
    (("POST", "/users", {"b": [{"a" * 1_025: 1}]}), "name is longer than 1,024 characters"),
    (("POST", "/users", '{"a":"\\ud800"}'), "a number or a character that JSON cannot carry"),
    (("POST", "/users", '{"\\udfff":1}'), "a number or a character that JSON cannot carry"),
    (("POST", "/users", "[" * 100_000 + "]" * 100_000), "nested too deeply"),
    (("POST", "/users", '{"a":' * 30_000 + "1" + "}" * 30_000), "nested too deeply"),
    (("POST", "/users", "[" * 51 + "]" * 51), "body is nested too deeply; at most 50 levels"),
    (("POST", "/users", {"a": [{"b": json.loads("[" * 48 + "]" * 48)}]}), "body is nested too deeply; at most 50 levels"),
    (("PUT", "/users/7"), "needs a body: "),
    (("PUT", "/users/7", ""), "needs a body: "),
    (("PUT", "/users/7", {}), "body: 'name' is missing; add it"),
    (("PUT", "/users/7", {"name": 5}), "body: name: 5 is not text"),
    (("DELETE", "/teams/7"), "needs a body: "),
    # of another kind
    ((None, "/users"), "method and url are both needed"),
    (("GET", None), "method and url are both needed"),
    ((5, ["/users"]), "method and url are both needed"),
    (("GET", {"path": "/users"}), "method and url are both needed"),
]  # fmt: skip


@each_row("call, words", BAD)
def test_a_bad_call_is_told_in_words_that_help(call: tuple[Any, ...], words: str) -> None:
    with pytest.raises(BadCall) as caught:
        asked(*call)
    assert words in str(caught.value)
    assert len(str(caught.value)) <= 1_200
    str(caught.value).encode()  # words that no database and no model server refuses


ARGUMENTS: list[tuple[object, str]] = [
    ("", "not valid JSON"),
    ("words", "not valid JSON"),
    ("null", "not a JSON object"),
    ("5", "not a JSON object"),
    ('"GET /users"', "not a JSON object"),
    ('["GET", "/users"]', "not a JSON object"),
    ("true", "not a JSON object"),
    ("NaN", "not a JSON number"),
    ('{"method":"GET","url":"/users"', "not valid JSON"),
    ('{"method":"GET","method":"DELETE","url":"/users"}', "duplicate key"),
    ("[" * 100_000, "nested too deeply"),
    ("{" * 100_000, "not valid JSON"),
    ("9" * 5_000, "not valid JSON"),
    (" " * (MAX_ARGUMENTS + 1), "characters long"),
    ('{"method":"POST","url":"/users","body":"' + "x" * 2_000_000 + '"}', "characters long"),
    ({"method": "POST", "url": "/users", "body": {"a": "x" * 2_000_000}}, "characters long"),
    ({"method": "POST", "url": "/users", "body": "x" * 2_000_000}, "characters long"),
    (None, "not a JSON object"),
    (5, "not a JSON object"),
    (True, "not a JSON object"),
    ([], "not a JSON object"),
    ({}, "method and url are both needed"),
    ("{}", "method and url are both needed"),
    ({"method": "GET"}, "method and url are both needed"),
    ({"method": "GET", "path": "/users"}, "Unknown argument 'path'"),
    ({"method": "GET", "url": "/users", "headers": {"X": "y"}}, "takes no header 'X'. Allowed: none"),
    ({"method": "GET", "url": "/users", "headers": ["X: y"]}, "headers is an object of strings"),
    ({"method": "GET", "url": "/users", "\ud800": 1}, "Unknown argument"),
    ({"method": "GET", "url": "/users", "k" * 5_000: 1}, "Unknown argument"),
    ({"method": "POST", "url": "/users", "body": {"a": float("nan")}}, "JSON cannot carry"),
    ({"method": "POST", "url": "/users", "body": {"a"}}, "not valid JSON"),
]


@each_row("raw, words", ARGUMENTS)
def test_arguments_of_every_kind_end_in_words(raw: object, words: str) -> None:
    with pytest.raises(BadCall) as caught:
        resolve(catalog(), parse_arguments(raw))
    assert words in str(caught.value)
    assert len(str(caught.value)) <= 1_200
    str(caught.value).encode()


def test_a_bad_call_does_not_hand_back_what_was_sent_in_full() -> None:
    """Its text goes into the transcript and the log."""
    with pytest.raises(BadCall) as caught:
        asked("PUT", "/users/7", {"name": ["x" * 5_000]})
    assert len(str(caught.value)) < 400


def test_the_nearest_operations_are_named_with_their_placeholders() -> None:
    with pytest.raises(BadCall, match=r"GET /users/\[id\]"):
        asked("GET", "/user/7")
    with pytest.raises(BadCall, match=r"DELETE /users/\[id\]\?force=\[force\]"):
        asked("DELETE", "/users/7/remove")


def test_a_bad_call_among_many_operations_names_the_nearest() -> None:
    for url in ("/days/" + "." * 1_000, "/x" * 4_000, "/users?" + "&" * 8_000, "/" + "%" * 8_000):
        with pytest.raises(BadCall):
            asked("GET", url + "/")


def test_the_longest_url_that_is_made_is_the_longest_that_is_taken() -> None:
    """One that passes when proposed must pass when it is held to the catalog again after its approval."""
    text = "base_url: https://h\nendpoints: [{method: GET, url: '/x?a=[a]&b=[b]&c=[c]&d=[d]', description: d}]"
    found = catalog(text)
    dice = random.Random(1)
    for _ in range(200):
        values = "&".join(f"{name}={dice.choice('aé漢😀') * dice.randrange(1, 1_000)}" for name in "abcd")
        try:
            made = asked("GET", f"/x?{values}", within=found)
        except BadCall:
            continue
        assert len(made.url) <= MAX_URL
        assert asked("GET", made.url, within=found).url == made.url


@pytest.mark.parametrize("query", ["filter=a%26admin%3D1", "filter=a%2Bb", "f%26x=1", "filter=100%25"])
def test_a_fixed_query_is_sent_as_its_author_meant_it(query: str) -> None:
    found = catalog(f"base_url: https://h\nendpoints: [{{method: GET, url: '/x?{query}', description: d}}]")
    assert asked("GET", "/x", within=found).url == f"https://h/x?{query}"
    assert asked("GET", f"https://h/x?{query}", within=found).url == f"https://h/x?{query}"


# --- which operation --------------------------------------------------------------------------------------------------


def entries(*lines: str) -> Catalog:
    return catalog("base_url: https://h\nendpoints:\n" + "".join(f"  - {{{line}, description: d}}\n" for line in lines))


def test_of_two_operations_the_one_that_is_spelled_out_is_meant() -> None:
    found = entries("method: GET, url: '/users/[id]'", "method: GET, url: /users/me")
    assert asked("GET", "/users/me", within=found).operation.url == "/users/me"
    assert asked("GET", "/users/you", within=found).operation.url == "/users/[id]"


def test_of_two_operations_the_one_whose_parameters_fit_is_meant() -> None:
    found = entries(
        "method: GET, url: '/users/[id]', parameters: {id: {type: integer}}",
        "method: GET, url: '/users/[name]', parameters: {name: {pattern: '^[a-z]+$'}}",
    )
    assert asked("GET", "/users/7", within=found).operation.url == "/users/[id]"
    assert asked("GET", "/users/ann", within=found).operation.url == "/users/[name]"
    with pytest.raises(BadCall, match=r"id: "):
        asked("GET", "/users/A.", within=found)


STRICT = [
    (["method: GET, url: /users/export, approval: always", "method: GET, url: '/users/[id]?fields=[f]'"], "GET", "/users/export?fields="),
    (["method: GET, url: /users/export, approval: always", "method: GET, url: '/users/[id]?fields=[f]'"], "GET", "/users/export?fields=x"),
    (["method: POST, url: '/run/wipe?hard=[h]', approval: always, parameters: {h: {type: boolean}}",
      "method: POST, url: '/run/[job]?hard=[x]', approval: never"], "POST", "/run/wipe?hard=yes"),
    (["method: POST, url: /x, approval: always", "method: POST, url: '/x?dry=[d]', approval: never"], "POST", "/x?dry="),
    (["method: POST, url: '/a/[x]/c', approval: never", "method: POST, url: '/a/b/[y]', approval: always"], "POST", "/a/b/c"),
]  # fmt: skip


@each_row("lines, method, url", STRICT)
def test_no_other_entry_leads_around_an_approval_always(lines: list[str], method: str, url: str) -> None:
    """Where a path fits an entry that always asks, no looser entry that fits as well may be what is called."""
    try:
        made = asked(method, url, within=entries(*lines))
    except BadCall:
        return
    entries_ = (made.operation, *made.others)
    assert (
        strictest([judge(method, one.rules, made.condition_input(one), tainted=False) for one in entries_]).way == "ask"
    )


# --- several APIs -----------------------------------------------------------------------------------------------------


def two(first: str, second: str, path: str = "/x") -> Catalog:
    return catalog(
        f"apis:\n  - {{name: A, base_url: '{first}', endpoints: [{{method: GET, url: {path}, description: d}}]}}\n"
        f"  - {{name: B, base_url: '{second}', endpoints: [{{method: GET, url: /x, description: d}}]}}\n"
    )


def test_a_path_that_several_apis_have_asks_for_the_whole_url() -> None:
    found = two("http://a", "http://b")
    with pytest.raises(BadCall, match=r"several APIs.*http://a, http://b"):
        asked("GET", "/x", within=found)
    assert asked("GET", "http://b/x", within=found).operation.api.name == "B"


def test_a_path_that_one_api_has_needs_no_host() -> None:
    assert asked("GET", "/y", within=two("http://a", "http://b", "/y")).url == "http://a/y"


@pytest.mark.parametrize(("first", "second"), [("http://h", "http://h/b"), ("http://h/b", "http://h")])
def test_an_api_below_another_ones_address_can_be_called(first: str, second: str) -> None:
    found = two(first, second)
    assert asked("GET", f"{first}/x", within=found).operation.api.name == "A"
    assert asked("GET", f"{second}/x", within=found).operation.api.name == "B"


def test_two_apis_at_one_address_can_both_be_called() -> None:
    found = two("http://h", "http://h", "/y")
    assert asked("GET", "http://h/y", within=found).operation.api.name == "A"
    assert asked("GET", "http://h/x", within=found).operation.api.name == "B"


# --- templates with several placeholders ------------------------------------------------------------------------------

PARTS = st.lists(st.sampled_from(["-", "a", "ab", "-a", "[p]"]), min_size=1, max_size=7)


def piece(parts: list[str]) -> Piece:
    return Piece(tuple((f"p{i}" if part == "[p]" else part, part == "[p]") for i, part in enumerate(parts)))


@given(PARTS, st.text("ab-A", max_size=10))
def test_a_template_takes_what_a_greedy_expression_takes(parts: list[str], text: str) -> None:
    one = piece(parts)
    written = "".join("(.+)" if part == "[p]" else re.escape(part) for part in parts)
    found = re.fullmatch(written, text, re.DOTALL)
    assert one.match(text) == (dict(zip(one.names, found.groups(), strict=True)) if found else None)
    assert one.could_be(text) is bool(re.fullmatch(written, text, re.DOTALL | re.IGNORECASE))


@pytest.mark.parametrize(
    "url", ["/x/[a]-[b]-[c]-[d]", "/x/[a].[b].[c].[d].pdf", "/x/[a][b][c][d][e]-z", "/x?v=[a]-[b]-[c]-[d]!"]
)
def test_no_value_makes_a_template_run_on(url: str) -> None:
    """An expression tries every division of the dashes: of a thousand, for years."""
    found = entries(f"method: GET, url: '{url}'", "method: POST, url: /other")
    for text in ("-" * 1_000, "." * 1_000, "x" * 1_000, "-." * 500):
        with contextlib.suppress(BadCall):
            asked("GET", url.partition("[")[0] + text + "%09", within=found)
        with contextlib.suppress(BadCall):
            asked("GET", url.partition("[")[0] + text, within=found)
