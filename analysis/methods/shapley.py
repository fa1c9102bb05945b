"""Shapley effects of a noisy simulator: shares of variance that add up to one, interactions divided evenly.

The estimator is Goda's, Reliab. Eng. Syst. Saf. 213 (2021) 107702, as in SALib 1.6. docs/statistics.md derives the
noise that is subtracted.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError, NoiseError
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling, check_factors
from vcm_sweep.analysis.statistics.outputs import read_outputs
from vcm_sweep.analysis.statistics.replicates import check_output, noise_remark, noise_sentence
from vcm_sweep.analysis.statistics.trajectories import at, read_steps

Array = NDArray[np.float64]


def shapley_effects(
    x: Array,
    y: Array,
    factors: Sequence[str],
    *,
    seeds: str = "independent",
    trainings: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 1,
    metric: str = "accuracy",
) -> Sensitivity:
    """Shapley effects, as shares of the variance of the mean output, with intervals over trajectories.

    The step from row k - 1 to row k of a trajectory changes one factor, and adds to its effect
    (y_0 - (y_k-1 + y_k) / 2) (y_k-1 - y_k). Noise adds half the noise variance of row k minus half that of row k - 1
    (plus in the first step, where row k - 1 is row 0). This is subtracted; otherwise the factor that happens to change
    first would look important. Factors must be independent.

    Args:
        x: (T, D + 1, D) float64 trajectories of SALib.sample.shapley. y: (T, D + 1, R) outputs, NaN where a
            replicate was not run, never in replicate 0.
        trainings: number of consecutive replicates that share an array of cells.
        seeds: ``independent``, or ``common`` to a trajectory; with ``common`` no noise is subtracted, and effects are
            computed per seed and averaged.

    Raises:
        AnalysisError: as `sobol_indices`, or trajectories that do not change each factor once.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    names = tuple(factors)
    check_factors(names, seeds)
    resampling = Resampling(resamples, confidence, seed)
    _, before, _ = read_steps(x, names, None)
    if y.ndim != 3 or y.shape[:2] != x.shape[:2]:
        raise AnalysisError(f"y: shape {y.shape} must be (trajectories, {len(names) + 1}, replicates) like x {x.shape}")
    check_output(y, metric, unit="trajectories", seeds=seeds)
    given = read_outputs(y, names, metric=metric, seeds=seeds, unit="trajectories", trainings=trainings)
    rows, corrected = given.rows, given.corrected
    if corrected:
        parts = _contributions(rows.mean, before)
        first = np.where(before == 0, 1.0, -1.0)
        noise = (at(rows.noise, before + 1) + first * at(rows.noise, before)) / 2.0
    else:
        whole = np.where(np.isfinite(given.y).all(axis=1, keepdims=True), given.y, np.nan)
        seeds_apart = [_contributions(whole[..., r], before) for r in range(y.shape[2])]
        parts, noise = np.nanmean(seeds_apart, axis=0), np.zeros_like(before, dtype=np.float64)

    def estimate(weights: Array) -> tuple[Array, Array, Array]:
        s2 = rows.noise_variance(weights)
        one = rows.scale(weights) if corrected else np.ones_like(s2)
        effects = weights @ parts - one[:, None] * (weights @ noise)
        return effects, effects.sum(axis=1), s2

    effects, variance, s2 = estimate(given.everyone)
    if not variance[0] > 0.0:
        raise NoiseError(noise_sentence(metric, float(variance[0]), corrected=corrected))
    drawn, drawn_variance, drawn_s2 = estimate(resampling.weights(len(y)))
    keep = resampling.usable(drawn_variance, metric)
    draws = drawn[keep] / drawn_variance[keep, None]
    luck_draws = drawn_s2[keep] / (drawn_variance[keep] + drawn_s2[keep])
    return given.sensitivity(
        "shapley",
        "shapley",
        {"shapley": resampling.indices(names, effects[0] / variance[0], draws)},
        draws,
        resampling,
        variance=float(variance[0]),
        luck=resampling.indices(["luck"], s2 / (variance + s2), luck_draws[:, None])[0],
        kept=keep,
        remarks=(
            noise_remark(rows, corrected=corrected, unit="trajectory"),
            "Shapley effects add up to 100 %: each interaction is divided evenly among its factors.",
        ),
    )


def _contributions(y: Array, before: NDArray[np.int64]) -> Array:
    """(T, D) what each trajectory adds to each factor's effect; y: (T, D + 1), before: (T, D) as `read_steps` gives."""
    start, end = at(y, before), at(y, before + 1)
    return (y[:, :1] - (start + end) / 2.0) * (start - end)
