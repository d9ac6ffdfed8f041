"""The tests of the page share a browser and its window, as long as one of them follows another."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from playwright.sync_api import Page

from tests.harness.chromium import Chromium

CHROMIUM = Chromium()


@pytest.fixture
def page() -> Iterator[Page]:
    with CHROMIUM.window() as page:
        yield page


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None]:
    """A module's fixture would end with its module, a session's would leave Playwright's loop running under all other tests."""
    try:
        yield
    finally:
        if not isinstance(nextitem, pytest.Function) or "page" not in nextitem.fixturenames:
            CHROMIUM.close()
