"""The key of apis.yaml that says how a list is paged: `pagination`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from catalog.values import (
    HeaderName,
    Jmespath,
    Strict,
)

_NEEDS = {
    "page": ["parameter"],
    "offset": ["parameter"],
    "cursor": ["parameter", "next"],
    "link": [],
    "next_url": ["next"],
    "header": ["header"],
}


def _of_style(style: str, needs: list[str]) -> dict[str, Any]:
    """What an editor is told of one style of paging."""
    return {"if": {"properties": {"style": {"const": style}}}, "then": {"required": needs}}


class Pagination(Strict):
    """How the further pages of a list are found. In an operation, `parameter` and `size` are placeholders' names where they name one."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_of_style(*one) for one in _NEEDS.items() if one[1]]})

    style: Literal["page", "offset", "cursor", "link", "next_url", "header"]
    """page, offset and cursor set a query parameter; link follows the Link header; next_url a URL in the answer; header a token or URL
    in a header."""
    parameter: str | None = None
    """The query parameter for the page, the offset or the token. With link and next_url: the one to set for the first page, if needed."""
    size: str | None = None
    """The query parameter for the page size."""
    items: Jmespath | None = None
    """Where an answer has its list (JMESPath). Default: the answer itself, or its only list."""
    next: Jmespath | None = None
    """Where an answer has the next token (cursor) or URL (next_url), as JMESPath: meta.next, or data[-1].id."""
    more: Jmespath | None = None
    """Where an answer says that there is more (JMESPath), for example has_more."""
    pages: Jmespath | None = None
    """Where an answer has the number of pages (JMESPath)."""
    total: Jmespath | None = None
    """Where an answer has the number of items in all (JMESPath)."""
    header: HeaderName | None = None
    """Style header: the response header that holds the next token, which `parameter` takes, or the next page's URL."""
    max_pages: Annotated[int, Field(ge=1, le=1_000)] = 50
    """How many pages are read at most. Default: 50."""
    max_items: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    """How many items are read at most. Default: 5000."""

    @model_validator(mode="after")
    def _has_what_its_style_needs(self) -> Pagination:
        for key in ("parameter", "next", "header"):
            is_needed = key in _NEEDS[self.style]
            if is_needed and getattr(self, key) is None:
                raise ValueError(f"style {self.style} needs '{key}'; see docs/catalog.md")
            if not is_needed and key != "parameter" and getattr(self, key) is not None:
                raise ValueError(f"style {self.style} has no '{key}'; remove it, or choose another style")
        return self
