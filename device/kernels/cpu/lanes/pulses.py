"""Compiled: sixteen cells at once through the pulses of one direction, where the equations are solved.

The cells of both blocks are different ones, so their order does not matter, and each draws from a stream of its own.
Nor does it matter, to 1e-4 of a cell's way, which cells share a block: where only a few fast cells are left, they are
followed one by one.
"""

import math

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.cpu.equations import L, R, magnitude
from vcm_sweep.device.kernels.cpu.lanes.euler import euler_ways
from vcm_sweep.device.kernels.cpu.lanes.rows import (
    AFTER,
    AMPLITUDE,
    AT,
    BEFORE,
    BEND,
    BOUND,
    CURRENT,
    HIGHEST,
    LANES,
    LASTS,
    LIMIT,
    LOWEST,
    NOMINAL,
    POWER,
    SECONDS,
    SMALL,
    STOP,
    TIME,
    VOLTAGE,
    X,
)
from vcm_sweep.device.kernels.cpu.lanes.solution import gather, rates_in_lanes, solve_lanes
from vcm_sweep.device.kernels.cpu.lanes.ways import ALONE, long_ways, set_out, short_ways
from vcm_sweep.device.kernels.cpu.pulse import after_pulse, back_to_window, begin_pulse, end_pulse, shape_of
from vcm_sweep.device.kernels.cpu.reading import of_cell
from vcm_sweep.device.kernels.cpu.starts import bend_at
from vcm_sweep.device.kernels.cpu.strides import along_equations
from vcm_sweep.device.kernels.layout import INVALID, LENGTH, N_MAX, N_MIN, PARAMETERS, RADIUS, SKIPPED
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V

_FEW = 3  # lanes that are under way; fewer are cheaper alone
_MOST_STRIDES = 100


@inlined
def _take_out(rows, first, lane, parameters):
    """The parameters of a lane's cell, which stand in the rows from ``first``, for what follows it alone."""
    for i in range(PARAMETERS):
        parameters[i] = rows[(first + i) * LANES + lane]


@kernel
def _way(count, which, rows, full, starts):
    """Move the first ``count`` lanes through their pulse, as far as it can be done in lanes."""
    is_set = which == 0
    direction = 1 if is_set else -1
    solve_lanes(count, rows, which, full, 0, starts)
    rates_in_lanes(rows, is_set, full)
    short_ways(rows, direction)
    for _ in range(_MOST_STRIDES):
        under_way = 0
        for lane in range(count):
            after = rows[AFTER * LANES + lane]
            under_way += after != after
        if under_way < _FEW:
            return
        set_out(rows, direction)
        solve_lanes(count, rows, which, full, 0, starts)
        rates_in_lanes(rows, is_set, full)
        long_ways(rows, direction)


@kernel
def pulse_block(first, last, most, cells, physics, pulses, block, scratch, counters):
    """Pulse the cells that wait for directions from ``last`` down to ``first``, 0 SET, 1 RESET, until ``most`` wait.

    A cell has one pulse at a time, and waits with the pulses that are left, beside new ones.
    """
    for which in range(last, first - 1, -1):
        _pulse(which, most, cells, physics, pulses, block, scratch, counters)


@kernel
def _pulse(which, most, cells, physics, pulses, block, scratch, counters):
    rows, count = block.rows, block.waiting[which]
    is_set = which == 0
    direction = 1 if is_set else -1
    waiting, pulses_left, states = block.cell[which], block.left[which], block.state[which]
    window = cells.high if is_set else cells.low
    bounds = cells.walked[N_MAX if is_set else N_MIN]
    ends = cells.w_high if is_set else cells.w_low
    voltage = physics.v_set if is_set else physics.v_reset
    while count > most:
        kept = 0
        for place in range(count):
            cell, left = waiting[place], pulses_left[place]
            x = cells.log_n[cell]
            _, bound, stop, _, _ = begin_pulse(x, direction, cells, cell, of_cell(window, cell), bounds, pulses)
            if (stop - x) * direction <= 0.0:
                counters[SKIPPED] += left
                block.waits[cell] = False
                continue
            state, amplitude, width = shape_of(states[place], pulses)
            boost = np.float64(of_cell(cells.boost, cell))
            speed = np.float64(of_cell(cells.rate, cell)) * (1.0 / boost if is_set else boost)
            together = 1 if pulses.alone else left
            waiting[kept], pulses_left[kept], states[kept] = cell, left, state
            gather(rows, kept, cells, cell, physics)
            rows[X * LANES + kept], rows[AT * LANES + kept], rows[BEFORE * LANES + kept] = x, x, x
            rows[STOP * LANES + kept], rows[BOUND * LANES + kept] = stop, bound
            rows[VOLTAGE * LANES + kept] = voltage * amplitude
            rows[AMPLITUDE * LANES + kept] = amplitude - 1.0
            rows[SECONDS * LANES + kept] = pulses.pulse_s * width
            lasts = pulses.pulse_s * width * speed * together
            rows[LASTS * LANES + kept], rows[TIME * LANES + kept] = lasts, lasts
            rows[BEND * LANES + kept] = bend_at(which, x, physics.starts)
            if pulses.steps > 0:
                rows[LIMIT * LANES + kept] = np.float64(of_cell(bounds, cell))
                rows[LOWEST * LANES + kept] = max(
                    math.exp(of_cell(cells.low, cell)), np.float64(of_cell(cells.walked[N_MIN], cell))
                )
                rows[HIGHEST * LANES + kept] = min(
                    math.exp(of_cell(cells.high, cell)), np.float64(of_cell(cells.walked[N_MAX], cell))
                )
            kept += 1
        if kept == 0:
            count = 0
            break
        if pulses.steps > 0:
            euler_ways(rows, is_set, pulses.steps, pulses.kept)
        else:
            _way(kept, which, rows, physics.full, physics.starts)
        count = 0
        for lane in range(kept):
            cell, left = waiting[lane], pulses_left[lane]
            x, after, power = rows[BEFORE * LANES + lane], rows[AFTER * LANES + lane], rows[POWER * LANES + lane]
            unused = rows[TIME * LANES + lane]
            alone = not abs(after) < ALONE
            if alone:
                _take_out(rows, 0, lane, scratch.parameters)
                after, unused, power = along_equations(
                    rows[X * LANES + lane], direction, unused, physics, 1.0 + rows[AMPLITUDE * LANES + lane],
                    rows[STOP * LANES + lane], rows[BOUND * LANES + lane], scratch,
                )  # fmt: skip
                if unused < 0.0:
                    counters[INVALID] += left
                    counters[SKIPPED] += left
                    after, left = x, 0
            if left > 0:
                limit = np.float64(of_cell(bounds, cell))
                if pulses.own_window:
                    w_end = np.float64(of_cell(ends, cell))
                    if physics.steepest * abs(after - x) >= (w_end - cells.weight[cell]) * direction:
                        if not alone:
                            _take_out(rows, 0, lane, scratch.parameters)
                        after = back_to_window(w_end, x, after, direction, physics, 1, scratch)
                together = 1 if pulses.alone else left
                done = together if unused == 0.0 else together - int(together * unused / rows[LASTS * LANES + lane])
                end_pulse(counters, direction, together, done, power * (rows[SECONDS * LANES + lane] * done))
                left -= together
                states[lane] = after_pulse(states[lane], cells, cell, x, after, limit, pulses)
            pulses_left[lane] = left
            cells.log_n[cell] = after
            rows[AT * LANES + lane] = after
            rows[R * LANES + lane] = of_cell(cells.walked[RADIUS], cell)
            rows[L * LANES + lane] = of_cell(cells.walked[LENGTH], cell)
            rows[AMPLITUDE * LANES + lane] = 0.0
            rows[VOLTAGE * LANES + lane] = READ_VOLTAGE_V
        base = 0 if physics.reads_cell else NOMINAL
        solve_lanes(kept, rows, 2, physics.full, base, physics.starts)
        for lane in range(kept):
            cell = waiting[lane]
            current = rows[CURRENT * LANES + lane]
            if not rows[SMALL * LANES + lane] > 0.0:
                _take_out(rows, base, lane, scratch.parameters)
                current = magnitude(
                    READ_VOLTAGE_V, math.exp(rows[AT * LANES + lane]), False, physics.full, scratch.parameters
                )
            cells.weight[cell] = physics.w_dark + physics.w_slope * current
            # Cells with pulses left come to the front.
            if pulses_left[lane] > 0:
                waiting[count], pulses_left[count], states[count] = cell, pulses_left[lane], states[lane]
                count += 1
            else:
                block.waits[cell] = False
    block.waiting[which] = count
