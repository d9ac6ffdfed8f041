"""Door to Slack's Web API: one call at a time, its failures sorted by what may be done about them, at the pace that Slack allows.

Also the directory: who a person is and what a channel is called, looked up and kept for a while.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpx2
import structlog
from cachetools import TTLCache
from slack_sdk.errors import SlackApiError, SlackRequestError

from base import metrics
from base.deadline import BROKEN
from base.proxies import STRAIGHT, WayOut
from base.settings import Settings
from base.slack_errors import LockedOut, SlackBusy, SlackSaysNo, SlackUnsure
from base.tracing import span
from base.unpack import TooLarge
from catalog.askers import is_group
from gate.authority import KEEP_MEMBERS
from slack_io.bounded_client import BoundedClient
from slack_io.memberships import Rolls
from slack_io.pace import InLine, OwnPace, Pace
from slack_io.people import BotUser, Person, person_of
from slack_io.slack_app import advice, lacking
from slack_io.slack_pages import each, next_cursor

log = structlog.get_logger("web_api")
_Value = TypeVar("_Value")

_JSON = frozenset(
    {
        "views.open",
        "views.update",
        "views.publish",
        "chat.postMessage",
        "chat.update",
        "chat.postEphemeral",
        "chat.delete",
        "chat.startStream",
        "chat.appendStream",
        "chat.stopStream",
        "reactions.add",
        "assistant.threads.setStatus",
        "assistant.threads.setTitle",
        "assistant.threads.setSuggestedPrompts",
        "agents.sessions.setStatus",
    }
)
_KEEP_PERSON = 600.0  # seconds for which a look-up is believed
_KEEP_CHANNEL = 3_600.0
_KEEP_ENTRIES = 5_000
_BUSY = frozenset({"ratelimited", "rate_limited"})
_UNSURE = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_LOCKED_OUT = frozenset({"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"})


# The last three are the library's: JSON that is no object, a charset that there is none of, JSON nested too deeply.
_NO_ANSWER = (
    SlackRequestError,
    httpx2.HTTPError,
    *BROKEN,
    TooLarge,
    OSError,
    ValueError,
    AttributeError,
    LookupError,
    RecursionError,
)


class SlackWeb:
    """Slack's Web API for one token, that of `setting`. Thread-safe: each call opens its own connection.

    `explain`: what to do about a refusal is logged, and not only given with the exception.
    """

    def __init__(
        self,
        token: str,
        base_url: str,
        *,
        timeout: int = 10,
        clock: Callable[[], float] = time.monotonic,
        setting: str = "SLACK_BOT_TOKEN",
        explain: bool = True,
        way: WayOut = STRAIGHT,
        pace: Pace | None = None,
    ) -> None:
        self.state = "not asked yet"  # how the latest call ended: ok, or what was wrong
        self.granted: frozenset[str] | None = None  # the token's scopes by Slack's latest answer, where it told them
        self._setting = setting
        self._explains = explain
        self._told: dict[str, set[str]] = {}  # method -> error codes that were explained since it last worked
        # the library's own retry handlers would post a message again whose first answer was lost
        self._client = BoundedClient(way=way, token=token, base_url=base_url, timeout=timeout, retry_handlers=[])
        self._host = urlsplit(base_url).hostname or ""
        self._pace = InLine(pace or OwnPace(clock), clock)
        self._whose = threading.local()  # .lane: for whom this thread of the process calls
        self._people: _Kept[Person] = _Kept(clock, _KEEP_PERSON)
        self._channels: _Kept[str] = _Kept(clock, _KEEP_CHANNEL)
        self._groups: _Kept[str] = _Kept(clock, _KEEP_PERSON)
        self._no_groups: _Kept[bool] = _Kept(clock, KEEP_MEMBERS)
        self._of_groups = Rolls(self._page_of_group, clock)
        self._of_channels = Rolls(self._page_of_channel, clock)
        self._identity: BotUser | None = None

    def call(self, method: str, arguments: Mapping[str, Any], *, spare: int = 0) -> dict[str, Any]:
        """One call. Raises `SlackBusy` (also where our own pace says wait), `SlackUnsure` or `SlackSaysNo`.

        With `spare`, it waits unless so many more calls of this method would still be free: for what can wait better than others.
        """
        lane = getattr(self._whose, "lane", "")
        wait = self._pace.take(method, str(arguments.get("channel", "")), spare, lane=lane)
        if wait > 0:
            raise SlackBusy(wait)
        with self._measured(method):
            return self._call(method, arguments)

    @contextmanager
    def on_behalf_of(self, somebody: str) -> Iterator[None]:
        """What is called inside is for this person; where many wait for Slack's pace, people take turns."""
        before, self._whose.lane = getattr(self._whose, "lane", ""), somebody
        try:
            yield
        finally:
            self._whose.lane = before

    @contextmanager
    def _measured(self, method: str) -> Iterator[None]:
        """Counts, times and traces one call."""
        began, outcome = time.monotonic(), "unsure"
        asks = {"http.request.method": "POST", "url.template": f"/api/{method}", "server.address": self._host}
        try:
            with span(f"POST {method}", "client", asks):
                yield
            outcome = "ok"
        except SlackBusy:
            outcome = "busy"
            metrics.RATE_LIMITED.labels("slack").inc()
            raise
        except SlackSaysNo:
            outcome = "refused"
            raise
        finally:
            metrics.SLACK_CALLS.labels(method, outcome).inc()
            metrics.SLACK_CALL_SECONDS.observe(time.monotonic() - began)

    def _call(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            if method in _JSON:
                response = self._client.api_call(method, json=dict(arguments))
            else:
                response = self._client.api_call(method, params=dict(arguments))
        except SlackApiError as error:
            sorted_ = self._sorted(method, error.response)
            self.state = _state(sorted_)
            raise sorted_ from error
        except _NO_ANSWER as error:
            self.state = _state(unsure := SlackUnsure(type(error).__name__))
            raise unsure from error
        self.state = "ok"
        self._told.pop(method, None)
        scopes = _header(response.headers, "x-oauth-scopes")
        self.granted = frozenset(part.strip() for part in scopes.split(",")) if scopes is not None else self.granted
        data = response.data
        return data if isinstance(data, dict) else {}

    def _sorted(self, method: str, response: Any) -> Exception:
        """Slack's refusal as one of the three. `response` may be the library's object or a mere dict."""
        status = (
            getattr(response, "status_code", None)
            or (response.get("status") if isinstance(response, dict) else None)
            or 200
        )
        data = getattr(response, "data", response)
        code = data.get("error") if isinstance(data, dict) else None
        headers = (
            getattr(response, "headers", None)
            or (response.get("headers") if isinstance(response, dict) else None)
            or {}
        )
        if status == http.client.TOO_MANY_REQUESTS or code in _BUSY:
            after = _retry_after(headers)
            self._pace.hold(method, after)
            return SlackBusy(after)
        if status >= http.client.INTERNAL_SERVER_ERROR or code in _UNSURE or not _is_code(code):
            return SlackUnsure(f"HTTP {status} {code}" if _is_code(code) else f"HTTP {status}")
        hint = advice(str(code), self._setting, _text(data.get("needed")))
        if hint is not None and self._explains:
            self._explain(method, str(code), hint)
        return LockedOut(str(code), hint) if code in _LOCKED_OUT else SlackSaysNo(str(code), hint)

    def _explain(self, method: str, code: str, hint: str) -> None:
        """Logs what to do about an error code, once until the method has worked again."""
        told = self._told.setdefault(method, set())
        if code not in told:
            told.add(code)
            log.error("slack says no", method=method, error=code, hint=hint)

    def open_socket(self) -> str:
        """The address of a new WebSocket, good for one connection; it holds a secret. Needs the app-level token."""
        url = _text(self.call("apps.connections.open", {}).get("url"))
        if not url.startswith(("wss://", "ws://")):
            raise SlackUnsure("no address of a socket")
        return url

    # --- the directory ------------------------------------------------------------------------------------------------

    def identity(self) -> BotUser:
        """Who the bot is, asked once."""
        if self._identity is None:
            data = self.call("auth.test", {})
            self._identity = BotUser(
                _text(data.get("user_id")),
                _text(data.get("team_id")),
                _text(data.get("enterprise_id")),
                _text(data.get("url")),
                _text(data.get("bot_id")),
                _text(data.get("app_id")),
            )
        return self._identity

    def is_outsider(self, user: str) -> bool | None:
        """Whether a person is a guest, of another organisation or gone; None where Slack does not say."""
        person = self.person(user)
        return person.is_outsider if person is not None else None

    def person(self, user: str) -> Person | None:
        """Who somebody is, or None where Slack does not say. Kept for ten minutes."""
        if (kept := self._people.get(user)) is not None:
            return kept
        try:
            data = self.call("users.info", {"user": user}).get("user")
        except SlackSaysNo as error:
            log.warning("person unknown", user=user, error=error.code)
            return None
        if not isinstance(data, dict):
            return None
        person = person_of(data, self.identity())
        self._people.put(user, person)
        return person

    def email(self, user: str) -> str:
        """The e-mail address of a full member; empty where Slack shows none, and of others: their own organisations say what it is."""
        person = self.person(user)
        return person.email if person is not None and not person.is_outsider else ""

    def email_domain(self, user: str) -> str | None:
        """The domain of somebody's e-mail address, empty where none counts; None where Slack does not say. Kept for ten minutes."""
        person = self.person(user)
        return person.domain if person is not None else None

    def group_id(self, handle: str, *, insists: bool = False) -> str | None:
        """The id of the user group with this handle, or None where Slack does not say. Kept for ten minutes, that there is none for
        seconds. `insists`: raises `SlackBusy` or `SlackUnsure` where it cannot be known now."""
        kept = self._groups.get(handle)
        if kept is not None or self._no_groups.get(handle) is not None:
            return kept
        try:
            groups = self.call("usergroups.list", {}).get("usergroups")
        except (SlackSaysNo, SlackBusy, SlackUnsure) as error:
            log.warning(
                "group unknown", group=handle, reason=str(error), hint="groups need usergroups:read and a paid plan"
            )
            if insists and not isinstance(error, SlackSaysNo):
                raise
            return None
        for group in groups if isinstance(groups, list) else ():
            if isinstance(group, dict) and isinstance(group.get("id"), str) and not group.get("date_delete"):
                self._groups.put(_text(group.get("handle")), group["id"])
        known = self._groups.get(handle)
        if known is None:
            log.error("group unknown", group=handle, hint="no such handle; the group counts as empty")
            self._no_groups.put(handle, True)
        return known

    def check_channels(self, channels: Iterable[str]) -> None:
        """At a start: logs a token that Slack refuses, and designated channels (`#name`) that it does not have."""
        try:
            self.identity()
        except (SlackBusy, SlackUnsure, SlackSaysNo):
            return  # logged where it happened
        for name in channels:
            if name.startswith("#") and self.channel_id(name) is None:
                hint = "correct SLACK_CHANNEL, or invite the bot, if the channel is private"
                log.warning("no such channel", channel=name, hint=hint)

    def check_people(
        self, approvers: Iterable[str], askers: Iterable[str], needed: Mapping[str, Collection[str]]
    ) -> None:
        """When a catalog is taken: logs the user groups among whom it names that Slack does not have, and what needs scopes that the bot
        has not."""
        for name in sorted({*approvers, *askers}):
            if name.startswith("@"):
                self.group_id(name.removeprefix("@"))
            elif is_group(name):
                with contextlib.suppress(SlackBusy, SlackUnsure):
                    self.in_group(name, "")
        for problem in lacking(self.granted, needed):
            log.error("a scope is missing", reason=problem)

    def in_group(self, group: str, user: str, *, kept: float = KEEP_MEMBERS, spare: int = 0) -> bool | None:
        """Whether a group has this member, by a look-up at most `kept` seconds old; None where Slack does not say. `spare`: as with
        `call`."""
        return self._of_groups.has(group, user, kept=kept, spare=spare)

    def _page_of_group(self, group: str, _cursor: str, spare: int) -> tuple[list[str], str] | None:
        try:
            members = self.call("usergroups.users.list", {"usergroup": group}, spare=spare).get("users")
        except SlackSaysNo as error:
            log.warning("group unknown", group=group, code=error.code, hint="the group counts as empty")
            return None
        return (_texts(members), "") if isinstance(members, list) else None

    def in_channel(self, channel: str, user: str, *, kept: float = KEEP_MEMBERS, spare: int = 0) -> bool | None:
        """Whether a channel has this member, by a look-up at most `kept` seconds old; None where Slack does not say. `spare`: as with
        `call`."""
        return self._of_channels.has(channel, user, kept=kept, spare=spare)

    def _page_of_channel(self, channel: str, cursor: str, spare: int) -> tuple[list[str], str] | None:
        asked = {"channel": channel, "limit": "999"} | ({"cursor": cursor} if cursor else {})
        try:
            page = self.call("conversations.members", asked, spare=spare)
        except SlackSaysNo as error:
            log.warning("members unknown", channel=channel, code=error.code)
            return None
        members = page.get("members")
        return (_texts(members), next_cursor(page)) if isinstance(members, list) else None

    # --- views --------------------------------------------------------------------------------------------------------

    def open_view(self, trigger: str, view: Mapping[str, Any]) -> None:
        """Opens a modal. Raises `SlackSaysNo` where the trigger is too old, used or forged."""
        self.call("views.open", {"trigger_id": trigger, "view": dict(view)})

    def update_view(self, view_id: str, view: Mapping[str, Any]) -> None:
        """Replaces an open modal's content."""
        self.call("views.update", {"view_id": view_id, "view": dict(view)})

    def publish_home(self, user: str, blocks: Sequence[Mapping[str, Any]]) -> None:
        """Replaces a person's App Home."""
        self.call("views.publish", {"user_id": user, "view": {"type": "home", "blocks": list(blocks)}})

    # --- names --------------------------------------------------------------------------------------------------------

    def channel_id(self, name: str) -> str | None:
        """The id of the channel with this name (with or without '#'), or None where Slack does not say. Kept for an hour."""
        name = name.removeprefix("#")
        if (kept := self._channels.get(f"#{name}")) is not None:
            return kept
        asked = {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": "999"}
        try:
            for one in each(self.call, "conversations.list", asked, "channels"):
                if one.get("name") == name and isinstance(one.get("id"), str):
                    self._channels.put(f"#{name}", one["id"])
                    return str(one["id"])
        except (SlackSaysNo, SlackBusy, SlackUnsure) as error:
            log.warning("channels unknown", reason=str(error), hint="SLACK_CHANNEL takes ids, too")
        return None

    def direct_channel(self, user: str) -> str:
        """The channel of somebody's direct message with the bot, kept for an hour. Raises what `call` raises."""
        if (kept := self._channels.get(user)) is not None:
            return str(kept)
        opened = self.call("conversations.open", {"users": user}).get("channel")
        channel = opened.get("id") if isinstance(opened, dict) else None
        if not isinstance(channel, str):
            raise SlackUnsure("conversations.open gave no channel")
        self._channels.put(user, channel)
        return channel

    def channel_name(self, channel: str) -> str | None:
        """A channel's name without '#', or None where Slack does not say. Kept for an hour."""
        if (kept := self._channels.get(channel)) is not None:
            return kept
        try:
            found = self.call("conversations.info", {"channel": channel}).get("channel")
        except SlackSaysNo as error:
            log.warning(
                "channel unknown",
                channel=channel,
                error=error.code,
                hint="SLACK_CHANNEL takes ids, too; #names need channels:read",
            )
            return None
        name = found.get("name") if isinstance(found, dict) else None
        if isinstance(name, str):
            self._channels.put(channel, name)
            return name
        return None


def web_of(settings: Settings, *, explain: bool = True, pace: Pace | None = None) -> SlackWeb:
    """The Web API by the bot's token; `explain` has what is refused logged with what to click."""
    token = settings.slack_bot_token.get_secret_value()
    return SlackWeb(token, settings.slack_api_url, explain=explain, way=settings.way_out, pace=pace)


def app_web_of(settings: Settings, *, explain: bool = True) -> SlackWeb | None:
    """The Web API by the app-level token, in socket mode."""
    if settings.slack_app_token is None:
        return None
    token = settings.slack_app_token.get_secret_value()
    url, way = settings.slack_api_url, settings.way_out
    return SlackWeb(token, url, setting="SLACK_APP_TOKEN", explain=explain, way=way)


def _is_code(code: object) -> bool:
    """Whether this is an error of Slack's own, and not a proxy's page that the library took for one."""
    return isinstance(code, str) and re.fullmatch(r"[a-z0-9_:.-]{1,100}", code) is not None


def _header(headers: Mapping[str, Any], name: str) -> str | None:
    return next((str(value) for key, value in headers.items() if key.lower() == name), None)


def _retry_after(headers: Mapping[str, Any]) -> float:
    try:
        told = float(_header(headers, "retry-after") or 1)
    except ValueError:
        return 1.0
    return 1.0 if math.isnan(told) else min(max(told, 0.1), 3_600.0)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _state(error: Exception) -> str:
    """What a failure tells of Slack: one that is about a single thing, such as a message that is gone, tells that it works."""
    match error:
        case LockedOut():
            return f"refused ({error.code})"
        case SlackUnsure():
            return f"no answer ({error})"
        case SlackBusy():
            return "busy"
    return "ok"


def _texts(values: list[Any]) -> list[str]:
    return [one for one in values if isinstance(one, str)]


class _Kept(Generic[_Value]):
    """What was looked up, for so many seconds. Thread-safe, which the library's cache is not."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._entries: TTLCache[str, _Value] = TTLCache(_KEEP_ENTRIES, seconds, timer=clock)
        self._lock = threading.Lock()

    def get(self, key: str) -> _Value | None:
        with self._lock:
            return self._entries.get(key)

    def put(self, key: str, value: _Value) -> None:
        with self._lock:
            self._entries[key] = value
