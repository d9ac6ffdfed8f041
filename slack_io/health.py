"""What `/readyz` tells: whether what comes can be recorded, and beside it how Slack, the model's server and the catalog did lately.

Anybody may ask, as often as they like. So the one look that is made, at the database, is kept for seconds, and of Slack and the model only
that is told which the bot's own calls brought. Nothing of theirs takes the process out of service: another one would fare no better.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from model.chat import Model, ModelFailed, ReplyListener
from model.messages import Message
from slack_io.socket_mode import SocketMode
from slack_io.web_api import SlackWeb
from store.holds import Overtaken
from store.store import Store

_KEPT = 5.0  # seconds for which it is believed that all is well
_KEPT_ILL = 1.0  # and that it is not
_FIRST = 10.0  # seconds that the very first look may take
NOT_ASKED = "not asked yet"


class CachedCheck:
    """A check that one request makes at a time; whoever asks meanwhile, or shortly after, gets what was found last.

    A check may take ten seconds: nobody shall fill the threads with it that acknowledge what Slack sends.
    """

    def __init__(self, look: Callable[[], object], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._looking = threading.Lock()
        self._found = ""
        self._until = float("-inf")

    def state(self) -> str:
        """The word ok, or what is wrong."""
        if self._clock() < self._until:
            return self._found
        if self._looking.acquire(blocking=not self._found, timeout=-1 if self._found else _FIRST):
            try:
                if self._clock() >= self._until:
                    self._found = self._check()
                    self._until = self._clock() + (_KEPT if self._found == "ok" else _KEPT_ILL)
            finally:
                self._looking.release()
        return self._found or "not known yet"

    def _check(self) -> str:
        try:
            self._look()
        except (SQLAlchemyError, Overtaken) as error:
            return f"no answer ({type(error).__name__})"
        return "ok"


class WatchedModel:
    """A model, and how its latest call ended."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.state = NOT_ASKED

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        ear: ReplyListener,
        *,
        is_last: bool = False,
    ) -> object:
        """The model's own."""
        try:
            answer = self._model.complete(messages, tools, ear, is_last=is_last)
        except ModelFailed as error:
            if not ear.is_cut():  # else somebody did not want the rest
                self.state = f"failed ({error})"
            raise
        self.state = "ok"
        return answer


class Readiness:
    """What `/readyz` tells. `catalog` is set by who takes the catalog again."""

    def __init__(self, store: Store, web: SlackWeb, model: WatchedModel, socket: SocketMode | None) -> None:
        self._database = CachedCheck(store.check_recording)
        self._web = web
        self._model = model
        self._socket = socket
        self.catalog = "ok"

    def report(self) -> tuple[dict[str, str], bool]:
        """How each part is, and whether what comes can be recorded."""
        needed = {"database": self._database.state()}
        if self._socket is not None:  # what comes, comes by it
            needed["socket"] = "ok" if self._socket.is_connected else "not connected"
        beside = {"slack": self._web.state, "model": self._model.state, "catalog": self.catalog}
        return needed | beside, set(needed.values()) == {"ok"}
