"""Methods for any given points, against SALib on the same points and against closed forms."""

from collections.abc import Callable

import numpy as np
import pytest
from SALib.analyze import enhanced_hdmr, pawn, rbd_fast
from SALib.analyze.delta import calc_delta

from vcm_sweep.analysis import AnalysisError, Sensitivity, delta_indices, hdmr_indices, pawn_indices, rbd_fast_indices
from vcm_sweep.analysis.methods.delta import slice_number

from ..synthetic import (
    ISHIGAMI_FIRST,
    ISHIGAMI_SECOND,
    ISHIGAMI_TOTAL,
    ISHIGAMI_VARIANCE,
    NAMES,
    Array,
    ishigami,
    saltelli_random,
    with_noise,
)

PROBLEM = {"num_vars": 4, "names": list(NAMES), "bounds": [[0.0, 1.0]] * 4}
NOISE_SD = float(np.sqrt(ISHIGAMI_VARIANCE / 2))
METHODS = (rbd_fast_indices, hdmr_indices, pawn_indices, delta_indices)


def _points(count: int, replicates: int, sd: float = NOISE_SD, seed: int = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.random((count, 4))
    return x, with_noise(rng, ishigami(x)[:, None], replicates, sd)[:, 0]


def test_rbd_fast_without_noise_agrees_with_salib() -> None:
    x, y = _points(2048, 2, sd=0.0)
    ours = rbd_fast_indices(x, y, NAMES)
    theirs = rbd_fast.analyze(PROBLEM, x, y[:, 0], num_resamples=2, seed=1)["S1"]
    assert [i.value for i in ours.first] == pytest.approx(theirs, abs=0.005)


def test_pawn_agrees_with_salib_before_its_bias_is_taken_out() -> None:
    x, y = _points(2048, 1)
    ours = pawn_indices(x, y, NAMES, resamples=100)
    theirs = pawn.analyze(PROBLEM, x, y[:, 0], S=10, seed=1)["mean"]
    # SALib compares at every output, we at 256 of them, and it drops the last point of each range.
    assert [i.value for i in ours["raw"]] == pytest.approx(list(theirs), abs=0.006)


def test_delta_agrees_with_salib_before_its_bias_is_taken_out() -> None:
    x, y = _points(2048, 1)
    ours = delta_indices(x, y, NAMES, resamples=100)
    edges = np.linspace(0, len(x), slice_number(len(x)) + 1)
    grid = np.linspace(y.min(), y.max(), 100)
    theirs = [calc_delta(y[:, 0], grid, x[:, j], edges) for j in range(4)]
    assert [i.value for i in ours["raw"]] == pytest.approx(theirs, abs=0.003)


def test_hdmr_agrees_with_salibs_on_a_polynomial_and_finds_ishigamis_interaction() -> None:
    rng = np.random.default_rng(4)
    x = rng.random((1500, 4))
    y = np.repeat((x[:, 0] + 2 * x[:, 1] ** 2 + 3 * x[:, 0] * x[:, 2])[:, None], 2, axis=1)
    ours = hdmr_indices(x, y, NAMES)
    theirs = enhanced_hdmr.analyze(PROBLEM, x, y[:, 0], max_order=2, poly_order=3, bootstrap=5, seed=1)
    assert [i.value for i in ours.first] == pytest.approx(list(theirs["S"][:4]), abs=0.03)
    assert [i.value for i in ours.second] == pytest.approx(list(theirs["S"][4:]), abs=0.03)
    assert abs(ours["unexplained"][0].value) < 0.01

    noisy = hdmr_indices(*_points(4096, 2), NAMES)
    assert [i.value for i in noisy.total] == pytest.approx(list(ISHIGAMI_TOTAL), abs=0.05)
    assert [i.value for i in noisy.second] == pytest.approx(list(ISHIGAMI_SECOND), abs=0.05)
    assert noisy["unexplained"][0].low <= 0.05


def test_rows_of_a_saltelli_design_give_the_same_first_order_indices() -> None:
    rng = np.random.default_rng(2)
    u = saltelli_random(rng, 1024, 4)
    y = with_noise(rng, ishigami(u), 2, NOISE_SD)
    blocks = np.repeat(np.arange(1024), 6)
    shuffled = rng.permutation(len(blocks))
    for method in (rbd_fast_indices, hdmr_indices):
        result = method(u.reshape(-1, 4), y.reshape(-1, 2), NAMES, blocks=blocks)
        assert [i.value for i in result.first] == pytest.approx(list(ISHIGAMI_FIRST), abs=0.05)
        again = method(u.reshape(-1, 4)[shuffled], y.reshape(-1, 2)[shuffled], NAMES, blocks=blocks[shuffled])
        assert [i.value for i in again.first] == pytest.approx([i.value for i in result.first], abs=1e-6)
        assert result.luck.low <= 1 / 3 <= result.luck.high
        assert result.unit == "base blocks"
        assert result.units == 1024


@pytest.mark.parametrize("method", [pawn_indices, delta_indices])
def test_distances_see_a_factor_that_changes_the_noise_alone(method: Callable[..., Sensitivity]) -> None:
    """No index of the mean can: the variance of the mean output is that of x1 only."""
    rng = np.random.default_rng(1)
    x = rng.random((2000, 3))
    y = x[:, :1] + rng.normal(size=(2000, 2)) * (0.05 + x[:, 1:2])
    result = method(x, y, ("mean", "spread", "inert"), resamples=100)
    assert not result[result.kind][1].includes_zero
    assert result[result.kind][2].includes_zero
    assert hdmr_indices(x, y, ("mean", "spread", "inert")).verdict("spread").startswith("not distinguishable")
    assert "A distance is never negative" in result.notes()[1]


@pytest.mark.parametrize("method", METHODS)
def test_refuses_in_one_sentence(method: Callable[..., Sensitivity]) -> None:
    x, y = _points(200, 2)
    stuck = x.copy()
    stuck[:, 2] = 0.25
    for arguments, sentence in (
        ((x[:60], y[:60], NAMES), "60 points are too few"),
        ((stuck, y, NAMES), r"x3: never varied \(always 0.25\)"),
        ((np.where(x == x.max(), np.nan, x), y, NAMES), "1 of 200 values are not finite"),
        ((x, np.where(y == y.max(), np.inf, y), NAMES), "1 of 400 values are infinite"),
        ((x, np.full_like(y, 0.1), NAMES), "all trainings gave 0.1"),
        ((x, y[:100], NAMES), "must be"),
    ):
        with pytest.raises(AnalysisError, match=sentence) as caught:
            method(*arguments)
        assert "\n" not in str(caught.value)
    with pytest.raises(AnalysisError, match="1 to 199 rows each"):
        method(x, y, NAMES, blocks=np.array([0] + [1] * 199))


def test_hdmr_refuses_factors_that_are_not_scaled() -> None:
    x, y = _points(200, 2)
    with pytest.raises(AnalysisError, match=r"scale each factor to \[0, 1\] by its distribution"):
        hdmr_indices(10 * x, y, NAMES)


@pytest.mark.parametrize("method", [rbd_fast_indices, hdmr_indices])
def test_series_refuse_what_holds_no_replicates_or_nothing_but_noise(method: Callable[..., Sensitivity]) -> None:
    x, y = _points(300, 1)
    with pytest.raises(AnalysisError, match="no row was trained twice"):
        method(x, y, NAMES)
    with pytest.raises(AnalysisError, match="training noise"):
        method(x, np.random.default_rng(6).normal(size=(300, 2)), NAMES)


def test_common_seeds_are_not_corrected_and_say_so() -> None:
    x, y = _points(300, 2)
    result = rbd_fast_indices(x, y, NAMES, seeds="common")
    assert not result.corrected
    assert "no training noise was subtracted" in result.notes()[0]
    assert result.variance > rbd_fast_indices(x, y, NAMES).variance


@pytest.mark.parametrize("method", [pawn_indices, delta_indices])
@pytest.mark.parametrize("events", [1, 2, 5, 40])
def test_a_few_events_are_no_effect(method: Callable[..., Sensitivity], events: int) -> None:
    """Distances of so few are far from normal: 61 % of inert factors mattered at one event, 2.5 % may by chance."""
    found = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        u, y = rng.random((256, 5)), np.zeros((256, 2))
        y[rng.choice(256, events, replace=False), 0] = 1.0
        result = method(u, y, list("abcde"), resamples=100, metric="p_chance")
        found += sum(result.verdict(name).startswith("matters") for name in "abcde")
    assert found <= 6  # of 60; more than 6 have a chance of 0.001
