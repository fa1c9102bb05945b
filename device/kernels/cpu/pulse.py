"""Compiled: one cell through programming pulses.

A cell's parameters are looked up once per visit, or once per pulse where they change from pulse to pulse: a random
walk, targets, an error of the pulse itself. Without any of those the pulses of one visit are one longer pulse.
"""

import math

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.cpu.march import march
from vcm_sweep.device.kernels.cpu.random import advance, symmetric_uniform, truncated_normal
from vcm_sweep.device.kernels.cpu.reading import find_weight, locate, look_up, of_cell, read_weight, tabled_weight
from vcm_sweep.device.kernels.cpu.stencil import at_stencil, read_linear
from vcm_sweep.device.kernels.cpu.strides import along_equations, power_of, stride_by_stride
from vcm_sweep.device.kernels.layout import (
    CLIP,
    CLIP_HIGH,
    CLIP_LOW,
    DIRECT,
    ENERGY_J,
    INVALID,
    LENGTH,
    N_MAX,
    N_MIN,
    PER_POLARITY,
    PULSES_RESET,
    PULSES_SET,
    RADIUS,
    SIGMA,
    SKIPPED,
    SLOPE,
)  # fmt: skip


@inlined
def _walk(state, cells, cell, walk, ratio):
    """One step of the bounded random walk of N_max, N_min, r and l after a pulse."""
    for p in range(4):
        direct, slope = walk[p, DIRECT], walk[p, SLOPE]
        if direct == 0.0 and slope == 0.0:
            continue
        change = 1.0
        if direct != 0.0:
            state = advance(state)
            change += direct * symmetric_uniform(state)
        if slope != 0.0:
            state = advance(state)
            change += slope * ratio * symmetric_uniform(state)
        own = np.float64(of_cell(cells.base[p], cell))
        value = np.float64(cells.walked[p][cell]) * change
        value = min(max(value, own * (1.0 + walk[p, CLIP_LOW])), own * (1.0 + walk[p, CLIP_HIGH]))
        cells.walked[p][cell] = value
    return state


@kernel
def _renew(state, cells, cell, direction, pulses):
    """New targets of r and l: for every pulse, or when the polarity changes."""
    turned = cells.polarity[cell] != direction
    for p in range(2):
        sigma = pulses.targets[p, SIGMA]
        if sigma > 0.0 and (turned or pulses.targets[p, PER_POLARITY] == 0.0):
            state, z = truncated_normal(state, pulses.targets[p, CLIP] / sigma)
            own = np.float64(of_cell(cells.base[RADIUS + p], cell))
            cells.targets[p, cell] = own * (1.0 + sigma * z)
    cells.polarity[cell] = direction
    return state


@inlined
def after_pulse(state, cells, cell, before, x, limit, pulses):
    """The random walk that follows a pulse."""
    if pulses.walks:
        ratio = 0.0
        if pulses.needs_ratio:
            n_before = math.exp(before)
            ratio = (math.exp(x) - n_before) / (limit - n_before)
        state = _walk(state, cells, cell, pulses.walk, ratio)
    return state


@inlined
def begin_pulse(x, direction, cells, cell, window, bounds, pulses):
    """(N_max or N_min, its ln, ln N where the cell stops, its weight, the weight where its own window ends).

    The weights are read where the window is the cell's own, else 0. A cell that is past its end stops where it is.
    """
    limit = np.float64(of_cell(bounds, cell))
    bound = math.log(limit)
    stop = min(window, bound) if direction > 0 else max(window, bound)
    w_before = w_end = 0.0
    if pulses.own_window:
        w_before = np.float64(cells.weight[cell])
        w_end = np.float64(of_cell(cells.w_high if direction > 0 else cells.w_low, cell))
        if (w_end - w_before) * direction <= 0.0:
            stop = x
    return limit, bound, stop, w_before, w_end


@inlined
def end_pulse(counters, direction, together, done, energy):
    """Count pulses of one direction: those of ``together`` that were ``done``, and what they took in J."""
    counters[PULSES_SET if direction > 0 else PULSES_RESET] += done
    counters[SKIPPED] += together - done
    counters[ENERGY_J] += energy


@inlined
def shape_of(state, pulses):
    """(new state, factors on a pulse's voltage and length)."""
    amplitude, width = 1.0, 1.0
    if pulses.width > 0.0:
        state, z = truncated_normal(state, pulses.clip)
        width += pulses.width * z
    if pulses.amplitude > 0.0:
        state, z = truncated_normal(state, pulses.clip)
        amplitude += pulses.amplitude * z
    return state, amplitude, width


@inlined
def pulse_cell(state, cells, cell, direction, fired, physics, pulses, scratch, counters):
    """Apply ``fired`` pulses of one direction to one cell by the tables; returns the new random state."""
    x = cells.log_n[cell]
    speed_factor = np.float64(of_cell(cells.rate, cell))
    boost = np.float64(of_cell(cells.boost, cell))
    if direction > 0:
        curve, window, bounds = physics.set, of_cell(cells.high, cell), cells.walked[N_MAX]
        speed_factor /= boost
    else:
        curve, window, bounds = physics.reset, of_cell(cells.low, cell), cells.walked[N_MIN]
        speed_factor *= boost
    left = fired
    together = 1 if pulses.alone else fired
    count = 0
    stale = False
    while left > 0:
        limit, bound, stop, w_before, w_end = begin_pulse(x, direction, cells, cell, window, bounds, pulses)
        if (stop - x) * direction <= 0.0:
            counters[SKIPPED] += left
            break
        state, amplitude, width = shape_of(state, pulses)
        r, length = np.float64(of_cell(cells.walked[RADIUS], cell)), np.float64(of_cell(cells.walked[LENGTH], cell))
        count = look_up(cells, cell, physics, amplitude, r, length, scratch)
        time = pulses.pulse_s * together * speed_factor * width
        if physics.reference_length > 0.0:
            time *= physics.reference_length / length
        before = x
        kink = at_stencil(curve.kink, scratch.offsets, scratch.weights, count)
        x, unused = march(x, direction, time, curve, kink, scratch.offsets, scratch.weights, count, stop, bound)
        # Only a step that may have gone too far is read.
        if pulses.own_window and physics.steepest * abs(x - before) >= (w_end - w_before) * direction:
            x = back_to_window(w_end, before, x, direction, physics, count, scratch)
        done = together if unused == 0.0 else together - int(together * unused / time)
        middle = 0.5 * (before + x)
        power = read_linear(
            curve.power, curve.x_first, kink, curve.x_last, curve.below, middle, scratch.offsets, scratch.weights, count
        )
        end_pulse(counters, direction, together, done, power * pulses.pulse_s * width * done)
        left -= together
        state = after_pulse(state, cells, cell, before, x, limit, pulses)
        stale = True
        if pulses.alone and (pulses.own_window or left <= 0):
            r, length = np.float64(of_cell(cells.walked[RADIUS], cell)), np.float64(of_cell(cells.walked[LENGTH], cell))
            count = look_up(cells, cell, physics, 1.0, r, length, scratch)
            cells.weight[cell] = tabled_weight(x, physics, count, scratch)
            stale = False
    cells.log_n[cell] = x
    if stale:
        # Where pulses differ this is rare: the last of them found the cell at its bound.
        if pulses.alone:
            cells.weight[cell] = weight_now(cells, cell, x, physics, scratch)
        else:
            cells.weight[cell] = tabled_weight(x, physics, count, scratch)
    return state


@inlined
def weight_now(cells, cell, x, physics, scratch):
    r, length = np.float64(of_cell(cells.walked[RADIUS], cell)), np.float64(of_cell(cells.walked[LENGTH], cell))
    return read_weight(x, physics, locate(cells, cell, physics, 1.0, r, length, scratch), scratch)


@kernel
def back_to_window(w_end, before, x, direction, physics, count, scratch):
    """x, or where the cell's reading met the end of the window on its way from ``before`` to x."""
    if (read_weight(x, physics, count, scratch) - w_end) * direction > 0.0:
        return find_weight(w_end, min(before, x), max(before, x), x, physics, count, scratch)
    return x


@inlined
def pulse_by_strides(state, cells, cell, direction, fired, physics, pulses, scratch, counters):
    """:func:`pulse_cell` where r and l move within a pulse: stride by stride."""
    x = cells.log_n[cell]
    speed_factor = np.float64(of_cell(cells.rate, cell))
    boost = np.float64(of_cell(cells.boost, cell))
    if direction > 0:
        window, bounds = of_cell(cells.high, cell), cells.walked[N_MAX]
        speed_factor /= boost
    else:
        window, bounds = of_cell(cells.low, cell), cells.walked[N_MIN]
        speed_factor *= boost
    left = fired
    together = 1 if pulses.alone else fired
    while left > 0:
        limit, bound, stop, w_before, w_end = begin_pulse(x, direction, cells, cell, window, bounds, pulses)
        if (stop - x) * direction <= 0.0:
            counters[SKIPPED] += left
            break
        state, amplitude, width = shape_of(state, pulses)
        r, length = np.float64(of_cell(cells.walked[RADIUS], cell)), np.float64(of_cell(cells.walked[LENGTH], cell))
        time = pulses.pulse_s * together * speed_factor * width
        before, target_r, target_l = x, r, length
        state = _renew(state, cells, cell, direction, pulses)
        if pulses.targets[0, SIGMA] > 0.0:
            target_r = np.float64(cells.targets[0, cell])
        if pulses.targets[1, SIGMA] > 0.0:
            target_l = np.float64(cells.targets[1, cell])
        x, unused, r, length = stride_by_stride(
            x, direction, time, cells, cell, physics, amplitude, r, length, target_r, target_l, stop, bound, scratch
        )
        if unused < 0.0:
            counters[INVALID] += left
            counters[SKIPPED] += left
            x = before
            break
        if pulses.targets[0, SIGMA] > 0.0:
            cells.walked[RADIUS][cell] = r
        if pulses.targets[1, SIGMA] > 0.0:
            cells.walked[LENGTH][cell] = length
        count = locate(cells, cell, physics, amplitude, r, length, scratch)
        if pulses.own_window and physics.steepest * abs(x - before) >= (w_end - w_before) * direction:
            x = back_to_window(w_end, before, x, direction, physics, count, scratch)
        done = together if unused == 0.0 else together - int(together * unused / time)
        power = power_of(0.5 * (before + x), direction, amplitude, physics, count, scratch)
        end_pulse(counters, direction, together, done, power * (pulses.pulse_s * width * done))
        left -= together
        state = after_pulse(state, cells, cell, before, x, limit, pulses)
        cells.weight[cell] = weight_now(cells, cell, x, physics, scratch)
    cells.log_n[cell] = x
    return state


@kernel
def free_pulse(x, direction, cells, cell, physics, pulse_s, amplitude, r, length, scratch):
    """(ln N after a pulse that no window stops, time left, nodes of the stencil); negative time: outside the model."""
    count = locate(cells, cell, physics, amplitude, r, length, scratch)
    bound = math.log(np.float64(of_cell(cells.walked[N_MAX if direction > 0 else N_MIN], cell)))
    if (bound - x) * direction <= 0.0:
        return x, 0.0, count
    rate, boost = np.float64(of_cell(cells.rate, cell)), np.float64(of_cell(cells.boost, cell))
    time = pulse_s * (rate / boost if direction > 0 else rate * boost)
    if physics.reference_length > 0.0:
        time *= physics.reference_length / length
    if physics.direct:
        after, unused, _ = along_equations(x, direction, time, physics, amplitude, bound, bound, scratch)
        return after, unused, count
    curve = physics.set if direction > 0 else physics.reset
    kink = at_stencil(curve.kink, scratch.offsets, scratch.weights, count)
    after, unused = march(x, direction, time, curve, kink, scratch.offsets, scratch.weights, count, bound, bound)
    return after, unused, count
