"""How a call to Slack ends that did not do what it was to do, sorted by what may be done about it."""

from __future__ import annotations


class SlackBusy(Exception):
    """Not done; may be tried again after `after` seconds."""

    def __init__(self, after: float) -> None:
        super().__init__(f"after {after:g} s")
        self.after = after


class LockedOut(SlackBusy):
    """The token is good for nothing, or not any more: `code` says why. People may mend that, so it is no final word."""

    def __init__(self, code: str, hint: str | None) -> None:
        super().__init__(60)
        self.code = code
        self.hint = hint


class SlackUnsure(Exception):
    """No usable answer: it may have been done or not. May be tried again by one who has looked."""


class SlackSaysNo(Exception):
    """Slack's final word: `code` is its error code, `hint` what to do about it where that is known."""

    def __init__(self, code: str, hint: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.hint = hint
