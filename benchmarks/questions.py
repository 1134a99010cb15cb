"""What takes many fits, or a covariance: jaxfit beside cabinetry, with the agreement, each on the model of its bar."""

from __future__ import annotations

from typing import Any

import cabinetry
import numpy as np

import jaxfit
from benchmarks import problems
from benchmarks.timing import clocked, row, timed

__all__ = ["report"]

_SAMPLED = 2  # nuisance parameters of which cabinetry makes the refits of a ranking


def report() -> None:
    """Print the table."""
    print("\nquestions, warm")
    for question in (_ranking, _impacts, _limit, _intervals, _prediction):
        question()


def _ranking() -> None:
    model, data = problems.model_and_data("M")
    best = jaxfit.fit(model, data)
    ours, ranking = timed(lambda: jaxfit.ranking(model, data, fit_results=best), 5)
    refits = 4 * len(ranking.labels) - int(
        np.sum([s == jaxfit.Status.NOT_RUN for four in ranking.statuses for s in four])
    )
    rng = np.random.default_rng(0)
    constrained = [i for i, name in enumerate(ranking.labels) if name.startswith(("norm", "shape"))]
    seconds, differences = [], []
    for i in rng.choice(constrained, _SAMPLED, replace=False):
        name = ranking.labels[i]
        for width, up, down in (
            (1.0, ranking.prefit_up, ranking.prefit_down),
            (ranking.uncertainty[i], ranking.postfit_up, ranking.postfit_down),
        ):
            for sign, found in ((1.0, up), (-1.0, down)):
                init, fixed = best.bestfit.copy(), np.array(model.config.suggested_fixed())
                j = best.labels.index(name)
                init[j], fixed[j] = ranking.bestfit[i] + sign * width, True
                elapsed, theirs = clocked(lambda init=init, fixed=fixed: cabinetry.fit.fit(
                    model, data, init_pars=init.tolist(), fix_pars=fixed.tolist()))  # fmt: skip
                seconds.append(elapsed)
                poi = model.config.poi_index
                differences.append((theirs.bestfit[poi] - best.bestfit[poi] - found[i]) / best.uncertainty[poi])
    theirs = float(np.mean(seconds)) * refits
    row("M: ranking", ours, f"{refits} refits of {1e3 * ours / refits:.3f} ms")
    row("cabinetry.fit.ranking", theirs, f"= {theirs / ours:.0f} x, from {len(seconds)} of its refits; impacts within "
        f"{np.abs(differences).max():.1e} sigma(POI)")  # fmt: skip


def _impacts() -> None:
    model, data = problems.model_and_data("L")
    fit, best = timed(lambda: jaxfit.fit(model, data))
    ours, impacts = timed(lambda: jaxfit.impacts(model, data, fit_results=best))
    total = np.sqrt(sum(part**2 for part in impacts.global_parts.values()))
    row("L: impacts of all parameters", ours, f"= {ours / fit:.1f} fits; sigma(POI) {impacts.sigma:.6f}, parts in "
        f"quadrature {total - impacts.sigma:+.0e}")  # fmt: skip


def _limit() -> None:
    model, data = problems.model_and_data("ttbar")
    ours, found = timed(lambda: jaxfit.limit(model, data, on_failure="ignore"), 5)
    mine = np.append(found.observed_limit, found.expected_limit)
    bracket = (0.9 * mine.min(), 1.1 * mine.max())  # without one MINUIT fails far from the limits
    theirs, reference = clocked(lambda: cabinetry.fit.limit(model, data, poi_tolerance=1e-3, bracket=bracket))
    other = np.append(reference.observed_limit, reference.expected_limit)
    row("ttbar: limit, observed and five expected", ours, f"{len(found.poi_values)} values tested")
    row(
        "cabinetry.fit.limit to 1e-3",
        theirs,
        f"= {theirs / ours:.0f} x; limits within {np.abs(mine - other).max():.1e}",
    )


def _intervals() -> None:
    model, data = problems.model_and_data("M")
    best = jaxfit.fit(model, data)
    ours, found = timed(lambda: jaxfit.intervals(model, data, fit_results=best), 5)
    theirs, _ = clocked(lambda: cabinetry.fit.fit(model, data))
    failed = int(np.isnan([found.lower, found.upper]).sum())
    row("M: intervals of all parameters", ours, f"{len(found.labels)} parameters, {failed} ends not found")
    row("one cabinetry.fit.fit, without MINOS", theirs, f"= {theirs / ours:.0f} x")


def _prediction() -> None:
    model, data = problems.model_and_data("ttbar")
    best = jaxfit.fit(model, data)
    ours, mine = timed(lambda: jaxfit.prediction(model, fit_results=best))

    def reference() -> Any:
        cabinetry.model_utils._YIELD_STDEV_CACHE.clear()
        return cabinetry.model_utils.prediction(model, fit_results=best)

    theirs, other = timed(reference, 3)
    deviations = [
        np.abs(np.asarray(a) / np.asarray(b) - 1).max()
        for one, two in zip(mine.total_stdev_model_bins, other.total_stdev_model_bins, strict=True)
        for a, b in zip(one, two, strict=True)
    ]
    row("ttbar: yields with uncertainties", ours, "")
    row(
        "cabinetry.model_utils.prediction",
        theirs,
        f"= {theirs / ours:.0f} x; uncertainties within {max(deviations):.1e}",
    )
