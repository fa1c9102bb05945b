"""Where a noisy curve falls below a target: the posterior of the crossing, from trainings at some places.

The mean accuracy along a ray, with u from 0 (nominal) to 1 (the end of the range), is modelled as a Gaussian process: a
constant and a slope with vague priors, plus a Matern 5/2 process. A second kind of model adds a logistic drop at any
place, because a network that no longer trains falls to chance level at once. Lengths, amplitudes and drops are averaged
by their marginal likelihood (Rasmussen and Williams 2006, ch. 2, 5). The curve need not be monotone: the crossing is
the first u at which a curve drawn from the posterior is below the target. Three choices are heuristics: both kinds of
models are equally likely before anything is seen, the grid of lengths and amplitudes, and that the noise at a place is
estimated mostly from places within about a tenth of the ray.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Array = NDArray[np.float64]

GRID = np.linspace(0.0, 1.0, 101)
_LENGTHS = (0.08, 0.16, 0.32, 0.64, 1.28)
_AMPLITUDES = (0.01, 0.03, 0.1, 0.3, 1.0)
# Importance sampling of the drops: how many are drawn in each stage, and in how many stages.
_DROPS, _STAGES = 200, 3
# Length and amplitude of the process in the models with a drop.
_BESIDE = (0.32, 0.03)
# So many models, drawn by their weight, give the curves.
_CHOSEN = 40
# The least and the largest (place, logarithm of the width) of a drop.
_LOWEST, _HIGHEST = np.array([-0.05, np.log(0.005)]), np.array([1.05, np.log(0.2)])
# Standard deviations that the draws of the first stage have at least, and the share of draws that may lie anywhere.
_FLOOR, _ANYWHERE = np.array([0.04, 0.5]), 0.2
# Standard deviation of the vague priors, in units of the scale of the accuracies.
_VAGUE = 2.0
# The noise at a place is estimated from the replicates of all places, weighted by distance with a Gaussian of this
# standard deviation, plus _FAR for all of them.
_NEAR, _FAR = 0.1, 0.01
# Accuracies are not more exact than this, and without any noise a covariance would have no inverse.
_LEAST_SD = 1e-4


@dataclass(frozen=True)
class Crossing:
    """Draws from the posterior of the first place at which the mean accuracy is below the target.

    Attributes:
        draws: (draws,) places in [0, 1]; 0 for a curve that is below the target at nominal, 1 for one that never is.
        below_at_start: share of the draws that are below at 0. never: share of those that are nowhere below.
    """

    draws: Array
    below_at_start: float
    never: float

    def quantile(self, q: float) -> float:
        """The place below which a share q of the draws lies."""
        return float(np.quantile(self.draws, q))

    def safe(self, confidence: float) -> float:
        """The largest place such that, with this probability, the mean keeps the target everywhere up to it."""
        return self.quantile(1.0 - confidence)

    def interval(self, confidence: float) -> tuple[float, float]:
        """The central interval of the crossing."""
        return self.quantile((1.0 - confidence) / 2.0), self.quantile((1.0 + confidence) / 2.0)


def find_crossing(
    places: Array,
    values: list[Array],
    target: float,
    *,
    target_sd: float = 0.0,
    draws: int = 2000,
    seed: int = 1,
) -> Crossing:
    """The crossing of ``target`` by the mean of noisy values.

    Args:
        places: (n,) float64 in [0, 1], all different; 3 or more.
        values: the replicates at each place, two or more in at least one.
        target: the value that the mean should not fall below. target_sd: standard error of the target itself.
        draws: number of curves that are drawn. seed: of the draws.

    >>> u = np.linspace(0, 1, 6)
    >>> rng = np.random.default_rng(1)
    >>> found = find_crossing(u, [0.9 - 0.2 * x + 0.01 * rng.normal(size=4) for x in u], 0.8)
    >>> low, high = found.interval(0.95)
    >>> low < 0.5 < high, high - low < 0.2
    (True, True)
    """
    rng = np.random.default_rng(seed)
    means = np.array([v.mean() for v in values])
    noise = _noise(places, values)
    curves = _curves(places, means, noise, draws, rng)
    return _first_below(curves, target + target_sd * rng.normal(size=draws))


def _noise(places: Array, values: list[Array]) -> Array:
    """(n,) variance of the mean at each place, from the replicates there and at places nearby.

    Noise is not the same everywhere: it grows towards a cliff, where some trainings fail and others do not. The
    replicates of a place alone are not enough, because two of them may agree by chance.
    """
    sizes = np.array([v.size for v in values])
    own = np.array([v.var(ddof=1) if v.size > 1 else 0.0 for v in values])
    if sizes.max() < 2:
        raise ValueError("values: one replicate everywhere, so the noise is not known; give two or more at one place")
    near = np.exp(-0.5 * ((places[:, None] - places[None]) / _NEAR) ** 2) + _FAR
    df = near * (sizes - 1.0)
    total = df.sum(axis=1)
    # A variance from few degrees of freedom may well be too small; this makes up for it, as Student's t does for an
    # interval.
    local = (df * own).sum(axis=1) / np.maximum(total - 2.0, np.minimum(total, 1.0) / 2.0)
    return np.asarray(np.maximum(local, _LEAST_SD**2) / sizes)


@dataclass(frozen=True)
class _Models:
    """Models of the curve, one per entry: length and amplitude of the process, place and width of the drop.

    A width of 0 means no drop. ``weight`` is the prior probability of an entry.
    """

    length: Array
    amplitude: Array
    drop: Array
    width: Array
    weight: Array

    def chosen(self, which: NDArray[np.intp]) -> "_Models":
        return _Models(*(values[which] for values in vars(self).values()))

    def prior(self, a: Array, b: Array, scale: float) -> Array:
        """(models, len(a), len(b)) covariance of the curve between the places a and b."""
        r = np.sqrt(5.0) * np.abs(a[:, None] - b[None]) / self.length[:, None, None]
        process = (self.amplitude[:, None, None] * scale) ** 2 * (1.0 + r + r**2 / 3.0) * np.exp(-r)
        line = (_VAGUE * scale) ** 2 * (1.0 + a[:, None] * b[None])
        fallen_a, fallen_b = self._fallen(a), self._fallen(b)
        return np.asarray(line + process + (_VAGUE * scale) ** 2 * fallen_a[:, :, None] * fallen_b[:, None, :])

    def _fallen(self, u: Array) -> Array:
        """(models, len(u)) the share of the drop that lies before each place: 0 before it, 1 behind it."""
        width = np.where(self.width > 0.0, self.width, 1.0)[:, None]
        return np.where(self.width[:, None] > 0.0, special.expit((u - self.drop[:, None]) / width), 0.0)


def _smooth() -> _Models:
    """The models without a drop."""
    length, amplitude = map(np.ravel, np.meshgrid(_LENGTHS, _AMPLITUDES))
    none = np.zeros(len(length))
    return _Models(length, amplitude, none, none, np.full(len(length), 0.5 / len(length)))


def _with_drops(fit: "_Fit", rng: np.random.Generator) -> tuple[_Models, Array]:
    """Models with a drop, and their log evidence: drawn where the data suggest a drop, and weighted accordingly.

    Adaptive importance sampling (Cappé et al. 2004): where the data fix a steep drop closely, some hundred draws over
    the whole ray would all miss it. So each stage draws around the weighted mean of the stage before.
    """
    spread = _HIGHEST - _LOWEST
    flat = _LOWEST + spread * rng.random((_DROPS, 2))
    at, weight = flat, np.full(_DROPS, 0.5 / _DROPS)
    for stage in range(_STAGES):
        models = _Models(
            np.full(_DROPS, _BESIDE[0]), np.full(_DROPS, _BESIDE[1]), at[:, 0], np.exp(at[:, 1]), weight
        )  # fmt: skip
        evidence = fit.evidence(models)
        if stage == _STAGES - 1:
            return models, evidence
        seen = np.exp(evidence - evidence.max())
        seen /= seen.sum()
        mean = seen @ at
        covariance = 2.0 * (at - mean).T @ ((at - mean) * seen[:, None]) + np.diag(_FLOOR**2 / 4.0**stage)
        normal = stats.multivariate_normal(mean, covariance)
        around = normal.rvs(_DROPS, random_state=rng)
        at = np.where((rng.random(_DROPS) < _ANYWHERE)[:, None], _LOWEST + spread * rng.random((_DROPS, 2)), around)
        inside = ((at >= _LOWEST) & (at <= _HIGHEST)).all(axis=1)
        prior = inside / spread.prod()
        weight = 0.5 / _DROPS * prior / (_ANYWHERE * prior + (1.0 - _ANYWHERE) * normal.pdf(at))
    raise AssertionError("unreachable")


class _Fit:
    """The mean accuracies at the places that were trained, and how well models explain them."""

    def __init__(self, places: Array, means: Array, noise: Array) -> None:
        self.places, self.noise = places, noise
        self.centre = float(np.average(means, weights=1.0 / noise))
        self.means = means - self.centre
        # The scale of the curve is how much the means differ, but not less than their noise.
        self.scale = max(float(np.ptp(means)), 3.0 * float(np.sqrt(noise.max())))

    def _solved(self, models: _Models) -> tuple[Array, Array]:
        """(factor of the covariance, whitened means) of each model."""
        lower = np.linalg.cholesky(models.prior(self.places, self.places, self.scale) + np.diag(self.noise))
        means = np.broadcast_to(self.means, lower.shape[:2])[..., None]
        return lower, np.linalg.solve(lower, means)[..., 0]

    def evidence(self, models: _Models) -> Array:
        """(models,) logarithm of prior weight times marginal likelihood."""
        lower, white = self._solved(models)
        log_det = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(1)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(models.weight) - 0.5 * (white**2).sum(1) - log_det)

    def curves(self, models: _Models, draws: int, rng: np.random.Generator) -> Array:
        """(draws, grid) curves drawn from the posterior, equally many from each model."""
        lower, white = self._solved(models)
        count = len(models.length)
        across = np.linalg.solve(lower, models.prior(self.places, GRID, self.scale))
        mean = self.centre + np.einsum("mpg,mp->mg", across, white)
        covariance = models.prior(GRID, GRID, self.scale) - across.transpose(0, 2, 1) @ across
        # The vague priors are large, so rounding errors in proportion to them must be covered, too.
        jitter = 1e-10 * (_VAGUE * self.scale) ** 2 + 1e-9 * np.trace(covariance, axis1=1, axis2=2) / len(GRID)
        root = np.linalg.cholesky(covariance + jitter[:, None, None] * np.eye(len(GRID)))
        normal = rng.normal(size=(count, len(GRID), -(-draws // count)))
        curves = mean[:, None, :] + (root @ normal).transpose(0, 2, 1)
        return np.asarray(curves.reshape(-1, len(GRID))[:draws])


def _curves(places: Array, means: Array, noise: Array, draws: int, rng: np.random.Generator) -> Array:
    """(draws, grid) curves drawn from the posterior of all models."""
    fit = _Fit(places, means, noise)
    smooth = _smooth()
    dropping, evidence = _with_drops(fit, rng)
    evidence = np.concatenate([fit.evidence(smooth), evidence])
    models = _Models(
        *(np.concatenate(both) for both in zip(vars(smooth).values(), vars(dropping).values(), strict=True))
    )
    weights = np.exp(evidence - evidence.max())
    # Systematic resampling: of _CHOSEN models, one with weight w is taken w * _CHOSEN times, rounded up or down.
    steps = (np.arange(_CHOSEN) + rng.random()) / _CHOSEN
    which = np.searchsorted(np.cumsum(weights / weights.sum()), steps).clip(max=len(weights) - 1)
    return fit.curves(models.chosen(which), draws, rng)


def _first_below(curves: Array, targets: Array) -> Crossing:
    below = curves < targets[:, None]
    first = below.argmax(axis=1)
    never = ~below.any(axis=1)
    at_start = below[:, 0]
    places = GRID[first].copy()
    inside = np.flatnonzero(~never & ~at_start)
    k = first[inside]
    before, after = curves[inside, k - 1], curves[inside, k]
    places[inside] = GRID[k - 1] + (GRID[k] - GRID[k - 1]) * (before - targets[inside]) / (before - after)
    places[never] = 1.0
    return Crossing(places, float(at_start.mean()), float(never.mean()))
