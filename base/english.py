"""Words of names and sentences as stems, and which of them may stand for one another. English; other languages pass as they are.

The word lists are in lexicon.py. Nothing here knows of operations.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import permutations

from base import lexicon

_WORD = 60  # characters of a word that count; longer ones are no words
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OWNER = re.compile(r"['’]s\b")
_LIKE_HEAD, _LIKE_GROUP = 1.0, 0.8  # how near words of a group are: to its first word, to each other
_SUFFIXES = (
    ("ational", "ate"), ("ization", ""), ("isation", ""), ("fulness", ""), ("ations", ""), ("ation", ""), ("ments", ""), ("ment", ""),
    ("ings", ""), ("ing", ""), ("ions", ""), ("ion", ""), ("ities", ""), ("ity", ""), ("ives", ""), ("ive", ""), ("ally", ""),
    ("ors", ""), ("ers", ""), ("or", ""), ("er", ""), ("ed", ""), ("al", ""), ("ly", ""), ("ance", ""), ("ence", ""), ("able", ""),
    ("ible", ""),
)  # fmt: skip


# An abbreviation ends none, and a small letter begins none.
SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)\s+(?=[^\sa-z])")


def split(text: str) -> list[str]:
    """The words in small letters: of sentences, and of names such as `userId`, `user_id`, `user-id`."""
    return [word[:_WORD] for word in re.findall(r"[^\W_]+", _CAMEL.sub(" ", _OWNER.sub("", text)).lower())]


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """What forms of one word share. No word itself: "companies" and "company" become "compan"."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    word = _singular(word)
    for _ in range(2):
        cut = next((cut for cut in _SUFFIXES if _carries(word, cut[0])), None)
        if cut is None:
            break
        word = word.removesuffix(cut[0]) + cut[1]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] in "ey" else word


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    if re.search(r"(ss|sh|ch|x|z)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _carries(word: str, suffix: str) -> bool:
    """Whether the suffix can go: enough is left of the word, and a vowel in it."""
    left = len(word) - len(suffix)
    least = 3 if suffix in ("ed", "ing", "ings") else 4
    return word.endswith(suffix) and left >= least and re.search("[aeiouy]", word[:left]) is not None


def term(word: str) -> str:
    """The stem of a word in small letters; of a short or irregular form, that of the plain one."""
    return stem(_PLAIN.get(word, word))


def terms(text: str) -> list[str]:
    """The stems of all words."""
    return [term(word) for word in split(text)]


def telling_terms(text: str) -> list[str]:
    """The stems of the words that say what something is about."""
    return [one for one in terms(text) if one not in STOP]


def stems(words: str) -> frozenset[str]:
    """The stems of a list of words, for tables."""
    return frozenset(stem(word) for word in words.split())


def _pairs(text: str, between: str) -> Iterator[tuple[str, str]]:
    for entry in text.split(between):
        key, _, value = entry.partition("=")
        yield key.strip(), value.strip()


def _related() -> Mapping[str, Mapping[str, float]]:
    near: dict[str, dict[str, float]] = defaultdict(dict)
    for group in lexicon.GROUPS.split(";"):
        words = [stem(word) for word in group.split()]
        for one, other in permutations(words, 2):
            likeness = _LIKE_HEAD if one == words[0] else _LIKE_GROUP
            near[one][other] = max(near[one].get(other, 0.0), likeness)
    return near


STOP = frozenset(lexicon.STOP.split())
_PLAIN = dict(_pairs(" ".join(lexicon.PLAIN.split()), " "))
PHRASES = {tuple(phrase.split()): tuple(meant.split()) for phrase, meant in _pairs(lexicon.PHRASES, ";")}
RELATED = _related()  # stem -> stems that may stand for it, with how near they are
