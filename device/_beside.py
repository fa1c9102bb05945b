"""Compiled: one cell through pulses beside its partner at the same weight, whose mismatch or speed it takes.

With f and b the logs of the weight's steps by the pulse that fires and by a nominal one of the other polarity, and the
same of the partner with a dash, the step of the acting cell becomes exp(f + [(f' - b') - (f - b)] / 2) where it takes
the mismatch, and exp(f + [(f' + b') - (f + b)] / 2) where it takes the speed. That is the step of a pulse whose time is
multiplied by the factor of the definition, solved for exactly: a factor on the rate at the start of a pulse would miss
by the curvature of the step. See docs/physics.md.
"""

import math

import numpy as np

from ._compiled import inlined, kernel
from ._pulse import free_pulse, power_of, weight_now
from ._random import advance, symmetric_uniform, truncated_normal
from ._reading import find_weight, locate, of_cell, read_weight
from ._structures import (
    CLIP_HIGH,
    CLIP_LOW,
    DIRECT,
    ENERGY_J,
    INVALID,
    LENGTH,
    N_MAX,
    N_MIN,
    PULSES_RESET,
    PULSES_SET,
    RADIUS,
    SKIPPED,
    SLOPE,
)  # fmt: skip


@inlined
def _log(step):
    return math.log(step) if step > 0.0 else math.nan


@kernel
def _steps(x, direction, cells, cell, physics, pulse_s, amplitude, width, scratch):
    """(f, b, weight at x, ln N after the pulse, nodes of the stencil, which is left in ``scratch``).

    The logs are NaN where a pulse does not move the weight its way; ln N where it leaves the model.
    """
    r, length = np.float64(of_cell(cells.walked[RADIUS], cell)), np.float64(of_cell(cells.walked[LENGTH], cell))
    back, unused, count = free_pulse(x, -direction, cells, cell, physics, pulse_s, 1.0, r, length, scratch)
    w_back = (read_weight(x, physics, count, scratch) - read_weight(back, physics, count, scratch)) * direction
    b = _log(w_back) if unused >= 0.0 else math.nan
    after, unused, count = free_pulse(
        x, direction, cells, cell, physics, pulse_s * width, amplitude, r, length, scratch
    )
    w = read_weight(x, physics, count, scratch)
    f = _log((read_weight(after, physics, count, scratch) - w) * direction)
    return f, b, w, after if unused >= 0.0 else math.nan, count


@inlined
def _reach(cells, cell, physics):
    """ln N between which a cell can be read."""
    low = math.log(np.float64(of_cell(cells.walked[N_MIN], cell)))
    high = math.log(np.float64(of_cell(cells.walked[N_MAX], cell)))
    if not physics.direct:
        low, high = max(low, physics.read.x_first), min(high, physics.read.x_last)
    return low, high


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


@kernel
def pulse_beside(state, cells, cell, direction, fired, physics, pulses, partner, scratch, counters):
    """Apply ``fired`` pulses of one direction to one cell, each beside its partner; returns the new random state."""
    x = cells.log_n[cell]
    window = of_cell(cells.high if direction > 0 else cells.low, cell)
    end = N_MAX if direction > 0 else N_MIN
    walks = pulses.walks or partner.pulses.walks
    other = partner.cells
    left = fired
    while left > 0:
        bound = math.log(np.float64(of_cell(cells.walked[end], cell)))
        stop = min(window, bound) if direction > 0 else max(window, bound)
        w_end = math.inf * direction
        if pulses.own_window:
            w_end = np.float64(of_cell(cells.w_high if direction > 0 else cells.w_low, cell))
            if (w_end - np.float64(cells.weight[cell])) * direction <= 0.0:
                stop = x
        if (stop - x) * direction <= 0.0:
            counters[SKIPPED] += left
            break
        state, amplitude, width, amplitude_other, width_other = _shapes(state, pulses, partner.pulses)
        forward, back, w, after, count = _steps(
            x, direction, cells, cell, physics, pulses.pulse_s, amplitude, width, scratch
        )
        if after != after:
            counters[INVALID] += left
            counters[SKIPPED] += left
            break
        r, length = np.float64(of_cell(other.walked[RADIUS], cell)), np.float64(of_cell(other.walked[LENGTH], cell))
        nodes = locate(other, cell, partner.physics, 1.0, r, length, partner.scratch)
        low, high = _reach(other, cell, partner.physics)
        y = find_weight(w, low, high, x, partner.physics, nodes, partner.scratch)
        forward_other, back_other, _, y_after, _ = _steps(
            y, direction, other, cell, partner.physics, partner.pulses.pulse_s, amplitude_other, width_other,
            partner.scratch,
        )  # fmt: skip
        if partner.speed:
            shift = 0.5 * ((forward_other + back_other) - (forward + back))
        else:
            shift = 0.5 * ((forward_other - back_other) - (forward - back))
        before = x
        low, high = min(before, stop), max(before, stop)
        # Where one of the four steps is none, as of a cell at its end, the pulse is the cell's own.
        if shift == shift:
            w_new = w + direction * math.exp(forward + shift)
            guess = before + (after - before) * math.exp(shift)
        else:
            w_new, guess = read_weight(after, physics, count, scratch), after
        w_new = min(w_new, w_end) if direction > 0 else max(w_new, w_end)
        x = find_weight(w_new, low, high, guess, physics, count, scratch)
        counters[PULSES_SET if direction > 0 else PULSES_RESET] += 1
        counters[ENERGY_J] += (
            power_of(0.5 * (before + x), direction, amplitude, physics, count, scratch) * pulses.pulse_s * width
        )
        left -= 1
        if walks:
            ratio = _part(before, x, bound) if pulses.needs_ratio else 0.0
            ratio_other = 0.0
            if partner.pulses.needs_ratio and y_after == y_after:
                bound_other = math.log(np.float64(of_cell(other.walked[end], cell)))
                ratio_other = _part(y, y_after, bound_other) if (bound_other - y) * direction > 0.0 else 0.0
            state = _walk_both(state, cells, cell, pulses.walk, ratio, partner, ratio_other)
            cells.weight[cell] = weight_now(cells, cell, x, physics, scratch)
        else:
            cells.weight[cell] = read_weight(x, physics, count, scratch)
    cells.log_n[cell] = x
    return state
