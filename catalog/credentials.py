"""The catalog's credentials: how they travel with a request, and every text by which they could be recognised. Nothing is sent here."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit

from catalog.auth import OAuthClient
from catalog.catalog import Api, Catalog
from catalog.template import with_plus

_AGENT = "rest-in-slack"
_NESTED = 3  # JSON texts within JSON texts in which a secret is looked for
_SHORTEST = 6  # characters of what is masked; shorter texts would blank out ordinary words


def secrets_of(catalog: Catalog) -> tuple[str, ...]:
    """Every text of the catalog that must not be seen, longest first."""
    return tuple(sorted({s for api in catalog.apis for s in _secrets(api)}, key=len, reverse=True))


def _secrets(api: Api) -> Iterator[str]:
    """Every text that must not be seen: credentials as given and in the forms in which they travel."""
    plain = [value.get_secret_value() for value in api.headers.values()]
    if api.auth is not None:
        plain += [
            s.get_secret_value()
            for s in (api.auth.bearer, *(k.value for k in (api.auth.header, api.auth.query) if k))
            if s
        ]
        if api.auth.basic is not None:
            plain += [api.auth.basic.password.get_secret_value(), _basic(api)]
        plain += [text for client in api.auth.clients.values() for text in _of_client(client)]
    for secret in plain:
        if len(secret) >= _SHORTEST:
            yield from spellings(secret)


def _of_client(client: OAuthClient) -> Iterator[str]:
    """By what a server that gives tokens knows the bot."""
    for secret in (client.client_secret, client.private_key):
        if secret is not None:
            yield secret.get_secret_value().strip()


def spellings(secret: str) -> set[str]:
    """A secret in the forms in which an API may repeat it: in a URL, HTML, JSON text, hexadecimal, base64."""
    in_url = {quote(secret, safe=""), quote(secret), quote_plus(secret), quote(quote(secret, safe=""), safe="")}
    lower = {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), one) for one in in_url}
    hexed = secret.encode().hex()
    in_html = {html.escape(secret), html.escape(secret, quote=False)}
    in_json = {*_in_json(secret, is_ascii=True), *_in_json(secret, is_ascii=False)}
    return {secret, *in_html, *in_json, hexed, hexed.upper(), *in_url, *lower, *_in_base64(secret)}


def _in_json(secret: str, *, is_ascii: bool) -> Iterator[str]:
    """A secret as JSON's text, and as that within further JSON texts: APIs that forward others' errors nest them."""
    for _ in range(_NESTED):
        secret = json.dumps(secret, ensure_ascii=is_ascii)[1:-1]
        yield secret


def _in_base64(secret: str) -> Iterator[str]:
    """A secret in base64: alone, and what is the same of it wherever in a longer text it stands, up to and with the character that its end
    shares with what follows."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        coded = encode(secret.encode()).decode()
        yield from (coded, coded.rstrip("="))
        for before, mixed in enumerate((0, 2, 3)):  # bytes before it, and how many characters they have a part in
            together = bytes(before) + secret.encode()
            whole, bits = divmod(len(together) * 8, 6)  # its own characters, and its bits in one more
            own = encode(together).decode()[mixed:whole]
            if len(own) >= _SHORTEST:
                yield own
                for after in (
                    range(0, 256, 4 << bits) if bits else ()
                ):  # each next byte that makes another one of that character
                    yield encode(together + bytes([after])).decode()[mixed : whole + 1]


def _basic(api: Api) -> str:
    assert api.auth is not None
    assert api.auth.basic is not None
    pair = f"{api.auth.basic.username.get_secret_value()}:{api.auth.basic.password.get_secret_value()}"
    return base64.b64encode(pair.encode()).decode()


def headers_of(
    api: Api, given: Mapping[str, str], *, content_type: str | None, key: str | None, etag: str
) -> dict[str, str]:
    """The headers of a request. `given`: the call's own, whose names the catalog keeps apart from all others here.

    `content_type`: its body's, where it has one; `key`: its idempotency key; `etag`: what its target has to have.
    """
    headers = {**given, "Accept": "application/json, */*;q=0.5", "User-Agent": _AGENT} | {
        name: value.get_secret_value() for name, value in api.headers.items()
    }
    if content_type is not None:
        headers["Content-Type"] = content_type
    if key is not None:
        headers["Idempotency-Key"] = key
    if etag:
        headers["If-Match"] = etag
    if api.auth is not None:
        if api.auth.bearer is not None:
            headers["Authorization"] = f"Bearer {api.auth.bearer.get_secret_value()}"
        if api.auth.basic is not None:
            headers["Authorization"] = f"Basic {_basic(api)}"
        if api.auth.header is not None:
            headers[api.auth.header.name] = api.auth.header.value.get_secret_value()
    return headers


def with_credentials(api: Api, url: str) -> str:
    """A URL as it is sent: with the API's key, where that travels in the query."""
    if api.auth is None or api.auth.query is None:
        return url
    pair = f"{quote(api.auth.query.name, safe='')}={quote(api.auth.query.value.get_secret_value(), safe='')}"
    return f"{url}{'&' if '?' in url else '?'}{pair}"


def without_credentials(catalog: Catalog, url: str) -> str:
    """A URL that an API gave, without its fragment and without any API's key in the query. Raises `ValueError`."""
    place = urlsplit(url)
    names = {api.auth.query.name for api in catalog.apis if api.auth and api.auth.query}
    written = (pair.partition("=") for pair in place.query.split("&"))
    query = "&".join(f"{name}{mark}{with_plus(value)}" for name, mark, value in written)
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in names]
    return place._replace(query=urlencode(pairs, quote_via=quote), fragment="").geturl()
