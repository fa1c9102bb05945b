"""Where the points of studies lie in their factors' ranges, and those ranges in words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.sweep.factors import Factor
from vcm_sweep.sweep.results import Results

ResultsSource = Results
"""What is analysed, as `vcm_sweep.sweep.open_results` gives it."""


def same_points(one: Results, other: Results) -> bool:
    """Whether both studies lie at the same places of their factors' ranges, point by point, whatever the ranges are."""
    names = [[factor.name for factor in results.study.factors] for results in (one, other)]
    if names[0] != names[1]:
        return False
    a, b = (places_in_ranges(results, np.asarray(results.points(), dtype=np.float64)) for results in (one, other))
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0.0, atol=1e-9))


def places_in_ranges(results: Results, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points with each factor's range as 0 to 1, uniform, logarithmically where it is loguniform; x: (..., D)."""
    u = np.empty_like(x)
    for j, factor in enumerate(results.study.factors):
        shape = np.log if factor.distribution == "loguniform" else np.asarray
        low, high = shape(factor.low), shape(factor.high)
        # The ends of a range come back from its logarithm with a rounding error.
        u[..., j] = np.clip((shape(x[..., j]) - low) / (high - low), 0.0, 1.0)
    return u


def range_words(factor: Factor) -> str:
    """The range of a factor as people read it."""
    unit = f" {factor.unit}" if factor.unit not in ("", "relative", "1") else ""
    shape = "" if factor.distribution == "uniform" else f", {factor.distribution}"
    return f"{factor.low:g} to {factor.high:g}{unit}{shape}"


def ranges_of(results: Results, name: str, members: Sequence[str]) -> str:
    """The range of a factor, or those of the members of a group; "" where the study varies none of them."""
    found = {factor.name: factor for factor in results.study.factors}
    return "; ".join(
        (f"{member}: " if list(members) != [name] else "") + range_words(found[member])
        for member in members
        if member in found
    )
