"""Is a study large enough? How narrow each interval is, what would make it narrower, and how stable the order is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.results.index import Index

HALF_WIDTH = 0.05
"""The default goal: an index is known well enough when half of its confidence interval is at most this."""

_ADDED = {"base blocks": "base points"}
"""What a design is made longer by, where it is not called what the bootstrap draws."""


@dataclass(frozen=True)
class Enough:
    """Whether the ranking index of a factor is known well enough.

    Args:
        settled: whether ``half_width``, half of the index's interval, is at most ``goal``. Both are shares of a
            variance, or in the index's own unit.
        needs: how many more base points or trajectories (``unit``) it takes; 0 where it is settled.
    """

    factor: str
    settled: bool
    half_width: float
    needs: int
    goal: float
    unit: str

    def words(self) -> str:
        """The verdict.

        >>> Enough("r.d2d.sigma", False, 0.1, 192, 0.05, "base points").words()
        'not yet: needs about 192 more base points'
        """
        return "settled" if self.settled else f"not yet: needs about {self.needs} more {self.unit}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**vars(self), "words": self.words()}


def enough(
    indices: Sequence[Index], *, share: bool, unit: str, units: int, half_width: float = HALF_WIDTH
) -> tuple[Enough, ...]:
    """A verdict per factor, in the order of ``indices``.

    The number of further units is computed from the rule that the width of an interval falls with the root of the
    number of units that the bootstrap draws. The rule is exact for independent units. Total indices of scrambled Sobol
    points mostly need fewer, because the bootstrap does not see that such points are more even than random ones; that
    is no promise, least of all for first-order indices of fewer than 128 base blocks (docs/statistics.md). The number
    is rounded up to what the design can add: Sobol points double.

    Args:
        indices: those that rank the factors. share: whether they are shares of a variance.
        unit: what the bootstrap draws, for example ``base blocks``. units: number of units of the design, including
            those that the analysis left out.
        half_width: the goal. For shares it is a share; for effects and distances, a fraction of the largest one.

    Raises:
        AnalysisError: a half-width that is not above 0.

    >>> wide, narrow = Index("r.d2d.sigma", 0.5, 0.4, 0.6), Index("l.d2d.sigma", 0.1, 0.07, 0.13)
    >>> [verdict.needs for verdict in enough([wide, narrow], share=True, unit="base blocks", units=64)]
    [192, 0]
    """
    if not 0.0 < half_width < math.inf:
        raise AnalysisError(f"half-width: {half_width:g} must be above 0; 0.05 is 5 points of a share")
    goal = half_width if share else half_width * max(abs(index.value) for index in indices)
    added = _ADDED.get(unit, unit)
    verdicts = []
    for index in indices:
        half = (index.high - index.low) / 2.0
        settled = half <= goal
        needs = 0 if settled else _more(half / goal if goal > 0.0 else math.inf, unit, units)
        verdicts.append(Enough(index.factor, settled, half, needs, goal, added))
    return tuple(verdicts)


def _more(ratio: float, unit: str, units: int) -> int:
    """How many more units are needed where an interval is ``ratio`` times as wide as wanted."""
    if not math.isfinite(ratio):
        return units
    if unit in ("base blocks", "points"):
        return units * int(2 ** math.ceil(2.0 * math.log2(ratio) - 1e-9) - 1)
    return max(1, math.ceil(units * (ratio**2 - 1.0) - 1e-9))


@dataclass(frozen=True)
class RankStability:
    """How often another sample of the same size would give the same ranking, by the bootstrap.

    Args:
        order: share of the resamples in which the whole order is as estimated.
        first: share of the resamples in which the first place is as estimated.
        places: for each place, the factor that has it and the share of the resamples in which it does.
    """

    order: float
    first: float
    places: tuple[tuple[str, float], ...]

    def words(self) -> str:
        """The stability in a sentence.

        >>> RankStability(0.4, 0.97, (("r.d2d.sigma", 0.97), ("l.d2d.sigma", 0.6))).words()
        'The first place is the same in 97 % of the resamples, and the whole order in 40 %.'
        """
        return (
            f"The first place is the same in {_percent(self.first)} of the resamples, and the whole order in "
            f"{_percent(self.order)}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"order": self.order, "first": self.first, "places": [list(place) for place in self.places]}


def rank_stability(indices: Sequence[Index], draws: NDArray[np.float64]) -> RankStability:
    """The stability of the ranking, from the same resamples as the intervals.

    Args:
        indices: those that rank the factors. draws: (K, D) the same indices in each of K resamples.

    >>> two = Index("r.d2d.sigma", 0.5, 0.4, 0.6), Index("l.d2d.sigma", 0.4, 0.3, 0.5)
    >>> rank_stability(two, np.array([[0.5, 0.4], [0.6, 0.3], [0.45, 0.46], [0.5, 0.4]])).first
    0.75
    """
    ranked = sorted(range(len(indices)), key=lambda k: -indices[k].value)
    order = np.argsort(-draws, axis=1, kind="stable")
    same = order == np.array(ranked)
    places = tuple((indices[k].factor, float(same[:, place].mean())) for place, k in enumerate(ranked))
    return RankStability(float(same.all(axis=1).mean()), places[0][1], places)


def _percent(share: float) -> str:
    """A share in per cent, rounded away from 0 and 1, so that what is not certain is never called 0 % or 100 %."""
    return f"{math.floor(100 * share):d} %" if share > 0.5 else f"{math.ceil(100 * share):d} %"
