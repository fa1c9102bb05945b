"""RBD-FAST: first-order indices from any given points, by a cosine series of each factor's ranks.

Tarantola, Gatelli, Mara, Reliab. Eng. Syst. Saf. 91 (2006) 717; for any given points Plischke, ibid. 95 (2010) 354. The
method orders the output along a factor upwards and then downwards again. That makes it an even function of the rank, so
the M harmonics of the Fourier series are the M cosines that are fitted here.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import NoiseError
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.analysis.statistics.points import read_points
from vcm_sweep.analysis.statistics.replicates import noise_sentence
from vcm_sweep.analysis.statistics.series import fit_series

Array = NDArray[np.float64]


def rbd_fast_indices(
    x: Array,
    y: Array,
    factors: Sequence[str],
    *,
    blocks: NDArray[np.int64] | None = None,
    harmonics: int = 10,
    seeds: str = "independent",
    trainings: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 1,
    metric: str = "accuracy",
) -> Sensitivity:
    """First-order indices of the mean output, with intervals by a bootstrap over blocks.

    For independent points without noise this is SALib's estimate. Every frequency also holds a part of what the series
    does not fit, which makes the index too large. SALib corrects that as if points were independent; we measure it by
    block, so rows of a Saltelli design may be given too (see `statistics.series`). Indices are shares of the variance
    of the row means, from which their noise is subtracted.

    Args:
        x: (n, D) float64 factor values, any continuous distributions, independent of each other.
        y: (n, R) outputs, NaN where a replicate was not run, never in replicate 0.
        blocks: (n,) the base block of each row, all of one size; None for independent points.
        trainings: number of consecutive replicates that share an array of cells.
        harmonics: M, the number of cosines; finer shapes are missed.
        seeds: with ``common`` no noise is subtracted: indices are shares of the variance of a row's mean, which then
            includes the effect of its seeds.

    Raises:
        AnalysisError: as `read_points`, or no variance beyond noise.
    """
    resampling = Resampling(resamples, confidence, seed)
    points = read_points(
        x, y, factors, blocks=blocks, seeds=seeds, metric=metric, fits_means=True, trainings=trainings,
    )  # fmt: skip
    weights = resampling.weights(len(points.y))
    variance, drawn = points.variance(weights)
    if not variance > 0.0:
        raise NoiseError(noise_sentence(metric, variance, corrected=points.corrected))
    keep = resampling.usable(drawn, metric)
    order = np.pi * np.arange(1, harmonics + 1)
    value, draws = np.empty(len(points.factors)), np.empty((int(keep.sum()), len(points.factors)))
    for column in range(len(points.factors)):
        series = fit_series(points, lambda u, j=column: np.sqrt(2.0) * np.cos(u[:, j, None] * order))  # type: ignore[misc]
        squares, resampled = series.squares(weights[keep])
        value[column], draws[:, column] = squares.sum() / variance, resampled.sum(axis=1) / drawn[keep]
    return points.sensitivity(
        "rbd-fast",
        "first",
        {"first": resampling.indices(points.factors, value, draws)},
        draws,
        resampling,
        variance=variance,
        luck=points.luck(variance, drawn, weights, resampling),
        kept=keep,
        remarks=(given_remark(points.corrected), "First order only: what factors do together is not in these indices."),
    )


def given_remark(corrected: bool) -> str:
    """The sentence that says how noise was treated, for methods that fit the row means."""
    if corrected:
        return (
            "Noise was taken out of the variance, by the replicates, and of the squared coefficients, by their own "
            "errors."
        )
    return (
        "Seeds are common to rows, so no training noise was subtracted from the variance: the indices are shares of "
        "the variance of a row's mean, its seeds included."
    )
