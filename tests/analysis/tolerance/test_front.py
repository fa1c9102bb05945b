"""Fronts and their hypervolume, against areas known in closed form and Optuna's own count."""

import numpy as np
import pytest
from optuna._hypervolume import compute_hypervolume

from vcm_sweep.analysis.tolerance.front import front_of, history, hypervolume


def test_hypervolume_is_the_area_that_optuna_counts() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        losses, reference = rng.random((30, 2)), np.array([0.8, 0.9])
        assert hypervolume(losses, reference) == pytest.approx(
            compute_hypervolume(losses[(losses < reference).all(1)], reference)
        )


def test_a_dense_front_has_the_area_above_its_curve() -> None:
    x = np.linspace(0.0, 1.0, 4001)
    losses = np.column_stack([x, (1 - x) ** 2])
    assert hypervolume(losses, np.ones(2)) == pytest.approx(2 / 3, abs=1e-3)
    assert len(front_of(losses)) == len(losses)


def test_the_front_leaves_out_what_is_beaten_or_equal() -> None:
    losses = np.array([[0.5, 0.5], [0.5, 0.5], [0.4, 0.6], [0.6, 0.6]])
    assert sorted(front_of(losses).tolist()) == [0, 2]


def test_the_history_never_falls() -> None:
    losses = np.random.default_rng(1).random((100, 2))
    shares = [share for _, share in history(losses, np.full(100, 2))]
    assert shares == sorted(shares)
    assert history(losses, np.full(100, 2))[-1][0] == 200
