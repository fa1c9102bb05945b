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
    """The accuracy that answers hardly exceed which ask nothing of the sample: three standard errors above their mean.

    Any mixture of the test set's most common class, always, and of each class as often: a network that has not left its
    plateau often gives one answer to everything, or nearly everything. MNIST's is right in 11.35 % of all cases.
    """
    counts = torch.bincount(data.test_y.flatten(), minlength=data.classes).double()
    shares, tests = counts / counts.sum(), counts.sum()
    commonest = torch.nn.functional.one_hot(counts.argmax(), len(counts)).double()
    of_all = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None]
    answers = (1 - of_all) * commonest + of_all / len(counts)
    right, variance = answers @ shares, (answers * (1 - answers)) @ shares / tests
    return float((right + 3 * variance.sqrt()).max())


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
