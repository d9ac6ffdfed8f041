"""What was read under one person's right stays with that person: another one's model sees nothing of it but what was posted."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from base.thread import Thread
from catalog.catalog import load_catalog
from model.chat import ModelFailed
from model.messages import Message, to_messages
from model.refusals import Failure
from store.store import Store
from store.tables import MIGRATIONS, SERIAL
from store.transcript import AssistantMessage, Item, Result, ToolCall, Usage, UserMessage, visible_to
from store.turns import ReplyOutcome
from tests.harness.bot_parts import ANN, BEN, BotParts, calls, check_request, says, tool_results
from tests.harness.databases import ENGINES, fresh_database, looking_into, rows
from tests.harness.rest_server import RestServer, Seen, reply
from tests.harness.whole_bot import Person, StartBot, Talk, Told
from tests.harness.whole_bot import Script as BotScript
from tests.harness.whole_bot import calls as house_calls
from tests.harness.whole_bot import says as house_says

CATALOG = """
name: HR
base_url: {base}
endpoints:
  - {{method: GET, url: "/users?about=[about]", description: Lists.}}
  - {{method: GET, url: "/payroll/[id]", description: Needs somebody., approval: always}}
  - {{method: GET, url: "/reviews/[id]", description: Needs somebody else., approval: {{approvers: [U0BEN], not_asker: true}}}}
  - {{method: GET, url: "/plans/[id]", description: Needs somebody., approval: {{shared: true}}}}
  - {{method: GET, url: "/deals/[id]", description: Needs somebody., approval: [{{shared: true}}, {{approvers: [asker]}}]}}
  - {{method: POST, url: /users, description: Adds.}}
  - {{method: POST, url: /notes, description: Needs nobody., approval: never}}
  - {{method: PATCH, url: "/users/[id]", description: Changes., preview: false, approval: {{batch: true}}}}
  - {{method: DELETE, url: "/users/[id]", description: Removes., preview: false}}
recipes:
  - workflowId: pay-of
    description: Tells what somebody earns.
    inputs: {{type: object, required: [name], properties: {{name: {{type: string}}}}}}
    steps:
      - {{stepId: find, operation: GET /users, parameters: {{about: $inputs.name}}, outputs: {{id: "$response.body#/seen"}}}}
      - {{stepId: pay, operation: "GET /payroll/[id]", parameters: {{id: $steps.find.outputs.id}}}}
  - workflowId: plan-of
    description: Tells somebody's plan.
    inputs: {{type: object, properties: {{name: {{type: string}}}}}}
    steps:
      - {{stepId: plan, operation: "GET /plans/[id]", parameters: {{id: "7"}}}}
  - workflowId: list
    description: Lists.
    steps:
      - {{stepId: all, operation: GET /users}}
"""
SECRET = "90417"  # what only Ann may know
PAY = ("GET", "/payroll/7")
OPEN = ("GET", "/users")
R1 = {"result": "r1"}


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer() as server:
        server.always(answer)
        yield server


def answer(seen: Seen) -> list[bytes]:
    """What stands behind a click holds the secret; all else says what was asked."""
    is_open = seen.target.startswith(("/users", "/notes")) and seen.method in ("GET", "POST")
    return [reply(json.dumps({"seen": "7"} if is_open else {"salary": SECRET, "of": seen.target}))]


Make = Callable[..., BotParts]


@pytest.fixture
def make(tmp_path: Path, server: RestServer) -> Iterator[Make]:
    """The bot on one database; made again, it is as after a restart."""
    made: list[BotParts] = []

    def make(catalog: str = CATALOG, **options: Any) -> BotParts:
        one = BotParts(tmp_path, catalog.format(base=server.url), timeout=60, **options)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def parts(make: Make) -> BotParts:
    return make()


def approve(parts: BotParts, thread: str, by: str | None = None) -> None:
    """Lets the thread go on until it rests, and approves whatever waits."""
    while waiting := parts.pending():
        for one in waiting:
            parts.press(one, by=by)
        parts.advance(thread)


def opened(parts: BotParts, *lines: object, by: str = ANN, thread: str | None = None) -> str:
    """A turn in which the model says `lines`, and what waits is approved."""
    parts.replies.will(*lines)
    key = parts.ask("What does Bob earn?", by=by, thread=thread)
    approve(parts, key)
    return key


def seen_by(parts: BotParts, who: str, thread: str) -> list[Message]:
    """The first request of a turn of `who`, which the model answers at once."""
    before = len(parts.replies.asked)
    parts.ask(f"And now, asks {who}?", by=who, thread=thread)
    return parts.replies.asked[before]


def as_text(messages: Sequence[Message]) -> str:
    return json.dumps(messages)


def urls(messages: Sequence[Message]) -> list[str]:
    """Of the calls in a request, what was called."""
    made = [call for message in messages for call in message.get("tool_calls", ())]
    return [json.loads(call["function"]["arguments"]).get("url") for call in made]


# --- one person's alone -----------------------------------------------------------------------------------------------


def test_what_an_approval_opened_is_there_for_its_askers_turns_alone_and_what_was_posted_for_everybody(
    parts: BotParts,
) -> None:
    thread = opened(parts, calls(PAY), says("It is on the slip."))
    bens = seen_by(parts, BEN, thread)
    assert SECRET not in as_text(bens)
    assert urls(bens) == []
    said = [(one["role"], one["content"]) for one in bens[1:3]]
    assert said == [("user", "What does Bob earn?"), ("assistant", "It is on the slip.")]
    anns = seen_by(parts, ANN, thread)
    assert urls(anns) == ["/payroll/7"]
    assert [one["data"]["salary"] for one in tool_results(anns)] == [SECRET]


def test_what_the_policy_sent_is_there_for_everybody(parts: BotParts) -> None:
    thread = opened(parts, calls(("POST", "/notes", "{}")), says("It is noted."))
    bens = seen_by(parts, BEN, thread)
    assert urls(bens) == ["/notes"]
    assert [one["data"] for one in tool_results(bens)] == [{"seen": "7"}]


def test_the_taint_stays_with_the_thread(parts: BotParts) -> None:
    thread = opened(parts, calls(PAY), says("It is on the slip."))
    parts.replies.will(calls(("POST", "/users", "{}")))
    parts.ask("add him", by=BEN, thread=thread)
    assert [(one.method, one.tainted) for one in parts.pending()] == [("POST", True)]


def test_who_approved_it_for_somebody_else_sees_the_card_and_no_more(parts: BotParts) -> None:
    parts.replies.will(calls(("GET", "/reviews/7")), says("It is on the slip."))
    thread = parts.ask("How is Bob?")
    approve(parts, thread, by=BEN)
    assert SECRET in as_text(parts.replies.asked[-1])
    assert SECRET not in as_text(seen_by(parts, BEN, thread))


def test_the_answer_to_an_approved_write_is_its_askers_too(parts: BotParts) -> None:
    thread = opened(parts, calls(("DELETE", "/users/7"), ("PATCH", "/users/7", "{}")), says("Done."))
    assert as_text(seen_by(parts, ANN, thread)).count(SECRET) == 2
    assert SECRET not in as_text(seen_by(parts, BEN, thread))


def test_a_set_approved_at_once_is_its_askers(parts: BotParts) -> None:
    parts.replies.will(calls(("PATCH", "/users/7", "{}"), OPEN, ("PATCH", "/users/8", "{}")), says("Both done."))
    thread = parts.ask()
    (batch,) = {one.batch for one in parts.pending()}
    assert batch is not None
    parts.gate.decide_all(batch, by=ANN, at=parts.clock(), arrival=0)
    parts.advance(thread)
    assert urls(seen_by(parts, BEN, thread)) == ["/users"]
    assert as_text(seen_by(parts, ANN, thread)).count(SECRET) == 2


def test_a_recipe_whose_last_step_was_approved_is_its_askers(parts: BotParts) -> None:
    thread = opened(
        parts, calls({"method": "RUN", "url": "pay-of", "body": {"name": "Bob"}}), says("It is on the slip.")
    )
    assert SECRET in as_text(seen_by(parts, ANN, thread))
    bens = as_text(seen_by(parts, BEN, thread))
    assert SECRET not in bens
    assert "pay-of" not in bens.partition("And now")[0].partition('"role": "user"')[2]


@pytest.mark.parametrize("decision", ["deny", "expire"])
def test_a_request_that_nobody_approved_is_its_askers(parts: BotParts, decision: str) -> None:
    parts.replies.will(calls(PAY), says("Well."))
    thread = parts.ask()
    if decision == "deny":
        parts.press(parts.pending()[0], "deny")
    else:
        parts.clock.ahead = 4_000  # type: ignore[attr-defined]
        parts.gate.expire_due()
    parts.advance(thread)
    assert urls(seen_by(parts, BEN, thread)) == []
    assert urls(seen_by(parts, ANN, thread)) == ["/payroll/7"]


@pytest.mark.parametrize(
    "failure", [ModelFailed(Failure.REFUSED, "x"), RuntimeError("y"), {}], ids=["no model", "a fault", "no reply"]
)
def test_what_was_read_before_a_turn_failed_is_its_askers(parts: BotParts, failure: object) -> None:
    thread = opened(parts, calls(PAY, OPEN), failure)
    bens = seen_by(parts, BEN, thread)
    assert (SECRET in as_text(bens), urls(bens)) == (False, ["/users"])
    assert SECRET in as_text(seen_by(parts, ANN, thread))


def test_a_call_of_a_turn_that_broke_off_before_its_decision_is_its_askers(parts: BotParts) -> None:
    parts.replies.will(calls(PAY, OPEN))
    thread = parts.ask()
    (turn,) = {one.turn for one in parts.pending()}
    parts.store.stop_turn(parts.store.turn(turn), ANN)  # type: ignore[arg-type]
    parts.advance(thread)
    assert urls(seen_by(parts, BEN, thread)) == ["/users"]


def test_a_call_that_was_left_without_a_result_is_its_askers(parts: BotParts) -> None:
    turn = parts.begin()
    made = AssistantMessage("", (ToolCall("c", "call_rest_api", '{"url": "/payroll/7"}'),))
    begun = parts.store.begin_turn(turn, "please", ())
    parts.store.add_round(begun, ReplyOutcome(made, Usage()))
    parts.store.end_turn(begun, (), last_words=AssistantMessage("I had to stop."), usage=None, failed=True)
    assert urls(seen_by(parts, BEN, turn.thread)) == []
    assert urls(seen_by(parts, ANN, turn.thread)) == ["/payroll/7"]


# --- within a reply ---------------------------------------------------------------------------------------------------


def test_of_a_reply_only_the_call_that_was_opened_is_withheld_with_the_words_beside_it(parts: BotParts) -> None:
    mixed = calls(("GET", "/users?about=a"), PAY, ("GET", "/users?about=b"), text="I look at Bob's pay first.")
    thread = opened(parts, mixed, says("It is on the slip."))
    bens = seen_by(parts, BEN, thread)
    assert urls(bens) == ["/users?about=a", "/users?about=b"]
    assert [one["data"] for one in tool_results(bens)] == [{"seen": "7"}, {"seen": "7"}]
    assert "I look at" not in as_text(bens)
    anns = seen_by(parts, ANN, thread)
    assert urls(anns) == ["/users?about=a", "/payroll/7", "/users?about=b"]
    assert [one["content"] for one in anns if one.get("tool_calls")] == ["I look at Bob's pay first."]


def test_what_the_model_wrote_with_it_in_view_is_withheld_too(parts: BotParts) -> None:
    """It may repeat what it had read: in the words beside a call, and in the call."""
    about = ("GET", f"/users?about={SECRET}")
    lines = (
        calls(PAY),
        calls(about, text=f"So {SECRET} it is."),
        calls(("POST", "/notes", f'{{"n":{SECRET}}}')),
        says("Noted."),
    )
    thread = opened(parts, *lines)
    parts.replies.will(calls(about), says("Nobody else."))
    parts.ask("Who else earns that?", thread=thread)  # a later turn of hers
    assert as_text(seen_by(parts, ANN, thread)).count(f"about={SECRET}") == 2
    bens = seen_by(parts, BEN, thread)
    assert (SECRET in as_text(bens), urls(bens)) == (False, [])
    assert [one["content"] for one in bens if one["role"] == "assistant"] == ["Noted.", "Nobody else.", "Done."]


def test_what_was_read_before_it_is_not_withheld(parts: BotParts) -> None:
    thread = opened(parts, calls(OPEN), calls(PAY), says("It is on the slip."))
    assert urls(seen_by(parts, BEN, thread)) == ["/users"]


# --- shared -----------------------------------------------------------------------------------------------------------


def test_what_a_rule_shares_is_there_for_everybody(parts: BotParts) -> None:
    thread = opened(parts, calls(("GET", "/plans/7")), says("It is in the plan."))
    assert SECRET in as_text(seen_by(parts, BEN, thread))


def test_of_two_rules_that_are_as_strict_the_one_that_does_not_share_holds(parts: BotParts) -> None:
    thread = opened(parts, calls(("GET", "/deals/7"), ("GET", "/plans/7")), says("A deal and a plan."))
    assert urls(seen_by(parts, BEN, thread)) == ["/plans/7"]


def test_what_is_shared_stays_shared_behind_what_is_not(parts: BotParts) -> None:
    """All of such a call stands on its card, which everybody saw; the words beside it do not."""
    thread = opened(parts, calls(PAY), says("It is on the slip."))
    opened(
        parts, calls(("GET", "/plans/7"), text=f"After {SECRET} the plan."), says("It is in the plan."), thread=thread
    )
    bens = seen_by(parts, BEN, thread)
    assert urls(bens) == ["/plans/7"]
    assert "the plan" not in as_text([one for one in bens if one.get("tool_calls")])


def test_what_a_recipe_was_given_is_withheld_though_its_last_step_is_shared(parts: BotParts) -> None:
    """The card shows the step, not the inputs."""
    plan = calls({"method": "RUN", "url": "plan-of", "body": {"name": f"who gets {SECRET}"}})
    assert urls(seen_by(parts, BEN, opened(parts, plan, says("It is in the plan.")))) == ["plan-of"]
    thread = opened(parts, calls(PAY), plan, says("It is in the plan."))
    bens = seen_by(parts, BEN, thread)
    assert (SECRET in as_text(bens), urls(bens)) == (False, [])


def test_a_rule_that_came_to_share_less_before_the_click_holds(make: Make, server: RestServer) -> None:
    parts = make()
    parts.replies.will(calls(("GET", "/plans/7")), says("It is in the plan."))
    thread = parts.ask()
    parts.gate.use(
        load_catalog(CATALOG.replace("approval: {{shared: true}}", "approval: always").format(base=server.url), {})
    )
    approve(parts, thread)
    assert SECRET in as_text(seen_by(parts, ANN, thread))
    assert SECRET not in as_text(seen_by(parts, BEN, thread))


# --- saved results ----------------------------------------------------------------------------------------------------


def more(**arguments: object) -> object:
    return calls(arguments, tool="read_result")


@pytest.fixture
def large(server: RestServer) -> None:
    """Every answer is too large for the model, and holds the secret at its end."""
    server.always(reply(json.dumps([*range(8_000), SECRET])))


def ask_more(parts: BotParts, who: str, thread: str, result: str = "r1") -> str:
    """What `read_result` gives in a turn of `who`: its last item, or the words for why not."""
    parts.replies.will(more(result=result, select="[-1]"))
    parts.ask("more", by=who, thread=thread)
    found = tool_results(parts.replies.asked[-1])[-1]
    return str(found.get("data", found.get("error")))


@pytest.mark.usefixtures("large")
def test_a_kept_answer_that_was_opened_or_made_with_it_in_view_is_its_askers_and_unknown_to_others(
    parts: BotParts,
) -> None:
    a_recipe = {"method": "RUN", "url": "list"}
    thread = opened(parts, calls(PAY), calls(OPEN), calls(a_recipe), says("It is long."))
    for name in ("r1", "r2", "r3"):
        assert ask_more(parts, ANN, thread, name) == SECRET, name
    for name in ("r1", "r2", "r3", "r9"):
        told = ask_more(parts, BEN, thread, name)
        assert told == f"{name} was not kept, or is no longer kept. Make the call again that gave it."


@pytest.mark.usefixtures("large")
def test_a_kept_answer_that_is_nobodys_own_is_everybodys(parts: BotParts) -> None:
    thread = opened(parts, calls(OPEN), calls(("GET", "/plans/7")), says("It is long."))
    for name in ("r1", "r2"):  # one that is open, and one that is shared
        assert ask_more(parts, BEN, thread, name) == SECRET, name


# --- prefixes ---------------------------------------------------------------------------------------------------------


def begins_with(later: Sequence[Message], earlier: Sequence[Message]) -> bool:
    return json.dumps(later).startswith(json.dumps(earlier).removesuffix("]"))


@pytest.mark.parametrize("budget", [4_000, 100], ids=["all operations", "a map and what is likely"])
def test_each_askers_requests_repeat_their_own_beginning_to_the_byte(make: Make, budget: int) -> None:
    """Model servers cache by it. They take turns, with restarts, approvals and mixed replies between."""
    asked: dict[str, list[list[Message]]] = {ANN: [], BEN: []}
    thread: str | None = None
    for number in range(2):
        for who in (ANN, BEN):
            parts = make(prompt_budget=budget)
            mixed = calls(("GET", f"/users?about={number}"), PAY, text="Both.")
            parts.replies.will(
                calls(OPEN), mixed, calls(("GET", f"/users?about=more{number}")), says(f"Answer {number} to {who}")
            )
            thread = parts.ask(f"Question {number}", by=who, thread=thread)
            approve(parts, thread)
            asked[who] += parts.replies.asked
    for who, requests in asked.items():
        assert len(requests) == 8
        for earlier, later in itertools.pairwise(requests):
            assert begins_with(later, earlier), who
    assert asked[ANN][-1][0] == asked[BEN][-1][0]  # the system message


def test_a_trimmed_history_is_still_one_that_servers_take_and_holds_nothing_of_others(make: Make) -> None:
    parts = make(history_tokens=400)
    thread = None
    for _ in range(4):
        thread = opened(parts, calls(OPEN, PAY, OPEN), says("word " * 100), thread=thread)
        assert SECRET not in as_text(seen_by(parts, BEN, thread))  # each request was checked by the model


# --- rows from before -------------------------------------------------------------------------------------------------


def before_it() -> int:
    """How many migrations an older bot had."""
    return next(number for number, one in enumerate(MIGRATIONS) if any("only_for" in statement for statement in one))


class Old:
    """A database as an older bot left it, written by hand."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.url = fresh_database(engine, folder)
        with looking_into(self.url) as database, database.begin() as db:
            db.execute(text("create table migrations (number integer primary key)"))
            for number, statements in enumerate(MIGRATIONS[: before_it()], start=1):
                for statement in statements:
                    db.execute(text(statement.format(serial=SERIAL[engine])))
                db.execute(text("insert into migrations values (:number)"), {"number": number})

    def add(self, statement: str, **values: object) -> None:
        with looking_into(self.url) as engine, engine.begin() as db:
            db.execute(text(statement), values)

    def turn(self, number: int, thread: str, asker: str, at: float) -> None:
        """A turn with a call, its result and an answer."""
        self.add(
            """insert into turns (turn, inbox, thread, asker, text, ts, state, model_calls, prompt_tokens, completion_tokens, created_at)
               values (:turn, :inbox, :thread, :asker, 'q', '1', 'done', 1, 1, 1, 1)""",
            turn=f"t{number}", inbox=number, thread=thread, asker=asker,
        )  # fmt: skip
        called = {"text": "beside", "calls": [["c", "call_rest_api", "{}", ""]]}
        self._item(number, thread, at, "said", json.dumps({"text": "q", "by": asker}))
        self._item(number, thread, at, "replied", json.dumps(called))
        reply = max(row["id"] for row in rows(self.url, "transcript"))
        self._item(number, thread, at, "result", f'"of {asker}"', reply, 0)
        self._item(number, thread, at, "replied", json.dumps({"text": f"answer {number}", "calls": []}))

    def _item(
        self, turn: int, thread: str, at: float, kind: str, content: str, reply: object = None, call: object = None
    ) -> None:
        columns = {
            "thread": thread,
            "turn": f"t{turn}",
            "kind": kind,
            "content": content,
            "reply": reply,
            "call": call,
            "at": at,
        }
        names = ", ".join(f":{name}" for name in columns)
        self.add(f"insert into transcript ({', '.join(columns)}) values ({names})", **columns)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_from_before_count_as_their_askers(engine: str, tmp_path: Path) -> None:
    old, thread = Old(engine, tmp_path), Thread("T0LOCAL", "C0HR", "1.1").key
    old.add("insert into threads values (:thread, 'T', 'C', '1.1', 1, 1, 3)", thread=thread)
    for number, asker in enumerate((ANN, BEN), start=1):
        old.turn(number, thread, asker, at=number * 10 + 5)
    for number in (1, 2, 3):
        old.add(
            "insert into results values (:thread, :number, :data, 3, :at)",
            thread=thread,
            number=number,
            data=f"[{number}]",
            at=number * 10,
        )
    store = Store(old.url, lambda: 40.0, journal_key="k")
    for asker, other, number in ((ANN, BEN, 1), (BEN, ANN, 2)):
        seen = store.transcript(thread, asker)
        assert [one.content for one in seen if isinstance(one, Result)] == [f'"of {asker}"']
        assert [one.text for one in seen if isinstance(one, AssistantMessage) and not one.calls] == [
            "answer 1",
            "answer 2",
        ]
        assert (store.kept(thread, number, asker), store.kept(thread, number, other)) == ((f"[{number}]", ""), None)
        assert store.kept(thread, 3, asker) is None  # nobody knows whose it is
    store.close()


def test_whose_it_is_stands_in_a_column(parts: BotParts) -> None:
    opened(parts, calls(OPEN, PAY), says("Done."))
    found = [(row["kind"], row["call"], row["only_for"]) for row in rows(parts.url, "transcript")]
    assert [one for one in found if one[0] == "result"] == [("result", 0, ""), ("result", 1, ANN)]
    assert [one for one in found if one[0] != "result"] == [
        (kind, None, "") for kind in ("noted", "said", "replied", "replied")
    ]
    assert [row["only_for"] for row in rows(parts.url, "proposals")] == [ANN]


# --- of any transcript ------------------------------------------------------------------------------------------------


@st.composite
def transcripts(draw: st.DrawFn) -> list[Item]:
    """Turns of several people; each text says whose alone it is, "all" where it is nobody's."""
    items: list[Item] = []
    row = 0
    owners = st.sampled_from(["", "ann", "ben"])
    for number in range(draw(st.integers(1, 4))):
        items.append(UserMessage(f"all: question {number}", draw(st.sampled_from(["ann", "ben", "eve"]))))
        for _ in range(draw(st.integers(0, 3))):
            row += 1
            owner = draw(owners)
            of_calls = [owner or draw(owners) for _ in range(draw(st.integers(1, 4)))]
            beside = next((one for one in of_calls if one), owner) or "all"
            made = tuple(ToolCall(f"c{i}", "x", json.dumps({"of": one or "all"})) for i, one in enumerate(of_calls))
            items.append(AssistantMessage(f"{beside}: beside", made, row, owner))
            items += [Result(row, i, f"{one or 'all'}: result {row}.{i}", one) for i, one in enumerate(of_calls)]
        row += 1
        items.append(AssistantMessage(f"all: answer {number}", (), row))
    return items


def owners_of(messages: Sequence[Message]) -> set[str]:
    """Whose texts stand in a request."""
    said = {str(one["content"]).partition(":")[0] for one in messages[1:] if one["content"]}
    return said | {
        json.loads(call["function"]["arguments"])["of"] for one in messages for call in one.get("tool_calls", ())
    }


@settings(max_examples=50, deadline=None)
@given(items=transcripts(), who=st.sampled_from(["ann", "ben", "eve"]))
def test_whoever_asks_gets_a_transcript_that_servers_take_with_nothing_of_others(items: list[Item], who: str) -> None:
    messages = to_messages(visible_to(items, who), system="s", budget=60_000)
    check_request(messages)
    assert owners_of(messages) <= {"all", who}
    results = [one.content for one in items if isinstance(one, Result) and one.only_for in ("", who)]
    assert [one["content"] for one in messages if one["role"] == "tool"] == results
    answers = [one.text for one in items if isinstance(one, AssistantMessage) and not one.calls]
    assert [one["content"] for one in messages if one["role"] == "assistant" and not one.get("tool_calls")] == answers


@settings(max_examples=30, deadline=None)
@given(items=transcripts(), who=st.sampled_from(["ann", "ben", "eve"]), data=st.data())
def test_what_comes_later_changes_nothing_of_what_was_there(items: list[Item], who: str, data: st.DataObject) -> None:
    answers = [at for at, one in enumerate(items) if isinstance(one, AssistantMessage) and not one.calls]
    end = data.draw(st.sampled_from(answers)) + 1
    assert visible_to(items, who)[: len(visible_to(items[:end], who))] == visible_to(items[:end], who)


# --- by the front door ------------------------------------------------------------------------------------------------


def test_by_the_front_door_two_people_in_a_thread(
    start_bot: StartBot, api: Any, model: BotScript, ann: Person, ben: Person
) -> None:
    text_ = CATALOG.format(base=api.url)
    start_bot(catalog=text_)
    api.will(Told(body={"salary": SECRET}))
    model.will(house_calls(PAY), house_says("It is on the slip."))
    talk: Talk = ann.asks("what does Bob earn?")
    ann.presses(talk.card(), "approve")
    assert talk.answer() == "It is on the slip."
    model.will(house_says("I don't know."))
    ben.replies(talk, "what did she read?")
    assert talk.answer(2) == "I don't know."
    assert SECRET not in as_text(model.asked[-1])
    ann.replies(talk, "what was it?")
    assert talk.answer(3) == "Done."
    assert SECRET in as_text(model.asked[-1])
