"""Bounded indices: what a surrogate explains, and at most all that it does not; right whatever the surrogate is.

At a point x the outputs are y = f(x) + e with E[e | x] = 0; m is the mean of R of them, s2 their variance. A surrogate
f' was fitted without that point, and r = f - f'. A part of f is P f, with an orthogonal projection P (see `Parts` of
surrogates/surrogate.py), and T(f) its variance. Then

    T(f) = T(f') + 2 E[(m - f') P f'] + T(r),     0 <= T(r) <= E[r^2] = E[(m - f')^2 - s2 / R]
    V(f) = V(f') + 2 E[(m - f') (f' - E f')] + V(r)

so that an index T(f) / V(f) lies between two numbers that are measured. The proof, and coverage: docs/statistics.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.errors import NoiseError, TooFewError
from vcm_sweep.analysis.results.index import Difference, Index, two_digits
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling, grouped
from vcm_sweep.analysis.statistics.linear import Bounds, Estimated
from vcm_sweep.analysis.statistics.points import Points, read_points
from vcm_sweep.analysis.statistics.replicates import Replicated, array_means, noise_remark, noise_sentence
from vcm_sweep.analysis.surrogates.corner import largest_residuals
from vcm_sweep.analysis.surrogates.cross_fitting import cross_fit

Array = NDArray[np.float64]

# With fewer points too much of the box may hold none; with fewer blocks, or points with replicates, standard errors are
# not known well enough.
_POINTS, _BLOCKS, _REPLICATED = 256, 32, 32
# A surrogate that leaves more than this share unexplained misses something that can be looked for.
_MISSED = 0.1
_COMMON = (
    "Seeds are common to the rows of a base block: these indices are those of the mean over seeds all the same, where "
    "pick-freeze ones are per seed, averaged."
)


def bounded_indices(
    u: Array,
    y: Array,
    factors: Sequence[str],
    *,
    blocks: NDArray[np.int64] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    seeds: str = "independent",
    trainings: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 1,
    metric: str = "accuracy",
) -> Sensitivity:
    """First, total and second-order indices of the mean output, with intervals that hold what the surrogate misses.

    The value of an index is the lower of its two bounds, what the surrogate explains of it; ``unexplained`` is
    V(r) / V(f), the share that the surrogate leaves, of which an index may have all or nothing. Indices are those of
    the mean over training seeds, also where seeds are common to the rows of a block.

    Args:
        u: (n, D) float64, factors scaled to [0, 1] by their distribution; n is 256 or more.
        y: (n, R) float64 outputs, NaN where a replicate was not run, never in replicate 0. 32 points at least have two.
        factors: D names.
        blocks: (n,) int64 the base block of each row, all of one size; None for independent points.
        groups: factors by group; None ranks factors one by one.
        seeds, trainings: as in `sobol_indices`. resamples: behind luck, and the stability of the order.
        confidence: of the intervals. seed: of folds and resamples. metric: what ``y`` is, for messages.

    Raises:
        AnalysisError: as `read_points`, or groups that do not hold every factor once.
        TooFewError: too few points, blocks or replicates, or no variance beyond noise.

    >>> rng = np.random.default_rng(0)
    >>> u = rng.random((256, 3))
    >>> y = (2 * u[:, 0] + u[:, 1])[:, None] + rng.normal(0, 0.1, (256, 2))
    >>> result = bounded_indices(u, y, ["x1", "x2", "x3"])
    >>> result.verdict("x1"), result.total[0].low < 0.8 < result.total[0].high
    ('matters', True)
    """
    resampling = Resampling(resamples, confidence, seed)
    members = grouped(factors, groups)
    points = read_points(
        u, y, factors, blocks=blocks, seeds="independent", metric=metric, fits_means=True, ranks=False,
        trainings=trainings,
    )  # fmt: skip
    check_enough(points)
    count, size, _ = points.u.shape
    fitted = cross_fit(
        points.u.reshape(count * size, -1), points.rows.mean.ravel(), repeats(points, trainings),
        np.repeat(np.arange(count), size),
        [[list(factors).index(name) for name in group] for group in members.values()],
        seed=seed,
    )  # fmt: skip
    residual, part, of = fitted.residual[:, None], fitted.parts, fitted.variances

    def explained(own: Array, at: Array) -> Estimated:
        """T(f') + 2 E[(m - f') P f']; own: (N,), at: (n, N)."""
        return Estimated.mean(own + 2.0 * (residual * at).reshape(count, size, -1).mean(axis=1))

    missed = missed_variance(points, fitted.residual.reshape(count, size))
    mean = Estimated.mean(residual.reshape(count, size).mean(axis=1, keepdims=True))
    variance = explained(of.whole[None], part.whole[:, None]) + missed - mean * mean
    noise = training_noise(points.rows)
    check_varies(variance, noise, confidence, metric)
    weights = resampling.weights(count)
    drawn = variance.draws(weights)[:, 0]
    keep = resampling.usable(drawn, metric)

    def bounds(explained: Estimated, of: Estimated = variance) -> Bounds:
        return Bounds(explained / of, (explained + missed) / of)

    names = tuple(members)
    pairs = np.array(list(combinations(range(len(names)), 2)), dtype=np.int64).reshape(-1, 2)
    i, j = pairs.T
    firsts, totals = explained(of.first, part.first), explained(of.total, part.total)
    share, one = missed / variance, variance + noise
    indices = {
        "first": bounded_index(bounds(firsts), confidence, names),
        "total": bounded_index(bounds(totals), confidence, names),
        "single_first": bounded_index(bounds(firsts, one), confidence, names),
        "single_total": bounded_index(bounds(totals, one), confidence, names),
        "second": bounded_index(bounds(explained(of.second[i, j], part.second[:, i, j])), confidence, names, pairs),
        "unexplained": bounded_index(Bounds(share, share), confidence, ("unexplained",)),
    }
    if not len(pairs):
        del indices["second"]
    unexplained = indices["unexplained"][0]
    apart = totals[i] - totals[j]
    differences = Bounds((apart - missed) / variance, (apart + missed) / variance)
    result = replace(points, factors=names, seeds=seeds).sensitivity(
        "bounded",
        "total",
        indices,
        (totals / variance).draws(weights[keep]),
        resampling,
        variance=float(variance.value[0]),
        luck=points.luck(float(variance.value[0]), drawn, weights, resampling),
        kept=keep,
        remarks=(
            f"The model is a {fitted.kind}, and what it says of a point was fitted without that point.",
            unseen_words(count),
            *((_COMMON,) if seeds == "common" else ()),
            noise_remark(points.rows, corrected=True),
        ),
        groups=groups,
    )
    return replace(
        result,
        differences=bounded_differences(differences, confidence, names, pairs),
        spare=(0.0, max(0.0, unexplained.high)),
        misses=misses_words(points, fitted.residual.reshape(count, size), factors, unexplained),
    )


def too_few(points: int, blocks: int, replicated: int) -> tuple[str, str] | None:
    """What points in so many blocks, so many of them trained twice, lack for an interval: the field, and in words."""
    if points < _POINTS:
        return "n", (
            f"{points} points are too few for a verdict, since {_unseen(points)} of the box may hold none of them "
            f"(with a probability of 5 %); {_POINTS} or more are needed (vcm-sweep extend)"
        )
    if blocks < _BLOCKS:
        return "n", f"{blocks} base blocks are too few for an interval; {_BLOCKS} or more are needed (vcm-sweep extend)"
    if replicated < _REPLICATED:
        return "replicates", (
            f"{replicated} points were trained twice, and {_REPLICATED} or more are needed to tell what the surrogate "
            "leaves unexplained from training noise; vcm-sweep extend --replicates 2 runs every row once more (what is "
            "finished is kept)"
        )
    return None


def check_enough(points: Points) -> None:
    """Refuse points that are too few, or too seldom trained twice: TooFewError says what to run."""
    if lacking := too_few(points.count, len(points.u), points.rows.replicated_rows):
        raise TooFewError(": ".join(lacking))


def check_varies(variance: Estimated, noise: Estimated, confidence: float, metric: str) -> None:
    """Refuse a variance of the mean output that may be 0, (1,), beside that of one training: NoiseError."""
    # One point that fell off a cliff may be all that varies; and the squares of a single failure and of its noise are
    # equal, so that the variance is nearly 0, and its error, too. Less than a hundredth of the noise is never measured.
    two_sided = float(stats.norm.ppf(0.5 + confidence / 2.0))
    if not variance.value[0] > max(two_sided * variance.error[0], 1e-2 * noise.value[0]):
        raise NoiseError(noise_sentence(metric, float(variance.value[0]), corrected=True))


def training_noise(rows: Replicated) -> Estimated:
    """The variance of one training at fixed factors."""
    noise = Estimated.mean(rows.s2_sum[:, None]) / Estimated.mean(rows.s2_count[:, None])
    if not rows.inner_count.any():
        return noise
    return noise + Estimated.mean(rows.inner_sum[:, None]) / Estimated.mean(rows.inner_count[:, None])


def missed_variance(points: Points, residual: Array) -> Estimated:
    """V(r) = E[(m - f')^2 - s2 / R], cut at 0; residual: (B, m)."""
    rows = points.rows
    noise = Estimated.mean(rows.noise.mean(axis=1, keepdims=True))
    if rows.pooled:
        noise = noise * (Estimated.mean(rows.s2_sum[:, None]) / Estimated.mean(rows.s2_count[:, None]))
    return (Estimated.mean((residual**2).mean(axis=1, keepdims=True)) - noise).at_least(0.0)


def bounded_index(
    bounds: Bounds, confidence: float, names: Sequence[str], pairs: NDArray[np.int64] | None = None
) -> tuple[Index, ...]:
    """The lower bound of each factor or pair, with the interval of both."""
    named = [(name, "") for name in names] if pairs is None else [(names[i], names[j]) for i, j in pairs]
    value, (low, high) = bounds.low.value, bounds.interval(confidence)
    # Without anything unexplained the interval would be even about the value.
    missed = np.maximum(0.0, high - (2.0 * value - low)) * (bounds.high.value > value)
    numbers = np.column_stack([value, low, high, missed]).tolist()
    return tuple(
        Index(name, own, below, above, partner, missed=more)
        for (name, partner), (own, below, above, more) in zip(named, numbers, strict=True)
    )


def bounded_differences(
    bounds: Bounds, confidence: float, names: Sequence[str], pairs: NDArray[np.int64]
) -> tuple[Difference, ...]:
    """What each pair differs by, the larger minus the smaller."""
    return tuple(
        Difference(names[i], names[j], float(value), float(low), float(high))
        if value >= 0.0
        else Difference(names[j], names[i], float(-value), float(-high), float(-low))
        for (i, j), value, low, high in zip(
            pairs, (bounds.low.value + bounds.high.value) / 2.0, *bounds.interval(confidence), strict=True
        )
    )


def repeats(points: Points, trainings: int) -> Array:
    """(n,) how many independent trainings, or arrays of several, each mean is of."""
    return np.isfinite(array_means(points.y, trainings)).sum(axis=2).ravel().astype(np.float64)


def _unseen(points: int) -> str:
    # (1 - p)^n = 0.05 for p = 3 / n.
    return f"{two_digits(300.0 / points)} %"


def misses_words(points: Points, residual: Array, factors: Sequence[str], unexplained: Index) -> str:
    """What the surrogate leaves unexplained and, if that is much, where."""
    share = f"{two_digits(100.0 * unexplained.value)} % of the variance"
    most = f"at most {two_digits(100.0 * max(0.0, unexplained.high))} %"
    if unexplained.value <= _MISSED:
        return (
            f"The model leaves {share} unexplained, {most}: it may be any factor's, and every interval holds all of it."
        )
    blocks, size, d = points.u.shape
    square = (residual**2 - points.row_noise()).ravel()
    corner = largest_residuals(points.u.reshape(-1, d), square, np.repeat(np.arange(blocks), size), factors)
    where = f"it is largest with {corner.words()}" if corner else "it is spread over the whole box"
    return (
        f"The model misses something, {share}, {most}: {where}. It may be any factor's, and every interval holds all "
        "of it."
    )


def unseen_words(units: int) -> str:
    return (
        f"A part of the box smaller than {_unseen(units)} of it may have met no point (with a probability of 5 %); "
        "no method knows what happens there."
    )
