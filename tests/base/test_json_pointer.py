"""JSON pointers by the examples of RFC 6901."""

from __future__ import annotations

from typing import Any

import pytest

from base.json_pointer import at, fragment_steps, pointer_of, referred, steps_of
from tests.harness.cases import case

RFC = {
    "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8,
}  # fmt: skip


def test_a_pointer_is_followed_as_the_rfc_has_it() -> None:
    cases: list[tuple[str, Any]] = [
        ("", RFC), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3), ("/g|h", 4),
        ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
    ]  # fmt: skip
    for pointer, value in cases:
        with case(pointer):
            assert at(RFC, steps_of(pointer)) == value
            assert pointer_of(steps_of(pointer)) == pointer


def test_what_does_not_resolve_is_a_lookup_error() -> None:
    cases: list[str] = ["/none", "/foo/2", "/foo/-", "/foo/00", "/foo/01", "/foo/-1", "/foo/²", "/foo/0/x", "/a~1b/c"]
    for pointer in cases:
        with case(pointer), pytest.raises(LookupError):
            at(RFC, steps_of(pointer))


def test_an_escaped_tilde_is_not_unescaped_twice() -> None:
    assert steps_of("/~01") == ("~1",)


def test_a_reference_is_a_fragment_of_its_own_document() -> None:
    cases: list[tuple[object, Any]] = [
        ("#", RFC), ("#/foo/1", "baz"), ("#/c%25d", 2), ("#/%20", 7), ("#/m~0n", 8),
        ("#foo", None), ("other.json#/foo", None), ("", None), ("#/none", None), (7, None), (None, None),
    ]  # fmt: skip
    for ref, value in cases:
        assert referred(RFC, ref) == value, ref


def test_a_percent_encoded_slash_stays_within_its_step() -> None:
    assert fragment_steps("/paths/%2Fusers/get") == ("paths", "/users", "get")


def test_a_fragment_that_is_no_pointer_is_refused() -> None:
    with pytest.raises(ValueError, match="not a JSON pointer"):
        fragment_steps("anchor")
