"""A 95 % interval holds the truth in 95 % of the cases: 200 repetitions of noisy studies with known answers.

The bounds are those of docs/statistics.md. Intervals that are far too wide would pass a test of coverage alone, so the
mean half-width is compared with the estimator's true spread, too.
"""

from collections.abc import Callable

import numpy as np
import pytest

from vcm_sweep.analysis import (
    Sensitivity,
    delta_indices,
    hdmr_indices,
    morris_effects,
    pawn_indices,
    rbd_fast_indices,
    shapley_effects,
    sobol_indices,
)

from ..synthetic import (
    ISHIGAMI_FIRST,
    ISHIGAMI_SECOND,
    ISHIGAMI_SHAPLEY,
    ISHIGAMI_TOTAL,
    ISHIGAMI_VARIANCE,
    NAMES,
    Array,
    growing_noise,
    ishigami,
    morris_trajectories,
    saltelli_random,
    saltelli_sobol,
    shapley_trajectories,
    with_noise,
)

NOISE_SD = float(np.sqrt(ISHIGAMI_VARIANCE / 2))
NOISES = pytest.mark.parametrize("growing", [False, True], ids=["equal noise", "noise grows with the output"])


def _noisy(rng: np.random.Generator, u: Array, replicates: int, growing: bool = False) -> Array:
    mean = ishigami(u)
    return with_noise(rng, mean, replicates, growing_noise(mean, NOISE_SD) if growing else NOISE_SD)


class Repeated:
    """200 results of one kind of study, by kind of index: (repetitions, indices)."""

    def __init__(self, once: Callable[[int], Sensitivity], repetitions: int = 200) -> None:
        self.results = [once(seed) for seed in range(repetitions)]

    def coverage(self, kind: str, truth: Array) -> Array:
        hits = [[i.low <= t <= i.high for i, t in zip(r[kind], truth, strict=True)] for r in self.results]
        return np.mean(hits, axis=0)

    def width(self, kind: str, less: str = "") -> Array:
        """Mean half-width over half the range that holds 95 % of the estimates; ``less``: a kind that widened it."""
        values = np.array([[i.value for i in r[kind]] for r in self.results])
        low, high = np.quantile(values, [0.025, 0.975], axis=0)
        widths = np.mean([[i.high - i.low for i in r[kind]] for r in self.results], axis=0)
        if less:
            widths = widths - np.mean([max(0.0, r[less][0].high) for r in self.results])
        return np.asarray(widths / (high - low))

    def alarms(self, factor: int) -> float:
        """How often a factor without effect is said to have one."""
        return float(np.mean([not r[r.kind][factor].includes_zero for r in self.results]))


@NOISES
def test_sobol_totals_of_independent_rows(growing: bool) -> None:
    def once(seed: int) -> Sensitivity:
        rng = np.random.default_rng(1000 + seed)
        return sobol_indices(_noisy(rng, saltelli_random(rng, 256, 4), 3, growing), NAMES, resamples=500)

    repeated = Repeated(once)
    coverage = repeated.coverage("total", ISHIGAMI_TOTAL)
    assert np.all((coverage >= 0.91) & (coverage <= 0.99)), coverage
    assert np.all(repeated.width("total") <= 1.3)
    assert repeated.alarms(3) <= 0.06


@NOISES
def test_sobol_totals_of_a_scrambled_design(growing: bool) -> None:
    """The bootstrap ignores what the design gains: with 256 blocks intervals are too wide, or right."""

    def once(seed: int) -> Sensitivity:
        y = _noisy(np.random.default_rng(seed), saltelli_sobol(256, 4, seed + 1), 3, growing)
        return sobol_indices(y, NAMES, resamples=400)

    coverage = Repeated(once).coverage("total", ISHIGAMI_TOTAL)
    assert np.all(coverage >= 0.91), coverage


def test_without_the_correction_the_truth_is_missed() -> None:
    """So the tests of this file can fail: the same rows with their noise hidden in the means."""

    def once(seed: int) -> Sensitivity:
        rng = np.random.default_rng(seed)
        means = _noisy(rng, saltelli_random(rng, 256, 4), 3).mean(axis=2, keepdims=True)
        return sobol_indices(np.repeat(means, 2, axis=2), NAMES, resamples=400)

    repeated = Repeated(once)
    assert np.all(repeated.coverage("total", ISHIGAMI_TOTAL)[1:] < 0.7)
    assert repeated.alarms(3) > 0.9


@NOISES
def test_sobol_with_second_order(growing: bool) -> None:
    def once(seed: int) -> Sensitivity:
        rng = np.random.default_rng(5000 + seed)
        y = _noisy(rng, saltelli_random(rng, 256, 4, second=True), 2, growing)
        return sobol_indices(y, NAMES, resamples=400)

    repeated = Repeated(once)
    for kind, truth in (("first", ISHIGAMI_FIRST), ("total", ISHIGAMI_TOTAL), ("second", ISHIGAMI_SECOND)):
        coverage = repeated.coverage(kind, truth)
        assert np.all((coverage >= 0.90) & (coverage <= 0.99)), (kind, coverage)
        assert np.all(repeated.width(kind) <= 1.3), kind


@pytest.mark.slow
@NOISES
def test_shapley_effects(growing: bool) -> None:
    def once(seed: int) -> Sensitivity:
        x = shapley_trajectories(512, 4, seed + 1)
        return shapley_effects(x, _noisy(np.random.default_rng(seed), x, 2, growing), NAMES, resamples=400)

    repeated = Repeated(once)
    coverage = repeated.coverage("shapley", ISHIGAMI_SHAPLEY)
    assert np.all((coverage >= 0.91) & (coverage <= 0.99)), coverage
    assert np.all(repeated.width("shapley") <= 1.3)
    assert repeated.alarms(3) <= 0.06


@pytest.mark.slow
@NOISES
@pytest.mark.parametrize("trajectories", [40, 160])
def test_morris_effects_with_noise_as_large_as_the_weaker_of_them(trajectories: int, growing: bool) -> None:
    """Plain mu* of the dummy is never right; freed of noise, it is, and the more trajectories do not undo that."""
    exact = ishigami(x := morris_trajectories(20_000, 4, seed=99))
    truth = morris_effects(x, np.repeat(exact[..., None], 2, axis=2), NAMES, resamples=100)

    def once(seed: int) -> Sensitivity:
        u = morris_trajectories(trajectories, 4, seed + 1)
        return morris_effects(u, _noisy(np.random.default_rng(seed), u, 2, growing), NAMES, resamples=400)

    repeated = Repeated(once)
    for kind in ("mu_star", "rms", "mu", "sigma"):
        coverage = repeated.coverage(kind, np.array([i.value for i in truth[kind]]))
        # Percentile intervals of 40 trajectories are a little narrow.
        assert np.all(coverage >= 0.87), (kind, coverage)
    for kind in ("rms", "mu", "sigma"):
        assert np.all(repeated.width(kind) <= 1.3), kind
    # The interval of mu* is as wide as what is not known of it: little where all effects have one sign (x1).
    assert repeated.width("mu_star")[0] <= 2.0
    assert repeated.coverage("raw", np.array([i.value for i in truth["mu_star"]]))[3] == 0.0
    assert repeated.alarms(3) <= 0.06


@pytest.mark.slow
@NOISES
@pytest.mark.parametrize("in_blocks", [False, True], ids=["independent points", "rows of a Saltelli design"])
def test_rbd_fast_from_given_points(in_blocks: bool, growing: bool) -> None:
    repeated = Repeated(lambda seed: _given(rbd_fast_indices, seed, in_blocks, growing, resamples=400))
    coverage = repeated.coverage("first", ISHIGAMI_FIRST)
    assert np.all(coverage >= 0.90), coverage
    # Of a factor without first-order effect the interval is up to twice too wide, never too narrow.
    assert np.all(repeated.width("first")[:2] <= 1.3)
    assert repeated.alarms(3) <= 0.06


@pytest.mark.slow
@NOISES
@pytest.mark.parametrize("in_blocks", [False, True], ids=["independent points", "rows of a Saltelli design"])
def test_hdmr_from_given_points(in_blocks: bool, growing: bool) -> None:
    """A polynomial output, which the series holds: x1 + x2^2 + 3 x1 x3, of factors in [-1, 1]."""
    parts = np.array([1 / 3, 4 / 45, 0.0, 0.0]), np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    variance = parts[0].sum() + parts[1].sum()
    total = (parts[0] + np.array([1.0, 0.0, 1.0, 0.0])) / variance

    def once(seed: int) -> Sensitivity:
        rng = np.random.default_rng(3000 + seed)
        u = saltelli_random(rng, 256, 4) if in_blocks else rng.random((1024, 1, 4))
        z = 2 * u - 1
        mean = z[..., 0] + z[..., 1] ** 2 + 3 * z[..., 0] * z[..., 2]
        sd = growing_noise(mean, 0.8) if growing else 0.8
        y = with_noise(rng, mean, 2, sd)
        blocks = np.repeat(np.arange(len(u)), u.shape[1])
        return hdmr_indices(u.reshape(-1, 4), y.reshape(-1, 2), NAMES, blocks=blocks, resamples=400)

    repeated = Repeated(once)
    for kind, truth in (("first", parts[0] / variance), ("total", total), ("second", parts[1] / variance)):
        coverage = repeated.coverage(kind, truth)
        assert np.all(coverage >= 0.88), (kind, coverage)
        large = truth > 0.05
        # The upper end also holds what no term explains: at most 5 points here, where the terms hold everything.
        assert np.all(repeated.width(kind, less="unexplained")[large] <= 1.3), kind
    assert np.mean([r["unexplained"][0].high for r in repeated.results]) <= 0.05
    assert repeated.alarms(3) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("points", [256, 1024])
def test_hdmr_holds_what_its_terms_do_not(points: int) -> None:
    """x1 + 2 x2 x3 x4 of factors in [-1, 1]: no pair holds the product, and 256 points leave no terms for pairs."""
    product = 4 / 27
    total = np.array([1 / 3, product, product, product]) / (1 / 3 + product)

    def once(seed: int) -> Sensitivity:
        rng = np.random.default_rng(7000 + seed)
        u = rng.random((points, 4))
        z = 2 * u - 1
        y = with_noise(rng, z[:, 0] + 2 * z[:, 1] * z[:, 2] * z[:, 3], 2, 0.2)
        return hdmr_indices(u, y, NAMES, resamples=300)

    repeated = Repeated(once, 100)
    assert np.all(repeated.coverage("total", total) >= 0.93)
    without = [[i.low <= t <= i.high - r["unexplained"][0].high for i, t in zip(r["total"], total, strict=True)]
               for r in repeated.results]  # fmt: skip
    assert np.all(np.mean(without, axis=0)[1:] <= 0.5), "so the bound before can fail"


@pytest.mark.slow
@pytest.mark.parametrize("method", [pawn_indices, delta_indices])
@pytest.mark.parametrize("in_blocks", [False, True], ids=["independent points", "rows of a Saltelli design"])
def test_distances_do_not_take_noise_for_an_effect(method: Callable[..., Sensitivity], in_blocks: bool) -> None:
    """Their floor is what keeps a dummy from mattering; rows that are alike would lift it without blocks."""
    repeated = Repeated(lambda seed: _given(method, seed, in_blocks, False, resamples=100), 30)
    assert repeated.alarms(3) <= 0.10
    assert repeated.alarms(0) == 1.0
    assert repeated.alarms(1) == 1.0


def _given(
    method: Callable[..., Sensitivity], seed: int, in_blocks: bool, growing: bool, resamples: int
) -> Sensitivity:
    rng = np.random.default_rng(3000 + seed)
    u = saltelli_random(rng, 256, 4) if in_blocks else rng.random((1024, 1, 4))
    y = _noisy(rng, u, 2, growing)
    blocks = np.repeat(np.arange(len(u)), u.shape[1])
    return method(u.reshape(-1, 4), y.reshape(-1, 2), NAMES, blocks=blocks, resamples=resamples)
