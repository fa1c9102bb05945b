"""Sparse polynomial chaos: few products of Legendre polynomials, in the order of least angle regression.

Blatman, Sudret, J. Comput. Phys. 230 (2011) 2345: the terms are those of a hyperbolic set, which favours few factors at
a time. Least angle regression orders them. As many are kept, with coefficients by least squares, as give the smallest
error of predicting each point from the others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import lars_path

from vcm_sweep.analysis.surrogates.legendre import Counts, hyperbolic, with_constant
from vcm_sweep.analysis.surrogates.surrogate import Functions, Surrogate

Array = NDArray[np.float64]

# The set is as large as it may be with at most so many terms.
_MOST_TERMS = 600


@dataclass(frozen=True)
class Polynomials(Functions):
    """Orthonormal Legendre polynomials; degrees: (P, D) int64, 0 is the constant 1."""

    degrees: Counts

    @property
    def dimension(self) -> int:
        return int(self.degrees.shape[1])

    def at(self, u: Array) -> Array:
        one = with_constant(u, max(1, int(self.degrees.max(initial=1))))
        return np.stack([one[:, j, degree] for j, degree in enumerate(self.degrees.T)])


def fit_polynomial_chaos(u: Array, y: Array, repeats: Array) -> Surrogate:
    """The terms and coefficients for mean outputs y, (n,), of ``repeats`` trainings each, at points u, (n, D)."""
    degrees = hyperbolic(u.shape[1], _MOST_TERMS)
    terms, weights = np.prod(Polynomials(degrees).at(u), axis=0), np.sqrt(repeats / repeats.mean())
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
    return Surrogate(float(value[0]), value[1:], Polynomials(degrees[chosen[:best]]))
