"""Answers of all media types: tables become objects, pages text, and whatever comes, nothing raises, hangs or shows a secret."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gate.answers import Answer, data_of
from tests.harness.bot_parts import result_text
from tests.harness.cases import case

PAGE = """<!DOCTYPE html><html><head><title>Not &amp; here</title><style>p { color: red }</style>
<script>alert("x > y")</script></head><body><!-- hidden <p> --><h1>404</h1>
<p>The <b>page</b>
is g<i>one</i>: 1 < 2.</p><SCRIPT src="x">more()</SCRIPT ><ul><li>a<li>b</ul><br/><svg/>end</body></html>"""


def data(content: str | bytes, kind: str, broke_off: str = "") -> tuple[Any, list[str]]:
    return data_of(Answer(200, kind, content.encode() if isinstance(content, str) else content, broke_off))


# --- what becomes of each kind ----------------------------------------------------------------------------------------

KINDS: list[tuple[str, str | bytes, Any]] = [
    ("text/csv", "id,name\r\n007,Ann\r\n8,\"Lee, Bo\"\r\n", [{"id": "007", "name": "Ann"}, {"id": "8", "name": "Lee, Bo"}]),
    ("Text/CSV; charset=utf-8; header=present", "\ufeffid\n1\n\n2", [{"id": "1"}, {"id": "2"}]),
    ("text/csv", "a;b\n1,5;2", [{"a": "1,5", "b": "2"}]),
    ("text/csv", "a,a,,b\n1,2,3,4,5\n6", [{"a": "1", "a (column 2)": "2", "column 3": "3", "b": "4", "column 5": "5"}, {"a": "6"}]),
    ("text/csv", "a (column 2),a,a (column 2)\n1,2,3", [{"a (column 2)": "1", "a": "2", "a (column 2) (column 3)": "3"}]),
    ("text/csv", 'a,b\n"x\ny",2', [{"a": "x\ny", "b": "2"}]),
    ("text/csv", "a,b\n", []),
    ("text/csv", "5", []),
    ("text/csv", '{"error": "no"}', {"error": "no"}),
    ("text/csv", "{a},b\n1,2", [{"{a}": "1", "b": "2"}]),
    ("text/csv", 'a,"b;c;d"\n1,2', [{"a": "1", "b;c;d": "2"}]),
    ("text/csv; charset=iso-8859-1", "name\nJos\u00e9 \u20ac".encode("cp1252"), [{"name": "Jos\u00e9 \u20ac"}]),
    ("text/tab-separated-values", "a\tb,c\n1\t2,3", [{"a": "1", "b,c": "2,3"}]),
    ("application/x-ndjson", '{"a":1}\n\n{"a":[2]}\n', [{"a": 1}, {"a": [2]}]),
    ("application/jsonl", "1\nnull", [1, None]),
    ("application/json-seq", '\x1e{"a":1}\n\x1e2\n', [{"a": 1}, 2]),
    ("application/vnd.acme.v2+json; charset=utf-8", '{"a":1}', {"a": 1}),
    ("application/problem+json", '{"title":"no"}', {"title": "no"}),
    ("application/xml", "<a><b>1</b></a>", "<a><b>1</b></a>"),
    ("application/atom+xml", "<?xml version='1.0'?><feed/>", "<?xml version='1.0'?><feed/>"),
    ("text/html; charset=utf-8", PAGE, "Not & here\n404\nThe page is gone: 1 < 2.\na\nb\nend"),
    ("text/html", '{"a":1}', {"a": 1}),
    ("text/plain", "a,b\n1,2", "a,b\n1,2"),
    ("text/plain", '{"a":1}', {"a": 1}),
    ("", '{"a":1}', {"a": 1}),
]  # fmt: skip


def test_an_answer_is_read_by_its_media_type() -> None:
    for kind, content, meant in KINDS:
        assert data(content, kind)[0] == meant, (kind, content)


def test_a_table_without_rows_says_which_columns_it_has() -> None:
    assert data("id,Ignore this!,name\n", "text/csv") == ([], ["The table has no rows. Its columns: id, ..., name."])
    assert data("", "text/csv") == (None, [])


def test_a_page_says_that_it_is_one() -> None:
    assert data(PAGE, "text/html")[1] == ["The answer is a web page; this is its text."]


def test_what_is_not_what_its_type_says_stays_text() -> None:
    cases: list[tuple[str, str, str]] = [
        ("text/csv", "a\n" + "x" * 200_000, "says it is a table"),
        ("text/csv", "x" * 201 + ",b\n1,2", "says it is a table"),
        ("application/x-ndjson", '{"a":1}\nwords', "says it is lines of JSON"),
        ("application/x-ndjson", "[" * 100_000, "says it is lines of JSON"),
        ("application/x-ndjson", "[" * 150 + "]" * 150, "says it is JSON"),
        ("application/vnd.x+json", "words", "says it is JSON"),
        ("Application/JSON", "words", "says it is JSON"),
    ]
    for kind, content, words in cases:
        with case(kind, content):
            found, (note,) = data(content, kind)
            assert found == content
            assert words in note


def test_what_is_no_text_is_told_in_its_size() -> None:
    cases: list[str] = [
        "application/pdf",
        "image/png",
        "text/csv",
        "text/html",
        "application/x-ndjson",
        "application/xml",
    ]
    for kind in cases:
        with case(kind):
            found, (note,) = data(b"\x89PNG\xff\xfe", kind)
            assert (found, note) == (None, f"The answer is 6 bytes of {kind}, no text.")


def test_of_lines_that_broke_off_the_whole_ones_are_read() -> None:
    assert data('{"a":1}\n{"a":', "application/x-ndjson", "broke off") == ([{"a": 1}], [])


# --- an API that means ill --------------------------------------------------------------------------------------------


def test_a_table_cannot_grow_beyond_bounds_by_its_names() -> None:
    found, (note,) = data("n" * 190 + "\n" + "1\n" * 200_000, "text/csv")
    assert note == f"Only the first {len(found):,} rows of the table were read."
    assert len(json.dumps(found)) < 30_000_000


HOSTILE = [
    "<",
    "<!--",
    "<!",
    "<?",
    "</",
    "<a ",
    "<a href='",
    "<script>",
    "</script ",
    "<script></script ",
    "<b>",
    "&amp",
    "&#x10ffff;",
    "<svg/",
]


def test_a_page_of_many_odd_pieces_is_read_in_one_pass() -> None:
    """A search that began again at each of them would not end while anybody waits."""
    for piece in HOSTILE:
        with case(piece):
            text = piece * (100_000 // len(piece))
            found, _ = data(text, "text/html")
            assert isinstance(found, str)
            assert len(found) <= len(text)


def test_a_secret_in_a_page_is_masked_however_it_is_cut() -> None:
    cases: list[str] = [
        "<script>T0P-s3cret",
        "<p>T0P-<b>s3</b>cret</p>",
        "T0P&#45;s3cret",
        "<!-- T0P-s3cret",
        "T0P-<!-- -->s3cret",
    ]
    for text in cases:
        with case(text):
            shown = result_text(Answer(200, "text/html", text.encode()), limit=1_000, secrets=["T0P-s3cret"])
            assert "s3cret" not in shown


TYPES = st.sampled_from(
    [kind for kind, _, _ in KINDS] + ["text/csv; charset=utf-7", "text/html; charset=idna", "text/html; charset=\x00"]
)


@given(
    TYPES,
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    st.booleans(),
)
def test_whatever_an_api_answers_becomes_json_that_can_be_stored(kind: str, content: bytes, broke_off: bool) -> None:
    found, notes = data(content, kind, "broke off" if broke_off else "")
    json.dumps(found, allow_nan=False).encode()
    assert all(isinstance(note, str) for note in notes)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(
    st.lists(CELLS.map(str.strip).filter(bool), min_size=2, max_size=4, unique=True),
    st.lists(st.lists(CELLS, min_size=4, max_size=4), max_size=4),
)
def test_a_table_reads_as_it_was_written(names: list[str], rows: list[list[str]]) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([names, *(row[: len(names)] for row in rows)])
    text = written.getvalue()
    if text.partition("\n")[0].count(";") or text.partition("\n")[0].count("\t"):
        return  # which of them parts the cells is a guess
    assert data(text, "text/csv")[0] == [dict(zip(names, row, strict=False)) for row in rows]
