"""Simulated lepton + jets events of ttbar production and its backgrounds.

Tops and W bosons decay isotropically in their rest frames into massless partons; radiation completes each event to five
jets. Energies, momenta and masses in GeV, cross-sections in pb. The last axis of every array runs over events.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Flavours: TypeAlias = NDArray[np.int64]

TOP_MASS, W_MASS = 172.5, 80.4
LIGHT, CHARM, BOTTOM = 0, 1, 2


class Events(NamedTuple):
    """The jets of events, before detector effects."""

    momenta: Array  # (jet, component (E, x, y, z), event)
    flavours: Flavours  # (jet, event)
    hard_pt: Array  # pT of the hard process


def _particles(pt: Array, rapidity: Array, phi: Array, mass: float = 0.0) -> Array:
    """Four-momenta, in the last axis but one."""
    mt = np.sqrt(pt**2 + mass**2)
    components = [mt * np.cosh(rapidity), pt * np.cos(phi), pt * np.sin(phi), mt * np.sinh(rapidity)]
    return np.stack(components, axis=-2)


def _pair(rng: np.random.Generator, n: int, mass: float, spread: float = 1.0) -> tuple[Array, Array, Array]:
    """A top, a particle recoiling against it with a given mass and spread in rapidity, and their common pT."""
    pt, phi = rng.gamma(2.0, 56.0, n), rng.uniform(-np.pi, np.pi, n)
    top = _particles(pt, rng.normal(0.0, 1.0, n), phi, TOP_MASS)
    return top, _particles(pt, rng.normal(0.0, spread, n), phi + np.pi, mass), pt


def _radiation(rng: np.random.Generator, n: int, jets: int, scale: float) -> list[Array]:
    """Jets with a pT spectrum that falls exponentially from 15 GeV."""
    pt, rapidity = 15.0 + rng.exponential(scale, (jets, n)), rng.normal(0.0, 1.3, (jets, n))
    return list(_particles(pt, rapidity, rng.uniform(-np.pi, np.pi, (jets, n))))


def _decay(rng: np.random.Generator, parent: Array, mass: float, heavy: float = 0.0) -> tuple[Array, Array]:
    """Decay, isotropic in the rest frame, into a massless particle and one of mass ``heavy``."""
    cosine, phi = rng.uniform(-1.0, 1.0, parent.shape[-1]), rng.uniform(-np.pi, np.pi, parent.shape[-1])
    sine = np.sqrt(1.0 - cosine**2)
    energy = (mass**2 - heavy**2) / (2.0 * mass)
    rest = energy * np.stack([sine * np.cos(phi), sine * np.sin(phi), cosine])
    along = (parent[1:] * rest).sum(axis=0)
    boosted = rest + parent[1:] * (along / (parent[0] + mass) + energy) / mass
    massless = np.concatenate([(parent[:1] * energy + along) / mass, boosted])
    return massless, parent - massless


def _one_of(rng: np.random.Generator, n: int, probability: float, flavour: int) -> Flavours:
    """This flavour with this probability, light otherwise."""
    return np.where(rng.random(n) < probability, flavour, LIGHT)


def _events(pt: Array, momenta: list[Array], flavours: list[Flavours | int]) -> Events:
    return Events(np.stack(momenta), np.stack([np.broadcast_to(flavour, pt.shape) for flavour in flavours]), pt)


def _ttbar(rng: np.random.Generator, n: int) -> Events:
    top, antitop, pt = _pair(rng, n, TOP_MASS)
    b, w = _decay(rng, top, TOP_MASS, W_MASS)
    leptonic_b, _ = _decay(rng, antitop, TOP_MASS, W_MASS)
    jets = [b, leptonic_b, *_decay(rng, w, W_MASS), *_radiation(rng, n, 1, 26.0)]
    return _events(pt, jets, [BOTTOM, BOTTOM, _one_of(rng, n, 0.5, CHARM), LIGHT, LIGHT])


def _wjets(rng: np.random.Generator, n: int) -> Events:
    jets = _radiation(rng, n, 5, 36.0)
    _, x, y, _ = np.sum(jets, axis=0)
    splitting = _one_of(rng, n, 0.08, BOTTOM)
    return _events(np.hypot(x, y), jets, [splitting, splitting, _one_of(rng, n, 0.2, CHARM), LIGHT, LIGHT])


def _single_top_s(rng: np.random.Generator, n: int) -> Events:
    top, recoil, pt = _pair(rng, n, 0.0)
    b, _ = _decay(rng, top, TOP_MASS, W_MASS)
    return _events(
        pt, [b, recoil, *_radiation(rng, n, 3, 20.0)], [BOTTOM, BOTTOM, _one_of(rng, n, 0.2, CHARM), LIGHT, LIGHT]
    )


def _single_top_t(rng: np.random.Generator, n: int) -> Events:
    top, forward, pt = _pair(rng, n, 0.0, spread=2.2)
    b, _ = _decay(rng, top, TOP_MASS, W_MASS)
    jets = [b, forward, *_radiation(rng, n, 3, 20.0)]
    return _events(pt, jets, [BOTTOM, LIGHT, _one_of(rng, n, 0.6, BOTTOM), _one_of(rng, n, 0.2, CHARM), LIGHT])


def _tw(rng: np.random.Generator, n: int) -> Events:
    top, w, pt = _pair(rng, n, W_MASS)
    b, w_of_top = _decay(rng, top, TOP_MASS, W_MASS)
    hadronic = np.where(rng.random(n) < 0.5, w, w_of_top)
    jets = [b, *_decay(rng, hadronic, W_MASS), *_radiation(rng, n, 2, 20.0)]
    return _events(pt, jets, [BOTTOM, _one_of(rng, n, 0.5, CHARM), LIGHT, _one_of(rng, n, 0.25, BOTTOM), LIGHT])


# Cross-section times branching ratio and lepton acceptance [pb], simulated events.
SAMPLES: dict[str, tuple[Callable[[np.random.Generator, int], Events], float, int]] = {
    "ttbar": (_ttbar, 60.0, 500_000),
    "wjets": (_wjets, 45.0, 250_000),
    "single_top_s": (_single_top_s, 0.25, 30_000),
    "single_top_t": (_single_top_t, 5.0, 50_000),
    "tW": (_tw, 4.0, 80_000),
}
