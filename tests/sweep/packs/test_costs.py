"""Costs with heavy tails are learned from few trainings, and the interval of the total is as sure as it says."""

import numpy as np
import pytest

from vcm_sweep.sweep.packs.costs import CostModel, makespan


def cost(x: np.ndarray, rng: np.random.Generator, noise: float = 0.2) -> np.ndarray:
    """One factor makes trainings up to 20 times longer, another bends."""
    log = 3 * x[:, 0] + 2 * (x[:, 1] - 0.5) ** 2 - 0.5 * x[:, 2]
    found: np.ndarray = np.exp(log + noise * rng.standard_normal(len(x)))
    return found


def rank(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values))


def test_without_records_all_trials_cost_the_same() -> None:
    model = CostModel(np.empty((0, 3)), np.empty(0))
    assert np.ptp(model.predict(np.random.default_rng(0).uniform(size=(50, 3)))) == 0


def test_from_eight_rows_the_order_is_known_and_from_more_the_tail() -> None:
    rng = np.random.default_rng(1)
    x, rows = rng.uniform(size=(2000, 5)), rng.uniform(size=(200, 5))
    truth = cost(x, rng, 0.0)
    for count, least in ((8, 0.8), (64, 0.97)):
        model = CostModel(rows[:count], cost(rows[:count], rng))
        assert np.corrcoef(rank(model.predict(x)), rank(truth))[0, 1] > least
    ratio = CostModel(rows, cost(rows, rng)).predict(x) / truth
    assert np.quantile(np.abs(np.log(ratio)), 0.95) < 0.2


@pytest.mark.parametrize("count", [8, 12, 40, 200])
def test_the_interval_of_the_total_holds_it(count: int) -> None:
    """In at least 85 of 100 pilots: what is printed beside the figure must be worth something."""
    inside, widths = 0, []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x, rows = rng.uniform(size=(700, 5)), rng.uniform(size=(count, 5))
        total = CostModel(rows, cost(rows, rng)).total(x)
        inside += total.low <= cost(x, rng).sum() <= total.high
        widths.append((total.high - total.low) / total.seconds)
    assert inside >= 85
    assert np.median(widths) < {8: 1.5, 12: 0.8, 40: 0.4, 200: 0.15}[count]


def test_quantiles_are_those_of_single_trainings() -> None:
    rng = np.random.default_rng(3)
    x, rows = rng.uniform(size=(5000, 3)), rng.uniform(size=(300, 3))
    median, high = CostModel(rows, cost(rows, rng)).quantiles(x, (0.5, 0.95))
    truth = np.quantile(cost(x, rng), [0.5, 0.95])
    assert np.allclose([median, high], truth, rtol=0.15)


def test_longest_first_ends_sooner() -> None:
    """The reason for all of it: a long pack that starts last keeps seven workers waiting."""
    rng = np.random.default_rng(4)
    x = rng.uniform(size=(512, 5))
    truth = cost(x, rng)
    rows = np.arange(12)
    order = np.argsort(-CostModel(x[rows], truth[rows]).predict(x))

    def wall(numbers: np.ndarray) -> float:
        # A pack takes as long as all of its members.
        return makespan(truth[numbers].reshape(-1, 16).sum(1), 8)

    in_order = np.mean([wall(rng.permutation(512)) for _ in range(20)])
    least = truth.sum() / 8
    assert wall(order) < 1.1 * least
    assert wall(order) < in_order


def test_equal_costs_have_a_narrow_interval() -> None:
    x = np.random.default_rng(5).uniform(size=(16, 4))
    total = CostModel(x, np.full(16, 2.0)).total(x, np.full(16, 10.0))
    assert total.low <= 320 <= total.high
    assert total.high / total.low < 1.3
