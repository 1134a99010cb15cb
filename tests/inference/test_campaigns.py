"""Toys by threads, processes and dask; checkpoints; nothing is lost, and nothing depends on who did it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from models import model_and_data

import jaxfit
from jaxfit import FitWarning, InputError, JaxfitError, Status
from jaxfit.inference import campaigns
from jaxfit.inference.experiments import Outcomes

NUMBER, SETTINGS = 300, {"seed": 2, "progress": False}
FIELDS = ("bestfit", "uncertainty", "best_twice_nll", "edm", "iterations", "status")
HERE = Path(__file__)


def model():
    return model_and_data("staterror")[0]


@pytest.fixture(scope="module")
def whole():
    return jaxfit.toys(model(), NUMBER, **SETTINGS)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(campaigns, "_chunk_size", lambda *_: 64)


def assert_same(one, other):
    assert one.converged
    for name in FIELDS:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=1e-10, err_msg=name)


def chunks_in(folder):
    """First toy and number of every finished chunk."""
    return sorted(tuple(map(int, path.stem.split("-")[1:])) for path in Path(folder).glob("toys-*.npz"))


def pool():
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


class InTurn(Executor):
    """Does what it is given at once; breaks for ever after some calls."""

    def __init__(self, calls=10**9, error=BrokenExecutor):
        self.calls, self.error = calls, error

    def submit(self, task, /, *args):
        if self.calls == 0 and self.error is BrokenExecutor:
            raise BrokenExecutor("gone")
        future = Future()
        if self.calls > 0:
            future.set_result(task(*args))
        else:
            future.set_exception(self.error("lost"))
        self.calls -= 1
        return future


# -- chunks ------------------------------------------------------------------------------------------------------------


def test_missing_runs_are_cut_in_chunks():
    done = np.zeros(20, dtype=bool)
    done[[0, 1, 7, 19]] = True
    cut = campaigns._missing(done, 100, 4)
    assert cut == [(102, 4), (106, 1), (108, 4), (112, 4), (116, 3)]
    assert campaigns._missing(np.ones(5, dtype=bool), 0, 4) == []
    assert campaigns._missing(np.zeros(5, dtype=bool), 0, 5) == [(0, 5)]


def test_memory_bounds_chunks(monkeypatch):
    class Plan:
        bytes_of_toy = 1000

    monkeypatch.setattr(campaigns, "_threads", lambda: 2)
    assert campaigns._chunk_size(Plan, 2e6, 10**6) == 1024
    assert campaigns._chunk_size(Plan, 1e6, 10**6) == 64
    assert campaigns._chunk_size(Plan, 1.0, 10**6) == 1
    assert campaigns._chunk_size(Plan, 2e6, 101) == 51


@pytest.mark.usefixtures("small_chunks")
def test_threads_and_chunks_change_nothing(whole):
    assert_same(jaxfit.toys(model(), NUMBER, **SETTINGS), whole)
    assert_same(jaxfit.toys(model(), NUMBER, executor=InTurn(), **SETTINGS), whole)
    late = jaxfit.toys(model(), 100, first=150, **SETTINGS)
    np.testing.assert_array_equal(late.bestfit, whole.bestfit[150:250])


@pytest.mark.usefixtures("small_chunks")
def test_a_chunk_is_tried_three_times(whole):
    class Flaky(Exception):
        pass

    failing = InTurn(2, Flaky)
    with pytest.raises(JaxfitError, match=r"toys \d+ to \d+ failed 3 times, the last time with: Flaky\('lost'\)"):
        jaxfit.toys(model(), NUMBER, executor=failing, **SETTINGS)

    class Once(InTurn):
        def submit(self, task, /, *args):
            future = super().submit(task, *args)
            if self.calls == 0:
                self.calls = 10**9  # it works again
            return future

    calls = Once(3, Flaky)
    assert_same(jaxfit.toys(model(), NUMBER, executor=calls, **SETTINGS), whole)


@pytest.mark.usefixtures("small_chunks")
def test_a_broken_executor_is_replaced(whole):
    made = []

    def make():
        made.append(InTurn(2))
        return made[-1]

    assert_same(jaxfit.toys(model(), NUMBER, executor=make, **SETTINGS), whole)
    assert len(made) == 3  # 300 toys are 5 chunks
    # one that cannot be made again: the rest is done here
    assert_same(jaxfit.toys(model(), NUMBER, executor=InTurn(2), **SETTINGS), whole)


def test_executors_that_never_work():
    with pytest.raises(
        JaxfitError, match=r"toys 0 to \d+ failed 3 times, the last time with: BrokenExecutor\('gone'\)"
    ):
        jaxfit.toys(model(), 10, executor=lambda: InTurn(0), **SETTINGS)


@pytest.mark.usefixtures("small_chunks")
def test_mistakes_are_not_tried_again(monkeypatch):
    calls = []

    def refuse(*_):
        calls.append(1)
        raise InputError("no")

    monkeypatch.setattr(campaigns, "perform", refuse)
    with pytest.raises(InputError, match="no"):
        jaxfit.toys(model(), 10, executor=InTurn(), **SETTINGS)
    assert len(calls) == 1


# -- checkpoints -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_chunks")
def test_interrupt_and_go_on(whole, tmp_path, monkeypatch):
    perform, calls = campaigns.perform, []

    def interrupted(plan, first, count):
        calls.append(first)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return perform(plan, first, count)

    class Interrupted(InTurn):
        def submit(self, task, /, *args):
            future = Future()
            future.set_result(task(*args))
            self.calls += 1
            return future

    monkeypatch.setattr(campaigns, "_WAITING_ELSEWHERE", 1)
    monkeypatch.setattr(campaigns, "perform", interrupted)
    with pytest.warns(FitWarning, match="172 of 300 best fits did not converge: 172 NOT_RUN"):
        partly = jaxfit.toys(model(), NUMBER, executor=Interrupted(), checkpoint=tmp_path, **SETTINGS)
    assert partly.counts[Status.NOT_RUN] == 172
    np.testing.assert_array_equal(partly.bestfit[:128], whole.bestfit[:128])
    assert np.isnan(partly.bestfit[128:]).all()
    assert partly.summary().left_out == {"NOT_RUN": 172}
    assert chunks_in(tmp_path) == [(0, 64), (64, 64)]

    assert_same(jaxfit.toys(model(), NUMBER, checkpoint=tmp_path, **SETTINGS), whole)
    assert calls[3:] == [128, 192, 256]
    assert chunks_in(tmp_path) == [(0, 64), (64, 64), (128, 64), (192, 64), (256, 44)]
    assert not list(tmp_path.glob("*.part"))
    jaxfit.toys(model(), NUMBER, checkpoint=tmp_path, **SETTINGS)  # nothing is left to do
    assert len(calls) == 6


@pytest.mark.usefixtures("small_chunks")
def test_what_threads_are_doing_is_kept_in_an_interrupt(whole, monkeypatch):
    """Two threads are each in a chunk when the interrupt comes, while the main thread waits."""
    perform, wait, started = campaigns.perform, campaigns.wait, threading.Barrier(3)
    interrupt = threading.Event()

    def slow(plan, first, count):
        started.wait(30)
        interrupt.wait(30)
        return perform(plan, first, count)

    def interrupted(*futures, **how):
        if interrupt.is_set():
            return wait(*futures, **how)
        started.wait(30)
        interrupt.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(campaigns, "_threads", lambda: 2)
    monkeypatch.setattr(campaigns, "perform", slow)
    monkeypatch.setattr(campaigns, "wait", interrupted)
    found = jaxfit.toys(model(), NUMBER, on_failure="ignore", **SETTINGS)
    assert found.counts[Status.NOT_RUN] == NUMBER - 128
    np.testing.assert_array_equal(found.bestfit[:128], whole.bestfit[:128])


@pytest.mark.usefixtures("small_chunks")
def test_chunks_of_other_machines(whole, tmp_path):
    """Two folders with overlapping parts of the ensemble, and what both lack."""
    jaxfit.toys(model(), 100, checkpoint=tmp_path / "one", **SETTINGS)
    jaxfit.toys(model(), 150, first=90, checkpoint=tmp_path / "two", **SETTINGS)
    for path in (tmp_path / "two").iterdir():
        path.rename(tmp_path / "one" / path.name)
    assert_same(jaxfit.toys(model(), NUMBER, checkpoint=tmp_path / "one", **SETTINGS), whole)
    assert [first for first, _ in chunks_in(tmp_path / "one")] == [0, 64, 90, 154, 218, 240]


def test_checkpoints_that_do_not_fit(tmp_path):
    jaxfit.toys(model(), 5, checkpoint=tmp_path, **SETTINGS)
    with pytest.raises(InputError, match=r"toys-000000000-\d.npz is of another model, seed, or other settings"):
        jaxfit.toys(model(), 5, seed=3, progress=False, checkpoint=tmp_path)
    next(tmp_path.glob("toys-*.npz")).write_bytes(b"PK cut off")
    with pytest.raises(InputError, match=r"toys-000000000-\d.npz cannot be read \(.*\): remove it"):
        jaxfit.toys(model(), 5, checkpoint=tmp_path, **SETTINGS)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"checkpoint .*file/folder: "):
        jaxfit.toys(model(), 5, checkpoint=tmp_path / "file" / "folder", **SETTINGS)


def test_a_chunk_is_written_as_a_whole(tmp_path, monkeypatch):
    """Killed while it writes, it leaves nothing that counts as finished."""
    store = campaigns._Store(tmp_path, "digest")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("killed")))
    rows = Outcomes(*(np.zeros((3, 1)) for _ in Outcomes._fields))
    with pytest.raises(OSError, match="killed"):
        store.write(campaigns._Chunk(0, 3), rows)
    assert list(store.chunks()) == []


# -- real workers ------------------------------------------------------------------------------------------------------

SCRIPT = f"""
import sys
sys.path.insert(0, {str(HERE.parents[1])!r})
from models import model_and_data
import jaxfit
if __name__ == "__main__":
    jaxfit.toys(model_and_data("staterror")[0], 20_000, seed=2, progress=False, checkpoint=sys.argv[1])
"""


@pytest.fixture(scope="module")
def twenty_thousand():
    return jaxfit.toys(model(), 20_000, **SETTINGS)


def wait_for(condition, seconds=200.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_killed_and_started_again(twenty_thousand, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)])
    wait_for(lambda: len(chunks_in(tmp_path)) >= 3 or process.poll() is not None)
    process.kill()  # SIGKILL
    assert process.wait() == -signal.SIGKILL
    before = chunks_in(tmp_path)
    assert 3 <= len(before) < 20
    assert_same(jaxfit.toys(model(), 20_000, checkpoint=tmp_path, **SETTINGS), twenty_thousand)
    after = chunks_in(tmp_path)
    assert set(before) <= set(after)
    ends = [first + number for first, number in after]
    assert [first for first, _ in after] == [0, *ends[:-1]]
    assert ends[-1] == 20_000


@pytest.mark.slow
def test_processes_of_which_one_dies(twenty_thousand, tmp_path):
    made = []

    def make():
        made.append(pool())
        return made[-1]

    def kill():
        wait_for(lambda: len(chunks_in(tmp_path)) >= 3)
        os.kill(next(iter(made[0]._processes)), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    found = jaxfit.toys(model(), 20_000, executor=make, checkpoint=tmp_path, **SETTINGS)
    killer.join()
    assert_same(found, twenty_thousand)
    assert len(made) == 2
    assert sum(number for _, number in chunks_in(tmp_path)) == 20_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_dask_of_which_one_worker_dies(twenty_thousand, tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())

        def kill():
            wait_for(lambda: len(chunks_in(tmp_path)) >= 3)
            os.kill(pids[0], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        executor = client.get_executor()
        found = jaxfit.toys(model(), 20_000, executor=executor, checkpoint=tmp_path, **SETTINGS)
        killer.join()
    assert_same(found, twenty_thousand)
    assert sum(number for _, number in chunks_in(tmp_path)) == 20_000


MEMORY = """
import threading, time
import jaxfit
from benchmarks import problems

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

model, _ = problems.model_and_data("ttbar")
jaxfit.toys(model, 10_000, seed=1, progress=False)
start, seen, done = resident(), [], threading.Event()

def watch():
    while not done.wait(0.05):
        seen.append(resident())

thread = threading.Thread(target=watch)
thread.start()
found = jaxfit.toys(model, 100_000, seed=1, progress=False)
done.set()
thread.join()
results = sum(v.nbytes for v in (found.bestfit, found.uncertainty)) / 1e6
print(start, max(seen), max(seen[: len(seen) // 2]), results, len(found.labels), found.converged)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_hundred_thousand_toys():
    """Under 2 GB, and flat: what is taken beyond the results does not grow with their number."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", MEMORY], capture_output=True, text=True, check=True,
                          cwd=HERE.parents[2])  # fmt: skip
    print(done.stdout)
    start, most, first_half, results = map(float, done.stdout.split()[:4])
    assert most < 2000.0
    assert most - start < results + 200.0
    assert most - first_half < 100.0
