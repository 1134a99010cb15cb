"""The errors that a user can mend, each with a message of one line."""

from collections.abc import Iterable
from difflib import SequenceMatcher

_SHOWN = 8
_ALIKE = 0.6


class JaxfitError(Exception):
    """Base of what the user can mend."""


class InputError(JaxfitError, ValueError):
    """The input is wrong; the message names the place."""


def suggest(what: str, name: str, known: Iterable[str]) -> str:
    """Say that ``name`` is no known ``what``, with the known names nearest to it first.

    >>> suggest("parameter", "Mu", ["lumi", "mu"])
    "unknown parameter 'Mu' (did you mean 'mu'? known: 'mu', 'lumi')"
    """

    def likeness(other: str) -> float:
        return SequenceMatcher(None, other.casefold(), name.casefold()).ratio()

    nearest = sorted(known, key=likeness, reverse=True)
    if not nearest:
        return f"unknown {what} {name!r} (there are none)"
    hint = f"did you mean {nearest[0]!r}? " if likeness(nearest[0]) >= _ALIKE else ""
    shown = ", ".join(map(repr, nearest[:_SHOWN]))
    more = f", and {len(nearest) - _SHOWN} more" if len(nearest) > _SHOWN else ""
    return f"unknown {what} {name!r} ({hint}known: {shown}{more})"
