"""How the emulated Slack refuses: the two exceptions that methods and checks raise. Nothing else lives here."""

from __future__ import annotations


class ApiError(Exception):
    """An answer `{"ok": false, "error": code}`; `messages` go into response_metadata."""

    def __init__(self, code: str, *messages: str) -> None:
        super().__init__(code, *messages)
        self.code = code
        self.messages = messages


class LimitError(ApiError):
    """The call breaks a documented limit or has wrong arguments: a mistake in the caller's code."""


class MissingScope(ApiError):
    """The token lacks a scope: Slack says which one it needs and which it has."""

    def __init__(self, needed: str, provided: str) -> None:
        super().__init__("missing_scope")
        self.needed = needed
        self.provided = provided
