"""What a thing is called and what tells it apart from others, out of an API's data: for cards, which name what a request is about.

By the catalog's `title:` where there is one, else by the fields that APIs usually have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from base.jmespath_bounded import BadQuery, search
from base.shrink import as_json

_FIRST = ("firstname", "givenname", "forename")
_LAST = ("lastname", "familyname", "surname")
_WHOLE_NAME = ("displayname", "fullname", "formattedname", "formatted")
_TITLES = (
    "name", "title", "label", "subject", "headline", "summary", "username", "login", "email", "mail", "emailaddress", "hostname",
    "host", "domain", "filename", "slug", "code", "sku", "number", "reference", "key", "path", "url", "description",
)  # fmt: skip
_KEYS = ("id", "uuid", "guid", "uid", "identifier", "key")
_APART = (
    "email", "mail", "emailaddress", "username", "login", "userprincipalname", "employeeid", "number", "code", "sku", "serialnumber",
    "hostname", "phone", "department", "location", "status", "state",
)  # fmt: skip
_WITHIN = ("data", "attributes", "metadata", "fields", "properties", "profile", "item", "result", "record")
_DEPTH = 3  # objects within objects that a name is looked for in
_MOST = 3  # fields that tell it apart
_LONGEST = 1_000  # characters of a name that are kept
_SHORT = 100  # characters of a text that is a thing by itself


class Name(NamedTuple):
    """What a thing is called: its title, and its id with the name of the field that holds it. Each may be empty."""

    title: str = ""
    label: str = ""
    key: str = ""


def name_of(data: Any, title: Sequence[str] = (), key: str = "") -> Name:
    """The name of a thing. `title` are JMESPaths whose texts make it; `key` is the field that holds its id, where that is known."""
    said = " ".join(text for one in title if (text := _text(_found(one, data))))
    things = list(_things(data))
    usual = said or next((text for one in things if (text := _usual_title(one))), _text(data)[:_SHORT])
    label, value = next((found for one in things if (found := key_of(one, key))[1]), ("", ""))
    return Name(_kept(usual), label, _kept(value))


def apart(data: Any, name: Name) -> list[tuple[str, str]]:
    """Fields that tell a thing apart, as (name, JSON text): what people know it by; where nothing names it, the first it has."""
    thing = next((one for one in _things(data) if _usual_title(one) or key_of(one, "")[1]), None)
    if thing is None:
        thing = next(_things(data), {})
    plain = {
        field: value for field, value in thing.items() if _text(value) and _text(value) not in (name.key, name.title)
    }
    telling = [field for wanted in _APART for field in plain if _plain(field) == wanted]
    chosen = telling if name.title or telling else list(plain)
    return [(field, as_json(plain[field])) for field in chosen[:_MOST]]


def _things(data: Any, depth: int = _DEPTH) -> Iterator[Mapping[str, Any]]:
    """The objects in which a name may stand: the data itself, and what wraps it or holds its fields, the outermost first."""
    if not isinstance(data, dict) or depth == 0:
        return
    yield data
    named = [value for wanted in _WITHIN for key, value in data.items() if _plain(key) == wanted]
    for value in named or (list(data.values()) if len(data) == 1 else []):
        yield from _things(value, depth - 1)


def _usual_title(thing: Mapping[str, Any]) -> str:
    texts = {_plain(field): _text(value) for field, value in reversed(list(thing.items()))}
    first, last = (next((texts[one] for one in names if texts.get(one)), "") for names in (_FIRST, _LAST))
    whole = next((texts[one] for one in _WHOLE_NAME if texts.get(one)), "")
    if whole or (first and last):
        return whole or f"{first} {last}"
    if isinstance(inner := thing.get("name"), dict) and (found := _usual_title(inner)):
        return found
    return next((texts[one] for one in _TITLES if texts.get(one)), "") or first or last


def key_of(thing: Mapping[str, Any], key: str = "") -> tuple[str, str]:
    """The field with a thing's id, `key` where there is one of that name, and the id; both empty where it has none."""
    plain = [] if key in thing else [(one, _plain(one)) for one in thing]
    wanted = [key] if key in thing else [one for name in _KEYS for one, said in plain if said == name]
    return next(((one, text) for one in wanted if (text := _text(thing[one]))), ("", ""))


def _plain(field: str) -> str:
    return re.sub(r"[\W_]", "", field).lower()


def _text(value: Any) -> str:
    """A value that could name something."""
    match value:
        case str():
            return value if value.strip() else ""
        case bool():
            return ""
        case int() | float() | Decimal():
            return as_json(value)
    return ""


def _found(expression: str, data: Any) -> Any:
    try:
        return search(expression, data)
    except BadQuery:
        return None


def _kept(text: str) -> str:
    """A name as a row keeps it: of a longer one the beginning and the end."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
