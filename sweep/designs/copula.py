"""Gaussian copula: points of the unit cube whose coordinates have given rank correlations.

Scores z = Phi^-1(u) of cumulative probabilities are normal. Where two of them have a correlation of 2 sin(pi rho / 6),
u has Spearman's rank correlation rho (K. Pearson, 1907; R. B. Nelsen, An Introduction to Copulas, 2006).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]

# A probability of 0 or 1 has no finite score.
_END = 2.0**-53


def scores(u: Array) -> Array:
    """Normal scores of cumulative probabilities, of any shape; finite at 0 and 1 as well."""
    return np.asarray(ndtri(np.clip(u, _END, 1.0 - _END)))


def probabilities(z: Array) -> Array:
    """Cumulative probabilities of normal scores, of any shape."""
    return np.asarray(ndtr(z))


def correlated(u: Array, matrix: Array) -> Array:
    """Independent points of the unit cube, made to be correlated: (..., D) -> (..., D).

    Args:
        matrix: (D, D) of the scores, positive definite.
    """
    z, root = scores(u), _root(matrix)
    return probabilities(sum((z[..., k, None] * root[:, k] for k in range(len(root))), np.zeros(z.shape)))


def _root(matrix: Array) -> Array:
    """The Cholesky factor, lower triangular: (D, D).

    Written out, as is the product: those of BLAS and LAPACK differ in their last bits between CPUs, and with them the
    points and the keys of their trials would.
    """
    root = np.zeros(matrix.shape)
    for k in range(len(root)):
        column = matrix[k:, k] - sum((root[k:, i] * root[k, i] for i in range(k)), np.zeros(len(root) - k))
        root[k:, k] = column / np.sqrt(column[0])
    return root
