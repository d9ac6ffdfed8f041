"""Text that every database and server takes."""

from __future__ import annotations

from base.utf8 import encodable, encoded
from tests.harness.cases import case


def test_half_a_surrogate_pair_is_a_question_mark_and_all_else_stays() -> None:
    cases: list[tuple[str, bytes]] = [
        ("", b""),
        ("Zoë", b"Zo\xc3\xab"),
        ("\U0001f600", b"\xf0\x9f\x98\x80"),
        ("a\ud83d", b"a?"),
        ("\ude00b", b"?b"),
        ("\0", b"\0"),
    ]
    for text, bytes_ in cases:
        with case(text):
            assert encoded(text) == bytes_
            assert encodable(text) == bytes_.decode("utf-8")
