"""``python -m benchmarks.environments [NAME ...]``: virtual environments of the optional fitters, one each.

Their dependencies differ from ours, and from each other's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

__all__ = ["OPTIONAL", "python_of"]

OPTIONAL = {  # what to install, besides pyhf and numpy
    "nextstat": "nextstat==0.10.1",
    "roofit": "root==0.1a12",
    "everwillow": "everwillow==0.1.2",
}
_FOLDER = Path(__file__).parents[1] / ".venv-peers"


def python_of(name: str) -> Path | None:
    """The interpreter of an optional fitter, if it was installed."""
    python = _FOLDER / name / "bin" / "python"
    return python if python.exists() else None


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.environments", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(OPTIONAL)}; default: all")
    for name in parser.parse_args().name or OPTIONAL:
        if name not in OPTIONAL:
            parser.error(f"unknown fitter {name!r}")
        if python_of(name):
            print(f"{name}: is there, in {_FOLDER / name}")
            continue
        print(f"{name}: installing {OPTIONAL[name]}")
        subprocess.run([sys.executable, "-m", "venv", str(_FOLDER / name)], check=True)
        pip = [str(python_of(name)), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, OPTIONAL[name], "pyhf>=0.7.6", "numpy"], check=True)


if __name__ == "__main__":
    main()
