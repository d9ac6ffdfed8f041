"""What somebody may have meant who wrote a name that there is not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 5
_LIKENESS = 0.6  # of difflib's ratio; `secrte` and `secret` have 0.83


def meant(name: str, known: Iterable[str], likeness: float = _LIKENESS) -> str | None:
    """The one of `known` that is most like `name`, capitals, '-' and '_' apart; None where none is."""
    by_plain = {_plain(one): one for one in known}
    found = get_close_matches(_plain(name), by_plain, n=1, cutoff=likeness)
    return by_plain[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    found = meant(name, known)
    return f"; did you mean '{found}'?" if found else ""


def there_is(name: str, known: Iterable[str]) -> str:
    """What there is instead of `name`: those most like it first, and how many more there are."""
    known = list(dict.fromkeys(known))
    near = get_close_matches(name, known, n=_SHOWN, cutoff=_LIKENESS)
    shown = [*near, *(one for one in known if one not in near)][:_SHOWN]
    more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    return (", ".join(shown) or "none") + more


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
