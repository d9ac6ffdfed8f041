"""Who loses a connected account: people who are deactivated in Slack or in none of the designated channels any more, and who did not use it
for long. What Slack does not say takes nothing away."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import structlog

from base.slack_errors import SlackBusy, SlackSaysNo, SlackUnsure
from identity.accounts import Accounts
from slack_io.web_api import SlackWeb
from store.store import Store

log = structlog.get_logger("leavers")
_ROUND = 3_600.0  # seconds between two looks at the same account
_AT_ONCE = 10  # accounts of one look: each may cost Slack's look-ups
_KEPT = 600.0  # seconds for which it is believed who is in a channel
_SPARE = 9  # look-ups of a minute that are left to who decides


class Leavers:
    """Those who leave, of one bot. `channels` are those designated, ids or #names."""

    def __init__(self, accounts: Accounts, store: Store, web: SlackWeb, channels: Sequence[str]) -> None:
        self._accounts = accounts
        self._store = store
        self._web = web
        self._channels = channels
        self._line: deque[tuple[str, str, str]] = deque()
        self._next_round = 0.0

    def look(self, now: float, unused_since: float) -> None:
        """Looks at some accounts, each about once an hour, and takes away at most one: its server is asked, and may be slow. `now`:
        monotonic seconds; `unused_since`: since when an account must have been used, in seconds since 1970."""
        if not self._line and now >= self._next_round:
            self._next_round = now + _ROUND
            self._line.extend((one.team, one.who, one.api) for one in self._store.all_accounts())
        for _ in range(min(_AT_ONCE, len(self._line))):
            if self._took_away(*self._line.popleft(), unused_since):
                return

    def _took_away(self, team: str, who: str, api: str, unused_since: float) -> bool:
        account = self._accounts.of(api, team, who)
        if account is None:
            return False
        reason = "unused" if account.used_at < unused_since else self._why_gone(who)
        if reason:
            self._accounts.disconnect(api, team, who, reason)
            log.info("account taken away", api=api, who=who, reason=reason)
        return bool(reason)

    def _why_gone(self, who: str) -> str:
        """Why somebody's accounts go; empty where they stay, or nobody can tell."""
        try:
            person = self._web.person(who)
            if person is not None and person.is_gone:
                return "deactivated"
            is_out = bool(self._channels) and all(self._is_out(channel, who) for channel in self._channels)
        except (SlackBusy, SlackUnsure, SlackSaysNo):
            return ""
        return "in no channel" if is_out else ""

    def _is_out(self, channel: str, who: str) -> bool:
        """Whether somebody is known not to be in a channel."""
        found = self._web.channel_id(channel) if channel.startswith("#") else channel
        return found is not None and self._web.in_channel(found, who, kept=_KEPT, spare=_SPARE) is False
