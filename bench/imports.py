"""(d) `python bot.py import`, a process each: over a made description of 1,200 operations, and over files that are named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.stage import ROOT
from catalog.catalog import load_catalog

OPERATIONS = 1_200


@dataclass(frozen=True)
class Import:
    """One import. `seconds` and `megabytes` (at most) are the whole process's; `loading`: seconds that the bot then needs to read it."""

    name: str
    operations: int
    seconds: float
    megabytes: float
    loading: float


def measure(directory: Path, files: Sequence[Path]) -> Iterator[Import | str]:
    """Imports a made description, then each file. A text says why a file was skipped, or what went wrong."""
    made = directory / f"{OPERATIONS} made operations"
    made.write_text(json.dumps(_description()))
    for file in (made, *files):
        yield _one(file, directory / "imported.yaml") if file.is_file() else f"{file}: skipped, there is no such file"


# Runs a command and prints the most memory that it took. It is small itself: a process begins with the figure of the one that started it.
_WATCH = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def _one(file: Path, catalog: Path) -> Import | str:
    command = [sys.executable, str(ROOT / "bot.py"), "import", str(file.resolve()), "--writes"]
    began = time.monotonic()
    with catalog.open("wb") as out:
        watch = [sys.executable, "-c", _WATCH, *command]
        done = subprocess.run(watch, cwd=catalog.parent, stdout=out, stderr=subprocess.PIPE, check=False)
    seconds = time.monotonic() - began
    if done.returncode:
        return f"{file.name}: the import ended with {done.returncode}"
    text = catalog.read_text("utf-8")
    began = time.monotonic()
    loaded = load_catalog(text, dict.fromkeys(re.findall(r"\$\{(\w+)", text), "https://bench.example"))
    return Import(file.name, len(loaded.operations), seconds, int(done.stderr) / 1024, time.monotonic() - began)


def _description() -> dict[str, Any]:
    """A description of things with lists, parameters, bodies and references to each other."""
    paths = {f"/things{number}": _path(number) for number in range(OPERATIONS // 4)}
    paths |= {f"/things{number}/{{id}}": _item(number) for number in range(OPERATIONS // 4)}
    schemas = {f"Thing{number}": _thing(number) for number in range(OPERATIONS // 4)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Made", "version": "1"},
        "servers": [{"url": "https://made.example"}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _thing(number: int) -> dict[str, Any]:
    fields = {f"field{n}": {"type": "string", "description": "What it is. And more of it."} for n in range(15)}
    next_one = {"$ref": f"#/components/schemas/Thing{(number + 1) % (OPERATIONS // 4)}"}
    return {"type": "object", "required": ["field1"], "properties": fields | {"next": next_one}}


def _path(number: int) -> dict[str, Any]:
    thing = {"$ref": f"#/components/schemas/Thing{number}"}
    names = ("page", "size", "sort", "q")
    given = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
    answer = {"200": {"content": {"application/json": {"schema": {"type": "array", "items": thing}}}}}
    body = {"content": {"application/json": {"schema": thing}}}
    return {"get": {"parameters": given, "responses": answer}, "post": {"summary": "Adds one", "requestBody": body}}


def _item(number: int) -> dict[str, Any]:
    body = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/Thing{number}"}}}}
    by_id = [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}]
    return {
        "parameters": by_id,
        "put": {"summary": "Changes one", "requestBody": body},
        "delete": {"summary": "Removes"},
    }
