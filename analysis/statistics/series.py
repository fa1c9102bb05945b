"""Least squares on an orthonormal series, with unbiased squares of its coefficients: RBD-FAST and HDMR share it.

The square of an estimated coefficient is too large by the coefficient's variance, which is therefore subtracted. It is
estimated from the sums of the residuals over blocks (a cluster-robust sandwich estimator), so it includes training
noise, what the series does not fit, and the similarity of rows of a block.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.statistics.points import Points

Array = NDArray[np.float64]

# The design matrix is made in pieces of this many rows, to bound memory.
_CHUNK = 8192


@dataclass(frozen=True)
class Series:
    """Coefficients of P terms, without the constant.

    ``value`` and ``variance`` are (P,); ``influence``, (B, P), is by how much each block moves the coefficients;
    ``residual``, (B, m), is what the series leaves of the row means.
    """

    value: Array
    variance: Array
    influence: Array
    residual: Array

    def squares(self, weights: Array) -> tuple[Array, Array]:
        """Unbiased squares of the coefficients, (P,), and their resamples, (K, P)."""
        moved = (weights * len(self.influence) - 1.0) @ self.influence
        # A resampled coefficient scatters about the estimate, so its square is too large by the variance a second time.
        return self.value**2 - self.variance, (self.value + moved) ** 2 - 2.0 * self.variance


def fit_series(points: Points, terms: Callable[[Array], Array]) -> Series:
    """The series fitted to the row means.

    Args:
        terms: maps (rows, D) points of the unit cube to (rows, P) values of the terms, orthonormal on the unit cube.

    Raises:
        AnalysisError: the points do not determine the coefficients.
    """
    blocks, m, d = points.u.shape
    step = max(1, _CHUNK // m)
    pieces = [slice(start, start + step) for start in range(0, blocks, step)]

    def matrix(piece: slice) -> Array:
        u = points.u[piece].reshape(-1, d)
        return np.column_stack([np.ones(len(u)), terms(u)])

    size = matrix(slice(0, 1)).shape[1]
    gram, moment = np.zeros((size, size)), np.zeros(size)
    for piece in pieces:
        phi = matrix(piece)
        gram += phi.T @ phi
        moment += phi.T @ points.rows.mean[piece].reshape(-1)
    ends = np.linalg.eigvalsh(gram)[[0, -1]]
    if size > points.count // 2 or ends[0] <= 1e-10 * ends[1]:
        raise AnalysisError(
            f"n: {points.count} points do not determine {size} terms; add base rows (vcm-sweep extend), or take "
            "fewer terms"
        )
    coefficients = np.linalg.solve(gram, moment)
    scores, residuals = [], []
    for piece in pieces:
        phi = matrix(piece)
        residual = points.rows.mean[piece].reshape(-1) - phi @ coefficients
        residuals.append(residual.reshape(-1, m))
        scores.append((phi * residual[:, None]).reshape(-1, m, size).sum(axis=1))
    influence = np.linalg.solve(gram, np.concatenate(scores).T).T[:, 1:]
    # Residuals are smaller than errors, by about (n - P) / n (the mean leverage, as in MacKinnon and White's third
    # form). Where rows of a block are alike, this holds for both factors of a product of residuals. The second term is
    # the correction for blocks - 1 degrees of freedom.
    influence *= points.count / (points.count - size) * np.sqrt(blocks / (blocks - 1))
    return Series(coefficients[1:], np.sum(influence**2, axis=0), influence, np.concatenate(residuals))
