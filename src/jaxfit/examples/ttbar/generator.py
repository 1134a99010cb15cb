"""Histograms of the simulated events, of their systematic variations, and of pseudo-data.

Partons become jets with a calorimeter's resolution, and b tags are drawn with an efficiency per flavour. A systematic
variation changes what it would change in reality: a jet's pT, the probability of a tag, the spectrum of the top.
"""

import itertools
import pathlib
import zlib
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from jaxfit.examples.ttbar.events import BOTTOM, CHARM, LIGHT, SAMPLES, Array, Events

Mask: TypeAlias = NDArray[np.bool_]
Templates: TypeAlias = dict[str, Array]  # region/sample/variation: (yield or its variance, bin)

LUMINOSITY = 3000.0  # 1/pb
EDGES = {"4j1b": np.arange(110.0, 551.0, 40.0), "4j2b": np.arange(110.0, 551.0, 40.0)}  # H_T, m_bjj [GeV]
PT_MIN, ETA_MAX = 25.0, 2.4  # of jets, pT in GeV
TAG_EFFICIENCY = np.array([0.015, 0.15, 0.68])  # of light, charm and bottom jets
# What the pseudo-data are drawn from: nuisance parameters in standard deviations, by the names of their histograms.
TRUTH = {
    "ttbar_norm": 1.03,
    "luminosity": 0.4,
    "jes": 0.5,
    "btag_1": -0.5,
    "me": 0.4,
    "ttbar_scale": -0.3,
    "wjets_scale": 0.6,
}


def _selected(events: Events, pt: Array, tagged: Mask) -> Iterator[tuple[str, Mask, Array]]:
    """Per region: its name, which events it selects, and their observable."""
    jets = pt > PT_MIN
    tags = (tagged & jets).sum(axis=0)
    four = jets.sum(axis=0) >= 4
    one_tag, two_tags = four & (tags == 1), four & (tags >= 2)
    yield "4j1b", one_tag, (pt * jets)[:, one_tag].sum(axis=0)
    # The hadronic top is the b-tagged trijet of largest pT; scaling a massless jet scales its four-momentum.
    scale = (pt * jets / np.hypot(events.momenta[:, 1], events.momenta[:, 2]))[:, two_tags]
    momenta, tagged, jets = events.momenta[:, :, two_tags] * scale[:, None], tagged[:, two_tags], jets[:, two_tags]
    best_pt, best_mass = np.zeros(scale.shape[1]), np.zeros(scale.shape[1])
    for trijet in map(list, itertools.combinations(range(len(pt)), 3)):
        e, x, y, z = momenta[trijet].sum(axis=0)
        trijet_pt = np.hypot(x, y) * (jets[trijet].all(axis=0) & tagged[trijet].any(axis=0))
        better = trijet_pt > best_pt
        best_pt = np.where(better, trijet_pt, best_pt)
        best_mass = np.where(better, np.sqrt(np.maximum(e**2 - x**2 - y**2 - z**2, 0.0)), best_mass)
    yield "4j2b", two_tags, best_mass


def _btag_weights(events: Events, pt: Array, tagged: Mask) -> dict[str, Array]:
    """Weights of events for shifted tagging efficiencies of single jets, by name of the variation."""
    of = [events.flavours == flavour for flavour in (LIGHT, CHARM, BOTTOM)]
    shifts = {
        "btag_1": 0.025 * of[BOTTOM],
        "btag_2": 0.03 * of[BOTTOM] * np.clip((pt - 70.0) / 70.0, -1.0, 2.0),
        "btag_3": 0.15 * of[CHARM],
        "btag_4": 0.20 * of[LIGHT],
    }
    efficiency = TAG_EFFICIENCY[events.flavours]
    weights = {}
    for (name, shift), (direction, sign) in itertools.product(shifts.items(), (("up", 1.0), ("down", -1.0))):
        jet = np.where(tagged, 1.0 + sign * shift, 1.0 - sign * shift * efficiency / (1.0 - efficiency))
        weights[f"{name}_{direction}"] = np.where(pt > PT_MIN, jet, 1.0).prod(axis=0)
    return weights


def _templates(sample: str, seed: int) -> Templates:
    """Nominal and varied histograms of one sample."""
    generate, cross_section, n = SAMPLES[sample]
    # Streams are named, so that a sample stays as it is when another one is added.
    rng = np.random.default_rng([seed, zlib.crc32(sample.encode())])
    events = generate(rng, n)
    true_pt = np.hypot(events.momenta[:, 1], events.momenta[:, 2])
    central = np.abs(events.momenta[:, 3]) < np.sinh(ETA_MAX) * true_pt
    smearing = rng.normal(0.0, 1.0, true_pt.shape) * np.hypot(0.8 / np.sqrt(true_pt), 0.05)
    pt, worse = (central * true_pt * np.maximum(1.0 + width * smearing, 0.1) for width in (1.0, 1.15))
    tagged = central & (rng.random(pt.shape) < TAG_EFFICIENCY[events.flavours])

    shifted = {"jes_up": 1.015 * pt, "jer_up": worse}
    weights = {"nominal": np.ones(n)} | _btag_weights(events, pt, tagged)
    hardness = np.minimum(events.hard_pt, 400.0) / 100.0 - 1.0
    if sample == "ttbar":
        weights |= {"me_up": 1.0 + 0.06 * hardness, "ttbar_scale_up": 1.04 + 0.02 * hardness}
        weights |= {"ttbar_scale_down": 0.95 - 0.03 * hardness}
        # More radiation, at the expense of the energy that stays inside the jets of the decay.
        shifted["ps_up"] = pt * np.array([0.99, 0.99, 0.985, 0.985, 1.15])[:, None]
    elif sample == "wjets":
        weights |= {"wjets_scale_up": 1.25 + 0.08 * hardness, "wjets_scale_down": 0.82 - 0.05 * hardness}

    passes: list[tuple[Array, dict[str, Array]]] = [(pt, weights)]
    passes += [(other, {name: np.ones(n)}) for name, other in shifted.items()]
    result = {}
    for jet_pt, by_variation in passes:
        for region, selection, observable in _selected(events, jet_pt, tagged):
            bins = np.digitize(observable, EDGES[region])
            for variation, weight in by_variation.items():
                scaled = weight[selection] * (cross_section * LUMINOSITY / n)
                moments = [np.bincount(bins, scaled**power, len(EDGES[region]) + 1)[1:-1] for power in (1, 2)]
                # Mathematical libraries differ in the last digit: round it away, for the same numbers everywhere.
                result[f"{region}/{sample}/{variation}"] = np.array(moments, np.float64).round(6)
    return result


def _pseudodata(templates: Templates, region: str, rng: np.random.Generator) -> Array:
    """Poisson counts around the expectation at TRUTH."""
    expected = variance = np.zeros(len(EDGES[region]) - 1)
    for sample in SAMPLES:
        nominal, nominal_variance = templates[f"{region}/{sample}/nominal"]
        rate = nominal
        for name, pull in TRUTH.items():
            up, down = (templates.get(f"{region}/{sample}/{name}_{side}") for side in ("up", "down"))
            if up is not None:
                varied, shift = (down, -pull) if pull < 0.0 and down is not None else (up, pull)
                rate = rate + shift * (varied[0] - nominal)
        factor = (TRUTH["ttbar_norm"] if sample == "ttbar" else 1.0) * (1.0 + 0.03 * TRUTH["luminosity"])
        expected = expected + factor * rate
        variance = variance + factor**2 * nominal_variance
    # Nature's rates differ from the simulation's by the latter's statistical error.
    counts = rng.poisson(rng.normal(expected, np.sqrt(variance)))
    return np.stack([counts, counts]).astype(np.float64)


def histograms(path: pathlib.Path, *, seed: int = 1) -> None:
    """Write the histograms of data, samples and variations to a ROOT file.

    Args:
        path: file to write, replaced if it exists
        seed: of simulation and pseudo-data; the same seed gives the same numbers
    """
    import boost_histogram as bh  # like uproot not needed to import the example
    import uproot

    templates: Templates = {}
    for sample in SAMPLES:
        templates |= _templates(sample, seed)
    rng = np.random.default_rng([seed, zlib.crc32(b"pseudodata")])
    templates |= {f"{region}/pseudodata/nominal": _pseudodata(templates, region, rng) for region in EDGES}
    with uproot.recreate(path) as file:
        for name, template in templates.items():
            histogram = bh.Histogram(bh.axis.Variable(EDGES[name.partition("/")[0]]), storage=bh.storage.Weight())
            histogram[...] = template.T
            file[name] = histogram
