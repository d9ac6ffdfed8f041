"""One call of the model: the request made of a transcript, as much of it as the model takes, and a reply that is one.

What an answer's calls may do, and what becomes of a turn whose model fails, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import structlog

from base.settings import Settings
from catalog.catalog import Catalog
from model.chat import Model, ModelFailed, ReplyListener
from model.learnt_limits import Habits, smaller
from model.measured import measured
from model.messages import Message, in_system, size_of, to_messages
from model.prompt.prompt import system_prompt, tools
from model.refusals import Failure, Refusal
from model.replies import BadReply, Reply, is_empty, parse_reply
from store.journal.hash_chain import digest
from store.transcript import Item, TurnNote, Usage

log = structlog.get_logger("ai")


class ModelCalls:
    """The calls of one bot to its model.

    `name` is the model's, `server` says which server and model it is: what one adds to its replies is nothing to another. `history_tokens`
    is what the operator gives of a transcript, `prompt_budget` the tokens for the catalog, `host` where the server is, for the spans.
    """

    def __init__(
        self, model: Model, *, name: str, server: str, history_tokens: int, prompt_budget: int, host: str = ""
    ) -> None:
        self._model = model
        self._host = host
        self.name = name
        self.server = server
        self._history_tokens = history_tokens
        self.prompt_budget = prompt_budget
        self.habits = Habits()

    def ask(
        self,
        items: Sequence[Item],
        catalog: Catalog,
        instructions: str,
        noted: TurnNote,
        listener: ReplyListener,
        check: Callable[[], None],
        *,
        is_last: bool,
    ) -> Reply:
        """The model's reply to a transcript. `check` raises where nobody wants it any more; `is_last`: it has to be words.

        After a refusal for its length a request is made again with less of the transcript. Raises `BadReply`, and `ModelFailed`: the last
        refusal where nothing is left that could go, since one question is too much then.
        """
        budget = self.prompt_budget
        system = system_prompt(catalog, instructions, about=in_system(noted), last=is_last, budget=budget)
        offered = tools(catalog, instructions, budget)

        def cut(most: int, is_full: bool) -> list[Message]:
            return to_messages(items, system=system, budget=most, server=self.server, is_full=is_full)

        return self._fitting(cut, lambda messages: self._reply(messages, offered, listener, check, is_last=is_last))

    def _fitting(self, cut: Callable[[int, bool], list[Message]], ask: Callable[[list[Message]], Reply]) -> Reply:
        """The reply to as much of the transcript as the model takes."""
        budget = self.habits.budget(self._history_tokens)
        messages = cut(budget, self.habits.is_full)
        try:
            return ask(messages)
        except ModelFailed as error:
            refused = _too_long(error)
        for less in smaller(budget, size_of(messages), refused.message):
            shorter = cut(less, True)
            if shorter == messages:
                continue
            messages = shorter
            log.warning("the model takes less at once; it is asked again with less of the thread", tokens=less)
            try:
                reply = ask(messages)
            except ModelFailed as error:
                refused = _too_long(error)
            else:
                self.habits.took(less)
                return reply
        raise ModelFailed(Failure.REFUSED, refused.short, refused)

    def _reply(
        self,
        messages: Sequence[Message],
        offered: Sequence[dict[str, Any]],
        listener: ReplyListener,
        check: Callable[[], None],
        *,
        is_last: bool,
    ) -> Reply:
        """The model's reply, asked for once more where what came is none; with the tokens of both. Raises `BadReply`."""
        names = [one["function"]["name"] for one in offered]
        spent = Usage()
        for is_again in (False, True):
            try:
                with measured(self.name, self._host) as heard:
                    try:
                        answer = self._model.complete(messages, offered, listener, is_last=is_last)
                    finally:
                        check()  # a call that was cut off may end in whatever way
                    reply = parse_reply(answer, names)
                    heard(reply)
            except BadReply as error:
                if is_again:
                    raise
                log.warning("the model's answer is none; it is asked again", reason=str(error))
                continue
            self._note_habits(reply)
            spent += reply.usage
            if not (is_empty(reply) or reply.is_call_as_text):
                break
            if not is_again:
                why = "a call as text that cannot be read" if reply.is_call_as_text else "empty"
                log.warning("the model's answer is none; it is asked again", reason=why, ending=reply.ending[:40])
            elif reply.is_call_as_text:
                raise BadReply("it wrote a call as text")
        return replace(reply, usage=spent)

    def _note_habits(self, reply: Reply) -> None:
        """Remembers and logs what is peculiar about a reply."""
        if reply.lost:
            log.warning("the model's server added more than is kept", left_out=sorted(reply.lost)[:10])
        if reply.mended:
            log.info("the model's reply was mended", what=reply.mended)
        if reply.is_thinking_aloud and not self.habits.thinks_aloud:
            log.warning("the model's thoughts stand in its text; from now on nothing is shown before it is whole")
            self.habits.thinks_aloud = True


def model_calls_of(settings: Settings, model: Model) -> ModelCalls:
    """The calls to `model`, as the settings have them."""
    return ModelCalls(
        model,
        host=urlsplit(settings.openai_base_url or "https://api.openai.com").hostname or "",
        name=settings.openai_model,
        server=digest(f"{settings.openai_base_url} {settings.openai_model}"),
        history_tokens=settings.history_tokens,
        prompt_budget=settings.prompt_budget,
    )


def _too_long(error: ModelFailed) -> Refusal:
    """The refusal of a request for its length. Raises the error again where it is another one."""
    if error.refusal is None or error.refusal.kind != "too long":
        raise error
    return error.refusal
