"""Luck split into array and training by nested replicates with known variances."""

import numpy as np
import pytest

from vcm_sweep.analysis import AnalysisError, split_luck


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
