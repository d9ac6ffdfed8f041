"""A slash within one segment of a path: only where the catalog says so, encoded on the wire, and never a dot segment."""

from __future__ import annotations

import pytest

from catalog.bad_call import BadCall
from catalog.calls import build, resolve, with_values
from catalog.catalog import BadCatalog, Catalog, load_catalog
from model.prompt.listing import FULL, operation_line
from tests.harness.cases import each_row

TEXT = """
name: Rabbit
base_url: http://rabbit
endpoints:
  - method: GET
    url: /queues/[vhost]/[name]
    description: Shows a queue.
    parameters: {vhost: {slash: true}}
  - {method: GET, url: "/overview/%2F/[name]", description: Shows a queue of the vhost /.}
  - {method: GET, url: "/exchanges/[vhost]", description: Shows exchanges.}
  - {method: GET, url: "/secret/[a]/[b]/[c]", description: Shows secrets., approval: always}
  - method: GET
    url: /secret/[a]/[b]
    description: Shows others.
    parameters: {b: {slash: true}}
"""


def catalog() -> Catalog:
    return load_catalog(TEXT, {})


@each_row(
    "url, sent",
    [
        ("/queues/%2F/orders", "/queues/%2F/orders"),
        ("/queues/%2f/orders", "/queues/%2F/orders"),
        ("/queues/group%2Fproject/orders", "/queues/group%2Fproject/orders"),
        ("/overview/%2F/orders", "/overview/%2F/orders"),
        ("/overview/%2f/orders", "/overview/%2F/orders"),
    ],
)
def test_a_slash_is_sent_encoded_where_the_catalog_has_one(url: str, sent: str) -> None:
    call = resolve(catalog(), {"method": "GET", "url": url})
    assert call.url == "http://rabbit" + sent
    assert resolve(catalog(), {"method": "GET", "url": call.url}).url == call.url


@each_row(
    "url, words",
    [
        ("/queues/v/a%2Fb", "contains a slash"),
        ("/exchanges/a%2Fb", "contains a slash"),
        ("/queues/a%2F..%2Fb/x", "slash"),
        ("/queues/..%2Fb/x", "slash"),
        ("/queues/a%2F./x", "slash"),
        ("/queues/a%5Cb/x", "slash"),
        ("/queues/a%252Fb/x", "escape"),
        ("/queues/a%EF%BC%8Fb/x", "slash"),  # full width
        ("/queues/a/b/x", "no operation"),
    ],
)
def test_a_slash_goes_nowhere_else(url: str, words: str) -> None:
    with pytest.raises(BadCall, match=words):
        resolve(catalog(), {"method": "GET", "url": url})


def test_a_found_value_may_hold_a_slash_where_a_written_one_may() -> None:
    here = catalog()
    assert build(here, here.operations[0], {"vhost": "/", "name": "a"}).url == "http://rabbit/queues/%2F/a"
    call = resolve(here, {"method": "GET", "url": "/queues/v/a"})
    with pytest.raises(BadCall, match="slash"):
        with_values(here, call, {"name": "a/b"})


def test_the_rules_hold_of_what_a_server_that_parts_segments_would_see() -> None:
    call = resolve(catalog(), {"method": "GET", "url": "/secret/a/b%2Fc"})
    assert [one.url for one in call.others] == ["/secret/[a]/[b]/[c]"]


def test_the_model_is_told_how_a_slash_is_written() -> None:
    assert "vhost (a slash in it as %2F)" in operation_line(catalog().operations[0], FULL)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{method: GET, url: '/a?q=[q]', description: d, parameters: {q: {slash: true}}}", "drop 'slash'"),
        ("{method: GET, url: /a, description: d, parameters: {X-A: {in: header, slash: true}}}", "drop 'slash'"),
        ("{method: GET, url: '/a%2F..%2Fb', description: d}", "dot segment"),
    ],
)
def test_a_slash_is_said_of_the_path_alone(entry: str, words: str) -> None:
    with pytest.raises(BadCatalog, match=words):
        load_catalog(f"name: X\nbase_url: http://x\nendpoints:\n  - {entry}\n", {})
