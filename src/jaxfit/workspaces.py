"""Workspaces: from a pyhf JSON file to a model and its data, checked once and quickly."""

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

# jsonschema-rs: 5 ms on a 15 MB workspace where fastjsonschema takes 128 ms and says less (nothing within an anyOf).
import jsonschema_rs
import pyhf
from jsonschema_rs import ValidationErrorKind

from jaxfit import specs
from jaxfit.errors import InputError, suggest

log = logging.getLogger(__name__)

_INTERPOLATION = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
# Memory in bytes that a character of JSON takes at most (as in "[],[],"), and that a modifier takes in pyhf 0.7 per bin
# of all channels and per sample, whether it acts there or not (measured, with temporary arrays).
_BYTES_PER_CHARACTER = 30
_BYTES_PER_MODIFIER = {"normsys": 240, "histosys": 170}
_BYTES_PER_OTHER_MODIFIER = 100


def load(source: str | os.PathLike[str] | TextIO) -> dict[str, Any]:
    """Read a pyhf workspace and validate it against pyhf's schema.

    Args:
        source: a path, "-" for the standard input, or an open text stream.

    Raises:
        InputError: the source cannot be read, is too large, is not JSON, has a key twice in an object, is no workspace.
    """
    if source == "-":
        source = sys.stdin
    label = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", "input")
    longest = int(_memory() / _BYTES_PER_CHARACTER)
    try:
        if isinstance(source, str | os.PathLike):
            with open(source, encoding="utf-8") as stream:
                text = stream.read(longest + 1)
        else:
            text = source.read(longest + 1)
    except OSError as error:
        raise InputError(f"{label}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{label}: not JSON: not UTF-8 text ({error.reason} at byte {error.start})") from error
    if len(text) > longest:
        raise InputError(f"{label}: more than {longest / 1e6:.0f} MB of JSON, which this machine has no memory to read")
    try:
        spec = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise InputError(f"{label}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except RecursionError as error:
        raise InputError(f"{label}: not JSON that can be read: nested too deeply") from error
    except ValueError as error:  # a key twice, or an integer of too many digits
        raise InputError(f"{label}: not JSON that can be read: {error}") from error
    try:
        _validator().validate(spec)
    except jsonschema_rs.ValidationError as error:
        raise InputError(f"{label}: not a pyhf workspace: {_explain(spec, error)}") from error
    except ValueError as error:  # text that is no Unicode, as in half a surrogate pair
        reason = "nested too deeply" if "ecursion" in str(error) else error
        raise InputError(f"{label}: not a pyhf workspace: {reason}") from error
    return dict(spec)


def model_and_data(spec: dict[str, Any], *, measurement: str | None = None) -> tuple[pyhf.Model, list[float]]:
    """Build the model of a valid workspace, and its observed data with the auxiliary data.

    The same as ``cabinetry.model_utils.model_and_data`` (interpolation codes 4 and 4p), without schema validation.

    Args:
        spec: a workspace, as ``load`` returns it.
        measurement: the name of the measurement; by default the first one.

    Raises:
        InputError: as for ``model_of``, or data that are missing or no counts.
    """
    model = model_of(spec, measurement=measurement)
    specs.require_unique("observation of channel", (observation["name"] for observation in spec["observations"]))
    observed = {observation["name"]: observation["data"] for observation in spec["observations"]}
    return model, specs.counts(observed, model.config.channel_nbins) + model.config.auxdata


def model_of(spec: dict[str, Any], *, measurement: str | None = None) -> pyhf.Model:
    """Build the model of a valid workspace, which need not have observations.

    Args:
        spec: a workspace, as ``load`` returns it.
        measurement: the name of the measurement; by default the first one.

    Raises:
        InputError: no such measurement or parameter of interest, something that no fit can use (:mod:`jaxfit.specs`), a
            model that takes more memory than there is or that pyhf refuses.
    """
    chosen = _measurement(spec["measurements"], measurement)
    place = f"measurement {chosen['name']!r}"
    poi, parameters = chosen["config"]["poi"], chosen["config"]["parameters"]
    contents = specs.check({"channels": spec["channels"], "parameters": parameters}, within=place)
    sizes = contents.parameter_sizes()
    if poi and poi not in sizes:
        raise InputError(f"{place}: {suggest('parameter of interest', poi, sizes)}")
    _require_memory(contents)
    try:
        # What Workspace.model() does, less its copy of the workspace and its validation of the measurement.
        return pyhf.Model(
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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, of which Python would keep the last of several values of one key."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        named = f" in the object named {_cut(repr(unique['name']))}" if isinstance(unique.get("name"), str) else ""
        raise ValueError(f"key {_cut(repr(twice))} is there twice{named}")
    return unique


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
    specs.require_unique("measurement", names)
    if name is None:
        if len(names) > 1:
            log.warning("%d measurements, taking the first: %r", len(names), names[0])
        return measurements[0]
    if name not in names:
        raise InputError(suggest("measurement", name, names))
    return measurements[names.index(name)]


def _memory() -> float:
    """Memory in bytes of this machine, or of the container that this process is in."""
    machine = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    try:
        return min(machine, float(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    except (OSError, ValueError):  # no container, or one without a limit
        return machine


def _require_memory(contents: specs.Contents) -> None:
    """Refuse a model for which pyhf, which holds arrays of all modifiers x samples x bins, needs too much memory."""
    modifiers = {kind: len(set(found.names)) for kind, found in contents.modifiers.items()}
    samples, bins = len({sample for _, sample in contents.rows}), sum(contents.sizes.values())
    per_bin = sum(n * _BYTES_PER_MODIFIER.get(kind, _BYTES_PER_OTHER_MODIFIER) for kind, n in modifiers.items())
    needed, there_is = float(per_bin) * samples * bins, _memory()
    if needed > there_is:
        raise InputError(
            f"the model needs about {needed / 1e9:.3g} GB in pyhf, for {sum(modifiers.values())} modifiers x {samples} "
            f"samples x {bins} bins, and this machine has {there_is / 1e9:.3g} GB: give samples and modifiers the same "
            "name in all channels, or leave some out"
        )
