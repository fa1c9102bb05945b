"""What half of a bounded interval is made of, and what would make it narrower: more points, or more trainings of each.

In parts of the variance V, with r what the surrogate misses of the mean output and w = s2 / R the noise of the mean of
R trainings, half of the interval of a total index T is

    h = u / 2 + c (L + sqrt(L^2 + e^2)) / 2        u = V(r), e its standard error, L that of the lower bound

A result tells h, u and e, and so L. V(r) is the mean over n points of (r + noise)^2 - w, so that for normal noise

    n e^2 = k + 4 u w + 2 w^2 + 2 w^2 n / df       df = n (R - 1), and one more for each point that is run once more
    n L^2 = l + 4 T (1 - T) w

where k and l are the rest: how r^2 and the parts of f' spread over the box. More points divide e and L by the root of
their number, and u by its power `_FALL`. More trainings of each point make w smaller, and leave k and l; of u they
leave what no noise has made: a surrogate takes over a part of w, about `_TAKEN`. How well that foresees is in
docs/statistics.md.
"""

import math
from dataclasses import dataclass

from scipy import stats

from vcm_sweep.analysis.results.index import two_digits
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.sweep.study.tables.design import DesignSpec

# Twenty studies of 256 points, of four functions with a luck of 20 and 50 %: with twice as many points u fell with a
# power of 0.6 to 1.3 of their number, with twice as many trainings of each by 0.3 to 1 of what w fell by.
_FALL, _TAKEN = 0.75, 0.3
# The widest half-width with 256 points of two trainings each, by the share of luck: the first row of the table of
# coverage in docs/statistics.md, a function of ten factors like docs/example.
_ASSUMED_POINTS, _ASSUMED = 256, {0.2: 0.081, 0.5: 0.166}
# No design that is more than so many times as long is thought of: what is measured now says little of it.
_FARTHEST = 1024


@dataclass(frozen=True)
class Way:
    """A design that may reach a goal: its ``points`` and ``replicates``, n and replicates of [design]."""

    points: int
    replicates: int

    @property
    def trainings(self) -> int:
        """Of all points."""
        return self.points * self.replicates


@dataclass(frozen=True)
class Width:
    """Half of a bounded interval, and what it is made of.

    Args:
        design: of the study. factor: whose total index it is.
        unexplained, error: u and e. lower: L. total: T. noise: s2. quantile: c. All but c in parts of the variance.
    """

    design: DesignSpec
    factor: str
    unexplained: float
    error: float
    lower: float
    total: float
    noise: float
    quantile: float

    @classmethod
    def widest(cls, result: Sensitivity, design: DesignSpec) -> "Width":
        """The widest total index of a study's result, by `bounded_indices`."""
        index = max(result[result.kind], key=lambda index: index.high - index.low)
        missed = result["unexplained"][0]
        quantile = float(stats.norm.ppf(0.5 + result.confidence / 2.0))
        error = (missed.high - missed.low) / 2.0 / quantile
        # Of L + sqrt(L^2 + e^2) = scatter. The bounds are moved out by less than c where they are far apart: L is then
        # a little too small.
        scatter = ((index.high - index.low) - missed.value) / quantile
        lower = max(0.0, (scatter**2 - error**2) / (2.0 * scatter)) if scatter > 0.0 else 0.0
        noise = result.noise_variance / result.variance
        return cls(design, index.factor, missed.value, error, lower, min(1.0, max(0.0, index.value)), noise, quantile)

    @property
    def now(self) -> Way:
        """The study's own design."""
        return Way(self.design.n, self.design.replicates)

    def after(self, way: Way) -> float:
        """Half of the interval that another number of points or trainings is likely to give."""
        n, before, w = self.design.n, self._noise(self.now), self._noise(way)
        taken = min(self.unexplained, _TAKEN * before)
        u = math.pow(n / way.points, _FALL) * (self.unexplained - taken * (1.0 - w / before if before > 0.0 else 0.0))
        error = _rescaled(n * self.error**2, self._of_error(self.now, self.unexplained), self._of_error(way, u))
        in_lower = 4.0 * self.total * (1.0 - self.total)
        lower = _rescaled(n * self.lower**2, in_lower * before, in_lower * w) / way.points
        return u / 2.0 + self.quantile * (math.sqrt(lower) + math.sqrt(lower + error / way.points)) / 2.0

    def cheapest(self, half_width: float) -> Way | None:
        """The design of fewest trainings that is likely to reach the goal; None if none within sight does."""
        n, step = self.design.n, self.design.trainings
        ways = [
            Way(n << doublings, replicates)
            for doublings in range(_FARTHEST.bit_length())
            for replicates in range(self.design.replicates, _FARTHEST + 1, step)
            if (replicates << doublings) <= _FARTHEST
        ]
        # Of two that cost the same, that with more points: fewer parts of the box have met none.
        ways.sort(key=lambda way: (way.trainings, -way.points))
        return next((way for way in ways[1:] if self.after(way) <= half_width), None)

    def words(self, half_width: float) -> str:
        """What it takes to know every total index so well, in words."""
        known = f"{two_digits(100 * self.after(self.now))} points"
        if self.after(self.now) <= half_width:
            return f"none more: every total index is known to {known}"
        way = self.cheapest(half_width)
        if way is None:
            return f"more trainings than can be foreseen, {self.factor} is known to {known}"
        return f"about {way.trainings:,} trainings: n = {way.points}, replicates = {way.replicates}"

    def _noise(self, way: Way) -> float:
        """w. Trainings of one array are counted by the arrays: their noise is at most that of one training."""
        return self.noise / (way.replicates // self.design.trainings)

    def _of_error(self, way: Way, unexplained: float) -> float:
        """What noise adds to n e^2."""
        w, arrays = self._noise(way), way.replicates // self.design.trainings
        more = self.design.replicate_rows if way.replicates == self.design.replicates else 0
        freedom = arrays - 1 + more / way.points
        return 4.0 * unexplained * w + 2.0 * w**2 * (1.0 + 1.0 / freedom if freedom > 0.0 else 1.0)


def _rescaled(measured: float, noise: float, then: float) -> float:
    """What is measured, with its part that is noise changed to what it will be then."""
    part = min(measured, noise)
    return measured - part + (part * then / noise if noise > 0.0 else 0.0)


def assumed(half_width: float) -> str:
    """What a space study is likely to need to know every total index so well, where nothing is known of it, in words.

    >>> assumed(0.05)
    'about 1,024 trainings if luck is 20 % of the variance, 4,096 if 50 % (assumed: a function like docs/example)'
    """
    need = {
        luck: 2 * _ASSUMED_POINTS << max(0, math.ceil(math.log2(half / half_width) / _FALL))
        for luck, half in _ASSUMED.items()
    }
    (low, few), (high, many) = need.items()
    return (
        f"about {few:,} trainings if luck is {low:.0%} of the variance, {many:,} if {high:.0%} (assumed: a function "
        "like docs/example)"
    ).replace("%", " %")
