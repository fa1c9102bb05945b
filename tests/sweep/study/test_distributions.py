"""Distributions of factors agree with SALib's scaling and with draws by rejection, and never leave their ends."""

from typing import Any

import numpy as np
import pytest
from SALib.util import scale_samples
from scipy import stats

from vcm_sweep.sweep import Study, StudyError, build_design
from vcm_sweep.sweep.designs.build import checked_design
from vcm_sweep.sweep.study.distributions import Distribution
from vcm_sweep.sweep.study.factors import Factor

U = stats.qmc.Sobol(1, seed=1).random(4096)[:, 0]


def law(**fields: Any) -> Distribution:
    """Of a factor that may be from 0 to 10."""
    return Factor.from_table({"name": "r.d2d.sigma", **fields}, 1).law


NORMAL = {"distribution": "norm", "mean": 2.0, "sd": 0.5}
CUT = {"distribution": "truncnorm", "mean": 0.2, "sd": 0.5, "range": [0.0, 1.5]}
LOGNORMAL = {"distribution": "lognorm", "median": 0.1, "sigma": 0.7}
TRIANGLE = {"distribution": "triang", "range": [0.5, 2.0], "peak": 0.8}
BETA = {"distribution": "beta", "range": [1.0, 3.0], "a": 2.0, "b": 5.0}
LAWS = [
    {"range": [0.0, 0.3]}, {"range": [0.01, 0.3], "distribution": "logunif"}, NORMAL, NORMAL | {"range": [1.9, 4.0]},
    CUT, LOGNORMAL, LOGNORMAL | {"range": [0.2, 0.5]}, LOGNORMAL | {"tail": 0.1}, TRIANGLE, BETA,
]  # fmt: skip


def inside(u: np.ndarray, tail: float) -> np.ndarray:
    """The probabilities of the whole law at those of the one that is cut."""
    return np.asarray(tail + u * (1.0 - 2.0 * tail))


@pytest.mark.parametrize(
    ("fields", "dist", "bounds", "tail"),
    [
        (LAWS[0], "unif", [0.0, 0.3], 0.0),
        (LAWS[1], "logunif", [0.01, 0.3], 0.0),
        (NORMAL, "norm", [2.0, 0.5], 0.001),
        (NORMAL | {"tail": 0.05}, "norm", [2.0, 0.5], 0.05),
        (CUT, "truncnorm", [0.0, 1.5, 0.2, 0.5], 0.0),
        (LOGNORMAL, "lognorm", [np.log(0.1), 0.7], 0.001),
        (TRIANGLE, "triang", [0.5, 2.0, 0.2], 0.0),
    ],
)
def test_salib_scales_the_same_points_alike(fields: Any, dist: str, bounds: list[float], tail: float) -> None:
    problem = {"num_vars": 1, "names": ["x"], "bounds": [bounds], "dists": [dist]}
    theirs = scale_samples(inside(U, tail)[:, None].copy(), problem)[:, 0]
    np.testing.assert_allclose(law(**fields).ppf(U), theirs, rtol=1e-9)


@pytest.mark.parametrize(
    ("fields", "draw"),
    [
        (NORMAL | {"range": [1.9, 4.0]}, lambda rng, n: rng.normal(2.0, 0.5, n)),
        (CUT, lambda rng, n: rng.normal(0.2, 0.5, n)),
        (NORMAL, lambda rng, n: rng.normal(2.0, 0.5, n)),
        (LOGNORMAL | {"range": [0.2, 0.5]}, lambda rng, n: rng.lognormal(np.log(0.1), 0.7, n)),
        (LOGNORMAL | {"tail": 0.1}, lambda rng, n: rng.lognormal(np.log(0.1), 0.7, n)),
        (TRIANGLE, lambda rng, n: rng.triangular(0.5, 0.8, 2.0, n)),
        (BETA, lambda rng, n: 1.0 + 2.0 * rng.beta(2.0, 5.0, n)),
    ],
)
def test_a_law_is_that_of_draws_that_lie_inside_not_of_clipped_ones(fields: Any, draw: Any) -> None:
    """Draws by numpy's own generators, rejected outside of the ends: Kolmogorov and Smirnov cannot tell them apart."""
    made = law(**fields)
    drawn = draw(np.random.default_rng(3), 40_000)
    kept = drawn[(drawn >= made.low) & (drawn <= made.high)]
    assert len(kept) > 3000
    assert stats.kstest(kept, made.cdf).pvalue > 0.01
    clipped = np.clip(drawn, made.low, made.high)
    assert made.ppf(U).mean() == pytest.approx(kept.mean(), abs=4 * kept.std() / np.sqrt(len(kept)))
    if len(kept) < 0.99 * len(drawn):
        assert stats.kstest(clipped, made.cdf).pvalue < 1e-6


def test_the_mean_of_a_cut_normal_law_is_the_closed_form() -> None:
    low, high = (0.0 - 0.2) / 0.5, (1.5 - 0.2) / 0.5
    phi, mass = stats.norm.pdf, stats.norm.cdf(high) - stats.norm.cdf(low)
    mean = 0.2 + 0.5 * (phi(low) - phi(high)) / mass
    nodes, weights = np.polynomial.legendre.leggauss(64)
    assert (law(**CUT).ppf((nodes + 1) / 2) * weights / 2).sum() == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize("fields", LAWS)
def test_probabilities_come_back_and_ends_are_ends(fields: Any) -> None:
    made = law(**fields)
    np.testing.assert_allclose(made.cdf(made.ppf(U)), U, atol=1e-12)
    # An end comes back from its logarithm with a rounding error, but never outside.
    ends = made.ppf(np.array([0.0, 1.0]))
    np.testing.assert_allclose(ends, [made.low, made.high], rtol=1e-15)
    assert made.low <= ends.min() <= ends.max() <= made.high
    assert made.cdf(np.array([made.low - 1, made.high + 1])).tolist() == [0.0, 1.0]
    assert made.span(made.low, made.high) == (0.0, 1.0)


def test_levels_come_as_often_as_they_should_and_lie_in_the_middle_of_their_probability() -> None:
    made = law(distribution="discrete", values=[4, 1, 2], probabilities=[0.5, 0.125, 0.375])
    found, counts = np.unique(made.ppf(U), return_counts=True)
    assert found.tolist() == [1.0, 2.0, 4.0]
    np.testing.assert_allclose(counts / len(U), [0.125, 0.375, 0.5], atol=2 / len(U))
    np.testing.assert_allclose(made.cdf(found), [0.0625, 0.3125, 0.75])
    assert made.ppf(np.array([0.0, 0.125, 0.5, 1.0])).tolist() == [1.0, 2.0, 4.0, 4.0]
    assert made.span(2.0, 4.0) == (0.125, 1.0)
    assert [made.last(end) for end in (0.0, 0.1, 0.125, 0.3, 0.5, 0.99, 1.0)] == [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 4.0]
    assert made.words() == "1 (12.5 %), 2 (37.5 %), 4 (50 %)"


STUDY = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
distribution = "norm"
mean = 0.04
sd = 0.012
[[factor]]
name = "mismatch.global.mean"
distribution = "discrete"
values = [0.5, -0.5, 0.0]
probabilities = [0.25, 0.25, 0.5]
[[factor]]
name = "read.noise.sigma"
distribution = "lognorm"
median = 0.01
sigma = 0.8
[design]
method = "METHOD"
n = 64
"""


@pytest.mark.parametrize("method", ["space", "sobol", "morris", "shapley"])
def test_every_design_stays_inside_and_its_points_are_those_of_its_cube(method: str) -> None:
    study = Study.from_text(STUDY.replace("METHOD", method))
    design = build_design(study)
    for j, factor in enumerate(study.factors):
        assert design.points[:, j].min() >= factor.low
        assert design.points[:, j].max() <= factor.high
        np.testing.assert_array_equal(design.points[:, j], factor.law.ppf(design.cube[:, j]))
    assert set(design.points[:, 1]) == {-0.5, 0.0, 0.5}
    np.testing.assert_allclose(design.scaled()[:, [0, 2]], design.cube[:, [0, 2]], atol=1e-12)
    assert set(design.scaled()[:, 1]) == {0.125, 0.5, 0.875}
    trial = design.trial(5, 0)
    assert trial.inputs["device"]["d2d"]["r"]["sigma"] == design.points[5, 0]


def test_morris_grid_meets_every_value_of_a_list() -> None:
    missing = STUDY.replace("METHOD", "morris").replace("[0.25, 0.25, 0.5]", "[0.4, 0.4, 0.2]")
    with pytest.raises(StudyError, match=r"levels = 4: no point of the grid has .* at 0: levels = 6 do"):
        checked_design(Study.from_text(missing))
    design = checked_design(Study.from_text(missing.replace("n = 64", "n = 64\nlevels = 6")))
    assert set(design.points[:, 1]) == {-0.5, 0.0, 0.5}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (NORMAL | {"mean": 1.0}, r"low = -0.5451, the 0.1 % quantile of norm, must be .* from 0 to 10: give range"),
        (LOGNORMAL | {"median": 5.0}, r"high = 43.49, the 99.9 % quantile of lognorm, must be .* or a larger tail"),
        (NORMAL | {"mean": float("nan")}, "mean = nan must be a finite number"),
        (NORMAL | {"sd": float("inf")}, "sd = inf must be a finite number"),
        (NORMAL | {"sd": 0.0}, "sd = 0.0 must be a finite number from 1e-30"),
        (NORMAL | {"range": [8.0, 9.0]}, "holds 2e-33 of norm, and must hold 1e-06 or more: widen it"),
        (NORMAL | {"range": [0.0, 11.0]}, "high = 11.0 must be a finite number from 0 to 10"),
        (NORMAL | {"range": [0.0, 4.0], "tail": 0.01}, "leave out tail or range"),
        (NORMAL | {"tail": 0.5}, "tail = 0.5 must be a finite number"),
        ({"distribution": "norm", "sd": 0.1}, "mean is missing: give it"),
        ({"distribution": "truncnorm", "mean": 1.0, "sd": 0.1}, "range is missing: give it"),
        (LOGNORMAL | {"range": [0.0, 1.0]}, "low = 0 must be above 0 for a lognorm range"),
        (TRIANGLE | {"peak": 2.1}, "peak = 2.1 must be a finite number from 0.5 to 2"),
        (BETA | {"a": 0}, "a = 0 must be a finite number from 0.05"),
        (TRIANGLE | {"mean": 1.0}, "mean is for distribution = 'norm' or 'truncnorm', and this is 'triang'"),
        ({"range": [0.0, 1.0], "values": [0.0, 1.0]}, "values is for distribution = 'discrete', and this is 'uniform'"),
        ({"distribution": "discrete", "values": [0.1, 0.2], "range": [0, 1]}, "range is not for .* leave it out"),
        ({"distribution": "discrete", "values": []}, r"values = \[\] must be a list of two or more"),
        ({"distribution": "discrete", "values": [0.1, 0.2, 0.1]}, "values: 0.1 is given 2 times: keep one"),
        ({"distribution": "discrete", "values": [0.1, 11]}, "holds 11, and must hold finite numbers from 0 to 10"),
        ({"distribution": "discrete", "values": [0.1, float("inf")]}, "holds inf, and must hold finite numbers"),
        ({"distribution": "categorical", "choices": ["a", "b"]}, "choices holds 'a', and must hold finite numbers"),
        (
            {"distribution": "discrete", "values": [0.1, 0.2], "probabilities": [0.5, 0.6]},
            r"probabilities = \[0.5, 0.6\] sum to 1.1 and must sum to 1",
        ),
        (
            {"distribution": "discrete", "values": [0.1, 0.2], "probabilities": [1.0]},
            r"probabilities = \[1.0\] must be 2 numbers above 0 and below 1",
        ),
        ({"distribution": "discrete"}, "values is missing: give it"),
        ({"distribution": "discrete", "values": [0, False]}, "values holds False, and must hold finite numbers"),
        ({"distribution": "discrete", "values": [0.1, 0.1 + 2e-17]}, "0.1 and 0.10000000000000002 differ by rounding"),
        (NORMAL | {"mean": 0.1, "sd": 1e-20}, "differ by rounding only, so it would never vary: give a larger sd"),
        (NORMAL | {"sd": 1e-15}, "differ by rounding only"),
        (NORMAL | {"sd": 1e-15, "range": [0.0, 4.0]}, "differ by rounding only"),
        (LOGNORMAL | {"sigma": 100.0}, "quantile of lognorm, must be .* from 0 to 10: give another median or sigma"),
        (NORMAL | {"mean": 50.0}, "quantile of norm, must be .* from 0 to 10: give another mean or sd"),
        ({"distribution": "gauss", "range": [0, 1]}, "distribution = 'gauss' must be one of 'uniform'"),
    ],
)
def test_what_a_distribution_cannot_be_is_one_line(fields: Any, words: str) -> None:
    with pytest.raises(StudyError, match=rf"\[factor 1: r.d2d.sigma\] .*{words}") as error:
        law(**fields)
    assert "\n" not in str(error.value)
