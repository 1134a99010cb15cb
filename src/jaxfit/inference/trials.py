"""Ensembles of toys behind a question: drawn at some parameters, fitted freely and with parameters held."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxfit.errors import InputError, suggest
from jaxfit.inference.campaigns import Workers, carry_out
from jaxfit.inference.experiments import Outcomes, Plan
from jaxfit.inference.ratios import without_rounding
from jaxfit.inference.samples import MEMORY, boxes, whole
from jaxfit.likelihood import Model, Sampler, auxiliary_positions, expected_data, sampler
from jaxfit.parameters import ParameterSpace
from jaxfit.statuses import Status
from jaxfit.typing import NumpyArray

__all__ = ["Ensemble", "Label", "Trials", "checked_calctype", "derived_seed"]

_CALCTYPES = ("asymptotics", "toybased")


class Label(IntEnum):
    """What random numbers are for."""

    BACKGROUND = 0
    TESTED_VALUE = 1
    BOOTSTRAP = 2
    BEST_FIT = 3
    GRID_POINT = 4


class Ensemble(NamedTuple):
    """What a question needs of fitted toys; NaN where a fit failed that it takes.

    Attributes:
        sampler: their distribution.
        seed: their seed.
        estimates: best-fit values of the held parameters (toys, held).
        twice_nll: -2 log(likelihood) of the best fits (toys).
        twice_deltas: that of the fits at every point above it (toys, points).
    """

    sampler: Sampler
    seed: int
    estimates: NumpyArray
    twice_nll: NumpyArray
    twice_deltas: NumpyArray


@dataclass
class Trials:
    """The ensembles of one question, each with ``ntoys`` toys.

    Attributes:
        model: a pyhf model.
        space: the parameters of all fits; toys' fits start at the parameters that the toys are drawn from.
        held: positions of the parameters that further fits of every toy hold (held).
        ntoys: toys in an ensemble.
        seed: toy i of an ensemble depends on it, on what the ensemble is for and on i.
        accept: statuses of fits, besides OK and OK_AT_BOUND, that count.
        executor: as for :func:`jaxfit.toys`.
        checkpoint: a folder, in which every ensemble gets one of its own, named by the digest of its plan.
        progress: as for :func:`jaxfit.toys`.
        options: of the fits.
        failures: how the fits of the toys that were left out ended.
    """

    model: Model
    space: ParameterSpace
    held: NumpyArray
    ntoys: int
    seed: int
    accept: Sequence[Status]
    executor: Workers
    checkpoint: str | os.PathLike[str] | None
    progress: bool | None
    options: dict[str, Any]
    failures: Counter[Status] = field(default_factory=Counter)
    _stopped: bool = False

    def __post_init__(self) -> None:
        self.ntoys, self.seed = whole("ntoys", self.ntoys, 1), whole("seed", self.seed, 0)

    def run(
        self, pars: NumpyArray, points: NumpyArray, label: Label, *values: float, observed: NumpyArray | None = None
    ) -> Ensemble:
        """Draw an ensemble, auxiliary data included, and fit each toy freely and at every point.

        After an interrupt from the keyboard, toys that were not done are left out, and further ensembles are empty.

        Args:
            pars: the parameters that the toys are drawn from.
            points: values of the held parameters (points, held).
            label: what the ensemble is for.
            values: which one of these it is.
            observed: data from which fixed parameters have their auxiliary data, which do not vary then. (In a ratio of
                likelihoods they cancel.)
        """
        expected, auxiliary = without_rounding(expected_data(self.model, pars)), self.model.config.nmaindata
        distribution = sampler(self.model, expected, "sampled", expected[auxiliary:])
        if observed is not None:
            fixed = auxiliary_positions(self.model, np.equal(*self.space.box()))
            distribution.mean[fixed], distribution.sigma[fixed] = observed[fixed], 0.0
        plan = Plan(
            model=self.model,
            sampler=distribution,
            seed=derived_seed(self.seed, label, *values),
            **boxes(replace(self.space, start=pars), self.held, points),
            kept=np.isin(np.arange(len(pars)), self.held),
            widths=False,
            options=self.options,
        )
        if self._stopped:
            found = Outcomes.blank(plan, self.ntoys)
        else:
            folder = None if self.checkpoint is None else Path(self.checkpoint) / plan.digest[:16]
            found = carry_out(
                plan,
                0,
                self.ntoys,
                executor=self.executor,
                checkpoint=folder,
                max_memory=MEMORY,
                progress=self.progress,
            )
        self._stopped |= bool((found.status == Status.NOT_RUN).any())
        worst = np.maximum(found.status[:, :1], found.status[:, 1:] if len(points) else found.status[:, :1])
        usable = np.isin(found.status, (Status.OK, Status.OK_AT_BOUND, *self.accept))
        both = usable[:, :1] & usable[:, 1:]
        self.failures.update(Status(int(status)) for status in worst[~(both if len(points) else usable)])
        return Ensemble(
            sampler=plan.sampler,
            seed=plan.seed,
            estimates=found.pars[:, np.argsort(np.argsort(self.held))],
            twice_nll=np.where(usable[:, 0], 2.0 * found.nll[:, 0], np.nan),
            twice_deltas=np.where(both, 2.0 * (found.nll[:, 1:] - found.nll[:, :1]), np.nan),
        )

    @property
    def left_out(self) -> dict[str, int]:
        """Numbers of values of a test statistic that are missing, by the status of the fit that failed."""
        return {status.name: number for status, number in sorted(self.failures.items())}

    @property
    def remarks(self) -> list[str]:
        """What a user should know of the toys that were left out."""
        if not self.failures:
            return []
        listed = ", ".join(f"{number} {name}" for name, number in self.left_out.items())
        return [f"{self.failures.total()} test statistics of toys are left out, since a fit failed: {listed}"]


def derived_seed(seed: int, label: Label, *values: float) -> int:
    """A seed for a label and values, from 0 to 2^63 - 1: by numpy's ``SeedSequence`` of all these numbers' bits."""
    bits = (np.array(values, dtype=np.float64) + 0.0).view(np.uint64)  # -0 is 0
    sequence = np.random.SeedSequence([seed, int(label), *bits.tolist()])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def checked_calctype(calctype: str) -> bool:
    """Whether toys are asked for.

    Raises:
        InputError: neither "asymptotics" nor "toybased".
    """
    if calctype not in _CALCTYPES:
        raise InputError(suggest("calctype", calctype, _CALCTYPES))
    return calctype == "toybased"
