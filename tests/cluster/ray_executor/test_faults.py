"""Real faults on a real cluster of two nodes: every trial ends with exactly one record."""

import dataclasses
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from vcm_sweep.cluster import RayExecutor
from vcm_sweep.cluster.ray_executor import executor as module
from vcm_sweep.cluster.ray_executor.resources import PackNeeds
from vcm_sweep.sweep import ExecutorError, Trial, TrialRecord

pytestmark = pytest.mark.ray


def trials(count: int, deadline_s: float = 600.0) -> list[Trial]:
    return [Trial(k, 0, {}, {"k": k}, seed=k, deadline_s=deadline_s) for k in range(count)]


def task(faults: dict[int, str], once: Path | None = None, seconds: float = 0.0) -> Callable[..., list[TrialRecord]]:
    """A closure, sent by value; with ``once`` a fault happens the first time only."""

    def run(pack: Sequence[Trial]) -> list[TrialRecord]:
        import ctypes
        import os
        import signal
        import time

        from vcm_sweep.sweep import TrialRecord

        for trial in pack:
            fault = faults.get(trial.point)
            if fault and once is not None:
                marker = once / f"{trial.point}"
                fault = "" if marker.exists() else fault
                marker.touch()
            if fault:
                # What the driver hears of the start goes out beside this thread.
                time.sleep(0.2)
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif fault == "segfault":
                ctypes.string_at(0)
            elif fault == "hang":
                signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL})
                ctypes.PyDLL(None).sleep(600)  # the interpreter's lock is held
            elif fault == "freeze":
                os.kill(os.getpid(), signal.SIGSTOP)
            elif fault == "allocate":
                held = []
                for _ in range(200):
                    held.append(bytearray(os.urandom(1) * 100_000_000))
                    time.sleep(0.05)
                raise AssertionError("nobody stopped it")
            time.sleep(seconds)
        return [TrialRecord(t.key, t.point, 0, t.factors, t.seed, "ok") for t in pack]

    return run


def collect(executor: RayExecutor, packs: Sequence[Sequence[Trial]]) -> dict[int, TrialRecord]:
    """Records by point, of which there is one each."""
    records = [record for part in executor.run(packs) for record in part]
    assert Counter(record.key for record in records) == Counter(trial.key for pack in packs for trial in pack)
    return {record.point: record for record in records}


def in_packs(chosen: list[Trial], size: int) -> list[list[Trial]]:
    return [chosen[i : i + size] for i in range(0, len(chosen), size)]


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.event for record in caplog.records if hasattr(record, "event")]


def test_workers_killed_at_random_lose_and_double_nothing(
    cluster: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faults = dict.fromkeys((1, 6, 7, 13, 18), "kill")
    records = collect(RayExecutor(task(faults, tmp_path)), in_packs(trials(20), 4))
    assert {record.status for record in records.values()} == {"ok"}
    # Two in one pack: the second loss cut it.
    assert {records[k].attempts for k in (0, 1, 2, 3)} == {2}
    assert records[6].attempts == 3
    assert records[8].attempts == 1
    assert records[0].node
    assert {"pack_again", "pack_halved"} <= set(events(caplog))
    lost = [record for record in caplog.records if getattr(record, "event", "") == "pack_again"]
    assert lost[0].cause == "worker lost"  # type: ignore[attr-defined]


def test_a_trial_that_crashes_its_worker_is_found_and_recorded(cluster: Any) -> None:
    records = collect(RayExecutor(task({5: "segfault"})), [trials(8)])
    assert Counter(record.status for record in records.values()) == {"ok": 7, "error": 1}
    assert records[5].status == "error"
    assert "lost its worker 3 times" in records[5].reason
    # Whole twice, in halves of 4 and 2, alone three times.
    assert records[5].attempts == 7


@pytest.mark.slow
def test_a_trial_that_hangs_in_c_is_killed_and_recorded(cluster: Any) -> None:
    records = collect(RayExecutor(task({1: "hang"}), hard_grace_s=1.0), [trials(2, deadline_s=0.2)])
    assert [records[k].status for k in range(2)] == ["ok", "timeout"]
    assert "deadline_s" in records[1].reason


@pytest.mark.slow
def test_a_process_that_cannot_be_killed_is_left_behind_and_heard_no_more(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A frozen process that nothing ends, as in an uninterruptible sleep; later it wakes up, and answers."""
    import ray

    for name, seconds in (("_KILL_S", 1.0), ("_LEAVE_S", 2.0)):
        monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr(module, "kill_process", lambda pid: None)
    monkeypatch.setattr(ray, "cancel", lambda *_, **__: None)
    # The first attempt freezes; meanwhile, and after it has woken up, the other node works on.
    packs = [trials(1, deadline_s=0.2), *in_packs(trials(13, deadline_s=60.0)[1:], 1)]
    records: list[TrialRecord] = []
    left: list[int] = []
    with caplog.at_level(logging.INFO):
        for part in RayExecutor(task({0: "freeze"}, tmp_path, 1.0), hard_grace_s=2.0).run(packs):
            records += part
            if not left:
                told = [entry for entry in caplog.records if getattr(entry, "event", "") == "left_behind"]
                left = [entry.args[2] for entry in told if isinstance(entry.args, tuple)]  # type: ignore[misc]
                for pid in left:
                    os.kill(pid, signal.SIGCONT)
    assert Counter((record.point, record.status) for record in records) == {(k, "ok"): 1 for k in range(13)}
    assert {record.point: record.attempts for record in records} == {0: 2} | dict.fromkeys(range(1, 13), 1)
    assert len(left) == events(caplog).count("left_behind") == 1


def test_a_task_that_the_object_store_does_not_take_is_one_line(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def full(_value: object) -> None:
        raise ray.exceptions.ObjectStoreFullError("no room\nfor it")

    monkeypatch.setattr(ray, "put", full)
    with pytest.raises(ExecutorError, match="does not take what its workers need") as error:
        list(RayExecutor(task({})).run([trials(1)]))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_process_that_answers_nobody_is_killed_by_its_number(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A frozen process does not hear Ray's request to end."""
    monkeypatch.setattr(module, "_KILL_S", 1.0)
    with caplog.at_level(logging.INFO):
        records = collect(RayExecutor(task({0: "freeze"}), hard_grace_s=1.0), [trials(1, deadline_s=0.2)])
    assert records[0].status == "timeout"
    assert events(caplog).count("deadline_killed") == 2


@pytest.mark.slow
def test_a_node_that_dies_mid_pack_and_one_that_joins(cluster: Any, caplog: pytest.LogCaptureFixture) -> None:
    """kill -9 of a raylet: its packs run again elsewhere; the new node is used."""
    node = cluster.add_node(num_cpus=2)
    executor = RayExecutor(task({}, seconds=1.5))
    packs: list[list[Trial]] = []
    records: list[TrialRecord] = []
    seen: set[str] = set()
    killed, added_node = False, None

    def work() -> Iterator[list[Trial]]:
        """Packs until the new node has been seen at work, which on a busy machine takes it a while."""
        for pack in in_packs(trials(1000), 2):
            if added_node is not None and len(packs) >= 20 and any(added_node.node_id[:6] in name for name in seen):
                return
            packs.append(pack)
            yield pack

    with caplog.at_level(logging.INFO):
        for part in executor.run(work()):
            records += part
            busy = executor.activity()
            seen |= set(busy)
            mine = [name for name in busy if node.node_id[:6] in name]
            if mine and not killed and len(records) >= 4:
                os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
                killed = True
                added_node = cluster.add_node(num_cpus=1)
    assert killed
    assert added_node is not None
    assert Counter(record.key for record in records) == Counter(trial.key for pack in packs for trial in pack)
    assert {record.status for record in records} == {"ok"}
    assert max(record.attempts for record in records) >= 2
    assert any(added_node.node_id[:6] in name for name in seen)
    assert "node_joined" in events(caplog)
    causes = {record.cause for record in caplog.records if hasattr(record, "cause")}
    assert causes == {"node lost"}
    cluster.remove_node(added_node)


def test_a_finished_run_and_a_closed_one_leave_nothing_running(cluster: Any) -> None:
    import ray

    executor = RayExecutor(task({}, seconds=0.3))
    running = executor.run(in_packs(trials(40), 1))
    next(running)
    # A worker that has just been started says late that it works on a pack.
    while not executor.activity():
        next(running)
    assert 1 <= sum(executor.activity().values()) <= 4
    running.close()  # type: ignore[attr-defined]
    assert executor.activity() == {}
    until = time.monotonic() + 120
    while ray.available_resources().get("CPU") != ray.cluster_resources()["CPU"] and time.monotonic() < until:
        time.sleep(0.2)
    assert ray.available_resources()["CPU"] == ray.cluster_resources()["CPU"]


def interrupt_once_there_is(file: Path) -> None:
    """Ctrl-C, when a task has said that it works."""
    while not file.exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


def interrupt_once_all_work(executor: RayExecutor) -> None:
    """Ctrl-C, when the driver has heard from a pack on every core: it cancels those it has not heard from."""
    import ray

    while not ray.is_initialized() or sum(executor.activity().values()) < ray.cluster_resources().get("CPU", 1e9):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


def test_what_ends_within_the_grace_is_kept_after_an_interrupt(cluster: Any, tmp_path: Path) -> None:
    begun, may_end = tmp_path / "begun", tmp_path / "may end"

    def mixed(pack: Sequence[Trial]) -> list[TrialRecord]:
        import time

        from vcm_sweep.sweep import TrialRecord

        if pack[0].point == 0:
            begun.touch()
        # Interruptible, as training is.
        while not (pack[0].point == 0 and may_end.exists()):
            time.sleep(0.1)
        return [TrialRecord(t.key, t.point, 0, t.factors, t.seed, "ok") for t in pack]

    executor = RayExecutor(mixed)
    taken = []

    def packs() -> Iterator[list[Trial]]:
        for trial in trials(50):
            taken.append(trial)
            yield [trial]

    threading.Thread(target=interrupt_once_all_work, args=(executor,)).start()
    with pytest.raises(KeyboardInterrupt):
        list(executor.run(packs()))
    assert begun.exists()
    before = len(taken)
    may_end.touch()
    records = [record for part in executor.finish(5.0) for record in part]
    assert [record.point for record in records] == [0]
    assert len(taken) == before < 50
    assert executor.activity() == {}
    # The same executor goes on with the next run.
    assert set(collect(RayExecutor(task({})), [trials(3)])) == {0, 1, 2}


def test_a_request_that_no_node_can_meet_is_refused_before_anything_starts(cluster: Any) -> None:
    taken: list[int] = []

    def packs() -> Iterator[list[Trial]]:
        for trial in trials(5):
            taken.append(trial.point)
            yield [trial]

    with pytest.raises(ExecutorError, match=r"needs 1 CPU, 2 GPUs \(.* has 1 CPU, 0 GPU.*gpus_per_pack"):
        list(RayExecutor(task({}), needs=PackNeeds(gpus=2)).run(packs()))
    assert taken == [0]


def test_two_packs_share_a_gpu_and_a_third_has_another(cluster: Any, tmp_path: Path) -> None:
    def which(pack: Sequence[Trial]) -> list[TrialRecord]:
        import time

        import ray

        from vcm_sweep.sweep import TrialRecord

        (tmp_path / str(pack[0].point)).touch()
        # All four at the same time: none ends before all have begun.
        until = time.monotonic() + 300
        while len(list(tmp_path.iterdir())) < 4 and time.monotonic() < until:
            time.sleep(0.1)
        together = len(list(tmp_path.iterdir())) == 4
        reason = f"{ray.get_gpu_ids()} {together}"
        return [TrialRecord(t.key, t.point, 0, t.factors, t.seed, "ok", reason) for t in pack]

    node = cluster.add_node(num_cpus=4, num_gpus=2)
    records = collect(RayExecutor(which, needs=PackNeeds(gpus=0.5)), in_packs(trials(4), 1))
    cluster.remove_node(node)
    told = [record.reason.rsplit(" ", 1) for record in records.values()]
    assert Counter(ids.strip("[']") for ids, _ in told) == {"0": 2, "1": 2}
    assert {together for _, together in told} == {"True"}


def test_a_task_that_workers_cannot_load_is_one_line(cluster: Any) -> None:
    class Unloadable:
        def __reduce__(self) -> Any:
            return (__import__, ("a_module_that_is_not_there",))

        def __call__(self, pack: Sequence[Trial]) -> list[TrialRecord]:
            raise AssertionError

    with pytest.raises(ExecutorError, match="a_module_that_is_not_there") as failure:
        list(RayExecutor(Unloadable()).run([trials(1)]))
    assert "\n" not in str(failure.value)


@pytest.mark.slow
def test_the_driver_of_a_hundred_thousand_points_keeps_its_size(cluster: Any) -> None:
    import psutil
    import ray

    process, sizes, count, taken = psutil.Process(), [], 0, [0]
    # Two packs per core are under way. Ray may still count the cores of a node that a test before this one took away.
    size, most = 250, 2 * int(ray.cluster_resources()["CPU"])

    def packs() -> Iterator[list[Trial]]:
        for first in range(0, 100_000, size):
            taken[0] += size
            yield [Trial(k, 0, {}, {"k": k}, seed=k) for k in range(first, first + size)]

    for part in RayExecutor(task({})).run(packs()):
        count += len(part)
        assert taken[0] - count <= most * size
        if count % 10_000 == 0:
            sizes.append(process.memory_info().rss / 2**20)
    assert count == 100_000
    assert sizes[-1] - sizes[1] < 30


@pytest.mark.slow
def test_a_trial_that_allocates_until_it_is_killed_is_recorded_as_oom() -> None:
    """Ray's memory monitor, with a threshold of two fifths of what is free now, in a cluster of its own."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(Path(__file__).parent)], capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    statuses = done.stdout.split()
    assert statuses == ["ok", "ok", "oom", "ok"]


# A process holds one connection to Ray; the module's own stays.
MEMORY = """
import logging, sys
import ray
from ray._private.utils import get_system_memory, get_used_memory
sys.path.append(sys.argv[1])
from test_faults import collect, task, trials
from vcm_sweep.cluster import RayExecutor
import cloudpickle
import test_faults
cloudpickle.register_pickle_by_value(test_faults)
total = get_system_memory()
# Far enough above what is used now that other tests beside this one do not reach it.
threshold = (get_used_memory() + 0.4 * (total - get_used_memory())) / total
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
         _system_config={"memory_usage_threshold": threshold, "memory_monitor_refresh_ms": 100})
records = collect(RayExecutor(task({2: "allocate"})), [trials(4)])
print(*(records[k].status for k in range(4)))
"""


QUIET = """
from vcm_sweep.cluster import RayExecutor
from vcm_sweep.sweep import Trial

def main():
    def task(pack):
        import os, time
        time.sleep(0.3)
        os.kill(os.getpid(), 9)
    trial = Trial(0, 0, {}, {}, seed=1)
    print([record.status for part in RayExecutor(task, cpus=1).run([[trial]]) for record in part])

main()
"""


@pytest.mark.slow
def test_a_lost_worker_writes_one_line_and_none_of_rays_to_the_terminal() -> None:
    """On a cluster that is started for the run; Ray would write ten lines to stdout, where --json goes."""
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "['error']\n", done.stderr
    assert done.stderr.count("\n") == 3
    assert all(line.startswith("worker lost: a pack of 1") for line in done.stderr.splitlines())


STUDY = """
[study]
name = "tiny"
[network]
data = "digits"
hidden = [16]
epochs = 3
batch = 32
lr = 0.02
train_samples = 300
test_samples = 100
[device]
dw_min = 4e-4
[[factor]]
name = "r.c2c.direct"
range = [0.0, 0.01]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
method = "sobol"
n = 4
"""


def real_trials(count: int) -> list[Trial]:
    from vcm_sweep.sweep import SobolDesign, Study

    return list(SobolDesign(Study.from_text(STUDY)).trials())[:count]


def comparable(record: TrialRecord) -> TrialRecord:
    return dataclasses.replace(record, wall_s=0.0, cpu_s=0.0, node="", attempts=1)


def training(folder: Path, fault: str, at: int, checkpoint_s: float = 1e-9) -> Callable[..., list[TrialRecord]]:
    """A real training that meets a fault at one of its steps, the first time."""

    def run(pack: Sequence[Trial]) -> list[TrialRecord]:
        import ctypes
        import os
        import time

        from vcm_sweep.sweep import train
        from vcm_sweep.sweep.training.cell_stack import CellStack

        step, taken = CellStack.step, [0]

        def broken(self: CellStack, rates: list[float]) -> None:
            taken[0] += 1
            if taken[0] == at and not (folder / "met").exists():
                (folder / "met").touch()
                if fault == "hang":
                    ctypes.PyDLL(None).sleep(600)
                elif fault == "kill":
                    os.kill(os.getpid(), 9)
            if fault == "slow":
                (folder / "met").touch()
                time.sleep(0.5)
            step(self, rates)

        CellStack.step = broken
        try:
            records = train(pack, checkpoints=str(folder / "checkpoints"), checkpoint_s=checkpoint_s)
        finally:
            CellStack.step = step
        (folder / "steps").write_text(str(taken[0]))
        return records

    return run


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "hang"])
def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_bits(
    cluster: Any, tmp_path: Path, fault: str
) -> None:
    from vcm_sweep.sweep import train

    chosen = real_trials(2)
    whole = [comparable(record) for record in train(chosen)]
    # What hangs is killed after two minutes, far within the trials' own deadlines: loading counts, and may take long.
    seconds = sum(trial.deadline_s for trial in chosen)
    grace = {"hard_grace_s": 120.0 - 1.5 * seconds} if fault == "hang" else {}
    executor = RayExecutor(training(tmp_path, fault, at=14), **grace)
    records = [record for part in executor.run([chosen]) for record in part]
    assert [comparable(record) for record in records] == whole
    assert [record.attempts for record in records] == [2, 2]
    # 30 steps in all; 13 were done and saved.
    assert (tmp_path / "steps").read_text() == "17"


@pytest.mark.slow
def test_an_interrupted_run_saves_what_is_under_way(cluster: Any, tmp_path: Path) -> None:
    from vcm_sweep.sweep import train

    chosen = real_trials(1)
    whole = [comparable(record) for record in train(chosen)]
    executor = RayExecutor(training(tmp_path, "slow", at=0, checkpoint_s=1e9))

    threading.Thread(target=interrupt_once_there_is, args=(tmp_path / "met",)).start()
    with pytest.raises(KeyboardInterrupt):
        list(executor.run([chosen]))
    assert list(executor.finish(0.1)) == []
    assert len(list((tmp_path / "checkpoints").glob("*.safetensors"))) == 1
    records = [record for part in RayExecutor(training(tmp_path, "", at=0)).run([chosen]) for record in part]
    assert [comparable(record) for record in records] == whole
    assert int((tmp_path / "steps").read_text()) < 30


@pytest.mark.slow
def test_samples_are_put_once_and_mapped_by_workers_without_a_copy(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes need no data folder; the digest of own data is taken of what was sent."""
    import functools

    from vcm_sweep.cluster.ray_executor.tasks import TrainSettings, train_from
    from vcm_sweep.sweep import SobolDesign, Study
    from vcm_sweep.sweep.data import sets
    from vcm_sweep.sweep.data.shared_data import SharedData

    (tmp_path / "only_here.py").write_text(
        "import torch\n"
        "def part(n):\n"
        "    g = torch.Generator().manual_seed(n)\n"
        "    return [(torch.rand(1, 8, 8, generator=g), i % 4) for i in range(n)]\n"
        "def make(): return part(300), part(100)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = STUDY.replace('"digits"', '"only_here:make"')
    chosen = list(SobolDesign(Study.from_text(text)).trials())[:2]
    shared = SharedData(sets.load("only_here:make"))

    def run(pack: Sequence[Trial], settings: Any, shared: Any) -> list[TrialRecord]:
        begin = shared.data.train_x.data_ptr()
        with open("/proc/self/maps") as maps:
            (where,) = [
                line
                for line in maps
                if int(line.split("-")[0], 16) <= begin < int(line.split("-")[1].split(" ")[0], 16)
            ]
        records = train_from(settings, pack, shared)
        return [dataclasses.replace(record, reason=where.split(maxsplit=5)[-1]) for record in records]

    executor = RayExecutor(functools.partial(run, settings=TrainSettings(), shared=shared))
    records = [record for part in executor.run([chosen[:1], chosen[1:]]) for record in part]
    assert {record.status for record in records} == {"ok"}
    assert all("plasma" in record.reason for record in records)
    here = {r.key: comparable(r) for r in train_from(TrainSettings(), chosen)}
    assert {r.key: dataclasses.replace(comparable(r), reason="") for r in records} == here
