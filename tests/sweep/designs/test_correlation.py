"""Correlated factors: the points have the rank correlations that were asked for, and what cannot be is one line."""

import numpy as np
import pytest
from scipy import stats

from vcm_sweep.sweep import Study, StudyError, build_design
from vcm_sweep.sweep.designs.copula import correlated, probabilities, scores

TEXT = """
[study]
name = "correlated"
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
sd = 0.01
[[factor]]
name = "l.d2d.sigma"
distribution = "lognorm"
median = 0.02
sigma = 0.6
[[factor]]
name = "network.lr"
range = [0.01, 0.1]
distribution = "loguniform"
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
n = 1024
"""
ASKED = """
[design.correlation]
"r.d2d.sigma" = { "l.d2d.sigma" = 0.7, "network.lr" = -0.3 }
"network.lr" = { "l.d2d.sigma" = 0.1 }
"""


def study(extra: str, old: str = "", new: str = "") -> Study:
    return Study.from_text(TEXT.replace(old, new) + extra)


def test_points_have_the_rank_correlations_that_were_asked_for_and_their_own_laws() -> None:
    found = build_design(study(ASKED))
    wanted = np.eye(4)
    wanted[0, 1] = wanted[1, 0] = 0.7
    wanted[0, 2] = wanted[2, 0] = -0.3
    wanted[1, 2] = wanted[2, 1] = 0.1
    np.testing.assert_allclose(stats.spearmanr(found.points).statistic, wanted, atol=0.02)
    for column in found.cube.T:
        assert stats.kstest(column, "uniform").statistic < 0.02
    assert found.study.factors[1].law.cdf(found.points[:, 1]).mean() == pytest.approx(0.5, abs=1e-3)


def test_a_factor_without_correlation_keeps_its_points_and_a_larger_design_begins_with_the_smaller() -> None:
    plain, found = build_design(study("")), build_design(study(ASKED))
    np.testing.assert_allclose(found.points[:, 3], plain.points[:, 3], rtol=1e-12)
    small = build_design(study(ASKED, "n = 1024", "n = 256"))
    assert np.array_equal(found.points[:256], small.points)
    assert study("").digest != study(ASKED).digest
    assert "correlation" not in study("").canonical()["design"]


def test_the_order_of_a_pair_is_no_matter() -> None:
    one = study('[design.correlation]\n"r.d2d.sigma" = { "l.d2d.sigma" = 0.7 }')
    assert one.digest == study('[design.correlation]\n"l.d2d.sigma" = { "r.d2d.sigma" = 0.7 }').digest


PAIR = '[design.correlation]\n"r.d2d.sigma" = { "l.d2d.sigma" = 0.5 }'


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ('"r.d2d.sigma" = { "l.d2d.sigma" = 1.0 }', "l.d2d.sigma with r.d2d.sigma = 1 must be above -1 and below 1"),
        ('"r.d2d.sigma" = { "l.d2d.sigma" = nan }', "l.d2d.sigma = nan must be a finite number from -1 to 1"),
        (
            '"r.d2d.sigma" = { "l.d2d.sgma" = 0.5 }',
            "'l.d2d.sgma' is not a factor of the study; did you mean 'l.d2d.sig",
        ),
        ('"r.d2d.sigma" = { "r.d2d.sigma" = 0.5 }', "r.d2d.sigma with itself"),
        ('"r.d2d.sigma" = 0.5', "r.d2d.sigma = 0.5 must be a table of other factors"),
        (
            '"r.d2d.sigma" = { "l.d2d.sigma" = 0.5 }\n"l.d2d.sigma" = { "r.d2d.sigma" = 0.5 }',
            "l.d2d.sigma with r.d2d.sigma is given twice: keep one",
        ),
        ('"r.d2d.sigma" = { l.d2d.sigma = 0.5 }', "must be a number: put names with dots in quotes"),
        ('r.d2d.sigma = { "l.d2d.sigma" = 0.5 }', "must be a number: put names with dots in quotes"),
        (
            '"r.d2d.sigma" = { "l.d2d.sigma" = 0.9, "network.lr" = 0.9 }\n"network.lr" = { "l.d2d.sigma" = -0.9 }',
            "the matrix of r.d2d.sigma, l.d2d.sigma, network.lr is not positive definite, its smallest eigenvalue is "
            "-0.816",
        ),
    ],
)
def test_what_cannot_be_correlated_is_one_line(extra: str, words: str) -> None:
    with pytest.raises(StudyError, match=rf"\[design.correlation.*{words}") as error:
        study("[design.correlation]\n" + extra)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("sobol", "whose indices are of independent factors"),
        ("morris", "whose steps move one factor"),
        ("shapley", "whose trajectories draw every factor by itself"),
        ("limits", "which moves one factor alone"),
    ],
)
def test_other_designs_refuse_correlated_factors_with_the_reason(method: str, reason: str) -> None:
    with pytest.raises(StudyError, match=rf"is not for method = '{method}', {reason}.*: give method = 'space', whose"):
        study(PAIR, "[design]", f'[design]\nmethod = "{method}"')


def test_groups_and_choices_cannot_be_correlated() -> None:
    with pytest.raises(StudyError, match="correlated factors are ranked one by one, leave one out"):
        study(PAIR + '\n[design.groups]\nboth = ["r.d2d.sigma", "l.d2d.sigma"]')
    choices = 'distribution = "categorical"\nchoices = [0.01, 0.02]\n'
    with pytest.raises(StudyError, match=r"l.d2d.sigma has choices without an order, so it has no ranks"):
        study(PAIR, 'distribution = "lognorm"\nmedian = 0.02\nsigma = 0.6\n', choices)


def test_points_are_sums_in_one_order_whatever_the_cpu() -> None:
    """Products of BLAS differ in their last bits between CPUs, and with them keys would."""
    rng = np.random.default_rng(1)
    u, matrix = rng.random((64, 6)), np.corrcoef(rng.random((6, 12)))
    wanted = probabilities(scores(u) @ np.linalg.cholesky(matrix).T)
    np.testing.assert_allclose(correlated(u, matrix), wanted, rtol=1e-12)
    # A point is what it is alone: a product of one row goes another way through BLAS.
    alone = np.concatenate([correlated(u[k : k + 1], matrix) for k in range(len(u))])
    np.testing.assert_array_equal(correlated(u, matrix), alone)
