"""Special tokens of chat templates in what others wrote: broken up where the model reads them, put together again in what it writes.

A server that renders messages into one text, as most do, takes `<|im_end|>` within an API's data for the end of that message. Which
tokens there are differs by family, and new ones come; so what looks like one is broken up, whatever it says. Nobody but the model sees it.

A mark goes in behind a token's first sign: `<._.|im_end|>`. Where a text has a mark there already, it gets one more, so that taking one
out gives every text back as it was. The mark's own signs are left alone by JSON, URLs and forms, and its place is found however the
sign before it came to be written: `<`, `\\u003c`, `%3C`, `&lt;`. What has a meaning by its tokens in a model's own reply has to be read
before these are put together: after that, an API's data in the reply look the same.
"""

from __future__ import annotations

import re

from base.json_text import dumps, loads

_MARK = "._."
_NAME = (  # of what stands between < and >: with an underscore or a colon, in capitals, numbered, or one of those
    r"(?:[A-Za-z][\w.-]{0,40}[_:\u2581][\w:.\u2581-]{0,60}|[A-Z]{2,40}|(?:unused|reserved|extra|special)\d{1,6}|"
    r"s|n|unk|pad|bos|eos|mask|cls|sep|sop|eop|eot|eom|eod|end|turn|channel|tools?|think|thinking|thought|reasoning|answer|escape|"
    r"functions?|image|img|audio|video|speech|system|user|assistant|model)"
)
_CAPITALS = (  # of what stands between [ and ]: with an underscore, numbered, or one of those; [INFO] and the like are too common
    r"(?:[A-Z][A-Z0-9]{0,40}_[A-Z0-9_]{1,60}|(?:control|unused|reserved)_?\d{1,6}|INST|ARGS|IMG|AUDIO|THINK|PREFIX|MIDDLE|SUFFIX|"
    r"TRANSCRIBE|STT|[BE]OS|EOT|UNK|PAD\d{0,6}|CLS|SEP|[gs]?MASK)"
)
_MORE, _CLOSE = r"(?:>|(?i:\\+u003e|%3e)|&gt;)", r"(?:\]|(?i:\\+u005d|%5d))"
_BAR = r"(?:[|\uff5c]|(?i:\\+u007c|\\+uff5c|%7c|%ef%bd%9c))"
_BEHIND_LESS = rf"{_BAR}|\\*/?{_NAME}{_BAR}?{_MORE}|(?:function|invoke|parameter)[\s=]"
_BEHIND_OPEN = rf"\||\\*/?{_CAPITALS}{_CLOSE}|e~\["
_BEHIND_CLOSE = r"~!?b[\[\]]|![a-z]{1,3}~\[|<\]"
_TOKEN = re.compile(
    rf"[<\[\]](?:(?={re.escape(_MARK)})|(?<=<)(?={_BEHIND_LESS})|(?<=\[)(?={_BEHIND_OPEN})|(?<=\])(?={_BEHIND_CLOSE}))"
)
_ESCAPED = r"(?i:(?:3c|5b|5d|lt|60|91|93)(?:;|%(?:25)*3b)?)"  # how the spellings of a first sign end
_ESCAPED_TOKEN = re.compile(
    rf"{_ESCAPED}(?={re.escape(_MARK)})|(?:(?i:\\u003c|%3c)|&lt;)(?={_BEHIND_LESS})|(?i:\\u005b|%5b)(?={_BEHIND_OPEN})"
)
_MARKED_SIGN = rf"\g<0>{_MARK}"
_MARKED = re.compile(rf"([<\[\]]|{_ESCAPED}){re.escape(_MARK)}")


def broken_up(text: str) -> str:
    """`text` as the model may read it. A text of JSON stays one: what is broken up stands within its strings."""
    text = _TOKEN.sub(_MARKED_SIGN, text)
    is_escaped = _MARK in text or "\\u00" in text or "%" in text or "&lt;" in text
    return _ESCAPED_TOKEN.sub(_MARKED_SIGN, text) if is_escaped else text


def put_together(text: str) -> str:
    """What the model wrote, as it was meant: the other way round."""
    return _MARKED.sub(r"\1", text) if _MARK in text else text


def arguments_together(raw: object) -> object:
    """A call's arguments, JSON text or an object as some servers give it, put together."""
    if isinstance(raw, str):
        return put_together(raw)
    try:
        text = dumps(raw)
        whole = put_together(text)
        return raw if whole == text else loads(whole)
    except (ValueError, TypeError, RecursionError):
        return raw
