"""Per-block moments of a Saltelli design, and the Sobol indices that weighted means of them give.

Every estimator is a ratio of means over base blocks, so one matrix product of resampling weights with the
moments of the blocks gives all bootstrap resamples at once; replicates are resampled with their block. The
derivation is in docs/statistics.md.
"""

from dataclasses import dataclass, fields
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.statistics.replicates import Replicated

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """Estimates for K sets of weights, each (K,); first and total are (K, D).

    ``second`` is (K, pairs), without any column where the design has no BA rows.
    """

    first: Array
    total: Array
    second: Array
    mean: Array
    variance: Array
    noise: Array
    luck: Array
    single: Array

    def where(self, keep: NDArray[np.bool_]) -> "Estimate":
        """The estimates of the sets of weights that ``keep`` marks."""
        return Estimate(*(getattr(self, field.name)[keep] for field in fields(self)))


class Products(NamedTuple):
    """Products of the outputs of each base block, for D factors or groups and P pairs of them.

    While they are computed they have one more axis, the last, for replicates. Where the design has BA rows, product,
    step and half_square are means of the formula below and the same with A and B exchanged.

    Args:
        a, b, a2, b2: (base,) outputs of the rows A and B, and their squares.
        half_gap: (base,) half the squared difference of A and B.
        product: (base, D) B (AB_j - A). step: (base, D) AB_j - A. half_square: (base, D) half of (AB_j - A)^2.
        closed: (base, P) BA_i AB_j - A B. closed_sum: (base, P) BA_i + AB_j - A - B. Both are means over the two orders
            of i and j.
    """

    a: Array
    b: Array
    a2: Array
    b2: Array
    half_gap: Array
    product: Array
    step: Array
    half_square: Array
    closed: Array
    closed_sum: Array


@dataclass(frozen=True)
class Moments:
    """The products of each base block, and the noise in them.

    Args:
        of: the products. noise_ab: (base,) mean noise variance of the means of the rows A and B. noise_step: (base, D)
            the same for A and AB_j. Where ``rows.pooled``, both are relative to the pooled variance of one training.
        rows: the noise of one training. common: whether the rows of a block share their seeds.
    """

    of: Products
    noise_ab: Array
    noise_step: Array
    rows: Replicated
    common: bool

    def estimate(self, weights: Array) -> Estimate:
        """Indices, variance and luck under each row of weights: (K, base), rows summing to 1."""
        of = self.of
        base = of.a.shape[0]
        mean_a, mean_b = weights @ of.a, weights @ of.b
        mean = (mean_a + mean_b) / 2.0
        spread = ((weights @ of.a2 - mean_a**2) + (weights @ of.b2 - mean_b**2)) / 2.0 * base / (base - 1)
        noise = self.rows.noise_variance(weights)
        first = weights @ of.product - mean[:, None] * (weights @ of.step)
        total = weights @ of.half_square
        if self.common:
            variance = weights @ of.half_gap
            whole = spread
        else:
            scale = self.rows.scale(weights)
            variance = spread - scale * (weights @ self.noise_ab)
            total = total - scale[:, None] * (weights @ self.noise_step)
            whole = variance + noise
        with np.errstate(divide="ignore", invalid="ignore"):
            first = first / variance[:, None]
            closed = (weights @ of.closed - mean[:, None] * (weights @ of.closed_sum)) / variance[:, None]
            return Estimate(
                first=first,
                total=total / variance[:, None],
                second=_without_first(closed, first),
                mean=mean,
                variance=variance,
                noise=noise,
                luck=noise / whole,
                single=variance / whole,
            )


def _without_first(closed: Array, first: Array) -> Array:
    if closed.shape[1] == 0:
        return closed
    i, j = np.array(list(combinations(range(first.shape[1]), 2))).T
    return closed - first[:, i] - first[:, j]


def independent_moments(y: Array, rows: Replicated, d: int) -> Moments:
    """Moments of row means, with the noise that their replicates show; y: (base, D + 2 or 2 D + 2, R)."""
    n = rows.noise
    step_noise = (n[:, :1] + n[:, 1 : d + 1]) / 2.0
    if y.shape[1] == 2 * d + 2:
        step_noise = (step_noise + (n[:, -1:] + n[:, d + 1 : -1]) / 2.0) / 2.0
    moments = _products(rows.mean[..., None], d)
    return Moments(
        Products(*(values[..., 0] for values in moments)),
        noise_ab=(n[:, 0] + n[:, -1]) / 2.0,
        noise_step=step_noise,
        rows=rows,
        common=False,
    )


def common_moments(y: Array, rows: Replicated, d: int) -> Moments:
    """Moments per seed, averaged over the replicates that a whole block has; y: (base, D + 2 or 2 D + 2, R).

    The seed acts as one more input, which a block holds fixed. A and B share it, so half their mean squared difference
    is the variance over the ranges at a given seed. The variance of A alone would also include the effect of the seed,
    and so make every index smaller. The indices include the interaction of factor and seed.
    """
    whole = np.isfinite(y).all(axis=1, keepdims=True)
    moments = _products(np.where(whole, y, np.nan), d)
    return Moments(
        Products(*(np.nanmean(values, axis=-1) for values in moments)),
        noise_ab=np.zeros(y.shape[0]),
        noise_step=np.zeros((y.shape[0], d)),
        rows=rows,
        common=True,
    )


def _products(y: Array, d: int) -> Products:
    """The products of every replicate, with R as their last axis; y: (base, rows, R)."""
    a, b, ab = y[:, 0], y[:, -1], y[:, 1 : d + 1]
    step = ab - a[:, None]
    product, square = b[:, None] * step, step**2 / 2.0
    closed = closed_sum = np.empty((y.shape[0], 0, y.shape[2]))
    if y.shape[1] == 2 * d + 2:
        # A and B are drawn alike, so exchanging them gives a second estimate of everything from the same rows.
        ba = y[:, d + 1 : -1]
        other = ba - b[:, None]
        product = (product + a[:, None] * other) / 2.0
        square = (square + other**2 / 2.0) / 2.0
        step = (step + other) / 2.0
        if d > 1:
            i, j = np.array(list(combinations(range(d), 2))).T
            closed = (ba[:, i] * ab[:, j] + ba[:, j] * ab[:, i]) / 2.0 - (a * b)[:, None]
            closed_sum = (ba[:, i] + ab[:, j] + ba[:, j] + ab[:, i]) / 2.0 - (a + b)[:, None]
    return Products(a, b, a**2, b**2, (a - b) ** 2 / 2.0, product, step, square, closed, closed_sum)
