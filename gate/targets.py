"""What a write is about, read for its card and once more before it is sent. Only the gate's own steps may use it.

A card may say only what is known: where it cannot be told which things a request touches, that is what the card says.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from base import words
from base.json_text import loads
from base.statuses import status_text
from catalog.bad_call import BadCall
from catalog.calls import Call
from catalog.catalog import Operation
from catalog.rules import SAFE_METHODS
from catalog.signs_of_more import Page, more_told, total_told
from gate.answers import Answer, data_of
from gate.api_client import Unanswered, Unsent
from gate.lists import CollectedList, ListReads
from gate.naming import Name, name_of
from gate.preview import (
    PreviewCall,
    Showing,
    as_path,
    by_key,
    hides,
    ids_named,
    item_call,
    item_read,
    list_in,
    preview_call,
    showing,
)
from gate.single_reads import Purpose, SingleReads
from gate.target_diff import GONE, HasMore, Target, Watch

_MAX_TARGET = 60_000  # characters of a target that a row keeps
_ONE_BY_ONE = 10  # things that are read one by one; of more the list is read
_MISSING = 200  # ids that nobody has, of which a row tells

Look = tuple[Target | None, str]


class _NotShown(Exception):
    """What a write is about cannot be shown. Its text is for people."""


class TargetReader:
    """Looks at what writes are about, by the gate's single reads and lists."""

    def __init__(self, single: SingleReads, lists: ListReads) -> None:
        self._single = single
        self._lists = lists

    def look(self, write: Call, purpose: Purpose, until: float | None = None) -> Look:
        """What a write is about, read by ourselves, `until` (monotonic seconds) at most, and the ETag where it is the very thing.

        (None, "") where there is nothing to show. A read that needs approval, or that the channel does not allow, is shown only where
        the entry names it under `preview:`; one that the asker may not ask for never is.
        """
        asked = purpose.catalog.beyond or purpose.catalog
        found = showing(asked, write.operation)
        if found is None:
            return self._none(write), ""
        it = preview_call(write, found)
        try:
            until = time.monotonic() + self._single.timeout if until is None else until
            self._check(write, found.read, it, purpose, until)
            return self._shown(write, found, it, purpose, until)
        except _NotShown as error:
            return self._problem(it.call, str(error)), ""
        except (Unsent, Unanswered) as error:
            return self._problem(it.call, str(error).removesuffix(".")), ""
        except BadCall:  # its words are for the model
            return self._problem(it.call, words.LED_ASTRAY), ""

    def _none(self, write: Call) -> Target | None:
        """Where the catalog has no read for a write that is about something there is, or none that its asker may ask for."""
        operation = write.operation
        is_new = operation.method == "POST" and not operation.template.path_names
        if operation.preview is None or operation.method in SAFE_METHODS or is_new:
            return None
        is_there = showing(self._single.catalog, operation) is not None
        return Target("", problem=words.NOT_READ_BY_ASKER if is_there else words.NO_PREVIEW)

    def _problem(self, call: Call, problem: str) -> Target:
        return Target(call.shown_url, problem=self._single.mask(problem))

    def _check(self, write: Call, read: Operation, it: PreviewCall, purpose: Purpose, until: float) -> None:
        """Raises `_NotShown` where the read may not be made."""
        preview = write.operation.preview
        if preview is None or preview.operation is None:
            if not _is_in(purpose, read):
                raise _NotShown(words.NOT_READ_HERE)
            if read.rules:
                raise _NotShown(words.NEEDS_APPROVAL)
        if not read.takes_slashes(it.call.values):
            raise BadCall(words.LED_ASTRAY)
        if it.exposes:
            raise _NotShown(words.NEEDS_HIDDEN)
        if missing := read.required - {*it.call.values, *it.call.headers}:
            raise _NotShown(words.NEEDS_VALUE.format(name=min(missing)))
        if time.monotonic() >= until:
            raise _NotShown(words.NOT_READ_IN_TIME)

    def _shown(self, write: Call, found: Showing, it: PreviewCall, purpose: Purpose, until: float) -> Look:
        """What the read shows. Raises `_NotShown`, and what a read raises."""
        is_list = not it.call.operation.template.path[-1].names
        if found.kind == "listed":
            return self._listed(write, found, it.call, purpose, until), ""
        ids = ids_named(_body(write), it.untaken) if found.kind == "itself" and is_list and not _replaces(write) else ()
        if ids:
            return self._those(write, it.call, ids, purpose, until), ""
        if not is_list:
            answer = self._single.follow(it.call, purpose, until)
            return self._one_or_several(write, found, it, answer, None)
        listed = self._lists.collect(it.call, purpose, until)
        return self._one_or_several(write, found, it, listed.answer, listed)

    def _one_or_several(
        self, write: Call, found: Showing, it: PreviewCall, answer: Answer, listed: CollectedList | None
    ) -> Look:
        if answer.broke_off:  # what was not read cannot be compared
            raise _NotShown(answer.broke_off.removesuffix("."))
        data = self._data(write, answer)
        items = list_in(found.read, data) if answer.is_success and not _speaks_of(write, data) else None
        if items is None:
            return self._one(write, found, it, answer, data)
        if len(items) == 1 and (found.kind == "about" or found.read.template.path[-1].names):
            return self._one(write, found, it, answer, items[0])
        if found.kind == "about":
            raise _NotShown(words.NOT_ONE.format(read=found.read.name))
        if listed is not None and listed.items is not None:
            items = self._single.cleaned(listed.items, listed.hiding | write.operation.hiding)
        return self._several(write, it, items, listed, Page(items, data, answer.headers)), ""

    # --- one thing ----------------------------------------------------------------------------------------------------

    def _one(self, write: Call, found: Showing, it: PreviewCall, answer: Answer, data: Any) -> Look:
        is_plain = not it.untaken and not (write.method == "DELETE" and write.body is not None)
        target = self._kept(
            write, it.call, answer.status, data,
            role="itself" if found.kind == "itself" else "about",
            names=(self._name(write, found, data),) if answer.is_success else (),
            exact=is_plain,
            withheld=(answer.hiding | write.operation.hiding).taken(_body(write)),
        )  # fmt: skip
        return target, answer.header("etag") if it.call.url == write.url else ""

    def _listed(self, write: Call, found: Showing, call: Call, purpose: Purpose, until: float) -> Target:
        """The thing of the write's path, out of the list in which it stands."""
        label, key = found.placeholder, str(write.values[found.placeholder])
        listed = self._lists.collect(call, purpose, until, enough=partial(_has_all, (key,), label))
        fitting = by_key(self._items(write, call, listed), label).get(key, [])
        if len(fitting) != 1:
            told = words.NOT_IN_PART if self._rest(call, listed) == "some" else words.NOT_LISTED
            shown = "..." if hides(write, label) else key
            raise _NotShown(told.format(read=call.operation.name, label=label, key=shown))
        name = self._name(write, found, fitting[0])
        return self._kept(write, call, listed.answer.status, fitting[0], role="about", names=(name,))

    def _name(self, write: Call, found: Showing, data: Any) -> Name:
        """What the API calls it; its id is that of the request where the data has none of its own."""
        title, in_path = write.operation.title or found.read.title, found.in_path
        name = name_of(data, title, in_path[-1] if in_path else "")
        if name.key == name.title:
            name = name_of(data, title)
        if name.key and name.key != name.title:
            return name
        told = ((one, str(write.values[one])) for one in reversed(in_path) if not hides(write, one))
        label, key = next((pair for pair in told if pair[1] != name.title), ("", ""))
        return Name(name.title, label, key)

    # --- several things -----------------------------------------------------------------------------------------------

    def _several(
        self, write: Call, it: PreviewCall, items: list[Any], listed: CollectedList | None, page: Page
    ) -> Target:
        """A list that a request is about as a whole, as far as its query and nothing else chooses. Raises `_NotShown`."""
        read, body = it.call.operation, _body(write)
        if it.untaken:
            raise _NotShown(words.ODD_QUERY.format(name=min(it.untaken), read=read.name))
        chooses = any(set(piece.names) <= it.call.values.keys() for _, piece in read.template.query)
        if body is not None and not _replaces(write) and (write.method == "DELETE" or not chooses):
            raise _NotShown(words.ODD_BODY)
        total = total_told(page)
        rest = self._rest(it.call, listed, page, len(items))
        return self._kept(
            write,
            it.call,
            200,
            items,
            role="several",
            names=self._names(write, read, items),
            count=len(items),
            total=total,
            rest=rest,
        )

    def _those(self, write: Call, call: Call, ids: Sequence[str], purpose: Purpose, until: float) -> Target:
        """The things that a request names by their ids, each asked for by itself where the catalog has a read for that."""
        calls = self._one_by_one(call, ids, purpose)
        rest: HasMore = "none"
        if calls is not None:
            read = calls[0].operation
            found = {key: self._item(write, one, purpose, until) for key, one in zip(ids, calls, strict=True)}
        else:
            read = call.operation
            listed = self._lists.collect(call, purpose, until, enough=partial(_has_all, ids, ""))
            items, rest = self._items(write, call, listed), self._rest(call, listed)
            there = by_key(items)
            found = {key: there.get(key, [])[:1] for key in ids}
        missing = tuple(key for key, fitting in found.items() if not fitting)[:_MISSING]
        things = [one for fitting in found.values() for one in fitting]
        return self._kept(
            write, call, 200, things, role="several", names=self._names(write, read, things), count=len(things),
            total=len(ids), rest=rest if missing else "none", missing=missing, chosen=True,
        )  # fmt: skip

    def _one_by_one(self, call: Call, ids: Sequence[str], purpose: Purpose) -> list[Call] | None:
        """The calls that show each of these things; None where they are many, or the catalog has no read for that."""
        found = item_read(purpose.catalog, call.operation)
        if found is None or found[0].rules or len(ids) > _ONE_BY_ONE:
            return None
        try:
            return [item_call(purpose.catalog, call, *found, key) for key in ids]
        except BadCall:  # an id that no path can hold
            return None

    def _item(self, write: Call, call: Call, purpose: Purpose, until: float) -> list[Any]:
        """One thing by its id; none where it is not there. Raises `_NotShown`, and what a read raises."""
        answer = self._single.follow(call, purpose, until)
        if answer.status in GONE:
            return []
        if not answer.is_success or answer.broke_off:
            raise _NotShown(words.STATUS_OF.format(read=as_path(call), status=status_text(answer.status)))
        return [self._data(write, answer)]

    def _items(self, write: Call, call: Call, listed: CollectedList) -> list[Any]:
        """The items of a list that was read. Raises `_NotShown` where it is none."""
        answer = listed.answer
        items = listed.items if listed.items is not None else list_in(call.operation, data_of(answer)[0])
        if not answer.is_success:
            raise _NotShown(words.STATUS_OF.format(read=as_path(call), status=status_text(answer.status)))
        if items is None or answer.broke_off:
            raise _NotShown(words.NO_LIST.format(read=as_path(call)))
        cleaned: list[Any] = self._single.cleaned(items, listed.hiding | write.operation.hiding)
        return cleaned

    def _rest(self, call: Call, listed: CollectedList | None, page: Page | None = None, count: int = 0) -> HasMore:
        """Whether a list has more than was read of it."""
        if page is None and listed is not None:
            page = Page([], data_of(listed.answer)[0], listed.answer.headers)
            count = len(listed.items or ())
        assert page is not None
        total = total_told(page)
        if (listed is not None and listed.why) or (total is not None and total > count) or more_told(page):
            return "some"
        is_known = call.operation.pagination is not None or (listed is not None and listed.pages > 1) or total == count
        return "none" if is_known else "unknown"

    def _names(self, write: Call, read: Operation, items: Sequence[Any]) -> tuple[Name, ...]:
        title = write.operation.title or read.title
        return tuple(name_of(one, title) for one in items)

    # --- data ---------------------------------------------------------------------------------------------------------

    def _data(self, write: Call, answer: Answer) -> Any:
        return self._single.cleaned(data_of(answer)[0], answer.hiding | write.operation.hiding)

    def _kept(self, write: Call, call: Call, status: int, data: Any, **more: Any) -> Target:
        preview = write.operation.preview
        watch = Watch(preview.ignore, preview.compare) if preview is not None else Watch()
        return Target.kept(call.shown_url, status, data, _MAX_TARGET, watch, **more)


def _is_in(purpose: Purpose, read: Operation) -> bool:
    """Whether the catalog that holds there has this read."""
    return purpose.catalog.named(read.api, read.name) is not None


def _body(write: Call) -> Any:
    return loads(write.body) if write.body is not None else None


def _speaks_of(write: Call, data: Any) -> bool:
    """Whether a request's body names fields of what was read, which so is a thing, whatever lists it holds."""
    body = _body(write)
    return isinstance(body, dict) and isinstance(data, dict) and bool(body.keys() & data.keys())


def _replaces(write: Call) -> bool:
    """Whether a request brings a list in place of another one."""
    return write.method == "PUT" and isinstance(_body(write), list)


def _has_all(ids: Sequence[str], field: str, items: Sequence[Any]) -> bool:
    """Whether a list has, by now, all of these."""
    return set(ids) <= by_key(items, field).keys()
