"""What is outside the model is computed and marked, by independent temperatures and rates."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from vcm_sweep.device import CellParameters, DeviceError, check_state, current, integrate, rate, temperature
from vcm_sweep.device.dynamics.integration import METHODS

SET_V, RESET_V = -0.342, 0.7065
DOUBLE = torch.float64


def course(cell, n, v, duration):
    """Highest temperature and shortest time constant along scipy's solution."""
    solution = solve_ivp(
        lambda _t, x: [cell.rate(v, math.exp(x[0])) / math.exp(x[0])],
        (0, duration),
        [math.log(n)],
        method="Radau",
        rtol=1e-9,
        atol=1e-12,
        first_step=1e-6 * duration,
        dense_output=True,
    )
    # The solver's own points, and four between each pair of them.
    fine = np.unique(np.concatenate([np.linspace(a, b, 5) for a, b in zip(solution.t, solution.t[1:], strict=False)]))
    states = np.exp(solution.sol(fine)[0])
    hottest = max(cell.temperature(v, x) for x in states)
    fastest = min(x / abs(rate) if (rate := cell.rate(v, x)) else math.inf for x in states)
    return hottest, fastest


def test_temperature_and_time_constant_have_their_limits():
    found = check_state(torch.tensor([300.0, 2001.0, 1999.0, math.nan]), torch.tensor([-math.inf, 5.0, 19.2, 1.0]))
    assert found.outside.tolist() == [False, True, True, True]
    assert found.worst_temperature_k == 2001.0
    assert found.fastest_switching_s == pytest.approx(math.exp(-19.2), rel=1e-6)
    assert math.exp(-19.2) < 5e-9 < math.exp(-19.1)
    assert not check_state(1999.0, 19.1).outside
    still = check_state(torch.tensor([293.0]), torch.tensor([-math.inf]))
    assert still.fastest_switching_s == math.inf


@pytest.mark.parametrize(
    ("n", "v", "cell"),
    [
        (0.3, SET_V, {}),
        (0.3, SET_V, {"r": 31.5e-9, "l": 0.28e-9}),
        (1.5, RESET_V, {"r": 31.5e-9}),
        (0.1, -0.6, {"r": 42e-9}),
    ],
)
@pytest.mark.parametrize("method", ["adaptive", "auto"])
def test_extremes_are_those_of_the_course(reference_cell, method, n, v, cell):
    hottest, fastest = course(reference_cell(**cell), n, v, 1e-6)
    after, validity = integrate(n, v, 1e-6, CellParameters(**cell), method=method, validity=True)
    assert torch.equal(after, integrate(n, v, 1e-6, CellParameters(**cell), method=method))
    # States are seen at the ends of steps only: each changes the rate by some per cent.
    loose = 0.05 if method == "adaptive" else 0.15
    assert validity.worst_temperature_k == pytest.approx(hottest, rel=0.2 * loose)
    assert validity.fastest_switching_s == pytest.approx(fastest, rel=loose)
    assert bool(validity.outside) == (hottest > 2000 or fastest < 5e-9)


def test_a_hot_cell_is_computed_and_marked(reference_cell):
    """Section 7: 0.8 V SET passes 2000 K; 1 V as well, and none is a NaN."""
    n = torch.tensor([0.06, 0.3, 1.9], dtype=DOUBLE)
    for v in (-0.8, -1.0):
        hottest, _ = course(reference_cell(), 0.06, v, 1e-9)
        assert hottest > 2000
        after, validity = integrate(n, v, 1e-9, validity=True)
        assert torch.isfinite(after).all()
        assert (after >= n).all()
        assert validity.worst_temperature_k > 2000
        assert validity.outside.all()
    cold, fine = integrate(n, SET_V, 1e-6, validity=True)
    assert not fine.outside.any()
    assert fine.outside.shape == cold.shape == (3,)


def test_only_the_cells_outside_are_marked():
    r = torch.tensor([[31.5e-9], [45e-9]], dtype=DOUBLE)
    n = torch.tensor([0.1, 0.5, 20.0], dtype=DOUBLE)
    _, validity = integrate(n, -0.5, 1e-6, CellParameters(r=r), validity=True)
    # 31.5 nm runs away; 45 nm does not, at half a volt; at N_max nothing moves, however hot.
    assert validity.outside.tolist() == [[True, True, False], [False, False, False]]


@pytest.mark.parametrize("method", METHODS)
def test_a_field_beyond_the_model_is_marked_where_asked(method):
    cells = CellParameters(r=torch.tensor([5e-9, 45e-9], dtype=DOUBLE), mu_n=1e-6)
    n = torch.tensor([0.01, 0.3], dtype=DOUBLE)
    steps = 4 if method == "rk4" else None
    after, validity = integrate(n, -1.5, 1e-12, cells, method=method, steps=steps, validity=True, on_invalid="record")
    assert torch.isfinite(after).all()
    assert after[0].item() == 0.01
    assert validity.outside[0]
    assert after[1].item() > 0.3
    with pytest.raises(DeviceError, match="1 of 2 cells"):
        integrate(n, -1.5, 1e-12, cells, method=method, steps=steps, validity=True)


def test_a_field_that_grows_beyond_the_model_stops_the_cell():
    """RESET raises the field as the current falls: the cell starts inside and ends where |gamma| = 1."""
    cell = CellParameters(l_cell=2e-9, a=1e-9, dW_A=0.8, N_min=1e-4)
    start, v = 5.0, 3.0
    after, validity = integrate(start, v, 1e-3, cell, validity=True, on_invalid="record")
    assert validity.outside
    assert 1e-4 < after.item() <= start


@pytest.mark.parametrize("model", ["explicit", "full"])
@pytest.mark.parametrize("quantity", [current, rate, temperature])
def test_validity_of_a_state_where_asked(reference_cell, quantity, model):
    n = torch.tensor([0.06, 0.3, 1.9], dtype=DOUBLE)
    v = torch.tensor([SET_V, -0.9, RESET_V], dtype=DOUBLE)
    value, validity = quantity(v, n, model=model, validity=True)
    assert torch.equal(value, quantity(v, n, model=model))
    assert validity.outside.tolist() == [False, True, False]
    if model == "explicit":
        cell = reference_cell()
        assert validity.worst_temperature_k == pytest.approx(cell.temperature(-0.9, 0.3), rel=1e-9)
        assert validity.fastest_switching_s == pytest.approx(0.3 / abs(cell.rate(-0.9, 0.3)), rel=1e-9)


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_a_rate_beyond_the_hopping_model_is_refused_or_marked(model):
    """Equation (9) by hand: |gamma| = z |E| a / (pi dW_A) with E = I R_disc / l, its disc without l, in SET."""
    r, a = torch.tensor([[5e-9, 45e-9], [1e-9, 0.25e-9]], dtype=DOUBLE)
    cells = CellParameters(r=r, a=a, mu_n=1e-6)
    n = torch.tensor([0.01, 0.3], dtype=DOUBLE)
    i = current(-1.5, n, cells, model=model)[0].abs().item()
    charge = 1.602e-19 if model == "explicit" else 1.602176634e-19
    field = i / (0.01e26 * 2 * charge * 1e-6 * math.pi * 25e-18)
    gamma = 2 * field * 1e-9 / (math.pi * 1.35)
    assert gamma > 1
    with pytest.raises(DeviceError, match=rf"1 of 2 cells are beyond it, the worst at {gamma:.3g}: .* validity = True"):
        rate(-1.5, n, cells, model=model)
    speed, validity = rate(-1.5, n, cells, model=model, validity=True)
    assert torch.isnan(speed).tolist() == [True, False]
    assert validity.outside[0]
    assert torch.isfinite(temperature(-1.5, n, cells, model=model)).all()


def test_a_temperature_below_zero_is_refused_or_marked(reference_cell):
    """The fit's current has the wrong sign at -1 V and N = 1e-6: that is no temperature, and no field's fault."""
    kelvin = reference_cell().temperature(-1.0, 1e-6)
    assert kelvin < 0
    message = rf"1 of 2 cells are not, the worst at {kelvin:.3g} K, .* validity = True"
    for quantity in (temperature, rate):
        with pytest.raises(DeviceError, match=message):
            quantity(-1.0, torch.tensor([1e-6, 0.3], dtype=DOUBLE))
    found, validity = temperature(-1.0, 1e-6, validity=True)
    assert found.item() == pytest.approx(kelvin, rel=1e-9)
    assert validity.outside
    with pytest.raises(DeviceError, match=r"above 0 K: 1 of 1 .* on_invalid = 'record'"):
        integrate(0.3, -5.0, 1e-6)
