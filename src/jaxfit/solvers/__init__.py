"""One problem, one minimum. The only importer of jaxopt; knows no HistFactory."""

from jaxfit.solvers.minuit import run_minuit
from jaxfit.solvers.newton import Newton, NewtonState
from jaxfit.solvers.stock import STOCK, run_scipy, run_stock

__all__ = ["SOLVERS", "STOCK", "Newton", "NewtonState", "run_minuit", "run_scipy", "run_stock"]

SOLVERS = ("newton", *STOCK, "scipy", "minuit")
