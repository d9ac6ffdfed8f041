"""What the thinking status says of a call: things, which one or which page, and nothing that is to stay hidden."""

from __future__ import annotations

from catalog.calls import resolve
from catalog.catalog import load_catalog
from slack_io.steps import step
from tests.harness.cases import each_row

CATALOG = load_catalog(
    """
name: HR
base_url: https://hr.example.com
endpoints:
  - {method: GET, url: "/api/users?page=[page_id]", description: Lists.}
  - {method: GET, url: "/api/users/[user_id]", description: Shows.}
  - {method: GET, url: "/api/users/[user_id]/time_off", description: Shows.}
  - {method: DELETE, url: "/api/users/[user_id]", description: Removes.}
  - {method: GET, url: "/keys/[key]", description: Shows., parameters: {key: {type: string, secret: true}}}
  - {method: GET, url: "/[anything]", description: Shows.}
""",
    {},
)


@each_row(
    "method, url, told",
    [
        ("GET", "/api/users", "is reading users"),
        ("GET", "/api/users?page=2", "is reading users, page 2"),
        ("GET", "/api/users/7", "is reading users 7"),
        ("GET", "/api/users/7/time_off", "is reading time off 7"),
        ("DELETE", "/api/users/7", "is preparing a request about users 7"),
        ("GET", "/keys/topsecret", "is reading keys"),
        ("GET", "/something", "is reading HR something"),
        ("GET", "/api/users/%3C!channel%3E", "is reading users  !channel "),
    ],
)
def test_a_step_in_words(method: str, url: str, told: str) -> None:
    assert step(resolve(CATALOG, {"method": method, "url": url})) == told


def test_a_step_is_short_and_shows_what_is_invisible() -> None:
    text = step(resolve(CATALOG, {"method": "GET", "url": "/api/users/" + "%E2%81%A0x" * 40}))
    assert len(text) <= 80
    assert "\\u2060" in text
