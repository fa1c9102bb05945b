"""Gradients of the full model against finite differences of the reference: sensitivities must be the physics'."""

import numpy as np
import pytest
import torch

from vcm_sweep.device import CellParameters, current, rate

from ..reference import DEFAULTS, V_READ, V_RESET, V_SET, reference_current, reference_rate

# Off the kinks (phi_Bn = 0 at N = 0.105 in SET, 0.156 in RESET), where only one-sided derivatives exist.
POINTS = [(v, n) for v in (V_SET, V_RESET, V_READ, -0.02, -1.0, 0.9) for n in (0.05, 0.3, 1.5, 12.0)]
# A cell where every barrier parameter matters.
HIGH_BARRIER = {"phi_Bn0": 0.35, "phi_n": 0.12, "eps_phiB": 9.0, "r": 38e-9, "T_0": 320.0}


def log_current(v, n, p):
    return np.log(np.abs(reference_current(v, n, p)))


def log_rate(v, n, p):
    return np.log(np.abs(reference_rate(v, n, p)))


def slope(reference, v, n, overrides, name):
    """d reference / d ln name: central differences extrapolated once (Richardson), error of order h^4."""
    state = {"voltage_v": v, "n": n} | DEFAULTS | overrides

    def at(factor):
        values = state | {name: state[name] * factor}
        return reference(values.pop("voltage_v"), values.pop("n"), values)

    coarse, fine = ((at(1 + h) - at(1 - h)) / (2 * h) for h in (4e-4, 2e-4))
    return (4 * fine - coarse) / 3


def elasticities(function, v, n, overrides, names):
    """d ln|function| / d ln of each name, by autograd."""
    state = {"voltage_v": v, "n": n} | DEFAULTS | overrides
    leaves = {name: torch.tensor(state[name], dtype=torch.float64, requires_grad=True) for name in names}
    state |= leaves
    value = function(state.pop("voltage_v"), state.pop("n"), CellParameters(**state), model="full").abs().log()
    grads = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    return {
        name: 0.0 if grad is None else (grad * leaf).item()
        for (name, leaf), grad in zip(leaves.items(), grads, strict=True)
    }


pairs = pytest.mark.parametrize(
    ("ours", "reference"), [(current, log_current), (rate, log_rate)], ids=["current", "rate"]
)


@pytest.mark.parametrize("overrides", [{}, HIGH_BARRIER], ids=["nominal", "high barrier"])
@pairs
def test_gradient_to_every_parameter(ours, reference, overrides):
    for v, n in POINTS:
        got = elasticities(ours, v, n, overrides, list(DEFAULTS))
        assert any(abs(x) > 0.1 for x in got.values())
        for name, value in got.items():
            exact = slope(reference, v, n, overrides, name)
            assert value == pytest.approx(exact, rel=1e-6, abs=1e-7), (name, v, n)


@pairs
def test_gradient_to_the_state_and_the_voltage(ours, reference):
    for v, n in POINTS:
        for name, value in elasticities(ours, v, n, {}, ["n", "voltage_v"]).items():
            assert value == pytest.approx(slope(reference, v, n, {}, name), rel=1e-6, abs=1e-7), (name, v, n)


def test_gradients_of_many_cells_stay_apart():
    """One backward pass over an array gives each cell its own gradient."""
    r = torch.tensor([35e-9, 45e-9, 55e-9], dtype=torch.float64, requires_grad=True)
    current(V_READ, 0.3, CellParameters(r=r), model="full").log().sum().backward()
    exact = [slope(log_current, V_READ, 0.3, {"r": x}, "r") for x in r.tolist()]
    assert (r.grad * r).tolist() == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_a_cell_at_0_v_has_no_part_in_the_gradient_of_the_others(model):
    r = torch.tensor(45e-9, dtype=torch.float64, requires_grad=True)
    volts = torch.linspace(-0.4, 0.7, 12, dtype=torch.float64)

    def slope(volts):
        return torch.autograd.grad(rate(volts, 0.3, CellParameters(r=r), model=model).sum(), r)[0]

    still = volts.clone()
    still[3] = 0.0
    torch.testing.assert_close(slope(still), slope(volts[volts != volts[3]]))
    assert slope(torch.zeros(2, dtype=torch.float64)) == 0.0
