"""Calls that came as text instead of as calls, and calls that came twice or wrapped: what they were meant to be.

Servers without the parser for a model's own way of calling pass it on as the answer's text (vllm#21571, omlx#2565); gateways glue
arguments together (litellm#40582). Only what is exactly one of our tools' calls is taken as one, and it goes through the same gate. The
tags are looked for before special tokens are put together again, so an API's data within a text cannot pass for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from itertools import islice
from typing import Any

from base.json_text import dumps, loads
from catalog.calls import MAX_ARGUMENTS
from model.thoughts import is_in_code

_PREFIXES = ("functions.", "default_api:", "default_api.", "functions:", "tools.", "tool.")
_FENCE = re.compile(r"```(?:json|tool_call|tool_code)?[ \t]*\n")
_WRAPPED = re.compile(r"\s*<(tool_call|function_call|tool_calls)>(.*?)(?:</\1>|\Z)\s*", re.S)
_MISTRAL = re.compile(r"\[TOOL_CALLS\]\s*")
_NAMED = re.compile(r"\s*<function=([\w.:-]+)>(.*?)(?:</function>|\Z)\s*", re.S)
_PARAMETER = re.compile(r"\s*<parameter=([\w.-]+)>\n?(.*?)\n?</parameter>\s*", re.S)
_TAG = re.compile(
    r"(?m)^[ \t]*(?:<\|?tool_calls?\b|<function_calls?>|<function=|<invoke\b|\[TOOL_CALLS\]|<\|python_tag\|>|<\|tool\u2581calls?)"
)
_MAY_BE = re.compile(r"\A\s*(?:```\w*\s*)?(?:\{|\[(?:\s*\{|\s*\Z|T)|<(?:\||t|f|i|\Z)|\Z)")
_NESTED = 3  # levels of JSON text within JSON text
_AGAIN = 8  # times that the same is said after all
_MOST = 32  # calls of one text


def own_name(name: str) -> str:
    """A tool's name without what some models put before it."""
    return next((name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix)), name)


def once(arguments: object) -> object:
    """A call's arguments as they were meant: said twice, followed by `""`, or as JSON text within JSON text. Else as they came."""
    if not isinstance(arguments, str) or len(arguments) > MAX_ARGUMENTS:
        return arguments
    meant = arguments
    for _ in range(_NESTED):
        meant = _first(meant)
        value = _read(meant)
        if isinstance(value, dict):
            return meant
        if not isinstance(value, str):
            break
        meant = value
    return arguments


def _read(text: str) -> Any:
    try:
        return loads(text, odd=str)
    except (ValueError, RecursionError):
        return None


def _first(text: str) -> str:
    """The first JSON object of a text in which nothing follows but the same again, or `""`. Else the text."""
    start = text.lstrip()
    if not start.startswith("{"):
        return text
    try:
        value, end = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
        return text
    rest = start[end:].strip()
    for _ in range(_AGAIN):
        if not rest:
            return start[:end]
        try:
            again, length = json.JSONDecoder().raw_decode(rest)
        except (ValueError, RecursionError):
            return text
        if again not in (value, ""):
            return text
        rest = rest[length:].lstrip()
    return text


def called_in(text: str, tools: Collection[str]) -> tuple[str, list[dict[str, Any]]]:
    """The calls that a text consists of, or ends with behind their tags, as a server would have given them; and the words before them.
    None where that is, or has, anything else."""
    words, inner = text, text.strip()
    if len(inner) > MAX_ARGUMENTS:
        return words, []
    if (tag := _tag(text)) is not None:
        words, inner = text[: tag.start()].strip(), text[tag.start() :].strip()
        found = _listed(_MISTRAL.sub("", inner, count=1)) if inner.startswith("[") else _wrapped(inner)
    else:
        fence = _FENCE.match(inner)
        words, found = "", _listed(inner[fence.end() : -len("```")] if fence and inner.endswith("```") else inner)
    calls = [_call(one, tools) for one in found[: _MOST + 1]]
    made = [one for one in calls if one is not None]
    return (words, made) if len(made) == len(calls) <= _MOST else (text, [])


def tries_to_call(text: str) -> bool:
    """Whether a text holds what no answer does: the tag of a call, or nothing but JSON that has a call's looks."""
    if _tag(text) is not None:
        return True
    value = _read(text.strip()) if len(text) <= MAX_ARGUMENTS else None
    return isinstance(value, dict) and value.keys() in ({"name", "arguments"}, {"name", "parameters"})


def _tag(text: str) -> re.Match[str] | None:
    """The first tag of a call that begins a line and stands in no code."""
    found = islice(_TAG.finditer(text), _MOST)
    return next((one for one in found if not is_in_code(text, one.start())), None)


def may_become_call(text: str) -> bool:
    """Whether a text that is being written may turn out to be a call, so that nobody should be shown it yet."""
    return _MAY_BE.match(text) is not None or _tag(text) is not None


def _wrapped(text: str) -> list[Any]:
    """What stands between the tags that a text consists of; something that is no call where there is more."""
    found: list[Any] = []
    at = 0
    while at < len(text):
        if (one := _WRAPPED.match(text, at)) is not None:
            found += _named(one[2]) if one[2].lstrip().startswith("<function=") else _listed(once(one[2].strip()))
        elif (one := _NAMED.match(text, at)) is not None:
            found += _named(one[0])
        else:
            return [None]
        at = one.end()
    return found


def _named(text: str) -> list[Any]:
    """`<function=NAME>` with JSON arguments, as Llama writes, or with a tag for each, as Qwen3-Coder does."""
    one = _NAMED.fullmatch(text)
    if one is None:
        return [None]
    arguments = _read(one[2].strip())
    if not isinstance(arguments, dict):
        pairs = _PARAMETER.findall(one[2]) if one[2].count("<parameter=") == one[2].count("</parameter>") else []
        if not pairs or _PARAMETER.sub("", one[2]).strip():
            return [None]
        arguments = dict(pairs)
    return [{"name": one[1], "arguments": arguments}]


def _listed(text: object) -> list[Any]:
    value = _read(text) if isinstance(text, str) else None
    return value if isinstance(value, list) and value else [value]


def _call(value: Any, tools: Collection[str]) -> dict[str, Any] | None:
    """One call, where a value is exactly that: a tool's name and its arguments."""
    if not isinstance(value, dict):
        return None
    inner = value.get("function")
    value = inner if isinstance(inner, dict) else value
    name = next((value[key] for key in ("name", "function") if isinstance(value.get(key), str)), "")
    arguments = next((value[key] for key in ("arguments", "parameters") if key in value), None)
    arguments = _read(str(once(arguments))) if isinstance(arguments, str) else arguments
    if own_name(name) not in tools or not isinstance(arguments, dict):
        return None
    if value.keys() - {"name", "function", "arguments", "parameters", "id", "type"}:
        return None
    return {"type": "function", "function": {"name": own_name(name), "arguments": dumps(arguments)}}
