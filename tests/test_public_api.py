"""The public names of the package: a change of them is a decision, made here and in CHANGELOG.md."""

import inspect
from pathlib import Path
from types import ModuleType

import pytest

import jaxfit

PUBLIC = [
    "Diagnosis",
    "FeldmanCousinsResults",
    "FitError",
    "FitResults",
    "FitWarning",
    "GoodnessOfFitResults",
    "HypotestResults",
    "ImpactResults",
    "InputError",
    "IntervalResults",
    "JaxfitError",
    "LimitResults",
    "ModelPrediction",
    "RankingResults",
    "Scan2DResults",
    "ScanResults",
    "SignificanceResults",
    "Status",
    "ToyResults",
    "ToySummary",
    "asimov",
    "feldman_cousins",
    "fit",
    "goodness_of_fit",
    "hypotest",
    "impacts",
    "intervals",
    "limit",
    "load_results",
    "optimizer",
    "prediction",
    "ranking",
    "scan",
    "scan2d",
    "significance",
    "toys",
]


def test_all_is_the_agreed_list():
    assert list(jaxfit.__all__) == PUBLIC


def test_dir_shows_the_public_names_and_nothing_foreign():
    visible = {name: getattr(jaxfit, name) for name in dir(jaxfit) if not name.startswith("_")}
    modules = {name: value for name, value in visible.items() if isinstance(value, ModuleType)}
    assert sorted(visible.keys() - modules.keys()) == sorted(PUBLIC)
    assert [name for name, module in modules.items() if module.__name__ != f"jaxfit.{name}"] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_has_a_docstring(name):
    value = getattr(jaxfit, name)
    assert callable(value)
    documented = {name: value}
    if inspect.isclass(value):
        own = {key: member for key, member in vars(value).items() if not key.startswith("_")}
        documented |= {f"{name}.{key}": member for key, member in own.items() if inspect.isroutine(member)}
    # A dataclass without a docstring gets its signature as one.
    bare = [label for label, item in documented.items() if (item.__doc__ or f"{name}(").startswith(f"{name}(")]
    assert bare == []


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_hides_no_module(name):
    modules = {path.stem for path in Path(jaxfit.__file__).parent.iterdir()}
    assert name not in modules
