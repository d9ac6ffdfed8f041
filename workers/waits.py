"""How long a turn waits without a worker: for its model, for Slack to say who may ask, or for the threads before it.

What waits is on disk (`store/turns.py`); here are the exception that says so, and the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

_LEAST_WAIT, _MOST_WAIT = 1.0, 30.0  # seconds of a wait for a model that names none; each is as long as all before it
_SOON = 0.1  # seconds below which a wait is none
_MOST_SLACK = 60.0  # seconds of waiting for Slack to say who may ask


class Waits(Exception):
    """The thread has more to do, and is to be taken up again after `after` seconds: its model has no time, which is on disk; or, with no
    seconds, its next turn lets the threads go first that were there before it."""

    def __init__(self, after: float) -> None:
        super().__init__(after)
        self.after = after


@dataclass(frozen=True)
class ModelWait:
    """A wait for a busy model. `is_named`: the server said for how long. `fits`: it ends before the turn's patience does."""

    seconds: float
    is_named: bool
    fits: bool


def model_wait(named: float | None, waited: float, patience: float) -> ModelWait:
    """How long to wait for a model that has no time; `waited` are the seconds so far, `patience` those that a turn has for it in all.
    Less than a second is not taken from a server that names its wait: "at once" is not at once."""
    left = patience - waited
    if named is not None and named >= _LEAST_WAIT:
        return ModelWait(named, is_named=True, fits=left >= _SOON and named <= left)
    seconds = min(max(_LEAST_WAIT, min(waited, _MOST_WAIT)), left)
    return ModelWait(seconds, is_named=False, fits=left >= _SOON)


def may_wait_for_slack(wait: float, waited: float) -> bool:
    """Whether a turn that waited for `waited` seconds may wait for `wait` more until Slack says who may ask."""
    return waited + wait <= _MOST_SLACK
