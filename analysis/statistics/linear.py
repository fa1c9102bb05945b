"""Estimates that are functions of means over blocks, with by how much each block moves them: the delta method."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimated:
    """N numbers estimated from B independent blocks; sums, products and ratios carry their influence along.

    Args:
        value: (N,) the estimates. influence: (B, N) by how much each block moves them, summing to 0 over blocks.

    >>> a, b = Estimated.mean(np.array([[1.0], [3.0]])), Estimated.mean(np.array([[2.0], [6.0]]))
    >>> (a / b).value.tolist(), (a / b).influence.ravel().tolist()
    ([0.5], [0.0, 0.0])
    """

    value: Array
    influence: Array

    @classmethod
    def mean(cls, values: Array) -> "Estimated":
        """The mean over blocks; values: (B, N)."""
        value = values.mean(axis=0)
        return cls(value, (values - value) / len(values))

    def __add__(self, other: "Estimated") -> "Estimated":
        return Estimated(self.value + other.value, self.influence + other.influence)

    def __sub__(self, other: "Estimated") -> "Estimated":
        return Estimated(self.value - other.value, self.influence - other.influence)

    def __mul__(self, other: "Estimated") -> "Estimated":
        return Estimated(self.value * other.value, self.influence * other.value + self.value * other.influence)

    def __truediv__(self, other: "Estimated") -> "Estimated":
        value = self.value / other.value
        return Estimated(value, (self.influence - value * other.influence) / other.value)

    def __getitem__(self, columns: NDArray[np.int64]) -> "Estimated":
        return Estimated(self.value[columns], self.influence[:, columns])

    def at_least(self, least: float) -> "Estimated":
        """The estimates cut at ``least``; their error stays, since the cut does not make them better known."""
        return Estimated(np.maximum(self.value, least), self.influence)

    @property
    def error(self) -> Array:
        """(N,) standard errors."""
        blocks = len(self.influence)
        return np.asarray(np.sqrt(np.sum(self.influence**2, axis=0) * blocks / (blocks - 1)))

    def draws(self, weights: Array) -> Array:
        """The estimates under each row of weights: (K, B), rows summing to 1 -> (K, N)."""
        return np.asarray(self.value + (weights * len(self.influence)) @ self.influence)


@dataclass(frozen=True)
class Bounds:
    """N numbers, each of which lies between two that are estimated."""

    low: Estimated
    high: Estimated

    def interval(self, confidence: float) -> tuple[Array, Array]:
        """The ends, (N,) each, between which each number lies with this confidence.

        The bounds are moved out by c standard errors each. Where they are apart, a number can be missed on one side
        only, and c is the one-sided quantile; it is the two-sided one where they meet (Imbens, Manski, Econometrica 72
        (2004) 1845).

        >>> blocks = np.array([[-1.0, -1.0], [1.0, 1.0]])
        >>> bounds = Bounds(Estimated.mean(blocks), Estimated.mean(blocks + [0.0, 20.0]))
        >>> ((bounds.low.value - bounds.interval(0.95)[0]) / bounds.low.error).round(3).tolist()
        [1.96, 1.645]
        """
        one, two = (float(stats.norm.ppf(p)) for p in (confidence, 0.5 + confidence / 2.0))
        gaps, error = self.high.value - self.low.value, np.maximum(self.low.error, self.high.error)
        apart = np.divide(gaps, error, out=np.full_like(error, np.inf), where=error > 0.0)

        def spare(c: float, gap: float) -> float:
            return float(stats.norm.cdf(c + gap) - stats.norm.cdf(-c)) - confidence

        def moved_out(gap: float) -> float:
            # Far apart, the one-sided quantile spares nothing, up to rounding.
            if spare(one, gap) > -1e-9:
                return one
            return float(optimize.brentq(spare, one, two + 1e-6, args=(gap,)))

        c = np.array([moved_out(gap) for gap in apart])
        return self.low.value - c * self.low.error, self.high.value + c * self.high.error
