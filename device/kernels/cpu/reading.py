"""Compiled: locating a cell among the tables' nodes, reading its weight, and finding the N of a weight."""

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.cpu.equations import L, R, current_along
from vcm_sweep.device.kernels.cpu.starts import about_current
from vcm_sweep.device.kernels.cpu.stencil import fill_stencil, read_cubic, read_slope
from vcm_sweep.device.kernels.layout import LENGTH, PARAMETERS, PULSE_AMPLITUDE, RADIUS
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V


@inlined
def of_cell(values, cell):
    """A cell's own value, or the one value of all cells."""
    return values[cell] if values.shape[0] > 1 else values[0]


@inlined
def look_up(cells, cell, physics, amplitude, r, length, scratch):
    """Write a cell's stencil, for the given amplitude, radius and length, into ``scratch``; the number of its nodes."""
    if physics.codes.shape[0] == 0:
        return 1
    varied = cells.varied
    for axis in range(physics.codes.shape[0]):
        code = physics.codes[axis]
        if code == PULSE_AMPLITUDE:
            value = amplitude
        elif code == RADIUS:
            value = r
        elif code == LENGTH:
            value = length
        else:
            value = np.float64(varied[code - 4, cell if varied.shape[1] > 1 else 0])
        scratch.values[axis] = value
    return fill_stencil(physics.axes, scratch.values, scratch.offsets, scratch.weights)


@inlined
def locate(cells, cell, physics, amplitude, r, length, scratch):
    """:func:`look_up`, or, if the equations are solved, write the cell's parameters into ``scratch``.

    What is called a located cell elsewhere is one for which this has been done.
    """
    if not physics.direct:
        return look_up(cells, cell, physics, amplitude, r, length, scratch)
    p, varied = scratch.parameters, cells.varied
    for i in range(PARAMETERS):
        p[i] = physics.nominal[i]
    for i in range(varied.shape[0]):
        if physics.places[i] >= 0:
            p[physics.places[i]] = varied[i, cell if varied.shape[1] > 1 else 0]
    p[R], p[L] = r, length
    return 1


@inlined
def tabled_weight(x, physics, count, scratch):
    """The weight at x = ln N of a cell that was looked up."""
    c = physics.read
    # If the nominal cell is read, the table of weights has one node, whatever the cell's stencil is.
    nodes = count if c.kink.shape[0] > 1 else 1
    return read_cubic(c.values, c.x_first, c.kink, c.x_last, c.below, x, scratch.offsets, scratch.weights, nodes)


@kernel
def _curve_weight(x, c, nodes, offsets, weights):
    return read_cubic(c.values, c.x_first, c.kink, c.x_last, c.below, x, offsets, weights, nodes)


@inlined
def _direct_weight(x, p, full, dark, slope, starts, nominal):
    """(weight, its slope in ln N) at x = ln N, from the equations."""
    guess = about_current(2, x, READ_VOLTAGE_V, 1.0, full, starts, p, nominal)
    i, i_x = current_along(READ_VOLTAGE_V, x, False, full, p, guess)
    return dark + slope * i, slope * i * i_x


@inlined
def read_weight(x, physics, count, scratch):
    """The weight at x = ln N of a located cell."""
    if physics.direct:
        p = scratch.parameters if physics.reads_cell else physics.nominal
        return _direct_weight(x, p, physics.full, physics.w_dark, physics.w_slope, physics.starts, physics.nominal)[0]
    nodes = count if physics.read.kink.shape[0] > 1 else 1
    return _curve_weight(x, physics.read, nodes, scratch.offsets, scratch.weights)


@kernel
def _find_on_curve(target, low, high, x, c, nodes, offsets, weights):
    x = min(max(x, low), high)
    for round_ in range(100):
        w = read_cubic(c.values, c.x_first, c.kink, c.x_last, c.below, x, offsets, weights, nodes)
        if w > target:
            high = x
        else:
            low = x
        if high - low <= 1e-13:
            break
        slope = read_slope(c.values, c.x_first, c.kink, c.x_last, c.below, x, offsets, weights, nodes)
        x, done = _newton(x, w - target, slope, low, high, round_)
        if done:
            break
    return x


@kernel
def _find_direct(target, low, high, x, p, full, dark, scale, starts, nominal):
    x = min(max(x, low), high)
    for round_ in range(100):
        w, slope = _direct_weight(x, p, full, dark, scale, starts, nominal)
        if w > target:
            high = x
        else:
            low = x
        if high - low <= 1e-13:
            break
        x, done = _newton(x, w - target, slope, low, high, round_)
        if done:
            break
    return x


@inlined
def _newton(x, gap, slope, low, high, round_):
    """(next x within the bracket, whether it is the root)."""
    new = x - gap / slope
    # Newton's method doubles the number of digits: after a step of 1e-7 only rounding errors remain.
    if low <= new <= high and abs(new - x) <= 1e-7:
        return new, True
    if not (low < new < high) or round_ % 6 == 5:
        new = 0.5 * (low + high)
    return new, False


@inlined
def find_weight(target, low, high, x, physics, count, scratch):
    """ln N in [low, high] at which a located cell reads ``target``; the nearest end if it does so nowhere.

    ``x`` is a first guess.
    """
    if physics.direct:
        p = scratch.parameters if physics.reads_cell else physics.nominal
        return _find_direct(
            target, low, high, x, p, physics.full, physics.w_dark, physics.w_slope, physics.starts, physics.nominal
        )
    nodes = count if physics.read.kink.shape[0] > 1 else 1
    return _find_on_curve(target, low, high, x, physics.read, nodes, scratch.offsets, scratch.weights)


@inlined
def first_guess(target, physics):
    """About the ln N at which the nominal cell reads ``target``."""
    t = (target - physics.guess_first) * physics.guess_inverse_step
    k = min(max(int(t), 0), physics.guess.shape[0] - 2)
    return physics.guess[k] + min(max(t - k, 0.0), 1.0) * (physics.guess[k + 1] - physics.guess[k])
