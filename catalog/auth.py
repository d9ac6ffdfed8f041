"""How an API knows who calls, as the file has it: the keys below `auth:`. How they travel with a request is for credentials.py, what has to
be fetched or signed first for identity/."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from catalog.values import Expanded, HeaderName, Secret, ServerUrl, Strict


class Basic(Strict):
    """HTTP Basic: a name and a password."""

    username: Secret
    """Who calls. Write it as ${VAR} to take it from the environment."""
    password: Secret
    """Write it as ${VAR} to take it from the environment."""


class HeaderKey(Strict):
    """A key that travels in a header."""

    name: HeaderName
    """The header, for example X-Api-Key."""
    value: Secret
    """The key. Write it as ${VAR} to take it from the environment."""


class QueryKey(Strict):
    """A key that travels in the query."""

    name: Annotated[str, Field(min_length=1)]
    """The query name, for example api_key."""
    value: Secret
    """The key. Write it as ${VAR} to take it from the environment."""


# What the bot says itself when it sends somebody to a sign-in server.
_OWN_PARAMS = frozenset(
    ("client_id", "client_secret", "code_challenge", "code_challenge_method", "code_verifier", "nonce", "redirect_uri", "request",
     "request_uri", "response_mode", "response_type", "scope", "state", "url")
)  # fmt: skip


def _scope(value: str) -> str:
    if not value.isascii() or not value.isprintable() or any(c in ' "\\' for c in value):
        raise ValueError(f"'{value}' is not a scope; write one scope per item of the list, without spaces")
    return value


def _authorize_params(value: dict[str, str]) -> dict[str, str]:
    if own := next((name for name in value if name in _OWN_PARAMS), None):
        raise ValueError(f"leave out '{own}'; the bot says it itself")
    return value


class OAuth2(Strict):
    """Each person calls with an account of their own: OAuth 2.0, OpenID Connect."""

    issuer: ServerUrl = ""
    """The sign-in server, for example https://login.example.com/realms/staff; all its addresses are found from there."""
    client_id: Expanded
    """How the sign-in server knows the bot. Write it as ${VAR} to take it from the environment."""
    client_secret: Secret | None = None
    """Write it as ${VAR} to take it from the environment. Left out: a public client, with PKCE alone."""
    client_auth: Literal["basic", "post"] | None = None
    """How the bot shows its client_secret. Left out: as the sign-in server says, else basic."""
    scopes: tuple[Annotated[str, Field(min_length=1), AfterValidator(_scope)], ...] = ()
    """What is asked for, for example [openid, email, offline_access, hr.read]."""
    audience: Expanded | None = None
    """For whom the tokens are, where the sign-in server asks for it (Auth0)."""
    resource: Expanded | None = None
    """For which API the tokens are, where the sign-in server asks for it by RFC 8707."""
    authorize_params: Annotated[dict[str, str], AfterValidator(_authorize_params)] = {}
    """What else the sign-in server's page wants to be told, for example prompt: consent, or Google's access_type: offline."""
    authorize_url: ServerUrl = ""
    """Where people sign in, for a server without discovery; then with token_url."""
    token_url: ServerUrl = ""
    """Where tokens are given."""
    jwks_url: ServerUrl = ""
    """Where the keys of a server without discovery are, by which its id_tokens are checked."""
    userinfo_url: ServerUrl = ""
    """Where the server says whose a token is."""
    revoke_url: ServerUrl = ""
    """Where tokens are given back (RFC 7009)."""
    device_url: ServerUrl = ""
    """Where the sign-in by a code on another device begins (RFC 8628)."""
    other_accounts: bool = False
    """true: a person may connect an account whose verified e-mail is another than in Slack."""

    @property
    def finds(self) -> bool:
        """Whether the server's addresses are found by discovery."""
        return not self.token_url

    @property
    def issuer_name(self) -> str:
        """By what name the server is known: its issuer, or where it has none, where its tokens are given."""
        place = urlsplit(self.token_url)
        return self.issuer or f"{place.scheme}://{place.netloc}"

    @model_validator(mode="after")
    def _is_whole(self) -> OAuth2:
        if not self.issuer and not self.token_url:
            raise ValueError("write issuer, or authorize_url and token_url where the sign-in server has no discovery")
        if bool(self.authorize_url) != bool(self.token_url):
            raise ValueError("authorize_url and token_url go together; write both, or issuer alone")
        if self.token_url and not self.userinfo_url and not (self.issuer and self.jwks_url and "openid" in self.scopes):
            raise ValueError(
                "whose account it is would not be known: add userinfo_url, or issuer, jwks_url and the scope openid"
            )
        if not self.token_url and "openid" not in self.scopes and not self.userinfo_url:
            raise ValueError("whose account it is would not be known: add openid to scopes, or userinfo_url")
        if self.client_auth is not None and self.client_secret is None:
            raise ValueError("client_auth says how client_secret is shown; add that, or leave client_auth out")
        return self


class Auth(Strict):
    """How the API knows who calls: exactly one of these."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    bearer: Secret | None = None
    """A token for `Authorization: Bearer`. Write it as ${VAR} to take it from the environment."""
    basic: Basic | None = None
    """A name and a password for `Authorization: Basic`."""
    header: HeaderKey | None = None
    """A key in a header of its own."""
    query: QueryKey | None = None
    """A key in the query of each request."""
    oauth2: OAuth2 | None = None
    """An account of the person who asks."""

    @property
    def is_personal(self) -> bool:
        """Whether the API sees the person who asks, and so may tell each something else."""
        return self.oauth2 is not None

    @model_validator(mode="after")
    def _one(self) -> Auth:
        if sum(way is not None for way in (self.bearer, self.basic, self.header, self.query, self.oauth2)) != 1:
            raise ValueError("write exactly one of bearer, basic, header, query, oauth2")
        return self
