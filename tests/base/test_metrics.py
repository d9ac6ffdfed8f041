"""What is counted of a running bot's turns, decisions and calls, by the ways in which they can end."""

from __future__ import annotations

from base.metrics import REGISTRY, api_outcome
from demo.hr_api import HrApi
from emulator.emulator import Workspace
from gate.policy import State
from tests.harness.whole_bot import (
    ObedientApi,
    Person,
    RunningBot,
    Script,
    StartBot,
    Told,
    Writing,
    calls,
    says,
    until,
)

CATALOG = """
name: HR
base_url: {url}
endpoints:
  - {{method: GET, url: "/api/users/[user_id]", description: Shows an employee.}}
  - {{method: DELETE, url: "/api/users/[user_id]", description: Removes one., preview: false}}
"""


class Counted:
    """By how much a series grew since this was made: the registry is one for all tests of a process."""

    def __init__(self, name: str, **labels: str) -> None:
        self._series = (name, labels)
        self._before = self._now()

    def _now(self) -> float:
        return REGISTRY.get_sample_value(*self._series) or 0.0

    @property
    def grown(self) -> float:
        return self._now() - self._before


def test_a_turn_that_a_person_stopped(bot: RunningBot, ann: Person, model: Script) -> None:
    stopped, cut = Counted("turns_total", outcome="stopped"), Counted("model_calls_total", outcome="cut off")
    answered = Counted("turns_total", outcome="answered")
    model.will(Writing("It "))
    talk = ann.asks("a long one")
    model.wait_asked()
    ann.workspace.shortcut(ann.user, talk.ts, "stop_generating")
    (modal,) = ann.workspace.wait(lambda: ann.workspace.modals(ann.user))
    ann.workspace.submit(modal["id"], ann.user)
    bot.settle()
    until(lambda: stopped.grown == 1)
    assert (cut.grown, answered.grown) == (1, 0)


def test_a_question_that_was_deleted_before_its_turn(bot: RunningBot, ann: Person, model: Script) -> None:
    dropped = Counted("turns_total", outcome="dropped")
    model.hold()
    talk = ann.asks("first")
    model.wait_asked()
    second = ann.replies(talk, "second")
    ann.workspace.delete("C0HR", second, ann.user)
    model.let_go()
    bot.settle()
    until(lambda: dropped.grown == 1)


def test_decisions_are_counted_by_their_kind(
    start_bot: StartBot, api: ObedientApi, workspace: Workspace, ann: Person, model: Script
) -> None:
    rule = "approval: {approvers: [U0BEN, U0GUS], quorum: 2}"
    bot = start_bot(catalog=CATALOG.format(url=api.url).replace("preview", f"{rule}, preview"), allow_guests=True)
    kinds = ("vote", "approve", "reject", "withdraw", "expire")
    decisions = {kind: Counted("decisions_total", decision=kind) for kind in kinds}

    def counted() -> dict[str, float]:
        return {kind: one.grown for kind, one in decisions.items() if one.grown}

    model.will(calls(*[("DELETE", f"/api/users/{number}") for number in range(3)]))
    talk = ann.asks("remove three")
    talk.card(3)
    first, second, third = talk.cards()
    Person(workspace, "U0ANN").presses(first, "withdraw")
    until(lambda: counted() == {"withdraw": 1})
    Person(workspace, "U0BEN").presses(second, "deny")
    until(lambda: counted() == {"withdraw": 1, "reject": 1})
    Person(workspace, "U0BEN").presses(third, "approve")
    until(lambda: counted() == {"withdraw": 1, "reject": 1, "vote": 1})
    Person(workspace, "U0GUS").presses(third, "approve")
    bot.settle()
    assert counted() == {"withdraw": 1, "reject": 1, "vote": 1, "approve": 1}


def test_writes_are_counted_by_their_end(start_bot: StartBot, api: ObedientApi, ann: Person, model: Script) -> None:
    bot = start_bot(catalog=CATALOG.format(url=api.url), api_timeout=0.5)
    ways = (
        (Told(500), "failed", "5xx"),
        (Told(504), "unknown", "5xx"),
        (Told(204, after=1), "unknown", "no answer"),
        (Told(429), "failed", "4xx"),
    )
    model.will(calls(*[("DELETE", f"/api/users/{number}") for number in range(len(ways))]))
    talk = ann.asks("remove four")
    talk.card(len(ways))
    for card, (answer, outcome, call) in zip(talk.cards(), ways, strict=True):
        ended = Counted("writes_total", outcome=outcome)
        called = Counted("api_calls_total", api="HR", method="DELETE", outcome=call)
        busy = Counted("rate_limited_total", by="api")
        api.will(answer)
        ann.presses(card, "approve")
        bot.settle()
        assert bot.store.proposals_in(State(outcome)), answer
        assert (ended.grown, called.grown, busy.grown) == (1, 1, answer.status == 429), answer


def test_an_api_that_is_not_there_is_called_and_not_timed(start_bot: StartBot, ann: Person, model: Script) -> None:
    bot = start_bot(catalog=CATALOG.format(url="http://127.0.0.1:1"))
    called = Counted("api_calls_total", api="HR", method="GET", outcome="no answer")
    model.will(calls(("GET", "/api/users/7")), says("It is down."))
    ann.asks("who is 7?").answer()
    bot.settle()
    assert called.grown >= 1


def test_a_reply_that_is_none_is_odd_and_a_bug_is_a_fault(bot: RunningBot, ann: Person, model: Script) -> None:
    odd, failed, faults = (
        Counted("model_calls_total", outcome="odd"),
        Counted("turns_total", outcome="failed"),
        Counted("faults_total"),
    )
    model.will({"choices": []}, {"choices": []})
    ann.asks("hello").answer()
    bot.settle()
    until(lambda: failed.grown == 1)
    assert (odd.grown, faults.grown) == (2, 0)


def test_a_refused_question_is_no_turn(bot: RunningBot, gus: Person) -> None:
    refused, taken = Counted("questions_total", outcome="refused"), Counted("questions_total", outcome="taken")
    gus.asks("hello")
    gus.aside()
    bot.settle()
    assert (refused.grown, taken.grown) == (1, 0)


def test_an_event_that_slack_repeats_is_counted_as_that(
    bot: RunningBot, ann: Person, workspace: Workspace, hr: HrApi
) -> None:
    new, again = Counted("arrivals_total", outcome="new"), Counted("arrivals_total", outcome="again")
    ann.asks("hello").answer()
    workspace.redeliver_last()
    bot.settle()
    until(lambda: again.grown == 1)
    assert new.grown == 1


def test_the_class_of_a_status_is_an_outcome() -> None:
    assert [api_outcome(one) for one in (200, 204, 404, 503, "no answer")] == ["2xx", "2xx", "4xx", "5xx", "no answer"]
