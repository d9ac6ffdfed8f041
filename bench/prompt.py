"""(e) What the sample's prompt costs, by the tokens of o200k, and the catalogs that bench/finding.py asks about.

Descriptions that are too large to be kept here are imported from files. GitHub's is looked for where `npm install --no-save
@octokit/openapi@23.0.2` puts it; `--github FILE` says where else it is. `--spec FILE` brings others, by the beginning of their file's name.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from base.shrink import as_json
from bench.finding import ABOUT, DATA, Json, read_api, tokens
from bench.stage import ROOT
from catalog.catalog import load_catalog
from model.prompt.prompt import system_prompt, tool, tools

PACKAGE = "@octokit/openapi@23.0.2"
GITHUB = Path("node_modules/@octokit/openapi/generated/api.github.com.json")
KNOWN = ("asana", "digitalocean", "linode", "petstore", "spotify", "stripe", "zoom")  # of these there are questions
_SHOWN = ("method", "url", "description", "parameters", "body")  # keys of an entry that tell a model something


@dataclass(frozen=True)
class Sample:
    """Tokens of the sample catalog: as JSON entries with the tool, as our lines with our tool, with all our tools; the whole request."""

    entries: int
    lines: int
    tools: int
    whole: int


def sample() -> Sample:
    """The five endpoints of apis.yaml. Compared with each entry as JSON, the instructions, and a tool of method, url, body."""
    text = (ROOT / "apis.yaml").read_text("utf-8")
    file = yaml.safe_load(text)
    entries = as_json([{key: one[key] for key in _SHOWN if key in one} for one in file["endpoints"]])
    catalog = load_catalog(text, {"HR_API_URL": "https://hr.example.com"})
    system = system_prompt(catalog, "", about=ABOUT, last=False)
    listed = system[system.index("# HR") : system.index(ABOUT)]
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


def apis(descriptions: Iterable[Path], github: Path) -> dict[str, Json]:
    """The catalogs' files at hand, by name: TMDB's, which lies here, and those imported from the descriptions."""
    found = {"tmdb": read_api((DATA / "tmdb.yaml").read_text("utf-8"))}
    for file in descriptions:
        name = next((name for name in KNOWN if file.name.lower().startswith(name)), None)
        if name is not None:
            found[name] = _imported(file, name.title())
    return found | ({"github": _imported(github, "GitHub")} if github.is_file() else {})


def _imported(description: Path, name: str) -> Json:
    """The catalog that `python bot.py import` makes of a description."""
    command = [sys.executable, str(ROOT / "bot.py"), "import", str(description), "--writes", "--name", name]
    return read_api(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)
