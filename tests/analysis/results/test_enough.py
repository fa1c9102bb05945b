"""Whether a study is large enough: verdicts that are kept when the study grows, and orders that can change."""

from dataclasses import replace

import numpy as np
import pytest

from vcm_sweep.analysis import AnalysisError, Sensitivity, analyze, converge_results, morris_effects, sobol_indices

from ..synthetic import (
    NAMES,
    Array,
    SyntheticFactor,
    SyntheticResults,
    ishigami,
    morris_trajectories,
    saltelli_random,
    saltelli_sobol,
    shapley_trajectories,
    synthetic_design,
    synthetic_results,
    synthetic_study,
    with_noise,
)

FACTORS = (SyntheticFactor("strong"), SyntheticFactor("weak"), SyntheticFactor("inert"))


def _noisy(seed: int, base: int, scrambled: bool) -> Sensitivity:
    rng = np.random.default_rng(seed)
    u = saltelli_sobol(base, 4, seed) if scrambled else saltelli_random(rng, base, 4)
    return sobol_indices(with_noise(rng, ishigami(u), 2, 1.0), NAMES, resamples=300)


def _widest(result: Sensitivity) -> float:
    return max((index.high - index.low) / 2 for index in result.total)


@pytest.mark.filterwarnings("ignore:The balance properties")
@pytest.mark.parametrize("scrambled", [True, False])
def test_a_study_that_grows_by_twice_what_was_said_is_settled(scrambled: bool) -> None:
    """By what was said, it is about as often just settled as not; by half of that, seldom."""
    settled = {0.5: 0, 1.0: 0, 2.0: 0}
    for seed in range(1, 31):
        needs = max(verdict.needs for verdict in _noisy(seed, 128, scrambled).enough(0.08))
        assert needs > 0
        for times in settled:
            settled[times] += _widest(_noisy(seed + 100, 128 + int(times * needs), scrambled)) <= 0.08
    assert settled[2.0] >= 27
    assert settled[1.0] >= 12
    assert settled[0.5] <= 10


def test_half_widths_fall_with_the_root_of_the_number_of_units() -> None:
    small = np.mean([_widest(_noisy(seed, 128, False)) for seed in range(20)])
    large = np.mean([_widest(_noisy(seed, 512, False)) for seed in range(20)])
    assert 1.7 < small / large < 2.4


def test_a_verdict_names_what_the_design_can_add() -> None:
    result = _noisy(1, 64, True)
    by = {verdict.factor: verdict for verdict in result.enough(0.05)}
    for verdict in by.values():
        if not verdict.settled:
            assert (64 + verdict.needs) & (63 + verdict.needs) == 0, "a power of 2"
            assert verdict.words() == f"not yet: needs about {verdict.needs} more base points"
    index = result.total[0]
    exact = (index.high - index.low) / 2
    assert result.enough(exact)[0].settled
    assert result.enough(exact)[0].words() == "settled"
    assert result.enough(exact / 1.01)[0].needs == 64
    assert result.enough(exact / 2)[0].needs == 3 * 64
    lines = [line for line in result.lines() if line["kind"] == "total"]
    assert [line["needs"] for line in lines] == [by[line["factor"]].needs for line in lines]
    assert result.to_dict()["enough"]["x1"]["words"] == by["x1"].words()
    with pytest.raises(AnalysisError, match="half-width: 0 must be above 0"):
        result.enough(0.0)


def test_trajectories_are_added_one_by_one_and_effects_are_measured_by_the_largest() -> None:
    u = morris_trajectories(40, 3, 1)
    y = with_noise(np.random.default_rng(1), 7.0 * u[..., 0] + 2.0 * u[..., 1], 2, 1.0)
    result = morris_effects(u, y, ["a", "b", "c"])
    verdict = result.enough(0.01)[0]
    assert verdict.goal == pytest.approx(0.01 * result["rms"][0].value)
    assert verdict.needs == np.ceil(40 * ((verdict.half_width / verdict.goal) ** 2 - 1))
    assert verdict.words().endswith("more trajectories")
    scaled = morris_effects(u, 1000 * y, ["a", "b", "c"])
    assert [v.needs for v in scaled.enough(0.01)] == pytest.approx([v.needs for v in result.enough(0.01)], abs=1)


def test_what_failures_leave_out_is_asked_for_as_well() -> None:
    results = synthetic_results(FACTORS, lambda u: 0.9 - 0.5 * u[..., 0] - 0.2 * u[..., 1], base=64, sd=0.2)
    dropped = replace(results, statuses=dict.fromkeys(range(0, 60), "oom"))
    result = analyze(dropped, method="sobol", policy="drop-block")
    assert result.units < 64
    for verdict in result.enough(0.02):
        assert verdict.needs % 64 == 0


def test_an_order_is_stable_as_far_as_the_data_carry_it() -> None:
    """Two equal factors change places in half of the resamples; the strong one keeps its own."""
    results = synthetic_results(
        FACTORS, lambda u: u[..., 0] + 0.4 * u[..., 1] + 0.4 * u[..., 2], base=256, sd=0.1, scrambled=False
    )
    result = analyze(results, method="sobol")
    stable = result.rank_stability()
    assert stable.first == 1.0
    assert stable.places[0] == ("strong", 1.0)
    shares = [_equal(seed).rank_stability().order for seed in range(20)]
    assert 0.4 < np.mean(shares) < 0.9, "the estimated order wins, but not by much"
    assert min(shares) < 0.75
    assert "The first place is the same in 100 % of the resamples" in stable.words()
    assert result.to_dict()["rank_stability"]["first"] == 1.0


def _equal(seed: int) -> Sensitivity:
    rng = np.random.default_rng(seed)
    u = saltelli_random(rng, 128, 3)
    return sobol_indices(with_noise(rng, u[..., 0] + 0.4 * u[..., 1] + 0.4 * u[..., 2], 2, 0.1), ["a", "b", "c"])


def _trajectories(method: str) -> SyntheticResults:
    make = morris_trajectories if method == "morris" else shapley_trajectories
    u = make(256, 3, 1)
    y = with_noise(np.random.default_rng(1), _output(u), 2, 0.02)
    return SyntheticResults(synthetic_study(FACTORS, design=synthetic_design(method)), u, y)


def _output(u: Array) -> Array:
    return np.asarray(0.9 - 0.5 * u[..., 0] - 0.2 * u[..., 1])


@pytest.mark.parametrize("method", ["sobol", "morris", "shapley", "pawn", "delta", "rbd-fast", "hdmr"])
def test_every_method_shows_how_it_converges(method: str) -> None:
    of_design = method in ("morris", "shapley")
    results = _trajectories(method) if of_design else synthetic_results(FACTORS, _output, base=256)
    parts = converge_results(results, method=method, resamples=100)
    assert [part.units for part in parts] == [64, 96, 128, 160, 192, 224, 256]
    assert {part.method for part in parts} == {method}
    widths = [np.mean([index.high - index.low for index in part[part.kind]]) for part in parts]
    assert 0.3 < widths[-1] / widths[0] < 0.8
