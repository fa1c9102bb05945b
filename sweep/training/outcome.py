"""The record of a trial that has stopped, whatever stopped it."""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from vcm_sweep.sweep.data.sets import DataSet
from vcm_sweep.sweep.training.trial_progress import TrialProgress
from vcm_sweep.sweep.trial import Trial, TrialRecord


def record_of(
    trial: Trial, progress: TrialProgress, figures: Mapping[str, Any], data: DataSet, batch: int
) -> TrialRecord:
    """The record of a trial.

    Args:
        trial: the trial, which has stopped.
        progress: how far it got, and the time that it took.
        figures: of its cells, see :meth:`vcm_sweep.sweep.training.stack.Stack.figures`; not used after a timeout.
        data: the data on which it was trained.
        batch: samples per batch.
    """
    if progress.stopped == "timeout":
        return TrialRecord.of(trial, "timeout", progress.reason, wall_s=progress.wall_s, cpu_s=progress.cpu_s)
    accuracy = progress.history[-1] if progress.history and progress.stopped == "ok" else math.nan
    tests, chance = len(data.test_y), 1 / data.classes
    reason = progress.reason
    if not reason and figures["frac_at_bound"] == 1.0:
        reason = "every cell is at a bound: lower lr, or shorten the pulse"
    return TrialRecord.of(
        trial,
        progress.stopped,
        reason,
        accuracy=accuracy,
        loss=progress.loss,
        history=progress.history,
        at_chance=accuracy <= chance + 3 * math.sqrt(chance * (1 - chance) / tests),
        reads=_reads(progress, data, batch),
        wall_s=progress.wall_s,
        cpu_s=progress.cpu_s,
        versions=_versions(),
        **figures,
    )


def _reads(progress: TrialProgress, data: DataSet, batch: int) -> int:
    """Number of vectors read: two per training sample (forward, backward), one per test or validation sample."""
    samples = len(data.train_y)
    trained = progress.epoch * samples + min(progress.batch * batch, samples)
    return 2 * trained + len(progress.history) * (len(data.test_y) + len(data.valid_y))


@lru_cache(maxsize=1)
def _versions() -> str:
    from importlib.metadata import version

    names = ("vcm-sweep", "torch", "aihwkit", "numpy", "numba")
    return json.dumps({name: version(name) for name in names})
