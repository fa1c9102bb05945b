"""Shapley effects of correlated factors, from a surrogate and at most all that it does not explain.

The effect of a factor is what it adds to the variance V(E[f | x_S]) that a set S of others explains, averaged over the
orders in which factors may become known (Song, Nelson, Staum, SIAM/ASA J. Uncertain. Quantif. 4 (2016) 1060; Owen,
Prieur, ibid. 5 (2017) 986). It needs no independence, and effects add up to the variance. With the parts D_i of
surrogates/dependence.py, f = f' + r and outputs m that f' has not seen,

    Sh_i(f) = Sh_i(f') + 2 E[(m - f') D_i f'] + Sh_i(r),     0 <= Sh_i(r) <= V(r),

as the indices of bounded.py; the Shapley effects of r are not negative and add up to V(r).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from vcm_sweep.analysis.methods.shares import Shares, check_enough, repeats, unseen_words
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.analysis.statistics.linear import Estimated
from vcm_sweep.analysis.statistics.points import read_points
from vcm_sweep.analysis.surrogates.cross_fitting import cross_fit
from vcm_sweep.analysis.surrogates.dependence import shapley_parts
from vcm_sweep.analysis.surrogates.expansion import Expansion, expand, features
from vcm_sweep.sweep.designs.copula import correlated

Array = NDArray[np.float64]

# A power of 2 of points, at which the surrogate's own effects are integrated.
_DOUBLINGS = 11


def bounded_shapley(
    u: Array,
    y: Array,
    factors: Sequence[str],
    matrix: Array,
    *,
    trainings: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 1,
    metric: str = "accuracy",
) -> Sensitivity:
    """Shapley effects of the mean output as shares of its variance, with intervals that hold what the surrogate misses.

    Args:
        u: (n, D) float64 cumulative probabilities of the factors; n is 256 or more.
        y: (n, R) float64 outputs, NaN where a replicate was not run, never in replicate 0. 32 points at least have two.
        factors: D names. matrix: (D, D) correlations of the factors' normal scores; the identity where they are
            independent.
        trainings, resamples, confidence, seed, metric: as in `bounded_indices`.

    Raises:
        AnalysisError, TooFewError: as `bounded_indices`.

    >>> rng = np.random.default_rng(0)
    >>> u = rng.random((256, 3))
    >>> y = (2 * u[:, 0] + u[:, 1])[:, None] + rng.normal(0, 0.1, (256, 2))
    >>> [index.factor for index in bounded_shapley(u, y, ["x1", "x2", "x3"], np.eye(3)).ranking()]
    ['x1', 'x2', 'x3']
    """
    resampling = Resampling(resamples, confidence, seed)
    points = read_points(
        u, y, factors, blocks=None, seeds="independent", metric=metric, fits_means=True, ranks=False,
        trainings=trainings,
    )  # fmt: skip
    check_enough(points)
    count, _, d = points.u.shape
    flat = points.u.reshape(count, d)
    each = [[j] for j in range(d)]
    fitted = cross_fit(flat, points.rows.mean.ravel(), repeats(points, trainings), np.arange(count), each, seed=seed)
    model, unseen = expand(fitted.surrogates, d), (fitted.fold, np.arange(count))
    residual = points.rows.mean.ravel() - model.values(features(flat))[unseen]
    part = shapley_parts(model, flat, matrix)[unseen]
    own = np.average(_own(model, matrix, d), axis=0, weights=np.bincount(fitted.fold))

    def explained(of: Array, at: Array) -> Estimated:
        """Sh(f') + 2 E[(m - f') D f']; of: (N,), at: (n, N)."""
        return Estimated.mean(of + 2.0 * residual[:, None] * at)

    whole = explained(own.sum(keepdims=True), part.sum(axis=1, keepdims=True))
    shares = Shares.of(points, residual[:, None], whole, resampling, metric)
    effects = explained(own, part)
    return shares.sensitivity(
        points,
        "bounded-shapley",
        "shapley",
        {"shapley": shares.indices(effects, factors)},
        effects,
        factors,
        (
            "Shapley effects add up to 100 %, with what the model does not explain: what correlated factors tell "
            "alike, and each interaction, is divided evenly among them. A factor without an effect of its own has one "
            "where it tells of another.",
            f"The model is a {fitted.kind}, as a sum of polynomials, and what it says of a point was fitted without "
            "that point.",
            unseen_words(count),
        ),
    )


def _own(model: Expansion, matrix: Array, d: int) -> Array:
    """(K, D) the Shapley effects of K functions."""
    u = correlated(qmc.Sobol(d, rng=1).random_base2(_DOUBLINGS), matrix)
    values = model.values(features(u))
    centred = values - values.mean(axis=1, keepdims=True)
    return np.asarray(np.einsum("kn,knj->kj", centred, shapley_parts(model, u, matrix)) / len(u))
