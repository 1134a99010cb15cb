"""What is legal in a specification but worth telling, one sentence for each kind."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxfit.specs.contents import Contents
from jaxfit.typing import NumpyArray, NumpyMask

__all__ = ["Findings", "empty_bins", "findings"]

_SHOWN = 3
_ROUNDING = 1e-9  # of a parameter's largest shift
_NOTICEABLE = 0.05**2


class Findings(NamedTuple):
    """What there is to tell of a specification.

    Attributes:
        messages: a sentence for each kind of finding, with their number and the first few.
        same_sided: parameters that shift the expected events to the same side up and down: there can be several minima.
    """

    messages: tuple[str, ...]
    same_sided: frozenset[str]


def findings(contents: Contents) -> Findings:
    """Look for what is legal but worth telling.

    Same-sided: q^2 - l^2 is noticeable, where q and l are the even and the odd part of a parameter's response in units
    of the statistical uncertainty; it is the sum over bins of up shift x down shift / events. For data that are d
    standard deviations away from nominal the NLL is convex there, with its constraint and interpolation code 4p, unless
    15/4 q d > 1 + l^2: q = 0.05 needs d > 5.
    """
    names, up, down = _shifts(contents)
    events = contents.total(contents.nominal) + np.abs(up) + np.abs(down)
    product = np.divide(up * down, events, out=np.zeros_like(events), where=events > 0).sum(axis=1)
    same_sided = [names[i] for i in np.flatnonzero(product > _NOTICEABLE)]
    top, bottom = (np.abs(shift).max(axis=1, initial=0.0) for shift in (up, down))
    one_sided = np.minimum(top, bottom) <= _ROUNDING * np.maximum(top, bottom)
    told = {
        "parameters that shift yields to one side both up and down, which can make several minima": same_sided,
        "parameters that shift yields only up or only down": [
            names[i] for i in np.flatnonzero(one_sided & (top + bottom > 0))
        ],
        "parameters without effect on any yield": _ineffective(contents),
        "settings of parameters that the model does not have": contents.unknown_settings(),
    }
    messages = {what: list(map(repr, names)) for what, names in told.items()}
    empty = [contents.bin_place(int(i)) for i in np.flatnonzero(empty_bins(contents))]
    messages["bins of which nothing is expected, whatever the parameters"] = empty
    messages["negative yields"] = [contents.entry_place(int(i)) for i in np.flatnonzero(contents.nominal < 0)]
    messages["gammas held constant, for want of a yield or an uncertainty"] = _constant_gammas(contents)
    return Findings(tuple(_sentence(what, found) for what, found in messages.items() if found), frozenset(same_sided))


def empty_bins(contents: Contents) -> NumpyMask:
    """Bins of the main data of which no parameter makes anything expected: nothing in any sample or variation."""
    something = contents.total(contents.nominal != 0) > 0
    shapes = contents.modifiers["histosys"]
    positions, _ = contents.spread(shapes.rows)
    for template in shapes.numbers.values():
        something |= contents.total(template != 0, positions) > 0
    unknown, _ = contents.spread(np.array([row for row, _ in contents.custom], dtype=int))
    something[contents.bins[unknown]] = True
    return ~something


def _sentence(what: str, found: list[str]) -> str:
    return f"{what}: {len(found)} ({', '.join(found[:_SHOWN])}{', ...' if len(found) > _SHOWN else ''})"


def _shifts(contents: Contents) -> tuple[list[str], NumpyArray, NumpyArray]:
    """Names of the parameters of normsys and histosys, and how they shift the main data up and down."""
    norms, shapes = contents.modifiers["normsys"], contents.modifiers["histosys"]
    names = sorted({*norms.names, *shapes.names})
    index = {name: i for i, name in enumerate(names)}
    bins = sum(contents.sizes.values())
    shifts = []
    for factor, template in (("hi", "hi_data"), ("lo", "lo_data")):
        total = np.zeros(len(names) * bins)
        for found in (norms, shapes):
            positions, which = contents.spread(found.rows)
            nominal = contents.nominal[positions]
            if found is norms:
                shift = nominal * (found.numbers[factor][which] - 1.0)
            else:
                shift = found.numbers[template] - nominal
            parameter = np.array([index[name] for name in found.names], dtype=int)[which]
            total += np.bincount(parameter * bins + contents.bins[positions], shift, minlength=total.size)
        shifts.append(total.reshape(len(names), bins))
    return names, shifts[0], shifts[1]


def _ineffective(contents: Contents) -> list[str]:
    """Parameters that change no yield; gammas have findings of their own."""
    custom = np.array([row for row, _ in contents.custom], dtype=int)
    rows = np.repeat(np.arange(len(contents.rows)), np.diff(contents.starts))
    alive = np.bincount(rows, contents.nominal != 0, minlength=len(contents.rows)) > 0
    alive[custom] = True
    shapes = contents.modifiers["histosys"]
    positions, which = contents.spread(shapes.rows)
    changed = np.zeros(len(shapes.names), dtype=bool)
    for template in shapes.numbers.values():
        changed |= np.bincount(which, template != contents.nominal[positions], minlength=changed.size) > 0
    alive[shapes.rows[changed]] = True
    norms = contents.modifiers["normsys"]
    scaled = (norms.numbers["lo"] != 1) | (norms.numbers["hi"] != 1)
    effects = {"histosys": changed, "normsys": scaled & alive[norms.rows]}
    for kind in ("normfactor", "shapefactor", "lumi"):
        effects[kind] = alive[contents.modifiers[kind].rows]
    effective = {
        name for kind, mask in effects.items() for name, acts in zip(contents.modifiers[kind].names, mask, strict=True)
        if acts
    }  # fmt: skip
    return sorted({name for kind in effects for name in contents.modifiers[kind].names} - effective)


def _constant_gammas(contents: Contents) -> list[str]:
    """Where pyhf fixes a gamma at 1; that of a staterror is for all its samples together."""
    found = []
    for kind in ("shapesys", "staterror"):
        modifiers = contents.modifiers[kind]
        names = sorted(set(modifiers.names))
        index = {name: i for i, name in enumerate(names)}
        positions, which = contents.spread(modifiers.rows)
        bins = sum(contents.sizes.values())
        key = np.array([index[name] for name in modifiers.names], dtype=int)[which] * bins + contents.bins[positions]
        nominal = np.bincount(key, contents.nominal[positions])
        uncertain = np.bincount(key, modifiers.numbers["data"] != 0)
        for gamma in np.unique(key[(nominal[key] <= 0) | (uncertain[key] == 0)]):
            found.append(f"{kind} {names[gamma // bins]!r} in {contents.bin_place(int(gamma % bins))}")
    return found
