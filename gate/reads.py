"""The gate's read path: reads for the model and for cards, their redirects and pages. Only gate.py and targets.py may use it.

It is given a wire that sends GET and HEAD and nothing else, and makes none itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin

import structlog

from base import words
from base.masking import mask
from base.retry import BUSY, TRIES, pause, waiting_words
from base.shrink import as_json, plain
from base.statuses import status_text
from catalog.calls import BadCall, Call, build, check_resolved, match, resolve, shown_url, with_values
from catalog.catalog import Catalog, Lookup, Operation
from catalog.credentials import without_credentials
from catalog.lookup import Candidate, Matched, Unclear, candidates, fields_of, matched
from catalog.paging_styles import paging_of_answer
from catalog.rules import SAFE_METHODS
from catalog.secret_values import NOTHING, Hiding, is_secret
from catalog.signs_of_more import Page, Sign, end_told, next_told, sign_of_more, total_told
from gate.answers import Answer, CallData, ReadResult, Shown, data_of, error_text, found_of, shown_of
from gate.api_client import ApiClient, Broken, Unanswered, Unsent
from gate.paging import (
    NO_PAGE,
    NOT_WHERE,
    SAME_PAGE,
    Ask,
    BadStart,
    Bag,
    Course,
    End,
    begin,
    follow,
    guessed,
    is_past_end,
    items_of,
    link_values,
    look_before,
)
from gate.policy import Read, sort
from gate.preview import list_in
from gate.recipes import StepAnswer
from gate.results import is_partial, result, selected, there

log = structlog.get_logger("reads")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
_TIMES = 3  # a list may take this many times as long as one call
_CANDIDATES = 10  # that the model is told of
_PLACE = 1_000  # characters of where an API leads
_SHOWN = 200  # characters of a name that could not be looked up
_NOT_ALLOWED = "what the API gave for the next page is nothing that the catalog allows"


class _Over(Exception):
    """No further page is read. Its text says why, and is empty where the list itself ended."""

    def __init__(self, why: str = "", *, is_end: bool = False) -> None:
        super().__init__(why)
        self.is_end = is_end or not why  # the API has no further page, whatever it said before


class _Astray(BadCall):
    """Where an API leads, no read may go. `to` is the API's word for that place."""

    def __init__(self, text: str, to: str) -> None:
        super().__init__(text)
        self.to = to


def _told_of(error: Exception) -> dict[str, str]:
    """What a failed read tells beside its words."""
    return {"location": error.to[:_PLACE]} if isinstance(error, _Astray) else {}


Wants = Callable[[Call, int], bool]  # asked ahead of each page after the first, with its number: is it still wanted?


def always(_call: Call, _page: int) -> bool:
    """Every page is wanted."""
    return True


@dataclass(frozen=True)
class Purpose:
    """What a read is made for: the catalog that holds there, what keeps an answer (its data and why it is a part in, its name out, empty
    where it is not kept), who notes each answer for the journal, and who says whether a further page is wanted."""

    catalog: Catalog
    keep: Callable[[Any, str], str]
    note: Callable[[dict[str, Any]], None]
    wants: Wants


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


class Reads:
    """The reads of one gate. `result_limit` is characters for the model, `clock` seconds since 1970."""

    def __init__(self, catalog: Catalog, wire: ApiClient, *, result_limit: int, clock: Callable[[], float]) -> None:
        self._catalog = catalog
        self._api_client = wire
        self._result_limit = result_limit
        self._clock = clock

    def use(self, catalog: Catalog) -> None:
        """Takes another catalog."""
        self._api_client.use(catalog)
        self._catalog = catalog

    def close(self) -> None:
        """Closes the connections."""
        self._api_client.close()

    @property
    def catalog(self) -> Catalog:
        """The catalog that holds at this moment."""
        return self._catalog

    @property
    def timeout(self) -> float:
        """Seconds for a whole call."""
        return self._api_client.timeout

    def mask(self, text: str) -> str:
        """`text` without the secrets."""
        return self._api_client.mask(text)

    def cleaned(self, data: Any, hiding: Hiding) -> Any:
        """An API's data as people may see it: no secrets, and nothing that the catalog hides."""
        return shown_of(mask(data, self._api_client.secrets), hiding)[0]

    def read(self, read: Read, purpose: Purpose) -> ReadResult:
        """Sends a GET or HEAD, or all pages of a list. Follows redirects and links only to what the catalog allows."""
        _check_is_read(read)
        try:
            if read.all_pages:
                return self._read_pages(read, purpose)
            answer = self.follow(read, purpose, time.monotonic() + self._api_client.timeout)
        except (Unsent, Unanswered, BadCall) as error:
            return ReadResult(error_text(str(error), self._api_client.secrets, _told_of(error)))
        found = found_of(answer, self._api_client.secrets)
        return self._shown(read, purpose, with_sign(found, read, answer), answer.seconds)

    def ask(self, read: Read, purpose: Purpose) -> StepAnswer:
        """What the API says to a read, as a recipe's step has it: whole, less the secrets and what the catalog hides."""
        _check_is_read(read)
        try:
            answer = self.follow(read, purpose, time.monotonic() + self._api_client.timeout)
        except (Unsent, Unanswered, BadCall) as error:
            return StepAnswer(problem=self._api_client.mask(str(error)))
        data = self.cleaned(data_of(answer)[0], answer.hiding.without)  # a value's length must not be sent in its place
        headers = mask(dict(answer.headers), self._api_client.secrets)
        part = with_sign(CallData(answer.status, None), read, answer, offer=False).notes
        return StepAnswer(
            answer.status, data, headers, answer.seconds, self._api_client.mask(answer.broke_off), " ".join(part)
        )

    def _shown(self, read: Read, purpose: Purpose, whole: CallData, seconds: float) -> ReadResult:
        """What was found as the call's result: selected, cut to fit, and kept whole where the model may want more of it."""
        shown = Shown.of(selected(whole, read.select), self._result_limit)
        kept = purpose.keep(whole.data, whole.part) if is_partial(whole, shown, self._result_limit) else ""
        return ReadResult(result(shown, kept, [one.line for one in read.matched]), whole.status, seconds, whole.counts)

    # --- one answer ---------------------------------------------------------------------------------------------------

    def follow(self, call: Call, purpose: Purpose, by: float) -> Answer:
        """A read with its redirects, all of it until `by` (monotonic seconds), noted."""
        url = self._api_client.mask(shown_url(call.operation, call.values))  # a further page's values are the API's
        told: dict[str, Any] = {"operation": call.operation.name, "url": url}
        try:
            answer = self._led_on(call, purpose, by)
        except (Unsent, Unanswered, BadCall) as error:
            purpose.note(told | {"status": None, "problem": self._api_client.mask(str(error))})
            raise
        purpose.note(told | {"status": answer.status, "seconds": answer.seconds})
        return answer

    def _led_on(self, call: Call, purpose: Purpose, by: float) -> Answer:
        hiding = Hiding()
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._get(call, by)
            hiding |= answer.hiding
            location = answer.header("location")
            if answer.status not in _REDIRECTS or not location:
                return replace(answer, hiding=hiding)
            call = self._led(call, purpose, location, "The API redirected to a place")
        raise BadCall(f"The API redirected more than {_MAX_REDIRECTS} times.")

    def _get(self, call: Call, by: float) -> Answer:
        """One answer; an API that is busy is asked again as long as there is time."""
        for tried in range(1, TRIES + 1):
            answer = self._once(call, by)
            wait = pause(answer.header("retry-after"), tried, self._clock())
            if answer.status not in BUSY or tried == TRIES or wait >= by - time.monotonic():
                break
            time.sleep(wait)
        return answer

    def _once(self, call: Call, by: float) -> Answer:
        try:
            return self._api_client.send(call.operation, call.method, call.url, headers=call.headers, by=by)
        except Broken:  # perhaps an idle connection that the server had closed meanwhile
            return self._api_client.send(call.operation, call.method, call.url, headers=call.headers, by=by)

    def _led(self, call: Call, purpose: Purpose, to: str, what: str) -> Call:
        """Where an API's own words lead, if a read may go there; its own credentials are taken out before that is matched."""
        try:
            goal = without_credentials(purpose.catalog, urljoin(call.url, to))
            there = match(purpose.catalog, call.method, goal).operation
            headers = _carried(call, there) if there.api is call.operation.api else {}
            found = resolve(purpose.catalog, {"method": call.method, "url": goal, "headers": headers})
            found = with_values(purpose.catalog, found, {})  # an API gives no names that would have to be looked up
        except (ValueError, BadCall) as error:
            log.info("not followed", operation=call.operation.name, reason=self._api_client.mask(str(error))[:300])
            raise _Astray(f"{what} that the catalog does not allow, so that was not followed.", to) from None
        if not isinstance(sort(found, tainted=True), Read):
            raise _Astray(f"{what} that needs a person's approval, so that was not followed.", to)
        return found

    # --- lists --------------------------------------------------------------------------------------------------------

    def _read_pages(self, read: Read, purpose: Purpose) -> ReadResult:
        listed = self.collect(read, purpose)
        return self._shown(read, purpose, self._found(listed), listed.seconds)

    def _found(self, listed: CollectedList) -> CallData:
        """A collected list, or what the API gave in its place, with words for what is missing."""
        if listed.items is not None:
            part = words.IS_PART.format(why=listed.why) if listed.why else ""
            unsaid = [words.UNSURE_WHOLE] if listed.is_unsaid else []
            notes = (*([part] if part else []), *listed.doubts, *unsaid)
            counts = {"pages": listed.pages, "items": len(listed.items)}
            data = self.cleaned(listed.items, listed.hiding)
            return CallData(listed.answer.status, data, notes, counts, part)
        found = found_of(listed.answer, self._api_client.secrets)
        if not listed.answer.is_success:
            return found
        return replace(found, notes=(*found.notes, f"all_pages: no list was found. There is {there(found.data)}."))

    def collect(
        self,
        call: Call,
        purpose: Purpose,
        by: float | None = None,
        enough: Callable[[Sequence[Any]], bool] = lambda _items: False,
    ) -> CollectedList:
        """All items of a list, page by page, within the catalog's bounds, a time and a size. Raises what the first page's request raises.

        What was collected before something failed is kept, with the words for why it is not all. `by` (monotonic seconds) bounds all of
        it, else three calls' time does; `enough` says of the items so far that no more of them are needed.
        """
        course, call = _begun(call, purpose)
        began = time.monotonic()
        by = began + _TIMES * self._api_client.timeout if by is None else by
        answer = self.follow(call, purpose, min(began + self._api_client.timeout, by))
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
                call, answer, page = self._turned(call, purpose, course, what, size=size, began=began, by=by)
            except _Over as over:
                before = look_before(course) if over.is_end and time.monotonic() < by else None
                if before is not None:
                    course, bag = self._before(call, purpose, *before, bag, by)
                why = "" if over.is_end and len(bag.items) == course.total else str(over)
                listed = _listed(call, course, answer, page, bag, why, time.monotonic() - began)
                return replace(listed, hiding=hiding)

    def _turned(
        self, call: Call, purpose: Purpose, course: Course, what: Ask, *, size: int, began: float, by: float
    ) -> tuple[Call, Answer, Page]:
        """The next page with its call. Raises `_Over`."""
        self._check_room(size, by, began)
        call = self._next(call, purpose, what)
        if not purpose.wants(call, course.pages + 1):
            raise _Over("nobody wants more of them")
        return call, *self._further(call, purpose, course, by)

    def _before(
        self, call: Call, purpose: Purpose, course: Course, ask: Ask, bag: Bag, by: float
    ) -> tuple[Course, Bag]:
        """With the page of number 0, where the API has one: nobody told whether it counts from 0 or from 1."""
        try:
            call = self._next(call, purpose, ask)
            if purpose.wants(call, course.pages + 1):
                _, page = self._further(call, purpose, course, by)
                course, items, _ = follow(course, page)
                if bag.add(items, before=True):
                    course = replace(course, pages=course.pages + 1, items=course.items + len(items))
        except _Over:
            pass  # most APIs that count from 1 say no to a page 0
        return course, bag

    def _check_room(self, size: int, by: float, began: float) -> None:
        """Raises `_Over` where no further page may be asked for."""
        if size >= self._api_client.max_response:
            raise _Over(f"together they are larger than {self._api_client.max_response:,} bytes")
        if time.monotonic() >= by:
            raise _Over(f"reading them took longer than {by - began:,.3g} seconds")

    def _next(self, call: Call, purpose: Purpose, ask: Ask) -> Call:
        """The request for the next page. Raises `_Over` where the catalog does not allow it."""
        try:
            if not ask.url:
                return _allowed(with_values(purpose.catalog, call, ask.values))
            found = _by_query(call, purpose, ask.url) or self._led(
                call, purpose, ask.url, "the API's next page is at a place"
            )
        except BadCall as error:
            raise _Over(str(error) if ask.url else _NOT_ALLOWED) from None
        if found.operation.api is not call.operation.api:
            raise _Over("the API's next page is at another API, so that was not followed")
        return found

    def _further(self, call: Call, purpose: Purpose, course: Course, by: float) -> tuple[Answer, Page]:
        """A page after the first. Raises `_Over`."""
        number = course.pages + 1
        try:
            answer = self.follow(call, purpose, min(time.monotonic() + self._api_client.timeout, by))
        except (Unsent, Unanswered, BadCall) as error:
            raise _Over(f"page {number:,} failed: {self._api_client.mask(str(error))}") from None
        if is_past_end(course, answer.status):
            raise _Over
        if not answer.is_success:
            asked = waiting_words(answer.status, answer.header("retry-after"))
            is_end = course.is_counted and answer.status in NO_PAGE
            raise _Over(f"page {number:,} failed with {status_text(answer.status)}. {asked}".strip(), is_end=is_end)
        page = _page(course, answer)
        if page is None:
            raise _Over(f"page {number:,} holds no whole list")
        return answer, page

    # --- look-ups -----------------------------------------------------------------------------------------------------

    def look_up(self, call: Call, purpose: Purpose) -> Call:
        """`call` with the ids that its names mean, read from the lists that the catalog names. Raises `BadCall` or `Unclear`."""
        given = {**call.values, **call.headers}
        found: dict[str, str] = {}
        found_by: list[Matched] = []
        for name in sorted(call.unresolved):
            lookup, value = call.operation.lookups[name], str(given[name])
            one = self._candidate(call, name, value, purpose)
            found[name] = one.id
            is_hidden = is_secret(call.operation.parameters.get(name))
            said, key, *fields = map(self._api_client.mask, (value, one.id, *self._told(call, lookup, one).values()))
            found_by.append(Matched(name, is_hidden=True) if is_hidden else matched(name, said, key, fields))
        try:
            return replace(with_values(purpose.catalog, call, found), matched=tuple(found_by))
        except BadCall:
            problem = words.LOOKUP_FAILED.format(
                name=", ".join(found), why="the id that was found does not fit the catalog"
            )
            raise BadCall(problem) from None

    def _candidate(self, call: Call, name: str, value: str, purpose: Purpose) -> Candidate:
        """The one item that a value means. Raises `BadCall` or `Unclear`."""
        lookup = call.operation.lookups[name]
        about = {"name": name, "value": value[:_SHOWN], "operation": lookup.operation}
        listed = self._listed(call, lookup, about, purpose)
        fitting = candidates(lookup, listed.items or [], value)
        if len(fitting) == 1 and (not listed.why or fitting[0].by_id):
            return fitting[0]
        why = listed.why or ("" if fitting else next(iter(listed.doubts), ""))
        if why:
            told = words.LOOKUP_PARTIAL.format(**about, why=why.removesuffix("."))
            raise self._unclear(told, "not whole", call, lookup, fitting)
        if not fitting:
            raise self._unclear(words.LOOKUP_NONE.format(**about), "none", call, lookup, fitting)
        raise self._unclear(
            words.LOOKUP_SEVERAL.format(**about, count=f"{len(fitting):,}"), "several", call, lookup, fitting
        )

    def _listed(self, call: Call, lookup: Lookup, about: Mapping[str, str], purpose: Purpose) -> CollectedList:
        """The list to look in. Raises `BadCall`, or `Unclear` where the API does not give it."""
        operation = purpose.catalog.named(call.operation.api, lookup.operation)
        if operation is None:
            raise BadCall(words.LOOKUP_FAILED.format(**about, why=f"{lookup.operation} may not be called here"))
        wanted = build(purpose.catalog, operation, {})
        if not isinstance(sort(wanted, tainted=True), Read):
            raise BadCall(words.LOOKUP_FAILED.format(**about, why=f"{lookup.operation} needs a person's approval"))
        try:
            listed = self.collect(wanted, purpose)
        except (Unsent, Unanswered, BadCall) as error:
            why = str(error)
        else:
            if listed.items is not None:
                return listed
            why = f"{lookup.operation} gave no list ({status_text(listed.answer.status)})"
        text = words.LOOKUP_FAILED.format(**about, why=why.removesuffix("."))
        raise Unclear(error_text(text, self._api_client.secrets), "failed")

    def _unclear(self, text: str, outcome: str, call: Call, lookup: Lookup, fitting: Sequence[Candidate]) -> Unclear:
        shown = fitting[:_CANDIDATES]
        data = [{"id": self._api_client.mask(one.id), **self._told(call, lookup, one)} for one in shown]
        more = {"data": data} if data else {}
        rest = {"note": f"The first {len(data)} of {len(fitting):,}."} if len(fitting) > len(data) else {}
        return Unclear(as_json({"error": self._api_client.mask(text), **more, **rest}), outcome)

    def _told(self, call: Call, lookup: Lookup, one: Candidate) -> dict[str, str]:
        """What may be told of a candidate."""
        read = self._catalog.named(call.operation.api, lookup.operation)
        hiding = call.operation.hiding | (read.hiding if read is not None else Hiding())
        return fields_of(lookup, self.cleaned(one.item, hiding))


def _check_is_read(read: Read) -> None:
    if read.method not in SAFE_METHODS:
        raise BadCall(f"{read.method} is no read.")
    check_resolved(read)


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
    if not answer.is_success or answer.broke_off:
        return course
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


def with_sign(found: CallData, call: Call, answer: Answer, *, offer: bool = True) -> CallData:
    """With a note where an answer shows that there is more than it holds. `offer`: the call could be made with all_pages."""
    sign = sign_in(call, answer)
    if sign is None:
        return found
    told = (words.IS_PART if sign.is_sure else words.MAY_BE_PART).format(why=sign.words)
    more = [words.ALL_PAGES] if offer and call.method == "GET" else []
    return replace(found, notes=(*found.notes, told, *more), part=told if sign.is_sure else found.part)


def sign_in(call: Call, answer: Answer) -> Sign | None:
    """The sign in an answer that there is more than it holds."""
    if not answer.is_success or answer.broke_off:
        return None
    data, _ = data_of(answer)
    items = list_in(call.operation, data)
    shown = items if items is not None else items_of(call.operation.pagination, data)
    if shown is None:
        return None
    return sign_of_more(call.operation, call.values, Page(shown, data, answer.headers), is_list=items is not None)


def _page(course: Course, answer: Answer) -> Page | None:
    """An answer as a page; None where it holds no whole list."""
    data, _ = data_of(answer)
    items = items_of(course.paging, data) if answer.is_success and not answer.broke_off else None
    return Page(items, data, answer.headers) if items is not None else None


def _why(course: Course, why: str, count: int) -> str:
    """Why a list is not whole, with how many there are in all where the API says so."""
    why = why.rstrip(".")
    if why and course.total is not None and course.total > count:
        return f"{count:,} of {course.total:,} were read, since {why}"
    return why


def _carried(call: Call, to: Operation) -> dict[str, str]:
    """The headers of a call that another operation takes as well."""
    return {name: text for name, text in call.headers.items() if name in to.headers}
