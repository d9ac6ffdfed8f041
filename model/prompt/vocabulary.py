"""The terms of what is searched, and which a question's term may mean: itself, a word of like meaning, another form, a misspelling."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import takewhile

from base.english import RELATED, STOP, stem

_LIKE, _FORM = 0.55, 0.35  # how near: a word of like meaning, a longer or shorter form
_START, _END, _SPELLED = 0.6, 0.5, 0.6  # what part of a word another one must be, or share with it
_TURNED = 0.9  # how alike words of the same letters are
_SHORT, _OFF = 4, 3  # letters: shorter words have no forms; misspellings differ by at most so many
_JOINED = 6  # letters of a word that may be two


class Vocabulary:
    """Known terms."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(words)
        self._parts = {word: parts for word in self._words if (parts := self._two(word))}
        self._all = self._words | {part for parts in self._parts.values() for part in parts}
        long = [word for word in self._all if len(word) >= _SHORT]
        self._forward = sorted(long)
        self._backward = sorted(word[::-1] for word in long)
        self._by_gram: dict[str, list[str]] = defaultdict(list)
        for word in self._forward:
            for gram in _grams(word):
                self._by_gram[gram].append(word)

    def parts(self, word: str) -> tuple[str, ...]:
        """The two terms that a word is made of ("workspace"), or none."""
        return self._parts.get(word, ())

    def _two(self, word: str) -> tuple[str, ...]:
        if len(word) < _JOINED or not word.isalpha():
            return ()
        for at in range(3, len(word) - 2):
            parts = stem(word[:at]), stem(word[at:])
            if all(len(part) >= 3 and part not in STOP and (part in self._words or part in RELATED) for part in parts):
                return parts
        return ()

    def near(self, word: str, *, misspelled: bool = True) -> Mapping[str, float]:
        """The known terms that `word` may mean, with how near they are, up to 1. `misspelled`: also those that an unknown one resembles."""
        found = {word: 1.0} if word in self._all else {}
        for other, likeness in RELATED.get(word, {}).items():
            if other in self._all:
                found[other] = max(found.get(other, 0.0), _LIKE * likeness)
        if len(word) < _SHORT:
            return found
        for other in self._forms(word):
            found.setdefault(other, _FORM)
        return dict(self._misspelled(word)) | found if misspelled and word not in self._all else found

    def _forms(self, word: str) -> Iterator[str]:
        """Terms that begin or end with the word, or that it begins or ends with."""
        for other in _beginning(self._forward, word):
            if len(word) >= _START * len(other):
                yield other
        for other in _beginning(self._backward, word[::-1]):
            if len(word) >= _END * len(other):
                yield other[::-1]
        for size in range(_SHORT, len(word)):
            if size >= _START * len(word) and word[:size] in self._all:
                yield word[:size]
            if size >= _END * len(word) and word[-size:] in self._all:
                yield word[-size:]

    def _misspelled(self, word: str) -> Iterator[tuple[str, float]]:
        """Terms that share most groups of three letters with it, or have all letters in another order."""
        own = _grams(word)
        shared = Counter(other for gram in own for other in self._by_gram.get(gram, ()))
        for other, count in shared.items():
            likeness = 2 * count / (len(own) + len(_grams(other))) if sorted(word) != sorted(other) else _TURNED
            if abs(len(word) - len(other)) <= _OFF and likeness >= _SPELLED:
                yield other, likeness * likeness


def _beginning(words: list[str], start: str) -> Iterator[str]:
    at = bisect_left(words, start)
    return takewhile(lambda word: word.startswith(start), (words[i] for i in range(at, len(words))))


@lru_cache(maxsize=20_000)
def _grams(word: str) -> frozenset[str]:
    marked = f"^{word}$"
    return frozenset(marked[i : i + 3] for i in range(len(marked) - 2))
