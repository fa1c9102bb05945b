"""Effect curves: direction, shape, and intervals that allow for rows of a block not being independent."""

import numpy as np
import pytest

from vcm_sweep.analysis import AnalysisError, effect_curves

from ..synthetic import saltelli_random


def test_follows_a_known_shape_and_shows_its_extreme() -> None:
    x = np.random.default_rng(1).random((4000, 2))
    hill, flat = effect_curves(x, 1 - 4 * (x[:, 0] - 0.5) ** 2, ["hill", "flat"])
    assert np.allclose(hill.mean, 1 - 4 * (np.array(hill.centre) - 0.5) ** 2, atol=0.03)
    assert hill.shape().count("→") == 2
    assert flat.span < 0.1
    assert sum(hill.count) == 4000


def test_intervals_take_the_base_block_as_the_unit() -> None:
    """AB rows share all but one coordinate with A: counted as independent rows, intervals are too narrow."""
    d, base, hits, naive_hits = 6, 64, [], []
    for seed in range(150):
        u = saltelli_random(np.random.default_rng(seed), base, d)
        x, y = u.reshape(-1, d), u[..., 1:].sum(axis=-1).reshape(-1)
        blocks = np.repeat(np.arange(base), d + 2)
        robust = effect_curves(x[:, :1], y, ["x"], blocks=blocks, bins=4)[0]
        naive = effect_curves(x[:, :1], y, ["x"], bins=4)[0]
        for curve, found in ((robust, hits), (naive, naive_hits)):
            found += [low <= 2.5 <= high for low, high in zip(curve.low, curve.high, strict=True)]
    assert 0.90 <= np.mean(hits) <= 0.99
    assert np.mean(naive_hits) < 0.85


def test_a_factor_of_few_levels_has_no_empty_bins() -> None:
    x = np.repeat([1.0, 2.0, 3.0], 40)[:, None]
    (curve,) = effect_curves(x, x[:, 0] * 2, ["levels"])
    assert curve.mean[0] < curve.mean[-1]
    assert all(count > 0 for count in curve.count)
    (constant,) = effect_curves(np.ones((20, 1)), np.arange(20.0), ["constant"])
    assert constant.count == (20,)


def test_refuses_shapes_and_missing_values() -> None:
    with pytest.raises(AnalysisError, match="must be \\(rows, 1\\)"):
        effect_curves(np.ones((4, 2)), np.ones(4), ["a"])
    with pytest.raises(AnalysisError, match="finite"):
        effect_curves(np.ones((4, 1)), np.full(4, np.nan), ["a"])
