"""Every notebook runs from top to bottom and finds what it should; it is stored without outputs."""

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient

import jaxfit

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
# Variables of a notebook after its last cell with their values, and the number of its figures.
EXPECTED = {
    "ttbar.ipynb": ({"ttbar_norm": 1.0230596, "uncertainty": 0.0520411}, 11),
    "inference.ipynb": (
        {
            "ttbar_norm": 1.0230596,
            "uncertainty": 0.0520411,
            "p_value": 0.9825551,
            "quadratic_sum": 0.0520411,
            "down": -0.0493117,
            "up": 0.0571896,
            "significance": 2.1582290,
            "expected_significance": 1.6676456,
            "observed_limit": 2.2208651,
            "expected_limit": 1.1767205,
            "cls": 0.1077724,
            "expected_uncertainty": 0.0538543,
            "total": 57365.702,
            "total_uncertainty": 259.04730,
        },
        7,
    ),
    # what toys say may change a little with the version of JAX, whose random numbers it depends on
    "toys.ipynb": (
        {
            "bestfit": 1.1305924,
            "uncertainty": 0.8503491,
            "at_bound": pytest.approx(0.375, abs=0.03),
            "coverage": pytest.approx(0.875, abs=0.02),
            "beyond": pytest.approx(0.049, abs=0.013),
            "low": pytest.approx(0.168, abs=0.1),
            "high": pytest.approx(2.89, abs=0.15),
            "asymptotic_high": 2.7940477,
            "without_signal": pytest.approx(0.063, abs=0.03),
            "cls": pytest.approx(0.219, abs=0.055),
            "cls_error": pytest.approx(0.0138, abs=0.002),
            "asymptotic_cls": 0.1935188,
        },
        4,
    ),
}
SLOW = ["inference.ipynb"]


class ThisInterpreter(AsyncKernelManager):
    """Whatever kernels are installed, run the Python of the tests."""

    @property
    def kernel_spec(self):
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python", language="python")


def read(name):
    return nbformat.read(NOTEBOOKS / name, as_version=4)


def test_all_notebooks_are_known():
    assert sorted(EXPECTED) == sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("name", EXPECTED)
def test_stored_without_outputs(name):
    content = read(name)
    assert content.metadata.keys() <= {"kernelspec", "language_info"}
    for cell in content.cells:
        assert not cell.metadata
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in EXPECTED]
)
def test_runs_and_finds_the_expected(name, tmp_path):
    content, (expected, number_of_figures) = read(name), EXPECTED[name]
    code = f"import json; print(json.dumps({{name: float(globals()[name]) for name in {list(expected)}}}))"
    content.cells.append(nbformat.v4.new_code_cell(code))
    package = Path(jaxfit.__file__).parents[1]  # the kernel shall run the tested package
    path = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(content, kernel_manager_class=ThisInterpreter, timeout=240, resources=resources)
    client.execute(env={**os.environ, "PYTHONPATH": path, "MPLBACKEND": "module://matplotlib_inline.backend_inline"})
    found = json.loads(content.cells[-1].outputs[0].text)
    assert found == {
        name: pytest.approx(value, rel=1e-5) if isinstance(value, float) else value for name, value in expected.items()
    }
    assert list(tmp_path.iterdir()) == []  # what it makes does not stay beside it
    figures = [
        output for cell in content.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(figures) == number_of_figures
