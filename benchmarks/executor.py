"""Time what running on Ray costs: per trial, per pack, and how two workers compare with one.

    python benchmarks/executor.py [--rounds 3] [--data-dir ROOT] [--smoke]

Each row of the table compares with the same work in this process, or on one worker. The two take turns, because other
work on the machine would otherwise favour one of them. Each worker has one thread.
"""

import argparse
import functools
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

from vcm_sweep.cluster import RayExecutor
from vcm_sweep.cluster.ray_executor.resources import PackNeeds
from vcm_sweep.cluster.ray_executor.tasks import TrainSettings, train_from
from vcm_sweep.sweep import Executor, InProcessExecutor, SobolDesign, Study, Trial, TrialRecord
from vcm_sweep.sweep.data.sets import load
from vcm_sweep.sweep.data.shared_data import SharedData

STUDIES = Path(__file__).parents[1] / "studies"
PACK = 250


def nothing(pack: Sequence[Trial]) -> list[TrialRecord]:
    """A task that makes records without any work."""
    return [TrialRecord(t.key, t.point, t.replicate, t.factors, t.seed, "ok") for t in pack]


def spin(pack: Sequence[Trial]) -> list[TrialRecord]:
    """A task that takes a second of CPU time on one core."""
    until = time.process_time() + 1.0
    while time.process_time() < until:
        sum(range(1000))
    return nothing(pack)


def timed(executor: Executor, packs: Sequence[Sequence[Trial]]) -> float:
    """Seconds from the first pack to the last record, on a cluster that runs already."""
    started = time.perf_counter()
    done = sum(len(records) for records in executor.run(packs))
    assert done == sum(map(len, packs))
    return time.perf_counter() - started


def overhead(rounds: int, count: int) -> None:
    """Time trials that cost nothing, in packs and one by one, on Ray."""
    trials = [Trial(k, 0, {"x": 1.0}, {"k": k}, seed=k) for k in range(count)]
    packs = [trials[i : i + PACK] for i in range(0, count, PACK)]
    seconds = [timed(RayExecutor(nothing), packs) for _ in range(rounds)]
    row("tiny trials in packs of 250", f"{1e3 * min(seconds) / count:.3f} ms per trial on Ray")
    single = [[trial] for trial in trials[: count // 20]]
    seconds = [timed(RayExecutor(nothing), single) for _ in range(rounds)]
    row("tiny trials, one by one", f"{1e3 * min(seconds) / len(single):.1f} ms per pack on Ray")


def scaling(rounds: int, packs: int) -> None:
    """Time one worker and two, in turns; and compute the speed of two from the CPU time of Ray and the driver.

    For one worker, a pack asks for both cores, so it runs alone. The second figure does not depend on what else the
    machine does: it is the speed of two workers if only Ray and the driver took time from them.
    """
    work = [[Trial(k, 0, {}, {"k": k}, seed=k)] for k in range(packs)]
    ratios, possible = [], []
    for _ in range(rounds):
        one = timed(RayExecutor(spin, needs=PackNeeds(cpus=2)), work)
        before = ray_cpu_s()
        two = timed(RayExecutor(spin), work)
        ratios.append(one / two)
        possible.append(2 * packs / (packs + ray_cpu_s() - before))
    row("two workers to one, a second of CPU per pack", f"{statistics.median(ratios):.2f} ({show(ratios)})")
    row("the same by CPU time", f"{statistics.median(possible):.2f} ({show(possible)})")


def ray_cpu_s() -> float:
    """CPU seconds of this process and of Ray's own, without the workers."""
    me = psutil.Process()
    others = [child for child in me.children(recursive=True) if not child.name().startswith("ray::")]
    return sum(sum(process.cpu_times()[:2]) for process in (me, *others))


def training(rounds: int, data_dir: str | None, samples: int) -> None:
    """Time a pack of the MNIST study for one epoch of fewer samples, in this process and on Ray."""
    text = (STUDIES / "mnist.toml").read_text()
    epochs = Study.from_text(text).network.epochs
    text = text.replace(f"epochs = {epochs}", f"epochs = 1\ntrain_samples = {samples}\ntest_samples = 1000")
    study = Study.from_text(text)
    trials = list(SobolDesign(study).trials())[:8]
    plain = functools.partial(train_from, TrainSettings(data_dir))
    sent = functools.partial(train_from, TrainSettings(), data=SharedData(load("mnist", data_dir)))
    next(InProcessExecutor(plain).run([trials]))
    timed(RayExecutor(sent), [trials, trials])
    more, spent = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        (records,) = RayExecutor(sent).run([trials])
        wall = time.perf_counter() - started
        inside = sum(record.wall_s for record in records)
        spent.append(inside)
        more.append(wall - inside)
    part = len(load("mnist", data_dir).train_y) / study.network.train_samples
    text = f"{1e3 * min(more):.0f} ms beside {min(spent):.1f} s of training"
    row("a run of one pack, 8 trials, a tenth of an epoch of MNIST", f"{text}, the samples' way to the node included")
    row("the same for the whole study's epochs", f"{100 * min(more) / (epochs * part * min(spent)):.3f} % (computed)")


def show(values: Sequence[float]) -> str:
    """The lowest and the highest of some values."""
    return f"{min(values):.2f} to {max(values):.2f}"


def row(what: str, value: str) -> None:
    """Print a line of the table."""
    print(f"| {what} | {value} |", flush=True)


def main() -> None:
    """Start two workers, measure, and print the table."""
    import ray

    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data-dir", default=os.environ.get("VCM_SWEEP_DATA"))
    parser.add_argument("--smoke", action="store_true", help="see that it runs: sizes that measure nothing")
    arguments = parser.parse_args()
    rounds, trials, packs, samples = (1, 500, 2, 64) if arguments.smoke else (arguments.rounds, 10_000, 40, 6400)
    torch.set_num_threads(1)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    timed(RayExecutor(nothing), [[Trial(0, 0, {}, {}, seed=k)] for k in range(20)])
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0]}))
    overhead(rounds, trials)
    scaling(rounds, packs)
    training(rounds, arguments.data_dir, samples)
    ray.shutdown()


if __name__ == "__main__":
    main()
