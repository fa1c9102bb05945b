"""Every kind of surrogate keeps the contract: its parts and their variances are those of the function it predicts."""

from functools import cache

import numpy as np
import pytest
from scipy import stats
from sklearn.ensemble import GradientBoostingRegressor

from vcm_sweep.analysis.surrogates.corner import largest_residuals
from vcm_sweep.analysis.surrogates.cross_fitting import KINDS, cross_fit
from vcm_sweep.analysis.surrogates.expansion import expand, features
from vcm_sweep.analysis.surrogates.gaussian_process import fit_anova_process
from vcm_sweep.analysis.surrogates.polynomial_chaos import Polynomials, fit_polynomial_chaos
from vcm_sweep.analysis.surrogates.quadrature import CUTS
from vcm_sweep.analysis.surrogates.surrogate import Array, Groups, Surrogate, mixture
from vcm_sweep.analysis.surrogates.trees import cells, fit_boosted_trees

from ..synthetic import ISHIGAMI_FIRST, ISHIGAMI_SECOND, ISHIGAMI_TOTAL, ISHIGAMI_VARIANCE, ishigami


def gauss(count: int, edges: Array) -> tuple[Array, Array]:
    """Nodes in [0, 1], and weights, of Gauss' rule in every cell."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    width = np.diff(edges)[:, None]
    return (edges[:-1, None] + width * (nodes + 1) / 2).ravel(), (width * weights / 2).ravel()


POLYNOMIALS, MATERN, CHAOS, TREES = KINDS
# Degree 39 is exact for one polynomial of 24. A Matern kernel bends at its centre, and trees have steps at the cuts.
RULES = {
    POLYNOMIALS: gauss(20, np.array([0.0, 1.0])),
    CHAOS: gauss(20, np.array([0.0, 1.0])),
    MATERN: gauss(3, np.linspace(0.0, 1.0, 13)),
    TREES: gauss(1, np.concatenate([[0.0], CUTS, [1.0]])),
}
ERRORS = {POLYNOMIALS: 1e-6, CHAOS: 1e-6, MATERN: 2e-4, TREES: 1e-9}
SMOOTH = [POLYNOMIALS, MATERN, CHAOS]
ALONE: Groups = [[0], [1], [2]]


def sobol_points(d: int, count: int, seed: int = 1) -> Array:
    return np.asarray(stats.qmc.Sobol(d, seed=seed).random(count))


def product(u: Array) -> Array:
    """x1 + x1 x2 + x1 x2 x3 of x in [-sqrt 3, sqrt 3], whose products have variance 1."""
    x = np.sqrt(3) * (2 * u - 1)
    return np.asarray(x[:, 0] + x[:, 0] * x[:, 1] + x[:, 0] * x[:, 1] * x[:, 2])


def grid(kind: str, dimension: int) -> tuple[Array, Array]:
    """Points and weights of a rule that is good for a kind, in a cube."""
    nodes, weights = RULES[kind]
    points = np.stack(np.meshgrid(*[nodes] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)
    return points, np.stack(np.meshgrid(*[weights] * dimension)).reshape(dimension, -1).prod(axis=0)


@cache
def fit(kind: str) -> Surrogate:
    u = sobol_points(3, 256)
    y = product(u) + np.random.default_rng(1).normal(0.0, 0.3, 256)
    return KINDS[kind](u, y, np.full(256, 2.0))


def without(kind: str, u: Array, columns: list[int]) -> Array:
    """The mean of the predictions over some columns, by quadrature: one or two of them."""
    mean = np.zeros(len(u))
    nodes, weights = grid(kind, len(columns))
    for i, point in enumerate(u):
        at = np.repeat(point[None], len(nodes), axis=0)
        at[:, columns] = nodes
        mean[i] = weights @ fit(kind).predict(at)
    return mean


@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_are_what_integration_leaves(kind: str) -> None:
    u, surrogate, error = sobol_points(3, 4, seed=9), fit(kind), ERRORS[kind]
    parts, value = surrogate.parts(u, ALONE), surrogate.predict(u)
    assert parts.whole + surrogate.mean == pytest.approx(value)
    for j, others in enumerate(([1, 2], [0, 2], [0, 1])):
        alone = without(kind, u, others) - surrogate.mean
        assert parts.first[:, j] == pytest.approx(alone, abs=error)
        assert parts.total[:, j] == pytest.approx(value - without(kind, u, [j]), abs=error)
        i, k = others
        both = without(kind, u, [j]) - surrogate.mean - parts.first[:, i] - parts.first[:, k]
        assert parts.second[:, i, k] == pytest.approx(both, abs=error)


@pytest.mark.parametrize("kind", KINDS)
def test_the_variances_are_those_of_the_parts(kind: str) -> None:
    points, weights = grid(kind, 3)
    parts, variances, error = fit(kind).parts(points, ALONE), fit(kind).variances(ALONE), ERRORS[kind]
    assert weights @ parts.whole**2 == pytest.approx(variances.whole, rel=error)
    for at, own in ((parts.first, variances.first), (parts.total, variances.total)):
        assert weights @ at**2 == pytest.approx(own, rel=error, abs=error)
    pairs = np.triu_indices(3, 1)
    both = np.tensordot(weights, parts.second**2, 1)
    assert both[pairs] == pytest.approx(variances.second[pairs], rel=error, abs=error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_is_one_factor(kind: str) -> None:
    """The first and the third factor together against the second: what they do alone holds their interaction."""
    u, surrogate, error = sobol_points(3, 4, seed=9), fit(kind), ERRORS[kind]
    grouped, single = surrogate.parts(u, [[0, 2], [1]]), surrogate.parts(u, ALONE)
    assert grouped.first[:, 0] == pytest.approx(without(kind, u, [1]) - surrogate.mean, abs=error)
    assert grouped.total[:, 1] == pytest.approx(single.total[:, 1])
    assert grouped.second[:, 0, 1] == pytest.approx(grouped.whole - grouped.first.sum(axis=1), abs=1e-9)
    variances = surrogate.variances([[0, 2], [1]])
    assert variances.total[0] + variances.first[1] == pytest.approx(float(variances.whole))


def test_a_mixture_is_the_weighted_sum() -> None:
    """Its parts, too, and its variance holds the covariance of what is mixed."""
    u, mixed = sobol_points(3, 8, seed=9), mixture([fit(MATERN), fit(TREES)], [0.7, 0.3])
    parts, each = mixed.parts(u, ALONE), [fit(kind).parts(u, ALONE) for kind in (MATERN, TREES)]
    assert parts.total == pytest.approx(0.7 * each[0].total + 0.3 * each[1].total)
    assert parts.second == pytest.approx(0.7 * each[0].second + 0.3 * each[1].second)
    assert mixed.predict(u) == pytest.approx(0.7 * fit(MATERN).predict(u) + 0.3 * fit(TREES).predict(u))
    points, weights = grid(TREES, 3)
    own = mixed.predict(points[::7]) - mixed.mean
    assert np.average(own**2, weights=weights[::7]) == pytest.approx(float(mixed.variances(ALONE).whole), rel=0.01)


@pytest.mark.parametrize("kind", SMOOTH)
def test_the_coefficients_are_those_of_integration(kind: str) -> None:
    points, weights = grid(kind, 3)
    degrees = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 3, 2]])
    terms = features(points)[:, np.arange(3), degrees].prod(axis=-1)
    assert fit(kind).coefficients(degrees) == pytest.approx((weights * fit(kind).predict(points)) @ terms, abs=1e-5)


@pytest.mark.parametrize("kind", SMOOTH)
def test_an_expansion_is_the_surrogate_nearly(kind: str) -> None:
    """And its moments are those of quadrature, for a factor that is at one value, one in a corner, and one as it is."""
    expansion, u = expand([fit(kind), fit(kind)], 3), sobol_points(3, 512, seed=9)
    rest = fit(kind).predict(u) - expansion.values(features(u))[1]
    assert np.mean(rest**2) < 1e-4 * float(fit(kind).variances(ALONE).whole)
    x, weight = RULES[POLYNOMIALS]
    nodes, weights = [np.array([0.3]), 0.25 * x, x], [np.ones(1), weight, weight]
    at = [features(x) for x in nodes]
    mean = np.array([w @ f for w, f in zip(weights, at, strict=True)])
    moments = np.array([np.einsum("n,na,nb->ab", w, f, f) for w, f in zip(weights, at, strict=True)])
    points = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1).reshape(-1, 3)
    value, both = expansion.values(features(points))[0], np.einsum("i,j,k->ijk", *weights).ravel()
    assert expansion.values(mean[None])[:, 0] == pytest.approx([both @ value] * 2)
    assert expansion.squares(moments) == pytest.approx([both @ value**2] * 2)


@pytest.mark.parametrize("kind", SMOOTH)
def test_a_function_that_is_known_is_found(kind: str) -> None:
    """Three terms of variance 1."""
    variances = fit(kind).variances(ALONE)
    assert variances.total == pytest.approx([3.0, 2.0, 1.0], rel=0.05)
    assert variances.first == pytest.approx([1.0, 0.0, 0.0], abs=0.06)
    assert variances.second[0, 1] == pytest.approx(1.0, rel=0.05)


def test_boxes_are_the_leaves_of_the_trees() -> None:
    """scikit-learn walks the trees from their roots."""
    u, new = sobol_points(3, 256), sobol_points(3, 512, seed=5)
    boosted = GradientBoostingRegressor(
        n_estimators=100, learning_rate=0.1, max_depth=3, subsample=0.5, min_samples_leaf=3, random_state=0
    ).fit(cells(u), product(u), sample_weight=np.ones(256))
    assert fit_boosted_trees(u, product(u), np.ones(256)).predict(new) == pytest.approx(boosted.predict(cells(new)))


@pytest.mark.parametrize("kind", [POLYNOMIALS, CHAOS])
def test_ishigami_without_noise_in_closed_form(kind: str) -> None:
    u = sobol_points(4, 512)
    variances = KINDS[kind](u, ishigami(u), np.ones(512)).variances([[0], [1], [2], [3]])
    assert variances.whole == pytest.approx(ISHIGAMI_VARIANCE, rel=0.01)
    assert variances.first / ISHIGAMI_VARIANCE == pytest.approx(ISHIGAMI_FIRST, abs=0.01)
    assert variances.total / ISHIGAMI_VARIANCE == pytest.approx(ISHIGAMI_TOTAL, abs=0.01)
    assert variances.second[np.triu_indices(4, 1)] / ISHIGAMI_VARIANCE == pytest.approx(ISHIGAMI_SECOND, abs=0.01)


def test_means_of_more_trainings_weigh_more() -> None:
    """Half of the points are of 100 trainings: predictions are as good as if the others were not there, or better."""
    u, rng = sobol_points(3, 256), np.random.default_rng(2)
    repeats = np.where(np.arange(256) % 2 == rng.integers(2, size=256), 100.0, 1.0)
    y = product(u) + rng.normal(0.0, 3.0, 256) / np.sqrt(repeats)
    new = sobol_points(3, 1024, seed=5)
    errors = [np.mean((fit_anova_process(u, y, w).predict(new) - product(new)) ** 2) for w in (repeats, np.ones(256))]
    assert errors[0] < 0.5 * errors[1]


def test_the_residuals_of_a_fold_do_not_know_its_outputs() -> None:
    """Pure noise: residuals of points that were seen would be smaller than the noise."""
    u, rng = sobol_points(3, 256), np.random.default_rng(3)
    crossed = cross_fit(u, rng.normal(size=256), np.ones(256), np.arange(256), ALONE, seed=1)
    assert 0.95 < crossed.error < 1.3


def test_whole_blocks_are_left_out() -> None:
    """Four rows of one output each, repeated: seen rows would give theirs away."""
    u, rng = np.repeat(sobol_points(3, 64), 4, axis=0), np.random.default_rng(4)
    y = np.repeat(rng.normal(size=64), 4)
    assert cross_fit(u, y, np.ones(256), np.repeat(np.arange(64), 4), ALONE, seed=1).error > 0.8


def test_parts_come_back_in_the_order_of_the_points() -> None:
    u = sobol_points(3, 256)
    crossed = cross_fit(u, product(u), np.ones(256), np.arange(256), ALONE, seed=1)
    assert crossed.parts.first[:, 0] == pytest.approx(np.sqrt(3) * (2 * u[:, 0] - 1), abs=0.1)
    assert crossed.residual == pytest.approx(product(u) - product(u).mean() - crossed.parts.whole, abs=0.1)


def test_polynomial_chaos_takes_few_terms() -> None:
    u = sobol_points(3, 256)
    chaos = fit_polynomial_chaos(u, product(u), np.ones(256))
    assert isinstance(chaos.functions, Polynomials)
    assert sorted(map(tuple, chaos.functions.degrees[np.abs(chaos.weights) > 0.01])) == [
        (1, 0, 0),
        (1, 1, 0),
        (1, 1, 1),
    ]
    assert len(chaos.weights) < 12


def test_the_corner_of_the_largest_residuals_is_found() -> None:
    u, rng = sobol_points(3, 512), np.random.default_rng(5)
    inside = (u[:, 0] > 0.75) & (u[:, 2] < 0.3)
    corner = largest_residuals(
        u, np.where(inside, 1.0, 0.02) * rng.uniform(0.5, 1.5, 512), np.arange(512), ["a", "b", "c"]
    )
    assert corner is not None
    assert corner.ranges["a"] == pytest.approx((0.75, 1.0), abs=0.05)
    assert corner.ranges["c"] == pytest.approx((0.0, 0.3), abs=0.05)
    assert corner.holds > 0.6
    assert largest_residuals(u, rng.chisquare(1, 512), np.arange(512), ["a", "b", "c"]) is None
