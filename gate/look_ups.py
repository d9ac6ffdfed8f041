"""From a person's word to the id that it means, by a list of the API that the catalog names. What isn't clear is never guessed.

Which items fit is catalog/lookup.py's matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from base import words
from base.shrink import as_json
from base.statuses import status_text
from catalog.bad_call import BadCall
from catalog.calls import Call, build, with_values
from catalog.catalog import Lookup
from catalog.lookup import Candidate, Matched, Unclear, candidates, fields_of, matched
from catalog.secret_values import Hiding, is_secret
from gate.answers import error_text
from gate.api_client import Unanswered, Unsent
from gate.lists import CollectedList, ListReads
from gate.policy import Read, sort
from gate.single_reads import Purpose, SingleReads

_CANDIDATES = 10  # that the model is told of
_SHOWN = 200  # characters of a name that could not be looked up


class LookUps:
    """The look-ups of one gate, out of its list reads."""

    def __init__(self, single: SingleReads, lists: ListReads) -> None:
        self._single = single
        self._lists = lists

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
            said, key, *fields = map(self._single.mask, (value, one.id, *self._told(call, lookup, one).values()))
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
            raise BadCall(words.LOOKUP_FAILED.format(**about, why="no list of such names may be read here"))
        wanted = build(purpose.catalog, operation, {})
        if not isinstance(sort(wanted, tainted=True), Read):
            raise BadCall(words.LOOKUP_FAILED.format(**about, why=f"{lookup.operation} needs a person's approval"))
        try:
            listed = self._lists.collect(wanted, purpose)
        except (Unsent, Unanswered, BadCall) as error:
            why = str(error)
        else:
            if listed.items is not None:
                return listed
            why = f"{lookup.operation} gave no list ({status_text(listed.answer.status)})"
        text = words.LOOKUP_FAILED.format(**about, why=why.removesuffix("."))
        raise Unclear(error_text(text, self._single.secrets), "failed")

    def _unclear(self, text: str, outcome: str, call: Call, lookup: Lookup, fitting: Sequence[Candidate]) -> Unclear:
        shown = fitting[:_CANDIDATES]
        data = [{"id": self._single.mask(one.id), **self._told(call, lookup, one)} for one in shown]
        more = {"data": data} if data else {}
        rest = {"note": f"The first {len(data)} of {len(fitting):,}."} if len(fitting) > len(data) else {}
        return Unclear(as_json({"error": self._single.mask(text), **more, **rest}), outcome)

    def _told(self, call: Call, lookup: Lookup, one: Candidate) -> dict[str, str]:
        """What may be told of a candidate."""
        read = self._single.catalog.named(call.operation.api, lookup.operation)
        hiding = call.operation.hiding | (read.hiding if read is not None else Hiding())
        return fields_of(lookup, self._single.cleaned(one.item, hiding))
