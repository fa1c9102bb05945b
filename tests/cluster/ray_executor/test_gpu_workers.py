"""Workers on GPUs that are none: Ray is told of two on this machine, and trainings run on the CPU (all are mocks)."""

import functools
import json
import logging
import os
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vcm_sweep.cluster import RayExecutor
from vcm_sweep.cluster.ray_executor import executor as module
from vcm_sweep.cluster.ray_executor import workers
from vcm_sweep.cluster.ray_executor.resources import PackNeeds
from vcm_sweep.cluster.ray_executor.tasks import GpuWorker, TrainSettings, train_from
from vcm_sweep.sweep import ExecutorError, SobolDesign, Study, Trial, TrialRecord, train
from vcm_sweep.sweep.data.sets import load
from vcm_sweep.sweep.data.shared_data import SharedData

from ...studies import TINY

pytestmark = pytest.mark.ray
GPU = PackNeeds(gpus=1.0)


@pytest.fixture(scope="module")
def gpus(cluster: Any) -> Iterator[None]:
    """A node that says it has two GPUs."""
    node = cluster.add_node(num_cpus=2, num_gpus=2)
    yield
    cluster.remove_node(node)


class Span(NamedTuple):
    """What a pack did from when to when, in which process, with which card."""

    point: int
    what: str
    began: float
    ended: float
    pid: int
    card: str


def packs(count: int, deadline_s: float = 600.0) -> list[list[Trial]]:
    return [[Trial(k, 0, {}, {"k": k}, seed=k, deadline_s=deadline_s)] for k in range(count)]


def trainer(folder: Path, faults: dict[int, str] | None = None, train_s: float = 0.5) -> Callable[..., Any]:
    """A pack that makes cells for 0.2 s and trains, each in its turn, and notes when; a fault happens once."""
    sick = faults or {}

    def run(pack: Sequence[Trial]) -> list[TrialRecord]:
        import json
        import os
        import signal
        import time

        from vcm_sweep.sweep import TrialRecord
        from vcm_sweep.sweep.training.interrupts import told_to_stop
        from vcm_sweep.sweep.training.turns import turns

        def note(what: str, began: float) -> None:
            span = (pack[0].point, what, began, time.time(), os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"])
            with (folder / "spans").open("a") as file:
                file.write(json.dumps(span) + "\n")

        with turns.get().making:
            began = time.time()
            time.sleep(0.2)
            note("make", began)
        with turns.get().training:
            began = time.time()
            marker = folder / f"fault-{pack[0].point}"
            fault = "" if marker.exists() else sick.get(pack[0].point, "")
            if fault:
                marker.touch()
                time.sleep(0.5)  # the next pack is there
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif fault == "freeze":
                os.kill(os.getpid(), signal.SIGSTOP)
            elif fault == "memory":
                raise MemoryError("the card is full")
            while time.time() < began + train_s:
                time.sleep(0.02)
                if told_to_stop.get()():
                    note("saved", began)
                    raise KeyboardInterrupt
            note("train", began)
        return [TrialRecord(t.key, t.point, 0, t.factors, t.seed, "ok") for t in pack]

    return run


def spans(folder: Path, what: str) -> list[Span]:
    lines = (folder / "spans").read_text().splitlines() if (folder / "spans").exists() else []
    return [span for span in (Span(*json.loads(line)) for line in lines) if span.what == what]


def collect(executor: RayExecutor, given: Sequence[Sequence[Trial]]) -> dict[int, TrialRecord]:
    """Records by point, of which there is one each."""
    records = [record for part in executor.run(given) for record in part]
    assert Counter(record.key for record in records) == Counter(trial.key for pack in given for trial in pack)
    return {record.point: record for record in records}


def at_once(one: Span, other: Span) -> bool:
    return max(one.began, other.began) < min(one.ended, other.ended)


def test_mock_gpus_are_both_busy_with_one_process_each_that_makes_the_next_pack_while_one_trains(
    gpus: None, tmp_path: Path
) -> None:
    records = collect(RayExecutor(trainer(tmp_path), needs=GPU), packs(8))
    assert {record.status for record in records.values()} == {"ok"}
    made, trained = spans(tmp_path, "make"), spans(tmp_path, "train")
    by_pid = defaultdict(list)
    for span in trained:
        by_pid[span.pid].append(span)
    # A process for each card, for the whole run.
    assert {frozenset(span.card for span in mine) for mine in by_pid.values()} == {frozenset("0"), frozenset("1")}
    assert all(len(mine) >= 3 for mine in by_pid.values())
    for mine in by_pid.values():
        assert not any(at_once(one, other) for one in mine for other in mine if one != other)
        overlapping = [
            span for span in made for training in mine if span.pid == training.pid and at_once(span, training)
        ]
        # All but the first two packs are made while another trains; the first of all, while nothing does.
        assert len(overlapping) >= len(mine) - 1
    one, other = by_pid.values()
    assert any(at_once(mine, theirs) for mine in one for theirs in other)


def test_a_mock_gpu_that_another_job_holds_keeps_no_pack_waiting(gpus: None, tmp_path: Path) -> None:
    import ray

    class Other:
        def ready(self) -> bool:
            return True

    holder = ray.remote(num_gpus=1)(Other).remote()
    assert ray.get(holder.ready.remote())
    records = collect(RayExecutor(trainer(tmp_path, train_s=0.1), needs=GPU), packs(4))
    ray.kill(holder)
    assert {record.status for record in records.values()} == {"ok"}
    assert {record.attempts for record in records.values()} == {1}
    assert len({span.pid for span in spans(tmp_path, "train")}) == 1


def test_a_worker_of_a_mock_gpu_that_is_killed_is_replaced_and_nothing_is_lost(gpus: None, tmp_path: Path) -> None:
    records = collect(RayExecutor(trainer(tmp_path, {1: "kill", 4: "kill"}, 0.2), needs=GPU), packs(8))
    assert {record.status for record in records.values()} == {"ok"}
    assert records[1].attempts == 2
    assert records[4].attempts in (2, 3)  # on a busy machine it may be beside the first one when that goes
    # The pack that was made beside it goes on in another process.
    assert sum(record.attempts for record in records.values()) <= 8 + 4
    assert len({span.pid for span in spans(tmp_path, "train")}) >= 3


def test_a_worker_of_a_mock_gpu_that_cannot_be_loaded_is_one_line(gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unloadable:
        def __reduce__(self) -> Any:
            return (__import__, ("a_module_that_is_not_there",))

    class Worker(GpuWorker):
        part = Unloadable()

    monkeypatch.setattr(workers, "GpuWorker", Worker)
    with pytest.raises(ExecutorError, match=r"a_module_that_is_not_there.*install the driver's vcm-sweep") as failure:
        list(RayExecutor(len, needs=GPU).run(packs(1)))  # type: ignore[arg-type]
    assert "\n" not in str(failure.value)


@pytest.mark.slow
def test_an_idle_worker_of_a_mock_gpu_that_is_lost_with_its_node_costs_no_pack_an_attempt_of_its_own(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_IN_FLIGHT_PER_SLOT", 1)
    there = PackNeeds(gpus=3.0)  # more than the other tests' node has
    node = cluster.add_node(num_cpus=1, num_gpus=3)
    running = RayExecutor(trainer(tmp_path, train_s=0.1), needs=there).run(packs(2))
    (first,) = next(running)
    os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
    other = cluster.add_node(num_cpus=1, num_gpus=3)
    with caplog.at_level(logging.WARNING):
        ((second,),) = running
    cluster.remove_node(other)
    assert (first.status, second.status) == ("ok", "ok")
    assert second.attempts == 2
    assert [record.cause for record in caplog.records if hasattr(record, "cause")] == ["node lost"]


@pytest.mark.slow
def test_a_pack_that_always_kills_its_worker_on_a_mock_gpu_takes_no_other_with_it(gpus: None, tmp_path: Path) -> None:
    healthy = trainer(tmp_path, train_s=0.05)

    def run(pack: Sequence[Trial]) -> list[TrialRecord]:
        import os
        import signal

        if pack[0].point == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return list(healthy(pack))

    records = collect(RayExecutor(run, needs=GPU), packs(6))
    assert Counter(record.status for record in records.values()) == {"ok": 5, "error": 1}
    assert "lost its worker 3 times" in records[2].reason


@pytest.mark.slow
def test_a_full_mock_card_halves_the_pack_in_the_same_process(gpus: None, tmp_path: Path) -> None:
    whole = [[trial for (trial,) in packs(4)]]
    records = collect(RayExecutor(trainer(tmp_path, {0: "memory"}, 0.1), needs=GPU), whole)
    assert {record.status for record in records.values()} == {"ok"}
    assert {record.attempts for record in records.values()} == {2}
    assert len(spans(tmp_path, "train")) == 2


@pytest.mark.slow
def test_a_frozen_worker_of_a_mock_gpu_is_killed_at_its_deadline_not_for_waiting(
    gpus: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KILL_S", 1.0)
    # A pack that waits for the one before it and then trains takes 2.4 s, and has 1.9 s from when its turn comes.
    executor = RayExecutor(trainer(tmp_path, {0: "freeze"}, 1.2), needs=GPU, hard_grace_s=1.3)
    records = collect(executor, packs(4, deadline_s=0.4))
    assert {record.status for record in records.values()} == {"ok"}
    assert records[0].attempts == 2
    assert sum(record.attempts for record in records.values()) <= 4 + 2


def test_a_stop_reaches_the_pack_on_a_mock_gpu_and_the_one_that_waits(gpus: None, tmp_path: Path) -> None:
    executor = RayExecutor(trainer(tmp_path, train_s=60.0), needs=GPU)

    def interrupt() -> None:
        import _thread

        while len(spans(tmp_path, "make")) < 4:
            time.sleep(0.2)
        _thread.interrupt_main()

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        list(executor.run(packs(6)))
    began = time.monotonic()
    assert list(executor.finish(0.1)) == []
    assert time.monotonic() - began < 15
    # Both that trained have saved, and those that waited as well, or never began.
    assert {span.card for span in spans(tmp_path, "saved")} == {"0", "1"}


def test_a_training_on_a_mock_gpu_gives_what_it_gives_alone_and_loads_no_more_than_it_needs(gpus: None) -> None:
    """Torch takes cpu:0 for the CPU, and vcm-sweep for another device."""
    chosen = list(SobolDesign(Study.from_text(TINY)).trials(range(4)))
    task = functools.partial(train_from, TrainSettings(device="cpu:0"), data=SharedData(load("digits")))

    def run(pack: Sequence[Trial]) -> list[TrialRecord]:
        import os
        import sys
        from dataclasses import replace

        records = task(pack)
        loaded = {name.partition(".")[0] for name in sys.modules}
        return [replace(record, reason=f"{os.getpid()} {' '.join(sorted(loaded))}") for record in records]

    # Both cards at once, so that all packs share a process.
    records = collect(RayExecutor(run, needs=PackNeeds(gpus=2.0)), [chosen[:2], chosen[2:]])
    assert [records[trial.point].accuracy for trial in chosen] == [record.accuracy for record in train(chosen)]
    ((_, *loaded),) = {tuple(record.reason.split()) for record in records.values()}
    assert {"torch", "aihwkit", "ray"} < set(loaded)
    assert not {"SALib", "optuna", "altair", "matplotlib", "pandas", "sklearn", "torchvision", "rich"} & set(loaded)
