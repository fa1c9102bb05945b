"""Indices from growing parts of a design: have they settled, or would more base rows move them?"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis._replicates import MIN_UNITS
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.result import Sensitivity
from vcm_sweep.analysis.sobol import sobol_indices
from vcm_sweep.analysis.source import ResultsSource
from vcm_sweep.analysis.study import prepare

# Parts of the design, all prefixes: a prefix of a Sobol or a random design is such a design itself.
PARTS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)


def converge(
    y: NDArray[np.float64],
    factors: Sequence[str],
    *,
    seeds: str = "independent",
    trainings: int = 1,
    resamples: int = 300,
    confidence: float = 0.95,
    seed: int = 1,
) -> tuple[Sensitivity, ...]:
    """Sobol indices of the first quarter up to all of the base blocks, by increasing number of blocks.

    Parts that are too small to analyse are left out; so the tuple may hold the whole design only.

    Args:
        y: (base, rows, R) float64, as for `sobol_indices`; the other arguments likewise.

    Raises:
        AnalysisError: the whole design cannot be analysed.
    """

    def indices(size: int) -> Sensitivity:
        return sobol_indices(
            y[:size], factors, seeds=seeds, trainings=trainings, resamples=resamples, confidence=confidence, seed=seed
        )

    return _growing(len(y), indices)


def converge_results(
    results: ResultsSource,
    metric: str = "accuracy",
    *,
    method: str = "",
    policy: str = "fail",
    resamples: int = 300,
    confidence: float = 0.95,
    seed: int = 1,
) -> tuple[Sensitivity, ...]:
    """The same for a study's records by any method: base blocks or trajectories are added, as `extend` does.

    Args:
        metric, method, policy: as for `analyze`.

    Raises:
        AnalysisError: the whole design cannot be analysed.
    """
    prepared = prepare(results, metric, method=method, policy=policy)
    return _growing(
        prepared.units,
        lambda size: prepared.indices(size, resamples=resamples, confidence=confidence, seed=seed),
    )


def _growing(units: int, indices: Callable[[int], Sensitivity]) -> tuple[Sensitivity, ...]:
    found: dict[int, Sensitivity] = {}
    for part in PARTS:
        size = round(part * units)
        if size in found or (size < MIN_UNITS and size < units):
            continue
        try:
            found[size] = indices(size)
        except AnalysisError:
            if size == units:
                raise
    return tuple(found[size] for size in sorted(found))
