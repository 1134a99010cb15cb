"""Toys: jaxfit beside cabinetry in a loop and the loop of pyhf's toy calculator, on the same toys, and beside numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cabinetry
import jax
import jax.numpy as jnp
import numpy as np
import pyhf

import jaxfit
from benchmarks import problems
from benchmarks.timing import clocked, row, timed
from jaxfit.likelihood import draw, expected_data, likelihood_of, sampler

__all__ = ["report"]

_PEERS = 2  # toys of M that the others fit
_ROUND = 1000  # toys that numpy makes at a time
_SEED, _TESTED = 1, 1.0


def report(n_small: int = 20_000, n_medium: int = 2_000) -> None:
    """Print the table.

    Args:
        n_small: toys of G.
        n_medium: toys of M.
    """
    print("\ntoys, warm, drawn and fitted with uncertainties; a line's time is that of a toy")
    _bare("G", n_small)
    _bare("M", n_medium)
    _cabinetry(n_medium)
    _calculator(n_medium)


def _bare(name: str, n: int) -> None:
    """Toys and numpy in turns, as machines have slow phases; numpy draws data, and then does little with them."""
    model, _ = problems.model_and_data(name)
    truth = np.array(model.config.suggested_init())
    mean, rng = np.maximum(expected_data(model, truth), 0.0), np.random.default_rng(0)
    with jax.enable_x64(True):
        size = likelihood_of(model).split(jnp.zeros(model.config.npars)).border.size
    matrices = np.broadcast_to(np.eye(size), (_ROUND, size, size))

    def ours() -> jaxfit.ToyResults:
        return jaxfit.toys(model, n, seed=_SEED, on_failure="ignore")

    def bare() -> None:
        for _ in range(n // _ROUND):
            np.log(rng.poisson(mean, (_ROUND, len(mean))) + 1.0)
            np.linalg.cholesky(matrices)

    failed = n - int(ours().usable().sum())
    pairs = [(clocked(ours)[0], clocked(bare)[0]) for _ in range(5)]
    seconds, reference = (float(np.median(times)) for times in zip(*pairs, strict=True))
    ratio = float(np.median([one / other for one, other in pairs]))
    row(f"{name}: jaxfit.toys", seconds / n, f"{n / seconds:.0f} toys/s, {n} toys, {failed} not converged")
    row("numpy on one core", reference / n, f"a toy is {ratio:.1f} of them: {len(mean)} Poisson numbers, their "
        f"logarithms, a {size} x {size} Cholesky factor")  # fmt: skip


def _some(model: pyhf.Model, toys: jaxfit.ToyResults) -> list[list[float]]:
    """The data of the first toys."""
    expected = expected_data(model, toys.truth)
    return draw(sampler(model, expected, "sampled", expected), _SEED, 0, _PEERS).tolist()


def _cabinetry(n: int) -> None:
    model, _ = problems.model_and_data("M")
    ours, toys = timed(lambda: jaxfit.toys(model, n, seed=_SEED, on_failure="ignore"), 3)
    fits = [_tried(lambda data=data: cabinetry.fit.fit(model, data)) for data in _some(model, toys)]  # type: ignore[misc]
    deviations = [
        mine - fit.best_twice_nll for (_, fit), mine in zip(fits, toys.best_twice_nll, strict=False) if fit is not None
    ]
    theirs = float(np.mean([seconds for seconds, _ in fits]))
    row("M: cabinetry.fit.fit in a loop", theirs, f"= {theirs * n / ours:.0f} x jaxfit.toys, from {len(fits)} toys; "
        f"2NLL jaxfit - MINUIT {_listed(deviations)}")  # fmt: skip


def _calculator(n: int) -> None:
    """Test statistics of toys, as ``pyhf.infer.calculators.ToyCalculator`` finds them in its loop: two fits a toy."""
    model, _ = problems.model_and_data("M")
    how: dict[str, Any] = {"seed": _SEED, "poi_values": [_TESTED], "on_failure": "ignore"}
    ours, toys = timed(lambda: jaxfit.toys(model, n, **how), 3)
    statistics = np.where(toys.bestfit[:, model.config.poi_index] > _TESTED, 0.0, toys.twice_deltas[:, 0])
    config = model.config
    settings = config.suggested_init(), config.suggested_bounds(), config.suggested_fixed()
    tests = [
        _tried(lambda data=data: float(pyhf.infer.test_statistics.qmu_tilde(_TESTED, data, model, *settings)))  # type: ignore[misc]
        for data in _some(model, toys)
    ]
    deviations = [mine - test for (_, test), mine in zip(tests, statistics, strict=False) if test is not None]
    theirs = float(np.mean([seconds for seconds, _ in tests]))
    row("M: jaxfit.toys with the POI held as well", ours / n, f"{n / ours:.0f} toys/s, two fits each")
    row("M: pyhf's ToyCalculator, a toy of its loop", theirs, f"= {theirs * n / ours:.0f} x jaxfit.toys, from "
        f"{len(tests)} toys; qtilde jaxfit - pyhf {_listed(deviations)}")  # fmt: skip


def _tried(fit: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a fit and its result; None if it fails, as it does in toys."""

    def trial() -> Any:
        try:
            return fit()
        except pyhf.exceptions.FailedMinimization:
            return None

    return clocked(trial)


def _listed(deviations: list[float]) -> str:
    return ", ".join(f"{value:+.1e}" for value in deviations) or "(it fails)"
