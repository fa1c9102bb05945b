"""Factors in lists and whole numbers: points with the same values are trainings of their own, each with a record."""

from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.sweep import Design, InProcessExecutor, Study, build_design, open_results, run, train
from vcm_sweep.sweep.running.limits_study import limits_study

from ...studies import TINY

HEAD = (
    TINY.partition("[[factor]]")[0]
    + """train_samples = 200
[design]
n = {n}
method = "{method}"
seeds = "{seeds}"
"""
)
CONTINUOUS = '[[factor]]\nname = "mismatch.global.mean"\nrange = [-0.5, 0.5]\n'
LISTS = """
[[factor]]
name = "r.d2d.sigma"
distribution = "discrete"
values = [0.0, 0.04]
[[factor]]
name = "io.inp_bits"
distribution = "uniform"
range = [4, 8]
"""
METHODS = [("sobol", 8), ("shapley", 8), ("morris", 8), ("space", 16)]
CASES = [
    (method, n, seeds)
    for method, n in METHODS
    for seeds in ("independent", "common")
    if method != "space" or seeds == "independent"
]


def study(method: str, n: int, seeds: str, factors: str = LISTS + CONTINUOUS) -> Study:
    return Study.from_text(HEAD.format(method=method, n=n, seeds=seeds) + factors)


@pytest.mark.parametrize("factors", [LISTS, LISTS + CONTINUOUS], ids=["lists", "with a continuous one"])
@pytest.mark.parametrize(("method", "n", "seeds"), CASES)
def test_every_trial_has_a_key_of_its_own_and_equal_points_the_noise_that_seeds_say(
    method: str, n: int, seeds: str, factors: str
) -> None:
    design = build_design(study(method, n, seeds, factors))
    trials = list(design.trials())
    assert len({trial.key for trial in trials}) == len(trials)
    assert design.copies.any() == (method in ("sobol", "shapley") or (method == "space" and factors is LISTS))
    if seeds == "independent":
        assert len({trial.seed for trial in trials}) == len(trials)
    else:
        assert all(
            trial.seed == design.trial(trial.point // design.block * design.block, trial.replicate).seed
            for trial in trials
        )


@pytest.mark.parametrize(("method", "n", "seeds"), CASES)
def test_a_longer_design_begins_with_the_trials_of_the_shorter_one(method: str, n: int, seeds: str) -> None:
    def keys(design: Design) -> list[str]:
        return [design.trial(point, 0).key for point in range(build_design(study(method, n, seeds)).rows_in_all)]

    assert keys(build_design(study(method, n, seeds))) == keys(build_design(study(method, 2 * n, seeds)))


def test_the_first_of_equal_points_and_all_points_of_continuous_factors_are_no_copies() -> None:
    design = build_design(study("sobol", 8, "independent"))
    seen: set[tuple[float, ...]] = set()
    for point, values in enumerate(map(tuple, design.points.tolist())):
        assert (design.copies[point] == 0) == (values not in seen)
        seen.add(values)
    other = CONTINUOUS.replace("mismatch.global.mean", "T_0.global.mean").replace("-0.5, 0.5", "290.0, 300.0")
    assert not build_design(study("sobol", 8, "independent", CONTINUOUS + other)).copies.any()
    assert not build_design(limits_study(study("sobol", 8, "independent"), n=8)).copies.any()


@pytest.mark.parametrize(
    ("method", "n", "seeds"), [("sobol", 8, "independent"), ("sobol", 8, "common"), ("space", 16, "independent")]
)
def test_such_a_study_ends_and_its_blocks_are_whole(method: str, n: int, seeds: str, tmp_path: Path) -> None:
    results = run(study(method, n, seeds, LISTS), InProcessExecutor(train), tmp_path / "out")
    assert results.counts() == {"ok": len(results.design)}
    values = open_results(tmp_path / "out").blocks()[:, :, 0]
    assert np.isfinite(values).all()
    points = results.design.points.reshape(n, -1, 2)
    if seeds == "common":  # the same training again
        for block, y in zip(points, values, strict=True):
            for row in range(len(block)):
                alike = (block == block[row]).all(axis=1)
                assert np.ptp(y[alike]) == 0.0
