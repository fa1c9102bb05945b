"""Elementary effects against SALib and closed forms, and what noise does to them."""

import numpy as np
import pytest
from SALib.analyze import morris as salib_analyze

from vcm_sweep.analysis import AnalysisError, morris_effects

from ..synthetic import NAMES, ishigami, morris_trajectories, with_noise


def test_without_noise_agrees_with_salib() -> None:
    u = morris_trajectories(30, 4, seed=3)
    mean = ishigami(u)
    ours = morris_effects(u, np.repeat(mean[..., None], 2, axis=2), NAMES)
    problem = {"num_vars": 4, "names": list(NAMES), "bounds": [[0.0, 1.0]] * 4}
    theirs = salib_analyze.analyze(problem, u.reshape(-1, 4), mean.reshape(-1), num_levels=4, seed=1)
    for kind in ("mu_star", "mu", "sigma"):
        assert [i.value for i in ours[kind]] == pytest.approx(list(theirs[kind]), abs=1e-9), kind
    assert [i.value for i in ours["raw"]] == pytest.approx(list(theirs["mu_star"]), abs=1e-9)


def test_a_linear_output_gives_its_coefficients_and_an_inert_factor_nothing() -> None:
    u = morris_trajectories(60, 3, seed=1)
    y = with_noise(np.random.default_rng(2), 0.5 * u[..., 0] - 0.2 * u[..., 1], 3, 0.05)
    result = morris_effects(u, y, ("r", "l", "inert"))
    assert [i.value for i in result["mu_star"]][:2] == pytest.approx([0.5, 0.2], abs=0.03)
    assert [i.value for i in result["mu"]] == pytest.approx([0.5, -0.2, 0.0], abs=0.03)
    plain = result["raw"][2]
    assert plain.low > 0.01, "the plain mu* of an inert factor is well above 0"
    assert plain.value < plain.floor
    assert result["mu_star"][2].includes_zero
    assert result.verdict("inert").startswith("not distinguishable from no effect (at most 0.0")
    assert result.answer()[0].startswith(
        "Over the stated ranges, r ranks first for accuracy, with a root mean square effect, noise taken out"
    )
    assert "extrapolated to no noise" in result.notes()[1]


def test_steps_of_a_group_count_as_one() -> None:
    u = morris_trajectories(40, 4, seed=5, groups=["left", "left", "right", "right"])
    y = with_noise(np.random.default_rng(2), 2 * u[..., 2] + 2 * u[..., 3], 2, 0.01)
    result = morris_effects(u, y, NAMES, groups={"left": NAMES[:2], "right": NAMES[2:]})
    assert result.factors == ("left", "right")
    # Two factors step together: 4 across the range where they go the same way, 0 where they do not.
    assert 1.0 < result["mu_star"][1].value < 3.0
    assert result["mu_star"][0].includes_zero


def test_common_seeds_are_not_corrected() -> None:
    u = morris_trajectories(20, 2, seed=5)
    shared = np.random.default_rng(1).normal(size=(20, 1, 2))
    result = morris_effects(u, u[..., :1] + shared, ("a", "b"), seeds="common")
    assert [i.value for i in result["mu_star"]] == pytest.approx([1.0, 0.0], abs=1e-9)
    assert not result.corrected
    assert all(i.floor == 0.0 for i in result["raw"])


def test_refuses_what_is_no_trajectory() -> None:
    u = morris_trajectories(10, 3, seed=1)
    y = np.random.default_rng(1).normal(size=(10, 4, 2))
    broken = u.copy()
    broken[3, 2] = broken[3, 1]
    with pytest.raises(AnalysisError, match="trajectory 3 does not change every factor exactly once"):
        morris_effects(broken, y, NAMES[:3])
    with pytest.raises(AnalysisError, match="7 trajectories are too few"):
        morris_effects(u[:7], y[:7], NAMES[:3])
    with pytest.raises(AnalysisError, match="must hold every factor once"):
        morris_effects(u, y, NAMES[:3], groups={"one": NAMES[:2]})
    with pytest.raises(AnalysisError, match="no row was trained twice"):
        morris_effects(u, y[..., :1], NAMES[:3])
