"""A Gaussian process whose kernel is a product over factors of 1 + Legendre polynomials, so that it splits like ANOVA.

With orthonormal phi_q, of mean 0,

    k(x, x') = s prod_j (1 + k_j(x_j, x'_j)),     k_j(x, x') = sum_q w_jq phi_q(x) phi_q(x'),

E over x_j of the factor of j is 1, so that a part of the posterior mean is the same sum over data with another product
of the k_j: sum_i alpha_i k_j for what j does alone, sum_i alpha_i k_j prod_l!=j (1 + k_l) for all that involves it. The
covariance of two such parts is the same product once more, with w_jq^2 for w_jq. A group is a factor with
1 + k_g = prod_j in g (1 + k_j). Kernels of this kind: Durrande, Ginsbourger, Roustant, Carraro, J. Multivar. Anal. 115
(2013) 57.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, special

from vcm_sweep.analysis.surrogates.legendre import DEGREE, Counts, orthonormal
from vcm_sweep.analysis.surrogates.surrogate import Groups, Parts, Surrogate, joined

Array = NDArray[np.float64]

# Hyperparameters come from so many points at most, since a step of the search costs their number cubed. Of docs/example
# 0.7 to 1.6 % was left unexplained with 300, by which points these were; 0.5 to 0.8 % with 450 or 600.
_SOME = 500
# Numbers that the kernels of a piece of rows hold together: 16 MiB, which stays in a cache.
_PIECE = 2_000_000
# Further steps of the search do not make predictions of new points better, measured on nine functions. It begins from a
# steep and a flat fall of the weights with the degree: one finds products of three factors, the other several periods.
_SEARCH, _FALLS = {"maxiter": 15, "ftol": 1e-5}, (0.3, 0.7)


@dataclass(frozen=True)
class Hyperparameters:
    """w_jq = theta_j rho_j^q / sum_q rho_j^q, by the logarithms of its numbers.

    Args:
        theta, rho: (D,) logarithms of the variance of a factor's own part relative to 1, and of its fall from one
            degree to the next.
        scale: of s. noise: of the variance of one training, with the rest that no kernel holds.
    """

    theta: Array
    rho: Array
    scale: float
    noise: float

    @property
    def shares(self) -> Array:
        """(D, Q) w_jq / theta_j, which sum to 1."""
        return np.asarray(special.softmax(np.arange(DEGREE) * self.rho[:, None], axis=1))

    @property
    def weights(self) -> Array:
        """(D, Q) w_jq."""
        return np.exp(self.theta)[:, None] * self.shares


@dataclass(frozen=True)
class GaussianProcess(Surrogate):
    """The posterior mean: features (n, D, Q) of the data, alpha (n,) their weights, with the scale in them."""

    mean: float
    features: Array
    alpha: Array
    given: Hyperparameters

    def parts(self, u: Array, groups: Groups) -> Parts:
        return self._parts(orthonormal(u, DEGREE), self.given.weights, groups)

    def variances(self, groups: Groups) -> Parts:
        return self._parts(self.features, self.given.weights**2, groups).map(
            lambda part: np.tensordot(self.alpha, part, 1)
        )

    def coefficients(self, degrees: Counts) -> Array:
        columns = self.features * self.given.weights
        step = max(1, _PIECE // len(self.alpha))
        pieces = []
        for start in range(0, len(degrees), step):
            some = degrees[start : start + step]
            product = np.ones((len(self.alpha), len(some)))
            for j, degree in enumerate(some.T):
                used = degree > 0
                product[:, used] *= columns[:, j, degree[used] - 1]
            pieces.append(self.alpha @ product)
        # A kernel's constant part gives the mean.
        return np.concatenate(pieces) + np.where((degrees > 0).any(axis=1), 0.0, self.mean - self.alpha.sum())

    def _parts(self, left: Array, weights: Array, groups: Groups) -> Parts:
        """Sums over data of alpha times a kernel between ``left``, (n, D, Q) features, and the data."""
        step = max(1, _PIECE // (len(groups) * len(self.alpha)))
        pieces = []
        for start in range(0, len(left), step):
            each = _factor_kernels(left[start : start + step], self.features, weights)
            k = np.stack([np.prod(1.0 + each[list(group)], axis=0) - 1.0 for group in groups])
            without = _others(1.0 + k)
            by_row = k.transpose(1, 0, 2)
            pieces.append(
                Parts(
                    whole=(without[0] * (1.0 + k[0]) - 1.0) @ self.alpha,
                    first=(k @ self.alpha).T,
                    total=((k * without) @ self.alpha).T,
                    second=(by_row * self.alpha) @ by_row.transpose(0, 2, 1),
                )
            )
        return joined(pieces)


def _factor_kernels(left: Array, right: Array, weights: Array) -> Array:
    """k_j between features (n, D, Q) and (m, D, Q): (D, n, m)."""
    return np.asarray(np.matmul((left * weights).transpose(1, 0, 2), right.transpose(1, 2, 0)))


def _others(factors: Array) -> Array:
    """For each of D arrays the product of the others; factors may be 0, so nothing is divided: (D, ...) -> (D, ...)."""
    product = np.empty_like(factors)
    product[0] = 1.0
    for j in range(1, len(factors)):
        np.multiply(product[j - 1], factors[j - 1], out=product[j])
    after = np.ones_like(factors[0])
    for j in range(len(factors) - 2, -1, -1):
        after *= factors[j + 1]
        product[j] *= after
    return product


def _add_noise(covariance: Array, noise: Array) -> None:
    """Noise on the diagonal, and a billionth of what is there: it keeps the matrix positive definite in any case."""
    diagonal = np.diag_indices_from(covariance)
    covariance[diagonal] += noise + 1e-9 * covariance[diagonal].mean()


def fit_gaussian_process(u: Array, y: Array, repeats: Array) -> GaussianProcess:
    """The posterior mean given mean outputs y, (n,), of ``repeats`` trainings each, at points u, (n, D)."""
    origin, sd = float(y.mean()), float(y.std())
    features, values = orthonormal(u, DEGREE), (y - origin) / (sd if sd > 0.0 else 1.0)
    some = np.random.default_rng(0).permutation(len(y))[:_SOME]
    given = _most_likely(features[some], values[some], repeats[some])
    scale, noise = np.exp(given.scale), np.exp(given.noise) / repeats
    kernel = np.full((len(y), len(y)), scale)
    for j in range(u.shape[1]):
        kernel *= 1.0 + _factor_kernels(features[:, j : j + 1], features[:, j : j + 1], given.weights[j : j + 1])[0]
    _add_noise(kernel, noise)
    factor = linalg.cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
    alpha = sd * scale * linalg.cho_solve(factor, values, check_finite=False)
    return GaussianProcess(origin + float(alpha.sum()), features, alpha, given)


def _most_likely(features: Array, values: Array, repeats: Array) -> Hyperparameters:
    """The hyperparameters of largest marginal likelihood."""
    d = features.shape[1]

    def read(p: Array) -> Hyperparameters:
        return Hyperparameters(p[:d], p[d : 2 * d], float(p[-2]), float(p[-1]))

    def loss(p: Array) -> tuple[float, Array]:
        value, slope = _likelihood(features, values, repeats, read(p))
        return value, np.concatenate([slope.theta, slope.rho, [slope.scale, slope.noise]])

    bounds = [(-12.0, 6.0)] * d + [(-3.0, -0.05)] * d + [(-7.0, 7.0), (-13.0, 3.0)]
    starts = [np.log(np.concatenate([np.full(d, 0.1), np.full(d, fall), [0.5, 0.3]])) for fall in _FALLS]
    found = [
        optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=_SEARCH) for start in starts
    ]
    return read(min(found, key=lambda result: float(result.fun)).x)


def _likelihood(
    features: Array, values: Array, repeats: Array, given: Hyperparameters
) -> tuple[float, Hyperparameters]:
    """Minus the log marginal likelihood, and its derivatives by each hyperparameter."""
    weights, scale, noise = given.weights, np.exp(given.scale), np.exp(given.noise) / repeats
    factors = _factor_kernels(features, features, weights)
    factors += 1.0
    without = _others(factors)
    kernel = scale * without[0] * factors[0]
    covariance = kernel.copy()
    _add_noise(covariance, noise)
    lower = linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
    alpha = linalg.cho_solve((lower, True), values, check_finite=False)
    value = 0.5 * values @ alpha + np.log(np.diag(lower)).sum()
    inverse, _ = linalg.lapack.dpotri(lower, lower=1)
    # d value = sum(slope * d covariance).
    slope = 0.5 * (np.tril(inverse) + np.tril(inverse, -1).T - np.outer(alpha, alpha))
    columns = features.transpose(1, 0, 2)
    without *= slope
    by_weight = scale * np.sum(np.matmul(without, columns) * columns, axis=1)
    degree = np.arange(DEGREE)
    from_mean = degree - given.shares @ degree[:, None]
    return float(value), Hyperparameters(
        theta=np.sum(by_weight * weights, axis=1),
        rho=np.sum(by_weight * weights * from_mean, axis=1),
        scale=float(np.sum(slope * kernel)),
        noise=float(np.sum(np.diag(slope) * noise)),
    )
