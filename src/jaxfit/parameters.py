"""The parameters of a fit: names, start values, bounds, which are fixed; overrides by name or by list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxfit.errors import InputError, suggest
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["ParameterSpace"]


@dataclass(frozen=True)
class ParameterSpace:
    """All parameters of a model in pyhf's order, as a fit sees them.

    Attributes:
        names: parameter names, bin-wise ones as ``name[i]``.
        start: start values.
        lower: lower bounds.
        upper: upper bounds.
        fixed: which parameters stay at their start value.
        poi: name of the parameter of interest, None if the model has none.
    """

    names: tuple[str, ...]
    start: NumpyArray
    lower: NumpyArray
    upper: NumpyArray
    fixed: NumpyMask
    poi: str | None

    def index(self, name: str) -> int:
        """Position of a parameter.

        Raises:
            InputError: no parameter has this name.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise InputError(suggest("parameter", str(name), self.names)) from None

    def poi_index(self, poi_name: str | None = None) -> int:
        """Position of a parameter that a question is asked about, by default the model's parameter of interest.

        Raises:
            InputError: no parameter has this name, there is no default, or the parameter is fixed.
        """
        name = self.poi if poi_name is None else poi_name
        if name is None:
            raise InputError("the model has no parameter of interest: name one with poi_name")
        index = self.index(name)
        if self.fixed[index] or self.lower[index] == self.upper[index]:
            raise InputError(f"the parameter of interest {name!r} is fixed: free it with fix_pars={{{name!r}: False}}")
        return index

    def named(self, mask: NumpyMask) -> tuple[str, ...]:
        """Names of the parameters that a mask selects."""
        return tuple(self.names[i] for i in np.flatnonzero(mask))

    def override(
        self,
        init_pars: Mapping[str, float] | Sequence[float] | None = None,
        fix_pars: Mapping[str, bool | float] | Sequence[bool] | None = None,
        par_bounds: Mapping[str, tuple[float, float]] | Sequence[tuple[float, float]] | None = None,
    ) -> ParameterSpace:
        """The space with some settings replaced.

        Each argument is a mapping by parameter name (what is not named stays), or cabinetry's form: a list over all
        parameters in the model's order. In a mapping of ``fix_pars`` a number fixes the parameter at that value.

        Raises:
            InputError: an unknown name, a list of the wrong length, a value that is not finite, bounds that are
                inverted or exclude the start value.
        """
        start, fixed = self.values("init_pars", init_pars, self.start), self.fixed.copy()
        lower, upper = self.lower.copy(), self.upper.copy()
        for index, value in self._items("fix_pars", fix_pars):
            at_value = isinstance(fix_pars, Mapping) and not isinstance(value, (bool, np.bool_))
            if not at_value and value not in (True, False):
                raise InputError(f"fix_pars of {self.names[index]!r} is {value!r}, expected True or False in a list")
            fixed[index] = at_value or bool(value)
            if at_value:
                start[index] = _number("fix_pars", self.names[index], value)
        for index, pair in self._items("par_bounds", par_bounds):
            try:
                low, high = pair
            except (TypeError, ValueError):
                raise InputError(f"par_bounds of {self.names[index]!r} is {pair!r}, expected (low, high)") from None
            lower[index] = _number("par_bounds", self.names[index], low, finite=False)
            upper[index] = _number("par_bounds", self.names[index], high, finite=False)
        return replace(self, start=start, fixed=fixed, lower=lower, upper=upper)._checked()

    def values(
        self, argument: str, given: Mapping[str, float] | Sequence[float] | None, default: NumpyArray
    ) -> NumpyArray:
        """A copy of ``default`` with what is given in its place, by name or as a list over all parameters.

        Raises:
            InputError: as for :meth:`override`; the text names the ``argument``.
        """
        values = default.copy()
        for index, value in self._items(argument, given):
            values[index] = _number(argument, self.names[index], value)
        return values

    def check_labels(self, labels: Sequence[str]) -> None:
        """Refuse a result of another model.

        Raises:
            InputError: its parameters are not these, in this order.
        """
        if tuple(labels) != self.names:
            other = next((name for name in labels if name not in self.names), None)
            how = "in another order or number" if other is None else f"such as {other!r}"
            raise InputError(f"the fit result is of another model: it has other parameters, {how}")

    def box(self) -> tuple[NumpyArray, NumpyArray]:
        """Lower and upper bounds with fixed parameters held: both bounds at the start value."""
        return np.where(self.fixed, self.start, self.lower), np.where(self.fixed, self.start, self.upper)

    def _items(self, argument: str, given: Mapping[str, Any] | Sequence[Any] | None) -> list[tuple[int, Any]]:
        if given is None:
            return []
        if isinstance(given, Mapping):
            return [(self.index(name), value) for name, value in given.items()]
        if isinstance(given, (str, Set)) or not hasattr(given, "__len__"):
            raise InputError(
                f"{argument} is a {type(given).__name__}, expected a mapping by parameter name or a list of one entry "
                "for every parameter"
            )
        if len(given) != len(self.names):
            raise InputError(
                f"{argument} has {len(given)} entries, expected {len(self.names)}, one for every parameter "
                "(a mapping by parameter name sets only those you mean)"
            )
        return list(enumerate(given))

    def _checked(self) -> ParameterSpace:
        for index in np.flatnonzero(~(self.lower <= self.upper)):
            raise InputError(
                f"bounds of {self.names[index]!r} are inverted: [{self.lower[index]:g}, {self.upper[index]:g}]"
            )
        outside = ~self.fixed & ~((self.lower <= self.start) & (self.start <= self.upper))
        for index in np.flatnonzero(outside):
            raise InputError(
                f"start value {self.start[index]:g} of {self.names[index]!r} is outside its bounds "
                f"[{self.lower[index]:g}, {self.upper[index]:g}]: change init_pars or par_bounds"
            )
        return self


def _number(argument: str, name: str, value: Any, *, finite: bool = True) -> float:
    try:
        if isinstance(value, (bool, np.bool_, str)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{argument} of {name!r} is {value!r}, expected a number") from None
    if np.isnan(number) or (finite and np.isinf(number)):
        raise InputError(f"{argument} of {name!r} is {number}, expected a finite number")
    return number
