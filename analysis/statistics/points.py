"""Any given points with their outputs, checked, in the form that PAWN, delta, RBD-FAST and HDMR start from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.errors import AnalysisError, TooFewError
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.statistics.bootstrap import Resampling, check_factors
from vcm_sweep.analysis.statistics.outputs import Outputs
from vcm_sweep.analysis.statistics.replicates import check_output, replicated

Array = NDArray[np.float64]

# With fewer points there is no distribution to compare and no series to fit.
MIN_POINTS = 64
# A factor needs this many different values for a series of ten terms.
MIN_LEVELS = 32


@dataclass(frozen=True)
class Points(Outputs):
    """n = B m points in B blocks of m rows; rows of a block share coordinates, while blocks are independent.

    Args:
        u: (B, m, D) factors, uniform in [0, 1]: scaled by their distribution, or as mid-ranks over all points.
    """

    u: Array

    @property
    def count(self) -> int:
        """n, the number of points."""
        return int(self.u.shape[0] * self.u.shape[1])

    def row_noise(self) -> Array:
        """(B, m) noise variance of each row's mean."""
        return np.asarray(self.rows.scale(self.everyone)[0] * self.rows.noise)

    def influence(self, values: Array) -> Array:
        """By how much each block moves the mean of ``values`` (B, m, ...) over all points: (B, ...)."""
        return np.asarray((values - values.mean(axis=(0, 1))).sum(axis=1) / self.count)

    def variance(self, weights: Array) -> tuple[float, Array]:
        """Variance of the row means over the points without noise (where corrected), and its resamples: (K,)."""
        blocks, mean = len(self.y), self.rows.mean
        centred = mean - mean.mean()
        spread, moved = centred**2, weights * blocks - 1.0
        if self.corrected:
            spread = spread - self.row_noise()
        # The mean of the blocks has a variance of its own, and the spread about that mean is too small by as much.
        pull = self.influence(mean)
        own = float(np.sum(pull**2)) * blocks / (blocks - 1)
        shift = moved @ pull
        value = float(spread.mean()) + own
        return value, value + own + moved @ self.influence(spread) - shift**2

    def luck(self, variance: float, drawn: Array, weights: Array, resampling: Resampling) -> Index:
        """Share of the seed in the variance of one training; NaN when not measured."""
        s2, in_mean = self.noise_variance, float(self.row_noise().mean())
        value = np.array([s2 / (variance + (s2 if self.corrected else s2 - in_mean))])
        if not np.isfinite(s2):
            return Index("luck", float("nan"), float("nan"), float("nan"))
        draws = self.rows.noise_variance(weights)
        whole = drawn + (draws if self.corrected else draws - in_mean)
        keep = np.isfinite(draws) & (whole > 0.0)
        return resampling.indices(["luck"], value, (draws[keep] / whole[keep])[:, None])[0]


def read_points(
    x: Array,
    y: Array,
    factors: Sequence[str],
    *,
    blocks: NDArray[np.int64] | None,
    seeds: str,
    metric: str,
    fits_means: bool,
    trainings: int = 1,
    ranks: bool = True,
) -> Points:
    """The points, when they can be analysed.

    Args:
        x: (n, D) factor values. y: (n, R) outputs, NaN where a replicate was not run, never in replicate 0.
        blocks: (n,) the base block of each row, all of one size; None for independent points.
        fits_means: whether the method fits the row means. A study with independent seeds must then have replicated
            rows, and every factor must have more than a few values.
        trainings: number of consecutive replicates that share an array of cells.
        ranks: whether only the order of a factor's values matters; else x is scaled to [0, 1] by its distribution.

    Raises:
        AnalysisError: shapes that do not fit, too few points, values that are not finite, blocks of several
            sizes, a factor that never varied, or an output that `check_output` refuses.
    """
    check_factors(factors, seeds)
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != len(factors) or y.ndim != 2 or y.shape[0] != x.shape[0]:
        raise AnalysisError(f"x, y: shapes {x.shape}, {y.shape} must be (n, {len(factors)}) and (n, replicates)")
    if len(x) < MIN_POINTS:
        units = len(x) if blocks is None else len(np.unique(blocks))
        raise TooFewError(
            f"n: {len(x)} points are too few for this method; {MIN_POINTS} or more are needed",
            MIN_POINTS, TooFewError.n_for(MIN_POINTS, len(x), units) if len(x) else MIN_POINTS,
        )  # fmt: skip
    check_varied(x, factors)
    place = np.arange(len(x)) if blocks is None else np.asarray(blocks)
    _, block, sizes = np.unique(place, return_inverse=True, return_counts=True)
    if place.shape != (len(x),) or sizes.min() != sizes.max():
        raise AnalysisError(
            f"blocks: {sizes.min()} to {sizes.max()} rows each; all must have one size, so leave whole blocks out"
        )
    order = np.argsort(block, kind="stable")
    shape = (len(sizes), int(sizes[0]))
    y = y[order].reshape(*shape, -1)
    needed = fits_means and seeds == "independent"
    check_output(y, metric, unit="base blocks", seeds="independent" if needed else "common")
    known = seeds == "independent" and bool(np.isfinite(y[:, :, 1:]).any())
    if fits_means:
        _check_levels(x, factors)
    if not ranks and not (x.min() >= 0.0 and x.max() <= 1.0):
        raise AnalysisError(
            f"u: values from {x.min():g} to {x.max():g}; scale each factor to [0, 1] by its distribution, or give its "
            "ranks / n where that is unknown"
        )
    u = (stats.rankdata(x, axis=0) - 0.5) / len(x) if ranks else x
    origin = float(y[:, :, 0].mean())
    return Points(
        factors=tuple(factors),
        metric=metric,
        seeds=seeds,
        unit="points" if blocks is None else "base blocks",
        y=y - origin,
        origin=origin,
        rows=replicated(y - origin, trainings),
        corrected=known,
        u=u[order].reshape(*shape, -1),
    )


def _check_levels(x: Array, factors: Sequence[str]) -> None:
    for name, column in zip(factors, x.T, strict=True):
        levels = np.unique(column).size
        if levels < MIN_LEVELS:
            raise AnalysisError(
                f"{name}: has only {levels} values, as on a grid, and a series needs {MIN_LEVELS} or more; use a "
                "study with [design] method = 'sobol', or the methods pawn or delta"
            )


def check_varied(x: Array, factors: Sequence[str]) -> None:
    """Refuse points that are not finite, or in which a factor has a single value.

    Raises:
        AnalysisError: names the factor.
    """
    for name, column in zip(factors, x.T, strict=True):
        if not np.isfinite(column).all():
            raise AnalysisError(f"{name}: {int((~np.isfinite(column)).sum())} of {column.size} values are not finite")
        if column.min() == column.max():
            raise AnalysisError(
                f"{name}: never varied (always {column[0]:g}), so nothing can be said of it; give it a range in "
                "[[factor]] and run again, or leave it out"
            )
