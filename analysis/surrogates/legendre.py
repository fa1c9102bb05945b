"""Legendre polynomials that are orthonormal on [0, 1]."""

from collections.abc import Iterator

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

DEGREE = 24
"""The highest degree in one factor: three periods across a range need 16, six need 24."""


def orthonormal(u: Array, degree: int) -> Array:
    """Degrees 1 to ``degree`` at numbers in [0, 1]; u: (...) -> (..., degree). Each has mean 0 and variance 1.

    >>> orthonormal(np.array([0.5, 1.0]), 2).round(3).tolist()
    [[0.0, -1.118], [1.732, 2.236]]
    """
    return np.asarray(
        legendre.legvander(2.0 * u - 1.0, degree)[..., 1:] * np.sqrt(2.0 * np.arange(1, degree + 1) + 1.0)
    )


def with_constant(u: Array, degree: int) -> Array:
    """1 and the polynomials up to ``degree`` at numbers in [0, 1]: (...) -> (..., degree + 1)."""
    return np.concatenate([np.ones((*u.shape, 1)), orthonormal(u, degree)], axis=-1)


def hyperbolic(d: int, most: int) -> Counts:
    """The degrees of the terms with sum_j sqrt(degree_j) <= sqrt(p), for the largest p that gives ``most`` or fewer.

    >>> hyperbolic(2, 5).tolist()
    [[2, 0], [1, 0], [0, 2], [0, 1]]
    """
    found: list[tuple[int, ...]] = []
    for p in range(1, DEGREE + 1):
        more = list(_within(d, float(np.sqrt(p)) + 1e-9))
        if found and len(more) > most:
            break
        found = more
    return np.array(found, dtype=np.int64)


def _within(d: int, budget: float) -> Iterator[tuple[int, ...]]:
    """All degrees of d factors, not all of them 0, whose square roots sum to the budget at most."""
    stack: list[tuple[tuple[int, ...], float]] = [((), budget)]
    while stack:
        head, rest = stack.pop()
        if len(head) == d:
            if any(head):
                yield head
            continue
        stack += [((*head, p), rest - float(np.sqrt(p))) for p in range(int(rest**2) + 1)]
