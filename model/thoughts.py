"""Thoughts that a model's server left in the text of an answer: told apart from what was meant for people.

Reasoning models write them before the answer, between tags; where a server's template begins them itself, only the end shows
(https://huggingface.co/deepseek-ai/DeepSeek-R1-0528 and others; vLLM and llama.cpp cut them only with the right parser set). The tags
are looked for before special tokens are put together again, so an API's data cannot pass for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

# What the families begin and end their thoughts with.
_PAIRS = {
    **{f"<{name}>": f"</{name}>" for name in ("think", "thinking", "thought", "reasoning", "seed:think")},
    "[THINK]": "[/THINK]",
    "\u25c1think\u25b7": "\u25c1/think\u25b7",
    "<|channel>thought": "<channel|>",
    "<|START_THINKING|>": "<|END_THINKING|>",
}
_OPENING = re.compile(r"^[ \t]*(" + "|".join(map(re.escape, _PAIRS)) + ")", re.M)
_CLOSING = re.compile("|".join(map(re.escape, _PAIRS.values())))
_TAGS = re.compile("|".join(map(re.escape, (*_PAIRS, *_PAIRS.values()))))
_FENCE = "```"
_MOST = 50  # tags of one text that are looked at


@dataclass(frozen=True)
class Parted:
    """An answer's text without its thoughts. `is_open`: they have not ended; `is_lone`: they had no beginning, so that it showed only
    with their end that they were thoughts."""

    words: str
    has_thoughts: bool = False
    is_open: bool = False
    is_lone: bool = False


def parted(text: str) -> Parted:
    """The text as people may see it. Tags in code are left alone: they are what an answer is about."""
    if not _may_have(text):
        return Parted(text)
    words, is_open = _less_pairs(text)
    has_thoughts = words != text
    ends = islice(_CLOSING.finditer(words), _MOST)
    closing = next((found for found in ends if not is_in_code(words, found.start())), None)
    if closing is not None:
        return Parted(words[closing.end() :].lstrip(), True, is_open, is_lone=True)
    begins = words.strip()
    is_begun = bool(begins) and any(len(begins) < len(tag) and tag.startswith(begins) for tag in _PAIRS)
    if is_begun:  # a tag that is still being written
        return Parted("", has_thoughts, is_open=True)
    return Parted(words, has_thoughts, is_open)


def _may_have(text: str) -> bool:
    return any(sign in text for sign in ("<", "[THINK", "[/THINK", "\u25c1")) or text.strip().startswith("[")


def _less_pairs(text: str) -> tuple[str, bool]:
    """The text without what stands between tags that begin a line, and whether the last of them is still open."""
    at = 0
    for _ in range(_MOST):
        if (found := _OPENING.search(text, at)) is None:
            break
        if is_in_code(text, found.start(1)):
            at = found.end()
            continue
        end = text.find(_PAIRS[found[1]], found.end())
        before = text[: found.start()]
        if end < 0:
            return before.rstrip(), True
        rest = text[end + len(_PAIRS[found[1]]) :].lstrip()
        text = f"{before.rstrip()}\n\n{rest}" if before.strip() else rest
        at = len(text) - len(rest)
    return text, False


def is_in_code(text: str, at: int) -> bool:
    """Whether a place of a text of Markdown stands between backticks."""
    before = text[:at]
    line = before.rpartition("\n")[2].replace(_FENCE, "")
    return before.count(_FENCE) % 2 == 1 or line.count("`") % 2 == 1


def around_thoughts(text: str, change: Callable[[str], str]) -> str:
    """A text with everything changed but the tags of its thoughts."""
    if not _may_have(text):
        return change(text)
    pieces: list[str] = []
    at = 0
    for found in islice(_TAGS.finditer(text), _MOST):
        if not is_in_code(text, found.start()):
            pieces += [change(text[at : found.start()]), found[0]]
            at = found.end()
    return "".join([*pieces, change(text[at:])])
