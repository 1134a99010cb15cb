"""Specifications for the tests: those of the registry, and one with every type of modifier."""

import copy

import models


def spec_of(name):
    workspace = models.WORKSPACES[name]
    return {"channels": workspace["channels"], "parameters": workspace["measurements"][0]["config"]["parameters"]}


def channels():
    """Two channels of two bins with every type of modifier."""
    modifiers = [
        {"name": "norm", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}},
        {"name": "shape", "type": "histosys", "data": {"lo_data": [9.0, 8.0], "hi_data": [11.0, 12.0]}},
        {"name": "stat", "type": "staterror", "data": [1.0, 2.0]},
        {"name": "mu", "type": "normfactor", "data": None},
        {"name": "lumi", "type": "lumi", "data": None},
    ]
    small = copy.deepcopy(modifiers)
    small[1]["data"] = {"lo_data": [0.9, 1.8], "hi_data": [1.1, 2.2]}
    return [
        {
            "name": channel,
            "samples": [
                {"name": "b", "data": [10.0, 10], "modifiers": [*copy.deepcopy(modifiers), {**gamma, "name": channel}]},
                {"name": "s", "data": [1.0, 2.0], "modifiers": copy.deepcopy(small)},
            ],
        }
        for channel in ("SR", "CR")
        for gamma in [{"type": "shapesys" if channel == "SR" else "shapefactor", "data": [3.0, 4.0]}]
    ]


def put(tree, path, value):
    *parents, last = path
    for step in parents:
        tree = tree[step]
    tree[last] = value
