"""A person's question as a search reads it: which terms it asks for, how much each counts, and whether it asks to see or to change.

Names of things ("Ann Lee", #team, ids, addresses) say which one is meant, not which operation; they count less or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from base import lexicon
from base.english import PHRASES, STOP, split, stem, stems, term

_READ = 1_000  # characters that are read of a question's beginning, and of its end
_QUOTED = re.compile(r'"[^"]{1,80}"|“[^”]{1,80}”')
_NAME = re.compile(
    r"\S+@\S+|https?://\S+|#\w+|\b\w+(?:[-_/.]\w*\d\w*)+\b|\b[A-Z]+-\d+\b|\b\w+\.\w+\.\w+\b|\b[a-z]+_\w*\d\w*\b"
)
_OWNER = re.compile(r"['’]s\b")
_PHRASE, _PARTED, _CAPITAL, _IN_PHRASE, _WHO = 0.8, 0.64, 0.6, 0.5, 0.4  # how much a term counts; a plain one counts 1
_CLAUSE = re.compile(
    r"[.!?;:\n]+(?=\s|$)|[,、。！？；：]|\b(?:and|then|but|also|plus|before|after|so)\b", re.IGNORECASE
)
_ENDS = (".", "!", "?")
_APART = 10  # words that may stand between a verb and what belongs to it: "send ... back"
_CLAUSES = 3  # of a long question's beginning, and of its end, that are looked at each by itself
_US = ("me", "us")
_ASKS_FOR = {"who": "person", "whom": "person", "whose": "person", "where": "location"}
_PARTICLES, _POLITE, _SEEING = (
    frozenset(words.split()) for words in (lexicon.PARTICLES, lexicon.POLITE, lexicon.SEEING)
)
_WRITES = {method: stems(verbs) for method, verbs in lexicon.WRITES.items()}
Aim = Literal["see", "change", "either"]
_TELLING: Mapping[str, tuple[Aim, Aim]] = {"send": ("either", "change"), "tell": ("see", "either")}  # us, or others
_BEGINNING = _SEEING | _TELLING.keys() | {"give"}


@dataclass(frozen=True)
class Question:
    """What a search looks for: terms with how much they count, what the question aims at, and the methods that its verbs name."""

    weights: dict[str, float]
    aim: Aim
    methods: frozenset[str]


def read_question(text: str, known: Container[str]) -> tuple[Question, ...]:
    """The whole question in terms, and each of its clauses where it has several: "close it and tell Ann" is two wishes.

    `known` are the terms of what is searched, for words that are written as one there. Of a long text its beginning and its end are read.
    """
    if len(text) > 2 * _READ:
        text = f"{text[:_READ]}\n{text[-_READ:]}"
    said = _NAME.sub(" ", _QUOTED.sub(" ", text))
    aim = _aim(text)
    parts = (_question(part, known, _aim_of_clause(part, aim)) for part in _CLAUSE.split(said))
    clauses = [one for one in parts if one.weights]
    clauses = clauses if len(clauses) <= 2 * _CLAUSES else clauses[:_CLAUSES] + clauses[-_CLAUSES:]
    whole = _question(said, known, aim)
    return (whole, *clauses) if len(clauses) > 1 else (whole,)


def _question(said: str, known: Container[str], aim: Aim) -> Question:
    weights: dict[str, float] = {}
    for word, weight in _weighed(said, known):
        weights[word] = max(weight, weights.get(word, 0.0))
    return Question(weights, aim, frozenset(method for method, verbs in _WRITES.items() if verbs & weights.keys()))


def _weighed(said: str, known: Container[str]) -> Iterator[tuple[str, float]]:
    """The terms of a text with how much each counts; some come several times."""
    tokens = [(found[0], found.start()) for found in re.finditer(r"[^\W_]+", _OWNER.sub("  ", said))]
    words = [token.lower() for token, _ in tokens]
    phrases = list(_phrases(words))
    in_phrase = {at for places, _ in phrases for at in places}
    yield from ((term(word), _PHRASE) for _, meant in phrases for word in meant)
    for at, (token, start) in enumerate(tokens):
        yield from _around(words, at, known)
        if words[at] in STOP or words[at].isdigit():
            continue
        is_capital = token[0].isupper()
        if is_capital and (words[at - 1 : at] == ["by"] or _OWNER.match(said, start + len(token))):
            yield term("person"), _WHO
        is_name = is_capital and at > 0 and said[:start].rstrip()[-1:] not in _ENDS
        weight = (_CAPITAL if is_name else 1.0) * (_IN_PHRASE if at in in_phrase else 1.0)
        yield from ((term(part), weight) for part in split(token))


def _phrases(words: Sequence[str]) -> Iterator[tuple[range, Iterable[str]]]:
    """Where two or three words together mean something of their own, and what."""
    for at in range(len(words)):
        for size in (2, 3):
            if meant := PHRASES.get(tuple(words[at : at + size])):
                yield range(at, at + size), meant


def _around(words: list[str], at: int, known: Container[str]) -> Iterator[tuple[str, float]]:
    """What a word means beyond itself: who and where, "pull request" as one word, "take ... away"."""
    word = words[at]
    if word in _ASKS_FOR:
        yield term(_ASKS_FOR[word]), _WHO
    joined = stem("".join(words[at : at + 2]))
    if at + 1 < len(words) and len(joined) > 5 and joined in known:
        yield joined, 1.0
    for other in words[at + 2 : at + _APART]:
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
    if words[0] in _TELLING:
        to_us, to_others = _TELLING[words[0]]
        return to_us if words[1:2] and words[1] in _US else to_others
    return "see" if words[0] in _SEEING or "?" in text else "change"


def _aim_of_clause(part: str, of_whole: Aim) -> Aim:
    """A clause that begins like a request or a question has an aim of its own."""
    begin = next((word for word in split(part) if word not in _POLITE), "")
    says = begin in _BEGINNING or any(stem(begin) in verbs for verbs in _WRITES.values())
    return _aim(part) if says else of_whole
