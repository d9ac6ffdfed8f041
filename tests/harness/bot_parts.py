"""The bot's inside without Slack: a store on a file, a gate over real HTTP, the AI of a thread; the model is a list of replies.

`check_request` holds every request to a model to what OpenAI's servers demand.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ai import AI, Services, TurnLimits
from base.thread import Thread
from catalog.calls import resolve
from catalog.catalog import Catalog
from gate.answers import Answer, Shown, found_of
from gate.authority import Authority, PeopleDirectory
from gate.gate import Gate, GateOptions
from gate.policy import Read, State, Write, sort
from gate.results import result
from gate.sending import Approval
from identity.identities import Identities
from model.chat import Model, ReplyListener
from model.messages import Message
from model.model_calls import ModelCalls
from slack_io.assistant_status import LASTS, AssistantStatus
from slack_io.streaming import StreamedMessages
from slack_io.thread_context import ThreadReader
from slack_io.web_api import SlackWeb
from store.admission import Admission
from store.posts import Post
from store.proposal_record import Proposal
from store.store import Store
from store.transcript import AssistantMessage, Result, ToolCall, Usage, UserMessage
from store.turns import ReplyOutcome, Turn
from tests.harness.catalogs import loaded
from tests.harness.databases import begun, opened_before, whole_database
from tests.harness.stores import Hears, a_mention
from tests.harness.whole_bot import parts_of
from workers.cancel_flag import CancelFlag
from workers.waits import Waits
from workers.waking import Waking

Json = dict[str, Any]
NOBODY = "http://127.0.0.1:9/api/"  # where no Slack answers: a question counts as it was recorded
ANN, BEN = "U0ANN", "U0BEN"
QUIET: dict[Admission, Sequence[Post]] = {"taken": [], "too many": [], "too many of theirs": []}
_numbers = itertools.count(1)

USERS = """
name: HR
base_url: {base}
instructions: Be kind.
endpoints:
  - {{method: GET, url: "/users?page=[page]", description: Lists.}}
  - {{method: HEAD, url: /users, description: Counts.}}
  - {{method: GET, url: "/users/[id]", description: Shows.}}
  - {{method: POST, url: /users, description: Adds.}}
  - {{method: POST, url: /open, description: Needs nobody., approval: never}}
  - {{method: POST, url: /shut, description: Needs somebody., approval: always}}
  - {{method: GET, url: /payroll, description: Needs somebody., approval: always}}
  - {{method: PUT, url: "/users/[id]", description: Replaces., preview: false}}
  - {{method: PATCH, url: "/users/[id]", description: Changes., preview: false}}
  - {{method: DELETE, url: "/users/[id]", description: Removes., preview: false}}
"""


class Clock:
    """The real time, and what was added to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


# --- the model --------------------------------------------------------------------------------------------------------

Line = object  # a reply's JSON, an exception to raise, or a function from the messages to either


class Replies:
    """A model that says its lines in order, then "Done."; each request is checked and kept."""

    def __init__(self, *lines: Line) -> None:
        self.lines: deque[Line] = deque(lines)
        self.asked: list[list[Message]] = []
        self.tools: list[list[Json]] = []
        self.lasts: list[bool] = []

    def will(self, *lines: Line) -> None:
        self.lines.extend(lines)

    def complete(
        self, messages: Sequence[Message], tools: Sequence[Json], ear: ReplyListener, *, is_last: bool = False
    ) -> object:
        check_request(messages)
        self.asked.append(copy.deepcopy(list(messages)))
        self.tools.append(list(tools))
        self.lasts.append(is_last)
        line = self.lines.popleft() if self.lines else says("Done.")
        line = line(messages) if callable(line) and not isinstance(line, BaseException) else line
        if isinstance(line, BaseException):
            raise line
        return line


def says(text: object, **more: object) -> Json:
    """A reply in words; `more` goes beside the content."""
    return completion({"role": "assistant", "content": text, **more})


def calls(
    *arguments: object, text: object = None, ids: Sequence[object] | None = None, tool: str = "call_rest_api"
) -> Json:
    """A reply with one call per `arguments`: a tuple (method, url, body...) or the raw arguments as a server gives them."""
    made = [
        {
            "id": ids[i] if ids is not None else f"call_{next(_numbers)}",
            "type": "function",
            "function": {"name": tool, "arguments": _arguments(one)},
        }
        for i, one in enumerate(arguments)
    ]
    return completion({"role": "assistant", "content": text, "tool_calls": made}, "tool_calls")


def completion(message: object, ending: object = "stop") -> Json:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": ending}], "usage": usage}


def _arguments(one: object) -> object:
    if not isinstance(one, tuple):
        return one
    named = dict(zip(("method", "url", "body"), one, strict=False))
    return json.dumps(named)


def check_request(messages: Sequence[Message]) -> None:
    """What OpenAI's servers demand of a request's messages; other servers demand less."""
    assert [m["role"] for m in messages].count("system") == 1
    assert messages[0]["role"] == "system"
    json.dumps(list(messages), ensure_ascii=False, allow_nan=False).encode()  # as the client sends it
    neighbours = [(one["role"], two["role"]) for one, two in pairwise(messages)]
    assert ("user", "user") not in neighbours, "Mistral: roles have to alternate"
    assert len(messages) == 1 or messages[1]["role"] == "user"
    at = 1
    while at < len(messages):
        message = messages[at]
        at += 1
        match message["role"]:
            case "user":
                assert isinstance(message["content"], str)
            case "assistant" if "tool_calls" in message:
                at = _check_calls(messages, at, message["tool_calls"])
            case "assistant":
                assert isinstance(message["content"], str)
            case role:
                raise AssertionError(f"a {role} message stands at {at - 1} without its call")


def _check_calls(messages: Sequence[Message], at: int, made: Sequence[Json]) -> int:
    assert made
    ids = [call["id"] for call in made]
    assert len(set(ids)) == len(ids), "two calls of one reply share an id"
    for call in made:
        assert isinstance(call["id"], str)
        assert 1 <= len(call["id"]) <= 64, "longer than any server's own ids (vLLM's have 46 characters)"
        assert call["type"] == "function"
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call["function"]["name"]), "OpenAI: does not match pattern"
        assert isinstance(json.loads(call["function"]["arguments"], parse_constant=_refuse), dict)
    for call_id in ids:
        assert messages[at]["role"] == "tool"
        assert messages[at]["tool_call_id"] == call_id
        assert isinstance(messages[at]["content"], str)
        at += 1
    return at


def _refuse(name: str) -> object:
    raise AssertionError(f"{name} is no JSON")


def strict(text: str) -> Any:
    """JSON as every parser reads it: no NaN, no lone surrogate."""
    text.encode()
    return json.loads(text, parse_constant=_refuse)


def tool_results(messages: Sequence[Message]) -> list[Json]:
    """The tools' results in a request."""
    return [strict(message["content"]) for message in messages if message["role"] == "tool"]


def user_words(messages: Sequence[Message]) -> list[str]:
    return [parts_of(message["content"])[-1] for message in messages if message["role"] == "user"]


# --- the bot's inside -------------------------------------------------------------------------------------------------


class RecordingStatus(AssistantStatus):
    """What would stand beside a thread's messages: all that was to be shown, in order."""

    def __init__(self, web: SlackWeb, waking: Waking) -> None:
        super().__init__(web, waking)
        self.texts: list[str] = []

    def status(self, thread: str, text: str, *, after: float = LASTS) -> None:
        self.texts.append(text)
        super().status(thread, text, after=after)


class SilentDirectory:
    """A directory that never says anything: what nobody can look up lets nobody through."""

    def group_id(self, handle: str, *, insists: bool = False) -> str | None:
        return None

    def in_group(self, group: str, user: str, *, kept: float = 5, spare: int = 0) -> bool | None:
        return None

    def in_channel(self, channel: str, user: str, *, kept: float = 5, spare: int = 0) -> bool | None:
        return None

    def is_outsider(self, user: str) -> bool | None:
        return None

    def email_domain(self, user: str) -> str | None:
        return None

    def channel_name(self, channel: str) -> str | None:
        return None

    def channel_id(self, name: str) -> str | None:
        return None


class BotParts:
    """Store, gate and AI over one catalog. `options` go to the gate."""

    def __init__(
        self,
        folder: Path,
        catalog: str,
        model: Model | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        max_model_calls: int = 20,
        history_tokens: int = 60_000,
        prompt_budget: int = 4_000,
        clock: Callable[[], float] | None = None,
        directory: PeopleDirectory | None = None,
        identities: Identities | None = None,
        **options: Any,
    ) -> None:
        self.url = opened_before("sqlite", folder)
        self.clock = clock or Clock()
        self.catalog = loaded(catalog, environ or {})
        self.hears: Callable[[str], None] = lambda _thread: None  # of posts that are on disk
        self.store = Store(self.url, self.clock, Hears(lambda thread: self.hears(thread)))
        authority = Authority(directory or SilentDirectory(), ())
        self.gate = Gate(
            self.catalog,
            self.store,
            authority,
            GateOptions(**options),
            identities=identities or Identities({}),
            ids=_id,
            clock=self.clock,
        )
        self.replies = Replies()
        self._reading: Turn | None = None
        self.ended: list[str] = []  # turns that people stopped in Slack
        web, waking = SlackWeb("xoxb-none", NOBODY), Waking()
        self.status = RecordingStatus(web, waking)
        self.system = Services(
            model=ModelCalls(
                model or self.replies,
                name="",
                server="",
                history_tokens=history_tokens,
                prompt_budget=prompt_budget,
            ),
            gate=self.gate,
            store=self.store,
            reader=ThreadReader(web, self.store, self.clock),
            status=self.status,
            streams=StreamedMessages(web, waking, self.ended.append),
            cancel_flag=CancelFlag(),
            limits=TurnLimits(max_model_calls),
            ids=_id,
            clock=self.clock,
        )

    def close(self) -> None:
        self.gate.close()
        self.store.close()

    # turns

    def begin(self, text: str = "please", by: str = ANN, thread: Thread | None = None) -> Turn:
        """Admits a mention; the turn waits to be begun."""
        number = next(_numbers)
        ts = f"200.{number:06d}"
        thread = thread or Thread("T0LOCAL", "C0HR", ts)
        assert self.store.record(a_mention(f"Ev{number}", thread, ts, by, text))
        arrival = self.store.arrivals(thread.key)[-1]
        turn = Turn(_id(), thread.key, by, text, ts)
        assert self.store.admit(arrival, turn, QUIET, workers=8, max_waiting=256) != "too many"
        return turn

    def ask(self, text: str = "please", by: str = ANN, thread: str | None = None) -> str:
        """A mention, and the thread advanced until it rests; the thread's key."""
        turn = self.begin(text, by, Thread.from_key(thread) if thread else None)
        self.advance(turn.thread)
        return turn.thread

    def advance(self, thread: str) -> bool:
        """What the bot's workers do after a decision: what people approved is sent, then the AI goes on. Where it waits for its model
        the clock is set on."""
        decided = (one.turn for one in self.store.proposals_in(State.APPROVED) if one.thread == thread)
        for turn in dict.fromkeys(decided):
            self.gate.write_decided(turn)
        while True:
            try:
                return AI(thread, self.system).advance()
            except Waits as waits:
                assert isinstance(self.clock, Clock)
                self.clock.ahead += waits.after

    def told(self, thread: str) -> list[str]:
        """What was posted in the thread besides cards: escaped text, oldest first."""
        texts = []
        for due in self.store.due_posts(thread):
            blocks = due.post.arguments.get("blocks") or [{"type": "markdown"}]
            if due.post.kind == "message" and blocks[0]["type"] == "markdown":
                texts.append(due.post.arguments["text"])
        return texts

    def cards(self, thread: str) -> list[Post]:
        """What was posted in the thread of cards, and their changes."""
        return [
            due.post
            for due in self.store.due_posts(thread)
            if due.post.arguments.get("blocks", [{}])[0].get("type") == "header"
        ]

    # proposals

    def pending(self) -> list[Proposal]:
        return self.store.proposals_in(State.PENDING)

    def press(self, proposal: Proposal, decision: str = "approve", by: str | None = None) -> Proposal:
        """A click; the proposal as it is afterwards."""
        button: Any = decision
        return self.gate.decide(proposal.token, button, by=by or proposal.asker, at=self.clock(), arrival=0)

    def proposed(self, method: str, url: str, body: object = None, headers: object = None) -> Proposal:
        """A write as a stored record with its card, its turn running."""
        turn = self.begin()
        assert begun(self.store, turn.thread) is not None
        write = self.call(method, url, body, headers, tainted=True)
        assert isinstance(write, Write)
        proposal = self.gate.propose(write, turn, 0, self._here(turn))
        said = AssistantMessage("", (ToolCall("call_0", "call_rest_api", "{}"),))
        self.store.add_round(
            turn, ReplyOutcome(said, Usage(), proposals=[proposal], posts=self.gate.card_posts([proposal]))
        )
        return proposal

    def approved(self, method: str, url: str, body: object = None, headers: object = None) -> Proposal:
        """A write as a stored record that a person has approved, its turn running."""
        proposal = self.proposed(method, url, body, headers)
        return self.press(proposal) if proposal.state is State.PENDING else proposal

    def write(self, method: str, url: str, body: object = None, headers: object = None) -> tuple[Proposal, Json]:
        """An approved write, sent; the record and the result that the model gets."""
        proposal = self.approved(method, url, body, headers)
        self.gate.write(Approval(proposal.proposal))
        return self.row(proposal), self.result(proposal)

    def row(self, proposal: Proposal) -> Proposal:
        found = self.store.proposal(token=proposal.token)
        assert found is not None
        return found

    def result(self, proposal: Proposal) -> Json:
        """The one result that a proposal's call has."""
        (content,) = [
            i.content for i in self.store.transcript(proposal.thread, proposal.asker) if isinstance(i, Result)
        ]
        found: Json = strict(content)
        return found

    # calls

    def call(
        self, method: str, url: str, body: object = None, headers: object = None, *, tainted: bool = False
    ) -> Read | Write:
        arguments = {"method": method, "url": url, "body": body, "headers": headers}
        return sort(resolve(self.catalog, arguments), tainted=tainted)

    def read(self, url: str, method: str = "GET", **more: object) -> Json:
        """A read's result for the model; `more` are further arguments of the tool. All of them are of one turn."""
        read = sort(resolve(self.catalog, {"method": method, "url": url, **more}), tainted=False)
        assert isinstance(read, Read)
        turn = self._reading = self._reading or self.begin()
        found: Json = strict(self.gate.read(read, turn, self._here(turn)).text)
        return found

    def _here(self, turn: Turn) -> Catalog:
        """What a turn's asker may call by now."""
        return self.gate.part(turn.thread, turn.asker).catalog

    # what there is

    def stored(self) -> str:
        """Everything in the database, as text."""
        return json.dumps(whole_database(self.url), default=str, ensure_ascii=False)

    def words_of(self, thread: str) -> list[str]:
        return [item.text for item in self.store.transcript(thread, ANN) if isinstance(item, UserMessage)]


def result_text(answer: Answer, *, limit: int, secrets: Sequence[str]) -> str:
    """An answer as a call's result. `limit` is characters of data."""
    return result(Shown.of(found_of(answer, secrets), limit), "")


def _id() -> str:
    return uuid.uuid4().hex
