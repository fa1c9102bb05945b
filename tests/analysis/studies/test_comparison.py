"""Two studies side by side: real differences are told, and noise is not taken for one."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from vcm_sweep.analysis import AnalysisError, compare_studies, write_comparison

from ..synthetic import (
    Array,
    SyntheticFactor,
    SyntheticResults,
    by_trajectories,
    saltelli_random,
    synthetic_design,
    synthetic_results,
    synthetic_study,
    with_noise,
)

# What is asked here does not depend on the method, and this one is quick.
compare = partial(compare_studies, method="sobol")
FACTORS = (SyntheticFactor("r.d2d.sigma", 0.0, 0.08), SyntheticFactor("l.d2d.sigma", 0.0, 0.1), SyntheticFactor("T_0"))


def _linear(*slopes: float) -> object:
    def output(u: Array) -> Array:
        return np.asarray(0.9 - sum(slope * u[..., i] for i, slope in enumerate(slopes)))

    return output


def _study(name: str, *slopes: float, seed: int = 1, base: int = 128, **options: object) -> SyntheticResults:
    factors = options.pop("factors", FACTORS)
    results = synthetic_results(factors, _linear(*slopes), base=base, seed=seed, **options)  # type: ignore[arg-type]
    return replace(results, study=replace(results.study, name=name))


def test_a_real_swap_is_told_with_the_size_of_the_difference() -> None:
    found = compare(_study("explicit", 0.5, 0.2, 0.0), _study("full", 0.2, 0.5, 0.0, seed=3))
    # Shares of a sum of independent uniforms are squares of slopes: 25/29 and 4/29, and the other way round.
    shift = {s.factor: s for s in found.shifts}
    for factor, difference in (("r.d2d.sigma", -21 / 29), ("l.d2d.sigma", 21 / 29), ("T_0", 0.0)):
        assert shift[factor].difference.low < difference < shift[factor].difference.high
        assert shift[factor].real == (factor != "T_0")
    assert next((s.first, s.second, s.told) for s in found.swaps) == ("r.d2d.sigma", "l.d2d.sigma", 2)
    said = " ".join(found.answer())
    assert "explicit puts r.d2d.sigma first, full puts l.d2d.sigma first." in said
    assert "Their rankings really differ: r.d2d.sigma above l.d2d.sigma in explicit, below it in full" in said


def test_a_swap_within_noise_is_called_open() -> None:
    one = _study("a", 0.30, 0.29, base=16, sd=0.1, factors=FACTORS[:2])
    for seed in range(2, 40):
        found = compare(one, _study("b", 0.29, 0.30, base=16, sd=0.1, seed=seed, factors=FACTORS[:2]))
        if found.swaps:
            break
    assert found.swaps[0].told < 2
    assert "in none beyond what the intervals leave open" in " ".join(found.answer())


@pytest.mark.slow
def test_about_one_pair_in_twenty_of_equal_studies_is_said_to_differ_anywhere() -> None:
    """Ten factors, of which two do nothing: if each were judged by itself, a third of the pairs would differ."""
    slopes = (0.2, 0.12, 0.1, 0.08, 0.06, 0.06, 0.04, 0.02, 0.0, 0.0)  # accuracies stay above chance
    factors = tuple(SyntheticFactor(f"x{i}") for i in range(10))
    alone, together = [], []
    for seed in range(200):
        one, other = (_study(n, *slopes, seed=2 * seed + k, base=64, scrambled=False, sd=0.04, factors=factors)
                      for k, n in enumerate("ab"))  # fmt: skip
        found = compare(one, other, resamples=300, seed=seed)
        together.append(any(shift.real for shift in found.shifts))
        a, b = (result.draws for result in found.results)
        low, high = np.nanquantile(b - a, [0.025, 0.975], axis=0)
        alone.append(bool(np.any((low > 0) | (high < 0))))
    assert np.mean(together) <= 0.10, np.mean(together)
    assert np.mean(alone) >= 0.25, "so the first bound can fail"


@pytest.mark.slow
@pytest.mark.parametrize("edge", [0.3, 0.7])
def test_studies_of_the_same_points_are_compared_point_by_point(edge: float) -> None:
    """Coverage over 200 repetitions where what the points do to both is alike, and where it is opposite."""

    def study(name: str, edge: float, u: Array) -> SyntheticResults:
        # A cliff at either end; shares of both studies are equal by symmetry.
        fallen = u[..., 0] < edge if edge < 0.5 else u[..., 0] > edge
        y = with_noise(rng, np.where(fallen, 1.0, 0.0) + 0.8 * u[..., 1], 2, 0.05)
        # The same places of another range are the same points.
        high = 1.0 if name == "a" else 0.2
        factors = SyntheticFactor("r.d2d.sigma", 0.0, high), SyntheticFactor("l.d2d.sigma", 0.0, high)
        return SyntheticResults(synthetic_study(factors, name=name), high * u, y)

    held, half = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        u = saltelli_random(rng, 64, 2)
        found = compare(study("a", 0.3, u), study("b", edge, u), resamples=300, seed=seed).shifts
        held.append([shift.difference.low <= 0.0 <= shift.difference.high for shift in found])
        half.append([(shift.difference.high - shift.difference.low) / 2 for shift in found])
    both = np.mean(np.all(held, axis=1))
    assert 0.9 <= both <= 0.99, both
    assert "point by point" in compare(study("a", 0.3, u), study("b", edge, u)).remarks[0]
    if edge == 0.3:
        # Each study's own interval is some 0.15 to either side: nearly all of that is the points'.
        assert np.mean(half) < 0.08


def test_a_resample_that_one_study_lacks_is_left_out_of_both() -> None:
    """The same points with luck of their own: their resamples move together, number by number."""

    def study(name: str, seed: int) -> SyntheticResults:
        u = saltelli_random(np.random.default_rng(1), 16, 2)
        y = with_noise(np.random.default_rng(seed), np.where(u[..., 0] < 0.2, 1.0, 0.0) + 0.3 * u[..., 1], 2, 0.3)
        return SyntheticResults(synthetic_study(FACTORS[:2], name=name), u * [0.08, 0.1], y)

    found = compare(study("a", 2), study("b", 3), resamples=2000)
    a, b = (result.draws for result in found.results)
    known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    assert len(a) == len(b) == 2000
    assert (np.isnan(a).any(axis=1) != np.isnan(b).any(axis=1)).any(), "either study lacks some that the other has"
    assert stats.spearmanr(a[known, 0], b[known, 0]).statistic > 0.5
    # Numbered anew in each study, they would not move together.
    short = [draws[np.isfinite(draws).all(axis=1)] for draws in (a, b)]
    count = min(map(len, short))
    assert abs(stats.spearmanr(short[0][:count, 0], short[1][:count, 0]).statistic) < 0.3


def test_blocks_that_only_one_study_keeps_are_left_out_of_both() -> None:
    one, other = _study("a", 0.5, 0.2, 0.0, seed=1), _study("b", 0.5, 0.2, 0.0, seed=1)
    failed = [replace(one, statuses={0: "oom", 1: "oom"}), replace(other, statuses={50: "oom", 51: "oom"})]
    found = compare(*failed, policy="drop-block")
    assert [result.units for result in found.results] == [126, 126]


@pytest.mark.parametrize("method", ["bounded", "hdmr"])
def test_what_a_model_leaves_unexplained_tells_no_two_studies_apart(method: str) -> None:
    """Equal shares of three factors whose product no pair holds, and of which one study sees little but noise."""

    def study(name: str, sd: float, seed: int) -> SyntheticResults:
        u = saltelli_random(np.random.default_rng(seed), 64, 3)
        y = with_noise(np.random.default_rng(seed + 9), np.prod(np.abs(4 * u - 2), axis=2), 2, sd)
        return SyntheticResults(synthetic_study(FACTORS, name=name), u * [0.08, 0.1, 1.0], y)

    found = compare_studies(study("a", 0.05, 1), study("b", 0.6, 2), method=method)
    spare = sum(sum(result.spare) for result in found.results)
    assert spare > 0.05
    for shift in found.shifts:
        assert shift.difference.low <= 0.0 <= shift.difference.high
        assert shift.difference.high - shift.difference.low > spare


def test_what_makes_studies_hard_to_compare_is_said() -> None:
    wide = (SyntheticFactor("r.d2d.sigma", 0.0, 0.16), *FACTORS[1:])
    other = _study("wide", 0.5, 0.2, 0.1, factors=(*wide, SyntheticFactor("N_max")))
    found = compare(_study("narrow", 0.5, 0.2, 0.0), other)
    said = " ".join(found.remarks)
    assert "of 20 pairs of studies that do not differ, about one is said to differ in any factor" in said
    assert "Ranges differ for r.d2d.sigma" in said
    assert "Only wide varies N_max" in said
    assert found.only == ((), ("N_max",))
    assert [s.same_range for s in found.shifts].count(False) == 1


def test_what_cannot_be_compared_is_one_sentence() -> None:
    with pytest.raises(AnalysisError, match=r"a sobol design and .* a morris design.*--method bounded, hdmr, pawn"):
        compare_studies(_study("a", 0.5, 0.2, 0.0), by_trajectories("morris"))
    apart = tuple(SyntheticFactor(name) for name in ("x", "y", "z"))
    with pytest.raises(AnalysisError, match="have no factor in common"):
        compare(_study("a", 0.5, 0.2, 0.0), _study("b", 0.5, 0.2, 0.0, factors=apart))


def test_designs_of_two_kinds_meet_in_a_method_for_any_points() -> None:
    names = tuple(SyntheticFactor(name, low, high) for name, low, high in
                  (("strong", 0, 0.08), ("weak", 0, 0.1), ("inert", 1, 2)))  # fmt: skip
    found = compare_studies(_study("a", 0.5, 0.2, 0.0, factors=names), by_trajectories("morris"), method="pawn")
    assert next(s.factor for s in found.shifts) == "strong"


def test_the_page_and_the_files_hold_the_same_numbers(tmp_path: Path) -> None:
    found = compare(_study("same", 0.5, 0.2, 0.0), _study("same", 0.2, 0.5, 0.0, seed=2))
    page = write_comparison(found, tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert "same (first)" in text
    assert "Is the difference real?" in text
    plain = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert plain == json.loads(json.dumps(found.to_dict()))
    rows = pq.read_table(tmp_path / "out" / "compare.parquet").to_pylist()
    differences = {row["factor"]: row["value"] for row in rows if row["of"] == "difference"}
    assert differences == {shift.factor: shift.difference.value for shift in found.shifts}
    assert {path.name for path in (tmp_path / "out" / "compare").glob("*.svg")} == {"indices.svg", "differences.svg"}
    assert "really differ" in page.with_suffix(".md").read_text()


def test_saltellis_rows_and_points_in_space_are_compared_by_bounds() -> None:
    rows = _study("rows", 0.5, 0.2, 0.0, base=64)
    u = stats.qmc.Sobol(3, rng=1).random_base2(8)[:, None, :]
    y = with_noise(np.random.default_rng(1), np.asarray(0.9 - 0.2 * u[..., 0] - 0.5 * u[..., 1]), 2, 0.02)
    low, high = (np.array([getattr(f, end) for f in FACTORS]) for end in ("low", "high"))
    space = SyntheticResults(
        synthetic_study(FACTORS, "space", synthetic_design("space", n=256)), low + u * (high - low), y
    )
    found = compare_studies(rows, space)
    assert {result.method for result in found.results} == {"bounded"}
    shift = {s.factor: s for s in found.shifts}
    for factor, difference in (("r.d2d.sigma", -21 / 29), ("l.d2d.sigma", 21 / 29), ("T_0", 0.0)):
        assert shift[factor].difference.low < difference < shift[factor].difference.high
    # With too few rows there is pick-freeze for the one and bounds for the other: two kinds of design.
    with pytest.raises(AnalysisError, match="rows is a sobol design and space is a space design"):
        compare_studies(_study("rows", 0.5, 0.2, 0.0, base=16), space)


def test_a_study_of_too_few_points_is_named() -> None:
    with pytest.raises(AnalysisError, match=r"^small: n: 4 base rows are too few"):
        compare(_study("large", 0.5, 0.2, 0.0), _study("small", 0.5, 0.2, 0.0, base=4))


def test_correlations_that_differ_are_said() -> None:
    """Of studies of correlated factors by methods for any points; where both have the same nothing is said."""
    made = [_correlated(name, rho) for name, rho in (("free", 0.0), ("bound", 0.6))]
    said = " ".join(compare_studies(*made, method="delta", resamples=100).remarks)
    assert "Correlations differ (l.d2d.sigma with r.d2d.sigma 0 in free and 0.6 in bound)" in said
    assert "Correlations" not in " ".join(compare_studies(made[1], made[1], method="delta", resamples=100).remarks)


def _correlated(name: str, rho: float) -> SyntheticResults:
    pairs = {"l.d2d.sigma": {"r.d2d.sigma": rho}} if rho else {}
    results = _study(name, 0.5, 0.2, 0.0)
    return replace(results, study=replace(results.study, design=synthetic_design("space", correlation=pairs)))
