"""The demo's catalog: its file, taken again when it is saved, and what a workspace needs for it: people, groups, channels, questions.

Reads the catalog by the bot's own rules, so that a mistake is told in the same words; nothing else of the bot is used here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from base.settings import Misconfigured
from catalog.askers import is_group
from catalog.catalog import Catalog, Operation, load_catalog
from catalog.rules import Rule
from emulator.members import BOT_USER, Channel, Person, UserGroup

# Who is in a group that the catalog names, as far as its rules ask for so many. Ben is there already.
_MEMBERS = ("U0BEN", "U0CLE", "U0DEV", "U0EVA", "U0FAY")
_NEW = {"U0CLE": "Cleo Marsh", "U0DEV": "Dev Patel", "U0EVA": "Eva Stone", "U0FAY": "Fay Wu"}
_CHIPS = 4
_VERBS = re.compile(
    r"(list|show|get|return|retrieve|fetch|find|search|read|tell|count|give|look|describe|check|export|download)(?:e?s)\b",
    re.IGNORECASE,
)


class CatalogFile:
    """The file at `path` with the environment's variables. `catalog` is what was taken last."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.path = path
        self._environ = environ
        self._seen = self._stamp()
        self.catalog = self._read()

    def _read(self) -> Catalog:
        try:
            text = self.path.read_text("utf-8")
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise Misconfigured(f"Cannot read {self.path}: {reason}.") from None
        return load_catalog(text, self._environ, source=self.path.name)

    def was_saved(self) -> bool:
        """Whether it was saved since it was asked last. A file that is just being replaced was not."""
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return False
        self._seen = stamp
        return True

    def take(self) -> Catalog:
        """The catalog as its file is now. Raises `Misconfigured`; then the one before stays."""
        self.catalog = self._read()
        return self.catalog

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


# --- who decides, and where -------------------------------------------------------------------------------------------


def rules_of(catalog: Catalog) -> list[Rule]:
    """All approval rules of a catalog, those of channels first."""
    of_channels = [rule for channel in catalog.channels.values() for rule in channel.rules]
    return [*of_channels, *(rule for operation in catalog.operations for rule in operation.rules or ())]


def groups(catalog: Catalog) -> Iterator[UserGroup]:
    """A group for each that the catalog names, with as many members as a rule wants votes, and two at least."""
    for name in filter(is_group, dict.fromkeys((*catalog.approvers, *sorted(catalog.askers)))):
        votes = max((rule.quorum for rule in rules_of(catalog) if name in rule.approvers), default=0)
        handle = name.removeprefix("@").lower()
        ident = name if name.startswith("S") else "S0" + re.sub(r"[^A-Z0-9]", "", name.upper())
        yield UserGroup(ident, handle, handle, _MEMBERS[: max(2, votes)])


def people(catalog: Catalog) -> Iterator[Person]:
    """Who is in these groups and not there yet, and whom the catalog names by id."""
    members = {member for group in groups(catalog) for member in group.users}
    for ident, name in _NEW.items():
        if ident in members:
            yield Person(ident, name.split()[0].lower(), name, f"{name.split()[0].lower()}@example.com", "Approver")
    named = (*catalog.approvers, *sorted(catalog.askers))
    for ident in dict.fromkeys(one for one in named if one.startswith(("U", "W"))):
        does = "Approver" if ident in catalog.approvers else "Asker"
        yield Person(ident, ident.lower(), f"{does} {ident}", f"{ident.lower()}@example.com", "Named in the catalog")


def channels(catalog: Catalog, members: Sequence[str]) -> Iterator[Channel]:
    """The channels that the catalog names. `members`: who is in them, the bot among them."""
    for name in catalog.channels:
        if name.startswith("#"):
            ident = "C0" + re.sub(r"[^A-Z0-9]", "", name.upper())
            yield Channel(ident, name.removeprefix("#"), (*members, BOT_USER))
        else:
            yield Channel(name, name.lower(), (*members, BOT_USER))


# --- what can be asked ------------------------------------------------------------------------------------------------


def questions(catalog: Catalog, *, in_words: bool) -> list[str]:
    """What to try: the catalog's own prompts, else its reads that need no values. `in_words`: for a model that understands them."""
    if in_words and catalog.prompts:
        return [one.message for one in catalog.prompts][:_CHIPS]
    reads = [one for one in catalog.operations if one.method == "GET" and not one.required]
    said = [_in_words(one) if in_words else _as_call(one, catalog) for one in reads]
    return list(dict.fromkeys(said))[:_CHIPS]


def _in_words(operation: Operation) -> str:
    """A description as a request: `Lists devices, 50 a page.` -> `list devices, 50 a page`."""
    first = re.split(r"(?<=[.!?])\s", operation.description)[0].rstrip(".!?")
    said = _VERBS.sub(lambda found: found[1], first, count=1)
    return said[:1].lower() + said[1:] if said != first else f"show me: {first}"


def _as_call(operation: Operation, catalog: Catalog) -> str:
    path = operation.name.split(" ", 1)[1]
    base = operation.api.base_url if len(catalog.apis) > 1 else ""
    return f"GET {base}{path}"
