"""Gaussian processes: the posterior mean with the hyperparameters of largest marginal likelihood."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from vcm_sweep.analysis.surrogates.kernels import Anova, Centred, Kernel, Matern
from vcm_sweep.analysis.surrogates.surrogate import Surrogate, products_of_others

Array = NDArray[np.float64]

# Hyperparameters come from so many points at most. Of 448 points, on four functions, a search in 300 left squared
# errors 0.86 to 1.2 times those of a search in all, at a quarter of the time: what a step handles stays in a cache.
_SOME = 300
# Further steps of the search do not make predictions of new points better, measured on nine functions.
_SEARCH = {"maxiter": 15, "ftol": 1e-5}


def fit_anova_process(u: Array, y: Array, repeats: Array) -> Surrogate:
    """A Gaussian process whose kernel is a product of 1 + Legendre polynomials, see `Fit` for the arguments."""
    return _fit(Anova(u.shape[1]), u, y, repeats)


def fit_matern_process(u: Array, y: Array, repeats: Array) -> Surrogate:
    """A Gaussian process of functions that may bend sharply, fitted to 1,024 points at most."""
    some = slice(1024)
    return _fit(Matern(u.shape[1]), u[some], y[some], repeats[some])


def _fit(kernel: Kernel, u: Array, y: Array, repeats: Array) -> Surrogate:
    origin, sd = float(y.mean()), float(y.std())
    points, values = kernel.prepared(u), (y - origin) / (sd if sd > 0.0 else 1.0)
    some = np.random.default_rng(0).permutation(len(y))[:_SOME]
    given, scale, noise = _most_likely(kernel, points[:, some], values[some], repeats[some])
    covariance = np.full((len(y), len(y)), scale)
    for kappa in kernel.each(points, points, given):
        covariance *= kappa
    _add_noise(covariance, noise / repeats)
    factor = linalg.cho_factor(covariance, lower=True, overwrite_a=True, check_finite=False)
    weights = sd * scale * linalg.cho_solve(factor, values, check_finite=False)
    return Surrogate(origin, weights, Centred(kernel, points, given))


def _add_noise(covariance: Array, noise: Array) -> None:
    """Noise on the diagonal, and a billionth of what is there: it keeps the matrix positive definite in any case."""
    diagonal = np.diag_indices_from(covariance)
    covariance[diagonal] += noise + 1e-9 * covariance[diagonal].mean()


def _most_likely(kernel: Kernel, points: Array, values: Array, repeats: Array) -> tuple[Array, float, float]:
    """The kernel's hyperparameters, its scale, and the variance of one training with the rest that no kernel holds."""
    loss = _likelihood(kernel, points, values, repeats)
    found = [
        optimize.minimize(
            loss,
            np.concatenate([start, np.log([0.5, 0.3])]),
            jac=True,
            method="L-BFGS-B",
            bounds=[*kernel.bounds, (-7.0, 7.0), (-13.0, 3.0)],
            options=_SEARCH,
        )
        for start in kernel.starts
    ]
    best = min(found, key=lambda result: float(result.fun)).x
    return best[:-2], float(np.exp(best[-2])), float(np.exp(best[-1]))


def _likelihood(kernel: Kernel, points: Array, values: Array, repeats: Array) -> Callable[[Array], tuple[float, Array]]:
    """Minus the log marginal likelihood, and its derivatives, of hyperparameters, log scale and log noise."""

    def loss(p: Array) -> tuple[float, Array]:
        given, scale, noise = p[:-2], np.exp(p[-2]), np.exp(p[-1]) / repeats
        factors = kernel.factors(points, points, given)
        others = products_of_others(factors)
        clean = scale * others[0] * factors[0]
        covariance = clean.copy()
        _add_noise(covariance, noise)
        lower = linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        alpha = linalg.cho_solve((lower, True), values, check_finite=False)
        value = 0.5 * values @ alpha + np.log(np.diag(lower)).sum()
        inverse, _ = linalg.lapack.dpotri(lower, lower=1)
        # d value = sum(slope * d covariance).
        slope = 0.5 * (np.tril(inverse) + np.tril(inverse, -1).T - np.outer(alpha, alpha))
        others *= scale * slope
        by_kernel = kernel.slopes(points, given, others)
        return float(value), np.concatenate([by_kernel, [np.sum(slope * clean), np.diag(slope) @ noise]])

    return loss
