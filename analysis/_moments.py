"""Per-block moments of a Saltelli design and the index estimates that weighted means of them give.

Every estimator is a ratio of means over base blocks, so one matrix product of resampling weights with the
moments of the blocks gives all bootstrap resamples at once, replicates travelling with their block.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """Estimates for K sets of weights: arrays of shape (K,) and, for first and total, (K, D)."""

    first: Array
    total: Array
    mean: Array
    variance: Array
    noise: Array
    luck: Array
    single: Array

    def where(self, keep: NDArray[np.bool_]) -> "Estimate":
        """The estimates of the sets of weights that ``keep`` marks."""
        return Estimate(*(getattr(self, field.name)[keep] for field in fields(self)))


@dataclass(frozen=True)
class Moments:
    """Moments of each base block; D factors.

    Args:
        a, b, a2, b2: (base,) outputs of the A and B row and their squares.
        half_gap: (base,) half the squared difference of A and B.
        product: (base, D) B (AB_j - A). step: (base, D) AB_j - A. half_square: (base, D) half of its square.
        noise_ab: (base,), noise_step: (base, D): mean noise variance of the two rows' means; relative to the
            pooled variance of one training when ``pooled``.
        s2_sum, s2_count: (base,) sum and number of the within-row variances.
        common: whether the rows of a block share their seeds.
    """

    a: Array
    b: Array
    a2: Array
    b2: Array
    half_gap: Array
    product: Array
    step: Array
    half_square: Array
    noise_ab: Array
    noise_step: Array
    s2_sum: Array
    s2_count: Array
    pooled: bool
    common: bool

    @property
    def noise_known(self) -> bool:
        """Whether training noise is measured and subtracted."""
        return not self.common

    def estimate(self, weights: Array) -> Estimate:
        """Indices, variance and luck under each row of weights: (K, base), rows summing to 1."""
        base = self.a.shape[0]
        mean_a, mean_b = weights @ self.a, weights @ self.b
        mean = (mean_a + mean_b) / 2.0
        spread = ((weights @ self.a2 - mean_a**2) + (weights @ self.b2 - mean_b**2)) / 2.0 * base / (base - 1)
        s2_count = weights @ self.s2_count
        # A resample may hold no replicated row when few blocks have one: its noise is then unknown, and a NaN
        # variance drops it with the resamples whose variance is not positive.
        with np.errstate(divide="ignore", invalid="ignore"):
            noise = np.where(s2_count > 0.0, (weights @ self.s2_sum) / s2_count, np.nan)
        first = weights @ self.product - mean[:, None] * (weights @ self.step)
        total = weights @ self.half_square
        if self.common:
            variance = weights @ self.half_gap
            whole = spread
        else:
            scale = noise if self.pooled else np.ones_like(noise)
            variance = spread - scale * (weights @ self.noise_ab)
            total = total - scale[:, None] * (weights @ self.noise_step)
            whole = variance + noise
        with np.errstate(divide="ignore", invalid="ignore"):
            return Estimate(
                first=first / variance[:, None],
                total=total / variance[:, None],
                mean=mean,
                variance=variance,
                noise=noise,
                luck=noise / whole,
                single=variance / whole,
            )


def independent_moments(y: Array) -> Moments:
    """Moments of row means, with the noise that their replicates show; y: (base, D + 2, R), NaN = not run."""
    count = np.isfinite(y).sum(axis=2)
    mean = np.nanmean(y, axis=2)
    s2 = _within(y, count)
    pooled = bool((count < 2).any())
    # Noise of a row's mean: its own s2 / n, or, to be multiplied by the pooled variance, 1 / n.
    noise = 1.0 / count if pooled else s2 / count
    a, b, ab = mean[:, 0], mean[:, -1], mean[:, 1:-1]
    step = ab - a[:, None]
    return Moments(
        a=a,
        b=b,
        a2=a**2,
        b2=b**2,
        half_gap=(a - b) ** 2 / 2.0,
        product=b[:, None] * step,
        step=step,
        half_square=step**2 / 2.0,
        noise_ab=(noise[:, 0] + noise[:, -1]) / 2.0,
        noise_step=(noise[:, :1] + noise[:, 1:-1]) / 2.0,
        s2_sum=np.nansum(s2, axis=1),
        s2_count=(count >= 2).sum(axis=1).astype(np.float64),
        pooled=pooled,
        common=False,
    )


def common_moments(y: Array) -> Moments:
    """Moments per seed, averaged over the replicates that a whole block has; y: (base, D + 2, R).

    The seed acts as one more input that a block holds fixed. Half the mean squared difference of A and B,
    which share it, is the variance over the ranges at a given seed; the variance of A alone would also hold
    the seed's own effect and so shrink every index. The indices keep the interaction of factor and seed.
    """
    whole = np.isfinite(y).all(axis=1, keepdims=True)
    per_seed = np.where(whole, y, np.nan)

    def averaged(values: Array) -> Array:
        mean: Array = np.nanmean(values, axis=-1)
        return mean

    a, b, ab = per_seed[:, 0], per_seed[:, -1], per_seed[:, 1:-1]
    step = ab - a[:, None]
    count = np.isfinite(y).sum(axis=2)
    zero = np.zeros(y.shape[0])
    return Moments(
        a=averaged(a),
        b=averaged(b),
        a2=averaged(a**2),
        b2=averaged(b**2),
        half_gap=averaged((a - b) ** 2 / 2.0),
        product=averaged(b[:, None] * step),
        step=averaged(step),
        half_square=averaged(step**2 / 2.0),
        noise_ab=zero,
        noise_step=np.zeros((y.shape[0], y.shape[1] - 2)),
        s2_sum=np.nansum(_within(y, count), axis=1),
        s2_count=(count >= 2).sum(axis=1).astype(np.float64),
        pooled=False,
        common=True,
    )


def _within(y: Array, count: NDArray[np.int64]) -> Array:
    """Sample variance over the replicates of each row, NaN where there is one; y: (base, D + 2, R)."""
    centred = y - np.nanmean(y, axis=2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        s2: Array = np.where(count >= 2, np.nansum(centred**2, axis=2) / (count - 1), np.nan)
    return s2
