"""Sobol indices of a noisy simulator, with the training noise taken out and bootstrap intervals.

Estimators and their sources: docs/statistics.md (variance deconvolution in Saltelli's method, Clements,
Geraci, Olson, Palmer, arXiv 2403.06106).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis._bootstrap import (
    check_arguments,
    make_differences,
    make_indices,
    resampling_weights,
    usable,
)
from vcm_sweep.analysis._moments import Estimate, common_moments, independent_moments
from vcm_sweep.analysis._replicates import check_output, noise_remark, noise_sentence, replicated
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.index import Index
from vcm_sweep.analysis.result import Sensitivity

Array = NDArray[np.float64]


def sobol_indices(
    y: Array,
    factors: Sequence[str],
    *,
    seeds: str = "independent",
    trainings: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 1,
    metric: str = "accuracy",
    groups: Mapping[str, Sequence[str]] | None = None,
) -> Sensitivity:
    """First, total and, where the design has its rows, second-order Sobol indices with bootstrap intervals.

    Independent seeds: the noise of the row means is subtracted, from the row's own replicates when every row
    has two or more, else pooled. Pooling assumes that which rows are replicated does not depend on the
    factors: A, B, AB_i and BA_i rows have one marginal distribution, so the mean of s2 serves them all.
    Common seeds: nothing is subtracted; see `common_moments`.
    Negative estimates are kept. Resamples whose variance is not positive have no ratio and are left out; when
    they are more than the interval leaves outside on one side, the analysis is refused.

    Args:
        y: (base, D + 2, R) float64, output by base block, row and replicate, rows in SALib's Saltelli order: A,
            AB_1 .. AB_D, B; or (base, 2 D + 2, R): A, AB_1 .. AB_D, BA_1 .. BA_D, B, which adds second order. NaN
            where a replicate was not run, never in replicate 0.
        factors: D names, of groups where AB_i exchanged a whole group's columns.
        seeds: ``independent`` or ``common``, as the study ran.
        trainings: so many replicates in a row share an array of cells (`LuckSplit`).
        resamples: of the bootstrap. confidence: of the intervals. seed: of the bootstrap's own draws.
        metric: what ``y`` is, for messages. groups: the factors in each group, for the reader.

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
    check_arguments(names, seeds, resamples, confidence)
    blocks = np.asarray(y, dtype=np.float64)
    _check_rows(blocks, len(names))
    check_output(blocks, metric, seeds=seeds)
    # The estimators do not depend on the origin; a common one keeps the sums of squares accurate.
    origin = float(blocks[:, :, 0].mean())
    rows = replicated(blocks - origin, trainings)
    corrected = seeds == "independent"
    moments = (independent_moments if corrected else common_moments)(blocks - origin, rows, len(names))

    base = blocks.shape[0]
    point = moments.estimate(np.full((1, base), 1.0 / base))
    if not point.variance[0] > 0.0:
        raise AnalysisError(noise_sentence(metric, float(point.variance[0]), corrected=corrected))
    drawn = moments.estimate(resampling_weights(base, resamples, seed))
    draws = drawn.where(usable(drawn.variance, confidence, metric))
    indices = _indices(names, point, draws, confidence)
    return Sensitivity(
        method="sobol",
        metric=metric,
        factors=names,
        kind="total",
        indices=indices,
        differences=make_differences(names, point.total[0], draws.total, confidence),
        seeds=seeds,
        corrected=corrected,
        pooled=corrected and rows.pooled,
        remarks=(noise_remark(rows, corrected=corrected),),
        luck=make_indices(["luck"], point.luck, draws.luck[:, None], confidence)[0],
        mean=float(point.mean[0]) + origin,
        variance=float(point.variance[0]),
        noise_variance=float(point.noise[0]),
        unit="base blocks",
        units=base,
        replicated_rows=rows.replicated_rows,
        confidence=confidence,
        resamples=resamples,
        draws=draws.total,
        groups={name: tuple(members) for name, members in (groups or {}).items()},
    )


def _check_rows(y: Array, d: int) -> None:
    if y.ndim != 3 or y.shape[1] not in (d + 2, 2 * d + 2) or y.shape[2] < 1:
        raise AnalysisError(
            f"y: shape {y.shape} must be (base, {d + 2}, replicates), with rows A, AB_1 .. AB_{d}, B, or "
            f"(base, {2 * d + 2}, replicates) with BA_1 .. BA_{d} before B"
        )


def _indices(
    names: tuple[str, ...], point: Estimate, draws: Estimate, confidence: float
) -> dict[str, tuple[Index, ...]]:
    def of(value: Array, drawn: Array) -> tuple[Index, ...]:
        return make_indices(names, value[0], drawn, confidence)

    indices = {
        "first": of(point.first, draws.first),
        "total": of(point.total, draws.total),
        "single_first": of(point.first * point.single[:, None], draws.first * draws.single[:, None]),
        "single_total": of(point.total * point.single[:, None], draws.total * draws.single[:, None]),
    }
    if point.second.shape[1]:
        left, right = zip(*combinations(names, 2), strict=True)
        indices["second"] = make_indices(left, point.second[0], draws.second, confidence, partners=right)
    return indices
