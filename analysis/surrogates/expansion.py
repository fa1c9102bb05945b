"""All folds' surrogates as sums of the same few products of Legendre polynomials: small, quick, of any kind alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.surrogates.legendre import DEGREE, Counts, hyperbolic, with_constant
from vcm_sweep.analysis.surrogates.surrogate import Surrogate

Array = NDArray[np.float64]

# Terms that are looked at, and that a surrogate keeps of them. Of 256 points of ten factors they leave 4.95 % of the
# variance unexplained where the surrogates themselves leave 4.89 %; of a cliff 12 % where those leave 10 %.
_LOOKED_AT, _KEPT = 8000, 400

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss((DEGREE + 2) // 2)
FEATURE_NODES, FEATURE_WEIGHTS = (_NODES + 1.0) / 2.0, _WEIGHTS / 2.0
"""Of quadrature over [0, 1] that is exact for every feature."""


@dataclass(frozen=True)
class Expansion:
    """K functions of the unit cube, each a sum of the same T products of Legendre polynomials.

    Factors enter by *features*, (D, Q + 1): the constant 1 and the Q polynomials, at one number or averaged over a
    distribution. So values, means over some factors, and over all, are one sum.

    Args:
        degrees: (T, D) int64 of each product. coefficients: (K, T).
    """

    degrees: Counts
    coefficients: Array

    def values(self, features: Array) -> Array:
        """The functions at n points or averages; features: (n, D, Q + 1) -> (K, n)."""
        product = np.ones((len(features), len(self.degrees)))
        for j, degree in enumerate(self.degrees.T):
            used = degree > 0
            product[:, used] *= features[:, j, degree[used]]
        return np.asarray(self.coefficients @ product.T)

    def squares(self, moments: Array) -> Array:
        """E of the functions' squares; moments: (D, Q + 1, Q + 1), E of the products of each factor's features -> (K,).

        With the product of its mean features for its moments, a factor is averaged out before the square is taken.
        """
        product = np.ones((len(self.degrees), len(self.degrees)))
        for degree, moment in zip(self.degrees.T, moments, strict=True):
            # Most terms hold few factors, and the constant's row is that of all others.
            used = np.flatnonzero(degree)
            rows = moment[np.ix_(degree[used], degree)]
            plain = np.flatnonzero(degree == 0)
            product[used] *= rows
            product[np.ix_(plain, used)] *= moment[0, degree[used]]
        return np.asarray(np.sum((self.coefficients @ product) * self.coefficients, axis=1))


def features(u: Array) -> Array:
    """1 and the polynomials at numbers in [0, 1]: (...) -> (..., Q + 1)."""
    return with_constant(u, DEGREE)


def expand(surrogates: Sequence[Surrogate], d: int) -> Expansion:
    """The terms of d factors that weigh most in each surrogate; none decides what another one keeps."""
    degrees = np.concatenate([np.zeros((1, d), dtype=np.int64), hyperbolic(d, _LOOKED_AT)])
    values = np.array([surrogate.coefficients(degrees) for surrogate in surrogates])
    size = np.abs(values)
    size[:, 0] = np.inf
    least = np.sort(size, axis=1)[:, -min(_KEPT, size.shape[1])]
    values = np.where((size >= least[:, None]) & (values != 0.0), values, 0.0)
    held = (values != 0.0).any(axis=0)
    held[0] = True
    return Expansion(degrees[held], values[:, held])
