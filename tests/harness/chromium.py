"""The browser for the tests of the page: where it is, how it starts without asking its maker anything, and one window for all of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Error, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
# The list that counts is the last one, so Playwright's own is in it, but for what is of other systems; and then the pages of the address
# bar, which no test sees, and which each window loads at the cost of all that a test does.
WITHOUT = [
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxPopup",
]
# No sandbox, for containers; the rest keeps the browser from asking its maker anything.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(WITHOUT)}",
]

needs_chromium = pytest.mark.skipif(
    not os.access(CHROMIUM, os.X_OK), reason="chromium is not installed (Debian, Ubuntu: apt install chromium)"
)


class Chromium:
    """A browser that starts when somebody asks for its window, and stays until it is closed."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._window: Page | None = None

    @contextmanager
    def window(self) -> Iterator[Page]:
        """Its one window as a new one would be: empty, of one size, in the light, with the mouse in a corner; and without motion, which is
        drawn sixty times a second. Nothing may go wrong in its console."""
        page = self._window = self._window or self._opened()
        wrong: list[str] = []

        def note(error: Error) -> None:
            wrong.append(str(error))

        page.set_viewport_size({"width": 1280, "height": 700})
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.mouse.move(0, 0)
        page.on("pageerror", note)
        try:
            yield page
        finally:
            page.goto("about:blank")
            page.remove_listener("pageerror", note)
        assert wrong == []

    def _opened(self) -> Page:
        playwright = self._running.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        self._running.callback(browser.close)
        page = browser.new_page()
        page.set_default_timeout(10_000)
        return page

    def close(self) -> None:
        self._window = None
        self._running.close()
