"""Names, texts and numbers in the spellings that some server takes for the same ones. A server is lenient in its own way: these err on
the side of taking two for one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import unquote

_LONGEST = 60  # characters of a text that may be a number
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_IN_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+")
_PARTING = re.compile(r"[^\w\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff-]+")  # signs; what nobody sees is none
_FORMAT = re.compile(r"\.[^.]+$")
_DECODED = 4  # times: gateways and servers behind each other
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")


def caseless(text: str) -> str:
    """A text without the difference of capitals and small letters."""
    return text.upper().casefold().replace("i\u0307", "i")  # the dot of a Turkish capital I


def loosely_read(segment: str) -> str:
    """A decoded segment of a path as the laxest servers read it: decoded again, by the compatible form of its characters, without
    parameters (`;v=1`, Tomcat), what is a query or a fragment to who is handed it decoded (`?`, `#`), a format (any, `.json` or `.x`: Rails
    and older Springs), blanks around it, and dots at its end (IIS)."""
    for _ in range(_DECODED):
        segment = unquote(segment)
    text = re.split(r"[;?#]", unicodedata.normalize("NFKC", segment), maxsplit=1)[0].lstrip()
    return _FORMAT.sub("", re.sub(r"[.\s\u200b]+$", "", text))


def bare(name: str) -> str:
    """A name's letters and digits alone: not capitals nor blanks, not `_` nor `-`, not the form of a character make another of it."""
    plain = caseless(unicodedata.normalize("NFKD", name))
    return "".join(one for one in plain if one.isalnum()) or plain.strip()


def parts(name: str) -> list[str]:
    """The parts of a name that some writers join: `home.iban`, `home[iban]`, `home/iban`, `hr:iban`. Blanks, `_` and `-` part nothing."""
    return [one for one in _PARTING.split(unicodedata.normalize("NFKC", name)) if one.strip()]


def plain(text: str) -> str:
    """A text without capitals, accents, what nobody sees, blanks around it, double blanks, and the differences of a character's forms."""
    shown = (one for one in unicodedata.normalize("NFKD", text) if one.isspace() or not _is_lost(one))
    return " ".join(caseless("".join(shown)).split())


def _is_lost(one: str) -> bool:
    """Whether databases compare texts as if a character was not there (https://unicode.org/reports/tr10/: ignorable at the first level)."""
    return unicodedata.category(one) in ("Mn", "Me", "Cf", "Cc")


def meanings(text: str) -> list[Decimal | bool]:
    """The numbers and truth values that a text may be read as: `5,000` is 5000 to some, and 5 to others."""
    tight = re.sub(r"[\s_'\u2019]", "", unicodedata.normalize("NFKC", text[:_LONGEST]))
    tight = "".join(str(unicodedata.decimal(one, one)) for one in tight)  # the digits of every script
    if tight.lower() in ("true", "false"):
        return [tight.lower() == "true"]
    if _HEX.fullmatch(tight):
        return [Decimal(int(tight, 16))]
    digits = re.search(r"[+-]?[.,]?[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?", tight)
    forms = [form for one in (tight, digits[0] if digits else "") for form in _forms(one)]
    return list(dict.fromkeys(Decimal(one) for one in forms if _NUMBER.fullmatch(one)))


def _forms(text: str) -> Iterator[str]:
    """A number as it stands, with commas between its thousands, and with dots between them."""
    yield text
    yield text.replace(",", "")
    if "," in text or _IN_THOUSANDS.fullmatch(text):
        yield text.replace(".", "").replace(",", ".")
