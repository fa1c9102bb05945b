"""Compiled: the readings of all cells of an array, the N at which each reads a given weight, and what a pulse does."""

import math

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.cpu.lanes.euler import euler_alone
from vcm_sweep.device.kernels.cpu.lanes.rows import AMPLITUDE, AT, CURRENT, CURRENT_X, LANES, NOMINAL, SMALL, VOLTAGE
from vcm_sweep.device.kernels.cpu.lanes.solution import gather, solve_lanes
from vcm_sweep.device.kernels.cpu.pulse import free_pulse
from vcm_sweep.device.kernels.cpu.reading import find_weight, first_guess, locate, of_cell, read_weight
from vcm_sweep.device.kernels.layout import LENGTH, N_MAX, N_MIN, RADIUS
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V

_ROUNDS = 12  # of Newton's method in lanes; what is not found by then is looked for alone


@inlined
def _located(cells, cell, physics, scratch):
    r, length = np.float64(of_cell(cells.walked[RADIUS], cell)), np.float64(of_cell(cells.walked[LENGTH], cell))
    return locate(cells, cell, physics, 1.0, r, length, scratch)


@inlined
def _gather(first, count, cells, physics, rows):
    """Put cells into the first ``count`` lanes, to be read."""
    for lane in range(count):
        gather(rows, lane, cells, first + lane, physics)
        rows[VOLTAGE * LANES + lane], rows[AMPLITUDE * LANES + lane] = READ_VOLTAGE_V, 0.0


@kernel
def read_cells(cells, physics, scratch, rows):
    """Write the weights of all cells, from their ln N. rows: see rows.py; not used with tables."""
    base = 0 if physics.reads_cell else NOMINAL
    for first in range(0, cells.log_n.shape[0], LANES):
        count = min(LANES, cells.log_n.shape[0] - first)
        if physics.direct:
            _gather(first, count, cells, physics, rows)
            for lane in range(count):
                rows[AT * LANES + lane] = cells.log_n[first + lane]
            solve_lanes(count, rows, 2, physics.full, base, physics.starts)
        for lane in range(count):
            cell = first + lane
            if physics.direct and rows[SMALL * LANES + lane] > 0.0:
                cells.weight[cell] = physics.w_dark + physics.w_slope * rows[CURRENT * LANES + lane]
            else:
                cells.weight[cell] = read_weight(
                    cells.log_n[cell], physics, _located(cells, cell, physics, scratch), scratch
                )


@kernel
def solve_cells(cells, physics, scratch, rows, target, low, high, out):
    """Write into ``out`` the ln N, within [low, high], at which each cell reads ``target``.

    Arrays of length 1 hold one value for all cells. rows: see rows.py; not used with tables.
    """
    # Cells that differ in nothing have one answer for all that are to read the same.
    alike = not physics.direct and physics.axes.shape[0] == 0
    known_w = known_a = known_b = known_x = math.nan
    for first in range(0, out.shape[0], LANES):
        count = min(LANES, out.shape[0] - first)
        if physics.direct:
            _find_in_lanes(first, count, cells, physics, rows, target, low, high, out)
        for lane in range(count):
            cell = first + lane
            a, b = np.float64(of_cell(low, cell)), np.float64(of_cell(high, cell))
            x = out[cell]
            if not physics.direct or x != x:
                wanted = np.float64(of_cell(target, cell))
                if alike and wanted == known_w and a == known_a and b == known_b:
                    x = known_x
                else:
                    found = _located(cells, cell, physics, scratch)
                    x = find_weight(wanted, a, b, first_guess(wanted, physics), physics, found, scratch)
                    known_w, known_a, known_b, known_x = wanted, a, b, x
            if x - a < 1e-12:
                x = a
            elif b - x < 1e-12:
                x = b
            out[cell] = x


@kernel
def _find_in_lanes(first, count, cells, physics, rows, target, low, high, out):
    """Write ln N of the cells that lanes find, NaN for others."""
    base = 0 if physics.reads_cell else NOMINAL
    _gather(first, count, cells, physics, rows)
    for lane in range(count):
        a, b = np.float64(of_cell(low, first + lane)), np.float64(of_cell(high, first + lane))
        guess = first_guess(np.float64(of_cell(target, first + lane)), physics)
        rows[AT * LANES + lane] = min(max(guess, a), b)
        out[first + lane] = math.nan
    for _ in range(_ROUNDS):
        solve_lanes(count, rows, 2, physics.full, base, physics.starts)
        under_way = 0
        for lane in range(count):
            cell = first + lane
            if out[cell] == out[cell] or not rows[SMALL * LANES + lane] > 0.0:
                continue
            a, b = np.float64(of_cell(low, cell)), np.float64(of_cell(high, cell))
            x, i = rows[AT * LANES + lane], rows[CURRENT * LANES + lane]
            gap = physics.w_dark + physics.w_slope * i - np.float64(of_cell(target, cell))
            new = x - gap / (physics.w_slope * i * rows[CURRENT_X * LANES + lane])
            # An end is the answer where the step leads beyond it from the end itself.
            new = min(max(new, a), b)
            if abs(new - x) <= 1e-7:
                out[cell] = new
            else:
                under_way += 1
            rows[AT * LANES + lane] = new
        if under_way == 0:
            return


@inlined
def _stepped(x, direction, cells, cell, physics, pulses, scratch):
    """ln N of a located cell after Euler's steps of a pulse that no window stops."""
    rate, boost = np.float64(of_cell(cells.rate, cell)), np.float64(of_cell(cells.boost, cell))
    is_set = direction > 0
    time, v = (rate / boost, physics.v_set) if is_set else (rate * boost, physics.v_reset)
    low, high = np.float64(of_cell(cells.walked[N_MIN], cell)), np.float64(of_cell(cells.walked[N_MAX], cell))
    time *= pulses.pulse_s
    return euler_alone(x, is_set, time, v, low, high, pulses.steps, pulses.kept, scratch.parameters)


@kernel
def step_cells(cells, physics, pulses, scratch, x, chosen, out):
    """Weights of the chosen cells at ln N ``x`` (of all cells), after one SET, and after one RESET pulse from there.

    Without noise, window or counting; out: (3, chosen).
    """
    for i in range(chosen.shape[0]):
        cell = chosen[i]
        r, length = np.float64(of_cell(cells.walked[RADIUS], cell)), np.float64(of_cell(cells.walked[LENGTH], cell))
        count = locate(cells, cell, physics, 1.0, r, length, scratch)
        out[0, i] = read_weight(x[cell], physics, count, scratch)
        for row in range(1, 3):
            direction = 1 if row == 1 else -1
            if pulses.steps > 0:
                after = _stepped(x[cell], direction, cells, cell, physics, pulses, scratch)
            else:
                after, _, count = free_pulse(
                    x[cell], direction, cells, cell, physics, pulses.pulse_s, 1.0, r, length, scratch
                )
            out[row, i] = read_weight(after, physics, count, scratch)
