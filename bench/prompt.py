"""(e) What a prompt costs and what it shows, offline: tokens by o200k, and how many of the operations that a question needs are in it.

The questions are RestBench's (bench/data). GitHub's description is too large to be kept here:
`npm install --no-save @octokit/openapi@23.0.2` puts it where it is looked for, `--github FILE` says where it is; without it what needs
it is left out.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import bpe_openai
import yaml

from bench.stage import ROOT
from core.catalog import Catalog, Operation, load_catalog
from core.listing import Listed
from core.prompt import BUDGET, about, beside, system_prompt, tool, tools
from core.search import index_of
from core.shrink import as_json

DATA = Path(__file__).parent / "data"
PACKAGE = "@octokit/openapi@23.0.2"
GITHUB = Path("node_modules/@octokit/openapi/generated/api.github.com.json")
_SHOWN = ("method", "url", "description", "parameters", "body")  # keys of an entry that tell a model something
_ABOUT = about(1_780_000_000, "Ann Lee", "Europe/Berlin")
_LINE = re.compile(r"^(?:GET|POST|PUT|PATCH|DELETE) \S+", re.MULTILINE)


@dataclass(frozen=True)
class Asked:
    """A question and the names of the operations that answer it, `METHOD /path/{}`."""

    words: str
    gold: frozenset[str]


@dataclass(frozen=True)
class Sample:
    """Tokens of the sample catalog: as JSON entries with the tool, as our lines with our tool, with all our tools; the whole request."""

    entries: int
    lines: int
    tools: int
    whole: int


@dataclass(frozen=True)
class Shown:
    """Over all questions. Recall of the operations that are needed: in a plain BM25's first 10 and 20, in ours, in the first request."""

    operations: int
    plain: tuple[float, float]
    ranked: tuple[float, float]
    visible: float
    largest: int  # tokens of a first request
    milliseconds: float  # of a search, median


def tokens(text: str) -> int:
    return len(_encoding().encode(text))


@cache
def _encoding() -> Any:
    return bpe_openai.get_encoding("o200k_base")


def sample() -> Sample:
    """The five endpoints of apis.yaml. Compared with each entry as JSON, the instructions, and a tool of method, url, body."""
    text = (ROOT / "apis.yaml").read_text("utf-8")
    file = yaml.safe_load(text)
    entries = as_json([{key: one[key] for key in _SHOWN if key in one} for one in file["endpoints"]])
    catalog = load_catalog(text, {"HR_API_URL": "https://hr.example.com"})
    system = system_prompt(catalog, "", about=_ABOUT, last=False)
    listed = system[system.index("# HR") : system.index(_ABOUT)]
    offered = as_json(tools(catalog, ""))
    return Sample(
        entries=tokens(entries) + tokens(file["instructions"]) + tokens(as_json([_plain_tool()])),
        lines=tokens(listed) + tokens(as_json([tool(catalog)])),
        tools=tokens(listed) + tokens(offered),
        whole=tokens(system) + tokens(offered),
    )


def _plain_tool() -> Any:
    properties = {
        "method": {"type": "string", "enum": ["GET", "POST", "PUT", "DELETE"], "description": "The HTTP method"},
        "url": {"type": "string", "description": "The URL of the endpoint with its placeholders filled in"},
        "body": {"type": "string", "description": "The JSON body of the request, if any"},
    }
    parameters = {"type": "object", "properties": properties, "required": ["method", "url"]}
    return {
        "type": "function",
        "function": {"name": "call_rest_api", "description": "Calls a REST API", "parameters": parameters},
    }


def tmdb() -> str:
    """The catalog of the API that the questions are about."""
    return (DATA / "tmdb.yaml").read_text("utf-8")


def imported(description: Path, name: str) -> str:
    """The catalog that `python bot.py import` makes of a description."""
    command = [sys.executable, str(ROOT / "bot.py"), "import", str(description), "--writes", "--name", name]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def together(*texts: str) -> Catalog:
    """One catalog of several."""
    variables = {name: "https://api.example.com" for text in texts for name in re.findall(r"\$\{(\w+)", text)}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return load_catalog(json.dumps({"apis": [yaml.load(text, loader) for text in texts]}), variables)


def questions() -> list[Asked]:
    """RestBench's questions about TMDB."""
    found = json.loads((DATA / "restbench_tmdb.json").read_text("utf-8"))
    return [Asked(one["query"], frozenset(map(_name, one["solution"]))) for one in found]


def _name(operation: str) -> str:
    """Operations are the same whatever their placeholders are called; some names in the data hold stray blanks."""
    return re.sub(r"\{[^}]*\}|\[[^\]]*\]", "{}", " ".join(operation.split()).partition("?")[0])


def measure(catalog: Catalog, asked: Sequence[Asked]) -> Shown:
    """What the catalog's prompts show of what the questions need."""
    index, plain = index_of(catalog), _plain_search(catalog.operations)
    took: list[float] = []

    def search(words: str) -> list[Listed]:
        began = time.perf_counter()
        found = index.rank(words)
        took.append(time.perf_counter() - began)
        return found

    requests = [_first_request(catalog, one.words) for one in asked]
    ranked = [[_name(one.name) for one in search(each.words) if isinstance(one, Operation)] for each in asked]
    simple = [[_name(one.name) for one in plain(each.words)] for each in asked]
    return Shown(
        operations=len(catalog.operations),
        plain=(_recall(simple, asked, 10), _recall(simple, asked, 20)),
        ranked=(_recall(ranked, asked, 10), _recall(ranked, asked, 20)),
        visible=_recall([[_name(line) for line in _LINE.findall(system)] for system, _ in requests], asked),
        largest=max(size for _, size in requests),
        milliseconds=statistics.median(took) * 1000,
    )


def _first_request(catalog: Catalog, words: str) -> tuple[str, int]:
    """The system message of a thread's first request, and the tokens of it and the tools."""
    noted = beside(catalog, "", words, about=_ABOUT, before=[], first=None, budget=BUDGET)
    system = system_prompt(catalog, "", about=noted.text, last=False, budget=BUDGET)
    return system, tokens(system) + tokens(as_json(tools(catalog, "", BUDGET)))


def _recall(found: Iterable[Sequence[str]], asked: Sequence[Asked], first: int | None = None) -> float:
    hits = sum(len(one.gold & set(names[:first])) for names, one in zip(found, asked, strict=True))
    return hits / sum(len(one.gold) for one in asked)


def _plain_search(operations: Sequence[Operation]) -> Callable[[str], list[Operation]]:
    """BM25 (k1 1.2, b 0.75) over each operation's name and description, with words as they are written."""
    documents = [Counter(_words(f"{one.name} {one.description}")) for one in operations]
    average = sum(document.total() for document in documents) / len(documents)
    spread = Counter(word for document in documents for word in document)

    def score(document: Counter[str], words: Iterable[str]) -> float:
        long = 1.2 * (0.25 + 0.75 * document.total() / average)
        rarity = {word: math.log(1 + (len(documents) - spread[word] + 0.5) / (spread[word] + 0.5)) for word in words}
        return sum(rarity[word] * document[word] * 2.2 / (document[word] + long) for word in words)

    def search(question: str) -> list[Operation]:
        words = set(_words(question))
        scores = [score(document, words) for document in documents]
        return [operations[at] for at in sorted(range(len(scores)), key=lambda at: -scores[at])]

    return search


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
