"""What an id_token says, once its signature and claims hold: OpenID Connect Core 3.1.3.7, by joserfc and Authlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

# Signatures alone that a key pair makes: no `none`, and no HMAC, whose key would be the client's secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
LEEWAY = 60  # seconds that the clocks of two machines may differ
_HASHES = ("RS", "PS", "ES")  # whose at_hash Authlib can check; it may be left out: OpenID Connect Core 3.1.3.6
_KEY_TYPES = ("RSA", "EC", "OKP")


@dataclass(frozen=True)
class Expected:
    """What an id_token has to say. `nonce`: empty where none was sent (RFC 8628); `now`: seconds since 1970."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str
    now: float


def claims_of(token: str, expected: Expected, keys: Callable[[bool], KeySet]) -> dict[str, Any]:
    """The claims of an id_token. `keys` gives the issuer's, `True`: fetched again, for a key that is not known. Raises `JoseError` or
    `ValueError`."""
    decoded = _verified(token, keys)
    options = {"iss": {"value": expected.issuer}, "aud": {"value": expected.client_id}}
    params = {"client_id": expected.client_id, "nonce": expected.nonce}
    if decoded.header["alg"][:2] in _HASHES:
        params["access_token"] = expected.access_token
    claims = CodeIDToken(decoded.claims, decoded.header, options, params)
    claims.validate(now=int(expected.now), leeway=LEEWAY)
    return dict(claims)


def _verified(token: str, keys: Callable[[bool], KeySet]) -> jwt.Token:
    for again in (False, True):
        with suppress(InvalidKeyIdError):
            return _decoded(token, keys(again))
    raise InvalidKeyIdError("no such key")


def _decoded(token: str, keys: KeySet) -> jwt.Token:
    """A token whose signature holds by one of these keys: the one that it names, or any where it names none."""
    if "kid" in jws.extract_compact(token.encode()).headers():
        return jwt.decode(token, keys, algorithms=ALGORITHMS)
    for key in keys:
        with suppress(BadSignatureError, ValueError, TypeError):  # a key of another kind
            return jwt.decode(token, key, algorithms=ALGORITHMS)
    raise InvalidKeyIdError("no key fits")


def key_set(data: Mapping[str, Any]) -> KeySet:
    """The keys of a JWKS by which signatures are checked; what is not understood is left out, as RFC 7517, 5, asks for. Raises
    `ValueError`."""
    listed = data.get("keys")
    keys = [key for one in (listed if isinstance(listed, list) else []) if (key := _key(one)) is not None]
    if not keys:
        raise ValueError("no keys")
    return KeySet(keys)


def _key(data: object) -> Key | None:
    if not isinstance(data, dict) or data.get("kty") not in _KEY_TYPES or data.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key(data)
    except (JoseError, ValueError, TypeError, LookupError):
        return None
