"""What a call does when a fit fails: raise, warn, or leave it to the status of the result."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from jaxfit.errors import InputError, JaxfitError, suggest

__all__ = ["FitError", "FitWarning", "Policy", "checked_policy", "report"]

Policy = Literal["raise", "warn", "ignore"]
_POLICIES = ("raise", "warn", "ignore")


class FitWarning(UserWarning):
    """A fit that did not end in a minimum that can be used; the text says what to do."""


class FitError(JaxfitError):
    """The same as an error; ``result`` is what would have been returned."""

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result


def checked_policy(policy: str) -> None:
    """Refuse an unknown policy before anything is computed.

    Raises:
        InputError: it is none of "raise", "warn", "ignore".
    """
    if policy not in _POLICIES:
        raise InputError(suggest("policy on_failure", policy, _POLICIES))


def report(message: str, result: Any, policy: Policy) -> None:
    """Tell the caller of a public function (two frames up) of a failure, as the policy says."""
    if policy == "raise":
        raise FitError(message, result)
    if policy == "warn":
        warnings.warn(message, FitWarning, stacklevel=3)
