"""The read path's one way out: one answer to one GET or HEAD, with its redirects. Everything else that reads asks here.

It is given an API client that sends GET and HEAD and nothing else, and makes none itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urljoin

import structlog

from base.masking import mask
from base.retry import BUSY, TRIES, pause
from catalog.bad_call import BadCall
from catalog.calls import Call, resolve, shown_url, with_values
from catalog.catalog import Catalog, Operation
from catalog.credentials import without_credentials
from catalog.matching import match
from catalog.secret_values import Hiding
from gate.answers import Answer, shown_of
from gate.api_client import ApiClient, Broken, Unanswered, Unsent
from gate.policy import Read, sort
from identity.callers import Caller

log = structlog.get_logger("reads")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
_PLACE = 1_000  # characters of where an API leads


class Astray(BadCall):
    """Where an API leads, no read may go. `to` is the API's word for that place."""

    def __init__(self, text: str, to: str) -> None:
        super().__init__(text)
        self.to = to[:_PLACE]


Wants = Callable[[Call, int], bool]  # asked ahead of each page after the first, with its number: is it still wanted?


def always(_call: Call, _page: int) -> bool:
    """Every page is wanted."""
    return True


@dataclass(frozen=True)
class Purpose:
    """What a read is made for: for whom, the catalog that holds there, what keeps an answer (its data and why it is a part in, its name
    out, empty where it is not kept), who notes each answer for the journal, and who says whether a further page is wanted."""

    caller: Caller
    catalog: Catalog
    keep: Callable[[Any, str], str]
    note: Callable[[dict[str, Any]], None]
    wants: Wants


class SingleReads:
    """Single answers for one gate. `client` sends nothing but GET and HEAD; `clock` is seconds since 1970."""

    def __init__(self, catalog: Catalog, client: ApiClient, *, clock: Callable[[], float]) -> None:
        self._catalog = catalog
        self._api_client = client
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

    @property
    def max_response(self) -> int:
        """Bytes that are read of one answer."""
        return self._api_client.max_response

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that nobody may see."""
        return self._api_client.secrets

    def mask(self, text: str) -> str:
        """`text` without the secrets."""
        return self._api_client.mask(text)

    def cleaned(self, data: Any, hiding: Hiding) -> Any:
        """An API's data as people may see it: no secrets, and nothing that the catalog hides."""
        return shown_of(mask(data, self._api_client.secrets), hiding)[0]

    def follow(self, call: Call, purpose: Purpose, until: float) -> Answer:
        """A read with its redirects, all of it by `until` (monotonic seconds), noted."""
        url = self._api_client.mask(shown_url(call.operation, call.values))  # a further page's values are the API's
        told: dict[str, Any] = {"operation": call.operation.name, "url": url}
        try:
            answer = self._led_on(call, purpose, until)
        except (Unsent, Unanswered, BadCall) as error:
            purpose.note(told | {"status": None, "problem": self._api_client.mask(str(error))})
            raise
        whose = {"identity": answer.identity} if answer.identity else {}
        purpose.note(told | {"status": answer.status, "seconds": answer.seconds} | whose)
        return answer

    def _led_on(self, call: Call, purpose: Purpose, until: float) -> Answer:
        hiding = Hiding()
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._get(call, purpose.caller, until)
            hiding |= answer.hiding
            location = answer.header("location")
            if answer.status not in _REDIRECTS or not location:
                return replace(answer, hiding=hiding)
            call = self.led(call, purpose, location, "The API redirected to a place")
        raise BadCall(f"The API redirected more than {_MAX_REDIRECTS} times.")

    def _get(self, call: Call, caller: Caller, until: float) -> Answer:
        """One answer; an API that is busy is asked again as long as there is time."""
        for tried in range(1, TRIES + 1):
            answer = self._once(call, caller, until)
            wait = pause(answer.header("retry-after"), tried, self._clock())
            if answer.status not in BUSY or tried == TRIES or wait >= until - time.monotonic():
                break
            time.sleep(wait)
        return answer

    def _once(self, call: Call, caller: Caller, until: float) -> Answer:
        send = partial(
            self._api_client.send,
            call.operation,
            call.method,
            call.url,
            caller=caller,
            headers=call.headers,
            until=until,
        )
        try:
            return send()
        except Broken:  # perhaps an idle connection that the server had closed meanwhile
            return send()

    def led(self, call: Call, purpose: Purpose, to: str, what: str) -> Call:
        """Where an API's own words lead, if a read may go there; its own credentials are taken out before that is matched.

        `what` says who leads there, as the beginning of a sentence. Raises `BadCall`.
        """
        try:
            goal = without_credentials(purpose.catalog, urljoin(call.url, to))
            there = match(purpose.catalog, call.method, goal).operation
            headers = _carried(call, there) if there.api is call.operation.api else {}
            found = resolve(purpose.catalog, {"method": call.method, "url": goal, "headers": headers})
            found = with_values(purpose.catalog, found, {})  # an API gives no names that would have to be looked up
        except (ValueError, BadCall) as error:
            log.info("not followed", operation=call.operation.name, reason=self._api_client.mask(str(error))[:300])
            raise Astray(f"{what} that the catalog does not allow, so that was not followed.", to) from None
        here = call.operation.api
        if there.api.is_personal and not here.is_personal:  # what it tells one person would be there for all
            raise Astray(f"{what} whose answers serve the asker alone, so that was not followed.", to)
        if there.api.answers_alone and not here.answers_alone:  # the answer would stand where all see it
            raise Astray(f"{what} whose answers are direct messages, so that was not followed.", to)
        if not isinstance(sort(found, tainted=True), Read):
            raise Astray(f"{what} that needs a person's approval, so that was not followed.", to)
        return found


def _carried(call: Call, to: Operation) -> dict[str, str]:
    """The headers of a call that another operation takes as well."""
    return {name: text for name, text in call.headers.items() if name in to.headers}
