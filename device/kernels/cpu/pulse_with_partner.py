"""Compiled: one cell through pulses beside its partner at the same weight, whose mismatch or speed it takes.

With f and b the weight's steps by the pulse that fires and by a nominal one of the other polarity, and f', b' those of
the partner, the acting cell's step is multiplied by sqrt(f' b / (f b')) where it takes the mismatch, and by
sqrt(f' b' / (f b)) where it takes the speed. So the step itself gets the factor of the definition, exactly: a factor on
the time of a pulse would miss by the curvature of the step. See docs/physics.md.
"""

import math

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.cpu.march import march
from vcm_sweep.device.kernels.cpu.pulse import begin_pulse, end_pulse, free_pulse, weight_now
from vcm_sweep.device.kernels.cpu.random import advance, symmetric_uniform, truncated_normal
from vcm_sweep.device.kernels.cpu.reading import (
    find_weight,
    first_guess,
    locate,
    look_up,
    of_cell,
    read_weight,
    tabled_weight,
)
from vcm_sweep.device.kernels.cpu.stencil import at_stencil, read_cubic, read_linear
from vcm_sweep.device.kernels.cpu.strides import power_of
from vcm_sweep.device.kernels.layout import (
    CLIP_HIGH,
    CLIP_LOW,
    DIRECT,
    INVALID,
    LENGTH,
    N_MAX,
    N_MIN,
    RADIUS,
    SKIPPED,
    SLOPE,
)  # fmt: skip


@inlined
def _tabled(x, w, direction, cells, cell, physics, pulse_s, amplitude, width, scratch):
    """(step of the weight by the pulse, by a nominal one of the other polarity, weight at x, ln N after the pulse).

    ``w`` is the weight at x, or NaN where it is to be read. The stencil of the pulse is left in ``scratch``; how many
    nodes it has comes last.
    """
    r, length = np.float64(of_cell(cells.walked[RADIUS], cell)), np.float64(of_cell(cells.walked[LENGTH], cell))
    rate, boost = np.float64(of_cell(cells.rate, cell)), np.float64(of_cell(cells.boost, cell))
    time = pulse_s * rate
    if physics.reference_length > 0.0:
        time *= physics.reference_length / length
    n_max, n_min = np.float64(of_cell(cells.walked[N_MAX], cell)), np.float64(of_cell(cells.walked[N_MIN], cell))
    offsets, weights = scratch.offsets, scratch.weights
    count = look_up(cells, cell, physics, 1.0, r, length, scratch)
    if w != w:
        w = tabled_weight(x, physics, count, scratch)
    # The stencil of the pulse itself comes last: it stays.
    if direction > 0:
        _, w_back = _stepped(x, -1, n_min, time * boost, physics.reset, physics.read, offsets, weights, count)
        if amplitude != 1.0:
            count = look_up(cells, cell, physics, amplitude, r, length, scratch)
        after, w_after = _stepped(x, 1, n_max, time / boost * width, physics.set, physics.read, offsets, weights, count)
    else:
        _, w_back = _stepped(x, 1, n_max, time / boost, physics.set, physics.read, offsets, weights, count)
        if amplitude != 1.0:
            count = look_up(cells, cell, physics, amplitude, r, length, scratch)
        after, w_after = _stepped(
            x, -1, n_min, time * boost * width, physics.reset, physics.read, offsets, weights, count
        )
    return (w_after - w) * direction, (w - w_back) * direction, w, after, count


@kernel
def _stepped(x, direction, n_bound, time, curve, read, offsets, weights, count):
    """(ln N, weight) after a pulse that no window stops."""
    bound = math.log(n_bound)
    if (bound - x) * direction > 0.0:
        kink = at_stencil(curve.kink, offsets, weights, count)
        x, _ = march(x, direction, time, curve, kink, offsets, weights, count, bound, bound)
    nodes = count if read.kink.shape[0] > 1 else 1
    return x, read_cubic(read.values, read.x_first, read.kink, read.x_last, read.below, x, offsets, weights, nodes)


@kernel
def _direct(x, w, direction, cells, cell, physics, pulse_s, amplitude, width, scratch):
    """:func:`_tabled` where the equations are solved. Outside the model there is no step, and ln N after is NaN."""
    r, length = np.float64(of_cell(cells.walked[RADIUS], cell)), np.float64(of_cell(cells.walked[LENGTH], cell))
    back, left_back, count = free_pulse(x, -direction, cells, cell, physics, pulse_s, 1.0, r, length, scratch)
    after, left, count = free_pulse(x, direction, cells, cell, physics, pulse_s * width, amplitude, r, length, scratch)
    if w != w:
        w = read_weight(x, physics, count, scratch)
    step = (read_weight(after, physics, count, scratch) - w) * direction
    step_back = (w - read_weight(back, physics, count, scratch)) * direction
    return step, step_back if left_back >= 0.0 else 0.0, w, after if left >= 0.0 else math.nan, count


@inlined
def _at_weight(w, cells, cell, physics, scratch):
    """(ln N at which a cell reads a weight, that weight); (an end of its reach, NaN) where it cannot."""
    r, length = np.float64(of_cell(cells.walked[RADIUS], cell)), np.float64(of_cell(cells.walked[LENGTH], cell))
    low = math.log(np.float64(of_cell(cells.walked[N_MIN], cell)))
    high = math.log(np.float64(of_cell(cells.walked[N_MAX], cell)))
    if not physics.direct:
        low, high = max(low, physics.read.x_first), min(high, physics.read.x_last)
        count = look_up(cells, cell, physics, 1.0, r, length, scratch)
    else:
        count = locate(cells, cell, physics, 1.0, r, length, scratch)
    x = find_weight(w, low, high, first_guess(w, physics), physics, count, scratch)
    return x, w if low < x < high else math.nan


@inlined
def _power(x, direction, amplitude, physics, count, scratch):
    """|V I| in W of a located cell."""
    if physics.direct:
        return power_of(x, direction, amplitude, physics, count, scratch)
    c = physics.set if direction > 0 else physics.reset
    kink = at_stencil(c.kink, scratch.offsets, scratch.weights, count)
    return read_linear(c.power, c.x_first, kink, c.x_last, c.below, x, scratch.offsets, scratch.weights, count)


@inlined
def _shapes(state, own, other):
    """(new state, factors on voltage and length of the acting cell's pulse, and of its partner's).

    One error for both, as far as either has it: the pulse is the same.
    """
    clip = max(own.clip, other.clip)
    widen, strengthen = 0.0, 0.0
    if own.width > 0.0 or other.width > 0.0:
        state, widen = truncated_normal(state, clip)
    if own.amplitude > 0.0 or other.amplitude > 0.0:
        state, strengthen = truncated_normal(state, clip)
    return (
        state,
        1.0 + own.amplitude * min(max(strengthen, -own.clip), own.clip),
        1.0 + own.width * min(max(widen, -own.clip), own.clip),
        1.0 + other.amplitude * min(max(strengthen, -other.clip), other.clip),
        1.0 + other.width * min(max(widen, -other.clip), other.clip),
    )


@inlined
def _walked(cells, cell, p, walk, direct, slope):
    """One parameter after a step of its random walk."""
    if walk[p, DIRECT] != 0.0 or walk[p, SLOPE] != 0.0:
        own = np.float64(of_cell(cells.base[p], cell))
        value = np.float64(cells.walked[p][cell]) * (1.0 + walk[p, DIRECT] * direct + walk[p, SLOPE] * slope)
        cells.walked[p][cell] = min(max(value, own * (1.0 + walk[p, CLIP_LOW])), own * (1.0 + walk[p, CLIP_HIGH]))


@kernel
def _walk_both(state, cells, cell, walk, ratio, partner, ratio_partner):
    """One step of both cells' walks, by the same random numbers where both walk."""
    other = partner.pulses.walk
    for p in range(4):
        direct, slope = 0.0, 0.0
        if walk[p, DIRECT] != 0.0 or other[p, DIRECT] != 0.0:
            state = advance(state)
            direct = symmetric_uniform(state)
        if walk[p, SLOPE] != 0.0 or other[p, SLOPE] != 0.0:
            state = advance(state)
            slope = symmetric_uniform(state)
        _walked(cells, cell, p, walk, direct, slope * ratio)
        _walked(partner.cells, cell, p, other, direct, slope * ratio_partner)
    return state


@inlined
def _part(before, after, bound):
    """The part of the way to the bound that a pulse covered, in N."""
    n = math.exp(before)
    return (math.exp(after) - n) / (math.exp(bound) - n)


@inlined
def pulse_beside(state, cells, cell, direction, fired, physics, pulses, partner, scratch, counters):
    """Apply ``fired`` pulses of one direction to one cell, each beside its partner; returns the new random state."""
    x = cells.log_n[cell]
    window = of_cell(cells.high if direction > 0 else cells.low, cell)
    end = N_MAX if direction > 0 else N_MIN
    other, beside = partner.cells, partner.physics
    left = fired
    while left > 0:
        _, bound, stop, _, w_end = begin_pulse(x, direction, cells, cell, window, cells.walked[end], pulses)
        if (stop - x) * direction <= 0.0:
            counters[SKIPPED] += left
            break
        state, amplitude, width, amplitude_other, width_other = _shapes(state, pulses, partner.pulses)
        if physics.direct:
            step, back, w, after, count = _direct(
                x, math.nan, direction, cells, cell, physics, pulses.pulse_s, amplitude, width, scratch
            )
            if after != after:
                counters[INVALID] += left
                counters[SKIPPED] += left
                break
        else:
            step, back, w, after, count = _tabled(
                x, math.nan, direction, cells, cell, physics, pulses.pulse_s, amplitude, width, scratch
            )
        y, w_other = _at_weight(w, other, cell, beside, partner.scratch)
        if beside.direct:
            step_other, back_other, _, y_after, _ = _direct(
                y, w_other, direction, other, cell, beside, partner.pulses.pulse_s, amplitude_other, width_other,
                partner.scratch,
            )  # fmt: skip
        else:
            step_other, back_other, _, y_after, _ = _tabled(
                y, w_other, direction, other, cell, beside, partner.pulses.pulse_s, amplitude_other, width_other,
                partner.scratch,
            )  # fmt: skip
        before = x
        # Where one of the four steps is none, as of a cell at its end, the pulse is the cell's own.
        factor = 1.0
        if step > 0.0 and back > 0.0 and step_other > 0.0 and back_other > 0.0:
            if partner.speed:
                factor = math.sqrt(step_other * back_other / (step * back))
            else:
                factor = math.sqrt(step_other * back / (step * back_other))
        w_new = w + direction * step * factor
        if pulses.own_window and (w_new - w_end) * direction > 0.0:
            w_new = w_end
        x = before + (after - before) * factor
        if (x - stop) * direction > 0.0:
            x = stop
        x = find_weight(w_new, min(before, stop), max(before, stop), x, physics, count, scratch)
        energy = _power(0.5 * (before + x), direction, amplitude, physics, count, scratch) * (pulses.pulse_s * width)
        end_pulse(counters, direction, 1, 1, energy)
        left -= 1
        if pulses.walks or partner.pulses.walks:
            ratio, ratio_other = 0.0, 0.0
            if pulses.needs_ratio:
                ratio = _part(before, x, bound)
            if partner.pulses.needs_ratio and step_other > 0.0:
                ratio_other = _part(y, y_after, math.log(np.float64(of_cell(other.walked[end], cell))))
            state = _walk_both(state, cells, cell, pulses.walk, ratio, partner, ratio_other)
            cells.weight[cell] = weight_now(cells, cell, x, physics, scratch)
        else:
            cells.weight[cell] = read_weight(x, physics, count, scratch)
    cells.log_n[cell] = x
    return state
