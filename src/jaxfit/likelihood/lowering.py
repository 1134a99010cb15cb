"""From a pyhf model to the arrays of :class:`jaxfit.likelihood.compact.Compact` (on the host, in numpy)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pyhf

from jaxfit.likelihood import interpolation
from jaxfit.likelihood.compact import Compact, GlobalConstraint, SlotConstraint
from jaxfit.likelihood.models import constraint_table
from jaxfit.likelihood.rows import Rows
from jaxfit.typing import NumpyArray

__all__ = ["NotLowerable", "lower"]

_GAMMAS = ("staterror", "shapesys", "shapefactor")
_SCALES = ("normfactor", "lumi")
_KNOWN = frozenset({*_GAMMAS, *_SCALES, "normsys", "histosys"})


class NotLowerable(Exception):
    """The model holds something that only pyhf itself can evaluate; the text says what."""


def lower(model: pyhf.Model) -> Compact:
    """The compact likelihood of a model.

    Raises:
        NotLowerable: a custom modifier, or an option (batching, clipping) that the compact form does not have.
    """
    _check(model)
    arrays: Compact = jax.device_put(_Lowering(model).build())
    return arrays


def _check(model: pyhf.Model) -> None:
    for kind, applier in model.main_model.modifiers_appliers.items():
        if kind not in _KNOWN or not type(applier).__module__.startswith("pyhf.modifiers."):
            raise NotLowerable(f"custom modifier {kind!r}")
    if model.batch_size:
        raise NotLowerable("a batched model")
    if model.main_model.clip_sample_data is not None or model.main_model.clip_bin_data is not None:
        raise NotLowerable("clipped yields")


def _block_width(sizes: list[int]) -> int:
    """Bins of a block: the width with the least padding, a block costing as much as a few bins."""
    return min(range(1, max(sizes) + 1), key=lambda width: sum(-(-size // width) * (width + 8) for size in sizes))


class _Lowering:
    """One pass over a model's specification; every method fills one group of arrays."""

    def __init__(self, model: pyhf.Model) -> None:
        self.config = config = model.config
        # of channels, samples and modifiers with the same name pyhf takes the last
        channels = {channel["name"]: channel["samples"] for channel in model.spec["channels"]}
        self.channels = [
            list({sample["name"]: sample for sample in channels[name]}.values()) for name in config.channels
        ]
        self.sizes = [config.channel_nbins[name] for name in config.channels]
        self.width = _block_width(self.sizes)
        self.blocks = [
            (channel, first) for channel, size in enumerate(self.sizes) for first in range(0, size, self.width)
        ]
        self.samples = max(map(len, self.channels))
        self.modifiers = [
            [{(m["type"], m["name"]): m for m in sample["modifiers"]} for sample in samples]
            for samples in self.channels
        ]
        self.constraints = constraint_table(config)
        self._number_parameters()

    def build(self) -> Compact:
        """All arrays, on the host: to bring them to the device one by one takes a program for every shape."""
        members, classes = self._classes()
        codes = {kind: self.config.modifier_settings.get(kind, {}) for kind in ("normsys", "histosys")}
        # pyhf's own defaults where a model was built with settings for only one of them
        factor_code = codes["normsys"].get("interpcode", "code1")
        shape_code = codes["histosys"].get("interpcode", "code0")
        kinked = np.isin(self.globals, [
            *(self.norms if factor_code in interpolation.KINKED else ()),
            *(self.shapes if shape_code in interpolation.KINKED else ()),
        ])  # fmt: skip
        slot_rows = self._slot_rows()
        positions = {row: i for i, row in enumerate([*self.globals, *slot_rows.ravel()])}
        main = self._main()
        return Compact(
            templates=self._rows(classes, factor_code, shape_code),
            members=asarray(members),
            samples=asarray(self._samples_of_rows()),
            shared_index=asarray(self._shared_index()),
            global_constraint=self._global_constraint(),
            slot_constraint=self._slot_constraint(slot_rows),
            main=asarray(main),
            bins=asarray(np.argsort(main, axis=None, kind="stable")[: self.config.nmaindata]),
            order=asarray([positions[i] for i in range(self.config.npars)]),
            border_rows=asarray(self.globals, dtype=int),
            slot_rows=asarray(slot_rows),
            kink_mask=asarray(kinked),
            has_kinks=bool(kinked.any()),
        )

    # -- parameters ---------------------------------------------------------------------------------------------------

    def _number_parameters(self) -> None:
        """Tell bin-wise from global parameters, and give every channel its slots (bin-wise) and shared factors."""
        users: dict[str, set[int]] = {}
        names: dict[str, dict[str, None]] = {kind: {} for kind in _KNOWN}
        for channel, samples in enumerate(self.modifiers):
            for modifiers in samples:
                for kind, name in modifiers:
                    names[kind][name] = None
                    users.setdefault(name, set()).add(channel)
        # a shapefactor of several channels has parameters that touch several bins; all other gammas touch one bin
        shared = {name for name in names["shapefactor"] if len(users[name]) > 1}
        own = {name for kind in _GAMMAS for name in names[kind]} - shared
        for name in shared:
            if self.config.param_set(name).n_parameters < max(self.sizes[channel] for channel in users[name]):
                raise NotLowerable(f"shapefactor {name!r} in a channel with more bins than it has parameters")
        self.own = [self._gammas_of(channel, own) for channel in range(len(self.channels))]
        self.shared = [self._gammas_of(channel, shared) for channel in range(len(self.channels))]

        first_bin: dict[str, int] = {}
        self.first_par: list[dict[str, int]] = []  # parameter of a channel's first bin
        for channel, size in enumerate(self.sizes):
            self.first_par.append({})
            for name in (*self.own[channel], *self.shared[channel]):
                start = self.config.par_slice(name).start
                self.first_par[channel][name] = start + (first_bin.get(name, 0) if name in own else 0)
                first_bin[name] = first_bin.get(name, 0) + size

        local = {
            self.first_par[channel][name] + i for channel, size in enumerate(self.sizes)
            for name in self.own[channel] for i in range(size)
        }  # fmt: skip
        self.globals = [i for i in range(self.config.npars) if i not in local]
        self.position = {par: i for i, par in enumerate(self.globals)}
        self.norms = sorted(self.config.par_slice(name).start for name in names["normsys"])
        self.shapes = sorted(self.config.par_slice(name).start for name in names["histosys"])
        self.scales = sorted(self.config.par_slice(name).start for kind in _SCALES for name in names[kind])

    def _gammas_of(self, channel: int, wanted: set[str]) -> list[str]:
        found = {
            name: None for modifiers in self.modifiers[channel] for kind, name in modifiers
            if kind in _GAMMAS and name in wanted
        }  # fmt: skip
        return list(found)

    def _slots(self) -> tuple[int, int]:
        return max(map(len, self.own)), max(map(len, self.shared))

    def _classes(self) -> tuple[NumpyArray, NumpyArray]:
        """Which factors multiply a class, (block, class, factor), and which rows belong to it, (block, class, row)."""
        own, shared = self._slots()
        patterns: list[dict[tuple[int, ...], list[int]]] = []
        for channel, samples in enumerate(self.modifiers):
            patterns.append({})
            for row, modifiers in enumerate(samples):
                carried = {name for kind, name in modifiers if kind in _GAMMAS}
                pattern = tuple(
                    [i for i, name in enumerate(self.own[channel]) if name in carried]
                    + [own + i for i, name in enumerate(self.shared[channel]) if name in carried]
                )
                patterns[channel].setdefault(pattern, []).append(row)
        number = max(map(len, patterns))
        members = np.zeros((len(self.blocks), number, own + shared))
        classes = np.zeros((len(self.blocks), number, self.samples))
        for block, (channel, _) in enumerate(self.blocks):
            for q, (pattern, rows) in enumerate(patterns[channel].items()):
                members[block, q, list(pattern)] = 1.0
                classes[block, q, rows] = 1.0
        return members, classes

    def _samples_of_rows(self) -> NumpyArray:
        """Which of the model's samples a row is, (block, sample, row)."""
        belongs = np.zeros((len(self.blocks), len(self.config.samples), self.samples))
        for block, (channel, _) in enumerate(self.blocks):
            for row, sample in enumerate(self.channels[channel]):
                belongs[block, self.config.samples.index(sample["name"]), row] = 1.0
        return belongs

    # -- per bin ------------------------------------------------------------------------------------------------------

    def _bins(self, block: int) -> tuple[int, int, int]:
        """Channel, first bin and number of bins of a block."""
        channel, first = self.blocks[block]
        return channel, first, min(self.width, self.sizes[channel] - first)

    def _main(self) -> NumpyArray:
        main = np.full((len(self.blocks), self.width), self.config.nmaindata + self.config.nauxdata)
        for block in range(len(self.blocks)):
            channel, first, size = self._bins(block)
            start = self.config.channel_slices[self.config.channels[channel]].start + first
            main[block, :size] = np.arange(start, start + size)
        return main

    def _slot_rows(self) -> NumpyArray:
        rows = np.full((self._slots()[0], len(self.blocks), self.width), self.config.npars)
        for block in range(len(self.blocks)):
            channel, first, size = self._bins(block)
            for slot, name in enumerate(self.own[channel]):
                rows[slot, block, :size] = self.first_par[channel][name] + first + np.arange(size)
        return rows

    def _shared_index(self) -> NumpyArray:
        index = np.zeros((self._slots()[1], len(self.blocks), self.width), dtype=int)
        for block in range(len(self.blocks)):
            channel, first, size = self._bins(block)
            for i, name in enumerate(self.shared[channel]):
                start = self.position[self.first_par[channel][name]] + first
                index[i, block, :size] = np.arange(start, start + size)
        return index

    # -- constraints --------------------------------------------------------------------------------------------------

    def _global_constraint(self) -> GlobalConstraint:
        kind, aux, sigma, _ = self.constraints
        width = np.where(kind == 1, sigma, np.inf)
        return GlobalConstraint(asarray(aux[self.globals]), asarray(width[self.globals]))

    def _slot_constraint(self, rows: NumpyArray) -> SlotConstraint:
        kind, aux, sigma, tau = self.constraints
        fields = {"aux": aux, "normal": kind == 1, "poisson": kind == 2, "sigma": sigma, "tau": tau}
        kinds = tuple(name for number, name in ((1, "normal"), (2, "poisson")) if (kind[rows] == number).any())
        return SlotConstraint(**{name: asarray(field[rows]) for name, field in fields.items()}, kinds=kinds)

    # -- templates ----------------------------------------------------------------------------------------------------

    def _rows(self, classes: NumpyArray, factor_code: str, shape_code: str) -> Rows:
        shape = (len(self.blocks), self.samples)
        nominal = np.zeros((*shape, self.width))
        shifts = np.zeros((*shape, self.width, 2, len(self.shapes)))
        log_hi, log_lo = np.zeros((*shape, len(self.norms))), np.zeros((*shape, len(self.norms)))
        scaled = np.zeros((*shape, len(self.scales)), dtype=bool)
        par = {name: self.config.par_slice(name).start for name in self.config.par_order}
        column = {kind: {p: i for i, p in enumerate(pars)} for kind, pars in
                  (("histosys", self.shapes), ("normsys", self.norms), ("scale", self.scales))}  # fmt: skip
        for block in range(len(self.blocks)):
            channel, first, size = self._bins(block)
            bins = slice(first, first + size)
            for row, sample in enumerate(self.channels[channel]):
                here = (block, row)
                nominal[here][:size] = sample["data"][bins]
                for (kind, name), modifier in self.modifiers[channel][row].items():
                    if kind == "histosys":
                        i = column[kind][par[name]]
                        shifts[here][:size, :, i] = _shift_templates(modifier["data"], nominal[here][:size], bins)
                    elif kind == "normsys":
                        i = column[kind][par[name]]
                        log_hi[here][i], log_lo[here][i] = np.log([modifier["data"]["hi"], modifier["data"]["lo"]])
                    elif kind in _SCALES:
                        scaled[here][column["scale"][par[name]]] = True

        def columns(pars: list[int]) -> NumpyArray:
            index = {p: i for i, p in enumerate(pars)}
            return np.array([index.get(p, len(pars)) for p in self.globals], dtype=int)

        def positions(pars: list[int]) -> NumpyArray:
            return np.array([self.position[p] for p in pars], dtype=int)

        return Rows(
            nominal=asarray(nominal),
            shifts=asarray(shifts.reshape(*nominal.shape, 2 * len(self.shapes))),
            shape_index=asarray(positions(self.shapes)),
            shape_column=asarray(columns(self.shapes)),
            log_hi=asarray(log_hi),
            log_lo=asarray(log_lo),
            poly=asarray(interpolation.code4_coefficients(log_hi, log_lo)),
            norm_index=asarray(positions(self.norms)),
            scaled=asarray(scaled),
            scale_index=asarray(positions(self.scales)),
            factor_column=asarray(columns([*self.norms, *self.scales])),
            classes=asarray(classes),
            factor_code=factor_code,
            shape_code=shape_code,
        )


def asarray(values: Any, dtype: Any = None) -> Any:
    """An array of numpy where a type says that it will be one of JAX."""
    return np.asarray(values, dtype=dtype)


def _shift_templates(data: Mapping[str, Any], nominal: NumpyArray, bins: slice) -> NumpyArray:
    hi, lo = np.asarray(data["hi_data"][bins], dtype=float), np.asarray(data["lo_data"][bins], dtype=float)
    return np.stack([0.5 * (hi - lo), 0.5 * (hi + lo) - nominal], axis=-1)
