"""What people ask the scripted model for, by regular expressions."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass

from demo.conversation import Call


@dataclass(frozen=True)
class Everybody:
    """Lists all employees."""


@dataclass(frozen=True)
class Find:
    """Looks for employees by name."""

    who: str


@dataclass(frozen=True)
class Joined:
    """Lists those who joined in a month, a year, or both."""

    month: int | None
    year: int | None


@dataclass(frozen=True)
class InDepartment:
    """Lists a department."""

    department: str


@dataclass(frozen=True)
class Hire:
    """Adds an employee."""

    name: str
    job: str | None
    department: str | None


@dataclass(frozen=True)
class Change:
    """Changes fields of one employee."""

    who: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Remove:
    """Removes employees."""

    who: tuple[str, ...]


@dataclass(frozen=True)
class Spelled:
    """A call that somebody wrote out."""

    call: Call


@dataclass(frozen=True)
class Help:
    """Asks what can be asked."""


@dataclass(frozen=True)
class Unknown:
    """Nothing that this model understands."""


Asked = Everybody | Find | Joined | InDepartment | Change | Remove  # needs to know who there is
Intent = Asked | Hire | Spelled | Help | Unknown
MONTHS = "january february march april may june july august september october november december"
SHORT_MONTHS = tuple(month[:3] for month in MONTHS.split())
MONTH = "|".join(rf"{month[:3]}(?:{month[3:]})?\b" for month in MONTHS.split())
FIELD_WORDS = {
    "last name": "last_name",
    "surname": "last_name",
    "family name": "last_name",
    "first name": "first_name",
    "given name": "first_name",
    "job": "job",
    "job title": "job",
    "title": "job",
    "role": "job",
    "department": "department",
    "team": "department",
    "email": "email",
    "e-mail": "email",
}
FIELD = "|".join(sorted((re.escape(words) for words in [*FIELD_WORDS, "name"]), key=len, reverse=True))


def pattern(text: str) -> re.Pattern[str]:
    """A pattern that takes capitals and small letters alike."""
    return re.compile(text, re.IGNORECASE)


SPELLED = re.compile(
    r"(?P<method>get|head|post|put|patch|delete)\s+(?P<url><?(?:/|https?://)\S*)(?:\s+(?P<body>[\[{].*))?",
    re.IGNORECASE | re.DOTALL,
)
POLITE = pattern(
    r"^(?:(?:hi|hello|hey)\b[ ,!]*(?:there\b[ ,!]*)?)?(?:(?:can|could|would|will) you )?(?:please )?"
    r"|,? (?:please|thanks|thank you)$"
)
HELP = pattern(r"^$|^help\b|\bwhat (?:can|do) you do\b")
QUESTION = pattern(r"^(?:who|what|when|where|why|how|list|show|find|is|are|did|does)\b")
NEGATED = pattern(r"\b(?:don'?t|do not|never|not)\b")
RENAME = pattern(r"\brename (?P<who>.+?) (?:to|as|into) (?P<new>.+)$")
CHANGE = pattern(rf"\b(?:change|set|update) (?P<who>.+?)(?:'s|') (?P<field>{FIELD}) (?:to|into|as) (?P<new>.+)$")
CHANGE_OF = pattern(rf"\b(?:change|set|update) the (?P<field>{FIELD}) of (?P<who>.+?) (?:to|into|as) (?P<new>.+)$")
REMOVE = pattern(
    r"\b(?:remove|fire|delete|dismiss|sack) (?:(?:the|our|employees?|users?|number|id) )*(?P<who>.+?)(?: from .+)?$"
)
AS_JOB = r" as (?:an? |our |the )?(?P<job>.+?)"
IN_DEPARTMENT = r" (?:in|to|for|into) (?:the )?(?P<department>.+?)(?: team| department)?"
HIRES = (
    pattern(rf"\b(?:hire|add|onboard) (?P<name>(?!an? |the ).+?){IN_DEPARTMENT}{AS_JOB}$"),
    pattern(rf"\b(?:hire|add|onboard) (?P<name>(?!an? |the ).+?)(?:{AS_JOB})?(?:{IN_DEPARTMENT})?$"),
)
JOINED = pattern(
    r"\b(?:join|joined|start|started|hired)\b.*?"
    rf"\bin (?:(?P<month>{MONTH})(?:,? (?:of )?(?P<year>\d{{4}}))?|(?P<only>\d{{4}}))"
)
DEPARTMENT = pattern(
    r"\b(?:who|list|show|find|everyone|everybody|people|employees)\b.*"
    r"\bin (?:the )?(?P<department>.+?)(?: team| department)?$"
)
EVERYBODY = pattern(
    r"\b(?:list|show|get|give|who are|how many)\b.*\b(?:employees|everybody|everyone|people|staff|all|users)\b"
    r"|\bwho works (?:here|for us)\b|^(?:employees|everybody|everyone|staff)$"
)
FIND = pattern(
    r"\b(?:who is|who's|who are|find|look up|search for|search|show me|show|tell me about|(?:what is|what's)(?=.*')) "
    r"(?:the employee )?(?P<who>.+)$"
)


def cleaned(text: str) -> str:
    """The question without mentions, politeness and marks at its end."""
    text = re.sub(r"<@[^>]*>|^\s*@\S+", " ", html.unescape(text)).replace("\u2019", "'")  # a typographic apostrophe
    return POLITE.sub("", " ".join(text.split()).strip(" .,!?:;")).strip(" .,!?")


def spelled(question: str) -> Spelled | None:
    """The call that a question spells out, if it does."""
    text = re.sub(r"<@[^>]*>|^\s*@\S+", " ", html.unescape(question)).strip().strip("`").strip()
    found = SPELLED.fullmatch(text)
    if found is None:
        return None
    try:
        body = json.loads(found["body"]) if found["body"] else None
    except ValueError:
        return None
    return Spelled(Call(found["method"].upper(), found["url"].strip("<>"), body))


def understood(question: str) -> Intent:
    """What a question asks for, by itself."""
    if (call := spelled(question)) is not None:
        return call
    text = cleaned(question)
    if HELP.search(text):
        return Help()
    if NEGATED.search(text):
        return Unknown()
    asked = read_in(text) if QUESTION.search(text) else change_in(text) or write_in(text) or read_in(text)
    return asked or Unknown()


def change_in(text: str) -> Intent | None:
    """The change that a text asks for."""
    if match := RENAME.search(text):
        return Change(match["who"], renamed(match["new"]))
    if match := CHANGE.search(text) or CHANGE_OF.search(text):
        field = match["field"].casefold()
        values = renamed(match["new"]) if field == "name" else ((FIELD_WORDS[field], match["new"]),)
        return Change(match["who"], values)
    return None


def renamed(name: str) -> tuple[tuple[str, str], ...]:
    """A name's values: its first word is the first name, the rest the last name."""
    return tuple(zip(("first_name", "last_name"), name.split(maxsplit=1), strict=False))


def write_in(text: str) -> Intent | None:
    """The hiring or removal that a text asks for."""
    if match := REMOVE.search(text):
        return Remove(several(match["who"]))
    match = next((match for hire in HIRES if (match := hire.search(text))), None)
    return Hire(match["name"], match["job"], match["department"]) if match else None


def several(names: str) -> tuple[str, ...]:
    """The names in an enumeration."""
    return tuple(name for name in re.split(r"\s*(?:[,;&]|\band\b)\s*", names) if name)


def read_in(text: str) -> Intent | None:
    """The list or look-up that a text asks for."""
    if match := JOINED.search(text):
        month = SHORT_MONTHS.index(match["month"][:3].casefold()) + 1 if match["month"] else None
        year = match["year"] or match["only"]
        return Joined(month, int(year) if year else None)
    if match := DEPARTMENT.search(text):
        return InDepartment(match["department"])
    if EVERYBODY.search(text):
        return Everybody()
    if match := FIND.search(text):
        return Find(re.sub(rf"(?:'s|') (?:{FIELD}|manager|boss)$", "", match["who"], flags=re.IGNORECASE))
    return None
