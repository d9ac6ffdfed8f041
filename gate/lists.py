"""All pages of a list, one after the other, within the catalog's bounds: what was collected, and why it is not all.

How the next page is found is paging.py's matter; each page is a single read, and goes where those may go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from base import words
from base.retry import waiting_words
from base.shrink import plain
from base.statuses import status_text
from catalog.bad_call import BadCall
from catalog.calls import Call, with_values
from catalog.paging_styles import paging_of_answer
from catalog.secret_values import NOTHING, Hiding
from catalog.signs_of_more import Page, Sign, end_told, next_told, sign_of_more, total_told
from gate.answers import Answer, data_of
from gate.api_client import Unanswered, Unsent
from gate.paging import (
    NO_PAGE,
    NOT_WHERE,
    SAME_PAGE,
    BadStart,
    Bag,
    Course,
    End,
    NextPage,
    begin,
    follow,
    guessed,
    is_past_end,
    items_of,
    link_values,
    look_before,
)
from gate.policy import Read, sort
from gate.single_reads import Purpose, SingleReads

_TIMES = 3  # a list may take this many times as long as one call
_NOT_ALLOWED = "what the API gave for the next page is nothing that the catalog allows"


class _Over(Exception):
    """No further page is read. Its text says why, and is empty where the list itself ended."""

    def __init__(self, why: str = "", *, is_end: bool = False) -> None:
        super().__init__(why)
        self.is_end = is_end or not why  # the API has no further page, whatever it said before


@dataclass(frozen=True)
class CollectedList:
    """A list as it was collected: the last answer, the items (None: the first answer holds no list), and why they are not all.

    `doubts` are signs that they may not be all, as sentences.
    """

    answer: Answer
    items: list[Any] | None
    pages: int
    seconds: float
    why: str = ""
    doubts: tuple[str, ...] = ()
    is_unsaid: bool = False  # neither the catalog nor the answer says anything of pages
    hiding: Hiding = NOTHING  # what the catalog hides of its pages


class ListReads:
    """Whole lists for one gate, out of single reads."""

    def __init__(self, single: SingleReads) -> None:
        self._single = single

    def collect(
        self,
        call: Call,
        purpose: Purpose,
        until: float | None = None,
        enough: Callable[[Sequence[Any]], bool] = lambda _items: False,
    ) -> CollectedList:
        """All items of a list, page by page, within the catalog's bounds, a time and a size. Raises what the first page's request raises.

        What was collected before something failed is kept, with the words for why it is not all. `until` (monotonic seconds) bounds all of
        it, else three calls' time does; `enough` says of the items so far that no more of them are needed.
        """
        course, call = _begun(call, purpose)
        began = time.monotonic()
        until = began + _TIMES * self._single.timeout if until is None else until
        answer = self._single.follow(call, purpose, min(began + self._single.timeout, until))
        course = _tried(course, call, answer)
        page = _page(course, answer)
        if page is None:
            return CollectedList(answer, None, 1, answer.seconds, hiding=answer.hiding)
        bag = Bag()
        size, hiding = 0, Hiding()
        while True:
            size, hiding = size + len(answer.content), hiding | answer.hiding
            course, more, what = follow(course, page)
            is_new = bag.add(more, before=course.is_before) > 0
            try:
                if isinstance(what, End):
                    raise _Over(what.why, is_end=what.why == NOT_WHERE)
                if more and not is_new and course.is_counted:
                    raise _Over(SAME_PAGE.format(parameter=course.paging.parameter))
                if enough(bag.items):
                    raise _Over("no more of them are needed")
                call, answer, page = self._turned(call, purpose, course, what, size=size, began=began, until=until)
            except _Over as over:
                before = look_before(course) if over.is_end and time.monotonic() < until else None
                if before is not None:
                    course, bag = self._before(call, purpose, *before, bag, until)
                why = "" if over.is_end and len(bag.items) == course.total else str(over)
                listed = _listed(call, course, answer, page, bag, why, time.monotonic() - began)
                return replace(listed, hiding=hiding)

    def _turned(
        self, call: Call, purpose: Purpose, course: Course, what: NextPage, *, size: int, began: float, until: float
    ) -> tuple[Call, Answer, Page]:
        """The next page with its call. Raises `_Over`."""
        self._check_room(size, until, began)
        call = self._next(call, purpose, what)
        if not purpose.wants(call, course.pages + 1):
            raise _Over("nobody wants more of them")
        return call, *self._further(call, purpose, course, until)

    def _before(
        self, call: Call, purpose: Purpose, course: Course, next_page: NextPage, bag: Bag, until: float
    ) -> tuple[Course, Bag]:
        """With the page of number 0, where the API has one: nobody told whether it counts from 0 or from 1."""
        try:
            call = self._next(call, purpose, next_page)
            if purpose.wants(call, course.pages + 1):
                _, page = self._further(call, purpose, course, until)
                course, items, _ = follow(course, page)
                if bag.add(items, before=True):
                    course = replace(course, pages=course.pages + 1, items=course.items + len(items))
        except _Over:
            pass  # most APIs that count from 1 say no to a page 0
        return course, bag

    def _check_room(self, size: int, until: float, began: float) -> None:
        """Raises `_Over` where no further page may be asked for."""
        if size >= self._single.max_response:
            raise _Over(f"together they are larger than {self._single.max_response:,} bytes")
        if time.monotonic() >= until:
            raise _Over(f"reading them took longer than {until - began:,.3g} seconds")

    def _next(self, call: Call, purpose: Purpose, next_page: NextPage) -> Call:
        """The request for the next page. Raises `_Over` where the catalog does not allow it."""
        try:
            if not next_page.url:
                return _allowed(with_values(purpose.catalog, call, next_page.values))
            found = _by_query(call, purpose, next_page.url) or self._single.led(
                call, purpose, next_page.url, "the API's next page is at a place"
            )
        except BadCall as error:
            raise _Over(str(error) if next_page.url else _NOT_ALLOWED) from None
        if found.operation.api is not call.operation.api:
            raise _Over("the API's next page is at another API, so that was not followed")
        return found

    def _further(self, call: Call, purpose: Purpose, course: Course, until: float) -> tuple[Answer, Page]:
        """A page after the first. Raises `_Over`."""
        number = course.pages + 1
        try:
            answer = self._single.follow(call, purpose, min(time.monotonic() + self._single.timeout, until))
        except (Unsent, Unanswered, BadCall) as error:
            raise _Over(f"page {number:,} failed: {self._single.mask(str(error))}") from None
        if is_past_end(course, answer.status):
            raise _Over
        if not answer.is_success:
            asked = waiting_words(answer.status, answer.header("retry-after"))
            is_end = course.is_counted and answer.status in NO_PAGE
            raise _Over(f"page {number:,} failed with {status_text(answer.status)}. {asked}".strip(), is_end=is_end)
        page = _page(course, answer)
        if page is None:
            raise _Over(f"page {number:,} does not hold a complete list")
        return answer, page


def _begun(call: Call, purpose: Purpose) -> tuple[Course, Call]:
    """The course of a list and its first request. Raises `BadCall`."""
    try:
        course, values = begin(call.operation, {**call.values, **call.headers})
    except BadStart as error:
        raise BadCall(f"{error}.") from None
    return course, _allowed(with_values(purpose.catalog, call, values))


def _allowed(call: Call) -> Call:
    """A list's request with the values of paging in it, which a rule of the catalog may look at. Raises `BadCall`."""
    if not isinstance(sort(call, tainted=True), Read):
        raise BadCall("a page of the list needs a person's approval")
    return call


def _by_query(call: Call, purpose: Purpose, url: str) -> Call | None:
    """The request that a link means: its query on the path that was asked. None: its query makes no other request of it.

    What the link leaves out is left out, as links are meant, unless each call has to give it. Raises `BadCall`.
    """
    operation = call.operation
    found, unknown = link_values(operation, url)
    in_query = {name for _, piece in operation.template.query for name in piece.names}
    dropped = dict.fromkeys(in_query - operation.required - found.keys())
    if found:
        try:
            made = with_values(purpose.catalog, call, {**dropped, **found})
        except BadCall:
            raise BadCall(_NOT_ALLOWED) from None
        if made.url != call.url:
            return _allowed(made)
    if unknown:
        names = ", ".join(plain(name) for name in unknown[:5])
        raise BadCall(words.LINK_NAMES.format(names=names, operation=operation.name))
    return None


def _tried(course: Course, call: Call, answer: Answer) -> Course:
    """The course of a list of which the catalog says nothing, by its first answer."""
    if call.operation.pagination is not None:
        return course
    course = replace(course, is_guess=True)
    data, _ = data_of(answer)
    page = Page(items_of(None, data) or [], data, answer.headers)
    paging = paging_of_answer(call.operation, page)
    return guessed(call.operation, paging, call.values, page) if paging is not None else course


def _listed(
    call: Call, course: Course, answer: Answer, page: Page, bag: Bag, why: str, seconds: float
) -> CollectedList:
    """What was collected, with what keeps it from being surely all. `page` is the last one that was read."""
    count = len(bag.items)
    total = course.counted[-1] if course.counted and course.skipped == 0 else None
    is_short = total is not None and count < total
    is_same = why == SAME_PAGE.format(parameter=course.paging.parameter)
    doubts = [words.TOTAL_MOVED.format(*course.counted)] if len(course.counted) > 1 else []
    doubts += [words.CAME_AGAIN.format(count=f"{bag.again:,}")] if bag.again and not is_same else []
    if not why and doubts and is_short:
        why = words.LIST_MOVED
    sign = _sign_left(call, course, page, count, total) if not why and not course.is_whole else None
    if sign is not None and sign.is_sure:
        why = sign.words
    elif sign is not None:
        doubts.append(words.MAY_BE_PART.format(why=sign.words))
    is_told = total_told(page) == count or end_told(page) or course.pages > 1 or not course.is_guess
    is_unsaid = not why and sign is None and not is_told
    return CollectedList(
        answer, bag.items, course.pages, round(seconds, 4), _why(course, why, count), tuple(doubts), is_unsaid
    )


def _sign_left(call: Call, course: Course, page: Page, count: int, total: int | None) -> Sign | None:
    """The sign that a list which ended by itself is not all; `page` is the last one that was read."""
    if total is not None and total > count:
        sign: Sign | None = Sign(f"the API counts {total:,} and {count:,} are here")
    elif course.pages > 1 or not course.is_guess:
        sign = Sign(said) if (said := next_told(page)) else None
    else:
        sign = sign_of_more(call.operation, call.values, page)
    if sign is None or not course.is_guess:
        return sign
    return replace(sign, words=f"{sign.words}, and the catalog does not say how this list is paged")


def _page(course: Course, answer: Answer) -> Page | None:
    """An answer as a page; None where it does not hold a complete list."""
    data, _ = data_of(answer)
    items = items_of(course.paging, data) if answer.is_success and not answer.broke_off else None
    return Page(items, data, answer.headers) if items is not None else None


def _why(course: Course, why: str, count: int) -> str:
    """Why a list is not whole, with how many there are in all where the API says so."""
    why = why.rstrip(".")
    if why and course.total is not None and course.total > count:
        return f"{count:,} of {course.total:,} were read, since {why}"
    return why
