"""What a fit cannot use: refused at the first violation, by its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxfit.errors import InputError, suggest
from jaxfit.specs.contents import KINDS, Contents, Spec, is_number, read, require_length, require_unique, shown

__all__ = ["check", "counts"]


class _Kind(NamedTuple):
    """What pyhf knows of the parameters of a type of modifier: start, bounds, and what else can be configured."""

    start: float
    bounds: tuple[float, float]
    settings: tuple[str, ...]


_KINDS = {
    "histosys": _Kind(0.0, (-5.0, 5.0), ("auxdata",)),
    "normsys": _Kind(0.0, (-5.0, 5.0), ("auxdata",)),
    "normfactor": _Kind(1.0, (0.0, 10.0), ()),
    "shapefactor": _Kind(1.0, (0.0, 10.0), ()),
    "lumi": _Kind(1.0, (0.0, 10.0), ("auxdata", "sigmas")),  # pyhf has no default: all must be configured
    "shapesys": _Kind(1.0, (1e-10, 10.0), ("auxdata", "factors")),
    "staterror": _Kind(1.0, (1e-10, 10.0), ("auxdata", "sigmas")),
}
_ROUNDING = 1e-9
_LONGEST = 100  # characters of a name in which a slip is looked for


def check(spec: Spec, *, within: str = "", kinds: frozenset[str] = KINDS, clipped: bool = False) -> Contents:
    """Check a specification that has the right structure (pyhf's schema).

    Args:
        spec: see the package.
        within: what the settings of parameters are part of, for messages about them: the measurement.
        kinds: types of modifiers that mean what pyhf means by them; all others are left alone.
        clipped: negative yields are clipped, and so allowed.

    Returns:
        The specification as arrays.

    Raises:
        InputError: at the first violation; the text names channel, sample, modifier and bin, or the parameter.
    """
    contents = read(spec, kinds)
    _check_signs(contents)
    settings = _check_settings(contents, within)
    if not clipped:
        _check_totals(contents, settings)
    return contents


def counts(given: Mapping[str, Any], sizes: Mapping[str, int]) -> list[float]:
    """Observed events by channel, in the order of the main data.

    Args:
        given: the events in the bins of each channel.
        sizes: number of bins of every channel, in the order of the main data.

    Raises:
        InputError: a channel is missing or unknown or has another number of bins, or something is no number of events.
    """
    for channel in given:
        if channel not in sizes:
            raise InputError(f"observation: {suggest('channel', str(channel), sizes)}")
    data: list[float] = []
    for channel, size in sizes.items():
        if channel not in given:
            raise InputError(f"channel {channel!r}: no observation (there are: {', '.join(map(repr, given))})")
        place, values = f"observation of channel {channel!r}", given[channel]
        if hasattr(values, "tolist"):  # an array, whose numbers may be of other types
            values = values.tolist()
        if not isinstance(values, list | tuple):
            raise InputError(f"{place} is no list of numbers")
        require_length(place, "data", values, size)
        for i, count in enumerate(values):
            if not (is_number(count) and count >= 0):
                raise InputError(f"{place}, data[{i}]: {shown(count)} is not a finite number of at least 0")
        data += values
    return data


def _check_signs(contents: Contents) -> None:
    for key, factors in contents.modifiers["normsys"].numbers.items():
        for index in np.flatnonzero(factors <= 0):
            place = contents.place("normsys", int(index))
            raise InputError(f"{place}, {key}: {factors[index]:g} is not above 0, and has no logarithm to interpolate")
    for kind in ("shapesys", "staterror"):
        uncertainties = contents.modifiers[kind].numbers["data"]
        for position in np.flatnonzero(uncertainties < 0):
            place = contents.entry_place(int(position), kind)
            raise InputError(f"{place}: {uncertainties[position]:g} is a negative uncertainty")
    found = contents.modifiers["shapesys"]
    positions, _ = contents.spread(found.rows)
    yields, uncertainties = np.maximum(contents.nominal[positions], 0.0), found.numbers["data"]
    with np.errstate(all="ignore"):
        events = yields**2 / uncertainties**2  # of the auxiliary measurement
    for position in np.flatnonzero((yields > 0) & (uncertainties > 0) & ~((events > 0) & np.isfinite(events))):
        raise InputError(
            f"{contents.entry_place(int(position), 'shapesys')}: no double holds the square of "
            f"{yields[position]:g} / {uncertainties[position]:g}, the events that this uncertainty stands for"
        )


def _check_settings(contents: Contents, within: str) -> dict[str, Spec]:
    """Check the settings of parameters; returns them by name."""
    place = f"{within}, parameter" if within else "parameter"
    require_unique(place, (setting["name"] for setting in contents.settings))
    settings = {setting["name"]: setting for setting in contents.settings}
    kinds, sizes = contents.kinds(), contents.parameter_sizes()
    custom = {name for _, name in contents.custom}
    for name, setting in settings.items():
        if name in kinds and name not in custom:
            _check_setting(f"{place} {name!r}", setting, kinds[name], sizes[name])
    for name in contents.modifiers["lumi"].names:
        missing = [key for key in ("inits", "bounds", "auxdata", "sigmas") if key not in settings.get(name, {})]
        if missing:
            raise InputError(f"{place} {name!r}: a lumi modifier needs {', '.join(missing)} to be configured")
    unknown = [name for name in contents.unknown_settings() if settings[name].get("fixed")]
    if unknown:  # published likelihoods have settings of other parameters: only a slip that leaves one free is refused
        slips = {slip for name in kinds.keys() - settings.keys() for slip in _slips(name)}
        for name in unknown:
            if slips & _slips(name):
                raise InputError(f"{within or 'settings'}: {suggest('parameter', name, kinds)}")
    return settings


def _check_setting(place: str, setting: Spec, kind: str, size: int) -> None:
    known = _KINDS[kind]
    for key in ("auxdata", "sigmas", "factors"):
        if key in setting and key not in known.settings:
            raise InputError(f"{place}: a {kind} has no {key} to configure")
    for key in ("inits", "bounds", "auxdata", "sigmas", "factors"):
        if key in setting and len(setting[key]) != size:
            raise InputError(f"{place}: {len(setting[key])} {key}, expected {size}")
        for i, value in enumerate(setting.get(key, ())):
            if key == "bounds" and len(value) != 2:
                raise InputError(f"{place}, bounds[{i}]: {len(value)} numbers, expected 2 (low, high)")
            for number in value if key == "bounds" else (value,):
                if not is_number(number):
                    raise InputError(f"{place}, {key}[{i}]: {shown(number)} is not a finite number")
    for key in ("sigmas", "factors"):
        for i, value in enumerate(setting.get(key, ())):
            if value <= 0:
                raise InputError(f"{place}, {key}[{i}]: {value:g} is not above 0")
    if kind == "shapesys" and min(setting.get("auxdata", (0,))) < 0:
        raise InputError(f"{place}, auxdata: {min(setting['auxdata']):g} is negative, where events are counted")
    bounds = setting.get("bounds", [known.bounds] * size)
    for i, (start, (low, high)) in enumerate(zip(setting.get("inits", [known.start] * size), bounds, strict=True)):
        if low > high:
            raise InputError(f"{place}, bounds[{i}]: inverted: [{low:g}, {high:g}]")
        if not (low <= start <= high or setting.get("fixed", False)):
            raise InputError(
                f"{place}: start value {start:g} is outside its bounds [{low:g}, {high:g}]: configure inits within them"
            )


def _slips(name: str) -> set[str]:
    """What is left of a name when a character that is no digit is left out: names that differ by one slip share one."""
    name = name.casefold()
    return {name} | {name[:i] + name[i + 1 :] for i, letter in enumerate(name[:_LONGEST]) if not letter.isdigit()}


def _check_totals(contents: Contents, settings: Mapping[str, Spec]) -> None:
    """Refuse a bin of which less than nothing is expected at the start, unless a free normalization acts on it."""
    factors, free = np.ones(len(contents.rows)), np.zeros(len(contents.rows), dtype=bool)
    free[[row for row, _ in contents.custom]] = True
    for kind in ("normfactor", "shapefactor", "lumi"):
        found = contents.modifiers[kind]
        for row, name in zip(found.rows, found.names, strict=True):
            setting = settings.get(name, {})
            free[row] |= kind != "lumi" and not setting.get("fixed", False)
            if kind != "shapefactor":
                factors[row] *= setting.get("inits", (1.0,))[0]
    lengths = np.diff(contents.starts)
    yields = contents.nominal * np.repeat(factors, lengths)
    expected = contents.total(yields)
    negative = expected < -_ROUNDING * contents.total(np.abs(yields))
    adjustable = contents.total(np.repeat(free, lengths) & (contents.nominal != 0)) > 0
    for position in np.flatnonzero(negative & ~adjustable):
        raise InputError(
            f"{contents.bin_place(int(position))}: {expected[position]:.4g} events are expected at the start values, "
            "and no free normalization can mend it: merge or drop the bin"
        )
