"""The law of the gate as tables: which call needs whom, and what may become of a proposal."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.words import STATES
from catalog.conditions import ConditionInput
from catalog.rules import ANYONE, ASKER, Rule
from gate.policy import TRANSITIONS, Event, State, Verdict, judge, sources, strictest, target
from tests.harness.cases import case

LEADS = Rule(("S0LEADS",), not_asker=True)
ABOVE = Rule(("U0BOSS",), quorum=2, when={"properties": {"amount": {"minimum": 1000}}, "required": ["amount"]})

# --- which way --------------------------------------------------------------------------------------------------------

ALWAYS, NEVER, UNSAID = (Rule(),), (), None
WAYS: list[tuple[str, tuple[Rule, ...] | None, bool, str]] = [
    ("GET", UNSAID, False, "read"),
    ("GET", UNSAID, True, "read"),
    ("HEAD", UNSAID, True, "read"),
    ("GET", ALWAYS, False, "ask"),
    ("HEAD", ALWAYS, False, "ask"),
    ("GET", (ABOVE,), True, "read"),
    ("POST", UNSAID, False, "send"),
    ("POST", UNSAID, True, "ask, since the model may be following what it read"),
    ("POST", NEVER, False, "send"),
    ("POST", NEVER, True, "send"),
    ("POST", ALWAYS, False, "ask"),
    ("POST", ALWAYS, True, "ask"),
    ("POST", (ABOVE,), False, "send"),
    ("POST", (ABOVE,), True, "ask, since the model may be following what it read"),
    *(
        (method, rules, tainted, "ask")
        for method in ("PUT", "PATCH", "DELETE")
        for rules in (UNSAID, ALWAYS, NEVER, (ABOVE,))
        for tainted in (False, True)
    ),
    *((method, UNSAID, False, "ask") for method in ("TRACE", "OPTIONS", "get", "post", "", "BREW")),
]


def test_the_way_of_a_call() -> None:
    for method, rules, tainted, way in WAYS:
        with case(method, rules, tainted):
            found = judge(method, rules, ConditionInput(body={"amount": 10}), tainted=tainted)
            assert found.way == way.partition(",")[0]
            assert found.tainted is ("since" in way)


def test_a_rule_that_matches_asks_whatever_the_method_and_decides_who() -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        for tainted in (False, True):
            assert judge(method, (LEADS,), ConditionInput(), tainted=tainted) == Verdict("ask", rule=LEADS), (
                tainted,
                method,
            )


def test_where_no_rule_matches_the_asker_decides() -> None:
    assert judge("DELETE", (ABOVE,), ConditionInput(body={"amount": 1}), tainted=False).rule == Rule()


# --- what a condition cannot say --------------------------------------------------------------------------------------


def test_where_a_condition_cannot_say_the_strictest_of_all_rules_holds() -> None:
    """Also of those whose own condition says that they are not for this call."""
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        with case(method):
            other = Rule(("U0BEN",), quorum=3, when={"required": ["never"]})
            verdict = judge(method, (LEADS, ABOVE, other), ConditionInput(body={"amount": "5,000"}), tainted=False)
            assert verdict.rule == other
            assert "'amount' is not a number" in verdict.why


def test_a_rule_that_holds_in_one_place_does_not_hide_that_another_cannot_be_told() -> None:
    small = Rule(("U0ANN",), when={"properties": {"amount": {"maximum": 999}}, "required": ["amount"]})
    other = Rule(("U0BEN",), quorum=3, when={"required": ["never"]})
    for url, body in (("5e3", 5), ("5", "5,000")):
        given = ConditionInput({"amount": url}, names=frozenset({"amount"}), body={"amount": body})
        assert judge("POST", (small, other), given, tainted=False).rule == other
    assert judge("POST", (small, other), ConditionInput(body={"amount": 5}), tainted=False).rule == small


@pytest.mark.parametrize("tainted", [False, True])
def test_a_rule_that_cannot_be_judged_asks_where_nobody_would_be_asked(tainted: bool) -> None:
    for method in ("GET", "POST"):
        assert judge(method, (ABOVE,), ConditionInput(), tainted=tainted).rule == ABOVE


# --- one reply --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [UNSAID, NEVER, (ABOVE,)])
def test_after_eight_writes_of_a_reply_without_a_click_the_next_one_asks(rules: tuple[Rule, ...] | None) -> None:
    given = ConditionInput(body={"amount": 10})
    assert [judge("POST", rules, given, tainted=False, sent_alone=count).way for count in (0, 7)] == ["send"] * 2
    for count in (8, 9, 100):
        verdict = judge("POST", rules, given, tainted=False, sent_alone=count)
        assert (verdict.way, verdict.rule) == ("ask", Rule())
        assert "8 requests before this one" in verdict.why
    assert judge("GET", rules, given, tainted=False, sent_alone=9).way == "read"


# --- of several rules -------------------------------------------------------------------------------------------------

WEAKER_TO_STRICTER = [
    (Rule((ASKER,)), Rule(("U0BEN",))),
    (Rule((ASKER, "U0BEN")), Rule(("U0BEN",))),
    (Rule((ANYONE,)), Rule((ASKER,))),
    (Rule((ANYONE, "U0BEN")), Rule((ASKER, "U0BEN"))),
    (Rule(("U0BEN",)), Rule((ANYONE,), not_asker=True)),
    (Rule((ANYONE,), not_asker=True), Rule(("S0LEADS",), not_asker=True)),
    (Rule(("S0LEADS",), not_asker=True), Rule((ANYONE,), quorum=2)),
    (Rule((ANYONE,), quorum=2), Rule((ANYONE,), not_asker=True, quorum=2)),
    (Rule(("U0BEN",), not_asker=True, quorum=2), Rule((ANYONE,), quorum=3)),
]


def test_of_several_rules_that_match_the_strictest_holds() -> None:
    for weaker, stricter in WEAKER_TO_STRICTER:
        with case(weaker):
            for order in ((weaker, stricter), (stricter, weaker)):
                assert judge("PUT", order, ConditionInput(), tainted=False).rule == stricter


def test_a_strict_rule_that_does_not_match_does_not_hold() -> None:
    assert judge("PUT", (ABOVE, LEADS), ConditionInput(body={"amount": 10}), tainted=False).rule == LEADS
    assert judge("PUT", (ABOVE, LEADS), ConditionInput(body={"amount": 5000}), tainted=False).rule == ABOVE


RULES = st.builds(
    Rule,
    approvers=st.lists(st.sampled_from([ASKER, ANYONE, "U0BEN", "S0LEADS"]), min_size=1, unique=True).map(tuple),
    not_asker=st.booleans(),
    quorum=st.integers(1, 3),
    batch=st.booleans(),
    when=st.sampled_from([None, {"required": ["amount"]}, {"not": {"required": ["amount"]}}]),
)


@given(rules=st.lists(RULES, max_size=4), amount=st.booleans(), tainted=st.booleans())
def test_adding_a_rule_never_asks_fewer_people(rules: list[Rule], amount: bool, tainted: bool) -> None:
    given = ConditionInput(body={"amount": 1} if amount else {})
    for method, count in itertools.product(("GET", "POST", "DELETE"), range(len(rules))):
        less, more = (judge(method, tuple(rules[:n]) or None, given, tainted=tainted) for n in (count, count + 1))
        if less.way == "ask":
            assert more.way == "ask"
            if any(rule.holds(given) for rule in rules[:count]):
                assert more.rule.strictness >= less.rule.strictness


def test_of_several_entries_that_a_path_may_stand_for_the_strictest_verdict_holds() -> None:
    read, send, ask, two = Verdict("read"), Verdict("send"), Verdict("ask"), Verdict("ask", rule=ABOVE)
    for expected, among in ((send, [read, send]), (ask, [send, ask, read]), (two, [ask, two, send]), (read, [read])):
        for order in itertools.permutations(among):
            assert strictest(order) == expected


@given(rule=RULES)
def test_a_stored_rule_is_the_same_rule_less_its_condition(rule: Rule) -> None:
    kept = Rule.from_json(rule.to_json())
    assert (kept.approvers, kept.not_asker, kept.quorum, kept.batch) == (
        rule.approvers,
        rule.not_asker,
        rule.quorum,
        rule.batch,
    )
    assert kept.strictness == rule.strictness


@pytest.mark.parametrize(
    ("stored", "rule"),
    [
        ('[["U0BEN"], true, 2, true]', Rule(("U0BEN",), not_asker=True, quorum=2, batch=True)),
        ('[["U0BEN"], true, 2, true, "new"]', Rule(("U0BEN",), not_asker=True, quorum=2, batch=True)),
        ('{"quorum": 2, "approvers": ["U0BEN"], "new": ["x"]}', Rule(("U0BEN",), quorum=2)),
        ("{}", Rule()),
    ],
)
def test_a_rule_is_read_as_this_version_stores_it_and_as_a_later_one_may(stored: str, rule: Rule) -> None:
    assert Rule.from_json(stored) == rule


def test_a_rule_is_stored_as_the_version_before_reads_it() -> None:
    assert Rule(("U0BEN",), not_asker=True, quorum=2, batch=True).to_json() == '[["U0BEN"], true, 2, true]'


# --- what may become of a proposal ------------------------------------------------------------------------------------

LAW = """
pending approve approved      pending reject rejected     pending expire expired      pending withdraw withdrawn
pending restore unknown       approved restore unknown
approved outdate stale        approved send sending       approved fail failed
sending outdate stale         sending succeed done        sending fail failed         sending lose unknown
"""


def test_the_table_is_the_law_and_nothing_else() -> None:
    """Written out a second time: whoever changes the table changes this, and thinks twice. tests/store/test_proposals.py runs it."""
    told = LAW.split()
    assert {(str(state), str(event), str(to)) for (state, event), to in TRANSITIONS.items()} == {
        (told[i], told[i + 1], told[i + 2]) for i in range(0, len(told), 3)
    }


def test_what_ended_stays_ended() -> None:
    alive = {state for state, _ in TRANSITIONS}
    assert alive == {State.PENDING, State.APPROVED, State.SENDING}


def test_only_an_approved_proposal_can_be_sent_and_only_one_being_sent_can_be_done() -> None:
    assert sources(Event.SEND) == (State.APPROVED,)
    assert [state for (state, _), to in TRANSITIONS.items() if to is State.SENDING] == [State.APPROVED]
    assert [state for (state, _), to in TRANSITIONS.items() if to is State.DONE] == [State.SENDING]
    assert [state for (state, _), to in TRANSITIONS.items() if to is State.APPROVED] == [State.PENDING]


def test_every_event_leads_to_one_state() -> None:
    for event in list(Event):
        with case(event):
            assert sources(event)
            assert {TRANSITIONS[state, event] for state in sources(event)} == {target(event)}


def test_every_state_has_its_words() -> None:
    assert [STATES[state] for state in State] == [
        "waiting",
        "approved",
        "denied",
        "expired",
        "withdrawn",
        "out of date",
        "being sent",
        "done",
        "failed",
        "outcome unknown",
    ]
