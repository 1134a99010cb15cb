"""A ttbar cross-section measurement: from simulated events to a HistFactory workspace."""

import importlib.resources
import json
import pathlib
from typing import Any

from jaxfit.examples.ttbar.generator import histograms

__all__ = ["histograms", "workspace"]


def workspace(folder: pathlib.Path, *, seed: int = 1) -> dict[str, Any]:
    """Run the analysis up to the fit and return its pyhf workspace.

    Args:
        folder: receives ``config.yml``, ``histograms.root``, cabinetry's ``templates/`` and ``workspace.json``;
            made if missing, files of an earlier run are overwritten
        seed: of the simulation and of the pseudo-data

    Returns:
        the workspace specification, as in ``workspace.json``
    """
    import cabinetry  # takes long (matplotlib), and only this function needs it

    folder = pathlib.Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    config_file = folder / "config.yml"
    config_file.write_bytes(importlib.resources.files(__name__).joinpath("config.yml").read_bytes())
    histograms(folder / "histograms.root", seed=seed)

    config = cabinetry.configuration.load(config_file)
    # The file's paths are relative to itself, cabinetry's to the current directory.
    for path in ("InputPath", "HistogramFolder"):
        config["General"][path] = str(folder / config["General"][path])
    cabinetry.templates.collect(config)
    cabinetry.templates.postprocess(config)
    built = cabinetry.workspace.build(config, with_validation=False)  # pyhf validates when it makes a model of it
    cabinetry.workspace.save(built, folder / "workspace.json")
    result: dict[str, Any] = json.loads((folder / "workspace.json").read_text())  # without the numpy scalars in built
    return result
