"""A part of the ranges that were sampled, to which an analysis keeps: points inside are a study of that part."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.sweep.nearest_names import nearest_names
from vcm_sweep.sweep.study.distributions import Levels
from vcm_sweep.sweep.study.tables.fields import brief

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results
    from vcm_sweep.sweep.study.factors import Factor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """A part of the box of factors.

    Args:
        words: its ranges, as 'mismatch.global.mean from -0.3 to 0.5'.
        low, high: (D,) its ends, as cumulative probabilities of what was sampled.
    """

    words: str
    low: Array
    high: Array

    def takes(self, least: int) -> int:
        """The n of a study, a power of 2, of whose points ``least`` lie in the part, with a tenth to spare."""
        share = float(np.prod(self.high - self.low))
        return int(2 ** math.ceil(math.log2(least / (0.9 * share))))

    def holds(self, u: Array) -> NDArray[np.bool_]:
        """(n,) which points (n, D) lie in it."""
        return np.asarray(((u >= self.low) & (u <= self.high)).all(axis=1))

    def stretched(self, u: Array) -> Array:
        """Places in the part as cumulative probabilities within it; u: (..., D)."""
        return np.asarray((u - self.low) / (self.high - self.low))


def read_part(results: "Results", within: Mapping[str, Sequence[float]]) -> Part:
    """The part of a study's ranges that is named; within: (low, high) by factor, in its unit.

    Raises:
        AnalysisError: no points in space, whose parts alone are filled as evenly; a factor that did not vary; ends
            that are no part of what was sampled.
    """
    study = results.study
    if study.design.method != "space" or study.design.correlation:
        what = f"{study.design.method!r}" + (" with correlated factors" if study.design.correlation else "")
        raise AnalysisError(
            f"within: needs the independent points of [design] method = 'space', and this study has {what}: vcm-sweep "
            "ask --range answers for it"
        )
    names = [factor.name for factor in study.factors]
    low, high, words = np.zeros(len(names)), np.ones(len(names)), []
    for name, ends in within.items():
        if name not in names:
            near = nearest_names(name, names, 1, 0.4)
            hint = f"did you mean {near[0]}? " if near else ""
            raise AnalysisError(f"within: {name} is no factor of the study; {hint}it varied {', '.join(names)}")
        factor = study.factors[names.index(name)]
        low[names.index(name)], high[names.index(name)] = _span(factor, ends)
        words.append(f"{name} from {ends[0]:g} to {ends[1]:g}")
    return Part(" and ".join(words), low, high)


def _span(factor: "Factor", ends: Sequence[float]) -> tuple[float, float]:
    """The cumulative probabilities of a part of a factor's range."""
    told = f"within: {factor.name} = {brief(ends)}"
    if isinstance(ends, str) or len(ends := list(ends) if isinstance(ends, Sequence) else []) != 2:
        raise AnalysisError(f"{told} must be two numbers, (low, high)")
    if not all(isinstance(end, int | float) for end in ends):
        raise AnalysisError(f"{told} must be two numbers, (low, high)")
    start, end = ends
    if not factor.low <= start < end <= factor.high:
        raise AnalysisError(
            f"within: {factor.name} from {start:g} to {end:g} must be a part of what was sampled, {factor.low:g} to "
            f"{factor.high:g}"
        )
    if isinstance(factor.law, Levels):
        if factor.law.names:
            raise AnalysisError(f"within: {factor.name} is one of some words, which have no order: leave it out")
        if sum(start <= level <= end for level in factor.law.values) < 2:
            values = ", ".join(f"{level:g}" for level in factor.law.values)
            raise AnalysisError(f"{told} must hold two values of its list or more, so that it varies: {values}")
    return factor.law.span(start, end)
