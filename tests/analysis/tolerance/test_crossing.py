"""Where a noisy curve falls below a target: the interval holds the truth as often as it says."""

from collections.abc import Callable

import numpy as np
import pytest

from vcm_sweep.analysis.tolerance import find_crossing
from vcm_sweep.analysis.tolerance.crossing import Crossing

U = np.linspace(0.0, 1.0, 7)


def _crossing(f: Callable[[float], float], target: float, seed: int = 1, sd: float = 0.02, count: int = 6) -> Crossing:
    rng = np.random.default_rng(seed)
    return find_crossing(U, [f(u) + sd * rng.normal(size=count) for u in U], target, seed=seed)


@pytest.mark.parametrize(
    ("f", "truth"),
    [
        (lambda u: 0.93 - 0.2 * u, 0.5),
        (lambda u: 0.93 - 0.4 * u**2, 0.5),
        # A cliff: trained to chance within a twentieth of the range.
        (lambda u: 0.93 - 0.8 / (1 + np.exp(-(u - 0.55) / 0.02)), 0.55 - 0.02 * np.log(7.0)),
    ],
)
def test_the_interval_holds_the_truth_and_the_safe_value_is_below_it(f: Callable[[float], float], truth: float) -> None:
    found = [_crossing(f, 0.83, seed) for seed in range(40)]
    intervals = np.array([crossing.interval(0.95) for crossing in found])
    assert np.mean((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])) >= 0.9
    assert np.mean([crossing.safe(0.95) <= truth for crossing in found]) >= 0.9
    assert np.mean(intervals[:, 1] - intervals[:, 0]) < 0.35


def test_a_target_never_reached_and_one_never_kept_are_said_to_be() -> None:
    never = _crossing(lambda u: 0.95 - 0.01 * u, 0.8)
    assert never.never > 0.99
    assert never.safe(0.95) == 1.0
    at_once = _crossing(lambda u: 0.7 - 0.2 * u, 0.8)
    assert at_once.below_at_start > 0.99
    assert at_once.safe(0.95) == 0.0


def test_a_curve_that_comes_up_again_counts_up_to_where_it_first_falls() -> None:
    crossing = _crossing(lambda u: 0.85 + 0.1 * np.cos(2 * np.pi * u), 0.85, sd=0.005)
    low, high = crossing.interval(0.95)
    assert 0.2 < low < 0.25 < high < 0.3


def test_noise_that_nobody_has_seen_is_refused() -> None:
    with pytest.raises(ValueError, match="one replicate everywhere"):
        find_crossing(U, [np.array([0.9])] * 7, 0.8)
