"""Indices from growing parts of a design: have they settled, or would more base rows move them?"""

from typing import TYPE_CHECKING

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.records.source import ResultsSource, opened
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.replicates import MIN_UNITS
from vcm_sweep.analysis.studies.analysis import prepare

if TYPE_CHECKING:
    pass

# Each part is a prefix of the design: a prefix of a Sobol or a random design is such a design itself.
PARTS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
# Of a method that takes seconds to minutes, the parts at which Sobol points are even.
_HALVES = (0.25, 0.5, 1.0)


def converge_results(
    results: ResultsSource,
    metric: str = "accuracy",
    *,
    method: str = "",
    policy: str = "fail",
    resamples: int = 300,
    confidence: float = 0.95,
    seed: int = 1,
    whole: Sensitivity | None = None,
) -> tuple[Sensitivity, ...]:
    """The indices from growing parts of a study, the first quarter up to all of its base blocks or trajectories.

    Parts that are too small to analyse are left out, so the tuple may hold only the whole design.

    Args:
        metric, method, policy: as for `analyze`. whole: its result, where there is one; it is not computed again.

    Raises:
        AnalysisError: the whole design cannot be analysed.
    """
    results = opened(results)
    prepared = prepare(results, metric, method=method, policy=policy)
    found: dict[int, Sensitivity] = {prepared.units: whole} if whole else {}
    for part in _HALVES if prepared.method.startswith("bounded") else PARTS:
        size = round(part * prepared.units)
        if size in found or (size < MIN_UNITS and size < prepared.units):
            continue
        try:
            found[size] = prepared.indices(size, resamples=resamples, confidence=confidence, seed=seed)
        except AnalysisError:
            if size == prepared.units:
                raise
    return tuple(found[size] for size in sorted(found))
