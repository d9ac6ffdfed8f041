"""npm's oidc-provider as a sign-in server for tests: PKCE enforced, refresh tokens that rotate and may be used once, no clock tolerance.

npm install --prefix /tmp/oidc-provider oidc-provider@9
OIDC_PROVIDER=/tmp/oidc-provider/node_modules pytest ...
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import httpx2
import pytest

from tests.harness.ports import free_port
from tests.harness.whole_bot import until

NODE_MODULES = os.environ.get("OIDC_PROVIDER", "")
needs_oidc_provider = pytest.mark.skipif(
    not (NODE_MODULES and shutil.which("node")),
    reason="no oidc-provider here: npm install oidc-provider@9, and name its node_modules in OIDC_PROVIDER",
)
CALLBACK = "http://127.0.0.1:9/oauth/callback"  # where nobody listens: what is sent there is looked at, not sent
SECRET = "only for+this/test&100%"  # as forms and HTTP Basic take it encoded alone
CLIENT = {
    "client_id": "slack-bot",
    "client_secret": SECRET,
    "redirect_uris": [CALLBACK],
    "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
}


@dataclass(frozen=True)
class Exchange:
    """What the server was asked for and said at its token endpoint."""

    sent: Mapping[str, str] = field(repr=False)
    status: int
    said: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class OidcProvider:
    """A running one. `log`: what it writes."""

    issuer: str
    log: Path

    def set(self, **what: object) -> None:
        """Changes it from now on: `life`, the seconds of an access token that it gives; `down`, the paths at which connections end without
        an answer; `held`, those at which it says nothing as long as they are that."""
        httpx2.post(f"{self.issuer}/for-tests", json=what, trust_env=False).raise_for_status()

    def exchanges(self, grant_type: str = "") -> list[Exchange]:
        """All that was asked for at its token endpoint, by its own word, the oldest first; or what was so in one way."""
        lines = [line for line in self.log.read_text("utf-8").splitlines(keepends=True) if line.startswith("{")]
        found = [Exchange(**json.loads(line)) for line in lines if line.endswith("\n")]
        return [one for one in found if grant_type in ("", one.sent.get("grant_type"))]

    def end(self, token: str) -> None:
        """Ends all that came of the same sign-in as this refresh token, as its person can."""
        asked = {"token": token, "client_id": CLIENT["client_id"]}
        auth = (quote_plus(str(CLIENT["client_id"])), quote_plus(SECRET))
        httpx2.post(f"{self.issuer}/token/revocation", data=asked, auth=auth, trust_env=False).raise_for_status()

    def sign_in(self, url: str, who: str) -> dict[str, str]:
        """What a browser without a past does with the address that the bot sends it to: signs in as `who` and agrees. Gives the query
        that the callback gets."""
        separator = "&" if urlsplit(url).query else "?"
        with httpx2.Client(trust_env=False) as browser:
            answer = browser.get(f"{url}{separator}{urlencode({'login_hint': who})}")
            for _ in range(10):
                goal = str(answer.headers.get("location", ""))
                if goal.startswith(CALLBACK):
                    return dict(parse_qsl(urlsplit(goal).query))
                assert goal, f"{answer.status_code}: {answer.text[:500]}"
                answer = browser.get(goal if "://" in goal else f"{self.issuer}{goal}")
        raise AssertionError("it leads nowhere")

    def enter(self, complete_url: str) -> None:
        """What a person does with a device's code."""
        with httpx2.Client(trust_env=False, follow_redirects=True) as browser:
            page = browser.get(complete_url)
            while (form := _form(page.text)) is not None:
                page = browser.post(form[0], data=form[1])
            assert "signed in" in page.text, page.text[:500]

    def is_active(self, token: str) -> bool:
        """Whether the server would take a token."""
        asked = {"token": token}
        answer = httpx2.post(f"{self.issuer}/token/introspection", data=asked | _AS_CLIENT, trust_env=False)
        return bool(answer.json().get("active"))


_AS_CLIENT = {"client_id": "inspector", "client_secret": "only-for-this-test-and-its-inspection"}


def _form(page: str) -> tuple[str, Mapping[str, str]] | None:
    found = re.search(r"<form[^>]*action=\"([^\"]+)\"", page)
    if found is None:
        return None
    fields = re.findall(r"<input[^>]*name=\"([^\"]+)\"[^>]*value=\"([^\"]*)\"", page)
    return found[1], dict(fields)


def _without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


@contextmanager
def oidc_provider(
    folder: Path,
    *,
    life: int = 3_600,
    scopes: Sequence[str] = ("hr.read",),
    others: Sequence[Mapping[str, Any]] = (),
    **client: Any,
) -> Iterator[OidcProvider]:
    """One whose access tokens live for so many seconds. `client`: how the bot is registered there beside what is usual; `others`: how it
    is again, under other ids."""
    port = free_port()
    inspector = {**_AS_CLIENT, "redirect_uris": [], "response_types": [], "grant_types": ["client_credentials"]}
    inspector["token_endpoint_auth_method"] = "client_secret_post"
    bots = [_without_none({**CLIENT, **one}) for one in (client, *others)]
    settings = {"port": port, "life": life, "scopes": list(scopes), "clients": [*bots, inspector]}
    environment = {"PATH": os.environ["PATH"], "OIDC_PROVIDER": NODE_MODULES, "SETTINGS": json.dumps(settings)}
    log_file = folder / "oidc-provider.log"
    with log_file.open("wb") as log:
        program = str(Path(__file__).with_suffix(".mjs"))
        process = subprocess.Popen(["node", program], env=environment, stdout=log, stderr=log)
    try:
        until(lambda: "listening" in log_file.read_text("utf-8") or process.poll() is not None, 60)
        assert process.poll() is None, log_file.read_text("utf-8")[-2_000:]
        yield OidcProvider(f"http://127.0.0.1:{port}", log_file)
    finally:
        process.terminate()
        process.wait(20)
