"""Why a model server gave no answer: its status, code, param, type and message, read from whatever it sends; and what that means.

The text is for the log alone. Servers repeat keys and the words of the request in their errors (a key of OpenAI, a message of vLLM's
validation), so secrets are masked before anything is cut, and each word that people wrote is left out, but for the vocabulary of such
errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from base.masking import HIDDEN, mask
from base.retry import seconds_of


class Failure(StrEnum):
    """Why there is no usable answer, in the words for the log."""

    REFUSED = "refused"  # the server said no; `Refusal` has its words
    UNREACHED = "connection failed"
    PROXY = "the proxy refused the way there"
    CERTIFICATE = "its certificate is not trusted"
    TIME_OUT = "time-out"
    CUT_OFF = "cut off"  # nobody wanted the rest
    BROKE_OFF = "an answer that broke off"
    TOO_LARGE = "an answer that is too large"
    NOT_JSON = "an answer that is not JSON"
    ODD = "an answer that made no sense"


Kind = Literal["busy", "quota", "filtered", "too long", "refused", "down"]

_LONGEST = 500  # characters of a message
_LOOKED_AT = 4_000  # characters of one that are looked at
_TOKEN = 80  # characters of a code, param or type
_LEFT_OUT = "…"
_BUSY = frozenset({429, 503, 529})  # 529: Anthropic's "overloaded"
_DOWN = frozenset({408, 409, 425})
_QUOTA = re.compile(
    r"insufficient[_ ](quota|balance|credit|funds)|billing[_ ](hard[_ ]limit|not[_ ]active)|credit balance is too low|"
    r"(quota|credits?|balance) (is |are |has been )?exhausted",
    re.I,
)
_FILTERED = re.compile(r"content[_ ](filter|policy)|responsible ?ai|data_inspection_failed|prohibited_content", re.I)
_TOO_LONG = re.compile(
    r"context_length_exceeded|string_above_max_length|request too large|(context|prompt|input)[ _-]?(length|window|size)?[^.]{0,40}"
    r"(exceed|too (long|large)|overflow)|maximum context|exceeds?[^.]{0,60}(context|maximum (number of )?(input )?tokens)|"
    r"too many (input )?tokens|reduce the length",
    re.I,
)
_OVERLOADED = re.compile(r"rate_limit|overloaded|too_many_requests|resource_exhausted|server_busy", re.I)
_KEYS = re.compile(r"\b(?:sk|pk|xox[a-z]|xapp|gsk|ghp|AIza|eyJ)[-_A-Za-z0-9][\w.*-]{6,}|(?i:\bbearer\s+)\S+")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\[nrtbf]")
_WORD = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\u3040-\u30ff]|\w+")  # scripts without blanks sign by sign
_CUT_WORD = 3  # letters of a word that a server cut off by which it is known

# Words that these errors are made of. What is here is no news about anybody, although people write it, too.
_PLAIN_WORDS = """
    api http https get post
    a about above after again all allowed already also am an and any are argument arguments array as assistant at auto available
    back bad balance be because been before below between billing body both but by call called calls can cannot check choice
    choices code completion completions configured contact contain contains content context could credit credits currently data
    default deprecated details did do does documentation down each either empty enable enabled end engine error errors exceed
    exceeded exceeds exhausted exist expected failed field fields filter for format found from function functions get given got
    had has have header help higher how i if in index input insufficient instead integer internal into invalid is it item items
    its json key large last left length less limit limits list loading long longer make malformed many max maximum may message
    messages method min minute minutes missing model models more most must my name need needs new no none not null number object
    of off on one only or other our out output over parallel param parameter parser path permission plan please policy previous
    property prompt provide provided quota range rate reached read reasoning reduce refused request requested requests require
    required requires resource response retry return role run second seconds see send sent server service set should size so some
    start status stop stream string such support supported supports switch system template than that the their them then there
    these they this those time to token tokens too tool tools top try turn two type unavailable unexpected unknown unsupported
    until up url us use used user using valid value values version was we were what when where which while who why will window
    with without would wrong you your
"""
_PLAIN = frozenset(_PLAIN_WORDS.split())


@dataclass(frozen=True)
class Refusal:
    """What a server said instead of an answer. `status` is 200 where it hid that in an answer. `after`: seconds that it asks to wait."""

    status: int
    kind: Kind
    code: str = ""
    param: str = ""
    type: str = ""
    message: str = ""
    after: float | None = None

    @property
    def short(self) -> str:
        """In a few words, without what the server wrote."""
        return f"HTTP {self.status}" if self.status != _OK else "an error instead of an answer"

    @property
    def for_log(self) -> dict[str, Any]:
        """For the log."""
        said = {"status": self.status, "code": self.code, "param": self.param, "type": self.type, "said": self.message}
        return {name: value for name, value in said.items() if value}


_OK = 200


def refusal_of(
    status: int,
    body: object,
    *,
    headers: Mapping[str, str] | None = None,
    written: Iterable[Any] = (),
    secrets: Sequence[str] = (),
    now: float = 0.0,
) -> Refusal:
    """Reads an error. `body`: bytes, text, or JSON that is read already; `headers` with names in lower case; `written`: the messages of
    the request; `now`: seconds since 1970, for a Retry-After that is a date."""
    error, text = _parts(body)
    hide = _Hider(written, secrets)
    code, param, kind = (hide.token(error.get(name)) for name in ("code", "param", "type"))
    number = int(code) if code.isdecimal() and len(code) == len("429") else status
    said = f"{code} {kind} {text[:_LOOKED_AT]}"
    what = _kind(number if status == _OK else status, said)
    after = _asked_wait(headers or {}, error, now) if what == "busy" else None
    return Refusal(status, what, code, param, kind, hide.message(text), after)


def error_in(answer: object) -> object | None:
    """The error that a server gave as an answer, or as a piece of one: `{"error": ...}`, vLLM's `{"object": "error"}`; else None."""
    if not isinstance(answer, dict):
        return None
    if answer.get("error") or answer.get("object") == "error":
        return answer
    return answer if answer.get("type") == "error" and "choices" not in answer else None


def _kind(status: int, said: str) -> Kind:
    """What it means: the words count before the status, since servers agree on neither."""
    if status == 402 or _QUOTA.search(said):
        return "quota"
    if _FILTERED.search(said):
        return "filtered"
    if status not in (401, 403, 404) and (status == 413 or _TOO_LONG.search(said)):
        return "too long"
    if status in _BUSY or (status == _OK and _OVERLOADED.search(said)):
        return "busy"
    return "refused" if 400 <= status < 500 and status not in _DOWN else "down"


def _asked_wait(headers: Mapping[str, str], error: Mapping[str, Any], now: float) -> float | None:
    """Seconds: Retry-After, its form in milliseconds (OpenAI, Azure), or Google's RetryInfo in the error."""
    try:
        return max(0.0, float(headers["retry-after-ms"]) / 1_000)
    except (KeyError, ValueError):
        pass
    text = headers.get("retry-after", "")
    if re.fullmatch(r"\d{1,9}\.\d{1,6}", text.strip()):
        return float(text)
    if (seconds := seconds_of(text, now)) is not None:
        return max(0.0, seconds)
    details = error.get("details")
    delays = [one.get("retryDelay") for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    found = next((re.fullmatch(r"(\d{1,6}(?:\.\d+)?)s", one) for one in delays if isinstance(one, str)), None)
    return float(found[1]) if found else None


def _parts(body: object) -> tuple[Mapping[str, Any], str]:
    """The error's object, where there is one, and its text: OpenAI's, vLLM's, Google's (in a list), FastAPI's, or a mere text."""
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, str):
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return {}, re.sub(r"<[^>]*>|\s+", " ", body[:_LOOKED_AT]).strip()
        body = value
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return {}, body if isinstance(body, str) else ""
    error = body.get("error")
    inner = error if isinstance(error, dict) else body
    texts = [error, inner.get("message"), inner.get("detail"), inner.get("error_description")]
    within = inner.get("metadata")  # OpenRouter's, with the words of the server behind it
    texts += [within.get("raw")] if isinstance(within, dict) else []
    said = [one if isinstance(one, str) else json.dumps(one) for one in texts if one and not isinstance(one, dict)]
    return inner, " ".join(said)


class _Hider:
    """Leaves out of a server's words what nobody may see."""

    def __init__(self, written: Iterable[Any], secrets: Sequence[str]) -> None:
        self._secrets = sorted((one for one in secrets if one), key=len, reverse=True)
        words = {word for text in texts_of(written) for word in _words(text)}
        self._theirs = {word for word in words if word not in _PLAIN}

    def message(self, text: str) -> str:
        """A message, bounded."""
        shown = _KEYS.sub(HIDDEN, str(mask(_unescaped(text), self._secrets)))[:_LOOKED_AT]
        marks = [HIDDEN if part == HIDDEN else self._less(part) for part in re.split(rf"({re.escape(HIDDEN)})", shown)]
        shown = " ".join(re.sub(rf"{_LEFT_OUT}(\W{{0,3}}{_LEFT_OUT})+", _LEFT_OUT, "".join(marks)).split())
        return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}{_LEFT_OUT}"

    def token(self, value: object) -> str:
        """A code, param or type; empty where it is none."""
        text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
        if not re.fullmatch(rf"[\w.\[\]:/-]{{1,{_TOKEN}}}", text):
            return ""
        return "" if mask(text, self._secrets) != text else self._less(text).replace(_LEFT_OUT, "")

    def _less(self, text: str) -> str:
        def shown(found: re.Match[str]) -> str:
            word = found[0].casefold()
            if word in self._theirs:
                return _LEFT_OUT
            before, after = text[: found.start()], text[found.end() :]
            ends = not after.strip() or re.match(r"\s*(\.\.\.|…)", after)
            begins = not before.strip() or re.search(r"(\.\.\.|…)\s*$", before)
            return _LEFT_OUT if (ends and self._is_part(word, 0)) or (begins and self._is_part(word, -1)) else found[0]

        return _WORD.sub(shown, text)

    def _is_part(self, word: str, end: int) -> bool:
        """Whether a word that a server may have cut off is the beginning (0) or the end (-1) of one of theirs."""
        if len(word) < _CUT_WORD or word in _PLAIN:
            return False
        return any(one.startswith(word) if end == 0 else one.endswith(word) for one in self._theirs)


def texts_of(messages: Iterable[Any]) -> Iterable[str]:
    """All that a request's messages say, but for the system's: the operator wrote that."""
    for message in messages:
        if not (isinstance(message, dict) and message.get("role") == "system"):
            yield from _texts(message)


def _texts(value: Any) -> Iterable[str]:
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _texts(one)
        case dict():
            for name, one in value.items():
                yield from (() if name in ("role", "type", "id", "tool_call_id", "name") else _texts(one))


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(_unescaped(text))]


def _unescaped(text: str) -> str:
    """JSON and Python escapes undone: texts are repeated in quotes."""

    def character(found: re.Match[str]) -> str:
        digits = found[1] or found[2]
        return chr(int(digits, 16)) if digits and not 0xD800 <= int(digits, 16) < 0xE000 else " "

    return _ESCAPE.sub(character, text)
