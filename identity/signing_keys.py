"""Private and public keys in files: read, named, told apart by their kind, and reread when the files change. What is signed with them is
no matter of this file."""

from __future__ import annotations

import hashlib
import threading
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from base.key_file import mark_of
from base.settings import Misconfigured
from catalog.auth import Actor, OAuthClient

# RFC 9864 has a newer name for it, Ed25519, which gateways do not know yet (Envoy 1.38: EdDSA).
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)
log = structlog.get_logger("keys")
_SPKI = PublicFormat.SubjectPublicKeyInfo
_LEAST_BITS = 2_048  # of an RSA key: RFC 7518, 3.3
_NO_KEY = "holds no key in PEM form without a passphrase; write, for example, what 'openssl genpkey -algorithm ed25519' prints"
_KINDS = "is of a kind that cannot sign here; write an RSA key (2048 bits or more), one of P-256, or Ed25519"
Key = RSAKey | ECKey | OKPKey
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class SigningKey:
    """A key as joserfc has it, how it signs, and what a statement's head says of it beside that."""

    key: Key = field(repr=False)
    algorithm: str
    header: Mapping[str, str]

    @property
    def public(self) -> dict[str, Any]:
        """Its public part, for a JWKS (RFC 7517)."""
        return {**self.key.as_dict(private=False), **self.header, "use": "sig", "alg": self.algorithm}


class KeyFiles:
    """The keys of a catalog. A file that cannot be used any more, or is being written, leaves the key before it in use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, object], tuple[tuple[int, int, int], Any]] = {}

    def of_actor(self, said: Actor) -> tuple[SigningKey, ...]:
        """The keys that are published, the first one signs. Raises `Misconfigured`."""
        return (self._current(said.keys[0], _signing), *(self._current(path, _key) for path in said.keys[1:]))

    def of_client(self, said: OAuthClient) -> SigningKey:
        """The key by which a server that gives tokens knows the bot. Raises `Misconfigured`."""
        place = said.private_key_file or "private_key"
        given = said.private_key
        key = _private(given.get_secret_value().encode(), place) if given else self._current(place, _private)
        named = self._certified(said.certificate_file, key, place) if said.certificate_file is not None else key.header
        named = {**named, "kid": said.key_id} if said.key_id is not None else named
        algorithm = said.algorithm or key.algorithm
        if algorithm != key.algorithm and (algorithm, key.algorithm) != ("PS256", "RS256"):
            raise Misconfigured(
                f"{place}: this key cannot sign with {algorithm}; leave algorithm out, or write another key."
            )
        return SigningKey(key.key, algorithm, named)

    def _certified(self, path: str, key: SigningKey, place: str) -> Mapping[str, str]:
        """How a statement's head names a certificate. Raises `Misconfigured` where that is of another key: no server would say so."""
        certificate = self._current(path, _certificate)
        if certificate.of != key.header["kid"]:
            raise Misconfigured(
                f"{place} is not the key of the certificate in {path}; name the one that it was made with."
            )
        return certificate.header

    def _current(self, path: str, read: Callable[[bytes, str], _Found]) -> _Found:
        """What a file holds by now. Raises `Misconfigured` where there never was anything in it."""
        with self._lock:
            mark, known = self._known.get((path, read), (None, None))
            try:
                is_now = mark_of(Path(path))
                if is_now == mark:
                    return cast("_Found", known)  # it was read by the same function
                content = read(Path(path).read_bytes(), path)
            except (OSError, Misconfigured) as error:
                why = f"cannot read {path}: {error.strerror}." if isinstance(error, OSError) else str(error)
            else:
                self._known[path, read] = (is_now, content)
                return content
        if known is None:
            raise Misconfigured(why)
        log.warning("a key's file cannot be used; the key before it stays in use", reason=why)
        return cast("_Found", known)


def _key(pem: bytes, place: str) -> SigningKey:
    """A key by its PEM form; its name is its thumbprint (RFC 7638). Raises `Misconfigured`."""
    key, algorithm = _imported(pem, place)
    return SigningKey(key, algorithm, {"kid": key.thumbprint()})


def _private(pem: bytes, place: str) -> SigningKey:
    key = _key(pem, place)
    if not key.key.is_private:
        raise Misconfigured(f"{place} holds a public key; the private one is needed to sign.")
    return key


def _signing(pem: bytes, place: str) -> SigningKey:
    key = _private(pem, place)
    if key.algorithm not in ("RS256", "EdDSA"):
        raise Misconfigured(f"{place}: write an RSA or an Ed25519 key: statements are signed with RS256 or EdDSA.")
    return key


def _imported(pem: bytes, place: str) -> tuple[Key, str]:
    match _loaded(pem, place):
        case RSAPrivateKey() | RSAPublicKey() as loaded if loaded.key_size >= _LEAST_BITS:
            return RSAKey.import_key(pem), "RS256"
        case Ed25519PrivateKey() | Ed25519PublicKey():
            return OKPKey.import_key(pem), "EdDSA"
        case EllipticCurvePrivateKey() | EllipticCurvePublicKey() as loaded if isinstance(loaded.curve, SECP256R1):
            return ECKey.import_key(pem), "ES256"
    raise Misconfigured(f"{place} {_KINDS}.")


def _loaded(pem: bytes, place: str) -> object:
    try:
        return load_pem_public_key(pem) if b"PUBLIC KEY" in pem else load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):  # TypeError: it has a passphrase
        raise Misconfigured(f"{place} {_NO_KEY}.") from None


@dataclass(frozen=True)
class _Certificate:
    """A certificate as a statement's head names it, and the thumbprint of the key that it is of."""

    header: Mapping[str, str]
    of: str


def _certificate(pem: bytes, place: str) -> _Certificate:
    """By both of its thumbprints (RFC 7515, 4.1.7 and 4.1.8): Entra ID looks for the newer one, AD FS for the older one alone. Raises
    `Misconfigured`."""
    found = _x509(pem, place)
    der = found.public_bytes(Encoding.DER)
    prints = {"x5t": hashlib.sha1(der, usedforsecurity=False), "x5t#S256": hashlib.sha256(der)}
    named = {name: urlsafe_b64encode(one.digest()).rstrip(b"=").decode() for name, one in prints.items()}
    return _Certificate(named, _key(found.public_key().public_bytes(Encoding.PEM, _SPKI), place).header["kid"])


def _x509(pem: bytes, place: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise Misconfigured(f"{place} holds no certificate in PEM form.") from None


def lifetime(path: str) -> tuple[datetime, datetime]:
    """From when until when the first certificate of a file holds. Raises `Misconfigured`, OSError."""
    found = _x509(Path(path).read_bytes(), path)
    return found.not_valid_before_utc, found.not_valid_after_utc


def published(keys: Sequence[SigningKey]) -> dict[str, Any]:
    """A JWKS of these, each once."""
    return {"keys": list({one.header["kid"]: one.public for one in keys}.values())}
