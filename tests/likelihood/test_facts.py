"""What is told of a model: its digest."""

from models import WORKSPACES, model_and_data

from jaxfit import workspaces
from jaxfit.likelihood import model_digest


def test_digest_tells_models_apart():
    models = [model_and_data(name)[0] for name in WORKSPACES]
    assert len({model_digest(model) for model in models}) == len(models)


def test_digest_tells_interpolation_codes_apart():
    """Their arrays can be the same."""
    codes = [(factor, shape) for factor in ("code1", "code4") for shape in ("code0", "code2", "code4p")]
    digests = {model_digest(model_and_data("everything", *pair)[0]) for pair in codes}
    assert len(digests) == len(codes)


def test_digest_of_the_same_workspace_is_the_same():
    one, _ = workspaces.model_and_data(WORKSPACES["everything"])
    other, _ = workspaces.model_and_data(WORKSPACES["everything"])
    assert one is not other
    assert model_digest(one) == model_digest(other)
