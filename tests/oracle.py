"""The HistFactory likelihood written out a second time, slowly: value, gradient and Hessian in extended precision.

Straight from a model's specification and its parameter sets, sample by sample and modifier by modifier. Every number is
a :class:`Jet` of extended precision, so the derivatives are exact for the formula that gives the value, and the value
is held to pyhf's. Unlike pyhf's own derivatives these are finite in empty bins, and nothing is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyhf

Real = np.longdouble
PI = np.arctan2(Real(0), Real(-1))
GAMMAS = ("staterror", "shapesys", "shapefactor")


class Jet(NamedTuple):
    """Numbers, one a bin, with their first and second derivatives by all parameters.

    ``reach`` and ``reach_first`` are sums of the sizes of all terms that make up the value and the first derivatives:
    times float64's precision, the rounding of any evaluation in float64.
    """

    value: np.ndarray  # bins
    first: np.ndarray  # bins, parameters
    second: np.ndarray  # bins, parameters, parameters
    reach: np.ndarray
    reach_first: np.ndarray

    @classmethod
    def constant(cls, values: np.ndarray, size: int) -> Jet:
        values = np.asarray(values, dtype=Real)
        first = np.zeros((*values.shape, size), Real)
        return cls(values, first, np.zeros((*first.shape, size), Real), np.abs(values), first)

    @classmethod
    def parameter(cls, pars: np.ndarray, where: np.ndarray) -> Jet:
        """The parameters at some positions."""
        jet = cls.constant(np.asarray(pars, Real)[where], len(pars))
        jet.first[np.arange(len(where)), where] = 1
        return jet

    def plus(self, other: Jet) -> Jet:
        return Jet(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, other: Jet) -> Jet:
        cross = self.first[:, :, None] * other.first[:, None]
        return Jet(
            self.value * other.value,
            self.first * other.value[:, None] + other.first * self.value[:, None],
            self.second * other.value[:, None, None]
            + other.second * self.value[:, None, None]
            + cross
            + cross.swapaxes(1, 2),
            self.reach * other.reach,
            self.reach_first * other.reach[:, None] + other.reach_first * self.reach[:, None],
        )

    def mapped(self, value: np.ndarray, first: np.ndarray, second: np.ndarray) -> Jet:
        """A function of it, given by its value and its derivatives there."""
        square = self.first[:, :, None] * self.first[:, None]
        return Jet(
            np.asarray(value, Real),
            self.first * first[:, None],
            self.second * first[:, None, None] + square * second[:, None, None],
            np.abs(value),
            self.reach_first * np.abs(first)[:, None],
        )


@dataclass
class Answer:
    """What the oracle says at one point, and how well float64 can know it.

    The roundings are those of the NLL for yields with their last digit off, of pyhf's formula for it (a difference of
    terms as large as n log n), of the yields, of every component of the gradient, of the yields' slopes in standard
    deviations, and of what the yields' second derivatives add to the Hessian.
    """

    nll: float
    gradient: np.ndarray
    hessian: np.ndarray
    expected: np.ndarray
    nll_rounding: float
    pyhf_rounding: float
    yield_rounding: np.ndarray
    gradient_rounding: np.ndarray
    slope_rounding: np.ndarray
    bend_rounding: np.ndarray


class Oracle:
    """The likelihood of one model and its data."""

    def __init__(self, model: pyhf.Model, data: np.ndarray) -> None:
        self.config = model.config
        self.channels = {channel["name"]: channel["samples"] for channel in model.spec["channels"]}
        self.data = np.asarray(data, Real)
        self.codes = {kind: model.config.modifier_settings[kind]["interpcode"] for kind in ("normsys", "histosys")}

    def at(self, pars: np.ndarray) -> Answer:
        """Value and derivatives at a point; the value is infinite where the model is not defined."""
        bins = [self._channel(name, pars) for name in self.config.channels]
        nu = Jet(*(np.concatenate(parts) for parts in zip(*bins, strict=True)))
        n, aux = np.split(self.data, [self.config.nmaindata])
        auxiliaries = self._auxiliaries(aux, pars)
        terms = [poisson(n, nu)] + [
            poisson(*pair) if sigma is None else normal(*pair, sigma) for *pair, sigma in auxiliaries
        ]
        nll, gradient, hessian, *_ = (sum(part.sum(axis=0) for part in parts) for parts in zip(*terms, strict=True))
        counts = [(n, nu.value)] + [(a, par.value) for a, par, sigma in auxiliaries if sigma is None]
        safe = np.where(n > 0, nu.value, 1)
        slope, curvature = np.where(n > 0, (safe - n) / safe, 1), n / safe**2
        precision = np.finfo(float).eps
        return Answer(
            float(nll) if np.isfinite(nll) else np.inf,
            np.asarray(gradient, float),
            np.asarray(hessian, float),
            np.asarray(nu.value, float),
            precision * float(np.abs(slope) @ nu.reach),
            precision * sum(float(np.sum(_terms(*count))) for count in counts),
            precision * np.asarray(nu.reach, float),
            precision * np.asarray(np.abs(slope) @ nu.reach_first + (curvature * nu.reach) @ np.abs(nu.first), float),
            precision * np.asarray(np.sqrt(curvature) @ nu.reach_first, float),
            precision * np.asarray(np.einsum("b,bpq->pq", curvature * nu.reach, np.abs(nu.second)), float),
        )

    def _channel(self, name: str, pars: np.ndarray) -> Jet:
        """Expected yields."""
        bins = self.config.channel_nbins[name]
        total = Jet.constant(np.zeros(bins), len(pars))
        for sample in self.channels[name]:
            nominal = np.asarray(sample["data"], Real)
            yields = Jet.constant(nominal, len(pars))
            modifiers = [(m["type"], m["name"], m["data"]) for m in sample["modifiers"]]
            for kind, par, data in modifiers:
                if kind == "histosys":
                    alpha = self._parameter(par, name, kind, bins, pars)
                    yields = yields.plus(histosys(self.codes[kind], alpha, nominal, data["hi_data"], data["lo_data"]))
            for kind, par, data in modifiers:
                if kind != "histosys":
                    factor = self._parameter(par, name, kind, bins, pars)
                    if kind == "normsys":
                        factor = normsys(self.codes[kind], factor, data["hi"], data["lo"])
                    yields = yields.times(factor)
            total = total.plus(yields)
        return total

    def _parameter(self, name: str, channel: str, kind: str, bins: int, pars: np.ndarray) -> Jet:
        """A modifier's parameter in every bin of a channel."""
        where = self.config.par_slice(name)
        if kind not in GAMMAS:
            return Jet.parameter(pars, np.full(bins, where.start))
        first = where.start
        if kind == "staterror":  # one name may serve several channels, with parameters for the bins of each
            for other in self.config.channels[: self.config.channels.index(channel)]:
                uses = [m["name"] for s in self.channels[other] for m in s["modifiers"] if m["type"] == kind]
                first += self.config.channel_nbins[other] if name in uses else 0
        return Jet.parameter(pars, first + np.arange(bins))

    def _auxiliaries(self, aux: np.ndarray, pars: np.ndarray) -> list[tuple[np.ndarray, Jet, np.ndarray | None]]:
        """Auxiliary data, what they expect, and their widths (None where they are Poisson counts)."""
        found, start = [], 0
        for name in self.config.auxdata_order:
            paramset, where = self.config.param_set(name), self.config.par_slice(name)
            par = Jet.parameter(pars, np.arange(where.start, where.stop))
            measured = aux[start : start + paramset.n_parameters]
            start += paramset.n_parameters
            if paramset.pdf_type == "poisson":
                found.append((measured, par.times(Jet.constant(np.asarray(paramset.factors), len(pars))), None))
            else:
                found.append((measured, par, np.asarray(paramset.width(), Real)))
        return found


def histosys(code: str, alpha: Jet, nominal: np.ndarray, hi: list[float], lo: list[float]) -> Jet:
    """Additive shift (pyhf.interpolators: codes 0, 2 as documented, and 4p); at a joint the branch of alpha >= 0."""
    up, down = np.asarray(hi, Real) - nominal, nominal - np.asarray(lo, Real)
    odd, even = (up + down) / 2, (up - down) / 2
    x, inside, sign = alpha.value, np.abs(alpha.value) <= 1, np.where(alpha.value >= 0, 1, -1)
    if code == "code0":
        slope = odd + sign * even
        shift = alpha.mapped(slope * x, slope, np.zeros_like(x))
    elif code == "code2":
        slope = odd + 2 * sign * even
        shift = alpha.mapped(
            np.where(inside, even * x**2 + odd * x, slope * (x - sign)),
            np.where(inside, 2 * even * x + odd, slope),
            np.where(inside, 2 * even, 0),
        )
    else:  # 4p: beyond +-1 as code0, within a polynomial of the same value, slope and curvature there
        shift = alpha.mapped(
            odd * x + even * np.where(inside, x**2 * (15 - 10 * x**2 + 3 * x**4) / 8, np.abs(x)),
            odd + even * np.where(inside, (30 * x - 40 * x**3 + 18 * x**5) / 8, sign),
            even * np.where(inside, (30 - 120 * x**2 + 90 * x**4) / 8, 0),
        )
    # the templates themselves are rounded, however small their differences
    size = np.abs(nominal) + np.abs(hi) + np.abs(lo)
    return shift._replace(reach=size * np.abs(x), reach_first=size[:, None] * alpha.reach_first)


def normsys(code: str, alpha: Jet, hi: float, lo: float) -> Jet:
    """Factor hi^alpha or lo^-alpha; in code4 a polynomial within +-1 (CERN-OPEN-2012-016 appendix A)."""
    x = alpha.value
    logs = np.where(x >= 0, np.log(Real(hi)), -np.log(Real(lo)))
    value = np.exp(x * logs)
    if code == "code1":
        return alpha.mapped(value, logs * value, logs**2 * value)
    # value, slope and curvature of 1 + sum_i a_i x^i at +-1
    powers = np.arange(1, 7)
    rows, ends = [], []
    for sign, base in ((1, Real(hi)), (-1, Real(lo))):
        rows += [sign**powers, powers * sign ** (powers - 1), powers * (powers - 1) * sign**powers]
        ends += [base - 1, sign * np.log(base) * base, np.log(base) ** 2 * base]
    inverse = np.rint(np.linalg.inv(np.array(rows, float)) * 16).astype(Real) / 16
    a = inverse @ np.array(ends, Real)
    polynomial = np.array([*a[::-1], 1], Real)
    slopes, bends = np.polyder(polynomial), np.polyder(polynomial, 2)
    near, inside = np.clip(x, -1, 1), np.abs(x) < 1
    return alpha.mapped(
        np.where(inside, np.polyval(polynomial, near), value),
        np.where(inside, np.polyval(slopes, near), logs * value),
        np.where(inside, np.polyval(bends, near), logs**2 * value),
    )


def poisson(n: np.ndarray, nu: Jet) -> Jet:
    """nu - n log nu + log Gamma(n + 1), arranged so that no large terms cancel; nu itself for n = 0, as in pyhf."""
    seen, x = n > 0, nu.value
    count = np.where(seen, n, 1)
    possible = (seen & (x > 0)) | (~seen & ~np.isnan(x))
    safe = np.where(possible & seen, x, count)
    excess = (safe - count) / count
    log = np.where(np.abs(excess) < 0.5, np.log1p(np.maximum(excess, -0.9)), np.log(safe) - np.log(count))
    deviance = np.where(seen, (safe - count) - count * log, x)
    return nu.mapped(
        np.where(possible, deviance + poisson_constant(n), np.inf),
        np.where(seen, (safe - count) / safe, 1),
        np.where(seen, count / safe / safe, 0),
    )


def _terms(n: np.ndarray, nu: np.ndarray) -> np.ndarray:
    """Summed sizes of the terms n log nu, nu and log Gamma(n + 1)."""
    return n * np.abs(np.log(np.where(n > 0, np.abs(nu), 1))) + np.abs(nu) + n * np.log(n + 1)


def normal(measured: np.ndarray, mean: Jet, sigma: np.ndarray) -> Jet:
    """(mean - measured)^2 / (2 sigma^2) + log(sigma sqrt(2 pi))."""
    pull = (mean.value - measured) / sigma
    return mean.mapped(pull**2 / 2 + np.log(sigma) + np.log(2 * PI) / 2, pull / sigma, 1 / sigma**2)


def poisson_constant(n: np.ndarray) -> np.ndarray:
    """n - n log n + log Gamma(n + 1): Stirling's series at 30 or beyond, reached from smaller n by recurrence."""
    steps = np.where(n < 30, 30, 0)
    far = n + steps
    products = np.ones_like(n)
    for k in range(1, 31):
        products = products * np.where(steps >= k, n + k, 1)
    x = 1 / far
    series = x / 12 - x**3 / 360 + x**5 / 1260 - x**7 / 1680 + x**9 / 1188 - x**11 * 691 / 360360
    log_far = np.log(2 * PI * far) / 2 + series  # log Gamma(far + 1) - far log far + far
    small = log_far + far * np.log(far) - far - np.log(products) + n - n * np.log(np.where(n > 0, n, 1))
    return np.where(steps > 0, small, log_far)
