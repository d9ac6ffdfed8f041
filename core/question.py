"""A person's question as a search reads it: which terms it asks for, how much each counts, and whether it asks to see or to change.

Names of things ("Ann Lee", #team, ids, addresses) say which one is meant, not which operation; they count less or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Literal

from core import lexicon
from core.english import PHRASES, STOP, split, stem, stems, term

_LONGEST = 3_000  # characters of a question that are read
_QUOTED = re.compile(r'"[^"]{1,80}"|“[^”]{1,80}”')
_NAME = re.compile(
    r"\S+@\S+|https?://\S+|#\w+|\b\w+(?:[-_/.]\w*\d\w*)+\b|\b[A-Z]+-\d+\b|\b\w+\.\w+\.\w+\b|\b[a-z]+_\w*\d\w*\b"
)
_OWNER = re.compile(r"['’]s\b")
_PHRASE, _PARTED, _CAPITAL, _IN_PHRASE, _WHO = 0.8, 0.64, 0.6, 0.5, 0.4  # how much a term counts; a plain one counts 1
_US = ("me", "us")
_ASKS_FOR = {"who": "person", "whom": "person", "whose": "person", "where": "location"}
_PARTICLES, _POLITE, _SEEING = (
    frozenset(words.split()) for words in (lexicon.PARTICLES, lexicon.POLITE, lexicon.SEEING)
)
_WRITES = {method: stems(verbs) for method, verbs in lexicon.WRITES.items()}
Aim = Literal["see", "change", "either"]


@dataclass(frozen=True)
class Question:
    """What a search looks for: terms with how much they count, what the question aims at, and the methods that its verbs name."""

    weights: dict[str, float]
    aim: Aim
    methods: frozenset[str]


def read_question(text: str, known: Container[str]) -> Question:
    """The question in terms. `known` are the terms of what is searched, for words that are written as one there."""
    said = _NAME.sub(" ", _QUOTED.sub(" ", text[:_LONGEST]))
    weights: dict[str, float] = {}
    for word, weight in _weighed(said, known):
        weights[word] = max(weight, weights.get(word, 0.0))
    methods = frozenset(method for method, verbs in _WRITES.items() if verbs & weights.keys())
    return Question(weights, _aim(text[:_LONGEST]), methods)


def _weighed(said: str, known: Container[str]) -> Iterator[tuple[str, float]]:
    tokens = [(found[0], found.start()) for found in re.finditer(r"[^\W_]+", _OWNER.sub("  ", said))]
    words = [token.lower() for token, _ in tokens]
    phrases = [at for at in range(len(words)) for size in (2, 3) if tuple(words[at : at + size]) in PHRASES]
    in_phrase = set()
    for at in phrases:
        for size in (2, 3):
            meant = PHRASES.get(tuple(words[at : at + size]), ())
            in_phrase |= set(range(at, at + size)) if meant else set()
            yield from ((term(word), _PHRASE) for word in meant)
    for at, (token, start) in enumerate(tokens):
        yield from _around(words, at, known)
        if words[at] in STOP or words[at].isdigit():
            continue
        if token[0].isupper() and (words[at - 1 : at] == ["by"] or _OWNER.match(said, start + len(token))):
            yield term("person"), _WHO
        is_name = token[0].isupper() and at > 0 and re.search(r"[.!?]\s*$", said[:start]) is None
        weight = (_CAPITAL if is_name else 1.0) * (_IN_PHRASE if at in in_phrase else 1.0)
        yield from ((term(part), weight) for part in split(token))


def _around(words: list[str], at: int, known: Container[str]) -> Iterator[tuple[str, float]]:
    """What a word means beyond itself: who and where, "pull request" as one word, "take ... away"."""
    word = words[at]
    if word in _ASKS_FOR:
        yield term(_ASKS_FOR[word]), _WHO
    joined = stem("".join(words[at : at + 2]))
    if at + 1 < len(words) and len(joined) > 5 and joined in known:
        yield joined, 1.0
    for other in words[at + 2 : at + 5]:
        if other in _PARTICLES:
            yield from ((term(meant), _PARTED) for meant in PHRASES.get((word, other), ()))


def _aim(text: str) -> Aim:
    words = split(text)
    while words and words[0] in _POLITE:
        words = words[1:]
    if not words:
        return "see"
    if words[0] == "give":
        return "see" if words[1:2] and words[1] in (*_US, "a", "an", "the", "some") else "change"
    if words[0] == "send":
        return "either" if words[1:2] and words[1] in _US else "change"
    return "see" if words[0] in _SEEING or "?" in text else "change"
