"""Results as files, JSON or (for large arrays) npz: each saves itself and is read back exactly."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args, get_origin, get_type_hints
from zipfile import BadZipFile

import numpy as np

from jaxfit.errors import InputError
from jaxfit.statuses import Status

__all__ = ["ArrayResults", "Results", "load_results"]

_FORMAT = 1


class Results:
    """Base of all results: a dataclass with a ``kind``, the name it is stored under."""

    kinds: ClassVar[dict[str, type[Results]]] = {}
    kind: ClassVar[str]

    def __init_subclass__(cls, kind: str = "") -> None:
        super().__init_subclass__()
        if kind:
            cls.kind = kind
            cls.kinds[kind] = cls

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result as JSON; :func:`load_results` reads it back exactly."""
        text = json.dumps({"jaxfit_result": self.kind, "format": _FORMAT, **_encode(self)}, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")


class ArrayResults(Results):
    """Base of results with a row for every toy: saved as npz, numpy's format, without pickle."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the arrays as npz, and everything else as a JSON text within; :func:`load_results` reads it."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        arrays: dict[str, Any] = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        header = {name: _encode(value) for name, value in values.items() if name not in arrays}
        text = json.dumps({"jaxfit_result": self.kind, "format": _FORMAT, **header}, allow_nan=False)
        with Path(path).open("wb") as file:
            np.savez(file, header=np.array(text), **arrays)


def load_results(path: str | os.PathLike[str]) -> Results:
    """Read a result written by ``save``.

    The file is a JSON object with ``jaxfit_result`` ("fit", "scan", "ranking", ...), ``format`` (1) and the attributes
    by name; arrays are lists, a status is its name, numbers that are not finite are the strings "nan", "inf", "-inf".
    Results of toys are npz files of their arrays, whose ``header`` is such an object with everything else.

    Raises:
        InputError: the file cannot be read or holds no result of this format.
    """
    try:
        with Path(path).open("rb") as file:
            archived = file.read(2) == b"PK"
        content = _unpacked(path) if archived else json.loads(Path(path).read_text(encoding="utf-8"))
        kind = Results.kinds[content.pop("jaxfit_result")]
        if content.pop("format") != _FORMAT:
            raise InputError(f"{path}: written by a newer jaxfit")
        result: Results = _construct(kind, content)
        return result
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a jaxfit result ({error})") from error


def _unpacked(path: str | os.PathLike[str]) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        content: dict[str, Any] = json.loads(str(arrays["header"]))
        return content | {name: arrays[name] for name in arrays.files if name != "header"}


def _encode(value: Any) -> Any:
    match value:
        case Status():
            return value.name
        case _ if is_dataclass(value):
            return {item.name: _encode(getattr(value, item.name)) for item in fields(value)}
        case np.ndarray() | np.generic():
            return _encode(value.tolist())
        case list() | tuple():
            return [_encode(item) for item in value]
        case dict():
            return {key: _encode(item) for key, item in value.items()}
        case float() if not np.isfinite(value):
            return str(value)
        case _:
            return value


def _construct(kind: Any, content: dict[str, Any]) -> Any:
    types = get_type_hints(kind)
    return kind(**{name: _decode(types[name], value) for name, value in content.items()})


def _decode(declared: Any, value: Any) -> Any:
    """A value of the declared type; what is none of the types below is an array (of no dimension: a number)."""
    origin, arguments = get_origin(declared), get_args(declared)
    if isinstance(value, np.ndarray):
        return value
    if declared is Status:
        return Status[value]
    if is_dataclass(declared):
        return _construct(declared, value)
    if origin is tuple:
        each = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
        return tuple(_decode(one, item) for one, item in zip(each, value, strict=True))
    if origin in (dict, Mapping):
        return {key: _decode(arguments[1], item) for key, item in value.items()}
    if origin is list or declared in (str, int, bool):
        return value
    return np.array(value, dtype=float) if isinstance(value, list) else float(value)
