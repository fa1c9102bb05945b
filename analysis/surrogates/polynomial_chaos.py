"""Sparse polynomial chaos: few products of Legendre polynomials, in the order of least angle regression.

Blatman, Sudret, J. Comput. Phys. 230 (2011) 2345: the terms are those of a hyperbolic set, which favours few factors at
a time. Least angle regression orders them. As many are kept, with coefficients by least squares, as give the smallest
error of predicting each point from the others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import lars_path

from vcm_sweep.analysis.surrogates.legendre import Counts, hyperbolic, orthonormal
from vcm_sweep.analysis.surrogates.surrogate import Groups, Parts, Surrogate

Array = NDArray[np.float64]

# The set is as large as it may be with at most so many terms.
_MOST_TERMS = 600


@dataclass(frozen=True)
class PolynomialChaos(Surrogate):
    """A sum of P products of Legendre polynomials: degrees (P, D) int64, all of a term never 0, and value (P,)."""

    mean: float
    degrees: Counts
    value: Array

    def parts(self, u: Array, groups: Groups) -> Parts:
        return self._by_part(_terms(u, self.degrees) * self.value, groups)

    def variances(self, groups: Groups) -> Parts:
        return self._by_part(self.value**2, groups)

    def coefficients(self, degrees: Counts) -> Array:
        known = dict(zip(map(tuple, self.degrees.tolist()), self.value, strict=True)) | {
            (0,) * degrees.shape[1]: self.mean
        }
        return np.array([known.get(tuple(term), 0.0) for term in degrees.tolist()])

    def _by_part(self, terms: Array, groups: Groups) -> Parts:
        """Sums of the terms that belong to each part; terms: (..., P)."""
        holds = np.array([(self.degrees[:, list(group)] > 0).any(axis=1) for group in groups]).astype(np.float64)
        order = holds.sum(axis=0)
        alone, pairs = holds * (order == 1), holds * (order == 2)
        both = (pairs[:, None] * pairs[None]).reshape(len(groups) ** 2, -1)
        second = (terms @ both.T).reshape(*terms.shape[:-1], len(groups), len(groups))
        return Parts(terms.sum(axis=-1), terms @ alone.T, terms @ holds.T, second)


def fit_polynomial_chaos(u: Array, y: Array, repeats: Array) -> PolynomialChaos:
    """The terms and coefficients for mean outputs y, (n,), of ``repeats`` trainings each, at points u, (n, D)."""
    degrees = hyperbolic(u.shape[1], _MOST_TERMS)
    terms, weights = _terms(u, degrees), np.sqrt(repeats / repeats.mean())
    origin = float(np.average(y, weights=repeats))
    most = min(len(y) // 3, len(degrees))
    _, order, _ = lars_path(terms * weights[:, None], (y - origin) * weights, method="lar", max_iter=most)
    chosen = np.array(order, dtype=np.int64)
    matrix = np.column_stack([np.ones(len(y)), terms[:, chosen]]) * weights[:, None]
    q, r = np.linalg.qr(matrix)
    scores = q.T @ (y * weights)
    # After each term: what the fit leaves at a point, over one minus the point's leverage, is what it would have left
    # if the point had not been there.
    left = (y * weights)[:, None] - np.cumsum(q * scores, axis=1)
    alone = left / (1.0 - np.minimum(np.cumsum(q**2, axis=1), 0.999))
    count = np.arange(1, len(scores) + 1)
    # Terms were chosen by the same outputs: the price of each is that of the corrected error of Blatman and Sudret.
    best = int(np.argmin(np.mean(alone**2, axis=0) * (len(y) + count) / (len(y) - count)))
    value = np.linalg.solve(r[: best + 1, : best + 1], scores[: best + 1])
    return PolynomialChaos(float(value[0]), degrees[chosen[:best]], value[1:])


def _terms(u: Array, degrees: Counts) -> Array:
    """Values of the terms at points: (n, D) -> (n, P)."""
    one = orthonormal(u, max(1, int(degrees.max(initial=1))))
    one = np.concatenate([np.ones((*u.shape, 1)), one], axis=-1)
    product = np.ones((len(u), len(degrees)))
    for j, degree in enumerate(degrees.T):
        used = degree > 0
        product[:, used] *= one[:, j, degree[used]]
    return product
