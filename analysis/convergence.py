"""Indices from growing parts of a design: have they settled, or would more base rows move them?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis._replicates import MIN_UNITS
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.result import Sensitivity
from vcm_sweep.analysis.sobol import sobol_indices

# Parts of the design, all prefixes: a prefix of a Sobol or a random design is such a design itself.
PARTS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)


def converge(
    y: NDArray[np.float64],
    factors: Sequence[str],
    *,
    seeds: str = "independent",
    resamples: int = 300,
    confidence: float = 0.95,
    seed: int = 1,
) -> tuple[Sensitivity, ...]:
    """Results of the first quarter up to all of the base blocks, by increasing number of blocks.

    Parts that are too small to analyse are left out; so the tuple may hold the whole design only.

    Args:
        y: (base, D + 2, R) float64, as for `sobol_indices`; the other arguments likewise.

    Raises:
        AnalysisError: the whole design cannot be analysed.
    """
    base = y.shape[0]
    found: dict[int, Sensitivity] = {}
    for part in PARTS:
        size = round(part * base)
        if size in found or (size < MIN_UNITS and size < base):
            continue
        try:
            found[size] = sobol_indices(
                y[:size], factors, seeds=seeds, resamples=resamples, confidence=confidence, seed=seed
            )
        except AnalysisError:
            if size == base:
                raise
    return tuple(found[size] for size in sorted(found))
