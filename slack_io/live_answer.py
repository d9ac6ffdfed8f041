"""What one call of the model has written so far, and the message in which people see it grow: who listens while the model writes."""

from __future__ import annotations

import time

from base.markdown import beginning
from gate.gate import Gate
from model.learnt_limits import Habits
from model.special_tokens import put_together
from model.text_calls import may_become_call
from model.thoughts import parted
from slack_io.streaming import StreamedMessages
from store.posts import live, live_id
from store.store import Store
from store.turns import Turn
from workers.cancel_flag import CancelFlag

_HOLD_BACK = 1.0  # seconds of writing after which text is shown: what stands beside calls is shorter
_NOTE_EVERY = 0.5  # seconds between two notes of what was written


class LiveAnswer:
    """The answer that a turn's next model call may become. `text` is what people may see of it by now, `post` the message that shows it."""

    def __init__(
        self,
        turn: Turn,
        store: Store,
        gate: Gate,
        streams: StreamedMessages,
        cancel_flag: CancelFlag,
        habits: Habits,
    ) -> None:
        self._turn = turn
        self._store = store
        self._gate = gate
        self._streams = streams
        self._cancel_flag = cancel_flag
        self._habits = habits
        self._since: float | None = None
        self._noted = 0.0
        self.text = ""
        self.post: str | None = None
        self.is_silent = False  # nobody is to see it before it is whole

    def take_up(self) -> None:
        """An earlier try of this model call may have begun to show its answer: it goes on in the same message."""
        post = live_id(self._turn.turn, self._turn.model_calls)
        self.post = post if self._store.has_post(post) else None

    def hear(self, text: str, *, is_calling: bool) -> None:
        """Shows the text so far, once it is likely to be an answer: models write a word or two before they call something."""
        self.text = text = "" if self.is_silent else self._meant(text)
        if is_calling or not text:
            return
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since < _HOLD_BACK or now - self._noted < _NOTE_EVERY:
            return
        self._noted = now
        if self.post is None:
            self._begin()
        if self.post is not None:
            self._streams.note(self.post, self._turn.thread, text)

    def is_cut(self) -> bool:
        """Whether nobody wants the rest."""
        return self._cancel_flag.is_on(self._turn.turn)

    def _meant(self, text: str) -> str:
        """What people may see of a text so far: no thoughts, no call, and nothing yet of what may turn out to be one of those."""
        thoughts, habits = parted(text), self._habits
        habits.thinks_aloud = habits.thinks_aloud or thoughts.is_lone
        is_unsure = may_become_call(thoughts.words) or (habits.thinks_aloud and not thoughts.has_thoughts)
        return "" if is_unsure else put_together(thoughts.words)

    def _begin(self) -> None:
        shown = beginning(self.text, self._gate.catalog.links)
        if shown:
            turn = self._turn
            self.post = live_id(turn.turn, turn.model_calls)
            self._store.say([live(self.post, turn.thread, turn.turn, turn.asker, shown)])
