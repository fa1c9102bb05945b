"""The Sobol indices of a study's records, or the one sentence that says what is missing."""

from collections import Counter

import numpy as np

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.result import SobolResult
from vcm_sweep.analysis.sobol import sobol_indices
from vcm_sweep.analysis.source import ResultsSource

# Numbers of the record that a training ends with; anything else has no variance to share out.
METRICS = ("accuracy", "loss", "energy_j", "frac_at_bound", "pulses_set", "pulses_reset", "wall_s")


def analyze(
    results: ResultsSource,
    metric: str = "accuracy",
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 1,
) -> SobolResult:
    """First and total indices of ``metric`` over the study's factors.

    Trainings that failed are never left out silently: dropping them would bias every index towards the
    points that train well. Low accuracy is no failure and stays in.

    Raises:
        AnalysisError: records are missing or failed, or `sobol_indices` refuses them.
    """
    if metric not in METRICS:
        raise AnalysisError(f"metric: {metric!r} is not one of {', '.join(METRICS)}")
    study = results.study
    # Tests' own sources know Sobol designs only.
    if getattr(study.design, "method", "sobol") != "sobol":
        raise AnalysisError(
            f"{study.name}: a {study.design.method} design cannot be analysed yet; its records are kept, and "
            'method = "sobol" gives indices'
        )
    statuses = Counter(results.table().column("status").to_pylist())
    trainings = sum(statuses.values())
    failed = {status: count for status, count in sorted(statuses.items()) if status != "ok"}
    if failed:
        words = ", ".join(f"{count} {status}" for status, count in failed.items())
        raise AnalysisError(
            f"{study.name}: {sum(failed.values())} of {trainings} trainings failed ({words}), and leaving "
            "them out would bias the indices; vcm-sweep run --retry runs them again, or narrow the ranges"
        )
    blocks = np.asarray(results.blocks(metric), dtype=np.float64)
    missing = int(np.isnan(blocks[:, :, 0]).sum())
    if missing:
        rows = blocks.shape[0] * blocks.shape[1]
        raise AnalysisError(
            f"{study.name}: {missing} of {rows} points are not finished; vcm-sweep run with the same study "
            "file continues where it stopped"
        )
    return sobol_indices(
        blocks,
        [factor.name for factor in study.factors],
        seeds=study.design.seeds,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        metric=metric,
    )
