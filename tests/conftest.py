"""What every test shares. x64 is not switched on here: the library does that by itself, and the tests hold it to it."""

from pathlib import Path

import jax
import matplotlib
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")  # a silent broadcast is a bug
matplotlib.use("Agg")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference workspaces beside the repository; without it the tests that need it are skipped."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "workspaces" / "INDEX.json").is_file():
        pytest.skip("there is no ../shared/workspaces/INDEX.json beside the repository")
    return folder
