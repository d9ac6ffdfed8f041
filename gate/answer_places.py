"""Where an answer may be posted: in the thread where it was asked, or before its asker alone, as the catalog says of the APIs whose data it
tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from catalog.bad_call import BadCall
from catalog.calls import parse_arguments
from catalog.catalog import Api, Catalog
from catalog.matching import match
from gate.recipes import begin, is_run
from store.transcript import AssistantMessage, Item, ToolCall


def is_for_asker_alone(items: Iterable[Item], catalog: Catalog) -> bool:
    """Whether any call that the model has in view is one of an API whose answers are for the asker alone."""
    if not any(api.answers_alone for api in catalog.apis):
        return False
    calls = (call for item in items if isinstance(item, AssistantMessage) for call in item.calls)
    return any(api.answers_alone for call in calls for api in _called(catalog, call))


def _called(catalog: Catalog, call: ToolCall) -> Iterator[Api]:
    """The API that a call means; none where it means nothing, so that nothing came of it."""
    try:
        arguments = parse_arguments(call.arguments)
        if is_run(arguments):
            yield begin(catalog, arguments).recipe.api
        else:
            yield match(catalog, str(arguments.get("method")).strip().upper(), str(arguments.get("url"))).operation.api
    except BadCall:
        return
