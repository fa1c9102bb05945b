"""Means over pairs of trainings, and ratios of them, with bootstrap intervals that resample the seeds of the pairs."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.statistics.bootstrap import Resampling, interval
from vcm_sweep.sweep.study.tables.design import MIN_PAIRS

__all__ = [
    "MIN_PAIRS",
    "Pairs",
    "difference_of_samples",
    "difference_of_shares",
    "expanded",
    "share_of_pairs",
    "with_rare_losses",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Bootstrap resamples of n pairs, drawn once and used for every mean, so that compared means stay paired.

    Args:
        weights: (K, n) weight of each pair in each of K resamples, rows summing to 1. confidence: of all intervals.
    """

    weights: Array
    confidence: float

    @classmethod
    def drawn(cls, n: int, resampling: Resampling) -> "Pairs":
        """The resamples of n pairs."""
        return cls(resampling.weights(n), resampling.confidence)

    def means(self, x: Array) -> tuple[Array, Array]:
        """(columns,) means over the pairs that have a value, and (K, columns) those of the resamples; x: (n, columns).

        A resample without any such pair has NaN.
        """
        there = np.isfinite(x)
        filled = np.where(there, x, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return filled.sum(axis=0) / there.sum(axis=0), (self.weights @ filled) / (self.weights @ there)

    def index(self, name: str, value: float, draws: Array, pairs: int) -> Index:
        """A number with its interval, NaN of fewer than two pairs; draws: (K,); pairs: how many it is the mean of."""
        known = draws[np.isfinite(draws)]
        if pairs < 2 or not known.size or not np.isfinite(value):
            return Index(name, float("nan"), float("nan"), float("nan"))
        low, high = interval(known, expanded(self.confidence, pairs))
        return Index(name, float(value), float(low), float(high))


def expanded(confidence: float, n: int) -> float:
    """The confidence to ask of a percentile interval so that it covers as Student's t does.

    A plain percentile interval of few pairs is too short. Expanded percentile interval: Hesterberg, Am. Stat. 69 (2015)
    371.
    """
    t = stats.t.ppf(0.5 + confidence / 2.0, n - 1)
    return float(2.0 * stats.norm.cdf(t * np.sqrt(n / (n - 1))) - 1.0)


def share_of_pairs(name: str, x: Array, confidence: float) -> Index:
    """How often something happens, with Wilson's interval: 0 of 32 leaves up to 11 %; x: (n,) 0 or 1, NaN for none."""
    x = x[np.isfinite(x)]
    if not x.size:
        return Index(name, float("nan"), float("nan"), float("nan"))
    p = float(x.mean())
    low, high = _wilson(p, x.size, confidence)
    return Index(name, p, low, high)


def difference_of_shares(name: str, one: Array, other: Array, confidence: float) -> Index:
    """Share of ``one`` minus that of ``other`` over pairs; (n,) 0 or 1, NaN where there is none.

    Newcombe's interval for paired shares, Stat. Med. 17 (1998) 2635, method 10. A bootstrap would not do: where no pair
    differs, its interval has no width, as if a difference were impossible.
    """
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    n = int(both.sum())
    if n < 2:
        return Index(name, float("nan"), float("nan"), float("nan"))
    p, q = float(one.mean()), float(other.mean())
    (p_low, p_high), (q_low, q_high) = _wilson(p, n, confidence), _wilson(q, n, confidence)
    return _newcombe(name, Index("", p, p_low, p_high), Index("", q, q_low, q_high), _phi(one, other))


def difference_of_samples(name: str, one: Array, other: Array, confidence: float) -> Index:
    """Share of ``one`` minus that of ``other``, (n,) and (m,), where nothing pairs them: Newcombe's method 10."""
    return _newcombe(name, share_of_pairs("", one, confidence), share_of_pairs("", other, confidence), 0.0)


def _newcombe(name: str, one: Index, other: Index, phi: float) -> Index:
    """The difference of two shares from Wilson's interval of each and the correlation of their outcomes."""
    value = one.value - other.value
    ends = []
    for a, b in ((one.value - one.low, other.high - other.value), (one.high - one.value, other.value - other.low)):
        ends.append(math.sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0)))
    return Index(name, value, value - ends[0], value + ends[1])


def with_rare_losses(plain: Index, among_others: Index, lost: Index, loss: float) -> Index:
    """The mean of pairs of which a few lose nearly everything, with an interval that holds how few they are.

    A bootstrap of few pairs hardly knows how often the rare loss happens: at 5 % of 16 pairs it covers .55. So the mean
    is put together from the mean among the other pairs and the share of the lost ones, and so is its interval, from
    Wilson's of the share (MOVER: Zou, Donner, Stat. Med. 27 (2008) 1693).

    Args:
        plain: the mean of all pairs. among_others: that of the pairs that did not lose. lost: share that did, as
            `share_of_pairs` gives it. loss: the mean of the pairs that lost.
    """
    rest, more = 1.0 - lost.value, loss - among_others.value
    if not rest > 0.0 or not more > 0.0 or math.isnan(among_others.low):
        return plain
    below = math.hypot(rest * (among_others.value - among_others.low), (lost.value - lost.low) * more)
    above = math.hypot(rest * (among_others.high - among_others.value), (lost.high - lost.value) * more)
    return Index(plain.factor, plain.value, plain.value - below, plain.value + above)


def _wilson(p: float, n: int, confidence: float) -> tuple[float, float]:
    z2 = float(stats.norm.ppf(0.5 + confidence / 2.0)) ** 2
    centre, half = p + z2 / (2 * n), np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n**2)))
    # Rounding may put an end just outside [0, 1].
    return max(0.0, float((centre - half) / (1 + z2 / n))), min(1.0, float((centre + half) / (1 + z2 / n)))


def _phi(one: Array, other: Array) -> float:
    """Correlation of two paired outcomes, with Newcombe's correction of small counts; 0 where one never varies."""
    a, b = float(np.sum(one * other)), float(np.sum(one * (1 - other)))
    c, d = float(np.sum((1 - one) * other)), float(np.sum((1 - one) * (1 - other)))
    spread = (a + b) * (c + d) * (a + c) * (b + d)
    if spread == 0.0:
        return 0.0
    product = a * d - b * c
    return float((max(product - len(one) / 2, 0.0) if product > 0 else product) / np.sqrt(spread))
