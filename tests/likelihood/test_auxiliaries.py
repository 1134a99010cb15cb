"""Widths and curvatures of constraints are those of pyhf's constraint term."""

import cabinetry
import numpy as np
import pytest
from models import WORKSPACES, model_and_data

from jaxfit.likelihood import constraint_curvatures, modifier_types, prefit_widths


@pytest.mark.parametrize("name", WORKSPACES)
def test_prefit_widths_are_cabinetrys(name):
    model, _ = model_and_data(name)
    np.testing.assert_allclose(prefit_widths(model), cabinetry.model_utils.prefit_uncertainties(model), rtol=1e-14)


@pytest.mark.parametrize("name", sorted(WORKSPACES.keys() - {"no_nuisance", "huge_tau"}))
def test_curvatures_are_those_of_pyhfs_constraints(name):
    """By finite differences, in units of the widths (huge_tau: lost in the rounding of its counts)."""
    model, data = model_and_data(name)
    data, pars = np.array(data), np.array(model.config.suggested_init()) + 0.01
    width = np.array(cabinetry.model_utils.prefit_uncertainties(model))
    width[width == 0] = 1.0

    def nll(shift):
        return -float(model.constraint_logpdf(data[model.config.nmaindata :], pars + shift))

    steps = np.diag(0.02 * width)
    numerical = [(nll(step) - 2 * nll(0 * step) + nll(-step)) / 0.02**2 for step in steps]
    ours = constraint_curvatures(model, data, pars) * width**2
    np.testing.assert_allclose(ours, numerical, rtol=1e-3, atol=1e-8)


def test_modifier_types():
    model, _ = model_and_data("everything")
    types = dict(zip(model.config.par_names, modifier_types(model), strict=True))
    assert types["jes"] == "histosys + normsys"
    assert types["mu"] == types["acceptance"] == "normfactor"
    assert types["lumi"] == "lumi"
    assert types["stat_SR[2]"] == "staterror"
    assert types["model_top[0]"] == "shapesys"
    assert types["shape[1]"] == "shapefactor"
