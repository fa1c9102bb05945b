"""Gradients of the full model against finite differences of the reference: sensitivities must be the physics'."""

import numpy as np
import pytest
import torch

from vcm_sweep.device import CellParameters, current, rate

from ._reference import DEFAULTS, V_READ, V_RESET, V_SET, reference_current, reference_rate

# Off the kinks (phi_Bn = 0 at N = 0.105 in SET, 0.156 in RESET), where only one-sided derivatives exist.
POINTS = [(v, n) for v in (V_SET, V_RESET, V_READ, -0.02, -1.0, 0.9) for n in (0.05, 0.3, 1.5, 12.0)]
# A cell where every barrier parameter matters.
HIGH_BARRIER = {"phi_Bn0": 0.35, "phi_n": 0.12, "eps_phiB": 9.0, "r": 38e-9, "T_0": 320.0}


def log_current(v, n, p):
    return np.log(np.abs(reference_current(v, n, p)))


def log_rate(v, n, p):
    return np.log(np.abs(reference_rate(v, n, p)))


def slope(function, x):
    """Central differences extrapolated once (Richardson): error of order h^4."""
    coarse, fine = ((function(x * (1 + h)) - function(x * (1 - h))) / (2 * h) for h in (4e-4, 2e-4))
    return (4 * fine - coarse) / 3


def elasticities(function, v, n, overrides, names):
    """d ln|function| / d ln of each name, by autograd."""
    leaves = {
        name: torch.tensor((DEFAULTS | overrides).get(name, {"n": n, "voltage_v": v}.get(name)), dtype=torch.float64,
                           requires_grad=True)
        for name in names
    }  # fmt: skip
    cell = CellParameters(**{**overrides, **{k: x for k, x in leaves.items() if k in DEFAULTS}})
    value = function(leaves.get("voltage_v", v), leaves.get("n", n), cell, model="full").abs().log()
    grads = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    return {
        name: 0.0 if grad is None else (grad * leaves[name]).item()
        for name, grad in zip(names, grads, strict=True)
    }  # fmt: skip


@pytest.mark.parametrize("overrides", [{}, HIGH_BARRIER], ids=["nominal", "high barrier"])
@pytest.mark.parametrize(("ours", "reference"), [(current, log_current), (rate, log_rate)], ids=["current", "rate"])
def test_gradient_to_every_parameter(ours, reference, overrides):
    for v, n in POINTS:
        got = elasticities(ours, v, n, overrides, list(DEFAULTS))
        assert any(abs(x) > 0.1 for x in got.values())
        for name, x in (DEFAULTS | overrides).items():
            exact = slope(lambda y, name=name: reference(v, n, overrides | {name: y}), x)
            assert got[name] == pytest.approx(exact, rel=1e-6, abs=1e-7), (name, v, n)


@pytest.mark.parametrize(("ours", "reference"), [(current, log_current), (rate, log_rate)], ids=["current", "rate"])
def test_gradient_to_the_state_and_the_voltage(ours, reference):
    for v, n in POINTS:
        got = elasticities(ours, v, n, {}, ["n", "voltage_v"])
        assert got["n"] == pytest.approx(slope(lambda x: reference(v, x, {}), n), rel=1e-6, abs=1e-7), (v, n)
        assert got["voltage_v"] == pytest.approx(slope(lambda x: reference(x, n, {}), v), rel=1e-6, abs=1e-7), (v, n)


def test_gradients_of_many_cells_stay_apart():
    """One backward pass over an array gives each cell its own gradient."""
    r = torch.tensor([35e-9, 45e-9, 55e-9], dtype=torch.float64, requires_grad=True)
    current(V_READ, 0.3, CellParameters(r=r), model="full").log().sum().backward()
    exact = [slope(lambda x: log_current(V_READ, 0.3, {"r": x}), x) for x in r.tolist()]
    assert (r.grad * r).tolist() == pytest.approx(exact, rel=1e-6)
