"""Workspaces: from a pyhf JSON file to a model and its data, checked once and quickly."""

import json
import logging
import math
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

# jsonschema-rs: 5 ms on a 15 MB workspace where fastjsonschema takes 128 ms and says less (nothing within an anyOf).
import jsonschema_rs
import pyhf
from jsonschema_rs import ValidationErrorKind

from jaxfit.errors import InputError, suggest

log = logging.getLogger(__name__)

_INTERPOLATION = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
_BINWISE = frozenset({"shapefactor", "shapesys", "staterror"})


def load(source: str | os.PathLike[str] | TextIO) -> dict[str, Any]:
    """Read a pyhf workspace and validate it against pyhf's schema.

    Args:
        source: a path, "-" for the standard input, or an open text stream.

    Raises:
        InputError: the source cannot be read, is not JSON, or is no workspace.
    """
    if source == "-":
        source = sys.stdin
    label = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", "input")
    try:
        if isinstance(source, str | os.PathLike):
            with open(source, encoding="utf-8") as stream:
                text = stream.read()
        else:
            text = source.read()
    except OSError as error:
        raise InputError(f"{label}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{label}: not JSON: not UTF-8 text ({error.reason} at byte {error.start})") from error
    try:
        spec = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{label}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except (RecursionError, ValueError) as error:  # too deep, or an integer of too many digits
        raise InputError(f"{label}: not JSON that can be read: {error}") from error
    try:
        _validator().validate(spec)
    except jsonschema_rs.ValidationError as error:
        raise InputError(f"{label}: not a pyhf workspace: {_explain(spec, error)}") from error
    except ValueError as error:  # text that is no Unicode, as in half a surrogate pair
        raise InputError(f"{label}: not a pyhf workspace: {error}") from error
    return dict(spec)


def model_and_data(
    spec: dict[str, Any], *, measurement: str | None = None, asimov: bool = False
) -> tuple[pyhf.Model, list[float]]:
    """Build the model of a valid workspace, and its observed or Asimov data with the auxiliary data.

    The same as ``cabinetry.model_utils.model_and_data`` (interpolation codes 4 and 4p), without schema validation.

    Args:
        spec: a workspace, as ``load`` returns it.
        measurement: the name of the measurement; by default the first one.
        asimov: return the data expected at the nominal parameters instead of the observed data.

    Raises:
        InputError: no such measurement or parameter of interest, lengths that do not fit together, a model that pyhf
            refuses, or observed data that are missing or no counts.
    """
    chosen = _measurement(spec["measurements"], measurement)
    place = f"measurement {chosen['name']!r}"
    poi, parameters = chosen["config"]["poi"], chosen["config"]["parameters"]
    sizes = _parameter_sizes(spec["channels"])
    if poi and poi not in sizes:
        raise InputError(f"{place}: {suggest('parameter of interest', poi, sizes)}")
    for parameter in parameters:
        size = sizes.get(parameter["name"])
        for key, values in parameter.items():
            if size is not None and isinstance(values, list) and len(values) != size:
                raise InputError(f"{place}, parameter {parameter['name']!r}: {len(values)} {key}, expected {size}")
    try:
        # What Workspace.model() does, less its copy of the workspace and its validation of the measurement.
        model = pyhf.Model(
            {"channels": spec["channels"], "parameters": parameters},
            poi_name=poi,
            validate=False,
            modifier_settings=_INTERPOLATION,
        )
    except (
        pyhf.exceptions.InvalidModel,
        pyhf.exceptions.InvalidModifier,
        pyhf.exceptions.InvalidNameReuse,
    ) as error:
        raise InputError(f"{place}: {' '.join(str(error).split())}") from error
    if asimov:
        data: list[float] = pyhf.tensorlib.tolist(model.expected_data(_asimov_parameters(model)))
    else:
        data = _observed(spec["observations"], model.config.channel_nbins) + model.config.auxdata
    return model, data


def _validator() -> jsonschema_rs.Validator:
    """Compile pyhf's workspace schema, its definitions at hand so that nothing is fetched."""
    workspace, definitions = (
        pyhf.schema.load_schema(f"{pyhf.schema.version}/{name}.json") for name in ("workspace", "defs")
    )
    registry = jsonschema_rs.Registry([(schema["$id"], schema) for schema in (workspace, definitions)])
    return jsonschema_rs.validator_for(workspace, base_uri=workspace["$id"], registry=registry, offline=True)


def _explain(spec: Any, error: jsonschema_rs.ValidationError) -> str:
    """Say in one line where a workspace breaks the schema, and how."""
    path, names, value, parent = "", [], spec, ""
    for step in error.instance_path:
        value = value[step]
        if isinstance(step, int):
            path += f"[{step}]"
            if isinstance(value, dict) and isinstance(value.get("name"), str):
                names.append(f"{parent.removesuffix('s')} {value['name']!r}")
        else:
            path += f".{step}"
            parent = step
    kind = error.kind
    if isinstance(kind, ValidationErrorKind.AnyOf):  # a modifier: only the branch of its own type is of interest
        of_type = [branch for branch in kind.context if not any(_is_type_mismatch(error, leaf) for leaf in branch)]
        if of_type:
            return _explain(spec, of_type[0][0])
        types = [leaf.kind.value for branch in kind.context for leaf in branch if _is_type_mismatch(error, leaf)]
        reason = suggest("modifier type", str(value["type"]), types)
    elif isinstance(kind, ValidationErrorKind.Required):
        reason = f"key {kind.property!r} is missing"
    elif isinstance(kind, ValidationErrorKind.AdditionalProperties):
        reason = f"unknown key {', '.join(map(repr, kind.unexpected))}"
    elif isinstance(kind, ValidationErrorKind.Type):
        # json reads NaN, Infinity and 1e999, which the validator takes for null.
        expected = " or ".join(kind.types).replace("number", "finite number")
        found = "an array" if isinstance(value, list) else "an object" if isinstance(value, dict) else json.dumps(value)
        reason = f"expected {expected}, found {_cut(found)}"
    else:
        reason = _cut(error.message)
    named = f" ({', '.join(names)})" if names else ""
    return f"{path.removeprefix('.')}{named}: {reason}" if path else reason


def _is_type_mismatch(modifier: jsonschema_rs.ValidationError, leaf: jsonschema_rs.ValidationError) -> bool:
    return leaf.instance_path == [*modifier.instance_path, "type"]


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _measurement(measurements: Sequence[dict[str, Any]], name: str | None) -> dict[str, Any]:
    names = [measurement["name"] for measurement in measurements]
    if name is None:
        if len(names) > 1:
            log.warning("%d measurements, taking the first: %r", len(names), names[0])
        return measurements[0]
    if name not in names:
        raise InputError(suggest("measurement", name, names))
    return measurements[names.index(name)]


def _parameter_sizes(channels: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Count the components of each parameter as pyhf does, checking that all templates of a channel have its bins."""
    sizes: dict[str, int] = {}
    counted: set[tuple[str, str]] = set()
    for channel in sorted(channels, key=lambda channel: str(channel["name"])):
        n_bins = len(channel["samples"][0]["data"])
        for sample in channel["samples"]:
            place = f"channel {channel['name']!r}, sample {sample['name']!r}"
            _require_bins(place, "data", sample["data"], n_bins)
            for modifier in sample["modifiers"]:
                name, kind, data = modifier["name"], modifier["type"], modifier["data"]
                where = f"{place}, modifier {name!r} ({kind})"
                if kind == "histosys":
                    _require_bins(where, "lo_data", data["lo_data"], n_bins)
                    _require_bins(where, "hi_data", data["hi_data"], n_bins)
                elif kind in ("shapesys", "staterror"):
                    _require_bins(where, "data", data, n_bins)
                if kind == "staterror" and name in sizes and (name, channel["name"]) not in counted:
                    sizes[name] += n_bins  # a staterror over several channels has the bins of all of them
                sizes.setdefault(name, n_bins if kind in _BINWISE else 1)
                counted.add((name, channel["name"]))
    return sizes


def _require_bins(place: str, key: str, values: Sequence[float], n_bins: int) -> None:
    if len(values) != n_bins:
        raise InputError(f"{place}: {len(values)} bins in {key}, expected {n_bins}")


def _observed(observations: Sequence[dict[str, Any]], channel_nbins: dict[str, int]) -> list[float]:
    """Return the counts in the model's order of channels."""
    counts = {observation["name"]: observation["data"] for observation in observations}
    data: list[float] = []
    for channel, n_bins in channel_nbins.items():
        if channel not in counts:
            raise InputError(f"channel {channel!r}: no observation (there are: {', '.join(map(repr, counts))})")
        _require_bins(f"observation of channel {channel!r}", "data", counts[channel], n_bins)
        for i, count in enumerate(counts[channel]):
            if not (math.isfinite(count) and count >= 0):
                raise InputError(
                    f"observation of channel {channel!r}, data[{i}]: {count} is not a finite number of at least 0"
                )
        data += counts[channel]
    return data


def _asimov_parameters(model: pyhf.Model) -> list[float]:
    """Return the parameters at which the Asimov data are made.

    As in cabinetry: the constrained ones at their nominal value, whatever their auxiliary data, the free ones at their
    initial value.
    """
    types = dict(model.config.modifiers)
    values: list[float] = []
    for name in model.config.par_order:
        parameter = model.config.param_set(name)
        if parameter.constrained:
            values += [0.0 if types[name] in ("histosys", "normsys") else 1.0] * parameter.n_parameters
        else:
            values += parameter.suggested_init
    return values
