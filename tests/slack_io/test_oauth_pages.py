"""The pages of /oauth/ before names that would like to be more than names."""

from __future__ import annotations

import pytest
from flask import Flask
from markupsafe import escape

from identity.connecting import Question
from slack_io import oauth_pages
from slack_io.oauth_routes import origin_of
from store.connections import ConnectionAsked
from tests.harness.cases import each_row

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;{{ 7 * 7 }}"


@pytest.fixture
def page() -> str:
    asked = ConnectionAsked("T0LOCAL", "U0ANN", f"HR {HOSTILE}")
    question = Question(asked, HOSTILE, HOSTILE, (HOSTILE,), 'confirmation"', "cookie")
    with Flask("test").app_context():
        return oauth_pages.asked(question, "https://bot.example.com/oauth/confirm").get_data(as_text=True)


def test_what_others_chose_is_text_and_nothing_else(page: str) -> None:
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 4
    assert page.count("{{ 7 * 7 }}") == 4, "no template is made of it"
    assert 'value="confirmation&#34;"' in page


def test_a_page_that_tells_something_does_so_as_text() -> None:
    with Flask("test").app_context():
        shown = oauth_pages.notice("Not connected", HOSTILE, 400)
    assert "<script" not in shown.get_data(as_text=True)
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    assert shown.status_code == 400


def test_a_name_turns_nothing_around_that_stands_beside_it(page: str) -> None:
    assert f"<dd><bdi>{escape(HOSTILE)}</bdi> (U0ANN)</dd>" in page


@each_row(
    "address, origin",
    [
        ("https://bot.example.com", "https://bot.example.com"),
        ("https://Bot.Example.com:443/slack", "https://bot.example.com"),
        ("https://bot.example.com:8443", "https://bot.example.com:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
    ],
)
def test_an_origin_is_named_as_browsers_name_it(address: str, origin: str) -> None:
    assert origin_of(address) == origin
