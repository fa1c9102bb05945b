"""Spread, walk and mismatch against scipy's distributions and their definitions."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from vcm_sweep.device import CellParameters, DeviceError, Mismatch, Spread, Variability, Walk

COUNT = 100_000


def _generator(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("sigma", "clip"), [(0.1, 0.3), (0.3, 0.3), (1.0, 0.3), (0.02, 0.5), (10.0, 0.1)])
def test_truncated_normal(sigma, clip):
    law = stats.truncnorm(-clip / sigma, clip / sigma, loc=45e-9, scale=45e-9 * sigma)
    drawn = Spread(sigma, clip).draw(45e-9, COUNT, _generator()).numpy()
    assert np.abs(drawn / 45e-9 - 1).max() <= clip * (1 + 1e-12)
    assert drawn.mean() == pytest.approx(law.mean(), abs=5 * law.std() / math.sqrt(COUNT))
    assert drawn.std() == pytest.approx(law.std(), rel=5 / math.sqrt(COUNT))
    assert stats.kstest(drawn, law.cdf).pvalue > 1e-5


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
    assert stats.kstest(inside, law.cdf).pvalue > 1e-5


def test_mismatch_draws_log_normal_factors():
    m = 2 * torch.log(Mismatch(0.3, 0.5).draw(COUNT, _generator()).double()).numpy()
    assert m.mean() == pytest.approx(0.3, abs=5 * 0.5 / math.sqrt(COUNT))
    assert m.std() == pytest.approx(0.5, rel=5 / math.sqrt(2 * COUNT))
    assert Mismatch(0.3).draw(10, _generator()).tolist() == pytest.approx([math.exp(0.15)])


def test_limits_cover_spread_and_walk():
    v = Variability(d2d={"r": Spread(0.1, 0.3)}, c2c={"r": Walk(0.1, clip=0.1), "l": Walk(slope=0.1, clip=0.2)})
    assert v.limits("r", CellParameters()) == pytest.approx((45e-9 * 0.7 * 0.9, 45e-9 * 1.3 * 1.1))
    assert v.limits("l", CellParameters()) == pytest.approx((0.32e-9, 0.48e-9))
    assert v.limits("N_max", CellParameters()) == (20.0, 20.0)


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: Spread(sigma=-0.1), "sigma"),
        (lambda: Spread(sigma=math.nan), "sigma"),
        (lambda: Spread(0.1, 1.0), "clip"),
        (lambda: Spread(0.1, 0.0), "clip"),
        (lambda: Spread(0.1, 0.3, "uniform"), "distribution"),
        (lambda: Walk(direct=1.1), "direct"),
        (lambda: Walk(slope=-0.1), "slope"),
        (lambda: Walk(0.1, clip=1.0), "clip"),
        (lambda: Mismatch(mean=6.0), "mean"),
        (lambda: Mismatch(sigma=-1.0), "sigma"),
        (lambda: Variability(read_noise=1.5), "read_noise"),
        (lambda: Variability(d2d={"phi_Bn0": Spread(0.1)}), "phi_Bn0"),
        (lambda: Variability(c2c={"radius": Walk(0.1)}), "radius"),
        (lambda: Spread(sigma="0.1"), "sigma"),
    ],
)
def test_wrong_values_are_refused(build, word):
    with pytest.raises(DeviceError, match=word):
        build()
