"""Effect curves: the mean output in bins of each factor, which show the direction and shape that an index does not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.errors import AnalysisError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EffectCurve:
    """Mean output in bins of one factor, everything else averaged over its range.

    Args:
        centre: mean of the factor in each bin. mean, low, high: mean output with its interval.
        count: rows in each bin.
    """

    factor: str
    centre: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    count: tuple[int, ...]

    @property
    def change(self) -> float:
        """Mean output in the highest bin minus that in the lowest."""
        return self.mean[-1] - self.mean[0]

    @property
    def span(self) -> float:
        """The largest mean output of a bin minus the smallest; noise makes it somewhat too large."""
        return max(self.mean) - min(self.mean)

    def shape(self) -> str:
        """The means of the first and the last bin, and between them the extreme that stands out from both, if any.

        >>> EffectCurve("m", (-1, 0, 1), (0.2, 0.9, 0.2), (0.1, 0.8, 0.1), (0.3, 1.0, 0.3), (9, 9, 9)).shape()
        '0.200 → 0.900 → 0.200'
        """
        ends = (self.mean[0], self.mean[-1])
        marks = [ends[0], ends[1]]
        for extreme, outside in ((max(self.mean), max(ends)), (min(self.mean), min(ends))):
            half = self.high[self.mean.index(extreme)] - extreme
            if abs(extreme - outside) > half and len(marks) == 2:
                marks.insert(1, extreme)
        return " → ".join(f"{mark:.3f}" for mark in marks)


def effect_curves(
    x: Array,
    y: Array,
    factors: Sequence[str],
    *,
    blocks: NDArray[np.int64] | None = None,
    bins: int = 8,
    confidence: float = 0.95,
) -> tuple[EffectCurve, ...]:
    """One curve per factor, in about ``bins`` bins of equal counts, with intervals of the mean.

    Rows of a base block share most of their coordinates, so they are not independent: the interval takes the block
    as the unit (a cluster-robust variance of the mean, and Student's t with blocks - 1 degrees of freedom).

    Args:
        x: (rows, D) float64, factor values. y: (rows,) float64, row means.
        factors: D names.
        blocks: (rows,) int64, the base block of each row; None takes rows as independent.
        bins: fewer are made where a factor has fewer values, or a bin would hold under four rows.

    Raises:
        AnalysisError: shapes that do not fit, or values that are not finite.

    >>> x = np.linspace(0, 1, 80)[:, None]
    >>> curve, = effect_curves(x, 1.0 - x[:, 0], ["r.d2d.sigma"])
    >>> len(curve.centre), curve.change < 0
    (8, True)
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or x.shape != (y.size, len(factors)) or y.ndim != 1 or y.size == 0:
        raise AnalysisError(f"x, y: shapes {x.shape}, {y.shape} must be (rows, {len(factors)}) and (rows,), not empty")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise AnalysisError("x, y: all values must be finite; run the missing trainings first")
    units = np.arange(y.size) if blocks is None else np.asarray(blocks)
    bins = max(1, min(bins, y.size // 4))
    return tuple(_curve(x[:, j], y, units, name, bins, confidence) for j, name in enumerate(factors))


def _curve(x: Array, y: Array, units: NDArray[np.int64], name: str, bins: int, confidence: float) -> EffectCurve:
    # Equal values stay in one bin, and few values have one each.
    levels = np.unique(x)
    edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, bins + 1))) if levels.size > bins else levels
    last = edges.size - (2 if levels.size > bins else 1)
    place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, max(0, last))
    points = [_mean(x[place == k], y[place == k], units[place == k], confidence) for k in np.unique(place)]
    centre, mean, low, high, count = zip(*points, strict=True)
    return EffectCurve(name, centre, mean, low, high, count)


def _mean(x: Array, y: Array, units: NDArray[np.int64], confidence: float) -> tuple[float, float, float, float, int]:
    mean = float(y.mean())
    _, unit = np.unique(units, return_inverse=True)
    clusters = int(unit.max()) + 1
    if clusters < 2:
        return float(x.mean()), mean, mean, mean, y.size
    sums = np.bincount(unit, weights=y - mean)
    error = float(np.sqrt(np.sum(sums**2) * clusters / (clusters - 1))) / y.size
    half = float(stats.t.ppf(0.5 + confidence / 2.0, clusters - 1)) * error
    return float(x.mean()), mean, mean - half, mean + half, y.size
