"""Luck split into array and training by nested replicates with known variances."""

from dataclasses import replace

import numpy as np
import pytest

from vcm_sweep.analysis import AnalysisError, analyze, sobol_indices, split_luck
from vcm_sweep.analysis.statistics.replicates import ended_first

from ..synthetic import SyntheticFactor, SyntheticResults, saltelli_random, synthetic_design, synthetic_study


def _nested(rng: np.random.Generator, points: int, arrays: int, trainings: int, array_sd: float) -> np.ndarray:
    """Points of different means, arrays of the given sd, trainings of sd 1."""
    mean = rng.normal(0.0, 5.0, (points, 1, 1))
    return mean + rng.normal(0.0, array_sd, (points, arrays, 1)) + rng.normal(size=(points, arrays, trainings))


@pytest.mark.parametrize("array_sd", [0.0, 1.0, 3.0])
def test_shares_are_covered_whatever_the_points_means(array_sd: float) -> None:
    truth = array_sd**2 / (array_sd**2 + 1)
    found = [split_luck(_nested(np.random.default_rng(s), 64, 2, 2, array_sd), resamples=300) for s in range(200)]
    coverage = np.mean([f.array.low <= truth <= f.array.high for f in found])
    assert 0.88 <= coverage <= 0.99
    assert np.mean([f.array.value for f in found]) == pytest.approx(truth, abs=0.02)
    assert np.mean([f.noise_variance for f in found]) == pytest.approx(array_sd**2 + 1, rel=0.05)


def test_shares_add_up_and_are_said_in_words() -> None:
    split = split_luck(_nested(np.random.default_rng(1), 100, 3, 2, 1.0))
    assert split.array.value + split.training.value == pytest.approx(1.0)
    assert split.sentences()[0].startswith("Of the luck of a training, 49 % [")
    assert split.to_dict()["points"] == 100


def test_refuses_replicates_that_are_not_nested() -> None:
    y = _nested(np.random.default_rng(1), 20, 2, 2, 1.0)
    with pytest.raises(AnalysisError, match="two arrays and two trainings"):
        split_luck(y[:, :1])
    with pytest.raises(AnalysisError, match="1 of 80 values are not finite"):
        split_luck(np.where(y == y.max(), np.nan, y))
    with pytest.raises(AnalysisError, match="no luck to split"):
        split_luck(np.ones((20, 2, 2)))


def _nested_study(rng: np.random.Generator, base: int, arrays: int, trainings: int) -> np.ndarray:
    """A Saltelli design of two factors and a dummy with noise of arrays (variance 0.2) and trainings (0.1)."""
    u = saltelli_random(rng, base, 3)
    mean = np.sqrt(12 * 0.4) * u[..., 0] + np.sqrt(12 * 0.2) * u[..., 1]
    shape = (*mean.shape, arrays)
    noise = rng.normal(0, np.sqrt(0.2), (*shape, 1)) + rng.normal(0, np.sqrt(0.1), (*shape, trainings))
    return np.asarray((mean[..., None, None] + noise).reshape(*mean.shape, -1))


def test_noise_of_nested_replicates_is_taken_out_and_luck_is_that_of_one_training() -> None:
    """Two trainings of one array are not independent: taking them for it leaves noise in every index."""
    names = ["a", "b", "dummy"]
    found = [
        sobol_indices(_nested_study(np.random.default_rng(s), 128, 2, 2), names, trainings=2, resamples=200)
        for s in range(100)
    ]
    truth = np.array([2 / 3, 1 / 3, 0.0])
    total = np.array([[index.value for index in result.total] for result in found])
    assert total.mean(axis=0) == pytest.approx(truth, abs=0.02)
    covered = np.mean([[i.low <= t <= i.high for i, t in zip(r.total, truth, strict=True)] for r in found], axis=0)
    assert covered.min() >= 0.88
    assert np.mean([r.noise_variance for r in found]) == pytest.approx(0.3, rel=0.03)
    assert np.mean([r.luck.value for r in found]) == pytest.approx(1 / 3, abs=0.01)
    assert np.mean([r.luck.low <= 1 / 3 <= r.luck.high for r in found]) >= 0.88
    naive = [
        sobol_indices(_nested_study(np.random.default_rng(s), 128, 2, 2), names, resamples=100).total[2].value
        for s in range(50)
    ]
    assert np.mean(naive) > 0.04


def test_a_studys_luck_is_split_from_its_records() -> None:
    rng = np.random.default_rng(3)
    factors = (SyntheticFactor("a"), SyntheticFactor("b"), SyntheticFactor("dummy"))
    y = 0.5 + 0.05 * _nested_study(rng, 256, 2, 2)
    design = synthetic_design(trainings=2)
    results = SyntheticResults(synthetic_study(factors, design=design), saltelli_random(rng, 256, 3), y)
    result = analyze(results, method="sobol")
    split = result.luck_split
    assert split is not None
    assert split.array.low <= 2 / 3 <= split.array.high
    assert split.points == 256 * 5
    assert 0.03 < split.array.high - split.array.low < 0.2
    lines = {line["kind"]: line for line in result.lines() if str(line["kind"]).startswith("luck")}
    assert lines["luck_array"]["value"] + lines["luck_training"]["value"] == pytest.approx(1.0)
    assert result.to_dict()["luck_split"]["array"]["value"] == split.array.value
    assert any(note.startswith("Of the luck of a training, ") for note in result.notes())
    # One training of an array is missing: its block does not tell, the others do; and the array keeps its other one.
    failed = replace(results, statuses={5: "oom"})
    left = analyze(failed, method="sobol", policy="drop-block")
    assert left.luck_split is not None
    assert left.luck_split.points == 255 * 5
    assert left.units == 256
    assert analyze(SyntheticResults(synthetic_study(factors), results.x, y), method="sobol").luck_split is None


@pytest.mark.parametrize("method", ["rbd-fast", "hdmr", "pawn", "delta"])
def test_methods_for_given_points_know_of_arrays(method: str) -> None:
    rng = np.random.default_rng(4)
    factors = (SyntheticFactor("a"), SyntheticFactor("b"), SyntheticFactor("dummy"))
    u = saltelli_random(rng, 256, 3)
    mean = np.sqrt(12 * 0.4) * u[..., 0] + np.sqrt(12 * 0.2) * u[..., 1]
    y = mean[..., None, None] + rng.normal(0, np.sqrt(0.2), (*mean.shape, 2, 1))
    y = (y + rng.normal(0, np.sqrt(0.1), (*mean.shape, 2, 2))).reshape(*mean.shape, 4)
    study = synthetic_study(factors, design=synthetic_design(trainings=2))
    result = analyze(SyntheticResults(study, u, y), method=method, resamples=200)
    assert result.noise_variance == pytest.approx(0.3, rel=0.1)
    assert result.luck.low < 1 / 3 < result.luck.high
    assert result.luck_split is not None
    assert result.luck_split.array.value == pytest.approx(2 / 3, abs=0.06)


def test_outputs_that_ended_come_first_and_stay_with_their_array() -> None:
    y = np.array([[[np.nan, 1.0, 2.0, 3.0, 4.0], [np.nan, np.nan, np.nan, 5.0, 6.0]]])
    moved = ended_first(y, 2)
    assert np.array_equal(moved[0, 0], [2.0, 3.0, 1.0, np.nan, 4.0, np.nan], equal_nan=True)
    assert np.array_equal(moved[0, 1], [5.0, np.nan, 6.0, np.nan, np.nan, np.nan], equal_nan=True)
