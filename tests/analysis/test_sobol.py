"""Indices of a noisy simulator against Ishigami's closed form; a failure here is a wrong conclusion."""

from collections.abc import Callable

import numpy as np
import pytest
from SALib.analyze import sobol as salib_analyze

from vcm_sweep.analysis import AnalysisError, converge, sobol_indices

from ._synthetic import (
    ISHIGAMI_FIRST,
    ISHIGAMI_TOTAL,
    ISHIGAMI_VARIANCE,
    NAMES,
    Array,
    ishigami,
    saltelli_random,
    saltelli_sobol,
    with_noise,
)

NOISE_SD = np.sqrt(ISHIGAMI_VARIANCE / 2)


def _noisy(seed: int, base: int, replicates: int) -> Array:
    rng = np.random.default_rng(seed)
    return with_noise(rng, ishigami(saltelli_random(rng, base, 4)), replicates, NOISE_SD)


def test_recovers_ishigami_under_noise() -> None:
    mean = ishigami(saltelli_sobol(1024, 4, seed=7))
    result = sobol_indices(with_noise(np.random.default_rng(7), mean, 2, NOISE_SD), NAMES)
    for indices, truth in ((result.first, ISHIGAMI_FIRST), (result.total, ISHIGAMI_TOTAL)):
        assert [index.value for index in indices] == pytest.approx(list(truth), abs=0.08)
    assert all(i.low <= t <= i.high for i, t in zip(result.total, ISHIGAMI_TOTAL, strict=True))
    assert result.variance == pytest.approx(ISHIGAMI_VARIANCE, rel=0.06)
    assert result.noise_variance == pytest.approx(NOISE_SD**2, rel=0.05)
    # One training: noise is half of V, so luck is 1/3 and every share shrinks by 2/3.
    assert result.luck.low <= 1 / 3 <= result.luck.high
    assert [i.value for i in result.single_total] == pytest.approx(list(ISHIGAMI_TOTAL * 2 / 3), abs=0.06)
    assert [i.factor for i in result.ranking()] == ["x1", "x2", "x3", "dummy"]
    assert result.verdict("x1") == "matters"
    assert result.verdict("dummy").startswith("not distinguishable from no effect")


def test_without_noise_agrees_with_salib() -> None:
    mean = ishigami(saltelli_sobol(256, 4, seed=3))
    ours = sobol_indices(np.repeat(mean[..., None], 2, axis=2), NAMES, resamples=100)
    problem = {"num_vars": 4, "names": list(NAMES), "bounds": [[0.0, 1.0]] * 4}
    theirs = salib_analyze.analyze(problem, mean.reshape(-1), calc_second_order=False, seed=1)
    # SALib divides by the variance of A and B together and does not treat noise: equal but for 1 / base.
    assert [i.value for i in ours.total] == pytest.approx(list(theirs["ST"]), rel=0.01, abs=1e-9)
    assert [i.value for i in ours.first] == pytest.approx(list(theirs["S1"]), rel=0.02, abs=0.01)
    assert ours.noise_variance == 0.0


def test_leaving_noise_in_would_mislead() -> None:
    """The same numbers called common are not corrected: the dummy then seems to matter."""
    y = _noisy(seed=2, base=2048, replicates=3)
    corrected = sobol_indices(y, NAMES, resamples=200)
    naive = sobol_indices(np.repeat(y.mean(axis=2, keepdims=True), 2, axis=2), NAMES, resamples=200)
    assert naive.total[3].low > 0.05
    assert abs(corrected.total[3].value) < 0.05
    assert corrected.total[3].includes_zero


def test_pairs_on_one_row_per_block_are_nearly_unbiased() -> None:
    """Noise that grows with the output, replicates on one random row kind per block only."""
    totals = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        mean = ishigami(saltelli_random(rng, 256, 4))
        y = with_noise(rng, mean, 2, 0.5 * NOISE_SD + 0.3 * np.abs(mean))
        second = np.full(mean.shape, np.nan)
        kind = rng.integers(0, mean.shape[1], mean.shape[0])
        second[np.arange(256), kind] = y[np.arange(256), kind, 1]
        y[:, :, 1] = second
        result = sobol_indices(y, NAMES, resamples=100)
        assert result.pooled
        assert result.replicated_rows == 256
        totals.append([index.value for index in result.total])
    spread = np.std(totals, axis=0) / np.sqrt(len(totals))
    assert np.all(np.abs(np.mean(totals, axis=0) - ISHIGAMI_TOTAL) < 3 * spread + 0.01)


def test_common_seeds_are_not_corrected_and_keep_factor_times_seed() -> None:
    """y = x1 + x2 + 3 s + c (x3 - 1/2) s: per seed, the seed's own effect is no variance of the factors."""
    rng = np.random.default_rng(5)
    u = saltelli_random(rng, 4096, 3)
    s = rng.normal(size=(4096, 1, 2))
    y = (u[..., 0] + u[..., 1])[..., None] + 3 * s + (u[..., 2, None] - 0.5) * s
    result = sobol_indices(y, ("x1", "x2", "x3"), seeds="common", resamples=200)
    assert [i.value for i in result.total] == pytest.approx([1 / 3] * 3, abs=0.05)
    assert not result.corrected
    assert "per seed" in result.notes()[0]
    assert "factor and seed" in result.notes()[0]
    # Of one training's variance the seed holds E[(3 + x3 - 1/2)^2] = 9 + 1/12, the factors 1/6 beside it.
    assert result.luck.value == pytest.approx((9 + 1 / 12) / (9 + 1 / 4), abs=0.03)


@pytest.mark.parametrize("growing", [False, True], ids=["equal noise", "noise grows with the output"])
def test_intervals_cover_the_truth(growing: bool) -> None:
    """200 repetitions, independent rows: what a user reads as 95 % is about 95 %."""
    hits, halves, totals = [], [], []
    for seed in range(200):
        rng = np.random.default_rng(1000 + seed)
        mean = ishigami(saltelli_random(rng, 256, 4))
        sd = 0.5 * NOISE_SD + 0.35 * np.abs(mean) if growing else NOISE_SD
        result = sobol_indices(with_noise(rng, mean, 3, sd), NAMES, resamples=500)
        hits.append([i.low <= t <= i.high for i, t in zip(result.total, ISHIGAMI_TOTAL, strict=True)])
        halves.append([(i.high - i.low) / 2 for i in result.total])
        totals.append([i.value for i in result.total])
    coverage = np.mean(hits, axis=0)
    assert np.all((coverage >= 0.91) & (coverage <= 0.99)), coverage
    # Coverage alone would be met by intervals that are far too wide.
    low, high = np.quantile(totals, [0.025, 0.975], axis=0)
    assert np.all(np.mean(halves, axis=0) <= 1.3 * (high - low) / 2)


def _coverage(repeat: Callable[[int], Array]) -> Array:
    hits = []
    for seed in range(200):
        total = sobol_indices(repeat(seed), NAMES, resamples=400).total
        hits.append([i.low <= t <= i.high for i, t in zip(total, ISHIGAMI_TOTAL, strict=True)])
    return np.mean(hits, axis=0)


def test_intervals_cover_on_a_scrambled_sobol_design() -> None:
    """The bootstrap ignores what the design gains: intervals may be too wide there, never too narrow."""

    def repeat(seed: int) -> Array:
        mean = ishigami(saltelli_sobol(256, 4, seed))
        return with_noise(np.random.default_rng(seed), mean, 3, NOISE_SD)

    assert np.all(_coverage(repeat) >= 0.91)


def test_intervals_without_the_correction_miss_the_truth() -> None:
    """So the coverage tests above can fail: the same rows with their noise hidden in the means."""

    def repeat(seed: int) -> Array:
        return np.repeat(_noisy(seed, 256, 3).mean(axis=2, keepdims=True), 2, axis=2)

    assert np.all(_coverage(repeat)[1:] < 0.7)


def test_equal_factors_are_not_separated_and_unequal_ones_are() -> None:
    open_pairs, sentences = 0, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        u = saltelli_random(rng, 256, 3)
        y = with_noise(rng, 2 * u[..., 0] + 2 * u[..., 1] + 0.3 * u[..., 2], 2, 0.2)
        result = sobol_indices(y, ("left", "right", "weak"), resamples=400)
        pairs = [{p.larger, p.smaller} for p in result.not_separated()]
        assert pairs in ([], [{"left", "right"}])
        open_pairs += len(pairs)
        sentences += any("do not separate" in sentence for sentence in result.answer())
    # Equal totals: a 95 % interval of the difference leaves out 0 in about 5 of 100 repetitions.
    assert 88 <= open_pairs <= 99
    assert sentences == open_pairs
    clear = sobol_indices(with_noise(rng, 2 * u[..., 0] + 0.3 * u[..., 1], 2, 0.2), ("a", "b", "c"))
    assert not any("do not separate" in sentence for sentence in clear.answer())
    assert clear.answer()[0].startswith("Over the stated ranges, a accounts for")


def test_bootstrap_is_repeatable_and_origin_free() -> None:
    y = _noisy(seed=3, base=64, replicates=2)
    one, two = sobol_indices(y, NAMES), sobol_indices(y + 1e6, NAMES)
    assert one == sobol_indices(y, NAMES)
    assert [i.low for i in two.total] == pytest.approx([i.low for i in one.total], rel=1e-6, abs=1e-6)
    assert two.mean == pytest.approx(one.mean + 1e6)


def test_converge_ends_with_the_whole_design() -> None:
    parts = converge(_noisy(seed=4, base=64, replicates=3), NAMES)
    assert parts[-1].base_points == 64
    assert [p.base_points for p in parts] == sorted({p.base_points for p in parts})
    assert len(parts) > 2


def _broken(y: Array, value: float, at: tuple[int, int, int]) -> Array:
    y = y.copy()
    y[at] = value
    return y


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda y: _broken(y, np.nan, (3, 2, 0)), "1 of 384 rows have no finite first replicate"),
        (lambda y: _broken(y, np.inf, (3, 2, 1)), "1 of 768 values are infinite"),
        (lambda y: np.full_like(y, 0.1), "all trainings gave 0.1"),
        (lambda y: y[:, :, :1], "set replicates = 2 or more"),
        (lambda y: y[:7], "7 base rows are too few"),
        (lambda y: y[:, :5], "must be \\(base, 6, replicates\\)"),
        (lambda y: np.random.default_rng(0).normal(size=y.shape), "no more than\\s+training noise"),
    ],
)
def test_refuses_in_one_sentence(change, sentence: str) -> None:  # type: ignore[no-untyped-def]
    y = _noisy(seed=1, base=64, replicates=2)
    with pytest.raises(AnalysisError, match=sentence) as caught:
        sobol_indices(change(y), NAMES)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 5


def test_refuses_arguments_outside_their_range() -> None:
    y = _noisy(seed=1, base=16, replicates=2)
    with pytest.raises(AnalysisError, match="'shared' is not one of independent, common"):
        sobol_indices(y, NAMES, seeds="shared")
    with pytest.raises(AnalysisError, match="confidence: 95"):
        sobol_indices(y, NAMES, confidence=95)
    with pytest.raises(AnalysisError, match="distinct names"):
        sobol_indices(y, ("a", "a", "b", "c"))
