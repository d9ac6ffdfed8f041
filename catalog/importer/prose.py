"""Foreign documentation as few plain words for the model: Markdown and HTML taken off, the first sentences, never an endless text."""

from __future__ import annotations

import html
import re
from functools import lru_cache

from base.english import SENTENCE_END, split, stem
from catalog.references import printable

_READ = 4_000  # characters of a description that are looked at
# Lines that are no sentence: quotes (notes, warnings), headings, tables, rules, lists, code fences.
_NO_SENTENCE = re.compile(r"[ \t]*(>|#|\||[-*_=~`]{3}|[-*+] |\d+\. )")
_MARKUP = (
    (re.compile(r"```.{0,4000}?(```|\Z)", re.DOTALL), " "),
    (re.compile(r"<!--.{0,4000}?(-->|\Z)", re.DOTALL), " "),
    (re.compile(r"</?[A-Za-z][^<>]{0,500}>"), " "),
    (re.compile(r"!\[[^\[\]]{0,300}\]\([^()]{0,500}\)"), " "),
    (re.compile(r"\[([^\[\]]{1,300})\]\s?\([^()]{0,500}\)"), r"\1"),
    (re.compile(r"\*\*|__|`"), ""),
    (re.compile(r"(?<![\w*])[*_](?=\S)([^*_]{1,200})(?<=\S)[*_](?![\w*])"), r"\1"),
)
# Sentences that point elsewhere, or whose sense was a list or a table below them.
_NO_NEWS = re.compile(
    r"(required (oauth )?scopes?|(for|to) more (information|details)|(read|learn|see) more|see (also|the)?|note:)\b|.*:$",
    re.IGNORECASE,
)
_FILLER = frozenset(  # words that say nothing of a thing
    re.findall(
        r"\w+",
        "a an and are as at be by for from if in is it its of on or that the this to with id identifier unique name names "
        "number value given specified which get gets list lists return returns retrieve retrieves",
    )
)


def plain(text: str) -> str:
    """Markdown or HTML as one line of plain text."""
    text = text[:_READ]
    for pattern, by in _MARKUP[:2]:
        text = pattern.sub(by, text)
    lines = text.splitlines()
    text = "\n".join("" if _NO_SENTENCE.match(line) else line for line in lines)
    for pattern, by in _MARKUP[2:]:
        text = pattern.sub(by, text)
    text = re.sub(r"[ \t]+([.,;:])(?=\s|$)", r"\1", html.unescape(text))
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n[ \t]*\n", text)]
    return printable(" ".join(_ended(part) for part in paragraphs if part), _READ)


def _ended(paragraph: str) -> str:
    last = paragraph.rstrip("\"')")[-1:] or paragraph[-1]
    return paragraph if last in ".!?:;," else paragraph + "."


def sentences(text: str, limit: int) -> str:
    """The first sentences of `text` (Markdown or HTML) that fit into `limit` characters; at least the begin of the first."""
    found = ""
    for sentence in _split(text):
        if found and len(found) + 1 + len(sentence) > limit:
            break
        found = f"{found} {sentence}".strip()
    return cut(found, limit)


def first_sentence(text: str, limit: int) -> str:
    """The first sentence alone."""
    return cut(next(iter(_split(text)), ""), limit)


@lru_cache(maxsize=4_096)
def _split(text: str) -> list[str]:
    return [one for one in SENTENCE_END.split(plain(text)) if one and not _NO_NEWS.match(one)]


def cut(text: str, limit: int) -> str:
    """Text of at most `limit` characters, cut between words."""
    if len(text) <= limit:
        return text
    return text[: limit - 3].rsplit(" ", 1)[0].rstrip(" ,;:.(-") + "..."


def words_of(text: str) -> set[str]:
    """The words that say something, in their simplest form."""
    return {stem(word) for word in split(text) if word not in _FILLER}


def says_nothing_new(text: str, beside: str) -> bool:
    """Whether everything that `text` says is said in `beside` already."""
    return words_of(text) <= words_of(beside)


def described(summary: str, description: str, fallback: str, limit: int) -> str:
    """An operation's one description: the summary, and the first sentences of the description where they say more."""
    head, first = cut(plain(summary), limit), first_sentence(description, limit)
    if not head:
        return sentences(description, limit) or fallback
    if not first or says_nothing_new(first, head):
        return head
    if says_nothing_new(head, first):
        return sentences(description, limit)
    whole = sentences(description, max(limit - len(head) - 1, 0)) if limit - len(head) > len(first) else ""
    return f"{_ended(head)} {whole}".strip() if whole else cut(f"{_ended(head)} {first}", limit)
