"""The numbers of a specification, read once into flat arrays: a check is then one operation on one of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from jaxfit.errors import InputError
from jaxfit.typing import NumpyArray

__all__ = ["KINDS", "Contents", "Modifiers", "Spec", "is_number", "read", "require_length", "require_unique", "shown"]

Spec: TypeAlias = Mapping[str, Any]
_Members: TypeAlias = dict[str, list[tuple[int, Spec]]]

# The types of modifiers, and the numbers of each: one for a normsys, one per bin for the others.
_NUMBERS: dict[str, tuple[str, ...]] = {
    "histosys": ("lo_data", "hi_data"),
    "normsys": ("lo", "hi"),
    "shapesys": ("data",),
    "staterror": ("data",),
    "normfactor": (),
    "shapefactor": (),
    "lumi": (),
}
KINDS = frozenset(_NUMBERS)
_BINWISE = frozenset({"shapefactor", "shapesys", "staterror"})
_PLAIN = {float, int, np.float64}


@dataclass(frozen=True)
class Modifiers:
    """All modifiers of one type.

    Attributes:
        rows: the row of each.
        names: the parameter of each.
        numbers: by pyhf's key, one number of each (normsys), or those of all their bins end to end.
    """

    rows: NumpyArray
    names: list[str]
    numbers: dict[str, NumpyArray]


@dataclass(frozen=True)
class Contents:
    """A specification as flat arrays.

    A row is a sample of a channel. Arrays over bins hold those of all rows end to end.

    Attributes:
        sizes: number of bins of every channel, in pyhf's order.
        rows: channel and sample of every row.
        starts: where each row begins in the arrays over bins, and where the last one ends.
        bins: position of each bin in the main data.
        nominal: expected events of each bin.
        modifiers: by type.
        custom: row and name of the modifiers of other types, of which nothing is known.
        settings: those of the parameters, as the measurement has them.
    """

    sizes: dict[str, int]
    rows: list[tuple[str, str]]
    starts: NumpyArray
    bins: NumpyArray
    nominal: NumpyArray
    modifiers: dict[str, Modifiers]
    custom: list[tuple[int, str]]
    settings: Sequence[Spec]

    def spread(self, rows: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
        """Positions of the bins of some rows, end to end, and which of these rows each of them is from."""
        lengths = np.diff(self.starts)[rows]
        which = np.repeat(np.arange(rows.size), lengths)
        before = np.cumsum(lengths) - lengths
        return np.arange(which.size) + (self.starts[rows] - before)[which], which

    def total(self, values: NumpyArray, positions: NumpyArray | slice = slice(None)) -> NumpyArray:
        """Sum of an array over bins for every bin of the main data."""
        return np.bincount(self.bins[positions], values, minlength=sum(self.sizes.values()))

    def place(self, kind: str, index: int) -> str:
        """Channel, sample and name of a modifier."""
        found = self.modifiers[kind]
        return _place(self.rows[found.rows[index]], kind, found.names[index])

    def entry_place(self, position: int, kind: str | None = None) -> str:
        """Channel, sample and bin of a position in ``nominal``, or in the numbers of a type of modifiers."""
        rows = np.arange(len(self.rows)) if kind is None else self.modifiers[kind].rows
        lengths = np.diff(self.starts)[rows]
        index = int(np.searchsorted(np.cumsum(lengths), position, side="right"))
        place = _place(self.rows[index]) if kind is None else self.place(kind, index)
        return f"{place}, data[{position - lengths[:index].sum()}]"

    def bin_place(self, position: int) -> str:
        """Channel and bin of a position in the main data."""
        for channel, size in self.sizes.items():
            if position < size:
                return f"channel {channel!r} bin {position}"
            position -= size
        raise IndexError(position)

    def kinds(self) -> dict[str, str]:
        """The type of the modifiers of every parameter, one of the two that a parameter can have."""
        return {name: kind for kind, found in self.modifiers.items() for name in found.names}

    def parameter_sizes(self) -> dict[str, int]:
        """Number of components of every parameter whose type is known."""
        sizes: dict[str, int] = {}
        counted = set()
        for kind, found in self.modifiers.items():
            for row, name in zip(found.rows, found.names, strict=True):
                channel, _ = self.rows[row]
                if kind == "staterror" and name in sizes and (name, channel) not in counted:
                    sizes[name] += self.sizes[channel]  # over several channels it has the bins of all of them
                sizes.setdefault(name, self.sizes[channel] if kind in _BINWISE else 1)
                counted.add((name, channel))
        return sizes

    def unknown_settings(self) -> list[str]:
        """Parameters with settings that the model does not have; HistFactory sets lumi whether it is used or not."""
        known = {*self.kinds(), *(name for _, name in self.custom), "lumi"}
        return [setting["name"] for setting in self.settings if setting["name"] not in known]


def read(spec: Spec, kinds: frozenset[str] = KINDS) -> Contents:
    """Read a specification that has the right structure (pyhf's schema).

    Args:
        spec: see the package.
        kinds: types of modifiers that mean what pyhf means by them.

    Raises:
        InputError: channels, samples or modifiers of one name, a name for modifiers that cannot share a parameter,
            lengths that do not fit together, or something that is no finite number.
    """
    channels = sorted(spec["channels"], key=lambda channel: str(channel["name"]))
    require_unique("channel", (channel["name"] for channel in channels))
    sizes = {channel["name"]: len(channel["samples"][0]["data"]) for channel in channels}
    rows: list[tuple[str, str]] = []
    templates, custom = [], []
    members: _Members = {kind: [] for kind in _NUMBERS}
    for channel in channels:
        require_unique(f"channel {channel['name']!r}: sample", (sample["name"] for sample in channel["samples"]))
        for sample in channel["samples"]:
            require_length(_place((channel["name"], sample["name"])), "data", sample["data"], sizes[channel["name"]])
            for modifier in sample["modifiers"]:
                if modifier["type"] in kinds:
                    members[modifier["type"]].append((len(rows), modifier))
                else:
                    custom.append((len(rows), modifier["name"]))
            rows.append((channel["name"], sample["name"]))
            templates.append(sample["data"])
    _check_names(members, rows)
    lengths = [sizes[channel] for channel, _ in rows]
    begins = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    return Contents(
        sizes=sizes,
        rows=rows,
        starts=np.cumsum([0, *lengths]),
        bins=np.concatenate([begins[channel] + np.arange(sizes[channel]) for channel, _ in rows]),
        nominal=_flat(templates, lambda row, i: f"{_place(rows[row])}, data[{i}]"),
        modifiers={kind: _modifiers(kind, found, rows, lengths) for kind, found in members.items()},
        custom=custom,
        settings=spec.get("parameters", ()),
    )


def require_unique(what: str, names: Iterable[Hashable]) -> None:
    """Refuse a name that comes twice: pyhf takes the last."""
    seen = set()
    for name in names:
        if name in seen:
            raise InputError(f"{what} {name!r} is there twice: rename or remove one")
        seen.add(name)


def require_length(place: str, key: str, values: Sequence[float], size: int) -> None:
    """Refuse a histogram that has not the bins of its channel."""
    if len(values) != size:
        raise InputError(f"{place}: {len(values)} bins in {key}, expected {size}")


def is_number(value: Any) -> bool:
    """Whether something is a number that a double holds: finite, not too large, no boolean."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return bool(np.isfinite(float(value)))
    except OverflowError:
        return False


def shown(value: Any) -> str:
    """A value that is not as it should be, for a message."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    text = str(value) if isinstance(value, Real) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _place(row: tuple[str, str], kind: str | None = None, name: str = "") -> str:
    return f"channel {row[0]!r}, sample {row[1]!r}" + ("" if kind is None else f", modifier {name!r} ({kind})")


def _check_names(members: _Members, rows: Sequence[tuple[str, str]]) -> None:
    """Which modifiers share a parameter is in their names: refuse what pyhf merges silently or cannot build."""
    first: dict[str, tuple[str, int]] = {}
    seen = set()
    carriers: dict[str, dict[str, set[str]]] = {}  # of a staterror, the channels in which each sample has it
    for kind, found in members.items():
        for row, modifier in found:
            name = modifier["name"]
            other, other_row = first.setdefault(name, (kind, row))
            if (kind, row, name) in seen:
                raise InputError(f"{_place(rows[row], kind, name)} is there twice: rename or remove one")
            seen.add((kind, row, name))
            if {kind, other} not in ({kind}, {"histosys", "normsys"}) or (kind == "shapesys" and row != other_row):
                raise InputError(
                    f"{_place(rows[row], kind, name)}: the {other} of {_place(rows[other_row])} has this name, and "
                    "they cannot share a parameter: rename one"
                )
            if kind == "staterror":
                if "/" in name:
                    raise InputError(f"{_place(rows[row], kind, name)}: pyhf allows no / in this name")
                channel, sample = rows[row]
                carriers.setdefault(name, {}).setdefault(sample, set()).add(channel)
    for name, channels in carriers.items():
        (sample, expected), *others = channels.items()
        for other_sample, found_in in others:
            if found_in != expected:
                raise InputError(
                    f"staterror {name!r}: samples {sample!r} and {other_sample!r} have it in different channels "
                    f"({', '.join(sorted(expected))}; {', '.join(sorted(found_in))}): give every channel its own name"
                )


def _modifiers(
    kind: str, members: Sequence[tuple[int, Spec]], rows: Sequence[tuple[str, str]], lengths: Sequence[int]
) -> Modifiers:
    numbers = {}
    for key in _NUMBERS[kind]:
        lists = [modifier["data"] if key == "data" else modifier["data"][key] for _, modifier in members]

        if kind == "normsys":
            lists = [(value,) for value in lists]
        else:
            for (row, modifier), values in zip(members, lists, strict=True):
                if len(values) != lengths[row]:
                    require_length(_place(rows[row], kind, modifier["name"]), key, values, lengths[row])

        def where(index: int, i: int, key: str = key) -> str:
            row, modifier = members[index]
            return f"{_place(rows[row], kind, modifier['name'])}, {key}" + ("" if kind == "normsys" else f"[{i}]")

        numbers[key] = _flat(lists, where)
    return Modifiers(np.array([row for row, _ in members], int), [m["name"] for _, m in members], numbers)


def _flat(lists: Sequence[Sequence[float]], where: Callable[[int, int], str]) -> NumpyArray:
    """The numbers of some lists end to end; ``where`` names an entry of a list."""
    if set(map(type, chain.from_iterable(lists))) <= _PLAIN:
        with suppress(OverflowError):
            numbers = np.fromiter(chain.from_iterable(lists), float)
            if np.isfinite(numbers).all():
                return numbers
    for index, values in enumerate(lists):
        for i, value in enumerate(values):
            if not is_number(value):
                raise InputError(f"{where(index, i)}: {shown(value)} is not a finite number")
    return np.fromiter(map(float, chain.from_iterable(lists)), float)
