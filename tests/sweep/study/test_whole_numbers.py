"""Whole numbers as factors: every one of the range comes, as often as its law says, and nothing between."""

import numpy as np
import pytest
from scipy import stats

from vcm_sweep.sweep import Study, StudyError, build_design
from vcm_sweep.sweep.study.distributions import Continuous, Whole

TEXT = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "update.desired_bl"
FIRST
[[factor]]
name = "io.inp_bits"
range = [4, 7]
[design]
method = "METHOD"
n = N
"""


def a_study(first: str = "range = [3, 12]", method: str = "space", n: int = 256) -> Study:
    return Study.from_text(TEXT.replace("FIRST", first).replace("METHOD", method).replace("= N", f"= {n}"))


@pytest.mark.parametrize(("method", "n"), [("space", 1024), ("sobol", 256), ("shapley", 1000), ("morris", 64)])
def test_designs_have_whole_numbers_all_equally_likely(method: str, n: int) -> None:
    points = build_design(a_study(method=method, n=n)).points
    for column, expected in zip(points.T, (np.arange(3, 13), np.arange(4, 8)), strict=True):
        values, counts = np.unique(column, return_counts=True)
        if method == "morris":  # on a grid of four levels: every fourth of the range has one, ends included
            assert {values[0], values[-1]} == {expected[0], expected[-1]}
            assert set(values) <= set(expected)
            continue
        assert values.tolist() == expected.tolist()
        # Trajectories of Shapley's design are random: four standard deviations of a share of 2,000 draws.
        share = 1 / len(expected)
        assert counts / counts.sum() == pytest.approx(share, abs=4 * (share * (1 - share) / 2000) ** 0.5)


def test_what_a_trial_is_given_is_a_whole_number() -> None:
    design = build_design(a_study())
    for trial in design.trials(range(8)):
        given = trial.inputs["device"]["update"]["desired_bl"]
        assert isinstance(given, int)
        assert given == trial.factors["update.desired_bl"]
        assert trial.inputs["device"]["io"]["inp_res"] == 1 / (2 ** trial.factors["io.inp_bits"] - 2)


def test_a_law_that_is_not_uniform_gives_each_what_lies_within_half_a_step() -> None:
    law = Whole.nearest(Continuous("norm", 1.0, 5.0, (("mean", 2.0), ("sd", 1.5))))
    normal = stats.norm(2.0, 1.5)
    inside = normal.cdf(5.5) - normal.cdf(0.5)
    expected = [(normal.cdf(k + 0.5) - normal.cdf(k - 0.5)) / inside for k in range(1, 6)]
    assert law.probabilities == pytest.approx(expected, rel=1e-9)
    found = law.ppf(np.linspace(0.0, 1.0, 100_001))
    assert [(found == k).mean() for k in range(1, 6)] == pytest.approx(expected, abs=1e-4)
    middle = np.cumsum(expected) - np.array(expected) / 2
    assert law.cdf(np.arange(1.0, 6.0)) == pytest.approx(middle, rel=1e-9)


def test_a_loguniform_law_makes_the_small_ones_likelier() -> None:
    (factor, _) = a_study('range = [1, 64]\ndistribution = "loguniform"').factors
    found = factor.law.ppf(np.linspace(0.0, 1.0, 100_001))
    assert (found == 1).mean() == pytest.approx(np.log(3) / np.log(129), abs=1e-3)
    assert (found[0], found[-1]) == (1, 64)


def test_many_numbers_are_no_burden() -> None:
    law = Whole.nearest(Continuous("uniform", 1.0, 60_000.0))
    places = law.cdf(law.ppf(np.linspace(0.0, 1.0, 10_000)))
    assert np.abs(places - np.linspace(0.0, 1.0, 10_000)).max() < 1e-4


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (
            "range = [2.5, 9]",
            r"\[factor 1: update\.desired_bl\] range = \[2\.5, 9\] must have whole numbers as its ends",
        ),
        ("values = [3, 4.5]\ndistribution = 'discrete'", r"holds 4\.5, and must hold whole numbers"),
        (
            "mean = 5.5\nsd = 0.1\ndistribution = 'norm'",
            r"there are no two whole numbers from 5\.19.* to 5\.8.*: widen it",
        ),
        ("range = [0, 9]", r"low = 0 must be a finite number from 1 to "),
    ],
)
def test_bad_ranges_of_whole_numbers(first: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        a_study(first)


def test_quantiles_of_a_normal_law_are_moved_to_whole_numbers_inside() -> None:
    (factor, _) = a_study("mean = 20\nsd = 3\ndistribution = 'norm'").factors
    assert (factor.low, factor.high) == (11, 29)  # 20 +- 3.09 * 3
    assert factor.law.words() == "whole numbers, normal, mean 20, sd 3, cut at its 0.1 % and 99.9 % quantiles"


def test_too_many_whole_numbers_are_refused() -> None:
    text = TEXT.replace("update.desired_bl", "network.train_samples").replace("METHOD", "space").replace("= N", "= 4")
    with pytest.raises(
        StudyError, match=r"200001 whole numbers from 1 to 200001, and at most 100000 may be: narrow it"
    ):
        Study.from_text(text.replace("FIRST", "range = [1, 200001]"))
