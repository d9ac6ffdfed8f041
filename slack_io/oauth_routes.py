"""Door to the bot for people's browsers: where they begin to connect an account, come back from the sign-in server, and say yes.

Few at once: the same threads take what Slack sends, and a sign-in server may be slow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, request

from base import metrics, words
from identity.connecting import CALLBACK, START, Connecting, NotConnectedNow
from slack_io import oauth_pages
from slack_io.app_home import AppHome
from slack_io.connect_offers import ConnectWords
from store.connections import ConnectionAsked, hashed
from store.store import Store

log = structlog.get_logger("connecting")
CONFIRM = "/oauth/confirm"
_AT_ONCE = 2  # of the four threads that also take what Slack sends
_TEN_MINUTES = 600  # seconds of a cookie


class OAuthRoutes:
    """The three routes. `address`: PUBLIC_URL without a slash at its end."""

    def __init__(
        self,
        connecting: Connecting,
        store: Store,
        home: AppHome,
        address: str,
        says: ConnectWords,
        *,
        ids: Callable[[], str],
    ) -> None:
        self._connecting = connecting
        self._store = store
        self._home = home
        self._address = address
        self._says = says
        self._ids = ids
        self._room = threading.Semaphore(_AT_ONCE)
        self._origin = origin_of(address)
        self._is_secure = self._origin.startswith("https:")

    def add_to(self, app: Flask) -> None:
        """Adds them."""
        app.get(START)(self._guarded("start", self._start))
        app.get(CALLBACK)(self._guarded("callback", self._callback))
        app.post(CONFIRM)(self._guarded("confirm", self._confirm))

    def _guarded(self, name: str, do: Callable[[], Response]) -> Callable[[], Response]:
        """A route whose every failure is a page, and is told to its person in Slack where that is known."""

        def route() -> Response:
            if not self._room.acquire(blocking=False):
                busy = oauth_pages.notice(words.CONNECT_PAGE_NOT_DONE, words.CONNECT_BUSY, 503)
                busy.headers["Retry-After"] = "3"
                return busy
            try:
                return self._answered(do)
            except Exception:  # the boundary of a route: a person looks at it
                return self._fault(name)
            finally:
                self._room.release()

        route.__name__ = f"oauth_{name}"
        return route

    def _answered(self, do: Callable[[], Response]) -> Response:
        try:
            return do()
        except NotConnectedNow as error:
            self._tell(error)
            return oauth_pages.notice(words.CONNECT_PAGE_NOT_DONE, str(error), 400)

    def _fault(self, name: str) -> Response:
        """Tells of a fault with a reference: on the page in any case, in Slack where it is known to whom, and can be."""
        metrics.FAULTS.inc()
        reference = self._ids()[:8]
        log.exception("a page failed", route=name, reference=reference)
        told = words.CONNECT_FAULT.format(api=words.CONNECT_THIS_API, reference=reference)
        try:
            asked = self._whose()
            if asked is not None:
                told = words.CONNECT_FAULT.format(api=asked.api, reference=reference)
                self._tell(NotConnectedNow(told, asked, f"fault.{hashed(str(self._given()))}"))
        except Exception:  # the database may be what is at fault
            log.exception("a page's failure was not told in Slack", route=name, reference=reference)
        return oauth_pages.notice(words.CONNECT_PAGE_NOT_DONE, told, 500)

    def _given(self) -> dict[str, str]:
        """What a request has that was made for one person."""
        given = request.form if request.method == "POST" else request.args
        return {name: given[name] for name in ("link", "state", "confirmation") if given.get(name)}

    def _whose(self) -> ConnectionAsked | None:
        return self._connecting.whose(**self._given())

    def _tell(self, error: NotConnectedNow) -> None:
        failed = self._says.not_connected(error)
        if failed is not None:
            self._store.add_failed(failed)
            self._home.account_changed(failed.asked.who, failed.asked.team)

    # --- the routes ---------------------------------------------------------------------------------------------------

    def _start(self) -> Response:
        departure = self._connecting.start(request.args.get("link", ""))
        if departure.was_told is not None:
            self._home.account_changed(departure.was_told.who, departure.was_told.team)
        leads = {"Location": departure.url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        away = Response(status=303, headers=leads)
        self._set_cookie(away, departure.state, departure.cookie)
        return away

    def _callback(self) -> Response:
        params = request.args.to_dict()
        state = params.get("state", "")
        question = self._connecting.came_back(params, self._cookie(state))
        page = oauth_pages.asked(question, self._address + CONFIRM)
        self._set_cookie(page, state, "", age=0)
        self._set_cookie(page, question.confirmation, question.cookie)
        return page

    def _confirm(self) -> Response:
        self._check_origin()
        confirmation = request.form.get("confirmation", "")
        cookie = self._cookie(confirmation)
        if request.form.get("answer") != "yes":
            asked = self._connecting.decline(confirmation, cookie)
            self._tell(NotConnectedNow(words.CONNECT_SAID_NO.format(api=asked.api), asked, confirmation))
            page = oauth_pages.notice(words.CONNECT_PAGE_NOT_DONE, words.CONNECT_DECLINED)
        else:
            asked, _ = self._connecting.confirm(confirmation, cookie, self._says.connected)
            self._home.account_changed(asked.who, asked.team)
            page = oauth_pages.notice(words.CONNECT_PAGE_DONE, words.CONNECT_DONE)
        self._set_cookie(page, confirmation, "", age=0)
        return page

    def _check_origin(self) -> None:
        """Raises `NotConnectedNow` where another site's page sent the form, by the browser's own word."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if origin not in (None, self._origin) or site not in (None, "same-origin"):
            log.warning("an answer of another site's page", origin=str(origin)[:200])
            raise NotConnectedNow(
                words.CONNECT_FOREIGN, self._whose(), f"foreign.{request.form.get('confirmation', '')}"
            )

    # --- cookies ------------------------------------------------------------------------------------------------------

    def _name(self, of: str) -> str:
        """Each try has a cookie of its own, so that two tabs do not take each other's."""
        return f"{'__Host-' if self._is_secure else ''}connect-{hashed(of)[:16]}"

    def _cookie(self, of: str) -> str:
        return request.cookies.get(self._name(of), "")

    def _set_cookie(self, response: Response, of: str, value: str, age: int = _TEN_MINUTES) -> None:
        response.set_cookie(
            self._name(of), value, max_age=age, path="/", secure=self._is_secure, httponly=True, samesite="Lax"
        )


def origin_of(address: str) -> str:
    """How browsers name the place of an address, in small letters and without the port that its scheme has anyhow:
    https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin."""
    place = urlsplit(address)
    usual = ":443" if place.scheme == "https" else ":80"
    return f"{place.scheme}://{place.netloc.lower().removesuffix(usual)}"
