"""How bodies travel: what a standard parser reads back is what was meant, and no value can add a field, a header or a line."""

from __future__ import annotations

import email
import email.policy
import io
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.formparser import parse_form_data

from catalog.bad_call import BadCall
from catalog.bodies import encoded, unfit
from catalog.calls import resolve
from catalog.catalog import Catalog, load_catalog
from catalog.source import BadCatalog
from tests.harness.cases import each_row

Json = dict[str, Any]
FILES: Json = {
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "sheet": {"type": "string", "format": "binary", "contentMediaType": "text/csv"},
        "pages": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "odd": {"type": "string", "format": "binary", "contentMediaType": "text/csv\r\nX-Evil: 1"},
    }
}


def sent(body_type: str, value: Json, schema: Json | None = None) -> tuple[str, str]:
    assert unfit(body_type, value, schema) is None
    return encoded(body_type, json.dumps(value, ensure_ascii=False), schema)


def form(value: Json, schema: Json | None = None) -> list[tuple[str, str]]:
    kind, text = sent("form", value, schema)
    assert kind == "application/x-www-form-urlencoded"
    assert text.isascii()
    assert "\n" not in text
    return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))


def multipart(value: Json, schema: Json | None = None) -> tuple[list[tuple[str, str]], list[tuple[str, str, str, str]]]:
    """The fields and the files (name, file's name, type, text) that werkzeug reads."""
    kind, text = sent("multipart", value, schema)
    content = text.encode()
    environ = {"wsgi.input": io.BytesIO(content), "CONTENT_LENGTH": str(len(content)), "CONTENT_TYPE": kind,
               "REQUEST_METHOD": "POST"}  # fmt: skip
    _, fields, files = parse_form_data(environ, silent=False)
    read = [(name, one.filename or "", one.mimetype, one.read().decode()) for name, one in files.items(multi=True)]
    return list(fields.items(multi=True)), read


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_json_is_sent_as_it_is_stored() -> None:
    assert encoded("json", '{"a":1}', None) == ("application/json", '{"a":1}')


# --- forms ------------------------------------------------------------------------------------------------------------


def test_a_form_writes_objects_and_lists_in_brackets() -> None:
    value = {"amount": 5, "card": {"number": "42", "on file": True}, "items": [{"price": 1.5}, "x"], "none": None}
    assert form(value) == [
        ("amount", "5"),
        ("card[number]", "42"),
        ("card[on file]", "true"),
        ("items[0][price]", "1.5"),
        ("items[1]", "x"),
        ("none", ""),
    ]


LISTS: Json = {
    "properties": {
        "tags": {"type": "array", "style": "form"},
        "ids": {"type": "array", "style": "form", "explode": False},
        "deep": {"type": "array", "style": "deepObject"},
    }
}


def test_a_list_of_style_form_repeats_its_name_or_is_parted_by_commas() -> None:
    value = {"tags": ["a,b", 2], "ids": [1, 2], "deep": ["x"], "other": ["y"]}

    assert form(value, LISTS) == [
        ("tags", "a,b"),
        ("tags", "2"),
        ("ids", "1,2"),
        ("deep[0]", "x"),
        ("other[0]", "y"),
    ]
    assert form({"tags": [{"a": 1}], "ids": "1,2"}, LISTS) == [("tags[0][a]", "1"), ("ids", "1,2")]


def test_an_item_with_a_comma_is_refused_where_commas_part_the_items() -> None:
    problem = unfit("form", {"ids": ["1,2"]}, LISTS)

    assert problem == "ids: an item contains a comma, which separates the items; the API cannot take it"


@pytest.mark.parametrize("bad", ["style: pipes", "explode: 1"])
def test_the_catalog_takes_no_other_style_of_a_forms_list(bad: str) -> None:
    with pytest.raises(BadCatalog, match="write style: form or deepObject"):
        load_catalog(FORM.replace("BAD", bad), {})


FORM = """
base_url: https://h
endpoints:
  - {method: POST, url: /form, description: d, body_type: form, body: {properties: {a: {type: array, BAD}}}}
"""

NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters='[]"\\'), min_size=1, max_size=8
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    match value:
        case dict():
            return [leaf for key, one in value.items() for leaf in leaves(one, (*path, key))]
        case list():
            return [leaf for i, one in enumerate(value) for leaf in leaves(one, (*path, str(i)))]
    return [(path, value if isinstance(value, str) else json.dumps(value))]


@given(OBJECTS)
def test_what_a_parser_reads_of_a_form_is_what_was_meant(value: Json) -> None:
    read = [(tuple(name.removesuffix("]").replace("][", "[").split("[")), text) for name, text in form(value)]
    assert read == leaves(value)


# --- multipart --------------------------------------------------------------------------------------------------------


def test_a_multipart_body_has_a_part_for_each_field_and_files_for_binary_ones() -> None:
    value = {"note": "hi\r\nthere", "file": "a,b\n", "sheet": "1,2", "pages": ["one", "two"], "tags": ["x", "y"],
             "more": {"a": [1, "\u00e9"]}, "n": 5, "none": None}  # fmt: skip
    fields, files = multipart(value, FILES)
    assert fields == [
        ("note", "hi\r\nthere"),
        ("tags", "x"),
        ("tags", "y"),
        ("more", '{"a":[1,"\u00e9"]}'),
        ("n", "5"),
        ("none", ""),
    ]
    assert files == [
        ("file", "file", "application/octet-stream", "a,b\n"),
        ("sheet", "sheet", "text/csv", "1,2"),
        ("pages", "pages", "application/octet-stream", "one"),
        ("pages", "pages", "application/octet-stream", "two"),
    ]


def test_a_media_type_of_the_catalog_cannot_hold_a_line_break() -> None:
    assert multipart({"odd": "x"}, FILES)[1] == [("odd", "odd", "application/octet-stream", "x")]


def test_the_same_record_gives_the_same_bytes_and_another_one_another_boundary() -> None:
    first, again, other = (sent("multipart", {"file": text}, FILES) for text in ("a", "a", "b"))
    assert first == again
    assert first[0] != other[0]


@given(st.dictionaries(NAMES, TEXTS | st.lists(TEXTS, min_size=1, max_size=3), min_size=1, max_size=4))
def test_what_a_parser_reads_of_a_multipart_body_is_what_was_meant(value: Json) -> None:
    meant = [(name, item) for name, one in value.items() for item in (one if isinstance(one, list) else [one])]
    kind, text = sent("multipart", value)
    message = email.message_from_bytes(
        f"Content-Type: {kind}\r\n\r\n".encode() + text.encode(), policy=email.policy.HTTP
    )
    assert len(message.get_payload()) == len(meant)
    fields, files = multipart(value)
    assert (sorted(fields), files) == (sorted(meant), [])


@given(st.dictionaries(st.sampled_from(["file", "sheet", "note"]), TEXTS, min_size=1))
def test_a_file_holds_its_text_and_nothing_beside_it(value: Json) -> None:
    fields, files = multipart(value, FILES)
    assert {name: text for name, _, _, text in files} | dict(fields) == value
    assert {name for name, *_ in files} == set(value) - {"note"}


@pytest.mark.parametrize("text", ["--{b}\r\nX: y\r\n\r\nz", "\r\n--{b}--\r\n", "{b}"])
def test_a_text_that_holds_an_earlier_boundary_ends_no_part(text: str) -> None:
    kind, _ = sent("multipart", {"a": "x"})
    text = text.replace("{b}", kind.partition("boundary=")[2])
    assert multipart({"a": text}) == ([("a", text)], [])


# --- what cannot travel -----------------------------------------------------------------------------------------------


@each_row("body_type", ["form", "multipart"])
@each_row(
    "value, words",
    [
        ([1], "write an object"),
        ({"a": []}, "empty list or object"),
        ({"a": {"b": {}}}, "empty list or object"),
        ({"a[b]": 1}, "may not contain brackets"),
        ({"a": {"b]": 1}}, "may not contain brackets"),
        ({"a": [{"b[": 1}]}, "may not contain brackets"),
        ({'a"; filename="x': 1}, "may not contain brackets, quotes"),
        ({"a\r\nX-Evil: 1": 1}, "control characters"),
        ({"a\\": 1}, "may not contain brackets"),
        ({"": 1}, "may not contain brackets"),
    ],
)
def test_a_body_that_would_read_as_another_one_is_refused(body_type: str, value: Any, words: str) -> None:
    problem = unfit(body_type, value, None)
    assert problem is not None
    assert words in problem


def test_a_form_may_be_empty_and_a_multipart_body_has_a_part() -> None:
    assert form({}) == []
    assert unfit("multipart", {}, None) == "write at least one field"


def test_a_files_content_is_text() -> None:
    assert unfit("multipart", {"file": 5}, FILES) == "file: a file's content has to be text"
    assert unfit("multipart", {"pages": ["a", {"b": 1}]}, FILES) == "pages: a file's content has to be text"


def test_json_carries_them_all() -> None:
    assert unfit("json", {"a[b]": [], "": {}}, None) is None


# --- through the catalog ----------------------------------------------------------------------------------------------

CATALOG = """
base_url: https://h
endpoints:
  - {method: POST, url: /form, description: d, body_type: form}
  - {method: POST, url: /files, description: d, body_type: multipart,
     body: {type: object, required: [file], properties: {file: {type: string, format: binary}}}}
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(CATALOG, {})


def test_the_stored_body_is_json_however_it_travels(catalog: Catalog) -> None:
    assert resolve(catalog, {"method": "POST", "url": "/form", "body": {"a": {"b": 1}}}).body == '{"a":{"b":1}}'


@pytest.mark.parametrize(
    ("url", "body", "words"),
    [
        ("/form", "[1]", "body: write an object"),
        ("/form", '{"a[b]": 1}', "POST /form: body: a field's name may not contain brackets"),
        ("/form", '{".method": "DELETE"}', "would change the method"),
        ("/form", '{"_method": "DELETE"}', "would change the method"),
        ("/files", "{}", "'file' is missing; add it"),
        ("/files", '{"file": 5}', "body: file: 5 is not text"),
    ],
)
def test_what_cannot_travel_goes_back_to_the_model(catalog: Catalog, url: str, body: str, words: str) -> None:
    with pytest.raises(BadCall) as caught:
        resolve(catalog, {"method": "POST", "url": url, "body": body})
    assert words in str(caught.value)
