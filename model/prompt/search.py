"""Which operations a question needs, ranked by words (BM25 over fields), by resources and by where ids come from. Pure and repeatable.

An index belongs to one catalog and does not change. Any text is a question: there is no query syntax.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest
from itertools import chain, islice
from operator import add
from typing import Any, TypeVar

from base.english import SENTENCE_END, stem, telling_terms, terms
from catalog.catalog import KEPT_PARTS, Api, Catalog, Operation, Recipe
from catalog.rules import SAFE_METHODS
from model.prompt.question import Question, read_question
from model.prompt.resources import ASKING, Route, relate, things
from model.prompt.vocabulary import Vocabulary

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
_FAMILY = 0.1  # what an operation gets of its family's terms
_ITEM = 0.2  # what the read of one thing gets more: it answers most questions about it
_HUB, _HUB_ITEM, _HUB_WRITE = 0.1, 0.3, 0.05  # what it gets because much depends on it
_READ_FOR_CHANGE, _WRITE_FOR_SIGHT, _RIGHT_WRITE = 0.8, 0.75, 1.5
_PRODUCING = (0.4, 0.25)  # what a producer gets of the operations that need it, in two rounds
_BEST = 40  # operations whose producers are looked at
_TERMS = 40  # of a question
_PART = 0.15  # a clause that says less than this part of what the question's clauses say on average is not looked at
_API = 0.4  # what an API gives to all its entries if it is the one that fits best
_FIRST = 20  # places that go to the best ones, whatever API they are of
_LEAST = 1.3  # of the others each of n APIs has at least n ** -1.3: two fifths of two, and of fifty none


@dataclass(frozen=True)
class Ranking:
    """Entries in their order. `understood`: which part of the question's words, from 0 to 1, are words of the entries or near to them;
    unknown names of things do not count."""

    entries: list[Listed]
    understood: float


@dataclass(frozen=True)
class _Term:
    """What a term of a question gives to the positions that have it or a term near to it, and to their families."""

    entries: Mapping[int, float]
    families: Mapping[int, float]
    most: float


class Index:
    """Operations and recipes, ready to be searched."""

    def __init__(self, entries: Sequence[Listed]) -> None:
        self.entries = tuple(entries)
        routes = [_route(one) for one in self.entries]
        self._apis = [route.api for route in routes]
        self._sizes = Counter(self._apis)
        self._resources = relate(routes)
        self._api_of = dict(zip(self._resources.family, self._apis, strict=True))
        self._methods = [_method(one) for one in self.entries]
        self._of_family, self._anyway = self._kinds()
        fields = [_taught(one.api, _fields(one, route)) for one, route in zip(self.entries, routes, strict=True)]
        self._vocabulary = Vocabulary({word for one in fields for words in one.values() for word in words})
        self._found = self._postings(fields)
        count = len(fields)
        self._rarity = {
            word: math.log(1 + (count - len(hits) + 0.5) / (len(hits) + 0.5)) for word, hits in self._found.items()
        }

    def _kinds(self) -> tuple[list[float], list[float]]:
        """How much of its family's terms each entry gets, and what it gets whatever is asked, because much depends on it."""
        related, of_family, anyway = self._resources, list[float](), list[float]()
        for at, one in enumerate(self.entries):
            is_item = related.is_direct[at] and _is_item(one)
            hub, best = related.hub[at], related.family_hub[at]
            if self._methods[at] in SAFE_METHODS:
                of_family.append(_FAMILY + _ITEM * is_item)
                anyway.append(_HUB * max(hub, _HUB_ITEM * best * is_item))
            else:
                of_family.append(_FAMILY)
                anyway.append(_HUB_WRITE * best * related.is_direct[at])
        return of_family, anyway

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

    def rank(self, question: str, limit: int = 100) -> Ranking:
        """The entries that the question is likeliest to need, the likeliest first; of equals the earlier in the catalog."""
        whole, *clauses = read_question(question, self._found)
        near = self._near(whole.weights)
        terms = self._terms(whole.weights, near)
        by_api = self._by_api(terms.values())
        rankings = [self._ranked(part, asked, by_api) for asked, part in _parts(whole, clauses, terms)]
        chosen = islice(self._fair(list(_in_turns(rankings)), limit), limit)
        return Ranking([self.entries[at] for at in chosen], _understood(whole.weights, near))

    # the question's terms

    def _near(self, weights: Mapping[str, float]) -> dict[str, Mapping[str, float]]:
        """The known terms that each word may mean. In a long question there are enough words that are spelled right."""
        found = {word: self._vocabulary.near(word, misspelled=len(weights) <= _TERMS) for word in weights}
        return {word: near for word, near in found.items() if near}

    def _terms(self, weights: Mapping[str, float], near: Mapping[str, Mapping[str, float]]) -> dict[str, _Term]:
        """Those that say anything here; of a long question, those that say most."""
        most = {
            word: max(self._rarity[one] * like for one, like in near[word].items()) * weights[word] for word in near
        }
        telling = nlargest(_TERMS, near, key=most.__getitem__)
        return {word: self._term(word, weights[word], near[word]) for word in telling}

    def _term(self, word: str, weight: float, near: Mapping[str, float]) -> _Term:
        hits: dict[int, float] = {}
        for other, likeness in near.items():
            rarity = min(self._rarity[other], self._rarity.get(word, self._rarity[other]))
            for at, much in self._found[other].items():
                score = likeness * weight * rarity * much / (_SATURATION + much)
                if score > hits.get(at, 0.0):
                    hits[at] = score
        return _Term(hits, _best(hits, self._resources.family), max(hits.values()))

    # the order of the entries

    def _ranked(self, terms: Sequence[_Term], question: Question, by_api: Mapping[Hashable, float]) -> list[int]:
        """All positions in the order of how well they fit some of the question's terms."""
        scores = self._scores(terms, question)
        for weight in _PRODUCING:
            scores = self._with_producers(scores, weight)
        if by_api:
            scores = [score + by_api[api] for score, api in zip(scores, self._apis, strict=True)]
        return sorted(range(len(scores)), key=lambda at: -scores[at])

    def _scores(self, terms: Sequence[_Term], question: Question) -> list[float]:
        """How well each entry fits, by its own terms and its family's, both as a part of what can be reached."""
        own = [0.0] * len(self.entries)
        family = [0.0] * len(self._api_of)
        reach = sum(term.most for term in terms) or 1.0
        for term in terms:
            for at, score in term.entries.items():
                own[at] += score / reach
            for number, score in term.families.items():
                family[number] += score / reach
        factors = {method: _factor(method, question) for method in set(self._methods)}
        kinds = zip(own, self._resources.family, self._of_family, self._anyway, self._methods, strict=True)
        return [(one + part * family[number] + anyway) * factors[method] for one, number, part, anyway, method in kinds]

    def _with_producers(self, scores: Sequence[float], weight: float) -> list[float]:
        """The scores, with more for what gives the ids that the best ones need."""
        more = [0.0] * len(scores)
        for at in nlargest(_BEST, range(len(scores)), key=scores.__getitem__):
            for producer, likely in self._resources.producers[at].items():
                more[producer] = max(more[producer], weight * likely * scores[at])
        return list(map(add, scores, more))

    # several APIs

    def _by_api(self, terms: Iterable[_Term]) -> dict[Hashable, float]:
        """What all entries of an API get: by its best family, and by how much of it speaks of the question.

        A large API has a word for everything somewhere; one that is about a matter has it in many places.
        """
        if len(self._sizes) < 2:
            return {}
        density, family = dict.fromkeys(self._sizes, 0.0), dict.fromkeys(self._api_of, 0.0)
        for term in terms:
            for at, score in term.entries.items():
                density[self._apis[at]] += score / self._sizes[self._apis[at]]
            for number, score in term.families.items():
                family[number] += score
        best = _best(family, self._api_of)
        fit = {api: best.get(api, 0.0) * math.sqrt(much) for api, much in density.items()}
        most = max(fit.values()) or 1.0
        return {api: _API * one / most for api, one in fit.items()}

    def _fair(self, ranked: Sequence[int], limit: int) -> Iterator[int]:
        """The same order, but that of a few APIs none is left out: words alone may not tell which of them is meant."""
        least = len(self._sizes) ** -_LEAST if len(self._sizes) > 1 else 0.0
        if least * limit < 1:
            yield from ranked
            return
        waiting: dict[Hashable, list[int]] = {api: [] for api in self._sizes}
        for at in reversed(ranked):
            waiting[self._apis[at]].append(at)
        got: Counter[Hashable] = Counter()
        given: set[int] = set()
        for at in ranked:
            for api, positions in waiting.items():
                while positions and got[api] + 1 <= least * (len(given) - _FIRST):
                    if (due := positions.pop()) not in given:
                        given.add(due)
                        got[api] += 1
                        yield due
            if at not in given:
                given.add(at)
                got[self._apis[at]] += 1
                yield at


@lru_cache(maxsize=KEPT_PARTS)
def index_of(catalog: Catalog) -> Index:
    """The index of a catalog, made once."""
    return Index([*catalog.operations, *catalog.recipes])


def _factor(method: str, question: Question) -> float:
    """What an operation's score is multiplied with, by what the question aims at."""
    if method in SAFE_METHODS:
        return _READ_FOR_CHANGE if question.aim == "change" else 1.0
    if question.aim == "see":
        return _WRITE_FOR_SIGHT
    return _RIGHT_WRITE if question.aim == "change" and method in question.methods else 1.0


def _best(scores: Mapping[int, float], group: Mapping[int, _Group] | Sequence[_Group]) -> dict[_Group, float]:
    """The best score of each group; `group` by the scores' keys."""
    best: dict[_Group, float] = {}
    for at, score in scores.items():
        if score > best.get(group[at], 0.0):
            best[group[at]] = score
    return best


def _understood(weights: Mapping[str, float], near: Mapping[str, Mapping[str, float]]) -> float:
    counted = {word: weight for word, weight in weights.items() if word in near or weight >= 1}
    return sum(weights[word] * max(near[word].values()) for word in near) / (sum(counted.values()) or 1.0)


def _parts(
    whole: Question, clauses: Sequence[Question], terms: Mapping[str, _Term]
) -> Iterator[tuple[Question, list[_Term]]]:
    """The whole question with its terms, and each clause that says enough."""
    yield whole, list(terms.values())
    parts = [(one, [term for word, term in terms.items() if word in one.weights]) for one in clauses]
    reach = [sum(term.most for term in part) for _, part in parts]
    yield from (part for part, much in zip(parts, reach, strict=True) if much > _PART * sum(reach) / len(reach))


def _in_turns(rankings: Sequence[Sequence[int]]) -> dict[int, None]:
    """Several orders as one: the first of each, then the second of each."""
    return dict.fromkeys(chain.from_iterable(zip(*rankings, strict=True)))


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
    asks = any(name.lower() in ASKING for name, _ in entry.template.query)
    return Route(id(entry.api), entry.method, tuple(piece.literal for piece in pieces), names, enums, asks)


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
    summary, *more = SENTENCE_END.split(entry.description, maxsplit=1)
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
        "more": telling_terms("".join(more)[:1_000]),
        "query": [word for name in query[:100] for word in terms(name)],
        "values": _value_words(schemas)[:200],
        "body": names,
        "body values": values,
        "verb": [stem(word) for word in verbs.split()],
        "api": terms(entry.api.name),
    }


def _taught(api: Api, fields: Fields) -> Fields:
    """The words with those that people say for them, as the catalog has it."""
    pairs = [(set(telling_terms(meaning)), terms(said)) for said, all_ in api.words.items() for meaning in all_]
    return {
        name: words + [word for meaning, said in pairs if meaning and meaning <= set(words) for word in said]
        for name, words in fields.items()
    }


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
