"""Cell-to-cell spread, correlation, mismatch and the whole of a Variability, against scipy's distributions."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from vcm_sweep.device import CellParameters, Correlation, DeviceError, Mismatch, Spread, TargetWalk, Variability, Walk
from vcm_sweep.device.variability import draw_spreads

COUNT = 100_000
# Dvoretzky, Kiefer and Wolfowitz: the empirical distribution is further off in one of 1e9 seeds.
FARTHEST = math.sqrt(math.log(2e9) / (2 * COUNT))


def _generator(seed=1):
    return torch.Generator().manual_seed(seed)


def _law(sigma, clip, distribution):
    """Distribution function and inverse of the factor on the nominal value, from scipy."""
    if distribution == "truncated":
        law = stats.truncnorm(-clip / sigma, clip / sigma, loc=1.0, scale=sigma)
        return law.cdf, law.ppf
    if distribution == "uniform":
        law = stats.uniform(1 - math.sqrt(3) * sigma, 2 * math.sqrt(3) * sigma)
        return law.cdf, law.ppf
    whole = stats.lognorm(s=sigma)
    low, high = whole.cdf(1 - clip), whole.cdf(1 + clip)
    return lambda x: (whole.cdf(x) - low) / (high - low), lambda u: whole.ppf(low + u * (high - low))


LAWS = [
    *((sigma, clip, "truncated") for sigma, clip in [(0.1, 0.3), (0.3, 0.3), (1.0, 0.3), (0.02, 0.5), (10.0, 0.1)]),
    *((sigma, clip, "lognormal") for sigma, clip in [(0.1, 0.3), (0.3, 0.9), (1.0, 0.3), (5.0, 0.5)]),
    *((sigma, clip, "uniform") for sigma, clip in [(0.1, 0.3), (0.3 / math.sqrt(3), 0.3)]),
]


@pytest.mark.parametrize(("sigma", "clip", "distribution"), LAWS)
def test_spread_follows_its_law_and_stays_in_its_range(sigma, clip, distribution):
    cdf, ppf = _law(sigma, clip, distribution)
    spread = Spread(sigma, clip, distribution)
    u = np.linspace(0.001, 0.999, 999)
    assert spread.quantile(torch.from_numpy(u)).numpy() == pytest.approx(ppf(u), rel=1e-9)
    drawn = spread.draw(45e-9, COUNT, _generator()).numpy() / 45e-9
    assert np.abs(drawn - 1).max() <= clip * (1 + 1e-9)
    assert stats.kstest(drawn, cdf).statistic < FARTHEST


def test_uniform_spread_has_its_standard_deviation():
    drawn = Spread(0.1, 0.3, "uniform").draw(1.0, COUNT, _generator()).numpy()
    # The fourth moment of a uniform law is 9/5 of the variance squared.
    assert drawn.std() == pytest.approx(0.1, rel=5 * math.sqrt(0.8 / (4 * COUNT)))


@pytest.mark.parametrize(("sigma", "clip"), [(1.0, 0.3), (1.0, 0.1), (0.1, 0.1)])
def test_clipped_normal_puts_its_share_on_each_bound(sigma, clip):
    """With sigma = 1, 76 % (clip 0.3) to 92 % (clip 0.1) of the cells."""
    drawn = Spread(sigma, clip, "clipped").draw(2.0, COUNT, _generator()).numpy()
    tail = stats.norm.sf(clip / sigma)
    error = 5 * math.sqrt(tail * (1 - tail) / COUNT)
    assert (drawn == 2.0 * (1 - clip)).mean() == pytest.approx(tail, abs=error)
    assert (drawn == 2.0 * (1 + clip)).mean() == pytest.approx(tail, abs=error)
    inside = drawn[np.abs(drawn / 2 - 1) < clip * (1 - 1e-9)]
    law = stats.truncnorm(-clip / sigma, clip / sigma, loc=2.0, scale=2.0 * sigma)
    assert stats.kstest(inside, law.cdf).statistic < FARTHEST * math.sqrt(COUNT / len(inside))


@pytest.mark.parametrize("distribution", ["truncated", "clipped", "lognormal", "uniform"])
def test_no_spread_and_the_ends_of_probability_give_finite_values(distribution):
    ends = torch.tensor([0.0, 0.5, 1.0])
    assert Spread(0.0, 0.3, distribution).quantile(ends).tolist() == [1, 1, 1]
    low, middle, high = Spread(0.01, 0.3, distribution).quantile(ends).tolist()
    assert 0.7 <= low < middle < high <= 1.3


RHO = ((1.0, 0.7, -0.3), (0.7, 1.0, 0.2), (-0.3, 0.2, 1.0))
SPREADS = {
    "dW_A": Spread(0.02, 0.1, "uniform"),
    "l": Spread(0.2, 0.3, "lognormal"),
    "r": Spread(0.1, 0.3),
    "mu_n": Spread(0.1, 0.3),
}


def test_correlated_parameters_have_the_copulas_rank_correlation_and_keep_their_own_law():
    """Spearman's rho of a Gaussian copula is (6/pi) asin(rho/2)."""
    correlation = Correlation(("r", "l", "dW_A"), RHO)
    drawn = draw_spreads(SPREADS, correlation, CellParameters(), COUNT, _generator())
    for (i, a), (j, b) in itertools.combinations(enumerate(correlation.names), 2):
        found = stats.spearmanr(drawn[a].numpy(), drawn[b].numpy()).statistic
        assert found == pytest.approx(6 / math.pi * math.asin(RHO[i][j] / 2), abs=5 / math.sqrt(COUNT)), (a, b)
        assert abs(stats.spearmanr(drawn[a].numpy(), drawn["mu_n"].numpy()).statistic) < 5 / math.sqrt(COUNT)
    for name, values in drawn.items():
        spread = SPREADS[name]
        cdf, _ = _law(spread.sigma, spread.clip, spread.distribution)
        factor = values.numpy() / getattr(CellParameters(), name)
        assert stats.kstest(factor, cdf).statistic < FARTHEST, name


def test_a_parameter_without_spread_takes_no_part_in_the_correlation():
    """A factor's range may begin at sigma = 0."""
    spreads = SPREADS | {"l": Spread(0.0)}
    drawn = draw_spreads(spreads, Correlation(("r", "l", "dW_A"), RHO), CellParameters(), COUNT, _generator())
    assert list(drawn) == ["mu_n", "dW_A", "r"]
    found = stats.spearmanr(drawn["r"].numpy(), drawn["dW_A"].numpy()).statistic
    assert found == pytest.approx(6 / math.pi * math.asin(-0.3 / 2), abs=5 / math.sqrt(COUNT))


def test_full_correlation_of_three_is_one_draw():
    same = Correlation(("r", "l", "mu_n"), ((1.0,) * 3,) * 3)
    drawn = draw_spreads(SPREADS, same, CellParameters(), 1000, _generator())
    assert torch.equal(drawn["r"].argsort(), drawn["l"].argsort())
    assert torch.equal(drawn["r"].argsort(), drawn["mu_n"].argsort())


def test_equal_seeds_give_equal_cells_whatever_the_order_and_identity_is_no_correlation():
    alone = draw_spreads(SPREADS, None, CellParameters(), 1000, _generator())
    turned = draw_spreads(dict(reversed(SPREADS.items())), None, CellParameters(), 1000, _generator())
    identity = Correlation(("l", "r"), ((1.0, 0.0), (0.0, 1.0)))
    mixed = draw_spreads(SPREADS, identity, CellParameters(), 1000, _generator())
    for name, values in alone.items():
        assert torch.equal(values, turned[name])
        torch.testing.assert_close(mixed[name], values, rtol=1e-12, atol=0)


def test_mismatch_draws_log_normal_factors():
    m = 2 * torch.log(Mismatch(0.3, 0.5).draw(COUNT, _generator()).double()).numpy()
    assert stats.kstest(m, stats.norm(0.3, 0.5).cdf).statistic < FARTHEST
    assert Mismatch(0.3).draw(10, _generator()).tolist() == pytest.approx([math.exp(0.15)])


def test_limits_cover_spread_walk_and_targets():
    v = Variability(
        d2d={"r": Spread(0.1, 0.3), "dW_A": Spread(0.0, 0.3)},
        c2c={"r": Walk(0.1, clip=0.1), "N_max": Walk()},
        targets={"l": TargetWalk(0.1, clip=0.2)},
    )
    assert v.limits("r", CellParameters()) == pytest.approx((45e-9 * 0.7 * 0.9, 45e-9 * 1.3 * 1.1))
    assert v.limits("l", CellParameters()) == pytest.approx((0.32e-9, 0.48e-9))
    assert v.limits("N_max", CellParameters()) == (20.0, 20.0)
    assert v.varying(CellParameters()) == ("r", "l")


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: Spread(sigma=-0.1), "Spread.sigma = -0.1 must be a number from 0 to 10"),
        (lambda: Spread(sigma=math.nan), "sigma"),
        (lambda: Spread(sigma=True), "sigma"),
        (lambda: Spread(sigma="0.1"), "sigma"),
        (lambda: Spread(0.1, 1.0), "clip"),
        (lambda: Spread(0.1, 0.0), "clip"),
        (lambda: Spread(0.1, 0.3, "normal"), "distribution = 'normal' must be one of 'truncated'"),
        (lambda: Spread(0.2, 0.3, "uniform"), r"clip / sqrt\(3\) = 0.1732"),
        (lambda: Walk(direct=1.1), "direct"),
        (lambda: Walk(slope=-0.1), "slope"),
        (lambda: Walk(0.1, clip=1.0), "clip"),
        (lambda: TargetWalk(0.1, renew="never"), "renew"),
        (lambda: Mismatch(mean=6.0), "mean"),
        (lambda: Mismatch(sigma=-1.0), "sigma"),
        (lambda: Correlation(("r", "R"), ((1, 0), (0, 1))), "'R'"),
        (lambda: Correlation(("r", "r"), ((1, 0), (0, 1))), "2 times"),
        (lambda: Correlation(("r", "l"), ((1, 0),)), "2 rows"),
        (lambda: Correlation(("r", "l"), ((1, 2), (2, 1))), "from -1 to 1"),
        (lambda: Correlation(("r", "l"), ((1, 0.5), (0.4, 1))), "must equal"),
        (lambda: Correlation(("r", "l"), ((0.5, 0), (0, 1))), "must be 1"),
        (lambda: Correlation(("r", "l", "a"), ((1, 0.9, 0.9), (0.9, 1, -0.9), (0.9, -0.9, 1))), "semi-definite"),
        (lambda: Variability(read_noise=1.5), "sigma"),
        (lambda: Variability(read_noise="much"), "read_noise"),
        (lambda: Variability(d2d={"radius": Spread(0.1)}), "radius"),
        (lambda: Variability(d2d={"r": 0.1}), "d2d.r = 0.1 must be a Spread"),
        (lambda: Variability(c2c={"dW_A": Walk(0.1)}), "c2c.dW_A is unknown: only N_max, N_min, r, l"),
        (lambda: Variability(targets={"N_max": TargetWalk(0.1)}), "targets.N_max"),
        (lambda: Variability(c2c={"r": Walk(0.1)}, targets={"r": TargetWalk(0.1)}), "both"),
    ],
)
def test_wrong_values_are_refused_in_one_line(build, word):
    with pytest.raises(DeviceError, match=word) as caught:
        build()
    assert "\n" not in str(caught.value)
