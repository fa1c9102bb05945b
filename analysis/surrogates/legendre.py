"""Legendre polynomials that are orthonormal on [0, 1], which all surrogates are made of."""

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

Array = NDArray[np.float64]


def orthonormal(u: Array, degree: int) -> Array:
    """Degrees 1 to ``degree`` at numbers in [0, 1]; u: (...) -> (..., degree). Each has mean 0 and variance 1.

    >>> orthonormal(np.array([0.5, 1.0]), 2).round(3).tolist()
    [[0.0, -1.118], [1.732, 2.236]]
    """
    return np.asarray(
        legendre.legvander(2.0 * u - 1.0, degree)[..., 1:] * np.sqrt(2.0 * np.arange(1, degree + 1) + 1.0)
    )
