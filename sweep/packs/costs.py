"""Predicts what a trial will cost, from the trials that are done.

Costs have heavy tails: a factor that makes cells fire more pulses can make a training several times longer. So the
logarithm of the CPU seconds is modelled, as linear in the factors and, with enough rows, in their squares.
"""

import heapq
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

# Squares are fitted only with this many rows per coefficient, so that they do not fit noise.
_ROWS_PER_SQUARE = 4
_PENALTIES = np.geomspace(1e-3, 1e3, 25)
# A weak prior for the variance of the residuals: it counts like two rows with a scatter of 20 %.
_PRIOR_SHAPE, _PRIOR_SCALE = 1.0, 0.04
_DRAWS, _CHUNK = 400, 4096


@dataclass(frozen=True)
class Total:
    """A predicted sum of costs in seconds: its median and 95 % interval."""

    seconds: float
    low: float
    high: float


class CostModel:
    """CPU seconds of a trial from its factors: ridge regression of ln(seconds), with the penalty of largest evidence.

    Coefficients and residuals have their conjugate posterior, so predicted sums come with an interval, which is wide if
    few rows were measured. Without any row all trials are predicted to cost the same.

    Args:
        x: (rows, D) factors within 0..1, see ``Design.scaled``.
        seconds: (rows,) what these trials cost, above 0.

    Example:
        >>> x = np.random.default_rng(0).uniform(size=(64, 2))
        >>> model = CostModel(x, np.exp(1 + 3 * x[:, 0]))
        >>> np.round(model.predict(np.array([[0.0, 0.5], [1.0, 0.5]])) / np.e).tolist()  # 1 and e^3
        [1.0, 20.0]
    """

    def __init__(self, x: Array, seconds: Array) -> None:
        rows, dimension = x.shape
        self.rows = rows
        self._squares = rows >= _ROWS_PER_SQUARE * (2 * dimension + 1)
        y = np.log(seconds)
        self._level = float(y.mean()) if rows else 0.0
        features = self._features(x)
        self._centre = features.mean(0) if rows else np.zeros(features.shape[1])
        self._fit(features - self._centre, y - self._level)

    def _features(self, x: Array) -> Array:
        return np.hstack([x, (x - 0.5) ** 2]) if self._squares else x

    def _fit(self, z: Array, y: Array) -> None:
        """Compute the posterior of the coefficients, with the penalty that has the largest evidence."""
        gram, moment, count = z.T @ z, z.T @ y, len(y)
        values, vectors = np.linalg.eigh(gram)
        rotated = vectors.T @ moment
        self._shape = _PRIOR_SHAPE + max(0, count - 1) / 2
        best = -np.inf
        for penalty in _PENALTIES:
            scale = _PRIOR_SCALE + max(0.0, float(y @ y - rotated**2 @ (1 / (values + penalty)))) / 2
            evidence = 0.5 * np.sum(np.log(penalty / (values + penalty))) - self._shape * np.log(scale)
            if evidence > best:
                best = evidence
                self._scale = scale
                self._mean = vectors @ (rotated / (values + penalty))
                self._root = vectors / np.sqrt(values + penalty)

    @property
    def spread(self) -> float:
        """Standard deviation of the part of ln(seconds) that the factors do not explain."""
        return float(np.sqrt(self._scale / self._shape))

    def predict(self, x: Array) -> Array:
        """The median of each row's predicted cost in seconds, (rows,)."""
        found = np.exp(self._level + (self._features(x) - self._centre) @ self._mean)
        return cast(Array, found)

    def quantiles(self, x: Array, shares: tuple[float, ...]) -> tuple[float, ...]:
        """Quantiles of the cost of a single trial over the given rows, including the scatter of the residuals."""
        rng = np.random.default_rng(1)
        rows = np.arange(len(x)) if len(x) <= _CHUNK else rng.choice(len(x), _CHUNK, replace=False)
        costs = self.predict(x[rows])[:, None] * np.exp(self.spread * rng.standard_normal((len(rows), 16)))
        return tuple(float(q) for q in np.quantile(costs, shares))

    def total(self, x: Array, runs: Array | None = None) -> Total:
        """The total cost of all rows, each of them run ``runs`` times (default: once)."""
        if not len(x):
            return Total(0.0, 0.0, 0.0)
        runs = np.ones(len(x)) if runs is None else runs
        rng = np.random.default_rng(1)
        variance = self._scale / rng.gamma(self._shape, size=_DRAWS)
        # The level is the mean of the measured rows, and has the standard error of that mean.
        level = self._level + np.sqrt(variance / max(1, self.rows)) * rng.standard_normal(_DRAWS)
        drawn = rng.standard_normal((_DRAWS, len(self._mean))) @ self._root.T * np.sqrt(variance)[:, None]
        coefficients = (self._mean + drawn).T
        sums, squares = np.zeros(_DRAWS), np.zeros(_DRAWS)
        for first in range(0, len(x), _CHUNK):
            part = slice(first, first + _CHUNK)
            medians = np.exp(level + (self._features(x[part]) - self._centre) @ coefficients)
            sums += runs[part] @ medians
            squares += runs[part] @ medians**2
        # The mean and variance of lognormal costs, from their medians.
        grown = np.exp(variance / 2)
        totals = sums * grown + np.sqrt(squares * (np.exp(variance) - 1)) * grown * rng.standard_normal(_DRAWS)
        low, middle, high = np.quantile(totals, [0.025, 0.5, 0.975])
        return Total(float(middle), max(0.0, float(low)), float(high))


def makespan(seconds: Array, workers: int) -> float:
    """Seconds until all packs are done, if each in turn goes to the worker that is free first."""
    free = [0.0] * max(1, min(workers, len(seconds)))
    for pack in seconds:
        heapq.heappush(free, heapq.heappop(free) + float(pack))
    return max(free)
