"""Morris' elementary effects of a noisy simulator: which factors to keep, at a few trainings per factor.

Morris, Technometrics 33 (1991) 161; mu* by Campolongo, Cariboni, Saltelli, Environ. Model. Softw. 22 (2007) 1509.
docs/statistics.md says what noise does to the effects, and how the floor is computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling, check_factors
from vcm_sweep.analysis.statistics.outputs import read_outputs
from vcm_sweep.analysis.statistics.replicates import (
    Replicated,
    array_means,
    check_output,
    noise_remark,
    within_variance,
)
from vcm_sweep.analysis.statistics.trajectories import at, read_steps

Array = NDArray[np.float64]


def morris_effects(
    u: Array,
    y: Array,
    factors: Sequence[str],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    seeds: str = "independent",
    trainings: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 1,
    metric: str = "accuracy",
) -> Sensitivity:
    """The root mean square effect, mu*, mu and sigma, with intervals by a bootstrap over trajectories.

    Factors are ranked by the root mean square effect: it is freed of noise exactly, so its interval holds, and mu*'s by
    itself would not where some of a factor's effects are near 0 and others are not.

    An elementary effect is the change of the output over a step, divided by the step as a fraction of the factor's
    range: it reads as the change across the whole range, in the metric's unit. Training noise raises mu*, so that of a
    factor without effect is not 0. Therefore mu* is extrapolated to no noise (see `_without_noise`), which is no exact
    inverse; its interval reaches from the lower end of the mean effect, which mu* cannot lie below, to the upper end of
    the root mean square one, which it cannot lie above. The index ``raw`` is mu* as measured, with its floor: a factor
    without effect stays below it in 97.5 % of such studies. Noise adds its variance to the squares in sigma and rms,
    and is subtracted there. Nothing is clipped: of a square that comes out negative, the root is taken of its absolute
    value and given the minus sign.

    Args:
        u: (T, G + 1, D) float64 trajectories as SALib makes them, factors scaled to [0, 1] by their
            distribution. y: (T, G + 1, R) outputs, NaN where a replicate was not run, never in replicate 0.
        factors: D names. groups: factors by group, where a group's factors stepped together; G of them, else D.
        trainings: number of consecutive replicates that share an array of cells.
        seeds: ``independent``, or ``common`` to a trajectory; with ``common`` no noise is subtracted, and there is no
            floor.

    Raises:
        AnalysisError: as `sobol_indices`, or trajectories that do not change each factor once.

    >>> u = np.array([[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]] * 8)
    >>> y = 3 * u[..., 0] + np.random.default_rng(1).normal(0, 0.01, (2, 8, 3))
    >>> morris_effects(u, np.moveaxis(y, 0, -1), ["r", "l"]).verdict("l")[:19]
    'not distinguishable'
    """
    u, y = np.asarray(u, dtype=np.float64), np.asarray(y, dtype=np.float64)
    check_factors(factors, seeds)
    resampling = Resampling(resamples, confidence, seed)
    names, before, step = read_steps(u, factors, groups)
    if y.ndim != 3 or y.shape[:2] != u.shape[:2]:
        raise AnalysisError(f"y: shape {y.shape} must be (trajectories, {len(names) + 1}, replicates) like u {u.shape}")
    check_output(y, metric, unit="trajectories", seeds=seeds)
    given = read_outputs(y, names, metric=metric, seeds=seeds, unit="trajectories", trainings=trainings)
    rows, corrected = given.rows, given.corrected
    mean = rows.mean if corrected else _mean_of_same_seeds(given.y)
    effect = (at(mean, before + 1) - at(mean, before)) / step
    noise = (at(rows.noise, before + 1) + at(rows.noise, before)) / step**2 if corrected else np.zeros_like(effect)

    level = _noise_by_level(array_means(given.y, trainings), rows) if corrected else np.zeros_like(rows.mean)
    alike = (at(level, before + 1) + at(level, before)) / step**2

    def estimate(weights: Array) -> dict[str, Array]:
        squares, mu = weights @ effect**2, weights @ effect
        one = rows.scale(weights) if corrected else np.ones(len(weights))
        added = one[:, None] * (weights @ noise)
        spread = (squares - mu**2) * len(y) / (len(y) - 1)
        plain = weights @ np.abs(effect)
        return {
            "mu_star": _without_noise(weights, effect, alike) if corrected else plain,
            "raw": plain,
            "mu": mu,
            "sigma": _root(spread - added),
            "rms": _root(squares - added),
            "noise": added,
        }

    weights = resampling.weights(len(y))
    point, draws = estimate(given.everyone), estimate(weights)
    known = np.isfinite(draws["rms"]).all(axis=1)
    floor = _floor(point["noise"][0], len(y), confidence) if corrected else np.zeros(len(names))

    def of(kind: str, lifted: Array | None = None) -> tuple[Index, ...]:
        return resampling.indices(names, point[kind][0], draws[kind][known], floor=lifted)

    s2, s2_draws = rows.noise_variance(given.everyone), rows.noise_variance(weights)
    spread, spread_draws = _spread(rows, given.everyone), _spread(rows, weights)
    luck_draws = (s2_draws / (spread_draws + s2_draws))[known, None]
    return given.sensitivity(
        "morris",
        "rms",
        {
            "rms": of("rms"),
            "mu_star": _between(of("mu_star"), of("mu"), of("rms")) if corrected else of("mu_star"),
            "mu": of("mu"),
            "sigma": of("sigma"),
            "raw": of("raw", floor),
        },
        draws["rms"][known],
        resampling,
        variance=float(spread[0]),
        luck=resampling.indices(["luck"], s2 / (spread + s2), luck_draws)[0],
        kept=known,
        remarks=_remarks(noise_remark(rows, corrected=corrected, unit="trajectory"), floor, corrected),
        groups=groups,
    )


# How much noise `_without_noise` adds before it extrapolates back, as multiples of the noise variance that is there
# already. A heuristic, checked by coverage (docs/statistics.md).
_ADDED = np.array([0.0, 0.25, 0.5, 1.0, 1.5, 2.0])


def _without_noise(weights: Array, effect: Array, noise: Array) -> Array:
    """The mean of |effect| as it would be without noise, by adding more of it and extrapolating back: (K, G).

    Simulation extrapolation (Cook, Stefanski, J. Am. Stat. Assoc. 89 (1994) 1314), with a closed form in place of the
    simulation: the mean of |effect + e| is that of a folded normal variable. As the noise variance grows, the square of
    this mean grows linearly for a factor without effect and stays constant for a strong one, so a parabola through the
    squares fits both. noise: (T, G) variance of the noise of each effect. It is the same for all resamples, because
    their own noise variances differ by less than the extrapolation can resolve.
    """
    to_none = np.vander([-1.0], 3) @ np.linalg.pinv(np.vander(_ADDED, 3))
    total = np.zeros((len(weights), effect.shape[1]))
    for part, added in zip(to_none[0], _ADDED, strict=True):
        total += part * (weights @ _folded(effect, np.sqrt(added * noise))) ** 2
    return _root(total)


def _between(mu_star: Sequence[Index], mu: Sequence[Index], rms: Sequence[Index]) -> tuple[Index, ...]:
    """mu* with the interval that |mean effect| <= mu* <= root mean square effect leaves, whatever the effects are."""
    found = []
    for value, mean, most in zip(mu_star, mu, rms, strict=True):
        least = 0.0 if mean.low <= 0.0 <= mean.high else min(abs(mean.low), abs(mean.high))
        found.append(replace(value, low=min(least, value.value), high=max(most.high, value.value)))
    return tuple(found)


def _folded(mean: Array, sd: Array) -> Array:
    """Mean of the absolute value of a normal variable."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = mean / sd
        folded = 2.0 * sd * stats.norm.pdf(z) + mean * (1.0 - 2.0 * stats.norm.cdf(-z))
    return np.where(sd > 0.0, folded, np.abs(mean))


def _noise_by_level(y: Array, rows: Replicated) -> Array:
    """Noise variance of each row's mean, estimated from rows with similar output: (T, G + 1).

    A row's own variance over two replicates is far too uncertain to extrapolate with, and the mean over all rows is
    wrong where noise grows with the output. As a compromise the replicated rows are ordered by output and cut into
    fifths, or into fewer parts of 20 rows or more, and each row takes the mean variance of its part.
    """
    count = np.isfinite(y).sum(axis=2)
    own = within_variance(y)
    known = np.isfinite(own)
    parts = max(1, min(5, int(known.sum()) // 20))
    edges = np.quantile(rows.mean[known], np.linspace(0.0, 1.0, parts + 1)[1:-1])
    part = np.searchsorted(edges, rows.mean, side="right")
    means = np.array(
        [own[known & (part == k)].mean() if (known & (part == k)).any() else own[known].mean() for k in range(parts)]
    )
    return np.asarray(means[part] / count)


def _mean_of_same_seeds(y: Array) -> Array:
    """Means over the replicates that all rows of a trajectory have, (T, G + 1): other rows differ by their luck."""
    whole = np.isfinite(y).all(axis=1, keepdims=True)
    return np.asarray(np.where(whole, y, 0.0).sum(axis=2) / whole.sum(axis=2))


def _spread(rows: Replicated, weights: Array) -> Array:
    """Variance of the output over the rows, less that of the noise in their means: (K,)."""
    m = rows.mean.shape[1]
    spread = weights @ (rows.mean**2).sum(axis=1) / m - (weights @ rows.mean.sum(axis=1) / m) ** 2
    return np.asarray(spread - rows.scale(weights) * (weights @ rows.noise.mean(axis=1)))


def _root(square: Array) -> Array:
    return np.asarray(np.sign(square) * np.sqrt(np.abs(square)))


def _floor(noise: Array, trajectories: int, confidence: float) -> Array:
    """Upper limit of the mean of |e| over trajectories, e being normal noise.

    ``noise`` is the mean variance over trajectories. Where variances differ between them, the limit is on the safe
    side.
    """
    sd = np.sqrt(np.maximum(noise, 0.0))
    z = float(stats.norm.ppf(0.5 + confidence / 2.0))
    return np.asarray(sd * (np.sqrt(2 / np.pi) + z * np.sqrt((1 - 2 / np.pi) / trajectories)))


def _remarks(treated: str, floor: Array, corrected: bool) -> tuple[str, ...]:
    scope = "Effects are changes across a factor's whole range, in the metric's unit, and hold for these ranges."
    if not corrected:
        return (treated, scope)
    lifted = (
        f"Noise lifts the plain mu* (that of an inert factor comes out as high as {floor.max():.3g}); mu* here is "
        "extrapolated to no noise, and sigma and rms have its variance taken out."
    )
    return (treated, lifted, scope)
