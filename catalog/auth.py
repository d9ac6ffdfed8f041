"""How an API knows who calls, as the file has it: the keys below `auth:`. How they travel with a request is for credentials.py, what has to
be fetched or signed first for identity/."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from catalog.values import HeaderName, Secret, Strict


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


class Auth(Strict):
    """How the API knows the bot: exactly one of the four."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    bearer: Secret | None = None
    """A token for `Authorization: Bearer`. Write it as ${VAR} to take it from the environment."""
    basic: Basic | None = None
    """A name and a password for `Authorization: Basic`."""
    header: HeaderKey | None = None
    """A key in a header of its own."""
    query: QueryKey | None = None
    """A key in the query of each request."""

    @model_validator(mode="after")
    def _one(self) -> Auth:
        if sum(way is not None for way in (self.bearer, self.basic, self.header, self.query)) != 1:
            raise ValueError("write exactly one of bearer, basic, header, query")
        return self
