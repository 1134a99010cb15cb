"""Many batched fits of toys: every one ends, and next to none fails. A hang is the worst that this project can do."""

import warnings

import iminuit
import numpy as np
import pyhf
import pytest

from jaxfit import workspaces
from jaxfit.curvatures import nll, slopes
from jaxfit.inference import rescues
from jaxfit.likelihood import likelihood_of, parameter_space
from jaxfit.minimization import Problems, minimize
from jaxfit.statuses import Status

GOOD = (Status.OK, Status.OK_AT_BOUND)


def analysis(channels, bins, samples, systematics, seed):
    """A signal on falling backgrounds; half of the systematics scale yields, half tilt shapes; statistics on.

    The global parameters are mu and the systematics, the bin-wise ones a staterror gamma in every bin.
    """
    rng = np.random.default_rng(seed)
    center = (np.arange(bins) + 0.5) / bins
    size, tilt = rng.normal(0.0, 0.03, (samples, systematics)), rng.normal(0.0, 0.05, (samples, systematics))
    acts = rng.random((samples, systematics)) < 0.4
    acts[rng.integers(samples, size=systematics), np.arange(systematics)] = True
    spec = []
    for c in range(channels):
        content = []
        for s in range(samples):
            if s == 0:
                nominal = 2.0 + 30.0 * rng.uniform(0.5, 1.5) * np.exp(-0.5 * ((center - 0.6) / 0.12) ** 2)
                modifiers = [{"name": "mu", "type": "normfactor", "data": None}]
            else:
                nominal = 2.0 + rng.uniform(20.0, 200.0) * np.exp(-rng.uniform(0.5, 2.0) * center)
                modifiers = []
            for p in np.flatnonzero(acts[s]):
                here, name = rng.uniform(0.5, 1.5), f"systematic_{p:03d}"
                if p % 2:
                    up = nominal * (1.0 + here * tilt[s, p] * (center - 0.5))
                    data = {"hi_data": up.tolist(), "lo_data": (2.0 * nominal - 0.9 * up - 0.1 * nominal).tolist()}
                    modifiers.append({"name": name, "type": "histosys", "data": data})
                else:
                    data = {"hi": 1.0 + here * size[s, p], "lo": 1.0 - 0.9 * here * size[s, p]}
                    modifiers.append({"name": name, "type": "normsys", "data": data})
            spread = (nominal * rng.uniform(0.01, 0.05, bins)).tolist()
            modifiers.append({"name": f"statistics_{c:02d}", "type": "staterror", "data": spread})
            content.append({"name": f"sample_{s:02d}", "data": nominal.tolist(), "modifiers": modifiers})
        spec.append({"name": f"channel_{c:02d}", "samples": content})
    settings = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
    return pyhf.Model({"channels": spec}, poi_name="mu", validate=False, modifier_settings=settings)


def toys(model, number, seed):
    """Data drawn at the nominal parameters: Poisson in the bins, normal or Poisson as the constraints say."""
    rng, config = np.random.default_rng(seed), model.config
    pars = np.array(config.suggested_init())
    main = rng.poisson(model.expected_data(pars, include_auxdata=False), size=(number, config.nmaindata))
    aux = [np.zeros((number, 0))]
    for name in config.auxdata_order:
        parameter = config.param_set(name)
        center = np.array(parameter.auxdata)
        if parameter.pdf_type == "normal":
            aux.append(rng.normal(center, parameter.width(), size=(number, center.size)))
        else:
            aux.append(rng.poisson(center, size=(number, center.size)))
    return np.concatenate([main, *aux], axis=1).astype(float)


def problems_of(model, number):
    space = parameter_space(model)
    lower, upper = space.box()
    repeated = (np.repeat(array[None], number, axis=0) for array in (space.start, lower, upper))
    return Problems(toys(model, number, seed=1), *repeated)


def solve(model, number):
    return minimize(likelihood_of(model), problems_of(model, number))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("shape", "globals_", "number"),
    [((5, 20, 6, 40), 41, 20_000), ((20, 50, 15, 150), 151, 2_000)],
    ids=["medium", "large"],
)
def test_soak(shape, globals_, number):
    model = analysis(*shape, seed=7)
    assert model.config.npars == globals_ + shape[0] * shape[1]
    minima = solve(model, number)
    good = np.isin(minima.status, GOOD)
    assert len(good) == number
    assert (~good).sum() <= number // 1000
    assert (minima.edm[good] <= 1e-8).all()
    assert np.isfinite(minima.nll[good]).all()
    assert minima.iterations[good].max() <= 30
    # toys were thrown at mu = 1: the mean of the estimates is there
    mu = minima.pars[good, model.config.poi_index]
    assert mu.mean() == pytest.approx(1.0, abs=0.02 + 4 * mu.std() / np.sqrt(mu.size))


def test_a_few_toys():
    """The same on a small model, in every run of the tests."""
    model = analysis(1, 3, 2, 2, seed=7)
    minima = solve(model, 300)
    assert np.isin(minima.status, GOOD).all()
    assert (minima.edm <= 1e-8).all()
    assert minima.pars[:, model.config.poi_index].mean() == pytest.approx(1.0, abs=0.2)


def tight_minuit(model, problem):
    """-log(likelihood) where MINUIT ends with exact gradients, strategy 2 and a tolerance of 1e-4."""
    likelihood, (data, start, lower, upper) = likelihood_of(model), problem
    minuit = iminuit.Minuit(
        lambda x: nll(likelihood, x, data),
        start,
        grad=lambda x: slopes(likelihood, x, data),
        name=model.config.par_names,
    )
    minuit.limits, minuit.fixed = list(zip(lower, upper, strict=True)), lower >= upper
    minuit.errordef, minuit.strategy, minuit.tol = iminuit.Minuit.LIKELIHOOD, 2, 1e-4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return minuit.migrad().fval


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    "name",
    [
        "agc_ttbar_all",
        "agc_ttbar_5files",
        "ttbar_ljets_xsec_pruned",  # 132 parameters
        "bayesian_SRee_SRmm_Srem",
        "cabinetry_tutorial_ntuples",
    ],
)
def test_ten_thousand_toys_of_a_workspace(name, shared):
    """All converge or are flagged, which is rare, and MINUIT finds nothing lower in a random 200 of them."""
    model, _ = workspaces.model_and_data(workspaces.load(shared / "workspaces" / f"{name}.json"))
    problems = problems_of(model, 10_000)
    solved = rescues.solve(model, problems, positive_yields=True)
    good = np.isin(solved.status, GOOD)
    climbed = sum(bool(steps) for steps in solved.rescues)
    print(f"{name}: {(~good).sum()} of 10,000 flagged, {climbed} climbed the ladder")
    assert (~good).sum() <= 10
    chosen = np.random.default_rng(2).choice(np.flatnonzero(good), 200, replace=False)
    above = [solved.nll[i] - tight_minuit(model, [field[i] for field in problems]) for i in chosen]
    print(f"{name}: -log(likelihood) above MINUIT's by {min(above):.1e} to {max(above):.1e}")
    assert max(above) <= 1e-6
