"""Door to the model: a Chat Completions server, asked through the openai client, its answer heard while it is being written.

The server is untrusted: it may stream or not, drip, break off, or never end. Nothing here knows what the messages mean.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import httpx2
import structlog

from base.deadline import BROKEN, CutOff, Deadline, client
from base.json_text import loads
from base.unpack import TooLarge
from model.stream import Assembly, events
from model.transcript import Message

log = structlog.get_logger("chat")
# The library's own method for this path walks through all messages and tools, value by value, and in a long conversation takes longer
# for that than for all the rest.
_PATH = "/chat/completions"
_TRIES = 2  # of an answer that breaks off while it is being written
_WHOLE = 5  # times `timeout` that a whole answer may take, however it drips
_RETRIES = 30.0  # seconds more, for the pauses between tries
_HEAR_EVERY = 0.2  # seconds between two times that the ear is told
_MAX_WHOLE = 4_000_000  # bytes of one answer
_MAX_STREAMED = 16_000_000  # of one that comes as events, which say much the same around each token
_NO_STREAMS = frozenset({400, 415, 422})  # what servers say to a request that asks for what they do not know


class ModelFailed(Exception):
    """The model server gave no usable answer. `args[0]` is the reason in a few words, without anything secret."""


class ReplyListener(Protocol):
    """Who listens while the model writes."""

    def hear(self, text: str, *, is_calling: bool) -> None:
        """All text so far; `is_calling`: the answer makes calls, so that its text is no answer."""

    def is_cut(self) -> bool:
        """Whether nobody wants the rest."""


class Model(Protocol):
    """Whatever completes a chat."""

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], ear: ReplyListener) -> object:
        """The answer's JSON, unchecked. Raises `ModelFailed`, also where the ear says cut."""


class _BrokeOff(Exception):
    """A streamed answer ended before its end."""


class ChatServer:
    """A Chat Completions server. `timeout` is seconds that it may be silent. 429, 5xx and time-outs are tried again, twice."""

    def __init__(self, *, api_key: str | None, base_url: str | None, model: str, timeout: float) -> None:
        self._deadline = Deadline()
        self._timeout = timeout
        import openai  # here: it takes as long as all the rest together, and most commands ask no model

        self._openai = openai
        self._client = openai.OpenAI(
            api_key=api_key or "none",
            base_url=base_url,
            timeout=timeout,
            max_retries=2,
            http_client=client(self._deadline),
        )
        self._model = model
        self._streams = True

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], ear: ReplyListener) -> object:
        """The answer's JSON, unchecked. Raises `ModelFailed`, also where the ear says cut."""
        request: dict[str, Any] = {"model": self._model, "messages": list(messages)}
        request |= {"tools": list(tools)} if tools else {}
        by = time.monotonic() + _WHOLE * self._timeout + _RETRIES
        with self._deadline.until(
            by, most=_MAX_WHOLE, most_streamed=_MAX_STREAMED, silent=self._timeout, cut=ear.is_cut
        ):
            for _ in range(_TRIES):
                try:
                    return self._told(lambda: self._once(request, ear))
                except (_BrokeOff, *BROKEN):  # the library does not guard the reading of bodies
                    log.warning("the model's answer broke off")
        raise ModelFailed("an answer that broke off")

    def _told(self, ask: Callable[[], object]) -> object:
        """What `ask` gives, its failures as `ModelFailed`."""
        try:
            return ask()
        except CutOff:
            raise ModelFailed("cut off") from None
        except TooLarge as error:
            raise ModelFailed(f"an answer larger than {error.most:,} bytes") from None
        except self._openai.APITimeoutError:
            raise ModelFailed("time-out") from None
        except self._openai.APIStatusError as error:
            raise ModelFailed(f"HTTP {error.status_code}") from None  # its text may repeat what people wrote
        except self._openai.OpenAIError:
            raise ModelFailed("connection failed") from None
        except (ValueError, RecursionError):
            raise ModelFailed("an answer that is no JSON") from None

    def _once(self, request: dict[str, Any], ear: ReplyListener) -> object:
        if not self._streams:
            return self._whole(request)
        try:
            return self._stream(request, ear)
        except self._openai.APIStatusError as error:
            if error.status_code not in _NO_STREAMS:
                raise
            answer = self._whole(request)  # if this works, it was the stream that the server would not have
            log.warning("the model server takes no streams; answers come whole", status=error.status_code)
            self._streams = False
            return answer

    def _whole(self, request: dict[str, Any]) -> object:
        response = self._client.post(_PATH, body=request, cast_to=httpx2.Response)
        return loads(response.content, odd=str)

    def _stream(self, request: dict[str, Any], ear: ReplyListener) -> object:
        """A streamed answer, put together; or a whole one, where the server gives such."""
        asked = {**request, "stream": True, "stream_options": {"include_usage": True}}
        assembly = Assembly()
        stream = self._client.post(
            _PATH, body=asked, cast_to=object, stream=True, stream_cls=self._openai.Stream[object]
        )
        with contextlib.closing(stream.response) as response:
            try:
                if "event-stream" not in response.headers.get("content-type", ""):
                    return loads(response.read(), odd=str)
                self._listen(events(_lines(response.iter_bytes())), assembly, ear)
            except BROKEN as error:
                log.info("the model's server broke off", error=type(error).__name__, is_whole=assembly.is_whole)
        if not assembly.is_whole:  # one that has come whole counts, however the connection ended behind it
            raise _BrokeOff
        return assembly.whole()

    def _listen(self, chunks: Iterable[object], assembly: Assembly, ear: ReplyListener) -> None:
        heard = 0.0
        try:
            for chunk in chunks:
                if isinstance(chunk, dict) and chunk.get("error"):
                    raise ModelFailed("an error in the middle of an answer")
                if assembly.add(chunk) and time.monotonic() - heard >= _HEAR_EVERY:
                    ear.hear(assembly.text, is_calling=assembly.is_calling)
                    heard = time.monotonic()
        finally:
            ear.hear(assembly.text, is_calling=assembly.is_calling)


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """The lines of a body, each bounded."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > _MAX_WHOLE:
            raise TooLarge(_MAX_WHOLE)
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in whole)
    yield rest.decode("utf-8", "replace")
