"""Chooses how many trials share a pack: what fits into memory, and up to where larger packs are faster per trial."""

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from vcm_sweep.sweep.data.sets import load
from vcm_sweep.sweep.designs.build import build_design
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.study import Study
from vcm_sweep.sweep.training.stacked_training import StackedTraining
from vcm_sweep.sweep.trial import Trial

_SIZES = (1, 2, 4, 8, 16, 32, 64)
_GPU_SIZES = (16, 64, 256, 1024)
# A larger pack must be faster per trial by this share, since smaller packs spread better over cores and lose less when
# one is stopped.
_GAIN = 0.05
_MEMORY_SHARE = 0.6
_WARM_UP, _STEPS, _ROUNDS = 2, 5, 3
# If trying a size takes longer than this, its steps are long and stacking saves little more; the next size would take
# twice as long to try.
_LONGEST_TRY_S = 10.0


def choose_pack(study: Study, data_dir: str | None = None, workers: int = 1, device: str = "cpu") -> int:
    """The number of trials per pack that trains a study fastest; it does not affect results.

    Packs of growing size are tried for a few steps each. It ends when a size does not fit into a worker's memory or
    leaves a worker without a pack, when two sizes in a row were not 5 % faster per trial than the best, or when trying
    one took longer than ten seconds.

    Args:
        study: the study whose trials are packed.
        data_dir: torchvision root.
        workers: number of packs that run at the same time on this machine.
        device: torch's name of the device.
    """
    design = build_design(study)
    spread = max(1, math.ceil(len(design) / workers))
    budget = _free_bytes(device) * _MEMORY_SHARE / workers
    best, best_s = 1, math.inf
    for tried, size in enumerate(_SIZES if device == "cpu" else _GPU_SIZES):
        if size > min(spread, len(design)):
            break
        try:
            numbers = range(0, len(design), len(design) // size)[:size]
            began = time.perf_counter()
            seconds, used = _measure(list(design.trials(numbers)), data_dir, device)
        except StudyError:
            raise
        except Exception:
            # Out of memory, or a trial that fails by itself, which the run will record.
            break
        if used > budget:
            break
        if seconds < best_s * (1 - _GAIN):
            best, best_s = size, seconds
        elif size > 2 * best:
            break
        # The time of the first size is not counted, since it may include compiling.
        if tried and time.perf_counter() - began > _LONGEST_TRY_S:
            break
    return best


def _measure(trials: Sequence[Trial], data_dir: str | None, device: str) -> tuple[float, float]:
    """(seconds per step and trial, bytes) of a pack."""
    spec = trials[0].inputs["network"]
    data = load(spec["data"], data_dir).first(
        spec["train_samples"], spec["test_samples"], spec.get("validation_samples", 0)
    )
    run = StackedTraining(trials, spec, data, device)
    run.take_steps(_WARM_UP)
    rounds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        run.take_steps(_STEPS)
        rounds.append(time.perf_counter() - started)
    return min(rounds) / _STEPS / len(trials), run.bytes_used()


def _free_bytes(device: str) -> float:
    if device != "cpu":
        return float(torch.cuda.mem_get_info(device)[0])
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdigit():
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        free = min(free, int(text) - used)
    return float(free)
