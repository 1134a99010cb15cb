"""What became of a fit: one enum, whose texts say what to do next."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Status"]


class Status(IntEnum):
    """How a fit ended. Only the first two are a minimum that can be used without looking closer."""

    OK = 0
    OK_AT_BOUND = 1
    NOT_CONVERGED = 2
    STALLED = 3
    NONFINITE = 4
    NOT_A_MINIMUM = 5
    SINGULAR = 6
    NEGATIVE_EXPECTATION = 7
    MULTIPLE_MINIMA = 8
    IMPOSSIBLE_DATA = 9
    INVALID_INPUT = 10
    NOT_RUN = 11

    @property
    def converged(self) -> bool:
        """Whether the point is a minimum within the bounds."""
        return self <= Status.OK_AT_BOUND

    @property
    def message(self) -> str:
        """One sentence: what happened and what to do."""
        return _MESSAGES[self]


_MESSAGES = {
    Status.OK: "converged",
    Status.OK_AT_BOUND: (
        "converged with parameters on their bounds: their uncertainties are those of the likelihood's curvature there; "
        "widen par_bounds if the bound is not physical"
    ),
    Status.NOT_CONVERGED: (
        "the iteration limit was reached before the EDM goal: raise maxiter, or start closer with init_pars"
    ),
    Status.STALLED: (
        "no step lowers the likelihood although the EDM goal is not reached: start elsewhere with init_pars, "
        "try solver='lbfgsb', or look for templates with discontinuities"
    ),
    Status.NONFINITE: (
        "the likelihood is not finite at the start point (a negative expected yield, or data where nothing is "
        "expected): change init_pars, or check the templates"
    ),
    Status.NOT_A_MINIMUM: (
        "the point is stationary but the Hessian is not positive definite (a saddle point or a maximum): "
        "start elsewhere with init_pars"
    ),
    Status.SINGULAR: (
        "some parameters are not constrained by the data (flat directions), so there is no covariance: "
        "fix them with fix_pars, or remove them from the model"
    ),
    Status.NEGATIVE_EXPECTATION: (
        "the minimum lies where a bin without observed events expects a negative yield: merge or remove that bin, or "
        "tighten par_bounds of the parameters that pull it there"
    ),
    Status.MULTIPLE_MINIMA: (
        "another minimum is as good within 1 of -2 log(likelihood), and is not covered by the uncertainties: look at a "
        "scan of the parameters that differ, and at systematic variations that go the same way up and down"
    ),
    Status.IMPOSSIBLE_DATA: (
        "events are observed in a bin where every sample expects none for all parameters: remove the bin, or give it a "
        "small background"
    ),
    Status.INVALID_INPUT: "data or start values of this fit are negative or not finite: correct them",
    Status.NOT_RUN: "not fitted: the batch was interrupted before (run it again), or there was nothing to fit",
}
