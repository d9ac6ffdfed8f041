"""How APIs call the list in an answer, what they wrap it in, and what else they put beside it. Names alone; who reads them says how."""

from __future__ import annotations

# Of several lists in an answer the one that is called so is its list, the likeliest first.
LISTS = (
    "data", "items", "results", "values", "records", "entries", "content", "list", "rows", "elements", "objects", "value",
)  # fmt: skip
# And where no other list can be meant.
ALL_LISTS = frozenset((*LISTS, "result", "resources", "hits", "docs", "documents", "members", "collection"))
BESIDE_LISTS = frozenset(("errors", "warnings", "messages", "links", "included"))
WRAPS = ("data", "result", "response", "d", "hits")
