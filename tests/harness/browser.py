"""A person's browser for the pages on which accounts are connected: it keeps cookies, follows where it is led, and fills in forms.

The bot stands behind a reverse proxy here, as it does in a company: people know it by PUBLIC alone, over https.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2

PUBLIC = "https://bot.example.com"


class _Proxy(httpx2.BaseTransport):
    """Hands on to the bot, wherever it listens at this moment."""

    def __init__(self, bot_url: Callable[[], str]) -> None:
        self._bot_url = bot_url
        self._line = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        inside = self._bot_url() + request.url.raw_path.decode()
        handed_on = httpx2.Request(request.method, inside, headers=request.headers, content=request.read())
        return self._line.handle_request(handed_on)


class Browser:
    """One browser of one person. `who`: as whom the person signs in; `bot_url`: where the bot behind the proxy listens, None: there is
    none, and the bot is reached by its own address."""

    def __init__(self, bot_url: Callable[[], str] | None, who: str) -> None:
        self.who = who
        self.visited: list[str] = []
        mounts = {} if bot_url is None else {PUBLIC: _Proxy(bot_url)}
        self._client = httpx2.Client(mounts=mounts, trust_env=False, follow_redirects=False, timeout=30)
        self.page = httpx2.Response(200)
        self._form = self.page

    def visit(self, url: str, until: str = "") -> str:
        """Follows where an address leads, to the first page that is one, or to the address that begins with `until`, which is not visited.
        Gives the last address."""
        for _ in range(20):
            self.visited.append(url)
            self.page = self._client.get(url)
            goal = self.page.headers.get("location")
            if goal is None:
                return url
            url = str(self.page.url.join(goal)) if not urlsplit(goal).netloc else goal
            if until and url.startswith(until):
                return url
            if urlsplit(url).path == "/auth":
                url += f"&{urlencode({'login_hint': self.who})}"
        raise AssertionError(f"led round and round: {self.visited}")

    def answers(self, answer: str = "yes", **headers: str) -> None:
        """Presses one of the buttons of the page's form, as browsers do it."""
        action = re.search(r'<form method="post" action="([^"]+)"', self.page.text)
        assert action is not None, self.text
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', self.page.text))
        self._form = self.page
        goal = urlsplit(action[1])
        sent = {"Origin": f"{goal.scheme}://{goal.netloc}", "Sec-Fetch-Site": "same-origin"} | headers
        self.page = self._client.post(html.unescape(action[1]), data=fields | {"answer": answer}, headers=sent)

    def answers_again(self) -> None:
        """Goes back to the form and presses its first button once more."""
        self.page = self._form
        self.answers("yes")

    def cookies(self) -> list[str]:
        """What the bot's cookies hold."""
        return [cookie.value or "" for cookie in self._client.cookies.jar if "connect-" in cookie.name]

    def forget_cookies(self) -> None:
        self._client.cookies.clear()

    @property
    def text(self) -> str:
        """What a page says."""
        body = re.sub(r"<style>.*?</style>", "", self.page.text, flags=re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def link_in(message: Any) -> str:
    """The address of the first button that leads somewhere."""
    found = (element.get("url") for block in message["blocks"] for element in block.get("elements", []))
    return str(next(url for url in found if url))
