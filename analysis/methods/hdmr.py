"""HDMR: first-order, second-order and total indices from any given points, by a series of orthonormal polynomials.

Random-sampling HDMR: Li, Wang, Rabitz, J. Phys. Chem. A 106 (2002) 8721; its series is that of polynomial chaos.
We do not use SALib's (enhanced) HDMR, because it fits random halves of the rows, without regard to blocks or noise.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import NoiseError
from vcm_sweep.analysis.methods.rbd_fast import given_remark
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.analysis.statistics.points import Points, read_points
from vcm_sweep.analysis.statistics.replicates import noise_sentence
from vcm_sweep.analysis.statistics.series import Series, fit_series

Array = NDArray[np.float64]

# The highest polynomial degrees: in one factor, and in both factors of a pair together.
_DEGREE, _PAIR_DEGREE = 8, 6
# The least number of points per term, and the most terms, which are still solved in seconds.
_POINTS_PER_TERM, _MOST_TERMS = 5, 800


def hdmr_indices(
    u: Array,
    y: Array,
    factors: Sequence[str],
    *,
    blocks: NDArray[np.int64] | None = None,
    seeds: str = "independent",
    trainings: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 1,
    metric: str = "accuracy",
) -> Sensitivity:
    """First, second and total indices of the mean output, with intervals by a bootstrap over blocks.

    The mean output is fitted by Legendre polynomials of each factor up to degree 8 and of each pair up to joint degree
    6. Degrees are lowered until there are five points or more per term and at most 800 terms, which is a heuristic. A
    total index here holds interactions of pairs, and none of more factors. The index ``unexplained`` is the share of
    the variance that no term holds, with its interval; any of the others may hold all of it, so the upper ends of their
    intervals do. The noise of the
    coefficients is subtracted from their squares (see `statistics.series`), so ``unexplained`` does not shrink when
    added terms merely fit noise.

    Args:
        u: (n, D) float64, factors scaled to [0, 1] by their distribution. Where that is unknown, give ranks / n; the
            intervals are then too narrow, because they take the distribution of the points for the true one.
        y, blocks, seeds: as in `rbd_fast_indices`.

    Raises:
        AnalysisError: as `read_points`, or no variance beyond noise, or too few points for one term per factor.
    """
    resampling = Resampling(resamples, confidence, seed)
    points = read_points(
        u, y, factors, blocks=blocks, seeds=seeds, metric=metric, fits_means=True, ranks=False, trainings=trainings,
    )  # fmt: skip
    names = points.factors
    weights = resampling.weights(len(points.y))
    degree, pair_degree = _degrees(points.count, len(names))
    owners, powers = _terms(len(names), degree, pair_degree)
    series = fit_series(points, lambda u: _legendre(u, owners, powers, degree))
    squares, resampled = series.squares(weights)
    rest, rest_draws = _rest(points, series, weights)
    # The variance is taken as the sum of its parts, so that the shares add up to one.
    variance, drawn = float(squares.sum()) + rest, resampled.sum(axis=1) + rest_draws
    if not variance > 0.0:
        raise NoiseError(noise_sentence(metric, variance, corrected=points.corrected))
    keep = resampling.usable(drawn, metric)

    pairs = list(combinations(range(len(names)), 2)) if pair_degree else []
    components = [(j, -1) for j in range(len(names))] + pairs
    member = np.array([[owner == component for owner in owners] for component in components], dtype=np.float64)
    value, draws = member @ squares / variance, resampled[keep] @ member.T / drawn[keep, None]
    holds = np.array([[j in component for component in components] for j in range(len(names))], dtype=np.float64)
    total, total_draws = holds @ value, draws @ holds.T
    left, left_draws = np.array([1.0 - value.sum()]), 1.0 - draws.sum(axis=1, keepdims=True)
    d = len(names)
    indices = {
        "first": resampling.indices(names, value[:d], draws[:, :d]),
        "total": resampling.indices(names, total, total_draws),
    }
    if pairs:
        one, two = ([names[pair[end]] for pair in pairs] for end in (0, 1))
        indices["second"] = resampling.indices(one, value[d:], draws[:, d:], partners=two)
    unexplained = resampling.indices(["unexplained"], left, left_draws)
    indices = {kind: _with_unexplained(found, unexplained[0]) for kind, found in indices.items()}
    indices["unexplained"] = unexplained
    result = points.sensitivity(
        "hdmr",
        "total",
        indices,
        total_draws,
        resampling,
        variance=variance,
        luck=points.luck(variance, drawn, weights, resampling),
        kept=keep,
        remarks=(
            given_remark(points.corrected),
            _terms_words(degree, pair_degree),
        ),
    )
    more = max(0.0, unexplained[0].high)
    apart = tuple(replace(pair, low=pair.low - more, high=pair.high + more) for pair in result.differences)
    misses = (
        f"The polynomials leave {unexplained[0].percent()} of the variance unexplained: it may be any factor's, and "
        "the upper end of every interval holds all of it."
    )
    return replace(result, differences=apart, spare=(0.0, more), misses=misses)


def _with_unexplained(indices: tuple[Index, ...], unexplained: Index) -> tuple[Index, ...]:
    """Indices whose upper ends hold that all of the variance that no term explains may be theirs."""
    more = max(0.0, unexplained.high)
    return tuple(replace(index, high=index.high + more, missed=more) for index in indices)


def _rest(points: Points, series: Series, weights: Array) -> tuple[float, Array]:
    """Variance of the mean output that no term holds, and its resamples: (K,).

    The terms also fit a part of the noise and of the rest, by which the residuals are too small: it is the sum of the
    coefficients' variances, and is added back.
    """
    squares = series.residual**2
    if points.corrected:
        squares = squares - points.row_noise()
    value = float(squares.mean() + series.variance.sum())
    return value, value + (weights * len(squares) - 1.0) @ points.influence(squares)


def _degrees(count: int, d: int) -> tuple[int, int]:
    """The highest degree of one factor and joint degree of a pair (0: no pairs) for which there are enough points."""
    pairs = d * (d - 1) // 2
    for cut in range(_DEGREE):
        degree, joint = _DEGREE - cut, max(0, _PAIR_DEGREE - cut)
        joint = joint if joint >= 2 and pairs else 0
        terms = 1 + d * degree + pairs * joint * (joint - 1) // 2
        if terms <= min(count // _POINTS_PER_TERM, _MOST_TERMS):
            return degree, joint
    return 1, 0


def _terms(d: int, degree: int, joint: int) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """The owner of each of the P terms, (factor, -1) or a pair, and (P, 2) its degree in each of the two factors."""
    owners, powers = [], []
    for j in range(d):
        for p in range(1, degree + 1):
            owners.append((j, -1))
            powers.append((p, 0))
    if joint:
        for i, j in combinations(range(d), 2):
            for p in range(1, joint):
                for q in range(1, joint - p + 1):
                    owners.append((i, j))
                    powers.append((p, q))
    return owners, np.array(powers)


def _legendre(u: Array, owners: list[tuple[int, int]], powers: NDArray[np.int64], degree: int) -> Array:
    """Values of the terms at the points: (rows, P)."""
    one = legendre.legvander(2.0 * u - 1.0, degree) * np.sqrt(2.0 * np.arange(degree + 1) + 1.0)
    i, j = np.array(owners).T
    # Degree 0 is the constant 1, so a term of one factor may name any factor as its second.
    return np.asarray(one[:, i, powers[:, 0]] * one[:, j, powers[:, 1]])


def _terms_words(degree: int, joint: int) -> str:
    pairs = (
        f"of pairs up to joint degree {joint}"
        if joint
        else "of no pairs, for which the points are too few: total indices are first-order ones here"
    )
    return f"Polynomials of each factor up to degree {degree} and {pairs}."
