"""The box of factors, from their low ends, that keeps a threshold of the output: as predicted, for certain, at most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.asking.marginals import Marginal
from vcm_sweep.analysis.asking.prediction import apart, root_missed
from vcm_sweep.analysis.asking.response import Response
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.records.metrics import as_metric
from vcm_sweep.analysis.results.index import with_unit
from vcm_sweep.analysis.surrogates.expansion import FEATURE_NODES, FEATURE_WEIGHTS, features
from vcm_sweep.sweep.study.distributions import Levels

Array = NDArray[np.float64]

# A box keeps the threshold if nearly all of it does, judged at so many Sobol points; it grows by twentieths of a range,
# of a list by whole values.
_NEARLY, _POINTS, _STEPS = 0.99, 512, 20


@dataclass(frozen=True)
class Side:
    """How far a factor goes while the others stay within theirs: to ``to`` as predicted, between ``sure`` and ``most``.

    All are in the factor's unit, and at ``low`` where not even that end is certain.
    """

    factor: str
    unit: str
    low: float
    to: float
    sure: float
    most: float

    def text(self, value: float) -> str:
        """A value with the unit."""
        return with_unit(f"{value:.3g}", self.unit)


@dataclass(frozen=True)
class Region:
    """A box [low, to] of all factors that keeps a threshold in 99 % of it, and how that agrees with the records.

    Args:
        threshold: of the metric's mean. setting: how the question was narrowed, in words.
        sides: one per factor that is not held. In the box to ``sure``, of the same proportions, the lower end of the
            prediction keeps the threshold as well; a step beyond the box to ``most`` not even its upper end does.
        certain: whether the low ends keep it with the lower end of the prediction.
        inside, kept: trained points in the box to ``to``, and those of them whose mean keeps the threshold.
        foreseen, came: trained points at which the surrogate that had not seen them keeps it with the lower end of its
            prediction, and those of them whose mean does.
    """

    metric: str
    threshold: float
    setting: str
    sides: tuple[Side, ...]
    certain: bool
    inside: int
    kept: int
    foreseen: int
    came: int

    def sentences(self) -> tuple[str, ...]:
        """The region and its checks in words; its sides are a table."""
        metric = as_metric(self.metric)
        level = f"{100 * self.threshold:g} %" if metric.share else f"{self.threshold:g}"
        reach = f"{level} or {'more' if metric.more_is_better else 'less'}"
        where = f" (with {self.setting})" if self.setting else ""
        sure = (
            "Not even the low ends are certain."
            if not self.certain
            else (
                "Surely means with the lower end of the prediction, at most with its upper end, at 95 of 100 settings."
            )
        )
        inside = (
            f"{self.kept} of the {self.inside} trained points in the box have such a mean."
            if self.inside
            else "No trained point lies in the box."
        )
        return (
            f"The mean of {metric.label} stays at {reach} in a box from the factors' low ends{where}, at 99 of 100 of "
            "its settings, as predicted; every factor may be at any value up to its end at once.",
            sure,
            f"{inside} Of {self.foreseen} trained points where surrogates that had not seen them were sure of it, "
            f"{self.came} have it.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = ("threshold", "setting", "inside", "kept", "foreseen", "came")
        return {name: getattr(self, name) for name in plain} | {"sides": [vars(side) for side in self.sides]}


def check_threshold(metric: str, threshold: float) -> None:
    """Raise AnalysisError for a threshold that the metric cannot have."""
    if as_metric(metric).share and not 0.0 <= threshold <= 1.0:
        raise AnalysisError(f"keep: {threshold:g} must be between 0 and 1, as 0.9 for 90 %")


def keeps(response: Response, threshold: float, *, base: Mapping[str, Any] | None = None) -> Region:
    """The box in which the mean output is at least ``threshold``, or at most where less is better.

    All factors go up together from their low ends, a twentieth of their ranges at a time; one whose next step would
    break the threshold stops, and the others go on, until none can.

    Args:
        base: as for `read_marginals`: factors that are held there stay so, ranges bound the box.

    Raises:
        AnalysisError: as `read_marginals`, a threshold that no share can have, or that no box keeps.
    """
    check_threshold(response.metric, threshold)
    metric = as_metric(response.metric)
    marginals = response.marginals(base)
    free = [marginal for marginal in marginals.each if marginal.low < marginal.high]
    if not free:
        raise AnalysisError("keep: every factor is held, so there is no box; leave one to its range")
    for one in free:
        if not one.factor.law.ordered:
            raise AnalysisError(f"keep: {one.factor.name} has choices without an order; hold it at one of them (--at)")
    boxes = _Boxes(response, marginals.each, threshold, float(stats.norm.ppf(response.confidence)))
    nothing = boxes.least
    kept = boxes.keep(nothing, 0.0)
    share = boxes.largest(nothing, 0.0) if kept else nothing
    if np.array_equal(share, nothing):
        step = f"1/{_STEPS} of its range" + ", or to the next value of its list" * boxes.lists
        further = f", but no factor can go on from there by {step}" if kept else ""
        raise AnalysisError(
            f"keep: {threshold:g} is {'' if kept else 'not even '}kept at the factors' low ends, where the mean of "
            f"{metric.label} is predicted as {boxes.lowest:.3g}{further}; ask for "
            f"{'less' if metric.more_is_better else 'more'}"
        )
    sure, most = boxes.surely(share), boxes.largest(share, 1.0)
    sides = tuple(
        Side(one.factor.name, one.factor.unit, one.low, *(_value(one, b[j]) for b in (share, sure, most)))
        for j, one in enumerate(free)
    )
    mean = response.points.rows.mean + response.points.origin
    reached = response.better * mean >= response.better * threshold
    inside = np.ones(mean.shape, dtype=bool)
    ends = {one.factor.name: float(one.within(np.array(part))) for one, part in zip(free, share, strict=True)}
    for j, one in enumerate(marginals.each):
        u, (start, end) = response.points.u[..., j], one.span
        inside &= (u >= start) & (u <= ends.get(one.factor.name, end))
    foreseen = response.better * (mean - response.residual - threshold) >= boxes.quantile * root_missed(response)
    return Region(
        response.metric, threshold, marginals.words(), sides, boxes.certain, int(inside.sum()),
        int((inside & reached).sum()), int(foreseen.sum()), int((foreseen & reached).sum()),
    )  # fmt: skip


def _value(marginal: Marginal, share: float) -> float:
    return marginal.factor.law.last(float(marginal.within(np.array(share))))


def _of_values(law: Levels) -> Array:
    """(values, Q + 1) features of each value of a list, averaged over its probability."""
    low, high = law.edges[:-1, None], law.edges[1:, None]
    # A thousand values at a time, since each takes all nodes.
    parts = [slice(first, first + 1000) for first in range(0, len(low), 1000)]
    at = (low[part] + FEATURE_NODES * (high[part] - low[part]) for part in parts)
    return np.concatenate([np.einsum("n,kna->ka", FEATURE_WEIGHTS, features(places)) for places in at])


def _stops(marginal: Marginal) -> Array:
    """The shares of a factor's range at which a box can end, rising: twentieths, or where values of a list end."""
    law = marginal.factor.law
    if not isinstance(law, Levels):
        return np.arange(_STEPS + 1) / _STEPS
    start, end = marginal.span
    edges = law.edges[(law.edges > start + 1e-9) & (law.edges < end + 1e-9)]
    # Of many values the first, and those up to which the twentieths of the probability lie.
    steps = start + np.arange(1, _STEPS + 1) / _STEPS * (end - start)
    chosen = np.unique(np.append(0, np.searchsorted(edges, steps - 1e-9).clip(max=len(edges) - 1)))
    return np.asarray((edges[chosen] - start) / (end - start))


@dataclass(frozen=True)
class _Boxes:
    """Boxes from the low ends, by the share of each free factor's range that they hold."""

    response: Response
    each: tuple[Marginal, ...]
    threshold: float
    quantile: float

    @cached_property
    def _missed(self) -> float:
        return root_missed(self.response)

    @cached_property
    def _stops(self) -> tuple[Array, ...]:
        return tuple(_stops(marginal) for marginal in self.each if marginal.low < marginal.high)

    @cached_property
    def _unit(self) -> Array:
        return np.asarray(stats.qmc.Sobol(len(self._stops), rng=0).random(_POINTS))

    @property
    def least(self) -> Array:
        """The smallest box: the low ends, of lists their lowest values."""
        return np.array([stops[0] for stops in self._stops])

    @property
    def lowest(self) -> float:
        """The prediction with every factor at its low end."""
        values = self._values(self.least)
        return float(values[:, 0].mean() + self.response.points.origin)

    @cached_property
    def _listed(self) -> dict[int, Array]:
        """The features of the values of each factor that has a list of them."""
        laws = {j: one.factor.law for j, one in enumerate(self.each)}
        return {j: _of_values(law) for j, law in laws.items() if isinstance(law, Levels)}

    def _features(self, j: int, places: Array) -> Array:
        """(n, Q + 1) features of a factor at places; of a list those of the value there."""
        law = self.each[j].factor.law
        if not isinstance(law, Levels):
            return features(places)
        return np.asarray(self._listed[j][np.searchsorted(law.edges[1:-1], places, side="right")])

    @property
    def certain(self) -> bool:
        """Whether the low ends keep the threshold with the lower end of the prediction."""
        return self.keep(self.least, -1.0)

    def _values(self, share: Array) -> Array:
        columns, place = [], 0
        for j, marginal in enumerate(self.each):
            if marginal.low == marginal.high:
                columns.append(self._features(j, np.full(_POINTS, marginal.factor.law.cdf(np.array(marginal.low)))))
                continue
            columns.append(self._features(j, marginal.within(share[place] * self._unit[:, place])))
            place += 1
        return self.response.expansion.values(np.stack(columns, axis=1))

    def keep(self, share: Array, side: float) -> bool:
        """Whether nearly all of the box keeps the threshold; side: 0 as predicted, -1 or 1 with the low or high end."""
        values = self._values(share)
        margin = self.response.better * (values.mean(axis=0) + self.response.points.origin - self.threshold)
        half = self.quantile * np.hypot(self._missed, apart(values)) if side else 0.0
        return bool(np.mean(margin + side * half >= 0.0) >= _NEARLY)

    def largest(self, start: Array, side: float) -> Array:
        """The shares, from those of a box that keeps it, at which no factor can go on; side: as for `keep`."""
        return self._grown(start, side, [len(stops) - 1 for stops in self._stops])

    def _grown(self, start: Array, side: float, most: Sequence[int]) -> Array:
        """The same, where each factor goes no further than a stop."""
        steps = self._steps(start)
        going = [j for j, last in enumerate(most) if steps[j] < last]
        while going:
            for j in list(going):
                steps[j] += 1
                if not self.keep(self._at(steps), side):
                    steps[j] -= 1
                    going.remove(j)
                elif steps[j] == most[j]:
                    going.remove(j)
        return self._at(steps)

    def _steps(self, share: Array) -> list[int]:
        """The last stop of each factor that a box of these shares holds, or its first one."""
        held = zip(self._stops, share, strict=True)
        return [max(0, int(np.searchsorted(stops, part + 1e-9, side="right")) - 1) for stops, part in held]

    def _at(self, steps: list[int]) -> Array:
        return np.array([stops[step] for stops, step in zip(self._stops, steps, strict=True)])

    def surely(self, share: Array) -> Array:
        """The box in proportion to this one that keeps it with the low end of the prediction, or none."""
        if self.keep(share, -1.0):
            return share
        start, end = 0.0, 1.0
        for _ in range(7):
            middle = (start + end) / 2.0
            start, end = (middle, end) if self.keep(self._scaled(share, middle), -1.0) else (start, middle)
        sure = self._scaled(share, start)
        if not self.lists or not self.keep(sure, -1.0):
            return sure
        # A list has let go of a whole value at once; what it can have of that it takes back.
        last = [now if listed else 0 for now, listed in zip(self._steps(share), self._is_list, strict=True)]
        grown = self._grown(sure, -1.0, last)
        return np.where(self._is_list, grown, sure)

    @property
    def lists(self) -> bool:
        """Whether some free factor has a list of values."""
        return any(self._is_list)

    @cached_property
    def _is_list(self) -> list[bool]:
        return [isinstance(one.factor.law, Levels) for one in self.each if one.low < one.high]

    def _scaled(self, share: Array, by: float) -> Array:
        """These shares times a number, of lists down to a whole value."""
        scaled = by * share
        return np.where(self._is_list, self._at(self._steps(scaled)), scaled)
