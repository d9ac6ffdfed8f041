"""Which operations of a description do something else than their method says: GETs that change things, and calls that carry other
calls, which no allow-list could see into. They are told by their names and by the shape of their bodies, so an import switches them
off with a remark, and a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from catalog.rules import SAFE_METHODS

_DOES = frozenset(
    ("abort", "accept", "activate", "add", "approve", "attach", "block", "cancel", "clear", "close", "create", "deactivate",
     "decline", "delete", "destroy", "disable", "disconnect", "enable", "erase", "exchange", "exec", "execute", "flush", "generate",
     "install", "invalidate", "kill", "login", "logoff", "logon", "logout", "pause", "portforward", "publish", "purge", "reboot",
     "regenerate", "reject", "remove", "rename", "reset", "restart", "restore", "resume", "revoke", "rotate", "send", "share",
     "shutdown", "signin", "signoff", "signout", "start", "stop", "submit", "subscribe", "suspend", "terminate", "trigger",
     "unblock", "uninstall", "unlink", "unlock", "unsubscribe", "update", "wipe")
)  # fmt: skip
_SAID = frozenset(("change", "connect", "end", "mark", "open", "post", "push", "set", "upload"))  # in sentences alone
_MEANS_LITTLE = frozenset(
    ("enabl", "generat")
)  # "Enables an app to find ...", "Generates a report": as reads have it, too
_NOUNS = frozenset(
    ("block", "clear", "login", "publish", "reset", "restore", "resume", "start", "stop", "submit", "trigger", "update")
)  # which a GET may be about: "Gets the status of a restore"
_READS = re.compile(
    r"(?:check|describe|download|export|fetch|find|get|list|look|query|read|retrieve|return|search|show|view)(?:e?s)?\b",
    re.IGNORECASE,
)
_SAYS_READ = frozenset(("describe", "fetch", "find", "get", "read", "retrieve", "show"))  # in an operation's id
_TWO = frozenset(("log in", "log off", "log out", "port forward", "shut down", "sign in", "sign off", "sign out"))
_CARRIES = frozenset(("exec", "graphql", "jsonrpc", "proxy"))  # whatever the method
_SEVERAL = frozenset(("batch", "multi"))  # other calls, where the body is not told, or told as such
# "Revokes a token", "Delete the list": what comes after a noun, as in "Update history", is no article.
_SENTENCE = re.compile(r"([a-z]+?)(?:e?s)?\s+(?:a|an|the|all|your|this|one|current)\s", re.IGNORECASE)
_METHOD = frozenset(("method", "httpmethod", "verb", "operation"))
_WHERE = frozenset(("url", "uri", "path", "relativepath", "relativeurl", "endpoint", "href"))


def effect(entry: Mapping[str, Any], operation_id: str = "") -> str:
    """What an imported entry does beside what its method says, in words for a remark; nothing where that is not seen."""
    last, is_read = _last(str(entry["url"])), entry["method"] in SAFE_METHODS
    fields = _fields(entry.get("body"))
    if last & _CARRIES or _carries(entry.get("body")) or (last & _SEVERAL and not is_read and not fields):
        return "it carries other requests, which no rule of the catalog would see"
    if is_read and _acts(last, str(entry["description"]), operation_id):
        return f"a {entry['method']} that seems to change something, and a {entry['method']} does not wait for approval"
    return ""


def _acts(last: set[str], description: str, operation_id: str) -> bool:
    """Whether a read's names and words say that it does something. A noun that could be a verb is none where it is said to be read."""
    words = _words(re.split(r"[./]", operation_id)[-1])
    is_said = not _SAYS_READ.isdisjoint(_words(operation_id))
    nouns = _NOUNS if is_said or _READS.match(description) else frozenset[str]()
    begins = bool(words) and (words[0] in _DOES or " ".join(words[:2]) in _TWO)
    return bool((last - nouns) & (_DOES | _TWO)) or begins or (_says(description) and not is_said)


def _last(url: str) -> set[str]:
    """The words of a path's last segment that is no placeholder: the last of them, the two last, and all as one."""
    path = re.sub(r"\[[^\[\]]*\]", "", url.partition("?")[0])
    segments = [one for one in path.split("/") if re.search(r"[A-Za-z]", one)]
    words = _words(segments[-1]) if segments else []
    return {*words[-1:], " ".join(words[-2:]), "".join(words)} if words else set()


def _words(name: str) -> list[str]:
    """`auth.revoke`, `logoutUser` and `force-log-out` as words."""
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return re.findall(r"[a-z0-9]+", apart.lower())


def _says(description: str) -> bool:
    """Whether a description begins as that of an action does."""
    found = _SENTENCE.match(description.removeprefix("Deprecated. "))
    word = found[1].lower() if found is not None else ""
    return word not in _MEANS_LITTLE and any(one in _DOES | _SAID for one in (word, f"{word}e"))


def _carries(schema: object) -> bool:
    """Whether things in a body are requests: each has a method and says where it goes."""
    return any(names & _METHOD and names & _WHERE for names in _of_items(schema))


def _of_items(schema: object, depth: int = 4) -> Iterator[set[str]]:
    """The fields' names of each kind of thing that a body has lists of."""
    if not isinstance(schema, dict) or not depth:
        return
    if isinstance(items := schema.get("items"), dict):
        yield {re.sub(r"[^a-z]", "", name.lower()) for one in (items, *items.get("anyOf", ())) for name in _fields(one)}
    below = [
        *_fields(schema).values(),
        *schema.get("anyOf", ()),
        schema.get("items"),
        schema.get("additionalProperties"),
    ]
    for one in below:
        yield from _of_items(one, depth - 1)


def _fields(schema: object) -> dict[str, Any]:
    fields = schema.get("properties") if isinstance(schema, dict) else None
    return fields if isinstance(fields, dict) else {}
