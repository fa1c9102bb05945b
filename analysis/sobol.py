"""Sobol indices of a noisy simulator, with the training noise taken out and bootstrap intervals.

Estimators and their sources: docs/statistics.md (variance deconvolution in Saltelli's method, Clements,
Geraci, Olson, Palmer, arXiv 2403.06106).
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis._moments import Estimate, Moments, common_moments, independent_moments
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.result import Difference, Index, SobolResult

Array = NDArray[np.float64]

SEEDS = ("independent", "common")
# Below this a percentile interval over base blocks means nothing (8 blocks have 6435 distinct resamples).
MIN_BASE = 8


class _Interval(NamedTuple):
    low: Array
    high: Array


def sobol_indices(
    y: Array,
    factors: Sequence[str],
    *,
    seeds: str = "independent",
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 1,
    metric: str = "accuracy",
) -> SobolResult:
    """First and total Sobol indices with percentile intervals from a bootstrap over base blocks.

    Independent seeds: the noise of the row means is subtracted, from the row's own replicates when every row
    has two or more, else pooled. Pooling assumes that which rows are replicated does not depend on the
    factors: A, B and AB_i rows have one marginal distribution, so the mean of s2 serves them all.
    Common seeds: nothing is subtracted; see `common_moments`.
    Negative estimates are kept. Resamples whose variance is not positive have no ratio and are left out; when
    they are more than the interval leaves outside on one side, the analysis is refused.

    Args:
        y: (base, D + 2, R) float64, output by base block, row and replicate. Rows in SALib's Saltelli order
            without second order: A, AB_1 .. AB_D, B. NaN where a replicate was not run, never in replicate 0.
        factors: D names.
        seeds: ``independent`` or ``common``, as the study ran.
        resamples: of the bootstrap. confidence: of the intervals. seed: of the bootstrap's own draws.
        metric: what ``y`` is, for messages.

    Raises:
        AnalysisError: missing or infinite values, fewer than 8 base blocks, no replicated row (independent
            seeds), a constant output, or one that varies no more than training noise.

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.uniform(size=(2, 512, 2))
    >>> rows = [a, np.column_stack([b[:, 0], a[:, 1]]), np.column_stack([a[:, 0], b[:, 1]]), b]
    >>> mean = np.stack([2 * r[:, 0] + r[:, 1] for r in rows], axis=1)
    >>> y = mean[..., None] + rng.normal(0, 0.1, (512, 4, 2))
    >>> [index.factor for index in sobol_indices(y, ["x1", "x2"]).ranking()]
    ['x1', 'x2']
    """
    names = tuple(factors)
    _check_arguments(names, seeds, resamples, confidence)
    blocks = _checked(np.asarray(y, dtype=np.float64), names, seeds, metric)
    base = blocks.shape[0]
    # The estimators do not depend on the origin; a common one keeps the sums of squares accurate.
    origin = float(blocks[:, :, 0].mean())
    moments = (common_moments if seeds == "common" else independent_moments)(blocks - origin)

    point = moments.estimate(np.full((1, base), 1.0 / base))
    if not point.variance[0] > 0.0:
        raise AnalysisError(_noise_sentence(metric, moments, float(point.variance[0])))
    rng = np.random.default_rng(seed)
    draws = moments.estimate(rng.multinomial(base, np.full(base, 1.0 / base), size=resamples) / base)
    usable = draws.variance > 0.0
    if np.mean(~usable) > (1.0 - confidence) / 2.0:
        raise AnalysisError(
            f"{metric}: in {np.sum(~usable)} of {resamples} bootstrap resamples the output varies no more "
            f"than training noise, so the indices have no {100 * confidence:g} % interval; add base rows "
            "(vcm-sweep extend) or replicates, or widen the ranges"
        )
    return _result(names, point, draws.where(usable), blocks, moments, origin, seeds, confidence, resamples)


def _check_arguments(names: tuple[str, ...], seeds: str, resamples: int, confidence: float) -> None:
    if not names or len(set(names)) != len(names):
        raise AnalysisError(f"factors: {list(names)} must be one or more distinct names")
    if seeds not in SEEDS:
        raise AnalysisError(f"seeds: {seeds!r} is not one of {', '.join(SEEDS)}")
    if resamples < 100:
        raise AnalysisError(f"resamples: {resamples} is too few for an interval; take 100 or more")
    if not 0.5 <= confidence < 1.0:
        raise AnalysisError(f"confidence: {confidence} must be in [0.5, 1), for example 0.95")


def _checked(y: Array, names: tuple[str, ...], seeds: str, metric: str) -> Array:
    """The blocks, when they can be analysed."""
    rows = len(names) + 2
    if y.ndim != 3 or y.shape[1] != rows or y.shape[2] < 1:
        raise AnalysisError(
            f"y: shape {y.shape} must be (base, {rows}, replicates), with rows A, AB_1 .. AB_{len(names)}, B"
        )
    if y.shape[0] < MIN_BASE:
        raise AnalysisError(
            f"n: {y.shape[0]} base rows are too few for an interval; {MIN_BASE} or more are needed, and some "
            "hundred for a ranking (vcm-sweep extend)"
        )
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
            "replicates: no row was trained twice, so training noise cannot be told from the factors; set "
            "replicates = 2 or more in [design] and run again (finished trainings are kept)"
        )
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        raise AnalysisError(
            f"{metric}: all trainings gave {high:g}, so there is no variance to share out; widen the ranges, "
            "or look at whether the network trains at all"
        )
    return y


def _noise_sentence(metric: str, moments: Moments, variance: float) -> str:
    if not moments.noise_known:
        return f"{metric}: does not vary within any base block; widen the ranges of the factors"
    return (
        f"{metric} varies no more than training noise: after subtraction the variance over the ranges is "
        f"{variance:.3g}; widen the ranges, or add replicates and base rows (vcm-sweep extend)"
    )


def _result(
    names: tuple[str, ...],
    point: Estimate,
    draws: Estimate,
    blocks: Array,
    moments: Moments,
    origin: float,
    seeds: str,
    confidence: float,
    resamples: int,
) -> SobolResult:
    tail = (1.0 - confidence) / 2.0

    def interval(values: Array) -> _Interval:
        low, high = np.quantile(values, [tail, 1.0 - tail], axis=0)
        return _Interval(low, high)

    def indices(value: Array, drawn: Array) -> tuple[Index, ...]:
        low, high = interval(drawn)
        return tuple(
            Index(name, float(v), float(a), float(b)) for name, v, a, b in zip(names, value[0], low, high, strict=True)
        )

    differences = []
    for i, j in combinations(range(len(names)), 2):
        big, small = (i, j) if point.total[0, i] >= point.total[0, j] else (j, i)
        low, high = interval(draws.total[:, big] - draws.total[:, small])
        value = float(point.total[0, big] - point.total[0, small])
        differences.append(Difference(names[big], names[small], value, float(low), float(high)))

    counts = np.isfinite(blocks).sum(axis=2)
    luck = interval(draws.luck)
    return SobolResult(
        factors=names,
        first=indices(point.first, draws.first),
        total=indices(point.total, draws.total),
        single_first=indices(point.first * point.single[:, None], draws.first * draws.single[:, None]),
        single_total=indices(point.total * point.single[:, None], draws.total * draws.single[:, None]),
        differences=tuple(differences),
        luck=Index("luck", float(point.luck[0]), float(luck.low), float(luck.high)),
        mean=float(point.mean[0]) + origin,
        variance=float(point.variance[0]),
        noise_variance=float(point.noise[0]),
        base_points=blocks.shape[0],
        replicated_rows=int((counts >= 2).sum()),
        seeds=seeds,
        pooled=moments.pooled,
        confidence=confidence,
        resamples=resamples,
    )
