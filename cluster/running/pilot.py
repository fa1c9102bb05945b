"""A pilot: the cost of a study's trials, measured on a few of them that span its ranges."""

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from vcm_sweep.cluster.ray_executor.tasks import TrainSettings, train_from
from vcm_sweep.device.doing import Doing
from vcm_sweep.sweep.data.sets import DataSet
from vcm_sweep.sweep.data.shared_data import SharedData
from vcm_sweep.sweep.designs.design import Design
from vcm_sweep.sweep.packs.costs import CostModel
from vcm_sweep.sweep.packs.executor import Executor, Task
from vcm_sweep.sweep.packs.order import MIN_PILOT, corner_points
from vcm_sweep.sweep.trial import Trial, TrialRecord
from vcm_sweep.sweep.user_code import search_in

# The pilot of a small study takes at most this share of the study's time (but measures MIN_PILOT rows all the same).
_LARGEST_SHARE = 0.1
_TEST_CHUNK, _FIRST_STEPS = 500, 2
# If the beginning of a pack would take longer than this, and than the limit, a single trial is measured instead.
_LONG_S = 10.0

Clock: TypeAlias = Callable[[], float]


@dataclass(frozen=True)
class Cost(TrialRecord):
    """A record of the pilot: its ``cpu_s`` is extrapolated from the first ``share`` of the training.

    ``bytes`` is the memory of its pack.
    """

    share: float = 1.0
    bytes: float = 0.0


@dataclass(frozen=True)
class Pilot:
    """What was measured.

    Attributes:
        points: (rows,) row numbers of the design. seconds: (rows,) time per trial, in a pack of equal trials.
        share: the smallest part of a training that was run; the rest is extrapolated.
        failed: number of rows that could not be trained. memory_bytes: of the largest pack.
        at_chance: number of rows that were trained whole and ended at chance level.
    """

    points: list[int]
    seconds: list[float]
    share: float
    failed: int
    memory_bytes: float
    at_chance: int = 0


def pilot(
    design: Design, make_executor: Callable[[Task], Executor], settings: TrainSettings, pack: int, limit_s: float
) -> Pilot:
    """The cost of at least eight rows of a design, corners of its ranges first; nothing is stored.

    Each row is measured in a pack of its own replicates, of the size that the run will have. A short training is run
    whole; of a long one, the first batches and a part of the test are run. If even these take too long, one trial is
    measured in place of the pack.

    Args:
        design: of the study.
        make_executor: makes the executor on which to measure, from a task.
        settings: of the workers.
        pack: trials per pack.
        limit_s: after this time no further row is begun; each row gets an equal part of it.
    """
    rows = corner_points(design)
    task = functools.partial(measure, settings, limit_s / len(rows))
    began = time.perf_counter()
    found: list[Cost] = []
    failed = 0

    def packs() -> Iterator[list[Trial]]:
        for number, point in enumerate(rows):
            spent = time.perf_counter() - began
            enough = spent > limit_s or (
                found and spent > _LARGEST_SHARE * len(design) * float(np.mean([cost.cpu_s for cost in found]))
            )
            if number >= MIN_PILOT and enough:
                return
            yield [design.trial(int(point), replicate) for replicate in range(pack)]

    with Doing("pilot") as told:
        told(f"the first of {len(rows)} rows")
        for records in make_executor(task).run(packs()):
            costs = [record for record in records if isinstance(record, Cost)]
            found += costs[:1]
            failed += not costs
            told(f"{len(found) + failed} of {len(rows)} rows measured")
    return Pilot(
        [cost.point for cost in found],
        [cost.cpu_s for cost in found],
        min((cost.share for cost in found), default=1.0),
        failed,
        max((cost.bytes for cost in found), default=0.0),
        sum(cost.at_chance for cost in found),
    )


def measure(
    settings: TrainSettings, limit_s: float, trials: Sequence[Trial], data: SharedData | None = None
) -> list[TrialRecord]:
    """Runs on a worker: one :class:`Cost` per trial, from a training that was begun and, given the time, finished."""
    from vcm_sweep.sweep.data.sets import load

    search_in(settings.import_dirs)
    spec = trials[0].inputs["network"]
    sizes = (spec["train_samples"], spec["test_samples"], spec.get("validation_samples", 0))
    part = (data.data if data else load(spec["data"], settings.data_dir)).first(*sizes)
    _warm_up(settings, trials[0], part)
    clock = time.perf_counter if settings.device != "cpu" else time.process_time
    began = functools.partial(_begun, spec=spec, data=part, device=settings.device, clock=clock, pack=len(trials))
    before, one = clock(), None
    # On a GPU a pack takes about as long as a single trial, so only on a CPU a single trial is tried first.
    if settings.device == "cpu" and len(trials) > 1:
        one = began(trials[:1], limit_s=limit_s / len(trials))
    # Where making the cells takes seconds, because equations are solved for each, a pack takes that long for every
    # trial.
    if one is not None and (clock() - before) * len(trials) > max(limit_s, _LONG_S):
        whole_s, share, memory = len(trials) * one[0], *one[1:]
    else:
        whole_s, share, memory = began(trials, limit_s=limit_s)
    trained: list[TrialRecord] = []
    if whole_s < limit_s:
        whole_s, share = _timed(clock, lambda: trained.extend(train_from(settings, trials, data))), 1.0
    low = bool(trained) and all(record.at_chance for record in trained)
    each = whole_s / len(trials)
    return [
        Cost(t.key, t.point, t.replicate, t.factors, t.seed, "ok", cpu_s=each, share=share, bytes=memory, at_chance=low)
        for t in trials
    ]


def _begun(
    trials: Sequence[Trial], spec: dict[str, Any], data: DataSet, device: str, limit_s: float, clock: Clock, pack: int
) -> tuple[float, float, float]:
    """(seconds that these trials would take, share of the training that was run to measure it, bytes of a pack)."""
    from vcm_sweep.sweep.training.stacked_training import StackedTraining

    began = clock()
    run = StackedTraining(trials, spec, data, device)
    made_s = clock() - began
    tests = spec["epochs"] * (len(data.test_y) + len(data.valid_y)) / min(_TEST_CHUNK, len(data.test_y))
    tested_s = tests * _timed(clock, lambda: run.accuracies(data.test_x[:_TEST_CHUNK], data.test_y[:_TEST_CHUNK]))
    steps = spec["epochs"] * math.ceil(len(data.train_y) / spec["batch"])
    # The first steps also set things up, so they are timed apart from the others.
    first = min(_FIRST_STEPS, steps)
    made_s += _timed(clock, functools.partial(run.take_steps, first))
    taken, count, trained_s, whole_s = first, first, 0.0, made_s + tested_s
    while taken < steps and (taken == first or made_s + 3 * trained_s < limit_s < whole_s):
        count = min(2 * count, steps - taken)
        trained_s += _timed(clock, functools.partial(run.take_steps, count))
        taken += count
        whole_s = made_s + trained_s * (steps - first) / (taken - first) + tested_s
    return whole_s, taken / steps, run.bytes_used(pack)


def _timed(clock: Clock, work: Callable[[], object]) -> float:
    before = clock()
    work()
    return clock() - before


def learned(design: Design, pilot: Pilot) -> CostModel:
    """The cost model that the measured rows give."""
    return CostModel(design.scaled()[pilot.points], np.array(pilot.seconds))


_WARM: set[str] = set()


def _warm_up(settings: TrainSettings, trial: Trial, data: DataSet) -> None:
    """Train some steps before measuring, since loading and compiling are not part of the cost of a trial."""
    import torch

    from vcm_sweep.sweep.training.stacked_training import StackedTraining

    if settings.device in _WARM:
        return
    _WARM.add(settings.device)
    torch.set_num_threads(1)
    run = StackedTraining([trial], trial.inputs["network"], data, settings.device)
    run.take_steps(2)
    run.stack.figures(0)
