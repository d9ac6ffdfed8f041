"""Whether an answer shows that there is more than it holds, and the words for that: a part is never taken for the whole."""

from __future__ import annotations

from dataclasses import replace

from base import words
from catalog.calls import Call
from catalog.signs_of_more import Page, Sign, sign_of_more
from gate.answers import Answer, CallData, data_of
from gate.paging import items_of
from gate.preview import list_in


def with_note_of_more(result: CallData, call: Call, answer: Answer, *, offer: bool = True) -> CallData:
    """With a note where an answer shows that there is more than it holds. `offer`: the call could be made with all_pages."""
    sign = _sign_in(call, answer)
    if sign is None:
        return result
    note = (words.IS_PART if sign.is_sure else words.MAY_BE_PART).format(why=sign.words)
    more = [words.ALL_PAGES] if offer and call.method == "GET" else []
    return replace(result, notes=(*result.notes, note, *more), part=note if sign.is_sure else result.part)


def _sign_in(call: Call, answer: Answer) -> Sign | None:
    """The sign in an answer that there is more than it holds."""
    if not answer.is_success or answer.broke_off:
        return None
    data, _ = data_of(answer)
    items = list_in(call.operation, data)
    shown = items if items is not None else items_of(call.operation.pagination, data)
    if shown is None:
        return None
    return sign_of_more(call.operation, call.values, Page(shown, data, answer.headers), is_list=items is not None)
