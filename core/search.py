"""Which operations a question needs, ranked by words (BM25 over fields), by resources and by where ids come from. Pure and repeatable.

An index belongs to one catalog and does not change. Any text is a question: there is no query syntax.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from core.catalog import Catalog, Operation, Recipe
from core.english import stem, telling_terms, terms
from core.policy import SAFE_METHODS
from core.question import Question, read_question
from core.resources import Route, relate, things
from core.vocabulary import Vocabulary

Listed = Operation | Recipe
_Group = TypeVar("_Group", bound=Hashable)
Fields = Mapping[str, list[str]]
_SATURATION, _BY_LENGTH = 1.2, 0.4  # BM25's k1 and b
_WEIGHTS = {
    "last": 3.0, "path": 1.5, "placeholders": 1.0, "summary": 2.0, "more": 0.7, "query": 0.6, "values": 0.2, "body": 0.5,
    "body values": 0.15, "verb": 0.8, "api": 0.7,
}  # fmt: skip
_VERBS = {
    "POST": "create add new",
    "PUT": "update replace set change",
    "PATCH": "update change edit",
    "DELETE": "delete remove",
}
_JOINED = 0.6  # a part of a word that is two: "workspace" for "space"
_FAMILY = 0.4  # what an operation gets of its family's terms
_ITEM = 0.4  # what the read of one thing gets more: it answers most questions about it
_HUB, _HUB_ITEM, _HUB_WRITE = 0.1, 0.3, 0.05  # what it gets because much depends on it
_READ_FOR_CHANGE, _WRITE_FOR_SIGHT, _RIGHT_WRITE = 0.4, 0.75, 1.25
_PRODUCING = (0.45, 0.3)  # what a producer gets of the operations that need it, in two rounds
_BEST = 40  # operations whose producers are looked at
_SAME_FAMILY = 0.02  # how much less each further operation of one family counts
_AHEAD = 60  # operations that are compared for the next place
_SHARE = 4  # several APIs: how fast the better one takes all places
_LEAST_SHARE = 0.3  # and what is left to all of them alike


class Index:
    """Operations and recipes, ready to be searched."""

    def __init__(self, entries: Sequence[Listed]) -> None:
        self.entries = tuple(entries)
        routes = [_route(one) for one in self.entries]
        self._apis = [route.api for route in routes]
        self._sizes = Counter(self._apis)
        self._resources = relate(routes)
        api_of = dict(zip(self._resources.family, self._apis, strict=True))
        self._api_of = [api_of[family] for family in range(len(api_of))]
        fields = [_fields(one, route) for one, route in zip(self.entries, routes, strict=True)]
        self._vocabulary = Vocabulary({word for one in fields for words in one.values() for word in words})
        self._found = self._postings(fields)
        count = len(fields)
        self._rarity = {
            word: math.log(1 + (count - len(hits) + 0.5) / (len(hits) + 0.5)) for word, hits in self._found.items()
        }

    def _postings(self, fields: Sequence[Fields]) -> dict[str, dict[int, float]]:
        """For each term the operations that have it, with how much of it."""
        total = Counter({name: sum(len(one[name]) for one in fields) for name in _WEIGHTS})
        found: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for at, one in enumerate(fields):
            for name, words in one.items():
                length = len(words) * len(fields) / total[name] if words else 0.0
                weight = _WEIGHTS[name] / (1 - _BY_LENGTH + _BY_LENGTH * length)
                for word in words:
                    found[word][at] += weight
                    for part in self._vocabulary.parts(word):
                        found[part][at] += weight * _JOINED
        return {word: dict(hits) for word, hits in found.items()}

    def rank(self, question: str, limit: int = 100) -> list[Listed]:
        """The entries that the question is likeliest to need, the likeliest first; of equals the earlier in the catalog."""
        scores, by_api = self._scores(read_question(question, self._found))
        of_api: dict[Hashable, list[int]] = {}
        for at in sorted(range(len(scores)), key=lambda at: -scores[at]):
            of_api.setdefault(self._apis[at], []).append(at)
        lists = {api: self._spread(positions, scores, limit) for api, positions in of_api.items()}
        return [self.entries[at] for at in islice(_shared(lists, by_api), limit)]

    def _spread(self, ranked: Sequence[int], scores: Sequence[float], limit: int) -> list[int]:
        """The same order, but that one family does not take all places."""
        family = self._resources.family
        rest, chosen = list(ranked[: limit + _AHEAD]), list[int]()
        taken: Counter[int] = Counter()
        while rest and len(chosen) < limit:
            best = max(rest[:_AHEAD], key=lambda at: scores[at] / (1 + _SAME_FAMILY * taken[family[at]]))
            rest.remove(best)
            chosen.append(best)
            taken[family[best]] += 1
        return chosen

    def _scores(self, question: Question) -> tuple[list[float], dict[Hashable, float]]:
        """How well each entry fits, and how well each API does: as its best family, and by how much of it speaks of the question.

        A large API has a word for everything somewhere; one that is about a matter has it in many places.
        """
        family = self._resources.family
        own = [0.0] * len(self.entries)
        of_family: dict[int, float] = defaultdict(float)
        density: dict[Hashable, float] = defaultdict(float)
        reach = 0.0
        for hits in self._by_term(question):
            reach += max(hits.values())
            for at, score in hits.items():
                own[at] += score
                density[self._apis[at]] += score / self._sizes[self._apis[at]]
            for number, score in _best(hits, family).items():
                of_family[number] += score
        reach = reach or 1.0
        scores = [
            self._score(at, one / reach, of_family.get(family[at], 0.0) / reach, question) for at, one in enumerate(own)
        ]
        for weight in _PRODUCING:
            scores = self._with_producers(scores, weight)
        best = _best(of_family, self._api_of)
        return scores, {api: score * math.sqrt(density[api]) for api, score in best.items()}

    def _by_term(self, question: Question) -> Iterator[dict[int, float]]:
        """For each term of the question: what it alone gives to the entries that have it, or one near to it."""
        for word, weight in question.weights.items():
            hits: dict[int, float] = {}
            for other, likeness in self._vocabulary.near(word).items():
                rarity = min(self._rarity[other], self._rarity.get(word, self._rarity[other]))
                for at, much in self._found[other].items():
                    score = likeness * weight * rarity * much / (_SATURATION + much)
                    if score > hits.get(at, 0.0):
                        hits[at] = score
            if hits:
                yield hits

    def _score(self, at: int, own: float, family: float, question: Question) -> float:
        """An entry's score of its own terms and its family's, both as a part of what can be reached."""
        related, entry = self._resources, self.entries[at]
        score = own + _FAMILY * family
        if _method(entry) in SAFE_METHODS:
            item = related.is_direct[at] and _is_item(entry)
            score += _ITEM * family * item + _HUB * max(related.hub[at], _HUB_ITEM * related.family_hub[at] * item)
            return score * (_READ_FOR_CHANGE if question.aim == "change" else 1.0)
        score += _HUB_WRITE * related.family_hub[at] * related.is_direct[at]
        if question.aim == "see":
            return score * _WRITE_FOR_SIGHT
        return score * (_RIGHT_WRITE if question.aim == "change" and _method(entry) in question.methods else 1.0)

    def _with_producers(self, scores: Sequence[float], weight: float) -> list[float]:
        """The scores, with more for what gives the ids that the best ones need."""
        more = [0.0] * len(scores)
        for at in sorted(range(len(scores)), key=lambda at: -scores[at])[:_BEST]:
            for producer, likely in self._resources.producers[at].items():
                more[producer] = max(more[producer], weight * likely * scores[at])
        return [score + extra for score, extra in zip(scores, more, strict=True)]


@lru_cache(maxsize=8)
def index_of(catalog: Catalog) -> Index:
    """The index of a catalog, made once."""
    return Index([*catalog.operations, *catalog.recipes])


def _best(scores: Mapping[int, float], group: Sequence[_Group]) -> dict[_Group, float]:
    """The best score of each group; `group` by the scores' keys."""
    best: dict[_Group, float] = {}
    for at, score in scores.items():
        if score > best.get(group[at], 0.0):
            best[group[at]] = score
    return best


def _shared(lists: dict[Hashable, list[int]], fit: Mapping[Hashable, float]) -> Iterator[int]:
    """The lists of several APIs as one: each gets places by how well it fits, and none gets nothing."""
    total = sum(fit.get(api, 0.0) ** _SHARE for api in lists) or 1.0
    share = {api: max(fit.get(api, 0.0) ** _SHARE / total, _LEAST_SHARE / len(lists)) for api in lists}
    got: Counter[Hashable] = Counter()
    waiting = {api: iter(positions) for api, positions in lists.items()}
    while waiting:
        api = max(waiting, key=lambda api: share[api] / (got[api] + 0.5))
        got[api] += 1
        at = next(waiting[api], None)
        if at is None:
            del waiting[api]
        else:
            yield at


# --- what is read of an entry -----------------------------------------------------------------------------------------


def _method(entry: Listed) -> str:
    """A recipe that writes is taken for a POST."""
    if isinstance(entry, Operation):
        return entry.method
    return "POST" if any(step.operation.method not in SAFE_METHODS for step in entry.steps) else "GET"


def _is_item(entry: Listed) -> bool:
    return isinstance(entry, Operation) and bool(entry.template.path) and bool(entry.template.path[-1].names)


def _route(entry: Listed) -> Route:
    if isinstance(entry, Recipe):
        return Route(id(entry.api), _method(entry), ("", entry.workflow_id), ((), ()))
    pieces = entry.template.path
    schemas = entry.parameters.values()
    enums = frozenset(word for schema in schemas for value in _enum(schema) for word in terms(value))
    names = tuple(piece.names for piece in pieces)
    return Route(id(entry.api), entry.method, tuple(piece.literal for piece in pieces), names, enums)


def _enum(schema: Any) -> list[str]:
    """The first values of an enumeration, of a list's items too."""
    if not isinstance(schema, dict):
        return []
    values = schema.get("enum")
    if not isinstance(values, list):
        return _enum(schema.get("items"))
    return [str(one)[:60] for one in values[:20]]


def _fields(entry: Listed, route: Route) -> Fields:
    """An entry's words by where they stand."""
    literals = route.literals
    summary, _, more = _first_sentence(entry.description)
    schemas = list(entry.parameters.values()) if isinstance(entry, Operation) else []
    query = [name for name, _ in entry.template.query] if isinstance(entry, Operation) else []
    body = entry.body if isinstance(entry, Operation) else entry.inputs
    names, values = _body_words(body)
    verbs = _VERBS.get(_method(entry), "get show list")
    return {
        "last": terms(literals[-1]) if literals else [],
        "path": [word for literal in literals[:-1] for word in terms(literal)],
        "placeholders": [word for all_ in route.names for name in all_ for word in things(name)],
        "summary": telling_terms(summary[:1_000]),
        "more": telling_terms(more[:1_000]),
        "query": [word for name in query[:100] for word in terms(name)],
        "values": _value_words(schemas)[:200],
        "body": names,
        "body values": values,
        "verb": [stem(word) for word in verbs.split()],
        "api": terms(entry.api.name),
    }


def _first_sentence(text: str) -> tuple[str, str, str]:
    found = re.search(r"(?<=[.!?])\s", text)
    return (text[: found.start()], " ", text[found.end() :]) if found else (text, "", "")


def _value_words(schemas: Iterable[Any]) -> list[str]:
    """The words of parameters' descriptions and possible values."""
    words: list[str] = []
    for schema in islice(schemas, 100):
        words += telling_terms(str(schema.get("description", ""))[:200])
        words += [word for value in _enum(schema) for word in terms(value)]
    return words


def _body_words(schema: Any) -> tuple[list[str], list[str]]:
    """The names of a body's fields; the words of their descriptions and possible values."""
    names: list[str] = []
    values: list[str] = []
    for name, field in islice(_properties(schema, 0), 100):
        names += terms(name)
        if isinstance(field, dict) and len(values) < 150:
            values += telling_terms(str(field.get("description", ""))[:120])
            values += [word for value in _enum(field)[:12] for word in terms(value)]
    return names, values


def _properties(schema: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """The fields of an object, of objects in it, in lists and alternatives; three levels deep."""
    if not isinstance(schema, dict) or depth > 2:
        return
    fields = schema.get("properties")
    for name, field in islice(fields.items() if isinstance(fields, dict) else (), 40):
        yield str(name), field
        yield from _properties(field, depth + 1)
    yield from _properties(schema.get("items"), depth + 1)
    for key in ("allOf", "anyOf", "oneOf"):
        several = schema.get(key)
        for one in several if isinstance(several, list) else ():
            yield from _properties(one, depth + 1)
