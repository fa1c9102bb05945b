"""What must hold of the full model whatever its numbers are."""

import numpy as np
import pytest
import torch

from vcm_sweep.device import CellParameters, current, integrate, rate, temperature

from ..reference import V_READ, V_RESET, V_SET, reference_displacement
from .test_full_current import log_uniform, one, study_cells, tensors, voltages

FUNCTIONS = {"current": current, "temperature": temperature, "rate": rate}


def draws(seed, count):
    rng = np.random.default_rng(seed)
    return voltages(rng, count), log_uniform(rng, 0.03, 19.0, count), study_cells(rng, count)


def full(function, v, n, cells):
    return function(torch.tensor(v), torch.tensor(n), tensors(cells), model="full")


@pytest.mark.parametrize("count", [8, *(pytest.param(n, marks=pytest.mark.slow) for n in (24, 120))])
def test_set_never_lowers_and_reset_never_raises(count):
    v, n, cells = draws(21, count)
    for duration in (1e-8, 1e-5):
        after = integrate(torch.tensor(n), torch.tensor(v), duration, tensors(cells), model="full").numpy()
        up = v < 0
        assert (after[up] >= n[up] * (1 - 1e-14)).all()
        assert (after[~up] <= n[~up] * (1 + 1e-14)).all()
        assert (after <= np.maximum(n, cells["N_max"]) * (1 + 1e-14)).all()
        assert (after >= np.minimum(n, cells["N_min"]) * (1 - 1e-14)).all()


@pytest.mark.parametrize("count", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_a_longer_pulse_moves_further(count):
    v, n, cells = draws(22, count)
    steps = [
        np.log(integrate(torch.tensor(n), torch.tensor(v), t, tensors(cells), model="full").numpy() / n) * -np.sign(v)
        for t in (1e-8, 1e-7)
    ]
    assert (np.diff(steps, axis=0) >= -1e-14).all()


@pytest.mark.parametrize("v", [V_READ, V_SET, V_RESET])
def test_current_grows_with_n(v):
    """A weight that falls while its cell is SET cannot be trained.

    At the nominal barrier: with phi_Bn0 - phi_n below about 15 meV the physics itself falls back (docs/physics.md).
    """
    cells = {name: values[:, None] for name, values in study_cells(np.random.default_rng(23), 40).items()}
    for name in ("phi_Bn0", "phi_n", "eps_phiB"):
        del cells[name]
    i = full(current, np.float64(v), np.geomspace(0.0104, 20.0, 1500), cells).abs()
    assert i.shape == (40, 1500)
    assert (i.diff(dim=1) > 0).all()


def test_current_grows_with_voltage_in_set():
    rng = np.random.default_rng(24)
    v = -np.concatenate([np.geomspace(1e-6, 1e-2, 50), np.linspace(0.011, 1.0, 500)])
    cells = {name: values[:, None] for name, values in study_cells(rng, 40).items()}
    i = full(current, v, log_uniform(rng, 0.03, 19.9, (40, 1)), cells).abs()
    assert (i.diff(dim=1) > 0).all()


def test_small_voltages_keep_their_digits():
    """1e-7 V and 1e-6 V see one conductance, as long as there is a barrier (without one, SET goes as |V|^1.5)."""
    n = torch.tensor([0.06, 0.3, 2.0], dtype=torch.float64)
    for sign, state in ((1, n), (-1, n[:1])):
        small, large = (current(sign * v, state, model="full") / (sign * v) for v in (1e-7, 1e-6))
        assert (small > 0).all()
        torch.testing.assert_close(small, large, rtol=1e-5, atol=0)


@pytest.mark.parametrize("v", [-0.02, 0.02])
@pytest.mark.parametrize("n", [0.06, 0.3241, 1.9])
def test_20_mv_moves_n_as_scipy_says(v, n):
    """Slow, but not zero: the difference of two nearly equal rates must keep its digits."""
    duration = 1e6  # s
    exact = reference_displacement(n, v, duration)
    assert abs(exact) > 1e-8
    moved = np.log(integrate(n, v, duration, model="full").item() / n)
    assert moved == pytest.approx(exact, rel=1e-5, abs=1e-15)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_order_and_neighbours_change_no_bit(name):
    v, n, cells = draws(25, 517)
    whole = full(FUNCTIONS[name], v, n, cells)
    order = np.random.default_rng(1).permutation(517)
    shuffled = full(FUNCTIONS[name], v[order], n[order], {key: x[order] for key, x in cells.items()})
    assert torch.equal(shuffled, whole[order])
    for part in (slice(0, 1), slice(3, 10), slice(500, 517)):
        alone = full(FUNCTIONS[name], v[part], n[part], {key: x[part] for key, x in cells.items()})
        assert torch.equal(alone, whole[part])


@pytest.mark.slow
def test_stacked_pulses_are_each_one_alone():
    v, n, cells = draws(26, 67)
    whole = integrate(torch.tensor(n), torch.tensor(v), 1e-7, tensors(cells), model="full")
    order = np.random.default_rng(2).permutation(67)
    mixed = {key: x[order] for key, x in cells.items()}
    assert torch.equal(integrate(torch.tensor(n[order]), torch.tensor(v[order]), 1e-7, tensors(mixed), model="full"),
                       whole[order])  # fmt: skip
    for k in (0, 31, 66):
        alone = integrate(float(n[k]), float(v[k]), 1e-7, CellParameters(**one(cells, k)), model="full")
        assert alone.item() == whole[k].item()


def test_no_voltage_no_current_no_motion():
    n = torch.tensor([0.008, 0.3, 20.0], dtype=torch.float64)
    for zero in (0.0, -0.0):
        assert (current(zero, n, model="full") == 0).all()
        assert (rate(zero, n, model="full") == 0).all()
        assert (temperature(zero, n, model="full") == 293.0).all()
        torch.testing.assert_close(integrate(n, zero, 1.0, model="full"), n, rtol=2e-15, atol=0)


def test_numbers_tensors_and_shapes():
    """Floats and float32 tensors are computed in double precision; every argument broadcasts."""
    for function in FUNCTIONS.values():
        alone = function(V_SET, 0.3, model="full")
        assert alone.dtype == torch.float64
        assert alone.shape == ()
        single = function(V_SET, torch.tensor([0.5], dtype=torch.float32), model="full")
        assert single.dtype == torch.float64
        assert single[0] == function(V_SET, 0.5, model="full")
        cells = CellParameters(r=torch.full((4, 1, 1), 4e-8))
        v, n = torch.tensor([[V_SET], [V_RESET]]), torch.tensor([0.1, 0.3, 1.0])
        assert function(v, n, cells, model="full").shape == (4, 2, 3)


def test_mirrored_parameters_leave_what_they_do_not_touch():
    """R_theff_scaling is of RESET alone, eps of SET alone, and hopping parameters leave the current alone."""
    n = torch.tensor([0.1, 1.0], dtype=torch.float64)
    assert torch.equal(current(V_SET, n, CellParameters(R_theff_scaling=0.5), model="full"),
                       current(V_SET, n, model="full"))  # fmt: skip
    assert torch.equal(current(V_RESET, n, CellParameters(eps=20.0), model="full"), current(V_RESET, n, model="full"))
    hopping = CellParameters(a=0.2e-9, nu_0=1e13, dW_A=1.2, N_min=0.01, N_max=25.0)
    for v in (V_SET, V_READ, V_RESET):
        assert torch.equal(current(v, n, hopping, model="full"), current(v, n, model="full"))
