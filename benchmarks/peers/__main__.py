"""``python -m benchmarks.peers NAME JOB ANSWERS``: a fitter answers the tasks of a job file, in its own environment."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any


def main(name: str, job: Path, answers_file: Path) -> None:
    """Write the answers after each task, so that a fitter stopped in the middle leaves those it gave."""
    from benchmarks.peers.protocol import answers

    made = json.loads(job.read_text())
    kind, _, solver = name.partition(":")
    fitter = importlib.import_module(f"benchmarks.peers.{kind}").Fitter
    peer = fitter(made["workspace"], *([solver] if solver else []))

    def done(so_far: dict[str, Any]) -> None:
        answers_file.write_text(json.dumps({"settings": peer.settings, "tasks": so_far}))

    answers(peer, made, done)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # what a fitter warns of is seen in its numbers
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
