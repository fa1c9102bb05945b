"""Temperature and rate against equations (1-11) written out anew, and the published elasticities."""

import numpy as np
import pytest
import torch

from vcm_sweep.device import CellParameters, DeviceError, rate, temperature
from vcm_sweep.device.periphery import ReadMap

SET_V, RESET_V = -0.342, 0.7065


def random_cells(rng, count):
    return {
        "r": rng.uniform(31.5e-9, 58.5e-9, count),
        "l": rng.uniform(0.28e-9, 0.52e-9, count),
        "N_min": rng.uniform(0.004, 0.016, count),
        "N_max": rng.uniform(14, 26, count),
        "T_0": rng.uniform(270, 350, count),
        "R_th0": rng.uniform(10e6, 16e6, count),
        "a": rng.uniform(0.2e-9, 0.3e-9, count),
        "nu_0": rng.uniform(1e12, 1e14, count),
        "dW_A": rng.uniform(1.2, 1.5, count),
        "mu_n": rng.uniform(2e-6, 8e-6, count),
        "N_plug": rng.uniform(5, 50, count),
        "l_cell": rng.uniform(2e-9, 5e-9, count),
    }


@pytest.mark.parametrize("direction", [-1, 1])
def test_rate_and_temperature_agree_with_the_equations(reference_cell, direction):
    rng = np.random.default_rng(1)
    cells = random_cells(rng, 300)
    n = np.exp(rng.uniform(np.log(0.02), np.log(13), 300))
    v = direction * rng.uniform(0.05, 0.5 if direction < 0 else 0.9, 300)
    parameters = CellParameters(**{k: torch.tensor(x) for k, x in cells.items()})
    t = temperature(torch.tensor(v), torch.tensor(n), parameters).numpy()
    dn = rate(torch.tensor(v), torch.tensor(n), parameters).numpy()
    for i in range(300):
        cell = reference_cell(**{k: float(x[i]) for k, x in cells.items()})
        assert t[i] == pytest.approx(cell.temperature(v[i], n[i]), rel=1e-12)
        assert dn[i] == pytest.approx(cell.rate(v[i], n[i]), rel=1e-9)


def test_signs():
    assert rate(SET_V, 0.3) > 0 > rate(RESET_V, 0.3)
    assert rate(0.0, 0.3) == 0


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_no_motion_past_a_bound_in_its_own_direction(factor):
    assert rate(SET_V, 20.0 * factor) == 0
    assert rate(RESET_V, 0.008 / factor) == 0
    assert rate(RESET_V, 20.0 * factor) < 0
    assert rate(SET_V, 0.008 / factor) > 0


def test_bound_factor_close_to_the_bound():
    """F = 1 - (N/N_max)^10."""
    far = CellParameters(N_max=1000.0)
    assert (rate(SET_V, 19.0) / rate(SET_V, 19.0, far)).item() == pytest.approx(1 - (19 / 20) ** 10, rel=1e-12)
    low = CellParameters(N_min=1e-4)
    assert (rate(RESET_V, 0.009) / rate(RESET_V, 0.009, low)).item() == pytest.approx(1 - (8 / 9) ** 10, rel=1e-9)


def test_small_field_does_not_cancel():
    """The two exponentials of equation (1) are equal to 1e-12 at microvolts; the rate is linear there."""
    ratio = rate(2e-7, 0.3) / rate(1e-7, 0.3)
    assert ratio.item() == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("v", [SET_V, RESET_V])
@pytest.mark.parametrize("n", [0.1, 0.5, 1.5])
def test_published_elasticities_of_the_explicit_model(v, n):
    def elasticity(name):
        x = getattr(CellParameters(), name)
        up, down = (rate(v, n, CellParameters(**{name: x * f})).abs().log() for f in (1.001, 1 / 1.001))
        return ((up - down) / (2 * np.log(1.001))).item()

    assert -30.5 <= elasticity("r") <= -23.5
    assert elasticity("l") == pytest.approx(-1, abs=1e-6)
    assert elasticity("nu_0") == pytest.approx(1, abs=1e-6)
    assert -33 <= elasticity("dW_A") <= -22
    assert abs(elasticity("phi_Bn0")) < 1e-9


@pytest.mark.parametrize(
    ("change", "speed", "mismatch"),
    [
        ({"r": 0.9}, 2.77, -0.37),
        ({"r": 1.1}, -2.56, 0.30),
        ({"r": 0.7}, 8.8, -1.37),
        ({"l": 0.9}, 0.11, 0.0),
        ({"l": 1.1}, -0.10, 0.0),
        ({"l": 0.7}, 0.36, 0.0),
    ],
)
def test_published_effect_of_geometry_at_weight_zero(change, speed, mismatch):
    """Section 5: ln speed (geometric mean of SET and RESET) and ln(RESET/SET) against the nominal cell."""
    n = ReadMap().concentration(torch.tensor(0.0, dtype=torch.float64))
    (name, factor), nominal = *change.items(), CellParameters()
    cell = nominal.replace(**{name: getattr(nominal, name) * factor})
    d_set = (rate(SET_V, n, cell) / rate(SET_V, n)).log().item()
    d_reset = (rate(RESET_V, n, cell) / rate(RESET_V, n)).log().item()
    assert 0.5 * (d_set + d_reset) == pytest.approx(speed, abs=0.05 if abs(speed) > 5 else 0.006)
    assert d_reset - d_set == pytest.approx(mismatch, abs=0.006)


def test_bad_state_is_refused():
    with pytest.raises(DeviceError, match="voltage_v"):
        rate(float("nan"), 0.3)
    with pytest.raises(DeviceError, match="n = 0 must"):
        temperature(0.2, 0.0)
