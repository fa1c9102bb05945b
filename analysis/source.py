"""What the analysis needs of a study's results; `vcm_sweep.sweep` provides it, tests may too."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class FactorSource(Protocol):
    """One imperfection that was varied, with its range in ``unit`` (empty when a bare number)."""

    @property
    def name(self) -> str: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def distribution(self) -> str: ...
    @property
    def unit(self) -> str: ...


class DesignSource(Protocol):
    """How the points were laid out; ``seeds`` is ``independent`` or ``common``."""

    @property
    def seeds(self) -> str: ...


class StudySource(Protocol):
    """What was asked: name, factors, design and the study file's text."""

    @property
    def name(self) -> str: ...
    @property
    def factors(self) -> Sequence[FactorSource]: ...
    @property
    def design(self) -> DesignSource: ...
    @property
    def text(self) -> str: ...


class ResultsSource(Protocol):
    """The records of one study, in the design's order.

    ``blocks(metric)`` is (base, D + 2, R) float64 with rows A, AB_1 .. AB_D, B and NaN for what is missing;
    ``points()`` is (base * (D + 2), D) float64 in the same order; ``table()`` is a pyarrow.Table with the
    record columns of docs/design.md, one row per training that left a record.
    """

    @property
    def study(self) -> StudySource: ...
    def blocks(self, metric: str) -> NDArray[np.float64]: ...
    def points(self) -> NDArray[np.float64]: ...
    def table(self) -> Any: ...


def same_points(one: ResultsSource, other: ResultsSource) -> bool:
    """Whether both studies lie at the same places of their factors' ranges, point by point, whatever the ranges are."""
    names = [[factor.name for factor in results.study.factors] for results in (one, other)]
    if names[0] != names[1]:
        return False
    a, b = (places_in_ranges(results, np.asarray(results.points(), dtype=np.float64)) for results in (one, other))
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0.0, atol=1e-9))


def places_in_ranges(results: ResultsSource, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points with each factor's range as 0 to 1, uniform, logarithmically where it is loguniform; x: (..., D)."""
    u = np.empty_like(x)
    for j, factor in enumerate(results.study.factors):
        shape = np.log if factor.distribution == "loguniform" else np.asarray
        low, high = shape(factor.low), shape(factor.high)
        # The ends of a range come back from its logarithm with a rounding error.
        u[..., j] = np.clip((shape(x[..., j]) - low) / (high - low), 0.0, 1.0)
    return u


def range_words(factor: FactorSource) -> str:
    """The range of a factor as people read it."""
    unit = f" {factor.unit}" if factor.unit not in ("", "relative", "1") else ""
    shape = "" if factor.distribution == "uniform" else f", {factor.distribution}"
    return f"{factor.low:g} to {factor.high:g}{unit}{shape}"


def ranges_of(results: ResultsSource, name: str, members: Sequence[str]) -> str:
    """The range of a factor, or those of the members of a group; "" where the study varies none of them."""
    found = {factor.name: factor for factor in results.study.factors}
    return "; ".join(
        (f"{member}: " if list(members) != [name] else "") + range_words(found[member])
        for member in members
        if member in found
    )
