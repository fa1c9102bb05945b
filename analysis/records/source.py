"""What an analysis reads: results or their folder; where the points of studies lie, and their ranges in words."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.results.index import with_unit

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results
    from vcm_sweep.sweep.study.factors import Factor

ResultsSource: TypeAlias = "Results | str | os.PathLike[str]"
"""What an analysis reads: what `vcm_sweep.sweep.open_results` returns, or the path or URI of a results folder."""


def opened(source: ResultsSource) -> "Results":
    """The results, read from their folder where that is given; AnalysisError for anything else."""
    if isinstance(source, (str, os.PathLike)):
        from vcm_sweep.sweep.store.results import open_results

        return open_results(os.fspath(source))
    if not hasattr(source, "study"):
        raise AnalysisError(f"results = {source!r} must be a results folder, or what open_results returns for one")
    return source


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


def told_apart(one: "Results", other: "Results") -> tuple[str, str]:
    """Names for two studies, by which each is told from the other: their own, else their folders'."""
    names = one.study.name, other.study.name
    if names[0] != names[1]:
        return names
    # The same study has the same folder name wherever it was run.
    first, second = (str(results.folder).rstrip("/").rpartition("/")[2] for results in (one, other))
    if first and second and first != second:
        return first, second
    return f"{names[0]} (first)", f"{names[1]} (second)"
