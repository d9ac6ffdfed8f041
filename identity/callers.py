"""For whom a request is made, what it is, and what it carries to say so: values that the gate hands in and gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from base.settings import Misconfigured

log = structlog.get_logger("identity")


@dataclass(frozen=True)
class Caller:
    """For whom a request is made, by Slack's event and the stored row alone: `asker` and `team` by Slack's ids; `approver`: who approved
    it, empty for reads and for what the policy approved; `identity`: with whose account it was asked for, where it must be that one, as a
    row has it (`subject at issuer`)."""

    team: str
    asker: str
    approver: str = ""
    identity: str = ""


@dataclass(frozen=True)
class Outgoing:
    """A request as it is about to leave: what a signed statement of it is about."""

    caller: Caller
    method: str
    url: str
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Credential:
    """What one request carries to say who asks. `secrets`: the texts of it that nobody may see; `subject` and `issuer`: whose identity it
    is, for the journal, empty where it is the bot's own."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    subject: str = ""
    issuer: str = ""


NOTHING_CARRIED = Credential()


class NotConnected(Exception):
    """Nothing can be sent for this person before the person does something: connects an account of this API, or connects it again.

    `api` is its name; `reason` is for people, a whole sentence, empty where there never was an account.
    """

    def __init__(self, api: str, reason: str = "") -> None:
        super().__init__(reason or f"{api} has no account of this person")
        self.api = api
        self.reason = reason


class NoCredential(Exception):
    """No credential is to be had now, through no fault of the person who asks: a server that gives tokens is away or says no.

    Its text is for people and for the model; nothing was sent.
    """


UNREADABLE = (
    "The bot's own credential for {api} cannot be read, so nothing was sent. Its operators find the reason in the log."
)


def unreadable(api: str, error: Misconfigured) -> NoCredential:
    """What people are told of an API whose file only operators can mend."""
    log.error("no credential", api=api, reason=str(error))
    return NoCredential(UNREADABLE.format(api=api))
