"""Who may ask for an operation: the names under `askers`. Who somebody is, and to which groups they belong, is
gate/authority.py's matter.

A circle is the set of names of one `askers`. Whoever one of its names stands for may ask; an operation's entry has one circle.
"""

from __future__ import annotations

import re

EVERYBODY = "everybody"  # all people who may use the bot; no app
Circle = frozenset[str]
ALL: Circle = frozenset({EVERYBODY})
_DOMAIN = r"(?=.{4,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+"  # RFC 1035, 2.3.1
_NAME = rf"^(everybody|@[a-z0-9._-]+|[SUWAB][A-Z0-9_]{{2,}}|{_DOMAIN})$"


def read_name(text: str) -> str:
    """A name under `askers`. Raises `ValueError` where it is none."""
    if re.fullmatch(_DOMAIN, text.lower()):
        return text.lower()
    if re.fullmatch(_NAME, text):
        return text
    raise ValueError(
        f"'{text}' names nobody: write a user id (U024BE7LH), a group (@hr-leads or S0614TZR7), an e-mail "
        f"domain (example.com), an app or workflow (B061EG9T2 or A061EG9T2), or {EVERYBODY}"
    )


def is_group(name: str) -> bool:
    """Whether it is a user group, by handle or id."""
    return name[:1] in ("@", "S")


def is_domain(name: str) -> bool:
    """Whether it is the domain of e-mail addresses: all others have no dot, or an @ before it."""
    return "." in name and not name.startswith("@")


def is_app_id(name: str) -> bool:
    """Whether it is an app's id or that of its bot."""
    return name[:1] in ("A", "B")
