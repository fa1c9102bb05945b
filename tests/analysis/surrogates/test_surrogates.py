"""Every kind of surrogate keeps the contract: its parts and their variances are those of the function it predicts."""

import numpy as np
import pytest
from scipy import stats

from vcm_sweep.analysis.surrogates.corner import largest_residuals
from vcm_sweep.analysis.surrogates.cross_fitting import KINDS, cross_fit
from vcm_sweep.analysis.surrogates.expansion import expand, features
from vcm_sweep.analysis.surrogates.gaussian_process import fit_gaussian_process
from vcm_sweep.analysis.surrogates.polynomial_chaos import fit_polynomial_chaos
from vcm_sweep.analysis.surrogates.surrogate import Array, Groups, Surrogate

from ..synthetic import ISHIGAMI_FIRST, ISHIGAMI_SECOND, ISHIGAMI_TOTAL, ISHIGAMI_VARIANCE, ishigami

# Exact for polynomials of degree 39; those of the surrogates have at most 24.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2
ALONE: Groups = [[0], [1], [2]]


def sobol_points(d: int, count: int, seed: int = 1) -> Array:
    return np.asarray(stats.qmc.Sobol(d, seed=seed).random(count))


def product(u: Array) -> Array:
    """x1 + x1 x2 + x1 x2 x3 of x in [-sqrt 3, sqrt 3], whose products have variance 1."""
    x = np.sqrt(3) * (2 * u - 1)
    return np.asarray(x[:, 0] + x[:, 0] * x[:, 1] + x[:, 0] * x[:, 1] * x[:, 2])


@pytest.fixture(scope="module", params=list(KINDS))
def fitted(request: pytest.FixtureRequest) -> Surrogate:
    u = sobol_points(3, 256)
    y = product(u) + np.random.default_rng(1).normal(0.0, 0.3, 256)
    return KINDS[request.param](u, y, np.full(256, 2.0))


def without(surrogate: Surrogate, u: Array, columns: list[int]) -> Array:
    """The mean of the predictions over some columns, by quadrature: one or two of them."""
    mean = np.zeros(len(u))
    nodes = np.stack(np.meshgrid(*[NODES] * len(columns)), axis=-1).reshape(-1, len(columns))
    weights = np.stack(np.meshgrid(*[WEIGHTS] * len(columns)), axis=-1).reshape(-1, len(columns)).prod(axis=1)
    for i, point in enumerate(u):
        grid = np.repeat(point[None], len(nodes), axis=0)
        grid[:, columns] = nodes
        mean[i] = weights @ surrogate.predict(grid)
    return mean


def test_the_parts_are_what_integration_leaves(fitted: Surrogate) -> None:
    u = sobol_points(3, 4, seed=9)
    parts, value = fitted.parts(u, ALONE), fitted.predict(u)
    assert parts.whole + fitted.mean == pytest.approx(value)
    for j, others in enumerate(([1, 2], [0, 2], [0, 1])):
        alone = without(fitted, u, others) - fitted.mean
        assert parts.first[:, j] == pytest.approx(alone, abs=1e-9)
        assert parts.total[:, j] == pytest.approx(value - without(fitted, u, [j]), abs=1e-9)
        i, k = others
        both = without(fitted, u, [j]) - fitted.mean - parts.first[:, i] - parts.first[:, k]
        assert parts.second[:, i, k] == pytest.approx(both, abs=1e-9)


def test_the_variances_are_those_of_the_parts(fitted: Surrogate) -> None:
    parts, variances = fitted.parts(sobol_points(3, 1 << 13, seed=3), ALONE), fitted.variances(ALONE)
    assert np.mean(parts.whole**2) == pytest.approx(variances.whole, rel=3e-3)
    for at, own in ((parts.first, variances.first), (parts.total, variances.total)):
        assert np.mean(at**2, axis=0) == pytest.approx(own, rel=0.01, abs=1e-4)
    pairs = np.triu_indices(3, 1)
    assert np.mean(parts.second**2, axis=0)[pairs] == pytest.approx(variances.second[pairs], rel=0.01, abs=1e-4)


def test_a_group_is_one_factor(fitted: Surrogate) -> None:
    """The first and the third factor together against the second: what they do alone holds their interaction."""
    u = sobol_points(3, 4, seed=9)
    grouped, single = fitted.parts(u, [[0, 2], [1]]), fitted.parts(u, ALONE)
    assert grouped.first[:, 0] == pytest.approx(without(fitted, u, [1]) - fitted.mean, abs=1e-9)
    assert grouped.total[:, 1] == pytest.approx(single.total[:, 1])
    assert grouped.second[:, 0, 1] == pytest.approx(grouped.whole - grouped.first.sum(axis=1), abs=1e-9)
    variances = fitted.variances([[0, 2], [1]])
    assert variances.total[0] + variances.first[1] == pytest.approx(float(variances.whole))


def test_the_coefficients_are_those_of_integration(fitted: Surrogate) -> None:
    grid = np.stack(np.meshgrid(*[NODES] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    weights = np.einsum("i,j,k->ijk", WEIGHTS, WEIGHTS, WEIGHTS).ravel()
    degrees = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 3, 2]])
    terms = features(grid)[:, np.arange(3), degrees].prod(axis=-1)
    assert fitted.coefficients(degrees) == pytest.approx((weights * fitted.predict(grid)) @ terms, abs=1e-9)


def test_an_expansion_is_the_surrogate_nearly(fitted: Surrogate) -> None:
    """And its moments are those of quadrature, for a factor that is at one value, one in a corner, and one as it is."""
    expansion, u = expand([fitted, fitted], 3), sobol_points(3, 512, seed=9)
    rest = fitted.predict(u) - expansion.values(features(u))[1]
    assert np.mean(rest**2) < 1e-4 * float(fitted.variances(ALONE).whole)
    nodes = [np.array([0.3]), 0.25 * NODES, NODES]
    weights = [np.ones(1), WEIGHTS, WEIGHTS]
    at = [features(x) for x in nodes]
    mean = np.array([w @ f for w, f in zip(weights, at, strict=True)])
    moments = np.array([np.einsum("n,na,nb->ab", w, f, f) for w, f in zip(weights, at, strict=True)])
    grid = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1).reshape(-1, 3)
    value, weight = expansion.values(features(grid))[0], np.einsum("i,j,k->ijk", *weights).ravel()
    assert expansion.values(mean[None])[:, 0] == pytest.approx([weight @ value] * 2)
    assert expansion.squares(moments) == pytest.approx([weight @ value**2] * 2)


def test_a_function_that_is_known_is_found(fitted: Surrogate) -> None:
    """Three terms of variance 1."""
    variances = fitted.variances(ALONE)
    assert variances.total == pytest.approx([3.0, 2.0, 1.0], rel=0.05)
    assert variances.first == pytest.approx([1.0, 0.0, 0.0], abs=0.06)
    assert variances.second[0, 1] == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
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
    errors = [
        np.mean((fit_gaussian_process(u, y, w).predict(new) - product(new)) ** 2) for w in (repeats, np.ones(256))
    ]
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
    assert sorted(map(tuple, chaos.degrees[np.abs(chaos.value) > 0.01])) == [(1, 0, 0), (1, 1, 0), (1, 1, 1)]
    assert len(chaos.value) < 12


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
