"""Shapley effects of correlated factors against closed forms: linear functions of normal scores, and independence."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from scipy import stats

from tests.analysis.synthetic import ISHIGAMI_SHAPLEY, NAMES, ishigami
from vcm_sweep.analysis.methods.bounded_shapley import bounded_shapley
from vcm_sweep.analysis.surrogates.dependence import shapley_parts
from vcm_sweep.analysis.surrogates.expansion import Expansion, features
from vcm_sweep.sweep.designs.copula import correlated, scores

THREE = np.array([[1.0, 0.6, 0.0], [0.6, 1.0, 0.0], [0.0, 0.0, 1.0]])
FOUR = np.array([[1.0, 0.7, 0.2, 0.0], [0.7, 1.0, -0.3, 0.0], [0.2, -0.3, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def linear_effects(beta: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Of beta z with normal z, where V(E[f | z_S]) = c_S' R_SS^-1 c_S with c = R beta (Owen, Prieur, 2017)."""
    d, covariance = len(beta), matrix @ beta

    def known(subset: tuple[int, ...]) -> float:
        own = list(subset)
        return float(covariance[own] @ np.linalg.solve(matrix[np.ix_(own, own)], covariance[own])) if own else 0.0

    found = np.zeros(d)
    for i in range(d):
        others = [j for j in range(d) if j != i]
        for size in range(d):
            weight = factorial(size) * factorial(d - 1 - size) / factorial(d)
            found[i] += sum(weight * (known((*s, i)) - known(s)) for s in combinations(others, size))
    return found / (beta @ matrix @ beta)


def test_a_linear_function_of_correlated_normals() -> None:
    beta = np.array([1.0, -0.8, 0.5, 0.6])
    u = correlated(stats.qmc.Sobol(4, rng=3).random(256), FOUR)
    y = (scores(u) @ beta)[:, None] + np.random.default_rng(1).normal(0, 0.3, (256, 2))
    found = bounded_shapley(u, y, ["x1", "x2", "x3", "x4"], FOUR, confidence=0.999)
    for index, truth in zip(found["shapley"], linear_effects(beta, FOUR), strict=True):
        assert index.low <= truth <= index.high
        assert index.high - index.low < 0.1
    # With what is not explained they are the whole variance.
    assert sum(index.value for index in found["shapley"]) + found["unexplained"][0].value == pytest.approx(1, abs=0.02)


def test_a_factor_without_an_effect_of_its_own_tells_of_a_correlated_one() -> None:
    effects = linear_effects(np.array([1.0, 0.0, 0.7]), THREE)
    assert effects[1] == pytest.approx(0.36 / 2 / 1.49)
    assert effects.sum() == pytest.approx(1.0)


def test_independent_factors_have_the_shapley_effects_that_are_known() -> None:
    """Ishigami's function, of which the surrogate leaves a little: the intervals hold it."""
    u = stats.qmc.Sobol(4, rng=5).random(256)
    y = ishigami(u)[:, None] + np.random.default_rng(2).normal(0, 0.5, (256, 2))
    found = bounded_shapley(u, y, NAMES, np.eye(4), confidence=0.999)
    for index, truth in zip(found["shapley"], ISHIGAMI_SHAPLEY, strict=True):
        assert index.low <= truth <= index.high
    assert found.ranking()[-1].factor == "dummy"


def test_parts_of_a_product_of_two_correlated_factors() -> None:
    """Given one of two scores with correlation rho, the other's polynomial of degree 1 is known by quadrature."""
    rho = 0.6
    matrix = np.array([[1.0, rho], [rho, 1.0]])
    one = Expansion(np.array([[1, 1]]), np.ones((1, 1)))
    u = np.array([[0.2, 0.7], [0.9, 0.5]])
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()

    def polynomial(u: np.ndarray) -> np.ndarray:
        return np.sqrt(3.0) * (2.0 * u - 1.0)

    def given(column: int) -> np.ndarray:
        z = stats.norm.ppf(u[:, column])[:, None] * rho + np.sqrt(1 - rho**2) * nodes
        return polynomial(u[:, column]) * (polynomial(stats.norm.cdf(z)) @ weights)

    own = np.linspace(-8, 8, 4001)
    inner = polynomial(stats.norm.cdf(rho * own[:, None] + np.sqrt(1 - rho**2) * nodes)) @ weights
    mean = np.trapezoid(polynomial(stats.norm.cdf(own)) * inner * stats.norm.pdf(own), own)
    whole = polynomial(u[:, 0]) * polynomial(u[:, 1])
    found = shapley_parts(one, u, matrix)[0]
    np.testing.assert_allclose(found[:, 0], (given(0) - mean + whole - given(1)) / 2, atol=0.01)
    np.testing.assert_allclose(found[:, 1], (given(1) - mean + whole - given(0)) / 2, atol=0.01)
    np.testing.assert_allclose(one.values(features(u))[0], whole)
