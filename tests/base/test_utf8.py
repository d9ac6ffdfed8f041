"""Text that every database and server takes."""

from __future__ import annotations

import pytest

from base.utf8 import encodable, encoded


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("", b""),
        ("Zoë", b"Zo\xc3\xab"),
        ("\U0001f600", b"\xf0\x9f\x98\x80"),
        ("a\ud83d", b"a?"),
        ("\ude00b", b"?b"),
        ("\0", b"\0"),
    ],
)
def test_half_a_surrogate_pair_is_a_question_mark_and_all_else_stays(text: str, bytes_: bytes) -> None:
    assert encoded(text) == bytes_
    assert encodable(text) == bytes_.decode("utf-8")
