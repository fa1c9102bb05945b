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

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.methods.shares import Shares, check_enough, pairs_of, repeats, unseen_words
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling, grouped
from vcm_sweep.analysis.statistics.linear import Estimated
from vcm_sweep.analysis.statistics.points import read_points
from vcm_sweep.analysis.surrogates.cross_fitting import cross_fit

Array = NDArray[np.float64]

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
    residual, part, of = fitted.residual.reshape(count, size), fitted.parts, fitted.variances

    def explained(own: Array, at: Array) -> Estimated:
        """T(f') + 2 E[(m - f') P f']; own: (N,), at: (n, N)."""
        return Estimated.mean(own + 2.0 * (fitted.residual[:, None] * at).reshape(count, size, -1).mean(axis=1))

    shares = Shares.of(points, residual, explained(of.whole[None], part.whole[:, None]), resampling, metric)
    names = tuple(members)
    pairs = pairs_of(names)
    i, j = pairs.T
    firsts, totals = explained(of.first, part.first), explained(of.total, part.total)
    indices = {
        "first": shares.indices(firsts, names),
        "total": shares.indices(totals, names),
        "single_first": shares.indices(firsts, names, single=True),
        "single_total": shares.indices(totals, names, single=True),
        "second": shares.indices(explained(of.second[i, j], part.second[:, i, j]), names, pairs),
    }
    if not len(pairs):
        del indices["second"]
    return shares.sensitivity(
        replace(points, factors=names, seeds=seeds),
        "bounded",
        "total",
        indices,
        totals,
        factors,
        (
            f"The model is a {fitted.kind}, and what it says of a point was fitted without that point.",
            unseen_words(count),
            *((_COMMON,) if seeds == "common" else ()),
        ),
        groups=groups,
    )
