"""Chooses how many trials share a pack: what fits into memory, and up to where larger packs are faster per trial."""

import math
import os
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from vcm_sweep.device.doing import Doing
from vcm_sweep.sweep.data.sets import DataSet
from vcm_sweep.sweep.designs.design import Design
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.packs.order import corner_points, kinds
from vcm_sweep.sweep.training.stacked_training import StackedTraining
from vcm_sweep.sweep.training.turns import give_memory_back
from vcm_sweep.sweep.trial import Trial

_SIZES = (1, 2, 4, 8, 16, 32, 64)
_GPU_SIZES = (16, 64, 256, 1024)
# A larger pack must be faster per trial by this share, since smaller packs spread better over cores and lose less when
# one is stopped.
_GAIN = 0.05
_MEMORY_SHARE = 0.6
_BYTES_PER_WEIGHT = 200.0  # of a training alone, as measured with 2.4 million weights
_WARM_UP, _STEPS, _ROUNDS = 2, 5, 3
_LOOKED_AT = 4
# If the steps of a size take longer than this, they are long and stacking saves little more.
_LONGEST_STEPS_S = 10.0
# No size is tried whose cells take longer to make than this, and than a tenth of the study.
_LONGEST_MAKING_S, _STUDY_SHARE = 60.0, 0.1


class PackMemory(NamedTuple):
    """Estimated bytes of a pack: those of each trial, and those that any pack needs."""

    of_trial: float
    of_any: float

    def bytes(self, trials: int) -> float:
        """Bytes of a pack of so many trials."""
        return trials * self.of_trial + self.of_any

    def most(self, limit: float) -> int:
        """The largest number of trials that take no more than ``limit`` bytes; 0 if not even one fits."""
        return max(0, int((limit - self.of_any) // self.of_trial))


class Measured(NamedTuple):
    """What a pack of some size took.

    Attributes:
        made_s: seconds to make its cells. step_s: seconds per step and trial. steps: of a whole training.
        tried_s: seconds of the steps that were timed.
    """

    made_s: float
    step_s: float
    steps: int
    tried_s: float


def sample(design: Design, device: str) -> list[Trial]:
    """Trials from all over a design, enough for the largest pack that is tried; the costliest first.

    They are of its kind, so that they can be stacked.
    """
    costliest, of_point = int(corner_points(design)[0]), kinds(design)
    numbers = np.arange(len(design))
    alike = numbers[of_point[design.places(numbers)[0]] == of_point[costliest]]
    count = min(len(alike), (_SIZES if device == "cpu" else _GPU_SIZES)[-1])
    return [design.trial(costliest, 0), *design.trials(alike[:: len(alike) // count][: count - 1])]


def choose_pack(
    trials: Sequence[Trial], data: DataSet, device: str = "cpu", *, total: int, places: int = 1, sharing: int = 1
) -> int:
    """The number of trials per pack that trains a study fastest; it does not affect results.

    Packs of growing size are tried for a few steps each, up to what fits into the memory of a place and leaves none
    without a pack. It ends when a size (on a CPU: two in a row) was not 5 % faster per trial than the best, when its
    steps took longer than ten seconds, and when making the next would take longer than a minute and than a tenth of
    the study.

    Args:
        trials: a :func:`sample` of the study.
        data: the study's data set.
        device: torch's name of the device.
        total: number of trials of the study.
        places: number of packs that run at the same time.
        sharing: how many of them share the memory of this machine, or of one GPU.
    """
    usual = _SIZES if device == "cpu" else _GPU_SIZES
    memory = pack_memory(trials, data)
    fit = memory.most(free_bytes(device) * _MEMORY_SHARE / sharing) if memory else usual[-1]
    largest = max(1, min(math.ceil(total / places), fit, usual[-1], len(trials)))
    sizes = [*(size for size in usual if size < largest), largest]
    best, best_s = 1, math.inf
    last: Measured | None = None
    for tried, size in enumerate(sizes):
        if last is not None:
            # The first size is not counted, since its times may include compiling.
            making_s = last.made_s * size / sizes[tried - 1] if tried > 1 else 0.0
            study_s = last.step_s * last.steps * total / places
            if making_s > max(_LONGEST_MAKING_S, _STUDY_SHARE * study_s):
                break
        try:
            with Doing(f"trying packs of {size}"):
                last = measured(trials[:: len(trials) // size][:size], data, device)
        except StudyError:
            raise
        except Exception:
            # Out of memory, or a trial that fails by itself, which the run will record.
            break
        finally:
            give_memory_back()
        if last.step_s < best_s * (1 - _GAIN):
            best, best_s = size, last.step_s
        elif size > 2 * best:
            break
        if tried and last.tried_s > _LONGEST_STEPS_S:
            break
    return best


def measured(trials: Sequence[Trial], data: DataSet, device: str) -> Measured:
    """What a pack of these trials takes; its cells are made, and some steps are taken."""
    began = time.perf_counter()
    run = _training(trials, data, device)
    made_s = time.perf_counter() - began
    run.take_steps(_WARM_UP)
    rounds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        run.take_steps(_STEPS)
        rounds.append(time.perf_counter() - started)
    steps = run.spec["epochs"] * math.ceil(len(run.data.train_y) / run.spec["batch"])
    return Measured(made_s, min(rounds) / _STEPS / len(trials), steps, sum(rounds))


def pack_memory(trials: Sequence[Trial], data: DataSet) -> PackMemory | None:
    """The memory of packs of such trials, from the first whose cells can be made; None if some cannot."""
    for trial in trials[:_LOOKED_AT]:
        try:
            run = _training([trial], data, "cpu")
        except StudyError:
            raise
        except Exception:  # a trial that fails by itself, which the run will record
            continue
        one, two = run.bytes_used(1), run.bytes_used(2)
        return PackMemory(two - one, 2 * one - two)
    return None


def _training(trials: Sequence[Trial], data: DataSet, device: str) -> StackedTraining:
    spec = trials[0].inputs["network"]
    part = data.first(spec["train_samples"], spec["test_samples"], spec.get("validation_samples", 0))
    return StackedTraining(trials, spec, part, device)


def check_size(network: Mapping[str, Any], shape: Sequence[int], classes: int) -> None:
    """Raise StudyError where not even one training of a study's network fits into the memory of this machine.

    Args:
        network: canonical [network] table. shape: of a sample. classes: number of scores.
    """
    sizes = [math.prod(shape), *network.get("hidden", []), classes]
    weights = sum(one * other for one, other in pairwise(sizes))
    there, needed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), weights * _BYTES_PER_WEIGHT
    if needed > there:
        raise StudyError(
            f"[network] hidden = {network['hidden']} makes {weights:.2g} weights, which take about "
            f"{needed / 2**30:,.0f} GB as cells, and this machine has {there / 2**30:,.0f} GB: take fewer or narrower "
            "layers"
        )


def free_bytes(device: str) -> float:
    """Memory that is free on this machine, or on its GPU."""
    if device != "cpu":
        return float(torch.cuda.mem_get_info(device)[0])
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdigit():
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        free = min(free, int(text) - used)
    return float(free)
