"""Cards, rules, modals, App Home, sets, unknown outcomes and the journal, by the front door: people press, an API answers."""

from __future__ import annotations

import json

from demo.hr_api import HrApi
from demo.scripted_model import ScriptedModel
from emulator.emulator import Workspace
from gate.policy import State
from tests.harness.whole_bot import (
    Json,
    ObedientApi,
    Person,
    RunningBot,
    Script,
    StartBot,
    Told,
    at_once,
    buttons,
    calls,
    card_text,
    results,
    says,
    until,
)

RULES = """
name: HR
base_url: {url}
endpoints:
  - {{method: GET, url: "/users/[id]", description: Shows one.}}
  - method: PUT
    url: /users/[id]
    description: Replaces one.
    {put}
  - method: PATCH
    url: /users/[id]
    description: Changes one.
    preview: {{ignore: [updated_at]}}
  - method: DELETE
    url: /users/[id]
    description: Removes one.
    {delete}
  - {{method: POST, url: /users, description: Adds one.}}
"""
TOM = {"id": 7, "name": "Tom", "job": "Sales"}


def catalog(api: ObedientApi, *, delete: str = "", put: str = "") -> str:
    return RULES.format(url=api.url, delete=delete, put=put)


def told(bot: RunningBot, kind: str) -> list[Json]:
    """What the journal says of a kind of entry."""
    return [json.loads(line.data) for line in bot.store.journal.lines(kind=kind)]


# --- before and after -------------------------------------------------------------------------------------------------


def test_a_card_shows_what_would_be_removed_or_why_that_is_not_known_and_names_the_fingerprint(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person
) -> None:
    """What cannot be read again, or grew too large, is not written."""
    bot = start_bot(catalog=catalog(api), max_response="1 kB")
    too_large = Told(body=TOM | {"pad": "x" * 2_000})
    api.will(Told(body=TOM), Told(500), Told(404), too_large, Told(body=TOM))
    model.will(calls(*[("DELETE", f"/users/{i}") for i in range(5)]))
    talk = ann.asks("remove five")
    talk.card(5)
    doomed, failed, missing, large, _ = (card_text(card) for card in talk.cards())
    assert 'name: "Tom"' in doomed
    assert 'job: "Sales"' in doomed
    assert "500 Internal Server Error" in failed
    assert "404 Not Found" in missing
    assert "larger than 1,000 bytes" in large
    fingerprints = [entry["fingerprint"] for entry in told(bot, "proposed")]
    assert [len(one) for one in fingerprints] == [64] * 5
    for card, fingerprint in zip(talk.cards(), fingerprints, strict=True):
        assert f"`{fingerprint[:12]}`" in card_text(card)
    for number, answer in ((0, Told(500)), (4, too_large)):  # one after the other, as the answers are
        api.will(answer)
        ann.presses(talk.cards()[number], "approve")
        talk.workspace.wait(lambda n=number: "not sent" in card_text(talk.cards()[n]))  # type: ignore[misc]
        assert "Nothing was sent" in card_text(talk.cards()[number])
    assert len(api.asked) == 7
    assert {one.split()[0] for one in api.asked} == {"GET"}


def test_a_target_that_changed_is_not_written_and_asked_for_anew_unless_in_fields_to_ignore_or_beside_a_patch(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person
) -> None:
    bot = start_bot(catalog=catalog(api))
    changed = TOM | {"updated_at": 2, "job": "CEO"}
    api.will(Told(body=TOM), Told(body=TOM | {"updated_at": 1}))
    model.will(calls(("DELETE", "/users/7"), ("PATCH", "/users/7", {"name": "Thomas"})))
    talk = ann.asks("remove or rename Tom")
    rename = talk.card(2)
    api.will(Told(body=changed), Told(), *[Told(body=changed)] * 3, Told(204, ""))
    ann.presses(rename, "approve")
    until(lambda: api.asked.count("PATCH /users/7") == 1)
    ann.presses(talk.card(), "approve")
    second = talk.card(3)
    talk.card_titled("Out of date")
    assert "DELETE /users/7" not in api.asked
    assert 'job: "CEO"' in card_text(second)
    assert "The target changed after the card was posted (job, updated_at). This card asks again." in card_text(second)
    ann.presses(second, "approve")
    assert "Done." in talk.answer()
    assert api.asked.count("DELETE /users/7") == api.asked.count("PATCH /users/7") == 1
    states = [one.state for one in bot.store.proposals_for(asker="U0ANN", limit=10)]
    assert sorted(states) == [State.DONE, State.DONE, State.STALE]
    assert len(told(bot, "outdate")) == 1


# --- the whole request ------------------------------------------------------------------------------------------------


def test_a_long_body_is_whole_behind_show_all(
    start_bot: StartBot, workspace: Workspace, api: ObedientApi, model: Script, ann: Person, ben: Person
) -> None:
    start_bot(catalog=catalog(api))
    body = {f"field_{i}": f"value {i} " + "x" * 60 for i in range(900)} | {"cascade": True}
    model.will(calls(("POST", "/users", {"a": 1})), calls(("POST", "/users", body)))
    card = ann.asks("add a small one and a big one").card()
    assert '"field_450"' not in card_text(card)
    assert '"cascade": true' in card_text(card)  # the end of a body may be what matters
    ben.presses(card, "show")
    (view,) = workspace.wait(lambda: workspace.modals("U0BEN"))
    pages = [card_text(view)]
    while "page_on" in buttons(view):
        workspace.click_view("U0BEN", view["id"], "page_on")
        before = pages[-1]
        view = workspace.wait(lambda b=before: [v for v in workspace.modals("U0BEN") if card_text(v) != b])[-1]  # type: ignore[misc]
        pages.append(card_text(view))
    assert len(pages) > 1
    whole = "".join(line for page in pages for line in page.split("\n") if not line.startswith("Page "))
    assert '"cascade": true' in whole
    assert all(f'"field_{i}"' in whole for i in range(900))


def test_values_that_the_catalog_marks_secret_are_hidden_from_people_and_sent_to_the_api(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person
) -> None:
    put = "body: {type: object, properties: {name: {}, pin: {type: string, secret: true}}}"
    bot = start_bot(catalog=catalog(api, put=put))
    api.will(Told(body=TOM | {"pin": "9999-old"}), Told(body=TOM | {"pin": "9999-old"}))
    model.will(calls(("PUT", "/users/7", {"name": "Tom", "pin": "1234-new-one"})))
    talk = ann.asks("set Tom's pin")
    ann.presses(talk.card(), "approve")
    talk.answer()
    shown = json.dumps(talk.messages()) + "".join(line.data for line in bot.store.journal.lines())
    assert "12 characters, hidden by the catalog" in shown
    assert "1234-new-one" not in shown
    assert "9999-old" not in shown
    assert b"1234-new-one" in api.requests[-1].body


# --- who decides ------------------------------------------------------------------------------------------------------


def test_a_group_decides_and_the_asker_does_not_and_where_anybody_may_eight_clicks_of_two_people_are_one_request(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person, ben: Person
) -> None:
    anyone = "approval: {approvers: [anyone-in-channel]}"
    bot = start_bot(catalog=catalog(api, delete='approval: {approvers: ["@hr-leads"], not_asker: true}', put=anyone))
    model.will(calls(("DELETE", "/users/7"), ("PUT", "/users/8", {"a": 1})))
    talk = ann.asks("remove Tom, and change Tim")
    anyones = talk.card(2)
    card = talk.card()
    assert "<!subteam^S0LEADS>" in card_text(card)
    ann.presses(card, "approve")
    assert "somebody else has to decide" in ann.aside()
    (refused,) = told(bot, "click refused")
    assert refused["user"] == "U0ANN"
    ben.presses(card, "approve")
    assert "<@U0BEN>" in talk.card_titled("Approved and done")
    at_once(*[lambda who=who: who.presses(anyones, "approve") for who in (ann, ben) * 4])
    assert "Done." in talk.answer()
    assert [one for one in api.asked if not one.startswith("GET")] == ["DELETE /users/7", "PUT /users/8"]


def test_two_votes_are_two_people_and_a_click_for_a_set_votes_for_what_has_none_of_that_person_yet(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    rule = "approval: {approvers: [anyone-in-channel], quorum: 2, batch: true}"
    bot = start_bot(catalog=catalog(api, delete=rule))
    model.will(calls(("DELETE", "/users/1"), ("DELETE", "/users/2")))
    talk = ann.asks("remove two")
    batch = talk.card(3)
    first = talk.card(1)
    ann.presses(first, "approve")
    workspace.wait(lambda: "so far: <@U0ANN>" in card_text(talk.card()))
    ann.presses(first, "approve")
    assert "You have already voted" in ann.aside()
    assert len(told(bot, "vote")) == 1
    ann.presses(batch, "approve_all")
    workspace.wait(lambda: card_text(talk.cards()[2]).count("1 of 2 votes") == 2)
    ann.presses(batch, "approve_all")
    until(lambda: len(told(bot, "click refused")) == 2)  # told her once
    assert len(told(bot, "vote")) == 2
    assert {one.split()[0] for one in api.asked} == {"GET"}
    ben.presses(batch, "approve_all")
    talk.answer()
    assert [one for one in api.asked if one.startswith("DELETE")] == ["DELETE /users/1", "DELETE /users/2"]


def test_the_strictest_rule_that_matches_holds(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person, ben: Person
) -> None:
    rules = (
        "approval: [{approvers: [asker]}, "
        "{when: {required: [amount], properties: {amount: {minimum: 1000}}}, approvers: [U0BEN], not_asker: true}]"
    )
    start_bot(catalog=catalog(api, put=rules))
    model.will(calls(("PUT", "/users/7", {"amount": 10}), ("PUT", "/users/7", {"amount": 5000})))
    talk = ann.asks("a little and a lot")
    large = talk.card(2)
    ann.presses(large, "approve")
    assert "somebody else" in ann.aside()
    ann.presses(talk.card(), "approve")
    until(lambda: api.asked.count("PUT /users/7") == 1)
    ben.presses(large, "approve")
    talk.answer()
    assert [json.loads(one.body) for one in api.requests if one.method == "PUT"] == [{"amount": 10}, {"amount": 5000}]


ABOVE = "{required: [amount], properties: {amount: {type: integer, minimum: 1000}}}"
SMALL_POST = "{{method: POST, url: /users, description: Adds one.}}"


NOT_UNDERSTOOD: list[Json] = [{"amount": "5,000"}, {}]  # test_conditions.py has all kinds


def test_a_post_that_its_rule_does_not_understand_waits_for_the_rules_people(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person, ben: Person
) -> None:
    ruled = SMALL_POST.replace("}}", f", approval: [{{when: {ABOVE}, approvers: [U0BEN]}}]}}").replace("{{", "{", 1)
    bot = start_bot(catalog=catalog(api).replace(SMALL_POST.replace("{{", "{").replace("}}", "}"), ruled))
    bodies = [{"amount": 10}, *NOT_UNDERSTOOD]
    model.will(calls(*[("POST", "/users", body) for body in bodies]))
    talk = ann.asks("pay")
    talk.card(2)
    for number, card in enumerate(talk.cards(), 1):
        assert "The strictest rule applies" in card_text(card)
        ann.presses(card, "approve")
        until(lambda n=number: len(told(bot, "click refused")) == n)  # type: ignore[misc]
        ben.presses(card, "approve")
        until(lambda n=number: len([one for one in api.requests if one.method == "POST"]) == n + 1)  # type: ignore[misc]
    talk.answer()
    assert "You can't decide this one" in ann.aside()
    assert [json.loads(one.body) for one in api.requests if one.method == "POST"] == bodies


def test_of_one_reply_eight_writes_go_out_without_a_click_and_the_others_wait(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person
) -> None:
    def numbers() -> set[int]:
        return {json.loads(one.body)["number"] for one in api.requests if one.method == "POST"}

    start_bot(catalog=catalog(api))
    model.will(calls(*[("POST", "/users", {"number": number}) for number in range(11)]))
    talk = ann.asks("add eleven")
    cards = talk.workspace.wait(lambda: talk.cards() if len(talk.cards()) == 3 else [])
    assert all("8 requests before this one" in card_text(card) for card in cards)
    until(lambda: len(numbers()) == 8)
    assert numbers() == set(range(8))
    for card, button in zip(cards, ("approve", "deny", "approve"), strict=True):
        ann.presses(card, button)
    talk.answer()
    assert numbers() == {*range(9), 10}


def test_where_slack_does_not_say_who_belongs_nobody_gets_through(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    start_bot(catalog=catalog(api, delete="approval: {approvers: [S0LEADS]}"))
    model.will(calls(("DELETE", "/users/7")))
    card = ann.asks("remove Tom").card()
    workspace.fault("usergroups.users.list", "error", times=1, code="no_such_subteam")
    ben.presses(card, "approve")
    assert "couldn't look up" in ben.aside()
    assert "DELETE /users/7" not in api.asked


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_a_denial_with_a_reason_reaches_the_model_and_its_modal_opens_for_who_may_decide_alone(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    start_bot(catalog=catalog(api))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    ben.presses(talk.card(), "deny_reason")
    assert "You can't decide" in ben.aside()
    assert workspace.modals("U0BEN") == []
    ann.presses(talk.card(), "deny_reason")
    (view,) = workspace.wait(lambda: workspace.modals("U0ANN"))
    assert talk.cards()[0]["text"].startswith("🔐 Approval needed")
    workspace.submit(view["id"], "U0ANN", {"reason": "he is <!here> until May"})
    talk.answer()
    (result,) = results(model.asked[-1])
    assert result == {
        "outcome": "denied",
        "note": "A person denied this request. It was not sent. The person's reason: he is <!here> until May",
        "to_do": "Do not propose it again unless the person asks for it.",
    }
    (said,) = [
        one for block in talk.card()["blocks"] for one in block.get("elements", ()) if "until May" in json.dumps(one)
    ]
    assert (said["type"], said["text"]) == ("plain_text", "reason: he is <!here> until May")


def test_a_model_that_repeats_what_it_is_told_tells_people_nothing_that_is_for_it(
    start_bot: StartBot, hr: HrApi, ann: Person
) -> None:
    """The demo's model does; "Do not propose it again" stood in the thread."""
    scripted = ScriptedModel()
    scripted.start()
    try:
        start_bot(with_model=None, openai_base_url=scripted.base_url)
        talk = ann.asks("remove Tom Berg")
        ann.presses(talk.card(), "deny")
        answer = talk.answer()
        assert "A person denied this request. It was not sent." in answer
        for told in ("Do not propose it again", "Do not repeat it.", "Tell the person", "Say so to the person."):
            assert told not in answer
    finally:
        scripted.stop()


def test_what_the_catalog_no_longer_allows_is_told_to_people_in_words_for_them(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person
) -> None:
    bot = start_bot(catalog=catalog(api))
    model.will(calls(("PUT", "/users/7", {"a": 1})))
    talk = ann.asks("change Tom")
    card = talk.card()
    bot.stop()
    start_bot(catalog=catalog(api, put="body: {type: object, required: [name]}"))
    ann.presses(card, "approve")
    text = talk.card_titled("Approved, but not sent")
    assert "The catalog does not allow this request any more. Nothing was sent." in text
    assert "missing" not in text
    model.wait_asked(2)
    assert "body: 'name' is missing; add it." in results(model.asked[-1])[0]["note"]


def test_the_approvers_are_reminded_at_half_time_and_once(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person
) -> None:
    bot = start_bot(catalog=catalog(api, delete="approval: {approvers: [S0LEADS], expires: 2s}"))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card_titled("Expired")
    reminders = [text for text in talk.answers() if "Still waiting" in text]
    assert len(reminders) == 1
    assert "<!subteam^S0LEADS>" in reminders[0]
    assert f"`{told(bot, 'proposed')[0]['fingerprint'][:12]}`" in reminders[0]


# --- several at once --------------------------------------------------------------------------------------------------

BATCH = "approval: {batch: true}"


def test_a_set_is_approved_with_one_button_and_each_request_is_sent_once_and_a_failure_stops_the_rest(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person, ben: Person
) -> None:
    start_bot(catalog=catalog(api, delete=BATCH + "\n    preview: false"))
    model.will(calls(*[("DELETE", f"/users/{i}") for i in range(3)]))
    talk = ann.asks("remove three")
    batch = talk.card(4)
    assert list(buttons(batch)) == ["approve_all"]
    ben.presses(batch, "approve_all")
    assert "can't decide" in ben.aside()
    at_once(*[lambda: ann.presses(batch, "approve_all")] * 4)
    talk.answer()
    assert sorted(api.asked) == [f"DELETE /users/{i}" for i in range(3)]
    ben.presses(batch, "approve_all")
    assert "already been decided" in ben.aside(2)

    model.will(calls(*[("DELETE", f"/users/{i}") for i in range(3, 6)]))
    failing = ann.asks("remove three others")
    batch = failing.card(4)
    api.will(Told(204, ""), Told(500))
    ann.presses(batch, "approve_all")
    failing.answer()
    assert api.asked[3:] == ["DELETE /users/3", "DELETE /users/4"]
    assert [one["outcome"] for one in results(model.asked[-1])] == ["done", "failed", "failed"]
    text = card_text(failing.card(4))
    assert f"1. Removes one. · DELETE {api.url}/users/3" in text
    assert [line.rsplit(": ", 1)[1] for line in text.split("\n")[1:]] == ["done", "failed", "not sent"]


def test_a_card_that_slack_refuses_is_in_no_set_and_is_not_told_as_a_withdrawal_by_the_person(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person
) -> None:
    start_bot(catalog=catalog(api, delete=BATCH))
    model.will(calls(("DELETE", "/users/1"), ("DELETE", "/users/2")))
    workspace.fault("chat.postMessage", "error", code="invalid_blocks")
    talk = ann.asks("remove two")
    talk.card_titled("2 requests: 1 withdrawn, 1 waiting")
    waiting, the_set = talk.cards()
    assert [sorted(buttons(card)) for card in (waiting, the_set)] == [["approve", "deny", "deny_reason"], []]
    ann.presses(waiting, "deny")
    talk.answer()
    refused, _ = results(model.asked[-1])
    assert refused["outcome"] == "withdrawn"
    assert "Slack did not accept the card" in refused["note"]
    assert "who asked" not in refused["note"]


# --- outcomes ---------------------------------------------------------------------------------------------------------


def test_an_unknown_outcome_is_told_and_who_asked_may_look_where_others_had_to_decide(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person, ben: Person
) -> None:
    start_bot(catalog=catalog(api, delete="approval: {approvers: [U0BEN], not_asker: true}"), api_timeout=0.5)
    api.will(Told(body=TOM), Told(body=TOM), Told(after=1.0), Told(body=TOM), Told(404, {"error": "gone"}))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    ben.presses(talk.card(), "approve")
    text = talk.card_titled("outcome unknown")
    assert "may or may not have happened" in text
    (result,) = results(model.wait_asked(2))
    assert result["outcome"] == "unknown"
    ann.presses(talk.card(), "check")
    talk.workspace.wait(lambda: any("would still remove" in card_text(m) for m in talk.messages()))
    ann.presses(talk.card(), "check")
    talk.workspace.wait(lambda: any("404 Not Found" in json.dumps(m) for m in talk.messages()))
    assert api.asked.count("DELETE /users/7") == 1


def test_a_dry_run_sends_no_write_and_says_so_nor_does_a_card_that_was_posted_or_is_approved_in_one(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person
) -> None:
    """Who approves a card that says "dry run" has approved nothing real."""
    first = start_bot(catalog=catalog(api), dry_run=True)
    model.will(calls(("DELETE", "/users/7"), ("POST", "/users", {"a": 1})), says("All done."))
    talk = ann.asks("remove Tom")
    assert "dry run" in card_text(talk.card())
    ann.presses(talk.card(), "approve")
    assert "Dry run" in talk.answer()
    assert "Dry run" in talk.card_titled("done")
    assert {one["outcome"] for one in results(model.asked[-1])} == {"dry run"}
    model.will(calls(("DELETE", "/users/7")))
    of_a_dry_run = ann.asks("remove Tom")
    of_a_dry_run.card()
    first.stop()
    second = start_bot(catalog=catalog(api))
    model.will(calls(("DELETE", "/users/8")))
    of_before = ann.asks("remove Tim")
    of_before.card()
    ann.presses(of_a_dry_run.card(), "approve")
    assert "Dry run: nothing was sent" in of_a_dry_run.card_titled("done (dry run)")
    of_a_dry_run.answer()
    second.stop()
    start_bot(catalog=catalog(api), dry_run=True)
    ann.presses(of_before.card(), "approve")
    assert "Dry run: nothing was sent" in of_before.card_titled("done (dry run)")
    assert {one.split()[0] for one in api.asked} == {"GET"}


# --- App Home ---------------------------------------------------------------------------------------------------------


def home_of(workspace: Workspace, user: str) -> Json:
    """Somebody's App Home, once it was drawn."""
    return workspace.wait(lambda: [home for home in [workspace.home(user)] if home])[0]


def test_app_home_shows_what_waits_but_to_a_guest_and_is_drawn_anew_after_the_decision(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person
) -> None:
    start_bot(catalog=catalog(api, delete='approval: {approvers: ["@hr-leads"]}'))
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    talk.card()
    for user in ("U0ANN", "U0BEN", "U0GUS"):
        workspace.open_home(user)
    assert "GET /users" not in card_text(home_of(workspace, "U0GUS"))
    home = home_of(workspace, "U0BEN")
    assert "approve" in buttons(home)
    assert "GET /users/[id]" in card_text(home)
    asked = home_of(workspace, "U0ANN")
    assert "approve" not in buttons(asked)
    assert "DELETE" in card_text(asked)
    workspace.click_view("U0BEN", home["id"], "approve")
    talk.answer()
    workspace.wait(lambda: "approve" not in buttons(workspace.home("U0BEN") or {}))
    workspace.wait(lambda: ": done" in card_text(workspace.home("U0ANN") or {}))
    assert api.asked.count("DELETE /users/7") == 1


def test_a_card_shows_the_changed_fields_old_and_new_and_app_home_says_the_same_and_leads_to_it(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person
) -> None:
    start_bot(catalog=catalog(api))
    api.will(Told(body=TOM), Told(body=TOM), Told(202))
    model.will(calls(("PUT", "/users/7", {"name": "Tom", "job": "Lead"})))
    talk = ann.asks("promote Tom")
    card = talk.card()
    link = f"archives/C0HR/p{card['ts'].replace('.', '')}?thread_ts={talk.ts}&cid=C0HR|Open the thread>"

    def leads_to_the_card() -> bool:  # once the bot has Slack's answer to the card
        workspace.open_home("U0ANN")
        return link in card_text(home_of(workspace, "U0ANN"))

    until(leads_to_the_card)
    assert 'name: "Tom" →' not in card_text(card)
    assert "id: 7 (not in the request)" in card_text(card)
    assert "(nothing)" not in card_text(card)
    text = card_text(home_of(workspace, "U0ANN"))
    said = ["Replaces one.", "About: Tom, id 7", "What changes:", 'job: "Sales" → "Lead"', f"PUT {api.url}/users/7"]
    assert [text.index(one) for one in said] == sorted(text.index(one) for one in said)
    assert [card_text(card).index(one) for one in said] == sorted(card_text(card).index(one) for one in said)
    ann.presses(card, "approve")
    talk.card_titled("Approved and accepted")
    workspace.wait(
        lambda: f"About: Tom, id 7\nPUT {api.url}/users/7: accepted" in card_text(home_of(workspace, "U0ANN"))
    )
    ended = card_text(home_of(workspace, "U0ANN"))
    assert "The API answered 202 Accepted: it may still be under way, or fail later." in ended
    assert link in ended
    until(lambda: results(model.asked[-1]))
    assert results(model.asked[-1])[0]["outcome"] == "accepted"


def test_a_request_appears_in_the_app_home_of_who_is_named_and_is_withdrawn_by_who_asked_alone(
    start_bot: StartBot, api: ObedientApi, model: Script, workspace: Workspace, ann: Person, ben: Person
) -> None:
    start_bot(catalog=catalog(api, delete="approval: {approvers: [U0BEN]}"))
    for user in ("U0ANN", "U0BEN"):
        workspace.open_home(user)
        home_of(workspace, user)
    model.will(calls(("DELETE", "/users/7")))
    talk = ann.asks("remove Tom")
    card = talk.card()
    workspace.wait(lambda: "approve" in buttons(home_of(workspace, "U0BEN")))
    workspace.wait(lambda: "/users/7: waiting" in card_text(home_of(workspace, "U0ANN")))
    ben.presses(card, "withdraw")
    assert "Only <@U0ANN>" in ben.aside()
    home = home_of(workspace, "U0BEN")
    workspace.fault("views.publish", "http_500", times=6)  # so that Ben still has the old one before him
    ann.presses(card, "withdraw")
    talk.answer()
    talk.card_titled("Withdrawn")
    (result,) = results(model.asked[-1])
    assert result["outcome"] == "withdrawn"
    workspace.click_view("U0BEN", home["id"], "approve", buttons(home)["approve"])
    (view,) = workspace.wait(lambda: workspace.modals("U0BEN"))
    assert "already been decided" in card_text(view)  # a refusal in App Home is a modal


# --- the journal ------------------------------------------------------------------------------------------------------


def test_the_journal_tells_from_the_question_to_the_status(
    start_bot: StartBot, api: ObedientApi, model: Script, ann: Person
) -> None:
    bot = start_bot(catalog=catalog(api))
    model.will(calls(("GET", "/users/7")), calls(("DELETE", "/users/7")), calls(("GET", "/nowhere")))
    talk = ann.asks("remove Tom")
    ann.presses(talk.card(), "approve")
    talk.answer()
    kinds = [line.kind for line in bot.store.journal.lines()]
    assert kinds == [
        "question", "model call", "read", "model call", "look", "proposed", "approve", "look", "send", "succeed",
        "model call", "bad call", "model call", "answer",
    ]  # fmt: skip
    assert [one["why"] for one in told(bot, "look")] == ["preview", "before sending"]
    (sent,) = told(bot, "succeed")
    assert (sent["status"], sent["operation"]) == (200, "DELETE /users/[id]")
    assert told(bot, "approve")[0]["by"] == "U0ANN"
    assert "remove Tom" not in "".join(line.data for line in bot.store.journal.lines())
    assert bot.store.journal.verify()[0] is None
