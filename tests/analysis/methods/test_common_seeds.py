"""Where rows of a block share their seeds, trainings of one seed alone are compared, whatever failed or is extra.

The output is a + b/2 of two factors in [0, 1], a third does nothing, and a seed adds far more than an effect's error.
"""

from dataclasses import replace

import numpy as np
import pytest

from vcm_sweep.analysis import analyze

from ..synthetic import (
    Array,
    DesignedResults,
    SyntheticFactor,
    SyntheticResults,
    build_design,
    morris_trajectories,
    saltelli_sobol,
    shapley_trajectories,
    synthetic_design,
    synthetic_study,
)

FACTORS = tuple(SyntheticFactor(name) for name in "abc")
POINTS = {"sobol": saltelli_sobol, "morris": morris_trajectories, "shapley": shapley_trajectories}
SEED_SD = 0.05


def output(u: Array) -> Array:
    return np.asarray(0.5 + 0.1 * u[..., 0] + 0.05 * u[..., 1])


def shared_luck(u: Array, replicates: int) -> Array:
    rng = np.random.default_rng(3)
    luck = rng.normal(0.0, SEED_SD, (len(u), 1, replicates))
    return output(u)[..., None] + luck + rng.normal(0.0, 0.002, (*u.shape[:2], replicates))


@pytest.mark.parametrize("method", POINTS)
@pytest.mark.parametrize("policy", ["drop-block", "metric"])
def test_of_a_seed_with_a_failed_training_nothing_is_compared(method: str, policy: str) -> None:
    base = 256
    u = POINTS[method](base, 3, 1)
    design = synthetic_design(method, n=base, seeds="common", replicates=2)
    whole = SyntheticResults(synthetic_study(FACTORS, design=design), u, shared_luck(u, 2))
    lost = np.flatnonzero(np.random.default_rng(4).random(whole.y.size) < 0.03)
    some = replace(whole, statuses=dict.fromkeys(lost.tolist(), "diverged"))
    asked = {"policy": "drop-block"} if policy == "drop-block" else {"metric": "accuracy_ok"}
    without, found = analyze(whole, method=method), analyze(some, method=method, **asked)
    for before, after in zip(without[without.kind], found[found.kind], strict=True):
        assert after.value == pytest.approx(before.value, rel=0.25, abs=0.02), before.factor
    assert found[found.kind][2].value < 0.1 * found[found.kind][1].value


@pytest.mark.parametrize("extra", [64, 128, 300])
def test_runs_of_some_rows_that_are_extra_change_no_effect(extra: int) -> None:
    """A row with another seed in its mean would differ from its neighbours by luck: rms of c was 0.04, of b 0.064."""
    design = synthetic_design("morris", n=128, seeds="common", replicates=1, replicate_rows=extra)
    study = synthetic_study(FACTORS, design=design)
    made = build_design(study)
    u = made.points.reshape(128, 4, 3)
    y = shared_luck(u, made.most)
    for point in range(512):
        y[point // 4, point % 4, made.replicates(point) :] = np.nan
    found = {index.factor: index.value for index in analyze(DesignedResults(study, u, y))["rms"]}
    assert found["a"] == pytest.approx(0.1, rel=0.05)
    assert found["b"] == pytest.approx(0.05, rel=0.05)
    assert found["c"] < 0.006


@pytest.mark.parametrize("method", POINTS)
@pytest.mark.parametrize("replicates", [2, 4])
def test_luck_is_the_seeds_share_of_the_variance_of_a_training(method: str, replicates: int) -> None:
    u = POINTS[method](400, 3, 1)
    design = synthetic_design(method, n=400, seeds="common", replicates=replicates)
    found = analyze(
        SyntheticResults(synthetic_study(FACTORS, design=design), u, shared_luck(u, replicates)), method=method
    )
    luck, spread = SEED_SD**2 + 0.002**2, output(u).var()
    assert found.luck.low <= luck / (spread + luck) <= found.luck.high
    assert found.variance == pytest.approx(spread, rel=0.1)
