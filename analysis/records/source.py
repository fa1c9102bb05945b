"""Where the points of studies lie in their factors' ranges, and those ranges in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from vcm_sweep.analysis.results.index import with_unit

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results
    from vcm_sweep.sweep.study.factors import Factor

ResultsSource: TypeAlias = "Results"
"""The public name for what an analysis reads: the results that `vcm_sweep.sweep.open_results` returns."""


def same_points(one: "Results", other: "Results") -> bool:
    """Whether the points of both studies lie at the same relative places in the ranges, one by one, in any ranges."""
    names = [[factor.name for factor in results.study.factors] for results in (one, other)]
    if names[0] != names[1]:
        return False
    a, b = (results.cube() for results in (one, other))
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0.0, atol=1e-9))


def range_words(factor: "Factor") -> str:
    """The range of a factor as people read it."""
    law = factor.law.words()
    ends = factor.law.ends()
    return with_unit(ends or law, factor.unit) + (f", {law}" if ends and law else "")


def ranges_of(results: "Results", name: str, members: Sequence[str]) -> str:
    """The range of a factor, or those of the members of a group; "" where the study varies none of them."""
    found = {factor.name: factor for factor in results.study.factors}
    return "; ".join(
        (f"{member}: " if list(members) != [name] else "") + range_words(found[member])
        for member in members
        if member in found
    )
