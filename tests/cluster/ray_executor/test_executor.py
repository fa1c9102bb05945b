"""The contract that every executor keeps: one record per trial, whatever happens to it."""

import itertools
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.cluster import RayExecutor
from vcm_sweep.sweep import Executor, InProcessExecutor, SobolDesign, Study, StudyError, Trial, TrialRecord, run

FACTORS = ("mismatch.global.mean", "mismatch.d2d.sigma", "T_0.global.mean", "read.noise.sigma")
# Ishigami's x1, x2, x3 in -pi..pi and a dummy, carried by factors of the catalogue.
TEXT = """
[study]
name = "ishigami"
seed = 5
[network]
hidden = [4]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "mismatch.global.mean"
range = [-3.141592653589793, 3.141592653589793]
[[factor]]
name = "mismatch.d2d.sigma"
range = [0.0, 5.0]
[[factor]]
name = "T_0.global.mean"
range = [283.0, 323.0]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
method = "sobol"
n = 512
replicates = 2
[run]
pack = 256
"""


def make_task() -> Callable[[Sequence[Trial]], list[TrialRecord]]:
    """A closure, so that Ray sends it by value: workers cannot import test files."""

    def ishigami(trials: Sequence[Trial]) -> list[TrialRecord]:
        import numpy as np

        from vcm_sweep.sweep import TrialRecord

        records = []
        for t in trials:
            x1, b, c, _ = t.factors.values()
            x2, x3 = (b / 5 * 2 - 1) * np.pi, ((c - 283) / 40 * 2 - 1) * np.pi
            noise = np.random.default_rng(t.seed).normal(scale=2.0)
            y = np.sin(x1) + 7 * np.sin(x2) ** 2 + 0.1 * x3**4 * np.sin(x1) + noise
            records.append(TrialRecord(t.key, t.point, t.replicate, t.factors, t.seed, "ok", accuracy=float(y)))
        return records

    return ishigami


@pytest.fixture(params=["in_process", pytest.param("ray", marks=pytest.mark.ray)])
def make(request: pytest.FixtureRequest) -> Callable[..., Executor]:
    if request.param == "in_process":
        return InProcessExecutor
    request.getfixturevalue("cluster")
    return RayExecutor


def some_trials(count: int) -> list[Trial]:
    return list(itertools.islice(SobolDesign(Study.from_text(TEXT)).trials(), count))


def test_one_record_per_trial(make: Callable[..., Executor]) -> None:
    trials = some_trials(10)
    records = [r for part in make(make_task()).run([trials[:4], trials[4:8], trials[8:]]) for r in part]
    assert sorted(r.key for r in records) == sorted(t.key for t in trials)


def test_no_packs_is_no_work(make: Callable[..., Executor]) -> None:
    assert list(make(make_task()).run([])) == []


def test_a_failing_trial_is_a_record_and_its_pack_mates_go_on(make: Callable[..., Executor]) -> None:
    trials = some_trials(5)
    poison, good = trials[2].key, make_task()

    def sometimes(pack: Sequence[Trial]) -> list[TrialRecord]:
        if any(t.key == poison for t in pack):
            raise ValueError("the cell is on fire\nwith details")
        return good(pack)

    records = {r.key: r for part in make(sometimes).run([trials]) for r in part}
    assert len(records) == 5
    assert [r.status for r in records.values()].count("ok") == 4
    assert records[poison].status == "error"
    assert records[poison].reason == "ValueError: the cell is on fire"


def test_a_users_mistake_is_raised(make: Callable[..., Executor]) -> None:
    def mistaken(pack: Sequence[Trial]) -> list[TrialRecord]:
        from vcm_sweep.sweep import StudyError

        raise StudyError("the data set is not there")

    with pytest.raises(StudyError, match="not there"):
        list(make(mistaken).run([some_trials(2)]))


def test_packs_are_taken_lazily(make: Callable[..., Executor]) -> None:
    taken = 0

    def packs() -> object:
        nonlocal taken
        for trial in some_trials(60):
            taken += 1
            yield [trial]

    running = make(make_task()).run(packs())  # type: ignore[arg-type]
    next(running)
    assert taken < 20
    running.close()  # type: ignore[attr-defined]


def test_a_trials_own_error_is_tried_again(make: Callable[..., Executor], tmp_path: Path) -> None:
    trials, good = some_trials(4), make_task()
    moody, stubborn = trials[1].key, trials[3].key

    def sometimes(pack: Sequence[Trial]) -> list[TrialRecord]:
        # In a pack, and alone for the first time.
        for trial in pack:
            tries = tmp_path / trial.key
            with open(tries, "a") as file:
                file.write(f"{len(pack)} ")
            alone = tries.read_text().split().count("1")
            if trial.key == stubborn or (trial.key == moody and alone < 2):
                raise ValueError(f"attempt {alone}")
        return good(pack)

    records = {r.key: r for part in make(sometimes, retries=2).run([trials]) for r in part}
    assert [records[t.key].status for t in trials] == ["ok", "ok", "ok", "error"]
    assert records[stubborn].reason == "ValueError: attempt 3"
    # The pack, its half, and alone.
    assert [records[key].attempts for key in (moody, stubborn)] == [4, 5]
    assert all(record.node for record in records.values())


@pytest.mark.slow
def test_out_of_memory_makes_smaller_packs(make: Callable[..., Executor]) -> None:
    trials, good = some_trials(8), make_task()
    fat = trials[5].key

    def task(pack: Sequence[Trial]) -> list[TrialRecord]:
        if len(pack) > 3 or any(t.key == fat for t in pack):
            raise MemoryError("no room")
        return good(pack)

    records = {r.key: r for part in make(task).run([trials]) for r in part}
    assert len(records) == 8
    assert [records[t.key].status for t in trials] == ["ok"] * 5 + ["oom"] + ["ok"] * 2
    assert records[fat].reason == "MemoryError: no room"


def test_what_a_task_says_of_its_trials_is_kept(make: Callable[..., Executor]) -> None:
    """A trial that diverged or was late is a record like another: it is not tried again, nor are its pack-mates."""
    trials, good = some_trials(3), make_task()

    def task(pack: Sequence[Trial]) -> list[TrialRecord]:
        import dataclasses

        records = good(pack)
        for record, status in ((0, "diverged"), (1, "timeout")):
            records[record] = dataclasses.replace(records[record], status=status, reason="said so")
        return records

    (records,) = make(task).run([trials])
    assert [(r.status, r.attempts) for r in records] == [("diverged", 1), ("timeout", 1), ("ok", 1)]


def test_numbers_that_are_no_longer_finite_end_one_trial(make: Callable[..., Executor]) -> None:
    """A real training, with a NaN in the scores of one of two."""

    def poisoned(pack: Sequence[Trial]) -> list[TrialRecord]:
        import torch

        from vcm_sweep.sweep import train
        from vcm_sweep.sweep.training.cell_stack import CellStack

        scores = CellStack.scores
        CellStack.scores = lambda stack, x: scores(stack, x) * torch.tensor([1.0, float("nan")])[:, None, None]
        try:
            return train(pack)
        finally:
            CellStack.scores = scores

    text = TEXT.replace("lr = 0.02", "lr = 0.02\ntrain_samples = 64\ntest_samples = 50").replace("-3.14159", "0.14159")
    text = text.replace("3.141592653589793]", "0.3]")
    (records,) = make(poisoned).run([list(SobolDesign(Study.from_text(text)).trials())[:2]])
    assert [r.status for r in records] == ["ok", "diverged"]
    assert "not finite" in records[1].reason


def test_an_interrupt_passes_and_finish_leaves_nothing_running(make: Callable[..., Executor], tmp_path: Path) -> None:
    trials, good = some_trials(30), make_task()

    def slow(pack: Sequence[Trial]) -> list[TrialRecord]:
        import time

        for _ in range(5):
            time.sleep(0.1)
        return good(pack)

    executor = make(slow)
    records: list[TrialRecord] = []

    def consume() -> None:
        for part in executor.run([[trial] for trial in trials]):
            records.extend(part)

    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        consume()
    records += [record for part in executor.finish(2.0) for record in part]
    assert executor.activity() == {}
    assert len({record.key for record in records}) == len(records) < 30
    assert {record.status for record in records} <= {"ok"}


@pytest.mark.ray
def test_a_killed_worker_is_replaced(cluster: object, tmp_path: Path) -> None:
    trials, good, marker = some_trials(3), make_task(), tmp_path / "died"

    def dies_once(pack: Sequence[Trial]) -> list[TrialRecord]:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), 9)
        return good(pack)

    records = [r for part in RayExecutor(dies_once).run([trials]) for r in part]
    assert marker.exists()
    assert [r.status for r in records] == ["ok"] * 3


@pytest.mark.ray
def test_workers_start_in_an_empty_folder(cluster: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own device.py beside the study must not shadow ours."""
    for name in ("device", "sweep", "analysis", "cluster"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path)
    records = [r for part in RayExecutor(make_task()).run([some_trials(2)]) for r in part]
    assert {r.status for r in records} == {"ok"}


def test_ishigami_through_store_executor_and_estimators(make: Callable[..., Executor], tmp_path: Path) -> None:
    from vcm_sweep.analysis import analyze

    results = run(Study.from_text(TEXT), make(make_task()), tmp_path / "out")
    result = analyze(results)
    # Ishigami with a = 7, b = 0.1: total indices .558 .442 .244, a dummy 0; noise of variance 4 beside V = 13.84.
    truth = {
        "mismatch.global.mean": 0.5575,
        "mismatch.d2d.sigma": 0.4424,
        "T_0.global.mean": 0.2437,
        "read.noise.sigma": 0.0,
    }
    for index in result.total:
        assert abs(index.value - truth[index.factor]) < 0.12, index
    assert abs(result.luck.value - 4 / (4 + 13.845)) < 0.05
    again = run(Study.from_text(TEXT), make(failing), tmp_path / "out")
    assert np.array_equal(again.blocks(), results.blocks())


def failing(pack: Sequence[Trial]) -> list[TrialRecord]:
    raise AssertionError("nothing is left to run")


def test_it_tells_what_a_pack_does(make: Callable[..., Executor]) -> None:
    good = make_task()
    design = SobolDesign(Study.from_text(TEXT))

    def slow(pack: Sequence[Trial]) -> list[TrialRecord]:
        import time

        from vcm_sweep.device.doing import Doing

        with Doing("making the tables of the cell") as told:
            told("attempt 2")
            time.sleep(9.0)
        return good(pack)

    executor, over, heard = make(slow), threading.Event(), set[str]()

    def listen() -> None:
        while not over.wait(0.2):
            heard.add(executor.doing())

    listening = threading.Thread(target=listen)
    listening.start()
    try:
        assert sum(len(records) for records in executor.run([[design.trial(0, 0), design.trial(1, 0)]])) == 2
    finally:
        over.set()
        listening.join()
    assert "making the tables of the cell, attempt 2" in heard
