"""The command line: a workspace in, one call, a result out."""

from jaxfit.cli.breakdowns import impacts, ranking
from jaxfit.cli.demos import demo
from jaxfit.cli.ensembles import toys
from jaxfit.cli.fits import fit, gof
from jaxfit.cli.groups import main
from jaxfit.cli.profiles import feldman_cousins, intervals, scan, scan2d
from jaxfit.cli.verdicts import hypotest, limit, significance
from jaxfit.cli.yields import predict

__all__ = ["main"]

for command in (
    demo,
    feldman_cousins,
    fit,
    gof,
    hypotest,
    impacts,
    intervals,
    limit,
    predict,
    ranking,
    scan,
    scan2d,
    significance,
    toys,
):
    main.add_command(command)
