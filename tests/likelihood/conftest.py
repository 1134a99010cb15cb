"""What the tests of the likelihood share; the models to compare are in ``cases``."""

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest


@pytest.fixture(autouse=True)
def _x64() -> Iterator[None]:
    """The library does this at its entry points; the tests of this folder call beneath them."""
    with jax.enable_x64(True):
        yield


# Compiling pyhf's derivatives of these takes several seconds
LARGE = {
    "agc_ttbar_1file_25bin.json",
    "agc_ttbar_5files.json",
    "atlas_1Lbb_2020__C1N2_Wh_hbb_1000_0.json",
    "atlas_3LRJ_2020__ERJR_100p0_20p0.json",
    "atlas_3L_2021_offshell_full__WZ_300_220.json",
    "atlas_4L_2021_bkg_poi_mu_ZZ.json",
    "ttbar_ljets_xsec_pruned.json",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the argument ``file`` runs on every shared workspace."""
    if "file" in metafunc.fixturenames:
        folder = Path(__file__).resolve().parents[3] / "shared" / "workspaces"
        files = sorted(path.name for path in folder.glob("*.json") if path.name != "INDEX.json")
        marks = [[pytest.mark.slow] if file in LARGE else [] for file in files]
        metafunc.parametrize("file", [pytest.param(f, marks=m) for f, m in zip(files, marks, strict=True)])
