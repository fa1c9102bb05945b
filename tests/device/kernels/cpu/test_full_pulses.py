"""Pulses of the full model, by tables and solved directly, against the scipy reference.

The state equation is autonomous: a pulse is right where the time that the reference needs for the way that the cell
went is the pulse's, to a thousandth. That is the relative error of a small step, and the backward error of an
avalanche.
"""

import math

import numpy as np
import pytest
import torch

from vcm_sweep.device import CellParameters, Mismatch, Periphery, PulseError, Spread, Variability, VCMDevice
from vcm_sweep.device.kernels.cpu.stencil import at_stencil, fill_stencil, read_cubic, read_linear, scratch
from vcm_sweep.device.periphery import ReadMap
from vcm_sweep.device.tables.axes import AMPLITUDE
from vcm_sweep.device.tables.building import build_tables
from vcm_sweep.device.tables.tables import TOLERANCE

from ...arrays import array, fire, log_n, own, put
from ...reference import (
    DEFAULTS,
    V_READ,
    V_RESET,
    V_SET,
    E,
    K,
    Problem,
    reference_concentration,
    reference_current,
    reference_displacement,
    reference_rate,
    reference_time,
    reference_weight,
)

LOG_LOW, LOG_HIGH = math.log(0.06), math.log(1.98974521274400865)
FREE = Periphery(clamped=False)
GEOMETRY = Variability(d2d={"r": Spread(0.3, 0.3), "l": Spread(0.3, 0.3)})
VOLTS = {1: V_SET, -1: V_RESET}


def _pulsed(variability, direction, method, names, cells=196, **device):
    """(x before, x after, the cells' parameters) of one pulse on cells drawn over the working window."""
    side = math.isqrt(cells)
    made = array(
        variability, side, side, model="full", periphery=FREE, **({"method": method} if method else {}), **device
    )
    put(made, np.random.default_rng(7).uniform(LOG_LOW, LOG_HIGH, side * side))
    before = log_n(made)
    fire(made, direction)
    return before, log_n(made), own(made, *names)


@pytest.mark.parametrize("method", ["tabulated", "direct"])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_pulse_lasts_as_long_as_the_reference_needs_for_its_way(direction, method):
    """31.5..58.5 nm and 0.28..0.52 nm, from cells that hardly move to avalanches of a factor of 20."""
    before, after, cells = _pulsed(GEOMETRY, direction, method, ("r", "l"))
    assert ((after - before) * direction > 0).all()
    way = np.abs(after - before)
    assert (way > 0.4).sum() > 20
    assert (way < 1e-5).sum() > 10
    seconds = reference_time(np.exp(before), np.exp(after), VOLTS[direction], cells)
    np.testing.assert_allclose(seconds / 1e-6, 1, rtol=0, atol=1e-3)


@pytest.mark.parametrize("direction", [1, -1])
def test_other_parameters_that_spread_act_as_in_the_reference(direction):
    varied = {"dW_A": Spread(0.02, 0.1), "R_TiOx": Spread(0.3, 0.5), "nu_0": Spread(0.3, 0.5)}
    before, after, cells = _pulsed(Variability(d2d=varied), direction, "tabulated", ("dW_A", "R_TiOx"))
    made = array(Variability(d2d=varied), 14, 14, model="full", periphery=FREE)
    factor = made.rate[0].double().numpy()
    assert np.std(np.log(factor)) == pytest.approx(0.3, rel=0.25)
    seconds = reference_time(np.exp(before), np.exp(after), VOLTS[direction], cells)
    np.testing.assert_allclose(seconds / factor / 1e-6, 1, rtol=0, atol=1e-3)


@pytest.mark.parametrize("direction", [1, -1])
def test_five_parameters_that_spread_are_solved_directly(direction):
    names = ("r", "l", "R_TiOx", "dW_A", "nu_0")
    variability = Variability(d2d={name: Spread(0.02, 0.05) for name in names})
    before, after, cells = _pulsed(variability, direction, "", names, cells=100)
    assert array(variability, model="full")._tables == [None]
    seconds = reference_time(np.exp(before), np.exp(after), VOLTS[direction], cells)
    np.testing.assert_allclose(seconds / 1e-6, 1, rtol=0, atol=1e-3)


@pytest.mark.parametrize("direction", [1, -1])
def test_tables_and_equations_agree_for_many_pulses(direction):
    """To a thousandth of the way; both start from the same cells."""
    variability = Variability(d2d={"r": Spread(0.05, 0.1), "l": Spread(0.1, 0.2)}, mismatch=Mismatch(0.2, 0.3))
    ways = []
    for method in ("tabulated", "direct"):
        cells = array(variability, 10, 10, model="full", method=method, periphery=FREE)
        put(cells, np.random.default_rng(3).uniform(LOG_LOW, LOG_HIGH, 100))
        before = log_n(cells)
        fire(cells, direction, 31)
        ways.append(log_n(cells) - before)
    small = np.abs(ways[1]) < 0.2
    assert small.sum() > 30
    np.testing.assert_allclose(ways[0][small], ways[1][small], rtol=1e-3)
    np.testing.assert_allclose(ways[0], ways[1], rtol=5e-3)


@pytest.mark.parametrize("method", ["tabulated", "direct"])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_slow_cell_moves_with_every_pulse(direction, method):
    """58.5 nm at w = 1.45: a step is far below the last bit of a float32."""
    slow = CellParameters(r=58.5e-9)
    cells = array(out=1, inn=1, model="full", method=method, parameters=slow)
    cells.program(torch.full((1, 1, 1), 1.45))
    start = log_n(cells)[0]
    step = reference_displacement(math.exp(start), VOLTS[direction], 1e-6, {"r": 58.5e-9})
    assert 0 < abs(step) < 2.0**-24 * abs(start)
    seen = [start]
    for _ in range(20):
        fire(cells, direction)
        seen.append(log_n(cells)[0])
    steps = np.diff(seen)
    assert (steps * direction > 0).all()
    np.testing.assert_allclose(steps, step, rtol=1e-3, atol=4e-16)


TABLES = {
    "nominal": Variability(),
    "r, l": GEOMETRY,
    "dW_A, R_TiOx": Variability(d2d={"dW_A": Spread(0.02, 0.1), "R_TiOx": Spread(0.2, 0.5)}),
    "phi_Bn0": Variability(d2d={"phi_Bn0": Spread(0.05, 0.2)}),
    "r, amplitude": Variability(d2d={"r": Spread(0.05, 0.1)}, pulse=PulseError(amplitude=0.02)),
}


def _located(tables, values):
    offsets, weights = scratch()
    return offsets, weights, fill_stencil(tables.axis_array, np.array(values), offsets, weights)


@pytest.mark.parametrize("name", TABLES)
def test_the_error_that_tables_state_holds_at_fresh_points(name):
    tables = build_tables(VCMDevice(variability=TABLES[name], model="full"))
    assert tables.error <= TOLERANCE
    rng, count = np.random.default_rng(99), 400
    points = {axis.name: rng.uniform(axis.first, axis.last, count) for axis in tables.axes}
    cells = {key: value for key, value in points.items() if key != AMPLITUDE}
    factor = points.get(AMPLITUDE, np.ones(count))
    at = [_located(tables, [points[axis.name][i] for axis in tables.axes]) for i in range(count)]
    for c, v in ((tables.set, V_SET), (tables.reset, V_RESET)):
        x = rng.uniform(c.x_first, c.x_last, count)
        table = [
            read_linear(c.values, c.x_first, at_stencil(c.kink, *at[i]), c.x_last, c.below, x[i], *at[i])
            for i in range(count)
        ]
        exact = np.abs(reference_rate(v * factor, np.exp(x), cells, bounded=False)) / np.exp(x)
        worst = np.abs(np.exp(table) / exact - 1).max()
        assert worst <= 1.5 * c.error
        assert worst >= 0.2 * c.error, "the stated error is of these tables"
        power = [
            read_linear(c.power, c.x_first, at_stencil(c.kink, *at[i]), c.x_last, c.below, x[i], *at[i])
            for i in range(count)
        ]
        expected = np.abs(v * factor * reference_current(v * factor, np.exp(x), cells))
        np.testing.assert_allclose(power, expected, rtol=1e-3)
    c = tables.read
    x = rng.uniform(c.x_first, c.x_last, count)
    weight = [read_cubic(c.values, c.x_first, c.kink, c.x_last, c.below, x[i], *at[i]) for i in range(count)]
    assert np.abs(weight - reference_weight(np.exp(x), cells)).max() <= 1.5 * c.error + 1e-9


def _barrier(v, n, cell):
    """phi_Bn of (19), before it is cut at 0."""
    problem = Problem(v, n, cell)
    i = np.abs(reference_current(v, n, cell))
    u = np.abs(v) - i * (problem.linear + problem.cubic * i**2)
    psi = problem.edge + np.where(problem.set, u, -u)
    return problem.p["phi_Bn0"] - problem.lowering * np.maximum(psi, 0) ** 0.25


@pytest.mark.parametrize("name", ["nominal", "r, l", "phi_Bn0"])
def test_a_node_stands_where_the_barrier_vanishes(name):
    tables = build_tables(VCMDevice(variability=TABLES[name], model="full"))
    mesh = np.meshgrid(*(axis.nodes().numpy() for axis in tables.axes), indexing="ij")
    cells = {axis.name: values.ravel() for axis, values in zip(tables.axes, mesh, strict=True)}
    for c, v in ((tables.set, V_SET), (tables.reset, V_RESET), (tables.read, V_READ)):
        assert 0 < c.below < len(c.values) - 1
        below, above = (_barrier(v, np.exp(c.kink + shift), cells) for shift in (-1e-5, 1e-5))
        assert (below > 0).all()
        assert (above < 0).all()


def test_nominal_kinks_are_where_the_notes_say():
    """Section 7: N = 0.090..0.115 in SET, 0.154..0.158 in RESET."""
    tables = build_tables(VCMDevice(variability=GEOMETRY, model="full"))
    assert 0.088 < math.exp(tables.set.kink.min()) < math.exp(tables.set.kink.max()) < 0.117
    assert 0.152 < math.exp(tables.reset.kink.min()) < math.exp(tables.reset.kink.max()) < 0.160


@pytest.mark.parametrize(("direction", "pulses"), [(1, 9174), (-1, 7902)])
def test_counted_pulses_cross_the_window_of_the_full_model(direction, pulses):
    cells = array(out=1, inn=1, model="full")
    cells.program(torch.full((1, 1, 1), -1.5 * direction))
    for _ in range(200):
        fire(cells, direction, 64)
    assert cells.counters[0, 0 if direction > 0 else 1].item() == pytest.approx(pulses, abs=5)


def test_steps_of_the_nominal_cell_are_those_of_the_notes():
    """Section 5, to its two digits."""
    for w, up, down in ((-1.45, 5.0e-5, 4.5e-5), (0.0, 0.0248, 0.0381), (1.45, 2.9e-5, 4.0e-5)):
        for direction, step in ((1, up), (-1, down)):
            cells = array(out=1, inn=1, model="full")
            cells.program(torch.full((1, 1, 1), w))
            before = ReadMap(model="full").weight(torch.exp(cells.log_n)).item()
            fire(cells, direction)
            after = ReadMap(model="full").weight(torch.exp(cells.log_n)).item()
            assert abs(after - before) == pytest.approx(step, rel=0.015)


@pytest.mark.parametrize("method", ["tabulated", "direct"])
@pytest.mark.parametrize("direction", [1, -1])
def test_energy_is_voltage_times_current_times_time(direction, method):
    """Gentle cells, for which the current of the whole pulse is that of its middle."""
    cells = array(
        Variability(d2d={"r": Spread(0.05, 0.1)}, mismatch=Mismatch(0.5)), 5, 5, model="full", method=method,
        parameters=CellParameters(r=50e-9),
    )  # fmt: skip
    cells.program(torch.linspace(-1.2, 1.2, 25).view(1, 5, 5))
    before = log_n(cells)
    fire(cells, direction, 4)
    after = log_n(cells)
    assert 1e-6 < np.abs(after - before).max() < 0.4
    middle = np.exp(0.5 * (before + after))
    v = VOLTS[direction]
    energy = (v * reference_current(v, middle, own(cells, "r"))).sum() * 4e-6
    assert cells.counters[0, 2].item() == pytest.approx(energy, rel=1e-3)


def test_reference_constants_are_those_of_the_package():
    """So that agreement above is of the physics."""
    from vcm_sweep.device.physics.constants import CODATA_2018

    np.testing.assert_allclose(CODATA_2018, (E, K / E), rtol=1e-9)
    assert {name: getattr(CellParameters(), name) for name in CellParameters.names()} == DEFAULTS
    assert reference_concentration(0.0) == pytest.approx(0.3241, abs=1e-4)
