"""People's tokens as the database has them: encrypted under TOKEN_KEY (cryptography's MultiFernet: AES-128-CBC and HMAC-SHA256).

What is encrypted says what it is about, and opens as nothing else: a row that was copied to another person is of no use there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from base.settings import Misconfigured
from catalog.catalog import Catalog

_HOW_TO_MAKE = "make one with `openssl rand -base64 32`"
_MISSING = (
    "TOKEN_KEY is not set. {api} is called with people's own accounts, whose tokens are kept encrypted: "
    + _HOW_TO_MAKE
    + ", set TOKEN_KEY "
    "to it and keep it as safely as any key."
)


def check_keys(catalog: Catalog, keys: Sequence[str]) -> None:
    """Raises `Misconfigured` where the catalog needs a TOKEN_KEY that is not there, or is none."""
    TokenBox(keys)
    needs = next((api.name for api in catalog.apis if api.auth is not None and api.auth.oauth2 is not None), None)
    if needs is not None and not keys:
        raise Misconfigured(_MISSING.format(api=needs))


class Unreadable(Exception):
    """Encrypted under a key that is not there, altered, or about something else."""


class TokenBox:
    """Encrypts with the first of `keys` (TOKEN_KEY's, newest first), decrypts with each. Without any it can do neither."""

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            self._keys = MultiFernet([Fernet(key) for key in keys]) if keys else None
        except ValueError:
            raise Misconfigured(
                f"TOKEN_KEY: write 32 bytes in base64, several separated by commas; {_HOW_TO_MAKE}."
            ) from None

    def encrypt(self, about: Sequence[str], value: Mapping[str, Any]) -> str:
        """A value (as JSON has it) about this and nothing else."""
        return self._known.encrypt(json.dumps([list(about), dict(value)]).encode()).decode()

    def decrypt(self, about: Sequence[str], encrypted: str) -> dict[str, Any]:
        """The way back. Raises `Unreadable`."""
        try:
            said, value = json.loads(self._known.decrypt(encrypted))
        except (InvalidToken, ValueError):
            raise Unreadable from None
        if said != list(about) or not isinstance(value, dict):
            raise Unreadable
        return value

    def rotated(self, encrypted: str) -> str:
        """The same under the first key. Raises `Unreadable`."""
        try:
            return self._known.rotate(encrypted).decode()
        except InvalidToken:
            raise Unreadable from None

    @property
    def _known(self) -> MultiFernet:
        if self._keys is None:
            raise Unreadable
        return self._keys
