"""Arrays that read each cell's own current (the full model), and the nominal cell's, against the scipy reference."""

import math

import numpy as np
import pytest
import torch

from vcm_sweep.device import CellParameters, Mismatch, Spread, Variability, Walk, Window

from ..arrays import array, fire, log_n, own, put, weights
from ..reference import (
    V_RESET,
    V_SET,
    reference_concentration,
    reference_displacement,
    reference_time,
    reference_weight,
)

GEOMETRY = Variability(d2d={"r": Spread(0.3, 0.3), "l": Spread(0.1, 0.3)})
N_LOW, N_HIGH = 0.06, 1.98974521274400865


def _cells_of(r, c2c=None, **kwargs):
    """One row of cells with the given radii, nm: the two ends of a spread and what is between."""
    clip = max(abs(x / 45 - 1) for x in r)
    cells = array(Variability(d2d={"r": Spread(0.1, clip)}, c2c=c2c or {}), 1, len(r), model="full", **kwargs)
    cells.base_r[0] = torch.tensor(r) * 1e-9
    cells._set_window()
    cells._views = None
    return cells


def test_a_weight_is_what_the_cells_own_current_reads():
    """Section 5: at N_low, N(w=0), N_high 40.5 nm reads -1.61, -0.25, +1.30, and 49.5 nm -1.38, +0.23, +1.67."""
    cells = _cells_of([40.5, 40.5, 40.5, 49.5, 49.5, 49.5])
    n = np.tile([N_LOW, reference_concentration(0.0), N_HIGH], 2)
    put(cells, np.log(n))
    np.testing.assert_allclose(weights(cells), [-1.61, -0.25, 1.30, -1.38, 0.23, 1.67], atol=0.006)
    np.testing.assert_allclose(weights(cells), reference_weight(n, own(cells, "r")), atol=1.5e-4)


@pytest.mark.parametrize("method", ["tabulated", "direct"])
def test_programmed_weights_are_those_of_the_cells_own_current(method):
    cells = array(GEOMETRY, 8, 8, model="full", method=method, parameters=CellParameters(N_max=2.0))
    target = torch.linspace(-1.4, 1.4, 64).view(1, 8, 8)
    cells.program(target)
    true = reference_weight(np.exp(log_n(cells)), own(cells, "r", "l"))
    np.testing.assert_allclose(weights(cells), true, atol=1.5e-4)
    asked, most = target.reshape(-1).numpy(), reference_weight(2.0, own(cells, "r", "l"))
    assert 1 < (most < asked).sum() < 32, "some cells cannot carry their weight"
    np.testing.assert_allclose(true, np.minimum(asked, most), atol=1.5e-4)


@pytest.mark.parametrize("method", ["tabulated", "direct"])
@pytest.mark.parametrize("direction", [1, -1])
def test_every_cell_stops_where_its_own_current_reads_the_windows_end(method, direction):
    """40.5 and 49.5 nm at +-1.5; 31.5 nm never reaches +1.5 and ends at its N_max."""
    radii = [31.5, 40.5, 45.0, 49.5]
    cells = _cells_of(radii, method=method)
    cells._pulses[0] = cells._pulses[0]._replace(pulse_s=1.0)
    for _ in range(3):
        fire(cells, direction, 31)
    n, p = np.exp(log_n(cells)), own(cells, "r")
    if direction < 0:
        np.testing.assert_allclose(reference_weight(n, p), -1.5, atol=1.5e-4)
    else:
        np.testing.assert_allclose(reference_weight(n, p)[1:], 1.5, atol=1.5e-4)
        assert n[0] == pytest.approx(20.0, rel=1e-6)
        assert reference_weight(n, p)[0] < 1.48
    np.testing.assert_allclose(weights(cells), reference_weight(n, p), atol=1.5e-4)
    assert cells.fraction_at_bound(0) == 1
    assert (cells.counters[0, 3] > 0).all()


def test_a_cell_that_only_its_n_max_stops_follows_a_walk_of_it():
    """31.5 nm never reads +1.5: it ends at the N_max that it has now, also where that has grown."""
    cells = _cells_of([31.5] * 100, {"N_max": Walk(direct=0.02, clip=0.1)}, pulse_s=1.0)
    for key in range(30):
        fire(cells, 1, key=key)
    assert (weights(cells) < 1.48).all()
    assert (np.exp(log_n(cells)) > 20.1).mean() > 0.05


def test_a_cell_at_another_ambient_temperature_stops_at_the_same_current():
    cells = array(out=1, inn=1, model="full", parameters=CellParameters(T_0=350.0), pulse_s=1.0)
    for direction in (1, -1):
        fire(cells, direction, 31)
        assert reference_weight(math.exp(log_n(cells)[0]), {"T_0": 350.0}) == pytest.approx(1.5 * direction, abs=1e-4)


def test_the_nominal_read_path_keeps_kinetics_apart_from_reading():
    cells = array(GEOMETRY, 8, 8, model="full", read_path="nominal")
    put(cells, np.random.default_rng(1).uniform(math.log(N_LOW), math.log(N_HIGH), 64))
    np.testing.assert_allclose(weights(cells), reference_weight(np.exp(log_n(cells))), atol=1.5e-4)
    before = log_n(cells)
    fire(cells, 1)
    moved = np.flatnonzero(log_n(cells) < math.log(N_HIGH) - 1e-9)
    assert len(moved) > 40
    p = {name: values[moved] for name, values in own(cells, "r", "l").items()}
    seconds = reference_time(np.exp(before[moved]), np.exp(log_n(cells)[moved]), V_SET, p)
    np.testing.assert_allclose(seconds, 1e-6, rtol=1e-3)
    cells._pulses[0] = cells._pulses[0]._replace(pulse_s=1e3)
    fire(cells, 1, 31)
    assert (log_n(cells) == math.log(N_HIGH)).all()


@pytest.mark.parametrize("read_path", ["cell", "nominal"])
def test_cells_with_windows_of_their_own_stop_there(read_path):
    spread = Variability(d2d={"r": Spread(0.05, 0.1)}, window=Window(Spread(0.1, 0.2), Spread(0.1, 0.2)))
    cells = array(spread, 6, 6, model="full", read_path=read_path, pulse_s=1.0)
    assert cells.w_low.std() > 0.05
    p = own(cells, "r") if read_path == "cell" else {}
    for direction, end in ((1, cells.w_high), (-1, cells.w_low)):
        fire(cells, direction, 31)
        np.testing.assert_allclose(reference_weight(np.exp(log_n(cells)), p), end[0].double().numpy(), atol=1.5e-4)
        cells.program(torch.full((1, 6, 6), 9.0 * direction))
        np.testing.assert_allclose(weights(cells), end[0].double().numpy(), atol=1e-6)


@pytest.mark.parametrize("method", ["tabulated", "direct"])
def test_asymmetry_of_the_nominal_cell_is_that_of_its_steps(method):
    """ln(0.0381 / 0.0248) at w = 0; a mismatch adds its own."""
    nominal = array(out=3, inn=3, model="full", method=method).asymmetry(0)
    assert nominal.shape == (9,)
    np.testing.assert_allclose(nominal, math.log(0.0381 / 0.0248), atol=0.005)
    shifted = array(Variability(mismatch=Mismatch(0.3, 0.2)), 3, 3, model="full", method=method)
    m = 2 * torch.log(shifted.boost[0].double())
    assert m.std() > 0.1
    # In the middle of the window half of a step's own change of the rate is left: 5 % of m.
    np.testing.assert_allclose(shifted.asymmetry(0) - nominal, m, rtol=0.06, atol=0.01)
    slow = array(Variability(mismatch=Mismatch(0.3, 0.2)), 3, 3, model="full", method=method, pulse_s=1e-9)
    gentle = array(out=3, inn=3, model="full", method=method, pulse_s=1e-9)
    np.testing.assert_allclose(slow.asymmetry(0) - gentle.asymmetry(0), m, atol=1e-3)


def test_asymmetry_of_cells_that_differ_is_the_references():
    cells = array(Variability(d2d={"r": Spread(0.05, 0.1), "l": Spread(0.1, 0.2)}), 3, 3, model="full", pulse_s=1e-8)
    found = cells.asymmetry(0).numpy()
    p = own(cells, "r", "l")
    for i in range(9):
        cell = {name: float(values[i]) for name, values in p.items()}
        n = reference_concentration(0.0, cell)
        steps = [math.exp(reference_displacement(n, v, 1e-8, cell)) for v in (V_SET, V_RESET)]
        up, down = (float(reference_weight(n * step, cell)) for step in steps)
        assert found[i] == pytest.approx(math.log(-down / up), abs=2e-3)
