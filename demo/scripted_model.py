"""A scripted model that speaks OpenAI's Chat Completions over HTTP, for the demo and for tests.

It answers a handful of questions about the sample HR API by regular expressions, and calls the tool `call_rest_api`
just as a real model would. What it does next follows from the messages of the request alone: it keeps nothing between
requests, and everything it says of employees was read from a tool result. The checks are as strict as OpenAI's, so that
what works here works there. The bot is not imported here.
"""

import html
import json
import re
import secrets
import time
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, assert_never

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from demo.hr_api import FIELDS, Employee, LocalServer

TOOL = "call_rest_api"
USERS = "/api/users"
CONFESSION = "*I'm a script, not a model: set `OPENAI_API_KEY` and run again for a real one.*"
ABILITIES = """I can:

- list employees ("who works here?")
- find people ("who is Ann Lee?", "who joined in March?", "who is in Engineering?")
- hire ("hire Zoe Park as designer")
- change a name, a job, a department or an e-mail ("rename Marta Silva to Marta Costa")
- remove ("remove Tom Berg")"""
CANNOT = """I know no more of this API than what you spell out, since I only follow a script: names, conditions and sums need a real model
(set `OPENAI_API_KEY`, or `OPENAI_BASE_URL` for one of your own, and start the demo again).

Write a call, and I make it: `GET /things`, `DELETE /things/7`, or `POST /things {"name": "x"}`. What changes something is shown as a
card first, just as with a real model."""
WHICH = "Which one do you mean?"
SHOWN = 2_000  # characters of what a spelled call brought
SECONDS = 1.0  # that a stream takes at most, however long the answer is
PAGES_AT_ONCE = 10  # in one reply; a directory of hundreds of pages is read in several


# --- the conversation, read from the messages -------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One use of the tool; `body` is the JSON to send, if any."""

    method: str
    url: str
    body: Any = None


@dataclass(frozen=True)
class Result:
    """What came back for a call, as far as it can be understood."""

    status: int | None = None
    data: Any = None
    error: str = ""
    outcome: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the API did what was asked."""
        if self.error:
            return False
        if self.status is not None:
            return 200 <= self.status < 300
        return self.data is not None and self.outcome in ("", "done")

    @property
    def reason(self) -> str:
        """Why it did not work, in the words of the result."""
        said = self.error or ("" if self.ok else words_of(self.data))
        told = self.ok or self.status is None or str(self.status) in self.note
        status = "" if told else f"the API answered {self.status}"
        parts = [part.strip().rstrip(".") for part in (self.outcome, status, said, self.note)]
        return ". ".join(dict.fromkeys(part for part in parts if part)) or "nothing that I can read"


@dataclass(frozen=True)
class Step:
    """A call that was made, and what came of it."""

    call: Call
    result: Result


@dataclass(frozen=True)
class Turn:
    """One question, the calls made for it so far, and the answer if there was one."""

    question: str
    steps: tuple[Step, ...] = ()
    answer: str = ""


def turns_of(messages: list[dict[str, Any]]) -> list[Turn]:
    """The turns of a checked list of messages, oldest first; at least one."""
    turns = [Turn("")]
    calls: dict[str, Call] = {}
    for message in messages:
        match message["role"]:
            case "user":
                turns.append(Turn(own_words(text_of(message))))
            case "assistant":
                calls |= {
                    call["id"]: call_of(call["function"]["arguments"]) for call in message.get("tool_calls") or []
                }
                turns[-1] = replace(turns[-1], answer=text_of(message))
            case "tool":
                step = Step(calls[message["tool_call_id"]], result_of(text_of(message)))
                turns[-1] = replace(turns[-1], steps=(*turns[-1].steps, step))
    return turns


def own_words(text: str) -> str:
    """A person's words without the context that the bot puts before them: behind the border that the first line names."""
    border = re.match(r"From the bot: all up to the line (=== \w+ ===) ", text)
    return text.split(f"\n{border[1]}\n", 1)[-1] if border else text


def text_of(message: dict[str, Any]) -> str:
    """The words of a message, whichever form its content has."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def call_of(arguments: str) -> Call:
    """The call that these arguments describe; an empty one where they describe none."""
    try:
        value = json.loads(arguments)
        return Call(str(value["method"]).upper(), str(value["url"]), value.get("body"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return Call("", "")


def result_of(content: str) -> Result:
    """Reads a tool result leniently: the keys may lie at the top or further in; text that is no JSON is a note."""
    try:
        value = json.loads(content)
    except ValueError:
        return Result(note=content)
    if not isinstance(value, dict):
        return Result(data=value)
    status = re.match(r"\d{3}\b", str(found(value, "status")))
    return Result(
        status=int(status[0]) if status else None,
        data=found(value, "data"),
        error=words_of(found(value, "error")),
        outcome=words_of(found(value, "outcome")),
        note=words_of(found(value, "note")),
    )


def found(value: dict[str, Any], key: str) -> Any:
    """The value under `key`, here or in an object further in; never from within the API's own data."""
    if key in value:
        return value[key]
    inner = [part for name, part in value.items() if isinstance(part, dict) and name != "data"]
    return next((hit for part in inner if (hit := found(part, key)) is not None), None)


def words_of(value: Any) -> str:
    """The words in an error, a note or an error's data, on one line."""
    if isinstance(value, dict):
        value = value.get("error") or value.get("message") or json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return " ".join(str(value).split()) if value is not None else ""


# --- what people ask for ----------------------------------------------------------------------------------------------


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


def intent_of(turns: list[Turn]) -> Intent:
    """What the last question asks for; a bare name after "Which one?" is the answer to that."""
    intent = understood(turns[-1].question)
    if isinstance(intent, Unknown) and len(turns) > 1 and WHICH in turns[-2].answer:
        return narrowed(intent_of(turns[:-1]), cleaned(turns[-1].question), gathered(turns[-2].steps).people)
    return intent


def narrowed(intent: Intent, who: str, people: list[Employee]) -> Intent:
    """The intent once more, for the one whom a second message names."""
    match intent:
        case Find() | Change():
            return replace(intent, who=who)
        case Remove():
            clear = tuple(name for name in intent.who if len(called(name, people)) == 1)
            return Remove((*clear, *several(who)))
    return intent


# --- who there is -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gathered:
    """What the calls so far say of who there is: complete when nothing is missing and there is no problem."""

    people: list[Employee]
    missing: list[Call]
    problem: str
    notes: list[str]


def gathered(steps: tuple[Step, ...]) -> Gathered:
    """What the pages that were read so far hold together, and which are still to be read."""
    lists = [step for step in steps if step.call.method == "GET" and step.call.url.split("?")[0] == USERS]
    people = {row["id"]: row for step in lists for row in rows(step.result.data)}
    problem = next((step.result.reason for step in lists if not readable(step.result)), "")
    wanted = [page(1)] if not lists else pages_after(lists, len(people))
    is_put_together = len(lists) > 1 and not wanted  # what a page said of itself alone is true no more
    notes = [] if is_put_together else list(dict.fromkeys(step.result.note for step in lists if step.result.note))
    asked = {step.call.url for step in lists}
    return Gathered(list(people.values()), [call for call in wanted if call.url not in asked], problem, notes)


def readable(result: Result) -> bool:
    """Whether a result has data that can be used."""
    return result.ok and isinstance(result.data, dict | list)


def page(number: int) -> Call:
    """The call for one page of the employees."""
    return Call("GET", f"{USERS}?page={number}")


def pages_after(lists: list[Step], seen: int) -> list[Call]:
    """The pages that the answers speak of, unless everyone was seen already."""
    facts = [step.result.data for step in lists if isinstance(step.result.data, dict)]
    last = max((count(fact, "total_pages") for fact in facts), default=0)
    total = max((count(fact, "total") for fact in facts), default=0)
    return [] if 0 < total <= seen else [page(number) for number in range(1, last + 1)]


def count(fact: dict[str, Any], key: str) -> int:
    """A number of the answer, bounded; 0 where it is none."""
    value = fact.get(key)
    return min(value, 1000) if isinstance(value, int) else 0


def rows(data: Any) -> list[Employee]:
    """The employees in an answer of the API: in a list, or in an object that holds such a list."""
    if isinstance(data, list):
        return [row for row in data if isinstance(row, dict) and "id" in row]
    if isinstance(data, dict):
        return next((hits for value in data.values() if (hits := rows(value))), [])
    return []


def called(who: str, people: list[Employee]) -> list[Employee]:
    """Those whom a name, a part of a name or an id means; a full name before a part of one."""
    if number := re.fullmatch(r"#?\s*(\d+)", who.strip()):
        return [one for one in people if one["id"] == int(number[1])]
    wanted = name_words(who)
    exact = [one for one in people if name_words(name_of(one)) == wanted]
    return exact or [one for one in people if wanted and set(wanted) <= set(name_words(name_of(one)))]


def name_words(name: str) -> list[str]:
    """The words of a name, without accents and capitals."""
    plain = unicodedata.normalize("NFKD", name.casefold()).replace("'", "")
    return re.findall(r"\w+", "".join(letter for letter in plain if not unicodedata.combining(letter)))


def name_of(person: Employee) -> str:
    """A person's full name."""
    return " ".join(str(person[part]) for part in ("first_name", "last_name") if person.get(part))


# --- what comes next --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calls:
    """A reply that makes calls."""

    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Words:
    """A reply that is an answer."""

    text: str


Reply = Calls | Words


@dataclass(frozen=True)
class Task:
    """A write to make, and what it is in words: `verb` done, `whom` in bold."""

    call: Call
    verb: str
    whom: str


def reply_to(turns: list[Turn], *, knows_hr: bool = True) -> Reply:
    """The next calls, or the answer."""
    intent, steps = intent_of(turns), turns[-1].steps
    match intent:
        case Spelled(call):
            return made(call, steps)
        case _ if not knows_hr:
            return Words(CANNOT)
        case Help():
            return Words(ABILITIES)
        case Unknown():
            return Words(f"I did not understand that. {ABILITIES}")
        case Hire():
            return hire(intent, steps)
        case _:
            return after_reading(intent, gathered(steps), steps)


def after_reading(intent: Asked, found: Gathered, steps: tuple[Step, ...]) -> Reply:
    """What follows from the employees that were read."""
    if found.problem:
        return Words(f"I could not read the employees: {found.problem}.")
    if found.missing:
        return Calls(tuple(found.missing[:PAGES_AT_ONCE]))
    match intent:
        case Change():
            return change(intent, found.people, steps)
        case Remove():
            return remove(intent, found.people, steps)
        case _:
            return Words("\n\n".join([answer(intent, found.people), *(f"Note: {note}" for note in found.notes)]))


def made(call: Call, steps: tuple[Step, ...]) -> Reply:
    """A call that was spelled out, then what came of it."""
    results = [step.result for step in steps if (step.call.method, step.call.url) == (call.method, call.url)]
    if not results:
        return Calls((call,))
    result = results[-1]
    if not result.ok:
        return Words(f"`{call.method} {call.url}` did not work: {result.reason}.")
    shown = json.dumps(result.data, ensure_ascii=False, indent=2)
    note = f"\n\nNote: {result.note}" if result.note else ""
    return Words(f"`{call.method} {call.url}` brought:\n\n```json\n{cut(shown)}\n```{note}")


def cut(text: str) -> str:
    """A text as far as it is shown."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\n... ({len(text) - SHOWN:,} characters more)"


def answer(intent: Everybody | Find | Joined | InDepartment, people: list[Employee]) -> str:
    """The answer to a question about the employees."""
    match intent:
        case Everybody():
            return listed(people, f"{len(people)} employees:")
        case Find(who):
            hits = called(who, people)
            return listed(hits, f"{len(hits)} people match. {WHICH}", f'I found nobody called "{who}".')
        case Joined(month, year):
            when = " ".join(
                part for part in (MONTHS.split()[month - 1].title() if month else "", str(year or "")) if part
            )
            hits = sorted((one for one in people if joined(one, month, year)), key=lambda one: str(one["joined"]))
            return listed(
                hits, f"{len(hits)} of {len(people)} employees joined in {when}:", f"Nobody joined in {when}."
            )
        case InDepartment(department):
            return in_department(department, people)
        case _:
            assert_never(intent)


def joined(person: Employee, month: int | None, year: int | None) -> bool:
    """Whether somebody joined then."""
    try:
        day = date.fromisoformat(str(person.get("joined")))
    except ValueError:
        return False
    return month in (None, day.month) and year in (None, day.year)


def in_department(department: str, people: list[Employee]) -> str:
    """The answer to a question about a department."""
    hits = [one for one in people if str(one.get("department") or "").casefold() == department.casefold()]
    known = sorted({str(one["department"]) for one in people if one.get("department")})
    nobody = f'Nobody is in "{department}". The departments are {", ".join(known)}.'
    return listed(hits, f"{len(hits)} of {len(people)} employees are in {department}:", nobody)


def hire(intent: Hire, steps: tuple[Step, ...]) -> Reply:
    """The reply to a request to hire somebody."""
    if len(intent.name.split()) < 2:
        return Words("I need a first and a last name, as in: hire Zoe Park as designer.")
    body = dict(renamed(intent.name)) | {"job": intent.job, "department": intent.department}
    call = Call("POST", USERS, {name: value for name, value in body.items() if value})
    return done([Task(call, "hired", intent.name)], steps)


def change(intent: Change, people: list[Employee], steps: tuple[Step, ...]) -> Reply:
    """Reads the whole employee first: PUT replaces it, so a field left out would be lost."""
    hits = called(intent.who, people)
    if len(hits) != 1:
        return Words(unclear(intent.who, hits))
    url = f"{USERS}/{hits[0]['id']}"
    read = next((step.result for step in steps if (step.call.method, step.call.url) == ("GET", url)), None)
    if read is None:
        return Calls((Call("GET", url),))
    if not (read.ok and isinstance(read.data, dict)):
        return Words(f"I could not read {bold(hits[0])}: {read.reason}.")
    body = {name: read.data[name] for name in FIELDS if name in read.data} | dict(intent.values)
    return done([Task(Call("PUT", url, body), "changed", bold(hits[0]))], steps)


def remove(intent: Remove, people: list[Employee], steps: tuple[Step, ...]) -> Reply:
    """All of them in one reply; none as long as one of the names is not clear."""
    hits = [(who, called(who, people)) for who in intent.who]
    if questions := [unclear(who, ones) for who, ones in hits if len(ones) != 1]:
        return Words("\n\n".join(questions))
    leaving = {ones[0]["id"]: ones[0] for _, ones in hits}
    return done([Task(Call("DELETE", f"{USERS}/{key}"), "removed", bold(one)) for key, one in leaving.items()], steps)


def done(tasks: list[Task], steps: tuple[Step, ...]) -> Reply:
    """Makes the calls that were not made yet; when all were, says what came of them."""
    made = {(step.call.method, step.call.url): step.result for step in steps}
    if missing := tuple(task.call for task in tasks if (task.call.method, task.call.url) not in made):
        return Calls(missing)
    return Words("\n\n".join(outcome(task, made[task.call.method, task.call.url]) for task in tasks))


def outcome(task: Task, result: Result) -> str:
    """What became of one task, in words."""
    if result.ok:
        note = f" Note: {result.note}" if result.note else ""
        row = [result.data] if isinstance(result.data, dict) and "id" in result.data else []
        return "\n\n".join([f"Done: {task.verb} {task.whom}.{note}", *([details(row[0])] if row else [])])
    head = "It is not known whether this was done" if result.outcome == "unknown" else "Not done"
    return f"{head}: {task.whom}, to be {task.verb}. The answer was: {result.reason}."


def summary(turns: list[Turn]) -> str:
    """What the calls of a conversation brought, for a request that offers no tool."""
    steps = tuple(step for turn in turns for step in turn.steps)
    people = gathered(steps).people
    rest = [step for step in steps if not (step.result.ok and rows(step.result.data))]
    lines = [f"- {step.call.method} {step.call.url}: {said(step.result)}" for step in rest]
    parts = [listed(people, f"{len(people)} employees were read:")] if people else []
    parts += ["\n".join(lines)] if lines else []
    return "\n\n".join(parts) or "I was given no tool and no results, so there is nothing to sum up."


def said(result: Result) -> str:
    """A result in a few words."""
    return f"done ({result.status})" if result.ok else result.reason


# --- words ------------------------------------------------------------------------------------------------------------


def bold(person: Employee) -> str:
    """A person's name and id, for a list."""
    return f"**{cell(name_of(person))}** (#{person['id']})"


def unclear(who: str, hits: list[Employee]) -> str:
    """The answer where a name does not mean exactly one person."""
    return listed(
        hits, f'{len(hits)} people match "{who}". {WHICH}', f'I found nobody called "{who}"; nothing was sent.'
    )


def listed(people: list[Employee], head: str, nobody: str = "There is nobody.") -> str:
    """A table under its head; one person in full; or the words for nobody."""
    if not people:
        return nobody
    if len(people) == 1:
        return details(people[0])
    lines = ["| # | Name | Job | Department | Joined |", "|---|---|---|---|---|"]
    for one in people:
        values = (one["id"], name_of(one), one.get("job"), one.get("department"), one.get("joined"))
        lines.append("| " + " | ".join(cell(value) for value in values) + " |")
    return head + "\n\n" + "\n".join(lines)


def details(person: Employee) -> str:
    """All that is known of a person, a line each."""
    rest = [(name, value) for name, value in person.items() if name not in ("id", "first_name", "last_name")]
    lines = [f"- {name.replace('_', ' ')}: {cell(value)}" for name, value in rest if value is not None]
    return "\n".join([bold(person), "", *lines])


def cell(value: Any) -> str:
    """A value for one line of Markdown; what would end a table's cell is escaped."""
    return " ".join(str("" if value is None else value).split()).replace("\\", "\\\\").replace("|", "\\|")


# --- the protocol: what a request must be -----------------------------------------------------------------------------

PARAMETERS = """
    messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
    metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier
    stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options
"""
KNOWN = frozenset(PARAMETERS.split())
ROLES = ("system", "developer", "user", "assistant", "tool")


class InvalidRequestError(Exception):
    """A request that OpenAI refuses; `param` is the place in it."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.param, self.status = message, param, status

    @property
    def answer(self) -> tuple[dict[str, Any], int]:
        """The answer to a question about the employees."""
        error = {"message": self.message, "type": "invalid_request_error", "param": self.param, "code": None}
        return {"error": error}, self.status


def require(condition: object, message: str, param: str | None = None) -> None:
    """Raises `InvalidRequestError` unless the condition holds."""
    if not condition:
        raise InvalidRequestError(message, param)


def check(body: Any) -> dict[str, Any]:
    """The request as it came, or InvalidRequestError."""
    require(isinstance(body, dict), "We could not parse the JSON body of your request: it has to be an object.")
    for name in body:
        require(name in KNOWN, f"Unrecognized request argument supplied: {name}", name)
    require(isinstance(body.get("model"), str) and body["model"], "you must provide a model parameter", "model")
    require(isinstance(body.get("stream", False), bool | None), "'stream' has to be a boolean.", "stream")
    if body.get("stream_options") is not None:
        require(body.get("stream"), "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    check_tools(body)
    check_messages(body.get("messages"))
    return dict(body)


def check_tools(body: dict[str, Any]) -> None:
    """Raises `InvalidRequestError` where the tools are not as OpenAI takes them."""
    tools = body.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            require(body.get(name) is None, f"'{name}' is only allowed when 'tools' are specified.", name)
        return
    require(isinstance(tools, list) and tools, "Invalid 'tools': has to be an array of at least one tool.", "tools")
    for i, tool in enumerate(tools):
        where = f"tools[{i}]"
        require(isinstance(tool, dict) and tool.get("type") == "function", f"Invalid type for '{where}'.", where)
        function = tool.get("function")
        require(isinstance(function, dict), f"Missing required parameter: '{where}.function'.", f"{where}.function")
        name = function.get("name")
        named = isinstance(name, str) and re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)
        require(named, f"Invalid '{where}.function.name'.", f"{where}.function.name")


def check_messages(messages: Any) -> None:
    """Raises `InvalidRequestError` where the messages are not as OpenAI takes them."""
    require(isinstance(messages, list) and messages, "Invalid 'messages': has to be a non-empty array.", "messages")
    waiting: list[str] = []  # ids of tool calls whose results have to come next, in this order
    for i, message in enumerate(messages):
        where = f"messages.[{i}]"
        require(isinstance(message, dict), f"Invalid type for '{where}': expected an object.", where)
        role = message.get("role")
        require(role in ROLES, f"Invalid value: '{role}'. Supported values are: {', '.join(ROLES)}.", f"{where}.role")
        check_content(message, where)
        if role == "tool":
            check_result(message, waiting, where)
            waiting = waiting[1:]
            continue
        check_answered(waiting, where)
        waiting = call_ids(message, where)
    check_answered(waiting, f"messages.[{len(messages) - 1}]")
    require(text_of(messages[-1]).strip(), "The last message is empty.", f"messages.[{len(messages) - 1}].content")


def check_content(message: dict[str, Any], where: str) -> None:
    """Raises `InvalidRequestError` where a message's content is not as OpenAI takes it."""
    content, param = message.get("content"), f"{where}.content"
    if content is None:
        calls = message["role"] == "assistant" and message.get("tool_calls")
        require(calls, f"Invalid value for 'content': expected a string, got null. ({param})", param)
        return
    if isinstance(content, list):
        for part in content:
            text = isinstance(part, dict) and isinstance(part.get("type"), str)
            require(text and (part["type"] != "text" or isinstance(part.get("text"), str)), "Invalid part.", param)
        return
    require(isinstance(content, str), f"Invalid type for '{param}': expected a string or an array.", param)


def check_result(message: dict[str, Any], waiting: list[str], where: str) -> None:
    """Raises `InvalidRequestError` where a tool's result does not follow its call."""
    alone = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
    require(waiting, alone, f"{where}.role")
    key = message.get("tool_call_id")
    wrong = (
        f"Invalid parameter: 'tool_call_id' of '{key}' is not the next one of 'tool_calls', which is '{waiting[0]}'."
    )
    require(key == waiting[0], wrong, f"{where}.tool_call_id")


def check_answered(waiting: list[str], where: str) -> None:
    """Raises `InvalidRequestError` where calls are left without their results."""
    message = (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(waiting)}"
    )
    require(not waiting, message, f"{where}.role")


def call_ids(message: dict[str, Any], where: str) -> list[str]:
    """The ids of an assistant message's tool calls, in order."""
    calls = message.get("tool_calls")
    if calls is None:
        return []
    where = f"{where}.tool_calls"
    require(message["role"] == "assistant", "'tool_calls' belong to the role 'assistant'.", where)
    require(isinstance(calls, list) and calls, f"Invalid '{where}': has to be a non-empty array.", where)
    for call in calls:
        require(isinstance(call, dict) and isinstance(call.get("id"), str), f"Missing '{where}.id'.", where)
        function = call.get("function")
        require(call.get("type") == "function" and isinstance(function, dict), f"Invalid '{where}'.", where)
        for name in ("name", "arguments"):
            require(isinstance(function.get(name), str), f"Invalid '{where}.function.{name}': not a string.", where)
    ids = [call["id"] for call in calls]
    require(len(set(ids)) == len(ids), f"Duplicate id in '{where}'.", where)
    return ids


# --- the protocol: what an answer is ----------------------------------------------------------------------------------


def completed(body: dict[str, Any], *, knows_hr: bool = True) -> dict[str, Any]:
    """The assistant's message for a checked request."""
    turns, tool = turns_of(body["messages"]), offered_tool(body)
    reply = Words(summary(turns)) if tool is None else reply_to(turns, knows_hr=knows_hr)
    match reply:
        case Words(text):
            return {"role": "assistant", "content": f"{CONFESSION}\n\n{text}", "refusal": None}
        case Calls(calls):
            together = calls if body.get("parallel_tool_calls") in (None, True) else calls[:1]
            return {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "tool_calls": tool_calls(together, tool or {}),
            }
        case _:
            assert_never(reply)


def offered_tool(body: dict[str, Any]) -> dict[str, Any] | None:
    """The function `call_rest_api` as the request describes it; None where it may not be called."""
    if body.get("tool_choice") == "none":
        return None
    functions = [tool["function"] for tool in body.get("tools") or []]
    return next((function for function in functions if function["name"] == TOOL), None)


def tool_calls(calls: tuple[Call, ...], tool: dict[str, Any]) -> list[dict[str, Any]]:
    """Calls as an assistant's message has them."""
    return [
        {
            "id": f"call_{secrets.token_hex(12)}",
            "type": "function",
            "function": {"name": TOOL, "arguments": json.dumps(arguments(call, tool), ensure_ascii=False)},
        }
        for call in calls
    ]


def arguments(call: Call, tool: dict[str, Any]) -> dict[str, Any]:
    """The call in the shape that the tool asks for: its body may be wanted as an object or as JSON text."""
    schema = tool.get("parameters") or {}
    types = types_in((schema.get("properties") or {}).get("body") or {})
    body: Any = call.body
    if body is not None and "string" in types and "object" not in types:
        body = json.dumps(body, ensure_ascii=False)
    found: dict[str, Any] = {"method": call.method, "url": call.url}
    return found | {"body": body} if body is not None or "body" in schema.get("required", []) else found


def types_in(schema: dict[str, Any]) -> set[str]:
    """The types that a JSON Schema allows, in whichever way it says so."""
    named = schema.get("type", [])
    types = {named} if isinstance(named, str) else set(named)
    return types.union(*(types_in(part) for part in [*schema.get("anyOf", []), *schema.get("oneOf", [])]))


def usage(body: dict[str, Any], message: dict[str, Any]) -> dict[str, int]:
    """Tokens, guessed at four characters each."""
    asked, answered = (len(json.dumps(part)) // 4 + 1 for part in (body["messages"], message))
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def finish(message: dict[str, Any]) -> str:
    """The reason why the reply ended."""
    return "tool_calls" if message.get("tool_calls") else "stop"


def deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The message in the pieces in which a stream brings it."""
    yield {"role": "assistant", "content": None if message["content"] is None else "", "refusal": None}
    for piece in re.findall(r"\S*\s*", message["content"] or "")[:-1]:
        yield {"content": piece}
    for index, call in enumerate(message.get("tool_calls", [])):
        function = call["function"]
        yield {"tool_calls": [{"index": index, **call, "function": {"name": function["name"], "arguments": ""}}]}
        for piece in re.findall(r".{1,12}", function["arguments"], re.DOTALL):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def chunks(head: dict[str, Any], body: dict[str, Any], message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a streamed reply."""
    head = head | {"object": "chat.completion.chunk"}
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    each = head | {"usage": None} if with_usage else head
    for delta in deltas(message):
        yield each | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
    yield each | {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish(message)}]}
    if with_usage:
        yield head | {"choices": [], "usage": usage(body, message)}


# --- serving ----------------------------------------------------------------------------------------------------------


def create_model(pause: float = 0.0, log: list[dict[str, Any]] | None = None, *, knows_hr: bool = True) -> Flask:
    """The application. `pause`: seconds between two pieces of a stream, less where there are many. Every checked request is appended to
    `log`. `knows_hr`: the API is the sample one; of another it makes the calls that are spelled out."""
    app = Flask(__name__)
    requests = log if log is not None else []

    @app.errorhandler(InvalidRequestError)
    def refuse(error: InvalidRequestError) -> tuple[dict[str, Any], int]:
        return error.answer

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> tuple[dict[str, Any], int]:
        return InvalidRequestError(error.description or "", status=error.code or 500).answer

    @app.before_request
    def authenticate() -> None:
        if not re.fullmatch(r"Bearer \S+", request.headers.get("Authorization", "")):
            raise InvalidRequestError("You didn't provide an API key.", status=401)

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        model = {"id": "scripted", "object": "model", "created": 0, "owned_by": "workspace"}
        return {"object": "list", "data": [model]}

    @app.post("/v1/chat/completions")
    def chat_completions() -> Response | dict[str, Any]:
        body = check(request.get_json(force=True, silent=True))
        requests.append(body)
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body["model"]}
        message = completed(body, knows_hr=knows_hr)
        if body.get("stream"):
            return Response(events(chunks(head, body, message), pause), content_type="text/event-stream")
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish(message)}
        return head | {"object": "chat.completion", "choices": [choice], "usage": usage(body, message)}

    return app


def is_word(part: dict[str, Any]) -> bool:
    """Whether a piece brings words that people see."""
    return any(choice["delta"].get("content") for choice in part["choices"])


def events(parts: Iterable[dict[str, Any]], pause: float) -> Iterator[str]:
    """The stream's text. Between words there is a pause, for who watches; nobody watches a call's arguments."""
    parts = list(parts)
    words = sum(is_word(part) for part in parts)
    for part in parts:
        yield f"data: {json.dumps(part, ensure_ascii=False)}\n\n"
        time.sleep(min(pause, SECONDS / words) if is_word(part) else 0)
    yield "data: [DONE]\n\n"


class ScriptedModel(LocalServer):
    """The scripted model on a loopback port, and what it was asked (`requests`: the JSON of each, in order)."""

    def __init__(self, port: int = 0, pause: float = 0.0, *, knows_hr: bool = True) -> None:
        self.requests: list[dict[str, Any]] = []
        super().__init__(create_model(pause, self.requests, knows_hr=knows_hr), port)

    @property
    def base_url(self) -> str:
        """What belongs into OPENAI_BASE_URL."""
        return f"{self.url}/v1"
