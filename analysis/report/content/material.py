"""`Material`: what the sections of a report use, read once: an analysis, its records, and the companion studies."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.asking.response import Response, ask
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.methods.effects import EffectCurve, effect_curves
from vcm_sweep.analysis.records.metrics import Output, read_output
from vcm_sweep.analysis.records.policies import fill_worst
from vcm_sweep.analysis.records.source import ranges_of
from vcm_sweep.analysis.report.content.quantity import Quantity
from vcm_sweep.analysis.report.content.snapshot import Snapshot
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.studies.analysis import analyze, own_methods
from vcm_sweep.analysis.studies.second_opinion import Opinion, second_opinions

if TYPE_CHECKING:
    from vcm_sweep.sweep.study.factors import Factor

Array = NDArray[np.float64]

# Their numbers are 150 kB of a page.
_MOST_POINTS = 2048


@dataclass(frozen=True)
class Material:
    """Everything that a section may need; what several of them need is computed once.

    no_limits, no_tolerances: why a companion study cannot be used; "" where it can be, or where there is none.
    """

    results: Snapshot
    result: Sensitivity
    policy: str
    limits: Any = None
    tolerances: tuple[Any, ...] = ()
    no_limits: str = ""
    no_tolerances: str = ""

    @property
    def metric(self) -> str:
        """The output that was analysed."""
        return self.result.metric

    @cached_property
    def quantity(self) -> Quantity:
        """How the metric is written."""
        return Quantity(self.metric)

    @property
    def factors(self) -> "tuple[Factor, ...]":
        """What was varied, with ranges."""
        return self.results.study.factors

    @property
    def folder(self) -> str:
        """The results folder as a command names it."""
        return str(self.results.folder)

    @property
    def method(self) -> str:
        """The design's method."""
        return self.results.study.design.method

    @cached_property
    def output(self) -> Output:
        """The values of the metric in the layout of the design."""
        return read_output(self.results, self.metric)

    @cached_property
    def y(self) -> Array:
        """(units, rows, R) values; NaN where a training has none and the failure policy gave it none."""
        if self.policy == "worst-case" and self.output.failed.any() and not self.output.metric.given:
            return fill_worst(self.output.y, self.output.failed, self.output.metric)[0]
        return self.output.y

    @cached_property
    def curves(self) -> tuple[EffectCurve, ...]:
        """Mean output against every factor, of the points that have a value."""
        units, rows, _ = self.y.shape
        counts = np.isfinite(self.y).sum(axis=2)
        sums = np.where(np.isfinite(self.y), self.y, 0.0).sum(axis=2)
        there = (counts > 0).reshape(-1)
        means = (sums / np.maximum(counts, 1)).reshape(-1)
        unit = np.repeat(np.arange(units), rows)
        return effect_curves(
            self.results.points()[there],
            means[there],
            [factor.name for factor in self.factors],
            blocks=unit[there],
            confidence=self.result.confidence,
        )

    @property
    def too_many(self) -> bool:
        """Whether the points are more than a page should hold, or a report wait for."""
        return bool(self.y.shape[0] * self.y.shape[1] > _MOST_POINTS)

    @cached_property
    def response(self) -> Response | None:
        """The records as a function that can be asked, where they carry it and a page can hold it."""
        if self.too_many:
            return None
        try:
            return ask(self.results, self.metric, policy=self.policy, confidence=self.result.confidence)
        except AnalysisError:
            return None

    @cached_property
    def opinions(self) -> tuple[Opinion, ...]:
        """What other estimators make of the same records."""
        return second_opinions(self.results, self.result, self.policy)

    def again(self, metric: str, method: str = "") -> Sensitivity | str:
        """Another analysis of the same records, by the page's method, or the sentence that says why not."""
        if not method and self.result.method in own_methods(self.results.study.design):
            method = self.result.method
        try:
            return analyze(self.results, metric, method=method, policy=self.policy, confidence=self.result.confidence)
        except AnalysisError as error:
            return str(error)

    def range(self, name: str) -> str:
        """The range of a factor, or of the members of a group."""
        return ranges_of(self.results, name, self.result.groups.get(name, (name,)))
