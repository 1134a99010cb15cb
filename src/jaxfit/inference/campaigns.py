"""A plan for many toys carried out in chunks: by threads, or by workers elsewhere, with finished chunks kept in files.

Which chunk a toy is in, who does it, and when, changes nothing of it.
"""

from __future__ import annotations

import os
import pickle
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from jaxfit.errors import InputError, JaxfitError
from jaxfit.inference.experiments import Outcomes, Plan, perform
from jaxfit.lanes import LARGEST
from jaxfit.threads import cores
from jaxfit.typing import NumpyArray

__all__ = ["Workers", "carry_out"]

Workers = Executor | Callable[[], Executor] | None

_ATTEMPTS = 3  # of a chunk
_WAITING = 4  # chunks handed over for each thread here
_WAITING_ELSEWHERE = 256  # chunks handed over to an executor of unknown size


class _Chunk(NamedTuple):
    first: int
    length: int


def carry_out(
    plan: Plan,
    first: int,
    count: int,
    *,
    executor: Workers = None,
    checkpoint: str | os.PathLike[str] | None = None,
    max_memory: float,
    progress: bool | None = None,
) -> Outcomes:
    """Perform the toys ``first`` to ``first + count - 1`` of a plan.

    Args:
        plan: what to do.
        first: number of the first toy.
        count: number of toys.
        executor: who does it. None: threads, one for each core (or each GPU). An ``Executor``: of other processes or
            machines, which have this library. A function without arguments that makes one: it is called again if its
            executor breaks, as a process pool does when a worker dies.
        checkpoint: folder of finished chunks; those found there are not done again.
        max_memory: bytes that the arrays of a chunk may take, roughly.
        progress: whether to show a progress bar; None: in a terminal.

    Returns:
        The outcomes; toys that an interrupt from the keyboard left undone are NOT_RUN.

    Raises:
        InputError: the folder holds toys of another plan, or cannot be written.
        JaxfitError: a chunk failed three times.
    """
    outcomes = Outcomes.blank(plan, count)
    store = None if checkpoint is None else _Store(Path(checkpoint), plan.digest)
    done = np.zeros(count, dtype=bool)
    for chunk, rows in store.chunks() if store else ():
        _insert(outcomes, done, chunk, rows, first)
    size = _chunk_size(plan, max_memory, count - int(done.sum()))
    hidden = None if progress is None else not progress
    bar = tqdm(total=count, initial=int(done.sum()), unit=" toys", desc="toys", disable=hidden)
    with bar, suppress(KeyboardInterrupt):  # what is done is kept, what is not says so
        for chunk, rows in _performed(plan, _missing(done, first, size), executor):
            if store:
                store.write(chunk, rows)
            _insert(outcomes, done, chunk, rows, first)
            bar.update(chunk.length)
    return outcomes


def _insert(outcomes: Outcomes, done: NumpyArray, chunk: _Chunk, rows: Outcomes, first: int) -> None:
    """Copy what is asked for of a chunk."""
    low, high = max(chunk.first, first), min(chunk.first + chunk.length, first + len(done))
    if low < high:
        for whole, part in zip(outcomes, rows, strict=True):
            whole[low - first : high - first] = part[low - chunk.first : high - chunk.first]
        done[low - first : high - first] = True


def _missing(done: NumpyArray, first: int, size: int) -> list[_Chunk]:
    """What is not done, cut in chunks."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], done, [True]]).astype(int)))
    runs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [
        _Chunk(first + low, min(size, end - low)) for start, end in runs for low in range(start, end, size)
    ]  # fmt: skip


def _chunk_size(plan: Plan, max_memory: float, count: int) -> int:
    """Toys in a chunk: as many as a compiled program takes, fewer if memory or their number say so."""
    fitting = next((size for size in (LARGEST, 64) if size * plan.bytes_of_toy <= max_memory), 1)
    return max(1, min(fitting, -(-count // _threads())))


def _threads() -> int:
    if jax.default_backend() != "cpu":
        return len(jax.local_devices())
    return cores()


# -- the workers -------------------------------------------------------------------------------------------------------


def _performed(plan: Plan, chunks: list[_Chunk], executor: Workers) -> Iterator[tuple[_Chunk, Outcomes]]:
    """Chunks as they are finished. One whose worker dies is done again, up to three times."""
    own = not isinstance(executor, Executor)
    make = executor if callable(executor) else partial(ThreadPoolExecutor, _threads())
    pool = executor if isinstance(executor, Executor) else make()
    here = partial(_perform_here, _devices(), plan)
    task = here if executor is None else partial(_perform_elsewhere, _packed(plan))
    most = _WAITING * _threads() if executor is None else _WAITING_ELSEWHERE
    waiting, attempts = deque(chunks), Counter[_Chunk]()
    running: dict[Future[Outcomes], _Chunk] = {}
    interrupted = False
    try:
        while running or (waiting and not interrupted):
            broken = False
            while waiting and len(running) < most and not (broken or interrupted):
                try:
                    running[pool.submit(task, *waiting[0])] = waiting[0]
                    waiting.popleft()
                except BrokenExecutor as error:
                    broken = True
                    _count(attempts, waiting[0], error)
            try:
                done = wait(running, return_when=FIRST_COMPLETED).done
            except KeyboardInterrupt:
                if interrupted:
                    raise
                # what is being done is waited for, and kept
                interrupted = True
                running = {future: chunk for future, chunk in running.items() if not future.cancel()}
                continue
            for future in done:
                chunk = running.pop(future)
                try:
                    rows = future.result()
                except JaxfitError:
                    raise
                except Exception as error:
                    broken |= isinstance(error, BrokenExecutor)
                    _count(attempts, chunk, error)
                    waiting.append(chunk)
                    continue
                yield chunk, rows
            if broken and not interrupted:
                # all that was running on it ends now, and is handed over again
                pool, own = make(), True
                task = here if isinstance(executor, Executor) else task
    finally:
        for future in running:
            future.cancel()
        if own:
            pool.shutdown(wait=executor is None, cancel_futures=True)


def _count(attempts: Counter[_Chunk], chunk: _Chunk, error: Exception) -> None:
    """Count an attempt that failed."""
    attempts[chunk] += 1
    if attempts[chunk] == _ATTEMPTS:
        toys = f"toys {chunk.first} to {chunk.first + chunk.length - 1}"
        raise JaxfitError(f"{toys} failed {_ATTEMPTS} times, the last time with: {error!r}") from error


def _perform_here(devices: SimpleQueue[Any], plan: Plan, first: int, count: int) -> Outcomes:
    """In a thread, which takes a core or a GPU as long as it runs; compiled programs run outside of Python's lock."""
    device = devices.get()
    try:
        with jax.default_device(device):
            return perform(plan, first, count)
    finally:
        devices.put(device)


def _devices() -> SimpleQueue[Any]:
    """One for each thread: JAX's GPUs, or its only CPU device for each core."""
    devices: SimpleQueue[Any] = SimpleQueue()
    for device in jax.local_devices() if jax.default_backend() != "cpu" else [None] * _threads():
        devices.put(device)
    return devices


def _packed(plan: Plan) -> bytes:
    return zlib.compress(pickle.dumps(plan), level=1)


@lru_cache(maxsize=2)
def _unpacked(packed: bytes) -> Plan:
    plan: Plan = pickle.loads(zlib.decompress(packed))
    return plan


def _perform_elsewhere(packed: bytes, first: int, count: int) -> Outcomes:
    """In the process of a worker."""
    return perform(_unpacked(packed), first, count)


# -- the files ---------------------------------------------------------------------------------------------------------


class _Store:
    """A folder of finished chunks of one plan, one npz file each; from any machine, in any number."""

    def __init__(self, folder: Path, digest: str) -> None:
        self._folder, self._digest = folder, digest
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"checkpoint {folder}: {error.strerror or error}") from error

    def chunks(self) -> Iterator[tuple[_Chunk, Outcomes]]:
        """All that are finished."""
        for path in sorted(self._folder.glob("toys-*.npz")):
            try:
                with np.load(path, allow_pickle=False) as file:
                    digest, first = str(file["digest"]), int(file["first"])
                    rows = Outcomes(*(file[name] for name in Outcomes._fields))
            except Exception as error:
                reason = " ".join(str(error).split())
                raise InputError(
                    f"checkpoint {path} cannot be read ({reason}): remove it to do its toys again"
                ) from None
            if digest != self._digest:
                raise InputError(f"checkpoint {path} is of another model, seed, or other settings: take another folder")
            yield _Chunk(first, len(rows.edm)), rows

    def write(self, chunk: _Chunk, rows: Outcomes) -> None:
        """Keep a chunk: it is there as a whole, or not at all."""
        path = self._folder / f"toys-{chunk.first:09d}-{chunk.length}.npz"
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        with unfinished.open("wb") as file:
            np.savez(file, digest=np.array(self._digest), first=np.array(chunk.first), **rows._asdict())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
