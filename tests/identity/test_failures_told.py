"""Each failure on the way to an account is told in Slack, to its person alone, with what to do: where a question waits, and in App Home
where the person began there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from sqlalchemy import text

from base.clock import SteadyClock
from emulator.emulator import Workspace
from tests.harness.browser import PUBLIC, Browser, link_in
from tests.harness.connecting import KEY, link_for
from tests.harness.databases import looking_into, rows
from tests.harness.loopback import Reply
from tests.harness.peculiar_provider import PeculiarProvider
from tests.harness.whole_bot import Person, RunningBot, Script, StartBot, calls, card_text, says, until
from tests.identity.conftest import see_addresses

CATALOG = """
name: HR
base_url: http://127.0.0.1:9
auth:
  oauth2: {{issuer: "{issuer}", client_id: slack-bot, client_secret: secret-of-this-test, scopes: [openid, hr.read]}}
endpoints:
  - {{method: GET, url: "/people/[id]", description: Shows.}}
"""


@dataclass
class Try:
    """Ann is about to connect, by the link of a question that waits or of her Home."""

    bot: RunningBot
    workspace: Workspace
    provider: PeculiarProvider
    begun: str
    link: str = ""
    later: list[float] = field(default_factory=lambda: [0.0])
    seen: int = 1  # of what Slack said to her alone: the offer, and what was said about earlier tries

    def __post_init__(self) -> None:
        self.browser = Browser(lambda: self.bot.url, "ann")

    def callback(self, **params: str) -> str:
        """Where the sign-in server sends Ann's browser back to, with a code."""
        away = self.browser.visit(self.link, until=self.provider.url)
        query = {name: values[0] for name, values in parse_qs(urlsplit(away).query).items()}
        self.provider.claims["nonce"] = query["nonce"]
        return f"{PUBLIC}/oauth/callback?{urlencode({'state': query['state'], 'code': 'a-code', **params})}"

    def comes_back(self, **params: str) -> None:
        self.browser.visit(self.callback(**params))

    def told(self) -> str:
        """What Slack says to Ann about this try: where she began."""
        if self.begun == "question":
            return "\n".join(one["text"] for one in self.workspace.ephemerals("U0ANN")[self.seen :])
        return card_text(self.workspace.home("U0ANN") or {})

    def begins_again(self) -> None:
        """From now on the sign-in server does as it should, and Ann follows the same link in a browser without a past."""
        self.provider.replies.clear()
        self.provider.metadata.clear()
        self.provider.claims.update(aud="slack-bot", email="ann@example.com")
        self.provider.now = time.time() + self.later[0]
        self.browser = Browser(lambda: self.bot.url, "ann")
        self.seen = len(self.workspace.ephemerals("U0ANN"))


@pytest.fixture
def provider() -> Iterator[PeculiarProvider]:
    with PeculiarProvider() as running:
        running.now = time.time()
        running.claims |= {"email": "ann@example.com", "email_verified": True}
        yield running


@pytest.fixture(params=["question", "home"])
def begun(
    request: pytest.FixtureRequest, start_bot: StartBot, workspace: Workspace, provider: PeculiarProvider, ann: Person
) -> Try:
    see_addresses(workspace)
    later = [0.0]
    clock = SteadyClock(lambda: time.time() + later[0], lambda: time.monotonic() + later[0])
    catalog = CATALOG.format(issuer=provider.url)
    bot = start_bot(catalog=catalog, public_url=PUBLIC, token_key=KEY, clock=clock)
    made = Try(bot, workspace, provider, request.param, later=later)
    if request.param == "question":
        ann.asks("who is 1?")
        made.link = link_for(ann)
    else:
        workspace.open_home("U0ANN")
        made.link = link_in_home(workspace)
    return made


FROM_A_QUESTION = pytest.mark.parametrize("begun", ["question"], indirect=True)  # where it began decides nothing there


def link_in_home(workspace: Workspace) -> str:
    def found() -> list[str]:
        blocks = (workspace.home("U0ANN") or {"blocks": []})["blocks"]
        return [one["accessory"]["url"] for one in blocks if "url" in one.get("accessory", {})]

    return workspace.wait(found)[0]


def rename(bot: RunningBot, before: str, after: str) -> None:
    """A fault that nobody foresaw."""
    with looking_into(bot.settings.database_url) as engine, engine.begin() as db:
        db.execute(text(f"alter table {before} rename to {after}"))


# --- what goes wrong --------------------------------------------------------------------------------------------------


def denied(one: Try) -> None:
    one.comes_back(error="access_denied")


def wrong_issuer(one: Try) -> None:
    one.comes_back(iss="https://login.evil.example")


def metadata_of_another(one: Try) -> None:
    one.provider.metadata["issuer"] = "https://login.evil.example"
    one.browser.visit(one.link)


def down_at_the_start(one: Try) -> None:
    one.provider.replies["/.well-known/openid-configuration"] = Reply(503)
    one.browser.visit(one.link)


def down_at_the_callback(one: Try) -> None:
    callback = one.callback()
    one.provider.replies["/token"] = Reply(503)
    one.browser.visit(callback)


def slow(one: Try) -> None:
    callback = one.callback()
    one.provider.hold()
    one.browser.visit(callback)
    one.provider.release()


def answers_with_a_page(one: Try) -> None:
    callback = one.callback()
    one.provider.replies["/token"] = Reply(200, b"<html>Welcome</html>")
    one.browser.visit(callback)


def lies_about_whom_it_is_for(one: Try) -> None:
    one.provider.claims["aud"] = "another-client"
    one.comes_back()


def code_refused(one: Try) -> None:
    one.provider.replies["/token"] = Reply(400, b'{"error": "invalid_grant"}')
    one.comes_back()


def wrong_e_mail(one: Try) -> None:
    one.provider.claims["email"] = "ben@example.com"
    one.comes_back()


def expired(one: Try) -> None:
    callback = one.callback()
    one.later[0] += 601
    one.browser.visit(callback)


def replayed(one: Try) -> None:
    callback = one.callback()
    one.browser.visit(callback)
    one.browser.visit(callback)


def in_another_browser(one: Try) -> None:
    callback = one.callback()
    Browser(lambda: one.bot.url, "ben").visit(callback)


def without_cookies(one: Try) -> None:
    callback = one.callback()
    one.browser.forget_cookies()
    one.browser.visit(callback)


def no_said(one: Try) -> None:
    one.comes_back()
    one.browser.answers("no")


def yes_after_no(one: Try) -> None:
    one.comes_back()
    one.browser.answers("no")
    one.browser.answers_again()


def yes_too_late(one: Try) -> None:
    one.comes_back()
    one.later[0] += 601
    one.browser.answers("yes")


def yes_in_another_browser(one: Try) -> None:
    one.comes_back()
    thief = Browser(lambda: one.bot.url, "ben")
    thief.page = one.browser.page
    thief.answers("yes")


def yes_of_another_site(one: Try) -> None:
    one.comes_back()
    one.browser.answers("yes", Origin="https://evil.example")


def fault_at_the_start(one: Try) -> None:
    rename(one.bot, "oauth_states", "elsewhere")
    one.browser.visit(one.link)
    rename(one.bot, "elsewhere", "oauth_states")


def fault_at_the_callback(one: Try) -> None:
    callback = one.callback()
    rename(one.bot, "confirmations", "elsewhere")
    one.browser.visit(callback)
    rename(one.bot, "elsewhere", "confirmations")


def fault_at_the_yes(one: Try) -> None:
    one.comes_back()
    rename(one.bot, "accounts", "elsewhere")
    one.browser.answers("yes")
    rename(one.bot, "elsewhere", "accounts")


AWAY = "The sign-in server of HR gave no answer. Try again in a few minutes."
ODD = "The sign-in server of HR gave an answer that cannot be trusted or understood. Ask whoever runs this bot to look at its log."
ELSEWHERE = (
    "This sign-in began in another browser, or your browser keeps no cookies, so nothing was connected. Go back to Slack, press Connect, "
    "and stay in the browser that opens. If that wasn't you, somebody else has seen your link or where it led; they gained no access."
)
LATE = "This sign-in took more than ten minutes, so nothing was connected. Go back to Slack and press Connect again."
FAULT = (
    "Something went wrong on my side. My Home tab in Slack shows whether your HR account is connected; if it isn't, press Connect "
    "there. If this happens again, tell whoever runs this bot the reference "
)
USED = "My Home tab in Slack shows whether your account is connected."
Failures = list[tuple[Callable[[Try], None], str]]
AT_THE_START: Failures = [
    (metadata_of_another, ODD),
    (down_at_the_start, AWAY),
    (fault_at_the_start, FAULT),
]
AT_THE_CALLBACK: Failures = [
    (denied, "The sign-in at HR was denied or cancelled. Connect again to try once more."),
    (wrong_issuer, "The answer from HR does not belong to this sign-in, so nothing was connected. Connect again."),
    (down_at_the_callback, AWAY),
    (slow, AWAY),
    (answers_with_a_page, ODD),
    (lies_about_whom_it_is_for, ODD),
    (code_refused, "The sign-in at HR is no longer valid. Connect your account again."),
    (wrong_e_mail, "Sign in with your own account. If someone sent you a link for this, don't use it."),
    (expired, LATE),
    (replayed, USED),
    (in_another_browser, ELSEWHERE),
    (without_cookies, ELSEWHERE),
    (fault_at_the_callback, FAULT),
]
AT_THE_YES: Failures = [
    (
        no_said,
        "On my page the answer was No, so no HR account was connected. Press Connect to try again.",
    ),
    (yes_after_no, USED),
    (yes_too_late, LATE),
    (yes_in_another_browser, ELSEWHERE),
    (
        yes_of_another_site,
        "This answer didn't come from my own page, so nothing was connected. Go back to Slack and press Connect again.",
    ),
    (fault_at_the_yes, FAULT),
]
# In App Home one of each step: what fails is told by the same lines, wherever it began.
AT_HOME = [
    one
    for one in AT_THE_START + AT_THE_CALLBACK + AT_THE_YES
    if one[0] in {denied, down_at_the_start, no_said, fault_at_the_yes}
]


@pytest.mark.parametrize(
    ("begun", "failures"),
    [("question", AT_THE_START), ("question", AT_THE_CALLBACK), ("question", AT_THE_YES), ("home", AT_HOME)],
    indirect=["begun"],
    ids=["at the start", "at the callback", "at the yes", "from home"],
)
def test_what_went_wrong_and_what_to_do_is_told_in_slack_to_its_person_alone(
    begun: Try, model: Script, failures: Failures
) -> None:
    """Try after try fails, each in its own way, and none spoils the next; the last one connects."""
    for fails, words in failures:
        fails(begun)
        begun.workspace.wait(lambda words=words: words in begun.told())  # type: ignore[misc]
        assert begun.workspace.ephemerals("U0BEN") == []
        if begun.begun == "question":
            assert "Your question is still waiting, until" in begun.told(), fails.__name__
        assert rows(begun.bot.settings.database_url, "accounts") == [], fails.__name__
        assert len(rows(begun.bot.settings.database_url, "failed_tries")) == 1, fails.__name__
        begun.begins_again()
    model.will(says("It went on."))
    begun.comes_back()
    begun.browser.answers("yes")
    assert "Your account is connected." in begun.browser.text
    assert rows(begun.bot.settings.database_url, "failed_tries") == []
    if begun.begun == "home":
        begun.workspace.wait(lambda: "HR: connected as" in begun.told())
        assert "The last try to connect it failed" not in begun.told()
        assert told_in_thread(begun) == []


def told_in_thread(begun: Try) -> list[dict[str, Any]]:
    """The posts about tries that failed."""
    return [one for one in rows(begun.bot.settings.database_url, "posts") if one["post"].startswith("connect/")]


# --- who is told ------------------------------------------------------------------------------------------------------


def test_a_new_try_takes_the_words_about_the_last_one_away(begun: Try) -> None:
    denied(begun)
    begun.workspace.wait(lambda: "was denied or cancelled" in begun.told())
    begun.callback()
    begun.workspace.open_home("U0ANN")
    begun.workspace.wait(lambda: "HR: not connected." in card_text(begun.workspace.home("U0ANN") or {}))
    until(lambda: "was denied" not in card_text(begun.workspace.home("U0ANN") or {}))


def test_whoever_is_led_to_anothers_callback_is_told_on_the_page_and_its_owner_in_slack(
    begun: Try, workspace: Workspace
) -> None:
    """Ann has Ben's browser come back with what she began: he is signed in to nothing, and nothing is said to him in Slack."""
    workspace.open_home("U0BEN")
    workspace.wait(lambda: workspace.home("U0BEN"))
    callback = begun.callback()
    victim = Browser(lambda: begun.bot.url, "ben")
    victim.visit(callback)
    assert "This sign-in began in another browser" in victim.text
    assert "somebody else has seen your link" not in victim.text
    begun.workspace.wait(lambda: "somebody else has seen your link" in begun.told())
    home: Any = workspace.home("U0BEN")
    assert "began in another browser" not in card_text(home)
    assert workspace.ephemerals("U0BEN") == []


@FROM_A_QUESTION
def test_of_a_state_that_nobody_made_nobody_is_told(begun: Try) -> None:
    begun.browser.visit(f"{PUBLIC}/oauth/callback?state=made-up&code=c")
    begun.browser.visit(f"{PUBLIC}/oauth/start?link=made-up")
    assert begun.browser.page.status_code == 400
    assert rows(begun.bot.settings.database_url, "failed_tries") == []


def test_a_link_whose_question_is_over_is_told_in_home(
    begun: Try, workspace: Workspace, ann: Person, model: Script
) -> None:
    begun.later[0] = 30 * 3_600.0  # longer than a question waits, or a link in Home is good for
    workspace.open_home("U0ANN")
    begun.browser.visit(begun.link)
    assert "This link doesn't work any more" in begun.browser.text
    workspace.wait(lambda: "This link doesn't work any more" in card_text(workspace.home("U0ANN") or {}))


@FROM_A_QUESTION
def test_who_fails_without_end_is_told_so_often_in_a_thread_and_no_more(begun: Try, workspace: Workspace) -> None:
    """Twenty times: here once, 17 times as if, and then as often as it takes."""
    denied(begun)
    until(lambda: [one["state"] for one in told_in_thread(begun)] == ["sent"])
    (told,) = told_in_thread(begun)
    copies = [told | {"id": told["id"] + number, "post": f"connect/{number}"} for number in range(1_000, 1_017)]
    with looking_into(begun.bot.settings.database_url) as engine, engine.begin() as db:
        names = ", ".join(told)
        db.execute(text(f"insert into posts ({names}) values ({', '.join(f':{name}' for name in told)})"), copies)
    for number in (19, 20, 20, 20):
        begun.link = link_in(workspace.ephemerals("U0ANN")[-1])
        denied(begun)
        assert len(told_in_thread(begun)) == number
    assert len(rows(begun.bot.settings.database_url, "failed_tries")) == 1


def test_who_is_not_told_by_slack_who_somebody_is_says_so_there(
    start_bot: StartBot, workspace: Workspace, provider: PeculiarProvider
) -> None:
    """Slack cannot be asked for the person's name, and yet the person is known by the link."""
    see_addresses(workspace)
    bot = start_bot(catalog=CATALOG.format(issuer=provider.url), public_url=PUBLIC, token_key=KEY, allow_guests=True)
    workspace.fault("users.info", "http_500", times=50)
    workspace.open_home("U0ANN")
    browser = Browser(lambda: bot.url, "ann")
    browser.visit(link_in_home(workspace))
    words = (
        "Slack can't tell me who you are right now, so nothing was connected. Please press Connect again in a minute."
    )
    assert words in browser.text
    workspace.wait(lambda: words in card_text(workspace.home("U0ANN") or {}))


# --- what is connected all the same -----------------------------------------------------------------------------------


def test_scopes_that_were_not_granted_are_told(begun: Try, model: Script) -> None:
    begun.provider.answer["scope"] = "openid"
    begun.comes_back()
    begun.browser.answers("yes")
    words = (
        "I was granted less than I asked for (missing: hr.read). If something doesn't work, disconnect it in my Home tab and "
        "connect it again."
    )
    begun.workspace.wait(lambda: words in begun.told())


@FROM_A_QUESTION
def test_an_account_that_is_connected_twice_at_once_is_connected_once(begun: Try) -> None:
    pages = []
    for _ in range(2):
        begun.comes_back()
        pages.append(begun.browser.page)
    for page in pages:
        begun.browser.page = page
        begun.browser.answers("yes")
    assert "or another window was faster, so nothing more was done" in begun.browser.text
    begun.workspace.wait(lambda: "connected" in begun.told())
    assert "faster" not in begun.told(), "nothing failed"
    assert len(rows(begun.bot.settings.database_url, "accounts")) == 1
    until(lambda: all(one["sealed"] == "" for one in rows(begun.bot.settings.database_url, "confirmations")))
    assert begun.provider.forms("/revoke") == [], "it is the same account: some servers would end the other tokens, too"


@FROM_A_QUESTION
def test_a_sign_in_that_was_ended_at_its_server_is_told_where_the_next_question_needs_it(
    begun: Try, model: Script, ann: Person
) -> None:
    begun.comes_back()
    begun.browser.answers("yes")
    model.wait_asked()
    begun.provider.is_over = True
    begun.later[0] = 4_000  # the token has ended by then
    model.will(calls(("GET", "/people/2")))
    ann.asks("who is 2?")
    words = "Your sign-in at HR has ended. To go on, I need your own HR account"
    begun.workspace.wait(lambda: [one for one in ann.asides() if words in one])
    assert rows(begun.bot.settings.database_url, "accounts") == []


# --- grants that nobody keeps -----------------------------------------------------------------------------------------


def given_back(one: Try, count: int = 1) -> list[str]:
    """The tokens that the sign-in server got back, once there are so many."""
    until(lambda: len(one.provider.forms("/revoke")) >= count)
    return [form["token"] for form in one.provider.forms("/revoke")]


@FROM_A_QUESTION
def test_a_grant_that_is_not_to_be_kept_is_given_back(begun: Try) -> None:
    for number, ends in enumerate((no_said, wrong_e_mail, fault_at_the_callback), start=1):
        ends(begun)
        expected = [f"refresh-{one}-of-this-test" for one in range(1, number + 1)]
        assert given_back(begun, number) == expected, ends.__name__
        begun.begins_again()


@FROM_A_QUESTION
def test_a_grant_to_which_nobody_said_yes_in_time_is_given_back(begun: Try, ann: Person) -> None:
    begun.comes_back()
    assert begun.provider.forms("/revoke") == []
    begun.later[0] = 601
    ann.asks("who is 9?")  # has the bot look at its clock
    assert given_back(begun) == ["refresh-1-of-this-test"]
