"""Shapley effects against SALib and Ishigami's closed form, and the noise that is taken out of them."""

import numpy as np
import pytest
from SALib.analyze import shapley as salib_analyze

from vcm_sweep.analysis import AnalysisError, shapley_effects

from ..synthetic import ISHIGAMI_SHAPLEY, ISHIGAMI_VARIANCE, NAMES, ishigami, shapley_trajectories, with_noise

PROBLEM = {"num_vars": 4, "names": list(NAMES), "bounds": [[0.0, 1.0]] * 4}


def test_without_noise_agrees_with_salib() -> None:
    x = shapley_trajectories(200, 4, seed=2)
    mean = ishigami(x)
    ours = shapley_effects(x, np.repeat(mean[..., None], 2, axis=2), NAMES)
    theirs = salib_analyze.analyze(PROBLEM, x.reshape(-1, 4), mean.reshape(-1))
    assert [i.value for i in ours["shapley"]] == pytest.approx(list(theirs["shapley_normalized"]), abs=1e-9)
    assert ours.variance == pytest.approx(sum(theirs["shapley"]))


def test_noise_is_taken_out_and_shares_add_up() -> None:
    x = shapley_trajectories(4000, 4, seed=3)
    y = with_noise(np.random.default_rng(3), ishigami(x), 2, np.sqrt(ISHIGAMI_VARIANCE / 2))
    result = shapley_effects(x, y, NAMES)
    assert [i.value for i in result["shapley"]] == pytest.approx(list(ISHIGAMI_SHAPLEY), abs=0.05)
    assert sum(i.value for i in result["shapley"]) == pytest.approx(1.0)
    assert result.variance == pytest.approx(ISHIGAMI_VARIANCE, rel=0.06)
    assert result.luck.low <= 1 / 3 <= result.luck.high
    assert result["shapley"][3].includes_zero
    # What SALib makes of the same means: the dummy gets its part of the noise.
    naive = salib_analyze.analyze(PROBLEM, x.reshape(-1, 4), y.mean(axis=2).reshape(-1))
    assert naive["shapley_normalized"][3] > 0.03


def test_pairs_on_some_rows_serve_all() -> None:
    rng = np.random.default_rng(1)
    x = shapley_trajectories(4000, 4, seed=3)
    y = with_noise(rng, ishigami(x), 2, np.sqrt(ISHIGAMI_VARIANCE / 2))
    y[:, :, 1] = np.where(rng.random(y.shape[:2]) < 0.3, y[:, :, 1], np.nan)
    result = shapley_effects(x, y, NAMES)
    assert result.pooled
    assert [i.value for i in result["shapley"]] == pytest.approx(list(ISHIGAMI_SHAPLEY), abs=0.05)


def test_refuses_an_output_that_is_noise_only() -> None:
    x = shapley_trajectories(50, 2, seed=1)
    with pytest.raises(AnalysisError, match=r"no more\s+than\s+training noise"):
        shapley_effects(x, np.random.default_rng(7).normal(size=(50, 3, 2)), ("a", "b"))
