"""The demo's sign-in server and its API with rights, as `python -m demo --accounts` runs them; the bot is the real one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from demo.__main__ import asked_with_accounts
from demo.hr_api import HrApi
from demo.sign_in import SignIn
from tests.harness.browser import PUBLIC, Browser
from tests.harness.connecting import KEY, link_for
from tests.harness.ports import free_port
from tests.harness.whole_bot import CATALOG, Person, Script, StartBot, calls, results, says

HIRE = calls(("POST", "/api/users", {"first_name": "Zoe", "last_name": "Park"}))


class AtTheDemo(Browser):
    """A browser whose person presses a name on the demo's page."""

    def signs_in(self, link: str) -> None:
        self.visit(link)
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', self.page.text))
        answer = httpx2.post(self.visited[-1].partition("?")[0], data=fields | {"who": self.who}, trust_env=False)
        self.visit(answer.headers["location"])


@pytest.fixture
def sign_in() -> Iterator[SignIn]:
    server = SignIn(free_port(), f"{PUBLIC}/oauth/callback")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def guarded(sign_in: SignIn, tmp_path: Path) -> Iterator[HrApi]:
    api = HrApi(tmp_path / "guarded.json", 0, sign_in.whose)
    api.start()
    yield api
    api.stop()


def catalog_of(sign_in: SignIn, api: HrApi) -> str:
    return asked_with_accounts(CATALOG.read_text("utf-8"), sign_in.url).replace("${HR_API_URL}", api.url)


def test_ann_may_read_and_ben_may_write(
    start_bot: StartBot, model: Script, sign_in: SignIn, guarded: HrApi, ann: Person, ben: Person
) -> None:
    bot = start_bot(catalog=catalog_of(sign_in, guarded), public_url=PUBLIC, token_key=KEY)
    for person, who, status in ((ann, "ann", 403), (ben, "ben", 201)):
        talk = person.asks("hire Zoe Park")
        browser = AtTheDemo(lambda: bot.url, who)
        browser.signs_in(link_for(person))
        model.will(HIRE, lambda seen: says(str(results(seen)[-1]["status"])))
        browser.answers("yes")
        assert talk.answer() == str(status)


def test_who_denies_connects_nothing(start_bot: StartBot, sign_in: SignIn, guarded: HrApi, ann: Person) -> None:
    bot = start_bot(catalog=catalog_of(sign_in, guarded), public_url=PUBLIC, token_key=KEY)
    ann.asks("who works here?")
    browser = AtTheDemo(lambda: bot.url, "")
    browser.signs_in(link_for(ann))
    assert "The sign-in at HR was denied or cancelled." in browser.text
    assert guarded.requests == []
