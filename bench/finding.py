"""(e) Whether a first request shows what a question needs, offline: sets of questions with the operations that answer them.

Recall is averaged over questions, each counting the same. The questions lie in bench/data, where it also says who wrote them and when; the
descriptions of most APIs are too large to be kept here, and a row whose API is not at hand is left out.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import bpe_openai
import yaml

from base.english import telling_terms, terms
from base.shrink import as_json
from catalog.catalog import Catalog, Operation, load_catalog
from model.prompt.prompt import BUDGET, about, beside, prepare, system_prompt, tools
from model.prompt.search import index_of

DATA = Path(__file__).parent / "data"
ABOUT = about(1_780_000_000, "Ann Lee", "Europe/Berlin")
_LINE = re.compile(r"^(?:GET|POST|PUT|PATCH|DELETE) \S+", re.MULTILINE)
_MISSPELLED = {"GET /track/{}": "GET /tracks/{}"}  # in RestBench's data
_SMALL, _MANY = 10, 300  # operations of a small API; how many APIs are many
Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A question and what answers it: of each set of names (`METHOD /path/{}`), one operation."""

    words: str
    language: str
    gold: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class Row:
    """Questions to a catalog."""

    name: str
    catalog: Catalog
    asked: Sequence[Asked]


@dataclass(frozen=True)
class Found:
    """Over all questions of a row: recall in the first 20 of plain BM25 and of ours, and in the first request; what that took."""

    plain: float
    ranked: float
    visible: float
    lines: float  # operations in a first request, on average
    tokens: int  # of the largest first request
    milliseconds: tuple[float, float]  # for what goes with a question: median, most; of this process's own time


# --- catalogs and questions -------------------------------------------------------------------------------------------


def questions(name: str) -> list[Asked]:
    """A set in bench/data."""
    found = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return [Asked(one["query"], one.get("language", "en"), tuple(map(_names, one["solution"]))) for one in found]


def _names(operations: str) -> frozenset[str]:
    return frozenset(map(plain_name, operations.split(" | ")))


def plain_name(operation: str) -> str:
    """Operations are the same whatever their placeholders are called; some names in the data hold stray blanks."""
    name = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "{}", " ".join(operation.split()).partition("?")[0])
    return _MISSPELLED.get(name, name)


def together(*apis: Json) -> Catalog:
    """One catalog of several APIs, each as its file has it."""
    text = json.dumps({"apis": apis})
    return load_catalog(text, dict.fromkeys(re.findall(r"\$\{(\w+)", text), "https://api.example.com"))


def pieces(apis: Sequence[Json], size: int) -> list[Json]:
    """The APIs' operations as many small ones of `size`, in their order, with names that tell nothing."""
    entries = [one for api in apis for one in api["endpoints"]]
    starts = range(0, len(entries), size)
    return [
        {"name": f"Service {n}", "base_url": f"https://s{n}.example.com", "endpoints": entries[at : at + size]}
        for n, at in enumerate(starts, 1)
    ]


def rows(apis: Mapping[str, Json]) -> Iterator[Row]:
    """Every row whose APIs are there: `apis` by name, as their catalogs' files have them."""

    def at_hand(name: str, needed: Sequence[str], asked: str, make: Callable[..., Catalog] = together) -> Iterator[Row]:
        if all(one in apis for one in needed):
            yield from _by_language(name, make(*(apis[one] for one in needed)), questions(asked))

    def small(*whole: Json) -> Catalog:
        return together(*islice(pieces(whole, _SMALL), 55))

    def small_taught(*whole: Json) -> Catalog:
        return _taught(*islice(pieces(whole, _SMALL), 55))

    yield from at_hand("TMDB", ["tmdb"], "restbench_tmdb")
    yield from at_hand("TMDB beside GitHub", ["github", "tmdb"], "restbench_tmdb")
    yield from at_hand("TMDB beside GitHub, taught", ["github", "tmdb"], "restbench_tmdb", _taught)
    yield from at_hand("TMDB in 55 APIs of 10", ["tmdb", "asana", "stripe"], "restbench_tmdb", small)
    yield from at_hand("TMDB in 55 APIs, taught", ["tmdb", "asana", "stripe"], "restbench_tmdb", small_taught)
    yield from at_hand("Asana in 55 APIs of 10", ["tmdb", "asana", "stripe"], "questions_asana", small)
    for name in ("Stripe", "Asana", "DigitalOcean"):
        yield from at_hand(name, [name.lower()], f"questions_{name.lower()}")
    for name in ("GitHub", "Linode", "Zoom"):
        yield from at_hand(f"* {name}", [name.lower()], f"questions_{name.lower()}")
    yield from at_hand("* Spotify", ["spotify"], "restbench_spotify")
    yield from at_hand("* petstore beside GitHub", ["github", "petstore"], "questions_petstore")
    if "github" in apis:
        yield from _by_language(f"* GitHub in {_MANY} APIs", many(apis), questions("questions_github"))


def _taught(*apis: Json) -> Catalog:
    """One catalog of several, each with what an author may teach it about films, where it has the words for it."""
    words: dict[str, str] = json.loads((DATA / "words_tmdb.json").read_text("utf-8"))
    known = [{term for one in api["endpoints"] for term in terms(f"{one['url']} {one['description']}")} for api in apis]
    of_api = [{said: meant for said, meant in words.items() if set(terms(meant)) <= have} for have in known]
    return together(*(api | {"words": taught} for api, taught in zip(apis, of_api, strict=True)))


def many(apis: Mapping[str, Json]) -> Catalog:
    """All of them as 300 small APIs."""
    whole = sum(len(api["endpoints"]) for api in apis.values())
    return together(*pieces(list(apis.values()), math.ceil(whole / _MANY)))


def _by_language(name: str, catalog: Catalog, asked: Sequence[Asked]) -> Iterator[Row]:
    for kind, is_english in (("", True), (", not English", False)):
        if chosen := [one for one in asked if (one.language == "en") is is_english]:
            yield Row(f"{name}{kind}", catalog, chosen)


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(row: Row) -> Found:
    """What the catalog's first requests show of what the questions need."""
    ranked = [index_of(row.catalog).rank(one.words, 20).entries for one in row.asked]
    plain = plain_search(row.catalog)
    requests = [first_request(row.catalog, one.words) for one in row.asked]
    shown = [[plain_name(line) for line in _LINE.findall(one.system)] for one in requests]
    took = sorted(one.milliseconds for one in requests)
    return Found(
        plain=_recall([[plain_name(one.name) for one in plain(each.words)[:20]] for each in row.asked], row.asked),
        ranked=_recall(
            [[plain_name(one.name) for one in found if isinstance(one, Operation)] for found in ranked], row.asked
        ),
        visible=_recall(shown, row.asked),
        lines=statistics.mean(map(len, shown)),
        tokens=max(one.tokens for one in requests),
        milliseconds=(statistics.median(took), took[-1]),
    )


def _recall(found: Sequence[Sequence[str]], asked: Sequence[Asked]) -> float:
    """Which part of what it needs a question gets, on average."""
    each = (
        sum(not one.isdisjoint(names) for one in q.gold) / len(q.gold) for names, q in zip(found, asked, strict=True)
    )
    return statistics.mean(each)


@dataclass(frozen=True)
class Request:
    """The system message of a thread's first request, the tokens of it and the tools, and the time for what goes with the question."""

    system: str
    tokens: int
    milliseconds: float


def first_request(catalog: Catalog, words: str) -> Request:
    prepare(catalog)  # as at the start, before anybody asks
    began = time.process_time()
    noted = beside(catalog, "", words, about=ABOUT, before=[], first=None, budget=BUDGET)
    took = time.process_time() - began
    system = system_prompt(catalog, "", about=noted.text, last=False, budget=BUDGET)
    return Request(system, tokens(system) + tokens(as_json(tools(catalog, "", BUDGET))), took * 1000)


def tokens(text: str) -> int:
    return len(_encoding().encode(text))


@cache
def _encoding() -> Any:
    return bpe_openai.get_encoding("o200k_base")


def plain_search(catalog: Catalog) -> Callable[[str], list[Operation]]:
    """BM25 (k1 1.2, b 0.75) as one would set it up for this: over each operation's method, path, description, and the names and words
    of its parameters and its body's fields, all as stems, without stop words."""
    operations = catalog.operations
    documents = [Counter(telling_terms(" ".join(_texts(one)))) for one in operations]
    average = sum(document.total() for document in documents) / len(documents)
    spread = Counter(word for document in documents for word in document)

    def score(document: Counter[str], rarity: Mapping[str, float]) -> float:
        long = 1.2 * (0.25 + 0.75 * document.total() / average)
        return sum(much * document[word] * 2.2 / (document[word] + long) for word, much in rarity.items())

    def search(question: str) -> list[Operation]:
        words = set(telling_terms(question))
        rarity = {word: math.log(1 + (len(documents) - spread[word] + 0.5) / (spread[word] + 0.5)) for word in words}
        scores = [score(document, rarity) for document in documents]
        return [operations[at] for at in sorted(range(len(scores)), key=lambda at: -scores[at])]

    return search


def _texts(operation: Operation) -> Iterator[str]:
    yield from (operation.name, operation.description)
    yield from (name for name, _ in operation.template.query)
    for name, schema in operation.parameters.items():
        yield from (name, str(schema.get("description", "")))
    yield from _fields(operation.body, 0)


def _fields(schema: Any, depth: int) -> Iterator[str]:
    if isinstance(schema, dict) and depth < 4:
        properties = schema.get("properties")
        for name, field in (properties if isinstance(properties, dict) else {}).items():
            yield str(name)
            yield from _fields(field, depth + 1)
        yield from _fields(schema.get("items"), depth + 1)


# --- bad input --------------------------------------------------------------------------------------------------------


def hostile(apis: Mapping[str, Json]) -> Iterator[tuple[str, int, float]]:
    """What may be asked of what catalog, the tokens of the first request and the milliseconds for what goes with the question."""
    long = " ".join(
        one.words for name in ("restbench_tmdb", "questions_stripe", "questions_github") for one in questions(name)
    )
    asked = {
        "4,000 characters": long[:4_000],
        "one emoji": "🏝️",
        "an id": "in_1MxKq2",
        "one word, 4,000 long": "x" * 4_000,
    }
    catalogs = {f"{_MANY} APIs": many(apis), "no descriptions": together(*map(_bare, apis.values()))}
    for name, catalog in catalogs.items():
        for kind, words in asked.items():
            made = first_request(catalog, words)
            yield f"{name}, {kind}", made.tokens, made.milliseconds


def _bare(api: Json) -> Json:
    return api | {"endpoints": [one | {"description": " "} for one in api["endpoints"]]}


def read_api(text: str) -> Json:
    """A catalog's file with one API."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    made: Json = yaml.load(text, loader)
    return made
