"""Luck, the variance at fixed factors, split in two: which array of cells was drawn, and how it was then trained."""

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.results.luck_split import LuckSplit
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.analysis.statistics.replicates import MIN_UNITS

Array = NDArray[np.float64]


def split_luck(
    y: Array, *, block: int = 1, resamples: int = 1000, confidence: float = 0.95, seed: int = 1
) -> LuckSplit:
    """How much of the noise comes from the array and how much from the training, by nested replicates.

    It needs nested replicates: at each of some points of the ranges, A >= 2 arrays (device seeds), and on each array
    B >= 2 trainings (seeds of pulses, noise and data order). A study has them with ``trainings = B`` and
    ``replicates = A B`` in its [design]. The nested analysis of variance then gives, from the mean squares within and
    between arrays, training variance = MS_within and array variance = (MS_between - MS_within) / B. Both are unbiased;
    the array variance may come out negative. Intervals come from a bootstrap over blocks of points.

    Args:
        y: (points, A, B) float64, finite; 8 blocks or more, anywhere in the ranges.
        block: number of consecutive points that belong together and are resampled together.

    Raises:
        AnalysisError: another shape, values that are not finite, or no noise at all.

    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(0, 3, (200, 4, 1)) + rng.normal(0, 1, (200, 4, 2))
    >>> split_luck(y).sentences()[0][:37]
    'Of the luck of a training, 89 % [88, '
    """
    y = np.asarray(y, dtype=np.float64)
    if y.ndim != 3 or min(y.shape[1:]) < 2 or y.shape[0] < MIN_UNITS * block:
        raise AnalysisError(
            f"y: shape {y.shape} must be (points, arrays, trainings), with {MIN_UNITS} points or more, two arrays "
            "and two trainings on each; repeat points with the device seed held and with it changed"
        )
    if not np.isfinite(y).all():
        raise AnalysisError(f"y: {int((~np.isfinite(y)).sum())} of {y.size} values are not finite; run those again")
    trainings = y.shape[2]
    within = y.var(axis=2, ddof=1).mean(axis=1)
    between = trainings * y.mean(axis=2).var(axis=1, ddof=1)
    parts = np.column_stack([(between - within) / trainings, within])
    sums = parts.mean(axis=0)
    if not sums.sum() > 0.0:
        raise AnalysisError("y: trainings at the same point do not differ, so there is no luck to split")
    blocks = parts.reshape(-1, block, 2).mean(axis=1)
    resampling = Resampling(resamples, confidence, seed)
    drawn = resampling.weights(len(blocks)) @ blocks
    draws = drawn / drawn.sum(axis=1, keepdims=True)
    array, training = resampling.indices(["array", "training"], sums / sums.sum(), draws)
    return LuckSplit(array, training, float(sums.sum()), len(y))
