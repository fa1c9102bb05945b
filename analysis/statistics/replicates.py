"""Row means of a design, the training noise that replicates show, and the outputs that are refused."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError, TooFewError

Array = NDArray[np.float64]

# With fewer units a percentile interval means nothing (8 units have 6435 distinct resamples).
MIN_UNITS = 8
_FOR_A_RANKING = 256


@dataclass(frozen=True)
class Replicated:
    """Rows of a design in units that the bootstrap draws.

    Args:
        mean: (units, rows) mean over the replicates.
        noise: (units, rows) noise variance of that mean. Where ``pooled``, it is relative to the variance of one
            training, which is then pooled over rows.
        s2_sum, s2_count: (units,) sum and number of the within-row variances: of single trainings, or where trainings
            are nested, of the means over the trainings of each array.
        pooled: whether some row has fewer than two replicates. replicated_rows: number of rows with two or more.
        inner_sum, inner_count: (units,) sum and number of the variances by which single trainings vary more than the
            means over an array; 0 where trainings are not nested.
    """

    mean: Array
    noise: Array
    s2_sum: Array
    s2_count: Array
    pooled: bool
    replicated_rows: int
    inner_sum: Array
    inner_count: Array

    def noise_variance(self, weights: Array) -> Array:
        """Variance of one training at fixed factors under each row of weights, NaN without replicates: (K,)."""
        return self._between(weights) + _ratio(weights @ self.inner_sum, weights @ self.inner_count, 0.0)

    def _between(self, weights: Array) -> Array:
        # A resample may hold no replicated row when few units have one: its noise is then unknown, and a NaN
        # drops it with the resamples whose variance is not positive.
        return _ratio(weights @ self.s2_sum, weights @ self.s2_count, np.nan)

    def scale(self, weights: Array) -> Array:
        """The factor that turns ``noise`` into a variance under each row of weights: (K,); 1 unless pooled."""
        return self._between(weights) if self.pooled else np.ones(len(weights))


def _ratio(above: Array, below: Array, without: float) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0.0, above / below, without)


def replicated(y: Array, trainings: int = 1) -> Replicated:
    """Row means and their noise; y: (units, rows, R), NaN where a replicate was not run.

    ``trainings`` consecutive replicates share an array of cells. If there are several, they are not independent of
    each other, but arrays are: the mean over the trainings of an array then counts as one replicate.
    """
    inner_sum, inner_count = np.zeros(len(y)), np.zeros(len(y))
    if trainings > 1:
        nested = by_array(y, trainings)
        inner = within_variance(nested.reshape(len(y), -1, trainings))
        inner_sum = np.nansum(inner, axis=1) * (1.0 - 1.0 / trainings)
        inner_count = np.isfinite(inner).sum(axis=1).astype(np.float64)
        y = array_means(y, trainings)
    count = np.isfinite(y).sum(axis=2)
    s2 = within_variance(y)
    pooled = bool((count < 2).any())
    return Replicated(
        mean=np.nanmean(y, axis=2),
        noise=1.0 / count if pooled else s2 / count,
        s2_sum=np.nansum(s2, axis=1),
        s2_count=(count >= 2).sum(axis=1).astype(np.float64),
        pooled=pooled,
        replicated_rows=int((count >= 2).sum()),
        inner_sum=inner_sum,
        inner_count=inner_count,
    )


def by_array(y: Array, trainings: int) -> Array:
    """(units, rows, R) -> (units, rows, arrays, trainings), with NaN where the last array has fewer trainings."""
    missing = -y.shape[2] % trainings
    return np.pad(y, ((0, 0), (0, 0), (0, missing)), constant_values=np.nan).reshape(*y.shape[:2], -1, trainings)


def array_means(y: Array, trainings: int) -> Array:
    """Means over the trainings of each array, NaN where there is none: (units, rows, R) -> (units, rows, arrays)."""
    if trainings == 1:
        return y
    nested = by_array(y, trainings)
    return _ratio(np.nansum(nested, axis=3), np.isfinite(nested).sum(axis=3), np.nan)


def ended_first(y: Array, trainings: int) -> Array:
    """The outputs of each row reordered: values first, NaN last, and the trainings of an array still together."""
    nested = by_array(y, trainings)
    nested = np.take_along_axis(nested, np.argsort(np.isnan(nested), axis=3, kind="stable"), axis=3)
    empty = np.isnan(nested).sum(axis=3)
    nested = np.take_along_axis(nested, np.argsort(empty, axis=2, kind="stable")[..., None], axis=2)
    return nested.reshape(*y.shape[:2], -1)


def within_variance(y: Array) -> Array:
    """Sample variance over the replicates of each row, NaN where there are none; y: (units, rows, R)."""
    count = np.isfinite(y).sum(axis=2)
    mean = _ratio(np.nansum(y, axis=2), count, np.nan)
    centred = y - mean[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        s2: Array = np.where(count >= 2, np.nansum(centred**2, axis=2) / (count - 1), np.nan)
    return s2


def check_output(y: Array, metric: str, *, unit: str = "base rows", seeds: str = "independent") -> None:
    """Refuse an output that allows no conclusion; y: (units, rows, R), NaN where a replicate was not run.

    Raises:
        AnalysisError: fewer than 8 units, missing or infinite values, no replicated row (independent seeds), or a
            constant output.
    """
    if y.shape[0] < MIN_UNITS:
        raise TooFewError(
            f"n: {y.shape[0]} {unit} are too few for an interval; {MIN_UNITS} or more are needed, and some "
            "hundred for a ranking",
            MIN_UNITS, _FOR_A_RANKING,
        )  # fmt: skip
    infinite = int(np.isinf(y).sum())
    if infinite:
        raise AnalysisError(
            f"{metric}: {infinite} of {y.size} values are infinite; run those again (vcm-sweep run --retry)"
        )
    missing = int(np.isnan(y[:, :, 0]).sum())
    if missing:
        raise AnalysisError(
            f"{metric}: {missing} of {y[:, :, 0].size} rows have no finite first replicate; finish them with "
            "vcm-sweep run, with --retry where they failed"
        )
    if seeds == "independent" and not np.isfinite(y[:, :, 1:]).any():
        raise AnalysisError(
            "replicates: no row was trained twice, so training noise cannot be told from the factors; "
            "vcm-sweep extend --replicates 2 runs every row once more (what is finished is kept)"
        )
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        raise AnalysisError(
            f"{metric}: all trainings gave {high:g}, so there is no variance to share out; widen the ranges, "
            "or look at whether the network trains at all"
        )


def noise_sentence(metric: str, variance: float, *, corrected: bool) -> str:
    """The sentence that says why there are no indices where the variance is not positive."""
    if not corrected:
        return f"{metric}: does not vary within any base block; widen the ranges of the factors"
    return (
        f"{metric} varies no more than training noise: after subtraction the variance over the ranges is "
        f"{variance:.3g}; widen the ranges, or add replicates and base rows (vcm-sweep extend)"
    )


def noise_remark(rows: Replicated, *, corrected: bool, unit: str = "base block") -> str:
    """The sentence that says how noise was treated, for methods that subtract the noise variance of row means."""
    if not corrected:
        return (
            f"Seeds are common to the rows of a {unit}: the indices are those per seed, averaged; "
            "they contain the interaction of factor and seed, and no training noise was subtracted."
        )
    if rows.pooled:
        return (
            f"Not every row has replicates: the noise variance is pooled over the {rows.replicated_rows} "
            "rows that do, and subtracted from all. Where trainings fail more often at noisier or at quieter points, "
            "luck is that of the rows which kept two."
        )
    return "The noise variance of every row was measured by its own replicates and subtracted."
