"""The gate's read path: reads for the model, their redirects, and a write's target for its card. Only gate.py may use it.

It is given a wire that sends GET and HEAD and nothing else, and makes none itself.
"""

from __future__ import annotations

import time
from urllib.parse import urljoin

from core import words
from core.answers import Answer, Got, data_of, error_text, mask, result_text
from core.calls import BadCall, Call, Read, check_resolved, match, resolve, sort, with_values
from core.catalog import Catalog, Operation
from core.change import Target
from core.credentials import without_credentials
from core.policy import SAFE_METHODS
from core.recipes import StepAnswer
from core.secret import hide, secret_fields
from wire import Broken, Unanswered, Unsent, Wire

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
_MAX_TARGET = 60_000  # characters of a target that a row keeps


class Reads:
    """The reads of one gate. `result_limit` is characters for the model."""

    def __init__(self, catalog: Catalog, wire: Wire, *, result_limit: int) -> None:
        self._catalog = catalog
        self._wire = wire
        self._result_limit = result_limit

    def use(self, catalog: Catalog) -> None:
        """Takes another catalog."""
        self._wire.use(catalog)
        self._catalog = catalog

    def close(self) -> None:
        """Closes the connections."""
        self._wire.close()

    def read(self, read: Read) -> Got:
        """Sends a GET or HEAD. Follows redirects only to what the catalog allows."""
        _check_is_read(read)
        try:
            answer = self._follow(read, time.monotonic() + self._wire.timeout)
        except (Unsent, Unanswered, BadCall) as error:
            return Got(error_text(str(error), self._wire.secrets))
        return Got(
            result_text(answer, limit=self._result_limit, secrets=self._wire.secrets), answer.status, answer.seconds
        )

    def ask(self, read: Read) -> StepAnswer:
        """What the API says to a read, as a recipe's step has it: whole, the secrets masked."""
        _check_is_read(read)
        try:
            answer = self._follow(read, time.monotonic() + self._wire.timeout)
        except (Unsent, Unanswered, BadCall) as error:
            return StepAnswer(problem=self._wire.mask(str(error)))
        data, _ = data_of(answer)
        data, headers = mask(data, self._wire.secrets), mask(dict(answer.headers), self._wire.secrets)
        return StepAnswer(answer.status, data, headers, answer.seconds, self._wire.mask(answer.broke_off))

    def _follow(self, call: Call, by: float) -> Answer:
        """A read with its redirects, all of it until `by` (monotonic seconds)."""
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._get(call, by)
            if answer.status not in _REDIRECTS or not answer.location:
                return answer
            call = self._redirected(call, answer.location)
        raise BadCall(f"The API redirected more than {_MAX_REDIRECTS} times.")

    def _get(self, call: Call, by: float) -> Answer:
        try:
            return self._wire.send(call.operation, call.method, call.url, headers=call.headers, by=by)
        except Broken:  # perhaps an idle connection that the server had closed meanwhile
            return self._wire.send(call.operation, call.method, call.url, headers=call.headers, by=by)

    def _redirected(self, call: Call, location: str) -> Call:
        """Where a redirect leads, if a read may go there; its own credentials are taken out before it is matched."""
        try:
            goal = without_credentials(self._catalog, urljoin(call.url, location))
            there = match(self._catalog, call.method, goal).operation
            headers = _carried(call, there) if there.api is call.operation.api else {}
            found = resolve(self._catalog, {"method": call.method, "url": goal, "headers": headers})
            found = with_values(self._catalog, found, {})  # an API gives no names that would have to be looked up
        except (ValueError, BadCall):
            raise BadCall(
                "The API redirected to a place that the catalog does not allow, so that was not followed."
            ) from None
        if not isinstance(sort(found, tainted=True), Read):
            raise BadCall("The API redirected to a place that needs a person's approval, so that was not followed.")
        return found

    def look(self, write: Call, by: float | None = None) -> tuple[Target | None, str]:
        """A write's target, read by ourselves until `by` (monotonic seconds), and its ETag.

        (None, "") where the catalog has no operation that shows it. A read that needs approval is shown only where the entry names
        it under `preview:`.
        """
        preview = write.operation.preview
        read = self._catalog.preview_of(write.operation)
        if read is None:
            return None, ""
        call = _shows(write, read)
        by = time.monotonic() + self._wire.timeout if by is None else by
        if read.rules and (preview is None or preview.operation is None):
            return Target(call.url, problem=words.NEEDS_APPROVAL), ""
        if missing := read.required - {*call.values, *call.headers}:
            return Target(call.url, problem=words.NEEDS_VALUE.format(name=min(missing))), ""
        if time.monotonic() >= by:
            return Target(call.url, problem=words.NOT_READ_IN_TIME), ""
        try:
            answer = self._follow(call, by)
        except (Unsent, Unanswered, BadCall) as error:
            return Target(call.url, problem=self._wire.mask(str(error))), ""
        if answer.broke_off:  # what was not read cannot be compared
            return Target(call.url, problem=answer.broke_off), ""
        data, _ = data_of(answer)
        data = hide(mask(data, self._wire.secrets), secret_fields(self._catalog, write.operation.api))
        return Target.kept(call.url, answer.status, data, _MAX_TARGET), answer.etag


def _check_is_read(read: Read) -> None:
    if read.method not in SAFE_METHODS:
        raise BadCall(f"{read.method} is no read.")
    check_resolved(read)


def _shows(write: Call, read: Operation) -> Call:
    """The call of `read` that shows what `write` is about: of its values, those of the path and those that have to be given."""
    wanted = read.template.path_names | read.required
    values = {name: value for name, value in write.values.items() if name in wanted & read.template.names}
    return Call(read, read.api.base_url + read.filled(values), values=values, headers=_carried(write, read))


def _carried(call: Call, to: Operation) -> dict[str, str]:
    """The headers of a call that another operation takes as well."""
    return {name: text for name, text in call.headers.items() if name in to.headers}
