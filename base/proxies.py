"""Which way leads out: the proxies of the environment, and where they do not count. For the model, Slack, its socket and the API alike.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are read as curl reads them (https://curl.se/docs/manpage.html#ENVIRONMENT): a host of
NO_PROXY stands for its subdomains, too, with or without a dot before it; `*` for all. As in Go's net/http, a port and an address block
(10.0.0.0/8) may stand there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_PORTS = {"http": 80, "https": 443}
_SECURE = {"https": "https", "wss": "https", "http": "http", "ws": "http"}


@dataclass(frozen=True)
class Proxy:
    """A proxy: its address without credentials, and those."""

    url: str
    auth: tuple[bytes, bytes] | None = None


@dataclass(frozen=True)
class WayOut:
    """The proxies for `http` and `https` (their URLs, empty: none), the hosts that are reached without (`exempt`, as NO_PROXY has
    them), and a file with the `certificates` that count instead of the system's (empty: those)."""

    http: str = ""
    https: str = ""
    exempt: str = ""
    certificates: str = ""

    def proxy_url(self, url: str) -> str:
        """The URL of the proxy for an address (http, https, ws, wss), with its credentials; empty where none is to be used."""
        parts = urlsplit(url)
        scheme = _SECURE.get(parts.scheme, "")
        proxy = {"http": self.http, "https": self.https}.get(scheme, "")
        if not proxy or self._is_exempt((parts.hostname or "").rstrip("."), parts.port or _PORTS[scheme]):
            return ""
        return proxy

    def proxy(self, url: str) -> Proxy | None:
        """The same, taken apart."""
        proxy = self.proxy_url(url)
        return proxy_of(proxy) if proxy else None

    def _is_exempt(self, host: str, port: int) -> bool:
        return any(_covers(one.lower(), host, port) for one in re.split(r"[\s,]+", self.exempt) if one)


STRAIGHT = WayOut()
"""No proxy, the system's certificates."""


def proxy_of(url: str) -> Proxy:
    """A proxy's URL taken apart."""
    parts = urlsplit(url)
    at = parts.netloc.rpartition("@")[2]
    auth = None
    if parts.username is not None:
        auth = (unquote(parts.username).encode(), unquote(parts.password or "").encode())
    return Proxy(f"{parts.scheme}://{at}", auth)


def written(value: str) -> str:
    """A proxy's address as the environment has it -> a URL. Raises `ValueError` with what to write instead, without the value."""
    given = value.strip()
    given = given if "://" in given else f"http://{given}"
    parts = urlsplit(given)
    if parts.scheme.startswith("socks"):
        raise ValueError("SOCKS proxies are not supported; use an HTTP proxy, http://host:port")
    with suppress(ValueError):
        if parts.scheme in _PORTS and parts.hostname and (parts.port is None or parts.port > 0):
            return given.rstrip("/")
    raise ValueError("write the proxy as http://host:port, credentials as http://user:password@host:port")


def secrets_in(url: str) -> tuple[str, ...]:
    """What no log may show of a proxy's URL."""
    password = urlsplit(url).password
    return tuple({password, unquote(password)}) if password else ()


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY stands for this host (in lower case, IPv6 without brackets)."""
    if entry == "*":
        return True
    found = re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+)(?::(\d+))?|(.+)", entry)
    if found is None:
        return False
    name, wanted = found[1] or found[3] or found[5], found[2] or found[4]
    if wanted is not None and int(wanted) != port:
        return False
    by_address = _address_test(name)
    if by_address is not None:
        return by_address(host)
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address_test(name: str) -> Callable[[str], bool] | None:
    """How to tell whether a host is of an address or a block of addresses; None where `name` is none."""
    try:
        block = ipaddress.ip_network(name, strict=False)
    except ValueError:
        return None

    def test(host: str) -> bool:
        with suppress(ValueError):
            return ipaddress.ip_address(host) in block
        return False

    return test
