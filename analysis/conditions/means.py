"""Tests of means: of one sample, of pairs, of a sample against a published mean; and Holm's correction of their p."""

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.results.index import Index

Array = NDArray[np.float64]

_MOST = 1 << 20  # trainings of a condition; more is as good as no number


class Tested(NamedTuple):
    """A mean, or a difference of means, with its interval, and the probability of one as far from 0 by chance."""

    mean: Index
    p: float


class Moments(NamedTuple):
    """What is known of a sample: mean, standard deviation (None where nobody gave it), number of values (likewise)."""

    mean: float
    sd: float | None
    n: int | None

    @classmethod
    def of(cls, x: Array) -> "Moments":
        """Of values without NaN; x: (n,)."""
        if not x.size:
            return cls(math.nan, None, 0)
        if np.ptp(x) == 0.0:  # whose mean and deviation would be off by rounding
            return cls(float(x[0]), 0.0 if x.size > 1 else None, int(x.size))
        return cls(float(x.mean()), float(x.std(ddof=1)), int(x.size))


def mean_of(name: str, x: Array, confidence: float) -> Tested:
    """The mean of a sample with Student's interval, NaN of fewer than two values; x: (n,), NaN where there is none.

    Of differences of pairs this is the paired t test.

    >>> mean_of("", np.array([1.0, 2.0, 3.0]), 0.95).mean.number()
    '2.0 [-0.5, 4.5]'
    """
    x = x[np.isfinite(x)]
    if x.size < 2:
        return Tested(Index(name, float(x.mean()) if x.size else math.nan, math.nan, math.nan), math.nan)
    if np.ptp(x) == 0.0:  # t would be 0/0 or infinite
        return _without_spread(name, float(x[0]), 2.0 ** (1 - x.size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nearly equal values, whose t is large all the same
        found = stats.ttest_1samp(x, 0.0)
    low, high = found.confidence_interval(confidence)
    return Tested(Index(name, float(x.mean()), float(low), float(high)), float(found.pvalue))


def against(name: str, ours: Moments, theirs: Moments, confidence: float) -> Tested:
    """Our mean minus another one, by Welch's test; where the other has no spread given, as if it were exact.

    >>> ours, theirs = Moments(93.0, 0.5, 5), Moments(93.8, 0.5, 5)
    >>> against("", ours, theirs, 0.95).mean.number()
    '-0.80 [-1.53, -0.07]'
    """
    difference = ours.mean - theirs.mean
    error, df = _welch(ours, theirs)
    if not math.isfinite(error):
        return Tested(Index(name, difference, math.nan, math.nan), math.nan)
    if error == 0.0:
        n, m = ours.n or 1, theirs.n
        return _without_spread(name, difference, 2.0 ** (1 - n) if m is None else 2.0 / math.comb(n + m, n))
    half = float(stats.t.ppf(0.5 + confidence / 2, df)) * error
    return Tested(
        Index(name, difference, difference - half, difference + half),
        float(2 * stats.t.sf(abs(difference) / error, df)),
    )


def _without_spread(name: str, value: float, p: float) -> Tested:
    """Of equal values, such as accuracies on few test samples: an exact test, and no interval but of no difference.

    By how much their mean may be off they do not tell.

    Args:
        p: of values that are all on one side, if the two sides are alike: 2 / 2^n by the sign test of n values;
            2 / C(n + m, n) by permutation of two samples.
    """
    if value == 0.0:
        return Tested(Index(name, 0.0, 0.0, 0.0), 1.0)
    return Tested(Index(name, value, math.nan, math.nan), min(1.0, p))


def _welch(ours: Moments, theirs: Moments) -> tuple[float, float]:
    """Standard error of the difference of two means, and its degrees of freedom (Welch and Satterthwaite)."""
    parts = [
        (sample.sd**2 / sample.n, sample.n - 1)
        for sample in (ours, theirs)
        if sample.sd is not None and sample.n is not None and sample.n > 1
    ]
    if ours.sd is None or not parts:
        return math.nan, math.nan
    total = sum(variance for variance, _ in parts)
    if total == 0.0:
        return 0.0, math.inf
    return math.sqrt(total), total**2 / sum(variance**2 / df for variance, df in parts)


def more_needed(
    ours: Moments, theirs: Moments, margin: float, confidence: float, strict: float | None = None
) -> int | None:
    """How many more trainings of ours would tell whether two means agree within a margin or differ; None: no number.

    With our mean and spread as they are, so that the interval of the difference either leaves out 0 (at confidence
    ``strict``, where many are asked together) or lies within the margin, whichever takes fewer.

    >>> more_needed(Moments(93.0, 0.5, 5), Moments(93.4, 0.5, 20), 1.0, 0.95)
    1
    """
    if ours.n is None or ours.sd is None:
        return None
    difference = abs(ours.mean - theirs.mean)
    goals = ((difference, strict or confidence), (margin - difference, confidence))

    def tells(more: int) -> bool:
        error, df = _welch(ours._replace(n=ours.n + more), theirs)  # type: ignore[operator]
        return not error or any(float(stats.t.ppf(0.5 + level / 2, df)) * error < goal for goal, level in goals)

    if not tells(_MOST):
        return None
    low, high = 0, _MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tells(middle) else (middle, high)
    return high


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p values of tests that are asked together; NaN where a test has none, which does not count.

    Each is below a level only if the chance of one false finding among all is below it, however the tests depend on
    each other, as they do where all share a baseline. S. Holm, Scand. J. Statist. 6 (1979) 65.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    known = sorted((value, place) for place, value in enumerate(p) if not math.isnan(value))
    adjusted, largest = [math.nan] * len(p), 0.0
    for rank, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        adjusted[place] = largest
    return adjusted


def mcnemar(one: Array, other: Array) -> float:
    """p of paired outcomes, 0 or 1, by the exact test of the pairs that differ; NaN where there is no pair."""
    both = np.isfinite(one) & np.isfinite(other)
    more, less = int((one[both] > other[both]).sum()), int((one[both] < other[both]).sum())
    if not both.any():
        return math.nan
    return float(stats.binomtest(more, more + less).pvalue) if more + less else 1.0


def fisher(one: Array, other: Array) -> float:
    """p of two samples of outcomes, 0 or 1, by Fisher's exact test; NaN where one has none."""
    counts = [[int((x == 1).sum()), int((x == 0).sum())] for x in (one, other)]
    if not all(map(sum, counts)):
        return math.nan
    return float(stats.fisher_exact(counts).pvalue)
