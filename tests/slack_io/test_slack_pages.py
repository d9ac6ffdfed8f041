"""Slack's lists are read page after page, and end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from slack_io.slack_pages import each, next_cursor
from tests.harness.cases import each_row


class Lists:
    """Gives prepared pages and notes the cursors that were asked for."""

    def __init__(self, *pages: Mapping[str, Any]) -> None:
        self.pages = list(pages)
        self.cursors: list[str | None] = []

    def __call__(self, method: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        assert (method, arguments["limit"]) == ("conversations.list", 2)
        self.cursors.append(arguments.get("cursor"))
        return self.pages[min(len(self.cursors), len(self.pages)) - 1]


def page(*names: str, cursor: Any = "") -> dict[str, Any]:
    return {"channels": [{"name": name} for name in names], "response_metadata": {"next_cursor": cursor}}


def names(lists: Lists, most: int = 200) -> list[str]:
    return [one["name"] for one in each(lists, "conversations.list", {"limit": 2}, "channels", most=most)]


def test_pages_are_read_until_slack_names_no_next_one() -> None:
    lists = Lists(page("a", "b", cursor="2"), page("c", cursor="3"), page("d"))
    assert names(lists) == ["a", "b", "c", "d"]
    assert lists.cursors == [None, "2", "3"]


def test_the_next_page_is_asked_for_when_it_is_needed() -> None:
    lists = Lists(page("a", cursor="2"), page("b"))
    assert next(each(lists, "conversations.list", {"limit": 2}, "channels")) == {"name": "a"}
    assert lists.cursors == [None]


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        ([page("a", cursor="2"), page("b", cursor="2")], [None, "2"]),
        ([page("a", cursor="2"), page("b", cursor="3"), page("c", cursor="2")], [None, "2", "3"]),
    ],
)
def test_cursors_that_come_again_end_the_list(pages: list[dict[str, Any]], asked: list[str | None]) -> None:
    lists = Lists(*pages)
    names(lists)
    assert lists.cursors == asked


def test_a_list_without_an_end_ends_at_the_bound() -> None:
    def ask(_: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return page("a", cursor=f"{arguments.get('cursor', '')}x")

    assert len(list(each(ask, "conversations.list", {}, "channels", most=7))) == 7


@each_row(
    "odd",
    [
        {},
        {"channels": None},
        {"channels": ["a", 1]},
        {"channels": {}, "response_metadata": []},
        page(cursor=None),
        page(cursor=7),
    ],
)
def test_an_odd_page_is_one_without_items_and_the_last(odd: dict[str, Any]) -> None:
    lists = Lists(odd)
    assert names(lists) == []
    assert lists.cursors == [None]
    assert next_cursor(odd) == ""
