"""Sobol indices of a noisy simulator, with the training noise taken out and bootstrap intervals.

Estimators and their sources: docs/statistics.md (variance deconvolution in Saltelli's method, Clements,
Geraci, Olson, Palmer, arXiv 2403.06106).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError, NoiseError
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling, check_factors
from vcm_sweep.analysis.statistics.moments import Estimate, common_moments, independent_moments
from vcm_sweep.analysis.statistics.outputs import read_outputs
from vcm_sweep.analysis.statistics.replicates import check_output, noise_remark, noise_sentence

Array = NDArray[np.float64]

# Where coverage was measured to be near 95 % for all factors.
_ENOUGH_BLOCKS = 128


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

    With independent seeds the noise of the row means is subtracted. It is measured by each row's own replicates where
    every row has two or more, and else pooled over the rows that have them. Pooling assumes that the choice of rows
    that are replicated does not depend on the factors: A, B, AB_i and BA_i rows all have the same marginal
    distribution, so one mean noise variance serves them all. With common seeds nothing is subtracted; see
    `common_moments`.

    Negative estimates are kept. A resample whose variance is not positive has no ratio and is left out; if there are
    more of these than the interval leaves outside on one side, the analysis is refused.

    Args:
        y: (base, D + 2, R) float64, output by base block, row and replicate, rows in SALib's Saltelli order: A,
            AB_1 .. AB_D, B; or (base, 2 D + 2, R): A, AB_1 .. AB_D, BA_1 .. BA_D, B, which adds second order. NaN
            where a replicate was not run, never in replicate 0.
        factors: D names; names of groups where AB_i exchanged the columns of a whole group.
        seeds: ``independent`` or ``common``, as the study ran.
        trainings: number of consecutive replicates that share an array of cells (see `LuckSplit`).
        resamples: of the bootstrap. confidence: of the intervals. seed: of the bootstrap's own draws.
        metric: what ``y`` is, for messages. groups: the factors in each group, named in the result.

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
    check_factors(names, seeds)
    resampling = Resampling(resamples, confidence, seed)
    blocks = np.asarray(y, dtype=np.float64)
    _check_rows(blocks, len(names))
    check_output(blocks, metric, seeds=seeds)
    given = read_outputs(blocks, names, metric=metric, seeds=seeds, unit="base blocks", trainings=trainings)
    moments = (independent_moments if given.corrected else common_moments)(given.y, given.rows, len(names))

    point = moments.estimate(given.everyone)
    if not point.variance[0] > 0.0:
        raise NoiseError(noise_sentence(metric, float(point.variance[0]), corrected=given.corrected))
    drawn = moments.estimate(resampling.weights(len(blocks)))
    kept = resampling.usable(drawn.variance, metric)
    draws = drawn.where(kept)
    return given.sensitivity(
        "sobol",
        "total",
        _indices(names, point, draws, resampling),
        draws.total,
        resampling,
        variance=float(point.variance[0]),
        luck=resampling.indices(["luck"], point.luck, draws.luck[:, None])[0],
        remarks=(noise_remark(given.rows, corrected=given.corrected), *_few_remark(len(blocks))),
        kept=kept,
        mean=float(point.mean[0]),
        groups=groups,
    )


def _few_remark(blocks: int) -> tuple[str, ...]:
    """A sentence where there are too few blocks for a bootstrap over them."""
    if blocks >= _ENOUGH_BLOCKS:
        return ()
    return (
        f"Below {_ENOUGH_BLOCKS} base blocks the intervals of some factors are too narrow: of 95 % ones, as "
        "few as 75 % held the truth in tests (docs/statistics.md).",
    )


def _check_rows(y: Array, d: int) -> None:
    if y.ndim != 3 or y.shape[1] not in (d + 2, 2 * d + 2) or y.shape[2] < 1:
        raise AnalysisError(
            f"y: shape {y.shape} must be (base, {d + 2}, replicates), with rows A, AB_1 .. AB_{d}, B, or "
            f"(base, {2 * d + 2}, replicates) with BA_1 .. BA_{d} before B"
        )


def _indices(
    names: tuple[str, ...], point: Estimate, draws: Estimate, resampling: Resampling
) -> dict[str, tuple[Index, ...]]:
    def of(value: Array, drawn: Array) -> tuple[Index, ...]:
        return resampling.indices(names, value[0], drawn)

    indices = {
        "first": of(point.first, draws.first),
        "total": of(point.total, draws.total),
        "single_first": of(point.first * point.single[:, None], draws.first * draws.single[:, None]),
        "single_total": of(point.total * point.single[:, None], draws.total * draws.single[:, None]),
    }
    if point.second.shape[1]:
        left, right = zip(*combinations(names, 2), strict=True)
        indices["second"] = resampling.indices(left, point.second[0], draws.second, partners=right)
    return indices
