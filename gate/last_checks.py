"""What is checked right before an approved proposal is sent: the catalog of today, its rule of today, and the target as it is now."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from base import words
from base.json_text import loads
from base.slack_errors import SlackBusy, SlackUnsure
from catalog.bad_call import BadCall
from catalog.call_bodies import body_of
from catalog.call_values import check_values, headers_of
from catalog.calls import Call
from catalog.catalog import Catalog
from catalog.matching import match
from catalog.rules import Rule
from gate.api_client import Unsent
from gate.authority import Authority, CatalogPart
from gate.card_lines import path_text
from gate.policy import Write, sort
from gate.proposals import only_for_by_rule
from gate.reads import Reads, caller_of
from gate.target_diff import Path, Target, Watch, differing
from gate.targets import TargetReader
from identity.callers import NotConnected
from identity.identities import Identities
from store.proposal_record import Proposal

_MOST_MOVED = 50  # fields that moved by themselves, of which a row tells
_PATIENCE, _TRY_AGAIN = 10.0, 1.0  # seconds for which Slack is asked again who may ask for what, and between two tries
_STRONG = re.compile(r'"[\x21\x23-\x7e]*"')  # If-Match compares strongly: RFC 9110, 13.1.1


class NotTheirs(BadCall):
    """Who asked for a request may not ask for it any more. The model hears what it hears of any request that is not allowed."""

    def __init__(self) -> None:
        super().__init__("The catalog no longer allows this request.")


class TargetChanged(Exception):
    """A write's target is no longer what its card showed: how it is now (None: it was not read), and what of it changed."""

    def __init__(self, target: Target | None, changed: Collection[Path]) -> None:
        super().__init__("changed")
        self.target = target
        self.changed = changed


@dataclass(frozen=True)
class LastLook:
    """A target as it was found right before sending: its ETag where it is a strong one and stands still, and what of it moved by
    itself: (field, what the card showed, what it is now)."""

    etag: str = ""
    moved: tuple[tuple[str, str, str], ...] = ()


class LastChecks:
    """The last checks of one gate. `settles` is seconds between two looks at a target that seems to have changed."""

    def __init__(
        self, authority: Authority, identities: Identities, reads: Reads, targets: TargetReader, *, settles: float
    ) -> None:
        self._authority = authority
        self._identities = identities
        self._reads = reads
        self._targets = targets
        self._settles = settles

    # --- the catalog --------------------------------------------------------------------------------------------------

    def still_allowed(self, stored: Proposal) -> Call:
        """The proposal as a call of today's catalog, which has to allow the very same one, and its asker to ask for it. Raises `BadCall`,
        `NotTheirs`, and `Unsent` where Slack does not say what its asker may ask for."""
        mine = self._mine(stored)
        try:
            return self._allowed(mine.catalog, stored)
        except BadCall:
            if mine.is_unsure:
                raise Unsent(words.ASKER_UNKNOWN) from None
            if self._would_be_allowed(stored):
                raise NotTheirs from None
            raise

    def _mine(self, stored: Proposal) -> CatalogPart:
        """What the asker of a proposal may ask for by now. Raises `BadCall`, and `Unsent` where Slack has not said so in seconds."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._reads.part(stored.thread, stored.asker, to="send")
            except (SlackBusy, SlackUnsure) as error:
                wait = error.after if isinstance(error, SlackBusy) else _TRY_AGAIN
            if time.monotonic() + wait > until:
                raise Unsent(words.ASKER_UNKNOWN)
            time.sleep(wait)

    def _would_be_allowed(self, stored: Proposal) -> bool:
        """Whether it is its asker alone that keeps a proposal from being sent."""
        try:
            self._allowed(self._reads.part_for_all(stored.thread), stored)
        except BadCall:
            return False
        return True

    @staticmethod
    def _allowed(catalog: Catalog, stored: Proposal) -> Call:
        """The proposal as a call of a catalog. Raises `BadCall`."""
        api = catalog.api(stored.api)
        if api is None or not stored.url.startswith(api.base_url + "/"):
            raise BadCall("The catalog no longer has this API at this address.")
        found = match(catalog, stored.method, stored.url, api)
        operation, headers = found.operation, json.loads(stored.headers)
        if api.base_url + operation.filled(found.values) != stored.url:
            raise BadCall("The catalog no longer allows this request.")
        if headers_of(operation, headers) != headers:
            raise BadCall("The catalog no longer allows these headers.")
        if operation.body_type != stored.body_type or body_of(operation, stored.body) != stored.body:
            raise BadCall("The catalog no longer allows this body.")
        check_values(operation, {**found.values, **headers})
        if missing := operation.required - {*found.values, *headers}:
            raise BadCall(f"The catalog asks for '{min(missing)}' now.")
        return Call(operation, stored.url, stored.body, found.values, headers, found.others)

    def stricter_now(self, stored: Proposal, call: Call) -> Rule | None:
        """Today's rule for an approved proposal, where the catalog has come to name other people since it was approved.

        Where a group's handle cannot be looked up, and so not be compared, only a stricter rule counts.
        """
        by_people = stored.decided_by is not None
        judged = sort(call, tainted=by_people)
        if not isinstance(judged, Write) or judged.by_policy:
            return None  # nobody would have to decide today
        then, today = self._authority.known(stored.rule), self._authority.known(judged.rule)
        if not by_people or today.strictness > then.strictness:
            return today
        return today if today.is_settled and then.is_settled and today.people != then.people else None

    def only_for_now(self, stored: Proposal, call: Call) -> str:
        """For whom alone a proposal's answer is: as it was stored, unless the catalog's rule has come to share less."""
        today = sort(call, tainted=stored.decided_by is not None)
        if not isinstance(today, Write) or today.by_policy:
            return stored.only_for
        return stored.only_for or only_for_by_rule(today.rule, stored.asker, call.operation)

    # --- whose identity -----------------------------------------------------------------------------------------------

    def check_identity(self, stored: Proposal, call: Call) -> None:
        """Raises `Unsent` or `NotConnected` unless it would still be sent with the account that it was asked for with."""
        api = call.operation.api
        if self._identities.whose(api, replace(caller_of(stored), identity="")) != stored.identity:
            raise Unsent(words.ACCOUNT_CHANGED.format(api=api.name))

    # --- the target ---------------------------------------------------------------------------------------------------

    def still_same(self, stored: Proposal, call: Call) -> LastLook:
        """Reads the target again, where the card showed it. Raises `TargetChanged`, or `Unsent`.

        Where it seems to have changed it is read once more a little later: what differs between those two moves by itself, and does
        not count unless the catalog says so. What it is and what it is called always count.
        """
        before = Target.from_json(stored.before)
        if before is None or not before.is_known:
            return LastLook()
        now, etag = self._again(stored, call)
        if not _differing(stored, call, before, now):
            return LastLook(etag)
        time.sleep(self._settles)
        later, _ = self._again(stored, call)
        changed = _differing(stored, call, before, later)
        insists = _watch(call).insists
        moving = {path for path in _differing(stored, call, now, later) if path and not insists(path)}
        if left := changed.keys() - moving:
            raise TargetChanged(later, sorted(left, key=list(changed).index))
        return LastLook("", tuple((path_text(path), *values) for path, values in list(changed.items())[:_MOST_MOVED]))

    def _again(self, stored: Proposal, call: Call) -> tuple[Target, str]:
        """The target as it is now, and its ETag where it is a strong one. Raises `Unsent`."""
        now, etag = self._targets.look(call, self._reads.purpose_now(stored, "before sending"))
        if now is None or not now.is_known:
            raise Unsent(words.NOT_READ_AGAIN)
        return now, etag if _STRONG.fullmatch(etag) else ""

    def changed_meanwhile(self, stored: Proposal, call: Call) -> TargetChanged:
        """How the target of a proposal is now that the API itself says that it changed."""
        before = Target.from_json(stored.before)
        now = self._looked(stored, call, "preview")
        return TargetChanged(
            now, _differing(stored, call, before, now) if before is not None and now is not None else ()
        )

    def target_now(self, stored: Proposal) -> Target | None:
        """The target of a write whose outcome is unknown."""
        try:
            return self._looked(stored, self.still_allowed(stored), "check")
        except Unsent as error:
            return Target(stored.shown_url, problem=str(error).removesuffix("."))
        except BadCall:  # its words are for the model
            return Target(stored.shown_url, problem=words.NOT_ALLOWED_TO_READ)

    def _looked(self, stored: Proposal, call: Call, why: str) -> Target | None:
        """A target after its request was sent, as far as it can be read."""
        try:
            target, _ = self._targets.look(call, self._reads.purpose_now(stored, why))
        except NotConnected as missing:
            return Target(stored.shown_url, problem=not_connected_text(missing).removesuffix("."))
        return target


def not_connected_text(missing: NotConnected) -> str:
    """What people are told of a request whose asker's account is gone."""
    return f"{missing.reason} {words.NOT_CONNECTED_NOW.format(api=missing.api)}".strip()


def _differing(stored: Proposal, call: Call, before: Target, now: Target) -> dict[Path, tuple[str, str]]:
    """What of a proposal's target differs between two looks, as far as it counts."""
    body = loads(stored.shown_body) if stored.shown_body is not None else None
    return differing(stored.method, before, now, body, _watch(call), stored.shown_url)


def _watch(call: Call) -> Watch:
    """Which fields of a write's target count, by the catalog."""
    preview = call.operation.preview
    return Watch(preview.ignore, preview.compare) if preview is not None else Watch()
