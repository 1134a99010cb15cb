"""Models with one channel: a free signal, and a background with modifiers."""

from jaxfit import workspaces

SIGNAL = {"name": "mu", "type": "normfactor", "data": None}


def histosys(name, lo, hi):
    return {"name": name, "type": "histosys", "data": {"lo_data": lo, "hi_data": hi}}


def spec_of(signal, background, observed, *modifiers, parameters=()):
    """One channel: a free signal, and a background with modifiers."""
    samples = [
        {"name": "signal", "data": signal, "modifiers": [SIGNAL]},
        {"name": "background", "data": background, "modifiers": list(modifiers)},
    ]
    return {
        "channels": [{"name": "SR", "samples": samples}],
        "observations": [{"name": "SR", "data": observed}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": list(parameters)}}],
        "version": "1.0.0",
    }


def model_of(*numbers, **settings):
    """Its model, smoothly interpolated, and its data."""
    return workspaces.model_and_data(spec_of(*numbers, **settings))
