"""Indices of a noisy simulator against Ishigami's closed form; a failure here is a wrong conclusion."""

from typing import Any

import numpy as np
import pytest
from SALib.analyze import sobol as salib_analyze

from vcm_sweep.analysis import AnalysisError, sobol_indices

from ..synthetic import (
    ISHIGAMI_FIRST,
    ISHIGAMI_SECOND,
    ISHIGAMI_TOTAL,
    ISHIGAMI_VARIANCE,
    NAMES,
    Array,
    g_function,
    g_indices,
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


def _both_ways(problem: dict[str, Any], mean: Array, index: str) -> Array:
    """SALib's estimate, averaged with that of the same rows with A and B exchanged."""
    d = (mean.shape[1] - 2) // 2
    exchanged = mean[:, [2 * d + 1, *range(d + 1, 2 * d + 1), *range(1, d + 1), 0]]
    found = [salib_analyze.analyze(problem, rows.reshape(-1), seed=1)[index] for rows in (mean, exchanged)]
    return np.asarray((found[0] + found[1]) / 2)


def test_second_order_without_noise_agrees_with_salib_used_both_ways() -> None:
    mean = ishigami(saltelli_sobol(256, 4, seed=3, second=True))
    ours = sobol_indices(np.repeat(mean[..., None], 2, axis=2), NAMES, resamples=100)
    problem = {"num_vars": 4, "names": list(NAMES), "bounds": [[0.0, 1.0]] * 4}
    theirs = _both_ways(problem, mean, "S2")[np.triu_indices(4, 1)]
    assert [i.value for i in ours.second] == pytest.approx(list(theirs), abs=0.003)
    assert [i.value for i in ours.total] == pytest.approx(list(_both_ways(problem, mean, "ST")), rel=0.01, abs=1e-9)
    assert [i.name for i in ours.second][1] == "x1 × x3"


def test_second_order_finds_ishigamis_only_interaction_under_noise() -> None:
    mean = ishigami(saltelli_sobol(2048, 4, seed=7, second=True))
    result = sobol_indices(with_noise(np.random.default_rng(7), mean, 2, NOISE_SD), NAMES)
    assert [i.value for i in result.second] == pytest.approx(list(ISHIGAMI_SECOND), abs=0.05)
    strongest = result.interactions()[0]
    assert (strongest.name, strongest.includes_zero) == ("x1 × x3", False)
    assert sum(not i.includes_zero for i in result.second) <= 2
    # The pairs add nothing to the indices that the shorter design gives, but they use more rows for them.
    assert [i.value for i in result.total] == pytest.approx(list(ISHIGAMI_TOTAL), abs=0.05)


def test_groups_of_the_g_function_have_their_closed_form() -> None:
    a = np.array([0.0, 0.5, 3.0, 9.0, 9.0, 99.0])
    columns, names = [[0, 3], [1, 2, 4], [5]], ("left", "right", "rest")
    first, total, second = g_indices(a, columns)
    owners = [next(name for name, group in zip(names, columns, strict=True) if j in group) for j in range(6)]
    # SALib orders groups by their first column, as we name them.
    u = saltelli_sobol(4096, 6, seed=2, second=True, groups=owners)
    y = with_noise(np.random.default_rng(1), g_function(u, a), 2, 0.3)
    members = {name: [f"x{j}" for j in group] for name, group in zip(names, columns, strict=True)}
    result = sobol_indices(y, names, groups=members)
    assert [i.value for i in result.first] == pytest.approx(list(first), abs=0.04)
    assert [i.value for i in result.total] == pytest.approx(list(total), abs=0.04)
    assert [i.value for i in result.second] == pytest.approx(list(second), abs=0.04)
    assert result.groups["right"] == ("x1", "x2", "x4")
    assert result.verdict("rest").startswith(("not distinguishable", "matters little"))


def test_second_order_with_common_seeds_is_that_per_seed() -> None:
    """y = x1 x2 s + 5 s: the seed's own effect is in both rows of every product and drops out."""
    rng = np.random.default_rng(3)
    u = saltelli_random(rng, 4096, 2, second=True) - 0.5
    s = 1 + rng.random((4096, 1, 2))
    result = sobol_indices((u[..., 0] * u[..., 1])[..., None] * s + 5 * s, ("x1", "x2"), seeds="common")
    assert result.second[0].value == pytest.approx(1.0, abs=0.1)
    assert [i.value for i in result.first] == pytest.approx([0.0, 0.0], abs=0.1)


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
        (lambda y: y[:, :, :1], "vcm-sweep extend --replicates 2"),
        (lambda y: y[:7], "7 base rows are too few"),
        (lambda y: y[:, :5], "must be \\(base, 6, replicates\\).*BA_1 .. BA_4 before B"),
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
