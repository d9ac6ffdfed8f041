"""The single values of apis.yaml: variables, addresses, times, schemas, names, each checked by itself. Keys and entries are no matter
of this file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)

from base.written_numbers import as_text, settled
from catalog import askers, schemas
from catalog.rules import ANYONE, ASKER
from catalog.schema_keywords import check_words

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"  # RFC 9110, 5.1
VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}")
ANY_SCHEMA = "https://json-schema.org/draft/2020-12/schema"

# Headers that no call may bring: who calls, where it goes, how the body is read, and what would make another call of it.
_RESERVED = frozenset(
    ("accept", "accept-encoding", "authorization", "connection", "cookie", "cookie2", "date", "expect", "forwarded",
     "host", "idempotency-key", "if-match", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
     "via", "x-method-override", "x-real-ip")
)  # fmt: skip
_RESERVED_BEGINNINGS = ("content-", "proxy-", "sec-", "x-forwarded-", "x-http-method", "x-original-", "x-rewrite-")


def header_key(name: str) -> str:
    """A header's name as servers compare it: capitals do not count, and CGI makes '_' of '-'."""
    return name.lower().replace("_", "-")


def is_reserved(name: str) -> bool:
    """Whether a header of this name is the bot's alone to send."""
    return header_key(name) in _RESERVED or header_key(name).startswith(_RESERVED_BEGINNINGS)


def _expand(value: object, info: ValidationInfo) -> object:
    """`${VAR}` and `${VAR:-default}` from the environment; only base_url, auth, tls and headers go through here."""
    value = as_text(value)
    if not isinstance(value, str):
        return value
    environ: Mapping[str, str] | None = (info.context or {}).get("environ", {})

    def look_up(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        text = default if environ is None else environ.get(name) or default
        if text is None and environ is None:
            return found[0]
        if text is None:
            raise ValueError(f"{name} is not set: set it in the environment, or write ${{{name}:-a default}}")
        return text

    return VARIABLE.sub(look_up, value)


def _base_url(value: str) -> str:
    """A URL that calls can begin with. A variable that was not looked up stands for a whole URL or a part of it."""
    value = value.strip()
    _check_base_url(VARIABLE.sub("variable", VARIABLE.sub("http://variable", value, 1) if value[:2] == "${" else value))
    return value.rstrip("/")


def _check_base_url(value: str) -> None:
    if any(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in value) or "\\" in value:
        raise ValueError("base_url may not contain spaces, backslashes or invisible characters; write it without them")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError(f"'{value}' is not a URL; write, for example, https://hr.example.com/v1") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a URL with its scheme, for example https://hr.example.com/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "no user or password in base_url: write them under auth: {basic: {username: ..., password: ...}}"
        )
    if parts.query or parts.fragment:
        raise ValueError("no '?' or '#' in base_url; a fixed query belongs in each endpoint's url")
    if any(unquote(step) in (".", "..") for step in parts.path.split("/")):
        raise ValueError("no '.' or '..' in base_url; write the path in full")


def _header_text(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or not text.isprintable() or not text.isascii():
        raise ValueError("write printable ASCII on one line (is the variable empty, or does it end in a line break?)")
    return value


def _server_url(value: str) -> str:
    """Where a secret is sent: https, or http on this machine alone. A variable that was not looked up may stand for anything."""
    value = value.strip()
    if VARIABLE.search(value):
        return value
    if not is_for_secrets(value):
        raise ValueError(
            "write a URL that begins with https:// (http:// is for this machine alone), without a user, '#' or spaces"
        )
    return value


def is_for_secrets(url: str) -> bool:
    """Whether what is sent to this address can be read by nobody on the way: https, or http on this machine alone."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    is_here = host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    return (
        is_plain
        and bool(host)
        and parts.username is None
        and not parts.fragment
        and (parts.scheme == "https" or (parts.scheme == "http" and is_here))
    )


def _pem(value: SecretStr) -> SecretStr:
    """A key in PEM form; where a variable took it, its line breaks may be written as \\n."""
    return SecretStr(value.get_secret_value().replace("\\n", "\n").strip() + "\n")


def _seconds(value: object) -> object:
    """`45s`, `30m`, `1h`, `2d` -> seconds."""
    found = re.fullmatch(r"\s*(\d+)\s*([smhd])\s*", str(value))
    if not found or int(found[1]) == 0:
        raise ValueError("write a duration, for example 45s, 30m, 1h or 2d")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[found[2]]


def check_schema(value: dict[str, Any], beside: Iterable[str] = ()) -> dict[str, Any]:
    """A JSON Schema, its own values as it means them. Raises `ValueError` where it is none, or could not be kept to.

    `beside`: keys of the catalog that stand among its keywords.
    """
    value = settled(value)
    schemas.check_schema(value)
    check_words(value, beside)
    if _stray_secret(value, is_field=True):
        raise ValueError(
            "secret: true belongs on a field itself (under properties, or the items of a field's list) or on a parameter"
        )
    return value


def _stray_secret(schema: object, *, is_field: bool) -> bool:
    """Whether `secret: true` stands where no field's name says what to hide."""
    match schema:
        case dict():
            if schema.get("secret") is True and not is_field:
                return True
            fields = schema.get("properties")
            below = [(one, True) for one in fields.values()] if isinstance(fields, dict) else []
            below += [
                (one, is_field and key == "items")
                for key, one in schema.items()
                if key not in ("properties", "enum", "const", "default", "examples")
            ]
            return any(_stray_secret(one, is_field=field) for one, field in below)
        case list():
            return any(_stray_secret(one, is_field=False) for one in schema)
    return False


def _approver(value: str) -> str:
    if value in (ASKER, ANYONE) or re.fullmatch(r"@[a-z0-9._-]+|[SUW][A-Za-z0-9_]{2,}", value):
        return value
    raise ValueError(
        f"'{value}' is not an approver: write a user id (U024BE7LH), a group (@hr-leads or S0614TZR7), {ASKER} or {ANYONE}"
    )


def _jmespath(value: str) -> str:
    try:
        jmespath.compile(value)
    except JMESPathError:
        raise ValueError(
            f"'{value}' is not valid JMESPath; write, for example, data[*].id, see https://jmespath.org"
        ) from None
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Method = Annotated[str, BeforeValidator(_upper), WithJsonSchema({"enum": [*METHODS, *map(str.lower, METHODS)]})]
BaseUrl = Annotated[str, BeforeValidator(_expand), AfterValidator(_base_url)]
Secret = Annotated[SecretStr, BeforeValidator(_expand), AfterValidator(_header_text)]
Pem = Annotated[SecretStr, BeforeValidator(_expand), AfterValidator(_pem)]
Expanded = Annotated[str, BeforeValidator(_expand), Field(min_length=1)]
ServerUrl = Annotated[str, BeforeValidator(_expand), AfterValidator(_server_url)]
HeaderName = Annotated[str, Field(pattern=HEADER_NAME)]
Schema = Annotated[
    dict[str, Any], AfterValidator(lambda value: check_schema(value)), WithJsonSchema({"$ref": ANY_SCHEMA})
]
Expiry = Annotated[
    float, BeforeValidator(_seconds), WithJsonSchema({"type": "string", "pattern": r"^\s*\d+\s*[smhd]\s*$"})
]
Approver = Annotated[str, AfterValidator(_approver)]
Asker = Annotated[str, AfterValidator(askers.read_name)]
Jmespath = Annotated[str, Field(min_length=1), AfterValidator(_jmespath)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Strict(BaseModel):
    """A part of the file: no key that it does not have, nothing changed later."""

    # A number where text belongs is the text that was written (written_numbers.py).
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, coerce_numbers_to_str=True)
