"""What a fitter must answer, and how it is timed; runs in the fitter's own environment: needs only numpy and pyhf.

A question of many fits is a list of fits with something held, or of other data. A fitter without batches makes them one
after another for as long as the budget lasts; the time of all is then estimated from those made, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyhf

__all__ = ["TASKS", "Answer", "Held", "Made", "Peer", "Point", "answers"]

TASKS = ("fit", "uncertainties", "scan", "ranking", "limit", "toys")
_REPEATS, _SHORT = 300, 1.0  # most warm calls of a task, and the seconds after which no further one is made

Point = np.ndarray  # parameters in pyhf's order
Held = Mapping[str, float]  # parameters held, at which values


@dataclass(frozen=True)
class Answer:
    """One fitter's answer to one question.

    Attributes:
        seconds: of a warm call, the median of several; of all parts, where only some were made.
        first: seconds of the first call, which compiles where there is something to compile.
        made: how many of the question's parts were made.
        parts: how many fits (or pairs of fits, for toys) the question asks for.
        points: for each fit made (of toys: of the first) the parameters at its minimum, in pyhf's order.
        values: what else was asked: uncertainties of all parameters, or the limits (observed, then expected from -2 to
            +2 standard deviations); empty for other questions.
        error: why there is no answer.
    """

    seconds: float = float("nan")
    first: float = float("nan")
    made: int = 0
    parts: int = 1
    points: list[list[float]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    error: str = ""


class Made(NamedTuple):
    """How many parts of a question of several fits were made, and a call for their minima, outside of the clock."""

    parts: int
    points: Callable[[], list[Point]]


class Peer:
    """A fitter of one workspace with one POI; a subclass has at least ``fit`` and ``uncertainties``.

    Attributes:
        settings: its tolerances and what else matters, in words, for the tables.
        compiles: whether the first call is slower than the others.
        model: pyhf's model, normsys code 4 and histosys code 4p, as the fitter must use them.
        data: the observed data with the auxiliary data, as pyhf orders them.
    """

    settings = ""
    compiles = False

    def __init__(self, spec: dict[str, Any]) -> None:
        workspace = pyhf.Workspace(spec, validate=False)
        codes = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
        self.model = workspace.model(modifier_settings=codes, validate=False)
        self.data = np.array(workspace.data(self.model))
        self.poi = str(self.model.config.poi_name)

    def settings_of(self, held: Held, start: Point | None) -> tuple[np.ndarray, np.ndarray]:
        """Start values, and which parameters are fixed."""
        init = np.array(self.model.config.suggested_init() if start is None else start, dtype=float)
        fixed = np.array(self.model.config.suggested_fixed())
        for name, value in held.items():
            index = self.model.config.par_names.index(name)
            init[index], fixed[index] = value, True
        return init, fixed

    def fit(self, data: np.ndarray, held: Held, start: Point | None) -> Point:
        """The minimum for these data (with their auxiliary data), from a start point, default the model's.

        Raises:
            Exception: any, if the fit failed; its text is shown in the table.
        """
        raise NotImplementedError

    def uncertainties(self) -> tuple[Point, np.ndarray]:
        """Minimum of the observed data, and the standard deviations of all parameters (0 if fixed)."""
        raise NotImplementedError

    def limit(self, bracket: tuple[float, float]) -> np.ndarray:
        """CLs upper limits at 95 %, q-tilde, asymptotic: observed, and expected from -2 to +2 standard deviations."""
        raise NotImplementedError

    def scan(self, values: Sequence[float], budget: float) -> Made:
        """The POI held at each of the values."""
        start = self.fit(self.data, {}, None)
        return _while(budget, [lambda v=v: self.fit(self.data, {self.poi: v}, start) for v in values])

    def ranking(self, refits: Sequence[tuple[str, float]], budget: float) -> Made:
        """A nuisance parameter held at a value, for each of the refits."""
        start = self.fit(self.data, {}, None)
        return _while(budget, [lambda n=n, v=v: self.fit(self.data, {n: v}, start) for n, v in refits])

    def toys(self, data: Sequence[np.ndarray], tested: float, budget: float) -> Made:
        """For each toy the minimum, and the minimum with the POI held at the tested value."""

        def both(toy: np.ndarray) -> np.ndarray:
            return np.array([self.fit(toy, {}, None), self.fit(toy, {self.poi: tested}, None)])

        made = _while(budget, [lambda t=t: both(t) for t in data])
        return Made(made.parts, lambda: [point for two in made.points() for point in two])


def _while(budget: float, parts: Sequence[Callable[[], Any]]) -> Made:
    """The parts, one after another, at least one, until the budget is spent."""
    end, made = time.perf_counter() + budget, []
    for part in parts:
        made.append(part())
        if time.perf_counter() > end:
            break
    return Made(len(made), lambda: made)


def answers(peer: Peer, job: Mapping[str, Any], done: Callable[[dict[str, Any]], None]) -> None:
    """Ask a fitter all tasks of a job, and hand over the answers after each."""
    made = {}
    for task, how in job["tasks"].items():
        parts = len(how.get("values") or how.get("refits") or how.get("data") or [0])
        made[task] = asdict(_answer(peer, _question(peer, task, how, job["budget"]), parts))
        done(made)


def _question(peer: Peer, task: str, how: Mapping[str, Any], budget: float) -> Callable[[], tuple[Made, Any]]:
    """The call to time, which returns what was made and other values."""
    if task == "toys":
        toys = [np.array(toy) for toy in how["data"]]
        return lambda: (peer.toys(toys, how["tested"], budget), ())
    return {
        "fit": lambda: (_one(peer.fit(peer.data, {}, None)), ()),
        "uncertainties": lambda: (lambda point, sigma: (_one(point), sigma))(*peer.uncertainties()),
        "scan": lambda: (peer.scan(how["values"], budget), ()),
        "ranking": lambda: (peer.ranking([(name, value) for name, value in how["refits"]], budget), ()),
        "limit": lambda: (Made(1, list), peer.limit((how["bracket"][0], how["bracket"][1]))),
    }[task]


def _one(point: Point) -> Made:
    return Made(1, lambda: [point])


def _enough(warm: Sequence[float]) -> bool:
    return bool(warm) and (sum(warm) >= _SHORT or len(warm) >= _REPEATS)


def _answer(peer: Peer, question: Callable[[], tuple[Made, Any]], parts: int) -> Answer:
    times: list[float] = []
    try:
        while not _enough(times[1:] if peer.compiles else times):
            start = time.perf_counter()
            made, values = question()
            times.append(time.perf_counter() - start)
        points = [np.asarray(point, float).tolist() for point in made.points()]
    except Exception as error:  # whatever a fitter raises is its answer
        return Answer(parts=parts, error=(f"{type(error).__name__}: {error}".splitlines() or [""])[0][:200])
    return Answer(
        seconds=float(np.median(times[1:] or times)) * parts / made.parts,
        first=times[0],
        made=made.parts,
        parts=parts,
        points=points,
        values=np.asarray(values, float).tolist(),
    )
