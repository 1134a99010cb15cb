"""pyhf's interface to optimizers: ``pyhf.infer`` on jaxfit's minimiser."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyhf
from pyhf.exceptions import FailedMinimization, Unsupported
from pyhf.infer.mle import twice_nll
from scipy.optimize import OptimizeResult

from jaxfit.inference.failures import FitWarning
from jaxfit.inference.rescues import solve
from jaxfit.inference.uncertainties import uncertainties
from jaxfit.likelihood import checked_data, likelihood_of, parameter_space
from jaxfit.minimization import Problems, edm_goal
from jaxfit.statuses import Status

__all__ = ["Optimizer", "optimizer"]

_DOUBTFUL = (Status.SINGULAR, Status.MULTIPLE_MINIMA)  # minima, whose parameters are not the only ones


def optimizer(*, solver: str = "newton", maxiter: int | None = None, tolerance: float | None = None) -> Optimizer:
    """An optimizer for pyhf: fits, hypothesis tests and limits of ``pyhf.infer`` then run on jaxfit's minimiser.

    With the compact likelihood where the model allows it, whatever pyhf's backend is; another set of fixed parameters
    compiles nothing.

    >>> import pyhf, jaxfit
    >>> pyhf.set_backend("numpy", jaxfit.optimizer())  # doctest: +SKIP

    Args:
        solver: as for :func:`jaxfit.fit`, as all further arguments.
        maxiter: see ``solver``.
        tolerance: see ``solver``.
    """
    return Optimizer(solver=solver, maxiter=maxiter, tolerance=tolerance)


class Optimizer:
    """See :func:`optimizer`; has the interface of ``pyhf.optimize.mixins.OptimizerMixin``."""

    name = "jaxfit"

    def __init__(self, *, solver: str, maxiter: int | None, tolerance: float | None) -> None:
        self.solver, self.maxiter, self.tolerance = solver, maxiter, tolerance

    def __repr__(self) -> str:
        return f"jaxfit.optimizer(solver={self.solver!r}, maxiter={self.maxiter}, tolerance={self.tolerance})"

    def minimize(
        self,
        objective: Callable[..., Any],
        data: Any,
        pdf: pyhf.Model,
        init_pars: Sequence[float],
        par_bounds: Sequence[Sequence[float]],
        fixed_vals: Sequence[tuple[int, float]] | None = None,
        return_fitted_val: bool = False,
        return_result_obj: bool = False,
        return_uncertainties: bool = False,
        return_correlations: bool = False,
        do_grad: bool | None = None,
        do_stitch: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Minimise -2 log(likelihood) of a model, as pyhf calls it.

        Args:
            objective: must be ``pyhf.infer.mle.twice_nll``.
            data: main and auxiliary data.
            pdf: the model.
            init_pars: start values.
            par_bounds: lower and upper bounds.
            fixed_vals: positions and values of the parameters to hold.
            return_fitted_val: also return -2 log(likelihood) at the minimum.
            return_result_obj: also return a ``scipy.optimize.OptimizeResult`` with ``x`` (as returned), ``fun``,
                ``success``, ``message``, ``nit``, ``edm``, and ``unc`` and ``corr`` if either was asked for.
            return_uncertainties: return parameters and uncertainties, (parameters, 2), instead of the parameters.
            return_correlations: also return the correlation matrix.
            do_grad: accepted for pyhf's sake, without meaning here (derivatives are always exact).
            do_stitch: accepted for pyhf's sake, without meaning here.
            kwargs: ``maxiter`` and ``tolerance``, for this call.

        Returns:
            Tensors of pyhf's current backend: the parameters by themselves, or a tuple of the parameters and then the
            correlations, the value and the result, as far as they were asked for.

        Raises:
            pyhf.exceptions.FailedMinimization: the fit did not end in a minimum; the text says what to do.
            pyhf.exceptions.Unsupported: another objective, another kind of model, or an unknown option.
            InputError: data that do not fit the model.

        Warns:
            FitWarning: the minimum is flat in some direction, or not the only one.
        """
        maxiter, tolerance = kwargs.pop("maxiter", self.maxiter), kwargs.pop("tolerance", self.tolerance)
        if kwargs:
            raise Unsupported(f"Unsupported options were passed in: {list(kwargs)}.")
        if objective is not twice_nll or not isinstance(pdf, pyhf.Model):
            raise Unsupported("jaxfit minimises pyhf.infer.mle.twice_nll of a pyhf.Model, and nothing else.")
        observed, bounds = checked_data(pdf, np.asarray(data).tolist()), np.asarray(par_bounds, dtype=float)
        start, fixed = np.array(init_pars, dtype=float), np.zeros(len(init_pars), dtype=bool)
        for index, value in fixed_vals or ():
            start[index], fixed[index] = value, True
        space = replace(parameter_space(pdf), start=start, lower=bounds[:, 0], upper=bounds[:, 1], fixed=fixed)

        problem = Problems(observed[None], start[None], *(bound[None] for bound in space.box()))
        solved = solve(pdf, problem, solver=self.solver, maxiter=maxiter, goal=edm_goal(tolerance))
        pars, status = solved.pars[0], Status(int(solved.status[0]))
        usable = status.converged or status in _DOUBTFUL
        tensorlib, _ = pyhf.get_backend()
        result = OptimizeResult(
            x=tensorlib.astensor(pars),
            fun=tensorlib.astensor(2.0 * solved.nll[0]),
            success=usable,
            message=f"{status.name}: {status.message}",
            nit=int(solved.iterations[0]),
            edm=float(solved.edm[0]),
            unc=None,
            corr=None,
        )
        if not usable:
            raise FailedMinimization(result)
        if not status.converged:
            warnings.warn(result.message, FitWarning, stacklevel=2)
        if return_uncertainties or return_correlations:
            around = uncertainties(likelihood_of(pdf), space, pars, observed, status)
            result.unc = tensorlib.astensor(around.sigma)
            if return_uncertainties:
                result.x = tensorlib.stack([result.x, result.unc], axis=1)
            if return_correlations:
                result.corr = tensorlib.astensor(np.asarray(around.correlation()))
        returned = [result.x, *[result.corr] * return_correlations, *[result.fun] * return_fitted_val]
        returned += [result] * return_result_obj
        return tuple(returned) if len(returned) > 1 else returned[0]
