"""Shares of variance that go through mismatch, from two studies of known outputs."""

from dataclasses import replace

import numpy as np
import pytest

from vcm_sweep.analysis import variance_mediation

from ..synthetic import SyntheticFactor, SyntheticResults, saltelli_sobol, synthetic_design, synthetic_study


@pytest.mark.parametrize("grouped", [True, False])
def test_shares_of_variance_are_those_of_groups_and_of_nested_trainings(grouped: bool) -> None:
    """The matched study has none of a and b; of arrays with two trainings each the array's luck is no factor's."""
    base, names = 512, ("a", "b", "c")
    design = {"groups": {"ab": ("a", "b")}, "replicates": 2} if grouped else {"replicates": 4, "trainings": 2}
    study = synthetic_study(tuple(map(SyntheticFactor, names)), design=synthetic_design("sobol", n=base, **design))
    u = saltelli_sobol(base, 3, 1, groups=["ab", "ab", "c"]) if grouped else saltelli_sobol(base, 3, 1)
    rng = np.random.default_rng(1)

    def results(kind: str, a: float) -> SyntheticResults:
        mean = 0.5 + a * u[..., 0] + 0.5 * a * u[..., 1] + 0.02 * u[..., 2]
        luck = rng.normal(0.0, 0.02, (*mean.shape, 2))
        y = mean[..., None] + (luck if grouped else luck.repeat(2, axis=-1) + rng.normal(0.0, 0.005, (*mean.shape, 4)))
        device = {**study.device, **({"intervention": {"kind": kind}} if kind else {})}
        return SyntheticResults(replace(study, device=device), u, y)

    found = {one.factor: one for one in variance_mediation(results("", 0.2), results("matched", 0.0))}
    truth = {"ab": (0.2**2 + 0.1**2) / 12} if grouped else {"a": 0.2**2 / 12, "b": 0.1**2 / 12}
    assert list(found) == [*truth, "c"]
    for name, variance in truth.items():
        assert found[name].total.low <= variance <= found[name].total.high
        assert found[name].share.low <= 1.0 <= found[name].share.high
