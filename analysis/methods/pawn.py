"""PAWN: how far the distribution of the output moves when a factor is held in a slice of its range.

Pianosi, Wagener, Environ. Model. Softw. 67 (2015) 1, and 108 (2018) 197 for any given points: the mean over slices of
the Kolmogorov-Smirnov distance between the distribution in the slice and that of all points. The median over slices is
used more often than the mean, but scatters twice as much.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.analysis.statistics.points import read_points
from vcm_sweep.analysis.statistics.slices import distance_indices, slice_places

Array = NDArray[np.float64]

# Distributions are compared at this many values of the output at most; where it has more, at quantiles of all outputs.
_CELLS = 256


def pawn_indices(
    x: Array,
    y: Array,
    factors: Sequence[str],
    *,
    blocks: NDArray[np.int64] | None = None,
    slices: int = 10,
    seeds: str = "independent",
    trainings: int = 1,
    resamples: int = 300,
    confidence: float = 0.95,
    seed: int = 1,
    metric: str = "accuracy",
) -> Sensitivity:
    """PAWN indices of the output of a single training, corrected for bias, with intervals and a floor (see `Index`).

    PAWN sees any change of the distribution, not only of its mean, which suits an output that is bimodal. Every
    training is one observation. Training noise is part of the distribution: it makes it wider and the indices smaller,
    and is not subtracted. A factor that changes only the noise has an index above the floor. The index ``raw`` is
    SALib's ``mean``.

    Args:
        x: (n, D) float64 factor values. y: (n, R) outputs, NaN where a replicate was not run.
        blocks: (n,) the base block of each row, all of one size; None for independent points.
        slices: number of slices into which each factor's range is cut, with equal counts of points.

    Raises:
        AnalysisError: as `read_points`.
    """
    resampling = Resampling(resamples, confidence, seed)
    points = read_points(
        x, y, factors, blocks=blocks, seeds=seeds, metric=metric, fits_means=False, trainings=trainings,
    )  # fmt: skip
    seen = np.unique(points.y[np.isfinite(points.y)])
    if seen.size > _CELLS:
        seen = np.unique(np.nanquantile(points.y, np.linspace(0.0, 1.0, _CELLS), method="higher"))
    cell = np.where(np.isfinite(points.y), np.minimum(np.searchsorted(seen, points.y), seen.size - 1), -1)
    return distance_indices(
        points,
        cell,
        seen.size,
        [slice_places(points.u[:, :, j], slices) for j in range(len(points.factors))],
        [_mean_distance] * len(points.factors),
        kind="pawn",
        remarks=("It compares distributions of single trainings: training noise blurs them, and is not taken out.",),
        resampling=resampling,
    )


def _mean_distance(counts: Array) -> Array:
    """Mean over slices of the largest gap between cumulative distributions; counts: (K, slices, cells) -> (K,)."""
    size = counts.sum(axis=2, keepdims=True)
    with np.errstate(invalid="ignore"):
        part = counts.cumsum(axis=2) / size
    whole = counts.sum(axis=1, keepdims=True).cumsum(axis=2) / size.sum(axis=1, keepdims=True)
    return np.asarray(np.nanmean(np.abs(part - whole).max(axis=2), axis=1))
