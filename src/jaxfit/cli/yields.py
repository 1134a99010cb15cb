"""``jaxfit predict``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pyhf import Model

import jaxfit
from jaxfit.cli.runs import Answer, question
from jaxfit.results import significant

__all__ = ["predict"]


class _Yields(NamedTuple):
    """Predictions before and after a fit, and the data they are compared with."""

    fit: jaxfit.FitResults
    data: list[list[float]]
    predictions: dict[str, jaxfit.ModelPrediction]

    @property
    def converged(self) -> bool:
        return self.fit.converged

    def save(self, path: Path, /) -> None:
        """As JSON: numbers indexed by channel, sample and bin, with cabinetry's names; null where there is none."""
        config = next(iter(self.predictions.values())).model.config
        content: dict[str, Any] = {"status": self.fit.status.name, "channels": config.channels}
        content |= {"samples": config.samples, "data": self.data}
        for name, found in self.predictions.items():
            content[name] = {
                "model_yields": [_numbers(channel) for channel in found.model_yields],
                "total_stdev_model_bins": [_numbers(channel) for channel in found.total_stdev_model_bins],
                "total_stdev_model_channels": _numbers(found.total_stdev_model_channels),
            }
        path.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        """How the fit ended, and the yields of every channel."""
        config = next(iter(self.predictions.values())).model.config
        names = [*config.samples, "total"]
        width = max(len(name) for name in [*names, *config.channels])
        lines = [str(self.fit).split("\n")[0]]
        for i, channel in enumerate(config.channels):
            lines += ["", f"{channel:<{width}}" + "".join(f"  {name:>24}" for name in self.predictions)]
            for j, name in enumerate(names):
                lines.append(f"{name:<{width}}" + "".join(f"  {_sum(p, i, j):>24}" for p in self.predictions.values()))
            lines.append(f"{'data':<{width}}  {sum(self.data[i]):>24g}")
        return "\n".join(lines + [f"warning: {warning}" for warning in self.fit.warnings])


@question(example="jaxfit predict workspace.json --output yields.json --figures figures")
def predict(model: Model, data: list[float], **settings: Any) -> Answer:
    """Predict yields before and after a fit.

    Prints them with their uncertainties by channel and sample; --output has every bin: ``prefit`` and ``postfit`` each
    with ``model_yields`` and ``total_stdev_model_bins`` by channel, sample (the last is the total) and bin, and
    ``total_stdev_model_channels`` by channel and sample. WORKSPACE.json can be - for the standard input.
    """
    result = jaxfit.fit(model, data, **settings)
    predictions = {"prefit": jaxfit.prediction(model), "postfit": jaxfit.prediction(model, fit_results=result)}
    observed = [data[where] for where in (model.config.channel_slices[name] for name in model.config.channels)]
    yields = _Yields(result, observed, predictions)
    return Answer(yields, str(yields), lambda plot: plot.prediction_figures(model, data, result))


def _sum(prediction: jaxfit.ModelPrediction, channel: int, sample: int) -> str:
    """Yield of a sample in a channel, the last being the total."""
    yields, sigma = prediction.model_yields[channel], prediction.total_stdev_model_channels[channel][sample]
    number = float(np.sum(yields[sample] if sample < len(yields) else yields))
    return f"{significant(number, sigma)} +/- {significant(sigma, sigma)}"


def _numbers(values: Any) -> Any:
    array = np.asarray(values, dtype=object)
    array[np.isnan(array.astype(float))] = None
    return array.tolist()
