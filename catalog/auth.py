"""How an API knows who calls, as the file has it: the keys below `auth:` and `tls:`. How they travel with a request is for credentials.py,
what has to be fetched or signed first for identity/."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from catalog.values import Expanded, Expiry, HeaderName, Pem, Secret, ServerUrl, Strict, header_key

TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"  # noqa: S105 - a name (RFC 8693, 3)
AUTHORIZATION = "authorization"  # a header's name, as header_key has it


def _several(value: object) -> object:
    """A mere text is a list of one."""
    return (value,) if isinstance(value, str) else value


def _command(value: object) -> object:
    """A mere list is a command with its words."""
    if isinstance(value, str):
        words = "write a command as a list of words, for example [vault, read, -field=token, auth/hr]; no shell runs it"
        raise ValueError(words)  # noqa: TRY004 - pydantic takes a ValueError
    return {"command": value} if isinstance(value, list) else value


_Texts = Annotated[tuple[Expanded, ...], BeforeValidator(_several, json_schema_input_type=str | list[str])]


def _token_type(value: str) -> str:
    if not urlsplit(value).scheme or not value.isascii() or len(value.split()) > 1:
        raise ValueError(f"'{value}' is no URI; write one, for example urn:ietf:params:oauth:token-type:jwt")
    return value


TokenType = Annotated[Expanded, AfterValidator(_token_type)]


def _words(value: object) -> object:
    """Scopes in one text, as OAuth has them, are a list of them."""
    return value.split() if isinstance(value, str) else value


def _issuer(value: str) -> str:
    """Who gives tokens, as it names itself. The path of its metadata is found by the bot, and one tenant is asked, not all."""
    before, found, _ = value.partition("/.well-known/")
    if found:
        raise ValueError(f"write only the issuer, {before}; the bot finds the rest itself")
    if shared := re.match(r"https://login\.microsoftonline\.com/(common|organizations|consumers)\b", value):
        raise ValueError(f"write your tenant's id in place of '{shared[1]}', which is not an issuer")
    return value


_Issuer = Annotated[ServerUrl, AfterValidator(_issuer)]


class Basic(Strict):
    """HTTP Basic: a user name and a password."""

    username: Secret
    """The user name. Write it as ${VAR} to take it from the environment."""
    password: Secret
    """Write it as ${VAR} to take it from the environment."""


class HeaderKey(Strict):
    """A key in a header."""

    name: HeaderName
    """The header, for example X-Api-Key."""
    value: Secret
    """The key. Write it as ${VAR} to take it from the environment."""


class QueryKey(Strict):
    """A key in the query."""

    name: Annotated[str, Field(min_length=1)]
    """The query parameter, for example api_key."""
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


class OAuthClient(Strict):
    """A server that issues tokens, and how the bot authenticates to it."""

    issuer: _Issuer = ""
    """The server's issuer, for example https://login.example.com/realms/staff; its endpoints are found from there."""
    token_url: ServerUrl = ""
    """The token endpoint, for a server without discovery."""
    client_id: Expanded
    """The bot's client id at the server. Write it as ${VAR} to take it from the environment."""
    client_secret: Secret | None = None
    """The client secret. Write it as ${VAR} to take it from the environment."""
    client_auth: Literal["basic", "post"] | None = None
    """How the secret is sent: in the Authorization header, or in the body. Default: as the server says, else basic."""
    private_key: Pem | None = None
    """Instead of a secret (private_key_jwt): a private key in PEM form, as ${VAR}."""
    private_key_file: Expanded | None = None
    """Or the file that holds it."""
    key_id: Expanded | None = None
    """The id (kid) under which the server knows the key."""
    certificate_file: Expanded | None = None
    """The key's certificate in PEM form, where the server knows the key by it (x5t#S256), as Entra does."""
    algorithm: Literal["RS256", "PS256", "ES256", "EdDSA"] | None = None
    """The signing algorithm. Default: the one that the key is for: RS256, ES256 or EdDSA."""
    assertion_audience: Expanded | None = None
    """The audience (aud) of the signed assertion. Default: the issuer, or token_url where that is set."""
    audience: Expanded | None = None
    """The API that the tokens are for, where the server takes an audience, as Auth0 does."""
    resource: Expanded | None = None
    """The API that the tokens are for, where the server takes a resource (RFC 8707)."""

    @property
    def has_key(self) -> bool:
        """Whether the bot shows who it is by a private key."""
        return self.private_key is not None or self.private_key_file is not None

    @property
    def is_public(self) -> bool:
        """Whether the bot shows nothing but its name."""
        return self.client_secret is None and not self.has_key

    @model_validator(mode="after")
    def _is_one_client(self) -> OAuthClient:
        shown = [one for one in (self.client_secret, self.private_key, self.private_key_file) if one is not None]
        if len(shown) > 1:
            raise ValueError("write exactly one of client_secret, private_key and private_key_file")
        of_keys = ("key_id", "certificate_file", "algorithm", "assertion_audience")
        _only_with(self, self.has_key, "a private key", of_keys)
        _only_with(self, self.client_secret is not None, "client_secret", ("client_auth",))
        return self


def _only_with(model: Strict, is_there: bool, what: str, keys: tuple[str, ...]) -> None:
    """Raises `ValueError` where one of these keys stands without what it is for."""
    stray = [key for key in keys if getattr(model, key) is not None]
    if stray and not is_there:
        raise ValueError(f"{stray[0]} is for {what}; write that, or remove {stray[0]}")


class OAuth2(OAuthClient):
    """Each person's own account makes the calls: OAuth 2.0, OpenID Connect. Without a secret or a key the bot is a public client, with
    PKCE alone."""

    scopes: Annotated[
        tuple[Annotated[str, Field(min_length=1), AfterValidator(_scope)], ...],
        BeforeValidator(_words, json_schema_input_type=str | list[str]),
    ] = ()
    """The scopes to request, for example [openid, email, offline_access, hr.read], or the same as one text with spaces."""
    authorize_params: Annotated[dict[str, str], AfterValidator(_authorize_params)] = {}
    """Further parameters of the authorization request, for example prompt: consent, or Google's access_type: offline."""
    authorize_url: ServerUrl = ""
    """The authorization endpoint, for a sign-in server without discovery; it needs token_url, too."""
    jwks_url: ServerUrl = ""
    """Where a server without discovery publishes the keys that verify its id_tokens."""
    userinfo_url: ServerUrl = ""
    """The userinfo endpoint, which says whose account it is."""
    revoke_url: ServerUrl = ""
    """The revocation endpoint (RFC 7009)."""
    device_url: ServerUrl = ""
    """The device authorization endpoint (RFC 8628), for signing in with a code."""
    other_accounts: bool = False
    """true: a person may connect an account whose verified e-mail differs from the one in Slack."""

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
            raise ValueError("write issuer, or authorize_url and token_url if the sign-in server has no discovery")
        if bool(self.authorize_url) != bool(self.token_url):
            raise ValueError("authorize_url and token_url go together; write both, or issuer alone")
        if self.token_url and not self.userinfo_url and not (self.issuer and self.jwks_url and "openid" in self.scopes):
            raise ValueError(
                "the bot could not tell whose account it is: add userinfo_url, or issuer, jwks_url and the scope openid"
            )
        if not self.token_url and "openid" not in self.scopes and not self.userinfo_url:
            raise ValueError("the bot could not tell whose account it is: add openid to scopes, or userinfo_url")
        return self


class BearerCommand(Strict):
    """A program that prints a token for `Authorization: Bearer`."""

    command: Annotated[tuple[Expanded, ...], Field(min_length=1)]
    """The program and its arguments; no shell runs them. It prints the token, or JSON that holds it, within ten seconds."""
    ttl: Expiry = 300
    """The lifetime of a token that does not say when it expires: 45s, 30m, 1h. Default: 5m."""


class ClientCredentials(OAuthClient):
    """Where the bot gets its own tokens."""

    scopes: _Texts = ()
    """The scopes to request, for example hr.read, or api://hr/.default."""

    @model_validator(mode="after")
    def _is_clear(self) -> ClientCredentials:
        if bool(self.issuer) == bool(self.token_url):
            raise ValueError("write exactly one of issuer and token_url")
        if self.is_public:
            raise ValueError("write exactly one of client_secret, private_key and private_key_file")
        return self


class Exchange(ClientCredentials):
    """Where the statement of who asks is exchanged for a token of the API (RFC 8693)."""

    subject_token_type: TokenType = f"{TOKEN_TYPE}jwt"
    """The statement's token type there, a URI. Default: urn:ietf:params:oauth:token-type:jwt; for Auth0 that of your profile."""
    requested_token_type: TokenType = f"{TOKEN_TYPE}access_token"
    """The token type to request, a URI. Default: urn:ietf:params:oauth:token-type:access_token; urn:...:jwt if the API needs a JWT."""


Said = Literal["asker", "team", "email", "approver"]


class Actor(Strict):
    """How the API is told who asks: by a signed statement with each request, or by plain headers."""

    issuer: Expanded | None = None
    """Who signs: the bot's own address (iss), for example ${PUBLIC_URL}; its public keys are below it, at /.well-known/jwks.json."""
    audience: Expanded | None = None
    """The audience (aud) of the statement. Default: base_url."""
    keys: _Texts = ()
    """The file of the private key that signs (PEM: RSA for RS256, Ed25519 for EdDSA). Of several, the first signs and all are published."""
    header: HeaderName = "X-Actor-Token"
    """The header that carries the statement. Default: X-Actor-Token."""
    prefix: Literal["", "Bearer"] | None = None
    """What precedes the statement there. Default: Bearer in the header Authorization, else nothing."""
    email: bool = False
    """true: the statement has the asker's e-mail address, too; needs the scope users:read.email."""
    headers: dict[HeaderName, Said] = Field(default_factory=dict)
    """For trusted networks: headers with asker, team, email or approver in plain text, for example X-Asker: asker."""
    exchange: Exchange | None = None
    """A token server that exchanges the statement for a token of the API (RFC 8693), sent as Authorization: Bearer instead."""

    @property
    def needs_email(self) -> bool:
        """Whether Slack has to be asked for the asker's address."""
        return self.email or "email" in self.headers.values()

    @property
    def sent(self) -> tuple[str, ...]:
        """The headers that it sets."""
        by_key = () if not self.keys else ("Authorization",) if self.exchange is not None else (self.header,)
        return (*by_key, *self.headers)

    @model_validator(mode="after")
    def _is_clear(self) -> Actor:
        if not self.keys and not self.headers:
            raise ValueError("write keys for a signed statement, or headers for plain ones")
        if self.keys and self.issuer is None:
            raise ValueError(
                "keys need an issuer: the bot's own address, where an API finds the public keys that check the statement"
            )
        for key in ("issuer", "audience", "exchange"):
            if not self.keys and getattr(self, key) is not None:
                raise ValueError(f"{key} is for a signed statement; write keys, or remove {key}")
        return self


class Tls(Strict):
    """The certificates of one API's connections."""

    cert: Expanded | None = None
    """The file of the certificate by which the API knows the bot (PEM, with any intermediate certificates)."""
    key: Expanded | None = None
    """The file of its private key. Left out: the key is in the certificate's file."""
    ca: Expanded | None = None
    """The file of the certificate authorities to trust for this API, in place of the system's."""

    @model_validator(mode="after")
    def _is_clear(self) -> Tls:
        if self.key is not None and self.cert is None:
            raise ValueError("key needs a cert; add it")
        if self.cert is None and self.ca is None:
            raise ValueError("write a cert, a ca, or both")
        return self


class Auth(Strict):
    """How the API knows who calls: one way to know the bot, an actor to know who asks, or both."""

    model_config = ConfigDict(
        json_schema_extra={
            "minProperties": 1,
            "if": {"required": ["actor"]},
            "then": {"maxProperties": 2},
            "else": {"maxProperties": 1},
        }
    )

    bearer: Secret | None = None
    """A token for `Authorization: Bearer`. Write it as ${VAR} to take it from the environment."""
    bearer_file: Expanded | None = None
    """A file with such a token, reread when it changes and when the API refuses the token."""
    bearer_command: Annotated[
        BearerCommand | None, BeforeValidator(_command, json_schema_input_type=list[str] | BearerCommand)
    ] = None
    """A program that prints such a token: a list of arguments, or command and ttl."""
    basic: Basic | None = None
    """A user name and a password for `Authorization: Basic`."""
    header: HeaderKey | None = None
    """A key in its own header."""
    query: QueryKey | None = None
    """A key in the query of each request."""
    client_credentials: ClientCredentials | None = None
    """The bot's own tokens from a token server (OAuth 2.0 client credentials), renewed by itself."""
    oauth2: OAuth2 | None = None
    """The account of the person who asks. What such an API answers serves the asker's questions alone."""
    actor: Actor | None = None
    """Tells the API who asks, beside what says that it is the bot. Its answers then serve the asker's questions alone."""

    @property
    def clients(self) -> dict[str, OAuthClient]:
        """Where tokens are had, by the key below `auth:` that says so."""
        exchange = self.actor.exchange if self.actor is not None else None
        by_key = {"client_credentials": self.client_credentials, "oauth2": self.oauth2, "actor.exchange": exchange}
        return {key: client for key, client in by_key.items() if client is not None}

    @property
    def is_personal(self) -> bool:
        """Whether the API sees the person who asks, and so may tell each something else."""
        return self.oauth2 is not None or self.actor is not None

    @property
    def needs_email(self) -> bool:
        """Whether Slack has to be asked for people's addresses."""
        is_compared = self.oauth2 is not None and not self.oauth2.other_accounts
        return is_compared or (self.actor is not None and self.actor.needs_email)

    @property
    def sent(self) -> tuple[str, ...]:
        """The headers that it sets, once for each that does."""
        fixed = ["Authorization" for one in (self.bearer, self.basic) if one is not None]
        fixed += [self.header.name] if self.header is not None else []
        return (*fixed, *self.made)

    @property
    def made(self) -> tuple[str, ...]:
        """Those of them that are fetched or signed for a request."""
        fetched = (self.bearer_file, self.bearer_command, self.client_credentials, self.oauth2)
        of_bot = ["Authorization" for one in fetched if one is not None]
        return (*of_bot, *(self.actor.sent if self.actor is not None else ()))

    @model_validator(mode="after")
    def _one(self) -> Auth:
        ways = [name for name in type(self).model_fields if name != "actor"]
        count = sum(getattr(self, name) is not None for name in ways)
        if count > 1 or (count == 0 and self.actor is None):
            raise ValueError(f"write exactly one of {', '.join(ways)}; actor may stand beside it or alone")
        names = [header_key(name) for name in self.sent]
        if twice := next((name for name in self.sent if names.count(header_key(name)) > 1), None):
            raise ValueError(f"the header {twice} would be set twice; give actor another header")
        return self
