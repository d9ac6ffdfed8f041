"""What the scripted model does next: the calls that an intent needs, or an answer made of what was read."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, assert_never

from demo.conversation import Call, Result, Step, Turn
from demo.hr_api import FIELDS, Employee
from demo.intents import (
    MONTHS,
    Asked,
    Change,
    Everybody,
    Find,
    Help,
    Hire,
    InDepartment,
    Intent,
    Joined,
    Remove,
    Spelled,
    Unknown,
    cleaned,
    renamed,
    several,
    understood,
)

USERS = "/api/users"
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
PAGES_AT_ONCE = 10  # in one reply; a directory of hundreds of pages is read in several


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
    note = f"\n\nNote: {result.note}" if result.note else ""
    if result.data is None:
        return Words(f"`{call.method} {call.url}` is {said(result)}.{note}")
    shown = json.dumps(result.data, ensure_ascii=False, indent=2)
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
    return f"{head}: {task.whom}, to be {task.verb}. Outcome: {result.reason}."


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
