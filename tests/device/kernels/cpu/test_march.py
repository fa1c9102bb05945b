"""The tables and the closed-form march: what every training pulse goes through, against scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from vcm_sweep.device import CellParameters, DeviceError, Periphery, Spread, Variability, VCMDevice, integrate
from vcm_sweep.device.kernels.cpu.march import march
from vcm_sweep.device.kernels.cpu.stencil import at_stencil, fill_stencil, read_cubic, read_linear, scratch
from vcm_sweep.device.kernels.layout import Curve
from vcm_sweep.device.periphery import ReadMap
from vcm_sweep.device.tables.building import build_tables
from vcm_sweep.device.tables.tables import TOLERANCE

SET_V, RESET_V = -0.342, 0.7065
LOG_LOW, LOG_HIGH = math.log(0.06), math.log(1.98974521274400865)
LOG_MIN, LOG_MAX = math.log(0.008), math.log(20)
DIRECTIONS = {1: (SET_V, LOG_MAX), -1: (RESET_V, LOG_MIN)}
WIDE = VCMDevice(variability=Variability(d2d={"r": Spread(0.1, 0.3)}), periphery=Periphery(clamped=False))


@pytest.fixture(scope="module")
def wide():
    """Tables over the whole of [N_min, N_max] and the widest spread of the radius."""
    return build_tables(WIDE)


def located(tables, *values):
    """Stencil at the axes' values."""
    offsets, weights = scratch()
    return offsets, weights, fill_stencil(tables.axis_array, np.array(values, dtype=float), offsets, weights)


def run(tables, x, direction, seconds, r, stop=None, bound=None):
    c = tables.set if direction > 0 else tables.reset
    bound = DIRECTIONS[direction][1] if bound is None else bound
    stop = bound if stop is None else stop
    at = located(tables, *[r] * len(tables.axes))
    kink = at_stencil(c.kink, *at)
    curve = Curve(c.x_first, c.x_last, c.below, c.kink, c.values, c.power)
    return march(x, direction, seconds, curve, kink, *at, stop, bound)


def nodes(curves):
    """Nodes of x of a table without a kink."""
    assert curves.below == 0
    return np.linspace(curves.x_first, curves.x_last, len(curves.values))


@pytest.mark.parametrize("direction", [1, -1])
def test_pulse_agrees_with_scipy(wide, reference_cell, direction):
    """Step error <= 1e-3 for gentle cells, a pulse length within 1e-3 for those that avalanche."""
    rng = np.random.default_rng(5 + direction)
    v, _ = DIRECTIONS[direction]
    avalanches = 0
    for i in range(40):
        # Every third cell is fast, so that enough of them avalanche.
        x, r = rng.uniform(LOG_LOW, LOG_HIGH), rng.uniform(31.5e-9, 58.5e-9 if i % 3 else 38e-9)
        cell = reference_cell(r=r)
        end, unused = run(wide, x, direction, 1e-6, r)
        exact = cell.displacement(math.exp(x), v, 1e-6)
        assert unused == 0
        if abs(exact) > 0.4:
            avalanches += 1
            ends = sorted(cell.displacement(math.exp(x), v, 1e-6 * f) for f in (0.999, 1.001))
            assert ends[0] - 1e-9 <= end - x <= ends[1] + 1e-9
        else:
            # x keeps 16 digits: about 1e-15 absolute.
            assert end - x == pytest.approx(exact, rel=1e-3, abs=1e-15)
    assert avalanches >= 10


@pytest.mark.parametrize("seconds", [1e-7, 1e-6, 3e-5])
@pytest.mark.parametrize("direction", [1, -1])
def test_pulse_agrees_with_integrate_over_many_cells(wide, direction, seconds):
    """`integrate` is checked against scipy in test_integration; here it allows many cells."""
    rng = np.random.default_rng(11)
    count = 250
    x, r = rng.uniform(LOG_MIN + 1e-4, LOG_MAX - 1e-4, count), rng.uniform(31.5e-9, 58.5e-9, count)
    v, _ = DIRECTIONS[direction]
    cells = CellParameters(r=torch.tensor(r))
    start = torch.tensor(np.exp(x))
    exact, low, high = (np.log(integrate(start, v, seconds * f, cells).numpy()) - x for f in (1.0, 0.999, 1.001))
    got = np.array([run(wide, a, direction, seconds, b)[0] for a, b in zip(x, r, strict=True)]) - x
    gentle = np.abs(exact) <= 0.4
    # The logarithm of N keeps about 1e-15.
    assert (np.abs(got - exact)[gentle] <= 1e-3 * np.abs(exact)[gentle] + 2e-15).all()
    assert (got >= np.minimum(low, high) - 1e-9)[~gentle].all()
    assert (got <= np.maximum(low, high) + 1e-9)[~gentle].all()
    assert ((x + got) * direction <= DIRECTIONS[direction][1] * direction).all()
    assert (got * direction >= 0).all()


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("r", [31.5e-9, 38e-9])
def test_reaches_the_bound_and_never_passes_it(wide, direction, r):
    _, bound = DIRECTIONS[direction]
    end, unused = run(wide, math.log(0.3), direction, 1e6, r)
    assert unused == 0
    assert end == pytest.approx(bound, abs=1e-9)
    assert (bound - end) * direction >= 0


@pytest.mark.parametrize("direction", [1, -1])
def test_approach_to_the_bound_agrees_with_scipy(wide, reference_cell, direction):
    """F matters within a few ten per cent of N_min and N_max."""
    v, bound = DIRECTIONS[direction]
    cell = reference_cell(r=36e-9)
    for distance in (1.0, 0.3, 0.1, 0.01, 1e-4):
        n = math.exp(bound - direction * distance)
        seconds = 0.3 * distance * n / abs(cell.rate(v, n))
        exact = cell.displacement(n, v, seconds)
        end, _ = run(wide, bound - direction * distance, direction, seconds, 36e-9)
        assert end - (bound - direction * distance) == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("r", [40e-9, 45e-9, 52e-9])
def test_unused_time_at_a_window_stop(wide, reference_cell, direction, r):
    """A cell stops exactly at its window, and the time it took is scipy's quadrature of dx / rate."""
    v, _ = DIRECTIONS[direction]
    start, stop = (LOG_LOW, LOG_HIGH)[::direction]
    cell = reference_cell(r=r)
    needed, _ = quad(lambda x: math.exp(x) / abs(cell.rate(v, math.exp(x))), LOG_LOW, LOG_HIGH, limit=500, epsrel=1e-10)
    end, unused = run(wide, start, direction, 3 * needed, r, stop=stop)
    assert end == stop
    assert 3 * needed - unused == pytest.approx(needed, rel=1e-3)


def test_pulses_compose(wide):
    """n pulses are one of n times the length, also across nodes and to the bound."""
    for direction in (1, -1):
        for r in (33e-9, 40e-9, 45e-9):
            x = math.log(0.2)
            for _ in range(50):
                x, _ = run(wide, x, direction, 1e-6, r)
            assert x == pytest.approx(run(wide, math.log(0.2), direction, 5e-5, r)[0], abs=1e-8)


@pytest.mark.parametrize("direction", [1, -1])
def test_start_on_every_node_moves_on(wide, direction):
    for at in nodes(wide.set if direction > 0 else wide.reset)[1:-1]:
        for x in (at, np.nextafter(at, 9), np.nextafter(at, -9)):
            end, unused = run(wide, x, direction, 1e-6, 36e-9)
            assert (end - x) * direction > 0
            assert unused == 0


@pytest.mark.parametrize("direction", [1, -1])
def test_a_slow_cell_moves_by_the_right_amount(wide, reference_cell, direction):
    """58.5 nm at w = 1.45: a float32 state would freeze."""
    n = ReadMap().concentration(torch.tensor(1.45, dtype=torch.float64)).item()
    v, _ = DIRECTIONS[direction]
    end, _ = run(wide, math.log(n), direction, 1e-6, 58.5e-9)
    exact = reference_cell(r=58.5e-9).displacement(n, v, 1e-6)
    assert 0 < abs(exact) < 2.0**-23
    assert end - math.log(n) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("clip", [0.0, 0.1, 0.3])
def test_table_error_is_what_it_says(reference_cell, clip):
    p = {"nu_0": 3e12, "dW_A": 1.3}
    spread = {"r": Spread(0.1, clip)} if clip else {}
    tables = build_tables(VCMDevice(CellParameters(**p), Variability(d2d=spread)))
    assert tables.error <= TOLERANCE
    rng = np.random.default_rng(3)
    for _ in range(300):
        x, r = rng.uniform(LOG_LOW, LOG_HIGH), 45e-9 * rng.uniform(1 - clip, 1 + clip)
        cell = reference_cell(r=r, **p)
        at = located(tables, *[r] * len(tables.axes))
        for c, v in ((tables.set, SET_V), (tables.reset, RESET_V)):
            got = read_linear(c.values, c.x_first, at_stencil(c.kink, *at), c.x_last, c.below, x, *at)
            exact = abs(cell.bare_rate(v, math.exp(x))) / math.exp(x)
            assert math.exp(got) == pytest.approx(exact, rel=1.5 * tables.error)


def test_power_and_weight_tables(wide, reference_cell):
    cell = reference_cell()
    for c, v in ((wide.set, SET_V), (wide.reset, RESET_V)):
        expected = [abs(v * cell.current(v, math.exp(x))) for x in nodes(c)]
        np.testing.assert_allclose(c.power, np.broadcast_to(np.array(expected)[:, None], c.power.shape), rtol=1e-9)
    low, high = cell.current(0.2, 0.06), cell.current(0.2, math.exp(LOG_HIGH))
    c = wide.read
    for x in np.linspace(LOG_MIN, LOG_MAX, 997):
        got = read_cubic(c.values, c.x_first, c.kink, c.x_last, c.below, x, *scratch(), 1)
        assert got == pytest.approx(-1.5 + 3 * (cell.current(0.2, math.exp(x)) - low) / (high - low), abs=1e-4)


def test_impossible_ranges_are_refused():
    with pytest.raises(DeviceError, match=r"gamma.*clip"):
        build_tables(
            VCMDevice(CellParameters(mu_n=1e-6, r=20e-9), Variability(d2d={"r": Spread(0.3, 0.7)}), set_voltage_v=-1.5)
        )
