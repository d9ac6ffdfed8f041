"""Door to the model: a Chat Completions server, asked through the openai client, its answer heard while it is being written.

The server is untrusted: it may stream or not, drip, break off, or never end. Nothing here knows what the messages mean.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import chain
from typing import Any, NoReturn, Protocol
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import httpx2
import structlog

from base import metrics
from base.deadline import BROKEN, CutOff, Deadline, client
from base.json_text import compact, loads
from base.key_file import KeyFile
from base.logging_setup import hide_in_logs
from base.proxies import STRAIGHT, WayOut
from base.settings import Settings
from base.unpack import TooLarge
from base.utf8 import encoded
from model.dialect import Asked, Form, Wish, first_form, is_about_form, is_explained, other_forms
from model.messages import Message
from model.refusals import Failure, Refusal, error_in, refusal_of
from model.responses_api import ResponseAssembly, completion_of, failure_in
from model.stream import Assembly, events

log = structlog.get_logger("chat")
# The library's own methods for these paths walk through all messages and tools, value by value, and in a long conversation takes longer
# for that than for all the rest.
# How often an answer is asked for that breaks off while it is being written, that is an error, that a server in trouble owes.
_TRIES = {"broke off": 2, "an error": 2, "down": 3}
_PAUSE = 0.5  # seconds before a server in trouble is asked again; each further pause doubles it
_REFUSALS = 3  # streams refused in a row after which none is asked for a while
_NO_STREAMS_FOR = 600.0  # seconds
_WHOLE = 5  # times `timeout` that a whole answer may take, however it drips
_RETRIES = 30.0  # seconds more, for the pauses between tries
_SLICE = 0.1  # seconds after which a pause looks whether the answer is still wanted
_HEAR_EVERY = 0.2  # seconds between two times that the ear is told
_MAX_WHOLE = 4_000_000  # bytes of one answer
_MAX_STREAMED = 16_000_000  # of one that comes as events, which say much the same around each token
# How a stream begins, whatever its type is said to be.
_EVENT = re.compile(rb"\s*(\xef\xbb\xbf)?(data|event|id|retry)?:")
_NO_STREAMS = frozenset({400, 415, 422})  # what servers say to a request that asks for what they do not know


class ModelFailed(Exception):
    """The model server gave no usable answer. `args[0]` is the reason in a few words, without anything secret; `refusal` is what the
    server said, where it did."""

    def __init__(self, failure: Failure, reason: str = "", refusal: Refusal | None = None) -> None:
        super().__init__(reason or failure.value)
        self.failure = failure
        self.refusal = refusal


class ModelBusy(ModelFailed):
    """The model server has no time now, and may have it after `after` seconds (None: it did not say)."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(Failure.REFUSED, refusal.short, refusal)
        self.after = refusal.after


class ReplyListener(Protocol):
    """Who listens while the model writes."""

    def hear(self, text: str, *, is_calling: bool) -> None:
        """All text so far; `is_calling`: the answer makes calls, so that its text is no answer."""

    def is_cut(self) -> bool:
        """Whether nobody wants the rest."""


class Model(Protocol):
    """Whatever completes a chat."""

    def complete(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], ear: ReplyListener, *, is_last: bool = False
    ) -> object:
        """The answer's JSON as Chat Completions has it, unchecked. `is_last`: it has to be words; the tools only explain the calls that
        were made. Raises `ModelFailed`, also where the ear says cut."""


class _BrokeOff(Exception):
    """A streamed answer ended before its end."""


class _ErrorInstead(Exception):
    """The server gave an error as its answer, or in the middle of one."""

    def __init__(self, error: object) -> None:
        super().__init__()
        self.error = error


class _Again(Exception):
    """This try failed, another one may not; `failed` is what is raised after the last. `kind` is a key of `_TRIES`."""

    def __init__(self, kind: str, failed: ModelFailed) -> None:
        super().__init__(kind)
        self.kind = kind
        self.failed = failed


class ChatServer:
    """A model server, asked in the form that it takes. `timeout` is seconds that it may be silent. 5xx and time-outs are tried again,
    twice; of 429 and 503 `ModelBusy` tells at once.

    `base_url` may have a query, which stays behind the path. `options` go into each request; `api` is the operator's choice between
    Chat Completions and the Responses API. `secrets` are the texts that no log may show.
    """

    def __init__(
        self,
        *,
        api_key: str | KeyFile | None,
        base_url: str | None,
        model: str,
        timeout: float,
        options: Mapping[str, Any] | None = None,
        api: Wish = "auto",
        way: WayOut = STRAIGHT,
        secrets: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self._deadline = Deadline()
        self._timeout = timeout
        self._secrets = secrets
        self._file = api_key if isinstance(api_key, KeyFile) else None
        self._key = self._file.key if self._file is not None else lambda: str(api_key or "none")
        import openai  # here: it takes as long as all the rest together, and most commands ask no model

        self._openai = openai
        base, query = _split(base_url)
        self._client = openai.OpenAI(
            api_key=self._key,
            base_url=base,
            timeout=timeout,
            max_retries=0,
            http_client=client(self._deadline, way),
            default_query=query,
        )
        self._wants_api_key = "api-version" in query  # Azure's older form takes a key in a header of its own
        self._model = model
        self._options = dict(options or {})
        self._wish = api
        self._form = first_form(api)
        self._is_known = False  # the form has worked
        self._refused_streams = 0  # in a row
        self._no_streams_until = 0.0  # monotonic seconds

    def complete(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], ear: ReplyListener, *, is_last: bool = False
    ) -> object:
        """The answer's JSON as Chat Completions has it, unchecked. Raises `ModelFailed`, also where the ear says cut."""
        asked = Asked(self._model, messages, tools, self._options, is_last)
        by = time.monotonic() + _WHOLE * self._timeout + _RETRIES
        with self._deadline.until(
            by, most=_MAX_WHOLE, most_streamed=_MAX_STREAMED, silent=self._timeout, cut=ear.is_cut
        ):
            return self._in_its_form(asked, ear, by)

    def _in_its_form(self, asked: Asked, ear: ReplyListener, by: float) -> object:
        """Asks in the form that worked; after a refusal in those that it speaks for. What works is kept for the process."""
        known = self._form
        forms, refused = [known], dict[Form, ModelFailed]()
        while forms:
            form = forms.pop(0)
            try:
                answer = self._tries(form, asked, ear, by)
            except ModelFailed as error:
                if error.refusal is None or not is_about_form(error.refusal):
                    raise
                refused[form] = error
                is_known = self._is_known and form == known
                others = other_forms(form, self._wish, asked, error.refusal, is_known=is_known)
                forms += [one for one in others if one not in refused and one not in forms]
            else:
                if form != known:  # else another thread may have learnt of a better one meanwhile
                    self._learn(form, refused[known])
                self._is_known = self._is_known or form == self._form
                return answer
        raise refused[known]

    def _learn(self, form: Form, refused: ModelFailed) -> None:
        if refused.refusal is not None and (how := form.differs(self._form)):
            log.warning("the model server is asked in another form from now on", **how, **refused.refusal.for_log)
        self._form = form

    def _tries(self, form: Form, asked: Asked, ear: ReplyListener, by: float) -> object:
        """An answer to a request in this form, asked for again where that may help."""
        request = form.request(asked)
        tried: Counter[str] = Counter()
        while True:
            try:
                return self._told(lambda: self._once(form, request, ear), asked.messages)
            except _Again as error:
                tried[error.kind] += 1
                log.warning("the model gave no answer", reason=str(error.failed), tries=tried[error.kind])
                if tried[error.kind] >= _TRIES[error.kind] or time.monotonic() >= by:
                    raise error.failed from None
                if error.kind == "down":
                    _rest(_PAUSE * 2 ** (tried["down"] - 1), ear)

    def about(self) -> object:
        """What the server says about its models; None where it says nothing of use."""
        with self._deadline.until(time.monotonic() + self._timeout, most=_MAX_WHOLE):
            try:
                return loads(self._client.get("/models", cast_to=httpx2.Response).content)
            except (self._openai.OpenAIError, *BROKEN, TooLarge, ValueError, RecursionError):
                return None

    def _told(self, ask: Callable[[], object], messages: Sequence[Mapping[str, Any]]) -> object:
        """What `ask` gives, its failures as `ModelFailed`, or as `_Again` where another try may help."""
        try:
            return ask()
        except CutOff:
            raise ModelFailed(Failure.CUT_OFF) from None
        except TooLarge as error:
            raise ModelFailed(Failure.TOO_LARGE, f"an answer larger than {error.most:,} bytes") from None
        except (_BrokeOff, *BROKEN):  # the library does not guard the reading of bodies
            raise _Again("broke off", ModelFailed(Failure.BROKE_OFF)) from None
        except _ErrorInstead as error:
            self._refuse("an error", refusal_of(200, error.error, written=messages, secrets=self._hidden()))
        except self._openai.APITimeoutError:
            raise _Again("down", ModelFailed(Failure.TIME_OUT)) from None
        except self._openai.APIStatusError as error:
            self._refuse("down", self._refusal(error, messages))
        except self._openai.APIConnectionError as error:
            raise _Again("down", _unreached(error.__cause__)) from None
        except self._openai.OpenAIError:
            raise ModelFailed(Failure.UNREACHED) from None
        except (ValueError, RecursionError):
            raise ModelFailed(Failure.NOT_JSON) from None

    def _refuse(self, kind: str, refusal: Refusal) -> NoReturn:
        """Raises what follows from a refusal."""
        if refusal.kind == "busy":
            raise ModelBusy(refusal) from None
        failed = ModelFailed(Failure.REFUSED, refusal.short, refusal)
        if refusal.kind == "down" or (kind == "an error" and refusal.kind == "refused"):
            raise _Again(kind, failed) from None
        raise failed from None

    def _refusal(self, error: Any, messages: Sequence[Mapping[str, Any]]) -> Refusal:
        """What the server said with a status of failure."""
        response = error.response
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = response.content if response.is_closed or response.is_stream_consumed else b""
        secrets = self._hidden()
        if error.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            metrics.RATE_LIMITED.labels("model").inc()
        return refusal_of(error.status_code, body, headers=headers, written=messages, secrets=secrets, now=time.time())

    def _hidden(self) -> list[str]:
        return [*self._secrets(), self._key()]

    def _post(self, path: str, body: dict[str, Any], **options: Any) -> Any:
        """One request; made again with another key where the file of the key has one by now."""
        content = encoded(compact(body))
        try:
            return self._client.post(path, content=content, options=self._headers(), **options)
        except self._openai.AuthenticationError:
            if self._file is None or not self._file.renewed():
                raise
            log.info("the model server refused the key; the file holds a new one by now")
            return self._client.post(path, content=content, options=self._headers(), **options)

    def _headers(self) -> Any:
        """What goes with a request besides. Azure's older form takes a key in a header of its own, and a token of Entra, which is a JWT,
        as others do."""
        if not self._wants_api_key or (key := self._key()).startswith("eyJ"):
            return {}
        return {"headers": {"api-key": key, "Authorization": self._openai.Omit()}}

    def _once(self, form: Form, request: dict[str, Any], ear: ReplyListener) -> object:
        if time.monotonic() < self._no_streams_until:
            return self._whole(form, request)
        try:
            answer = self._stream(form, request, ear)
        except self._openai.APIStatusError as error:
            if error.status_code not in _NO_STREAMS or is_explained(self._refusal(error, ())):
                raise
            answer = self._whole(form, request)  # if this works, it was the stream that the server would not have
            self._refused_streams += 1
            is_over = self._refused_streams >= _REFUSALS
            log.warning("the model server refused a stream", status=error.status_code, in_a_row=self._refused_streams)
            if is_over:
                log.warning("no more streams for a while; answers come whole", seconds=_NO_STREAMS_FOR)
                self._refused_streams, self._no_streams_until = 0, time.monotonic() + _NO_STREAMS_FOR
            return answer
        self._refused_streams = 0
        return answer

    def _whole(self, form: Form, request: dict[str, Any]) -> object:
        return _answer(form, self._post(form.path, request, cast_to=httpx2.Response).content)

    def _stream(self, form: Form, request: dict[str, Any], ear: ReplyListener) -> object:
        """A streamed answer, put together; or a whole one, where the server gives such."""
        assembly = ResponseAssembly() if form.api == "responses" else Assembly()
        asked = form.streamed(request)
        stream = self._post(form.path, asked, cast_to=object, stream=True, stream_cls=self._openai.Stream[object])
        with contextlib.closing(stream.response) as response:
            try:
                pieces = response.iter_bytes()
                first = next(pieces, b"")
                if "event-stream" not in response.headers.get("content-type", "") and not _EVENT.match(first):
                    return _answer(form, b"".join([first, *pieces]))
                self._listen(events(_lines(chain([first], pieces))), assembly, ear)
            except BROKEN as error:
                log.info("the model's server broke off", error=type(error).__name__, is_whole=assembly.is_whole)
        if assembly.lost:
            log.warning("the model's server added more than is kept", left_out=sorted(assembly.lost)[:10])
        if not (
            assembly.is_whole or assembly.is_beyond
        ):  # what has come whole counts, however the connection ended behind it
            raise _BrokeOff
        return assembly.whole()

    def _listen(self, chunks: Iterable[object], assembly: Assembly | ResponseAssembly, ear: ReplyListener) -> None:
        heard = 0.0
        try:
            for chunk in chunks:
                if (error := failure_in(chunk) or error_in(chunk)) is not None:
                    raise _ErrorInstead(error)
                if assembly.add(chunk) and time.monotonic() - heard >= _HEAR_EVERY:
                    ear.hear(assembly.text, is_calling=assembly.is_calling)
                    heard = time.monotonic()
                if assembly.is_beyond:
                    log.warning("a call's arguments are longer than is taken; the answer was ended there")
                    break
        finally:
            ear.hear(assembly.text, is_calling=assembly.is_calling)


def model_of(settings: Settings, secrets: Callable[[], Sequence[str]]) -> ChatServer:
    """The model server that the settings name. Raises `Misconfigured`. `secrets` are the texts that no log may show."""
    key, file = settings.openai_api_key, settings.openai_api_key_file
    if key is None and file is None and settings.openai_base_url is None:
        log.warning("no key for OpenAI", hint="set OPENAI_API_KEY, or OPENAI_BASE_URL to a server of your own")
    return ChatServer(
        api_key=KeyFile(file, lambda one: hide_in_logs([one])) if file else key.get_secret_value() if key else None,
        base_url=settings.openai_base_url,
        model=settings.openai_model,
        timeout=settings.model_timeout,
        options=settings.options_of_model,
        api=settings.model_api,
        way=settings.way_out,
        secrets=secrets,
    )


def _answer(form: Form, content: bytes) -> object:
    """An answer that came whole, as Chat Completions has it. Raises `ValueError`, `RecursionError`, or `_ErrorInstead` where it is none."""
    answer = loads(content, odd=str)
    if (error := error_in(answer)) is not None:
        raise _ErrorInstead(error)
    return completion_of(answer) if form.api == "responses" else answer


def _unreached(cause: BaseException | None) -> ModelFailed:
    """Why a server was not reached, in our own words."""
    if isinstance(cause, httpx2.ProxyError):
        return ModelFailed(Failure.PROXY, str(cause))
    is_untrusted = "CERTIFICATE_VERIFY_FAILED" in str(cause)  # the TLS library's words are all that is left of its code
    return ModelFailed(Failure.CERTIFICATE if is_untrusted else Failure.UNREACHED)


def _rest(seconds: float, ear: ReplyListener) -> None:
    """Waits, but not for what nobody wants any more."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if ear.is_cut():
            raise ModelFailed(Failure.CUT_OFF)
        time.sleep(min(left, _SLICE))


def _split(url: str | None) -> tuple[str | None, dict[str, object]]:
    """A base URL without its query, and the query: the library would put the path behind it."""
    if url is None:
        return None, {}
    parts = urlsplit(url)
    query: dict[str, object] = dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), query


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """The lines of a body, each bounded."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > _MAX_WHOLE:
            raise TooLarge(_MAX_WHOLE)
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in whole)
    yield rest.decode("utf-8", "replace")
