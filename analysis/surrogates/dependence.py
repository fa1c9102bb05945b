"""Shapley's parts of a sum of polynomials whose factors are correlated: what each factor adds, averaged over orders.

With P_S f = E[f | x_S] of a set S of factors, the part of factor i is

    D_i f = sum over S without i of w(S) (P_(S + i) f - P_S f),     w(S) = |S|! (D - 1 - |S|)! / D!

and E[f D_i f] is the Shapley effect (Owen, Prieur, SIAM/ASA J. Uncertain. Quantif. 5 (2017) 986), since P_S is a
projection. w(S) is the integral of t^|S| (1 - t)^(D - 1 - |S|) over t from 0 to 1 (Owen, Manag. Sci. 18 (1972) 64), and
a product's conditional mean is the product of those of its independent sets of factors. So the sum over 2^D sets is an
integral of a product, and only factors that hang together need their subsets one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from vcm_sweep.analysis.surrogates.expansion import Expansion, features
from vcm_sweep.analysis.surrogates.legendre import Counts
from vcm_sweep.analysis.surrogates.surrogate import products_of_others
from vcm_sweep.sweep.designs.copula import probabilities, scores
from vcm_sweep.sweep.study.tables.correlation import hang_together

Array = NDArray[np.float64]

# Rows at a time, and draws of what is not given, for each of them.
_ROWS, _DRAWS = 256, 128


def shapley_parts(expansion: Expansion, u: Array, matrix: Array) -> Array:
    """D_i of K functions at n points: (K, n, D); the sum over i is the function less its mean.

    Args:
        u: (n, D) cumulative probabilities. matrix: (D, D) correlations of their normal scores.
    """
    together = [_Together(own, expansion.degrees[:, own], matrix[np.ix_(own, own)]) for own in hang_together(matrix)]
    d = u.shape[1]
    nodes, weights = np.polynomial.legendre.leggauss((d + 1) // 2)
    found = np.zeros((len(expansion.coefficients), *u.shape))
    for start in range(0, len(u), _ROWS):
        rows = slice(start, start + _ROWS)
        means = [one.means(u[rows]) for one in together]
        for t, weight in zip((nodes + 1.0) / 2.0, weights / 2.0, strict=True):
            others = products_of_others(
                np.stack([one.averaged(mean, t) for one, mean in zip(together, means, strict=True)])
            )
            for one, mean, rest in zip(together, means, others, strict=True):
                for factor, part in one.added(mean, t):
                    found[:, rows, factor] += weight * (expansion.coefficients @ (part * rest).T)
    return found


@dataclass(frozen=True)
class _Together:
    """Factors that hang together, in T products of polynomials.

    Args:
        own: their columns. degrees: (T, b) of the b factors. matrix: (b, b) of their scores.
    """

    own: Sequence[int]
    degrees: Counts
    matrix: Array

    def means(self, u: Array) -> list[Array]:
        """E of the products given the factors of each subset, which are the bits of its number: 2^b of (n, T).

        Given nothing it is (1, T).
        """
        distinct, place = np.unique(self.degrees, axis=0, return_inverse=True)
        known = features(u[:, self.own])
        z = scores(u[:, self.own])
        found = []
        for subset in range(1 << len(self.own)):
            given = np.array([bool(subset >> j & 1) for j in range(len(self.own))])
            product = self._rest(z if subset else z[:1], given, distinct)
            for j in np.flatnonzero(given):
                product = product * known[:, j, distinct[:, j]]
            found.append(product[:, place.ravel()])
        return found

    def _rest(self, z: Array, given: NDArray[np.bool_], distinct: Counts) -> Array:
        """E of the products of the factors that are not given, at scores (n, b) of those that are: (n, products)."""
        found = np.ones((len(z), len(distinct)))
        if given.all():
            return found
        if len(given) == 1:
            # A single polynomial has mean 0, and the constant 1.
            return np.asarray(found * (distinct[:, 0] == 0))
        rest = np.flatnonzero(~given)
        covariance = self.matrix[np.ix_(rest, rest)]
        centre = np.zeros((len(z), len(rest)))
        if given.any():
            across = np.linalg.solve(self.matrix[np.ix_(given, given)], self.matrix[np.ix_(given, rest)])
            centre = z[:, given] @ across
            covariance = covariance - self.matrix[np.ix_(rest, given)] @ across
        drawn = _normal(len(rest)) @ np.linalg.cholesky(covariance).T
        values = features(probabilities(centre[:, None] + drawn))
        for k, degree in enumerate(distinct):
            product = np.ones(values.shape[:2])
            for place, j in enumerate(rest):
                if degree[j]:
                    product = product * values[:, :, place, degree[j]]
            found[:, k] = product.mean(axis=1)
        return found

    def averaged(self, means: Sequence[Array], t: float) -> Array:
        """The means over subsets that hold each factor with probability t: (n, T)."""
        b = len(self.own)
        return np.asarray(sum(_share(subset, b, t) * mean for subset, mean in enumerate(means)))

    def added(self, means: Sequence[Array], t: float) -> Iterator[tuple[int, Array]]:
        """What each factor adds to such subsets of the others: its column, and (n, T)."""
        b = len(self.own)
        for j, factor in enumerate(self.own):
            without = [subset for subset in range(1 << b) if not subset >> j & 1]
            yield (
                factor,
                np.sum(
                    [_share(subset, b - 1, t) * (means[subset | 1 << j] - means[subset]) for subset in without], axis=0
                ),
            )


def _share(subset: int, others: int, t: float) -> float:
    held = subset.bit_count()
    return float(t**held * (1.0 - t) ** (others - held))


def _normal(d: int) -> Array:
    """(draws, d) independent normal scores that fill their space evenly."""
    if d == 1:
        return scores((np.arange(_DRAWS)[:, None] + 0.5) / _DRAWS)
    return scores(qmc.Sobol(d, rng=0).random(_DRAWS))
