"""The record of a trial that has stopped, whatever stopped it."""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch

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
        at_chance=accuracy <= most_by_guessing(data),
        reads=_reads(progress, data, batch),
        wall_s=progress.wall_s,
        cpu_s=progress.cpu_s,
        versions=_versions(),
        **figures,
    )


def most_by_guessing(data: DataSet) -> float:
    """The accuracy that a network without anything learnt hardly exceeds: three standard errors above the best guess.

    The best guess is the most common class of the test set, always: a network that has not left its plateau often gives
    one answer to everything. MNIST's is right in 11.35 % of all cases, not in 10.
    """
    counts = torch.bincount(data.test_y.flatten(), minlength=data.classes)
    tests, share = len(data.test_y), float(counts.max()) / len(data.test_y)
    return share + 3 * math.sqrt(share * (1 - share) / tests)


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
