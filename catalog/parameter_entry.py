"""The keys of apis.yaml that say what a placeholder or a header takes, and how a name becomes an id: `parameters`, `lookup`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from base.written_numbers import as_typed, settled
from catalog.values import (
    Jmespath,
    Strict,
    check_schema,
)


class Lookup(Strict):
    """How a name becomes an id: the GET of this API that lists the candidates, the fields to compare, the field with the id."""

    operation: str
    """The GET of this API that lists the candidates, for example GET /users. It must have no required parameters."""
    match: Annotated[tuple[Jmespath, ...], Field(min_length=1)]
    """The fields of an item to compare with the name (JMESPath), for example [email, first_name, last_name]."""
    id: Jmespath
    """The field of an item that holds the id (JMESPath)."""


_BESIDE = ("in", "required", "lookup", "slash", "style", "explode")  # Parameter's own keys


class Parameter(BaseModel):
    """What the catalog says of one value: our own keys, and beside them its JSON Schema (`plain`)."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True, coerce_numbers_to_str=True)

    in_: Annotated[Literal["header"] | None, Field(alias="in")] = None
    """header: a header that a call may set. Left out: a placeholder of the url."""
    required: bool = False
    """Every call has to provide this query parameter or header. What is in the path is always required."""
    lookup: Lookup | None = None
    """Turns a name into the id that this value takes."""
    slash: bool = False
    """A value in the path may contain a slash (group/project), which is sent as %2F, so that it stays one segment."""
    style: Literal["form", "spaceDelimited", "pipeDelimited"] | None = None
    """How a list is written in the query: a,b or a b or a|b. Default: form."""
    explode: bool | None = None
    """Whether each value of a list gets its own name: ids=1&ids=2. Default: true for form, else false."""

    @property
    def plain(self) -> dict[str, Any]:
        """The JSON Schema alone."""
        return self.model_extra or {}

    @property
    def is_list(self) -> bool:
        """Whether it takes several values, by its schema's type."""
        kind = self.plain.get("type")
        return "array" in (kind if isinstance(kind, list) else [kind])

    @property
    def spelling(self) -> tuple[str, bool]:
        """(style, explode) with OpenAPI 3's defaults: form, and exploded where the style is form."""
        style = self.style or "form"
        return style, style == "form" if self.explode is None else self.explode

    def typed(self, value: Any) -> Any:
        """A value of the file as this parameter means it."""
        return as_typed(value, self.plain, in_url=True)

    @model_validator(mode="before")
    @classmethod
    def _settled(cls, value: object) -> object:
        return settled(value, in_url=True) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _makes_sense(self) -> Parameter:
        check_schema(self.plain, _BESIDE)
        if not self.is_list and (self.style is not None or self.explode is not None):
            raise ValueError("style and explode are for lists; write type: array beside them, or drop them")
        if self.is_list and self.lookup is not None:
            raise ValueError("a lookup finds one id; it cannot be combined with type: array")
        return self
