"""Compiled: one cell through programming pulses, and its reading.

A cell's parameters are looked up once per visit, or once per pulse where they change from pulse to pulse: a random
walk, targets, an error of the pulse itself. Without any of those the pulses of one visit are one longer pulse.
"""

import math
from typing import NamedTuple

import numpy as np

from ._compiled import inlined, kernel
from ._march import cross, march
from ._physics import L, R, log_rate, magnitude
from ._random import advance, symmetric_uniform, truncated_normal
from ._stencil import at_stencil, fill_stencil, read_cubic, read_linear, read_slope

# Rows of a walk table, in the order in which a pulse changes the parameters; places in ``base`` and ``walked``.
N_MAX, N_MIN, RADIUS, LENGTH = 0, 1, 2, 3
# Columns of a walk table; the last two of a target table, whose rows are r and l.
DIRECT, SLOPE, CLIP_LOW, CLIP_HIGH = 0, 1, 2, 3
SIGMA, CLIP, PER_POLARITY = 0, 1, 2
# Entries of the counters that pulses add to.
PULSES_SET, PULSES_RESET, ENERGY_J, SKIPPED, INVALID = 0, 1, 2, 3, 4
# Where an axis of a table finds a cell's value: below 4 in ``walked``, from 4 on in ``varied``, or in the pulse.
PULSE_AMPLITUDE = -1
_READ_V = 0.2
_DELTA = 1e-6  # of ln N, for a slope
_STRIDE = 0.02  # of ln N, over which ln of the rate is taken as linear where no table gives the nodes


class Cells(NamedTuple):
    """State and parameters of one array, flattened. Arrays of length 1 hold for every cell."""

    log_n: np.ndarray  # float64, ln of N in 1e26/m3
    weight: np.ndarray  # float32, read by the periphery
    base: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # N_max, N_min, r, l of the cell, float32
    walked: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # the same after the pulses so far
    varied: np.ndarray  # (n, cells) float32: other parameters that spread
    targets: np.ndarray  # (2, cells) float32: where r and l move to
    polarity: np.ndarray  # int8, of the last pulse
    boost: np.ndarray  # float32, exp(m/2): RESET speed times it, SET speed over it
    rate: np.ndarray  # float32, factor on both speeds
    low: np.ndarray  # float64, ln N at which the window ends; crossed for cells that are stuck
    high: np.ndarray
    w_low: np.ndarray  # float32, the window as weights, where a cell's own reading moves from pulse to pulse
    w_high: np.ndarray


class Curve(NamedTuple):
    """A table over x and the parameters' nodes; see tables.py."""

    x_first: float
    x_last: float
    below: int
    kink: np.ndarray
    values: np.ndarray
    power: np.ndarray


class Physics(NamedTuple):
    """How the cells of one array move and are read."""

    axes: np.ndarray  # (axes, 3)
    codes: np.ndarray  # (axes,) int64: where each axis finds a cell's value
    set: Curve
    reset: Curve
    read: Curve
    direct: bool  # solve the equations instead of reading tables
    full: bool  # which current
    nominal: np.ndarray  # (22,) float64, CellParameters
    places: np.ndarray  # int64: which of the 22 each row of ``varied`` is
    v_set: float  # magnitudes, V
    v_reset: float
    w_dark: float  # weight = w_dark + w_slope * read current
    w_slope: float
    reads_cell: bool
    steepest: float  # no cell's weight changes more per ln N
    guess_first: float  # about where the nominal cell reads a weight: ln N over equidistant weights
    guess_inverse_step: float
    guess: np.ndarray
    reference_length: float  # of the tables, where l only scales time; else 0


class Pulses(NamedTuple):
    """The pulses of one array, and what changes with each."""

    pulse_s: float
    walk: np.ndarray  # (4, 4)
    targets: np.ndarray  # (2, 3)
    amplitude: float  # relative sd of each pulse's voltage, of its length, both cut at clip sds
    width: float
    clip: float
    walks: bool
    needs_ratio: bool  # the walk depends on the way that a pulse covered
    moves: bool  # r or l has targets
    alone: bool  # pulses of one visit cannot be merged
    own_window: bool  # the window is where the cell's own reading ends, which moves with its parameters


class Scratch(NamedTuple):
    """Room that the compiled loops need: they may not allocate."""

    offsets: np.ndarray
    weights: np.ndarray
    values: np.ndarray
    parameters: np.ndarray

    @classmethod
    def new(cls) -> "Scratch":
        from ._stencil import MAX_AXES, STENCIL_SIZE

        # One node of weight 1, as an array without axes wants it.
        return cls(np.zeros(STENCIL_SIZE, np.int64), np.ones(STENCIL_SIZE), np.zeros(MAX_AXES), np.zeros(22))


@inlined
def _of(values, cell):
    return values[cell] if values.shape[0] > 1 else values[0]


@inlined
def _look_up(cells, cell, physics, amplitude, r, length, scratch):
    """Number of nodes of a cell's stencil at a radius and a length, which it writes into ``scratch``."""
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


@kernel
def _locate(cells, cell, physics, amplitude, r, length, scratch):
    """:func:`_look_up`; or the cell's parameters, where its equations are solved."""
    if not physics.direct:
        return _look_up(cells, cell, physics, amplitude, r, length, scratch)
    p, varied = scratch.parameters, cells.varied
    for i in range(22):
        p[i] = physics.nominal[i]
    for i in range(varied.shape[0]):
        p[physics.places[i]] = varied[i, cell if varied.shape[1] > 1 else 0]
    p[R], p[L] = r, length
    return 1


@inlined
def _tabled_weight(x, physics, count, scratch):
    """The weight of a cell that was looked up."""
    c = physics.read
    # Where the nominal cell is read there is one node, whatever the cell's stencil is.
    nodes = count if c.kink.shape[0] > 1 else 1
    return read_cubic(c.values, c.x_first, c.kink, c.x_last, c.below, x, scratch.offsets, scratch.weights, nodes)


@kernel
def _curve_weight(x, c, nodes, offsets, weights):
    return read_cubic(c.values, c.x_first, c.kink, c.x_last, c.below, x, offsets, weights, nodes)


@kernel
def _direct_weight(x, p, full, dark, slope):
    return dark + slope * magnitude(_READ_V, math.exp(x), False, full, p)


@inlined
def _read(x, physics, count, scratch):
    """The weight of a located cell."""
    if physics.direct:
        p = scratch.parameters if physics.reads_cell else physics.nominal
        return _direct_weight(x, p, physics.full, physics.w_dark, physics.w_slope)
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
def _find_direct(target, low, high, x, p, full, dark, scale):
    x = min(max(x, low), high)
    for round_ in range(100):
        w = _direct_weight(x, p, full, dark, scale)
        if w > target:
            high = x
        else:
            low = x
        if high - low <= 1e-13:
            break
        slope = (_direct_weight(x + _DELTA, p, full, dark, scale) - w) / _DELTA
        x, done = _newton(x, w - target, slope, low, high, round_)
        if done:
            break
    return x


@inlined
def _newton(x, gap, slope, low, high, round_):
    """(next x within the bracket, whether it is the root)."""
    new = x - gap / slope
    # Newton doubles the digits: what a step of 1e-7 leaves is rounding.
    if low <= new <= high and abs(new - x) <= 1e-7:
        return new, True
    if not (low < new < high) or round_ % 6 == 5:
        new = 0.5 * (low + high)
    return new, False


@inlined
def find_weight(target, low, high, x, physics, count, scratch):
    """ln N in [low, high] at which a located cell reads ``target``, from a first guess; an end where it cannot."""
    if physics.direct:
        p = scratch.parameters if physics.reads_cell else physics.nominal
        return _find_direct(target, low, high, x, p, physics.full, physics.w_dark, physics.w_slope)
    nodes = count if physics.read.kink.shape[0] > 1 else 1
    return _find_on_curve(target, low, high, x, physics.read, nodes, scratch.offsets, scratch.weights)


@inlined
def _first_guess(target, physics):
    """ln N at which the nominal cell reads about ``target``."""
    t = (target - physics.guess_first) * physics.guess_inverse_step
    k = min(max(int(t), 0), physics.guess.shape[0] - 2)
    return physics.guess[k] + min(max(t - k, 0.0), 1.0) * (physics.guess[k + 1] - physics.guess[k])


@kernel
def _log_rate(x, direction, amplitude, physics, count, scratch):
    """ln(|dN/dt| / N) of a located cell; NaN outside the model."""
    if physics.direct:
        v = amplitude * (physics.v_set if direction > 0 else physics.v_reset)
        return log_rate(v, x, direction > 0, physics.full, scratch.parameters)[0]
    c = physics.set if direction > 0 else physics.reset
    kink = at_stencil(c.kink, scratch.offsets, scratch.weights, count)
    return read_linear(c.values, c.x_first, kink, c.x_last, c.below, x, scratch.offsets, scratch.weights, count)


@kernel
def _power(x, direction, amplitude, physics, count, scratch):
    """|V I| in W of a located cell."""
    if physics.direct:
        v = amplitude * (physics.v_set if direction > 0 else physics.v_reset)
        return v * magnitude(v, math.exp(x), direction > 0, physics.full, scratch.parameters)
    c = physics.set if direction > 0 else physics.reset
    kink = at_stencil(c.kink, scratch.offsets, scratch.weights, count)
    return read_linear(c.power, c.x_first, kink, c.x_last, c.below, x, scratch.offsets, scratch.weights, count)


@inlined
def _log_length(physics, length):
    """What ln of the rate gains over the tables' where l only scales time."""
    return math.log(physics.reference_length / length) if physics.reference_length > 0.0 else 0.0


@kernel
def _stride(x, direction, time, cells, cell, physics, amplitude, r, length, target_r, target_l, stop, bound, scratch):
    """(x after the pulse, time left, r, l): strides of ln N with the rate taken anew at each, r and l on their way."""
    n_old = math.exp(x)
    way = math.exp(bound) - n_old
    r_now, l_now = r, length
    count = _locate(cells, cell, physics, amplitude, r, length, scratch)
    low = _log_rate(x, direction, amplitude, physics, count, scratch) + _log_length(physics, length)
    while time > 0.0 and (stop - x) * direction > 0.0:
        edge = x + direction * _STRIDE
        if (stop - edge) * direction < 0.0:
            edge = stop
        part = (math.exp(edge) - n_old) / way
        r_edge, l_edge = r + (target_r - r) * part, length + (target_l - length) * part
        if r_edge != r_now or l_edge != l_now:
            count = _locate(cells, cell, physics, amplitude, r_edge, l_edge, scratch)
        high = _log_rate(edge, direction, amplitude, physics, count, scratch) + _log_length(physics, l_edge)
        if not (low == low and high == high):
            return x, -1.0, r_now, l_now
        slope = (high - low) / (edge - x)
        speed = math.exp(low)
        while True:
            x_new, time, speed, within = cross(x, direction, time, speed, slope, edge, bound, _STRIDE)
            done = within or x_new == edge or time <= 0.0
            x = x_new
            if done:
                break
        part = (math.exp(x) - n_old) / way
        r_now, l_now = r + (target_r - r) * part, length + (target_l - length) * part
        if within or time <= 0.0:
            return x, 0.0, r_now, l_now
        low = high
        r_now, l_now = r_edge, l_edge
    return x, max(time, 0.0), r_now, l_now


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
        own = np.float64(_of(cells.base[p], cell))
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
            own = np.float64(_of(cells.base[RADIUS + p], cell))
            cells.targets[p, cell] = own * (1.0 + sigma * z)
    cells.polarity[cell] = direction
    return state


@inlined
def _after_pulse(state, cells, cell, before, x, limit, pulses):
    """The random walk that follows a pulse."""
    if pulses.walks:
        ratio = 0.0
        if pulses.needs_ratio:
            n_before = math.exp(before)
            ratio = (math.exp(x) - n_before) / (limit - n_before)
        state = _walk(state, cells, cell, pulses.walk, ratio)
    return state


@inlined
def _shape(state, pulses):
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
    speed_factor = np.float64(_of(cells.rate, cell))
    boost = np.float64(_of(cells.boost, cell))
    if direction > 0:
        curve, window, bounds, counter = physics.set, _of(cells.high, cell), cells.walked[N_MAX], PULSES_SET
        speed_factor /= boost
    else:
        curve, window, bounds, counter = physics.reset, _of(cells.low, cell), cells.walked[N_MIN], PULSES_RESET
        speed_factor *= boost
    left = fired
    together = 1 if pulses.alone else fired
    count = 0
    stale = False
    while left > 0:
        limit = np.float64(_of(bounds, cell))
        bound = math.log(limit)
        stop = min(window, bound) if direction > 0 else max(window, bound)
        w_before = w_end = 0.0
        if pulses.own_window:
            w_before = np.float64(cells.weight[cell])
            w_end = np.float64(_of(cells.w_high if direction > 0 else cells.w_low, cell))
            if (w_end - w_before) * direction <= 0.0:
                stop = x
        if (stop - x) * direction <= 0.0:
            counters[SKIPPED] += left
            break
        state, amplitude, width = _shape(state, pulses)
        r, length = np.float64(_of(cells.walked[RADIUS], cell)), np.float64(_of(cells.walked[LENGTH], cell))
        count = _look_up(cells, cell, physics, amplitude, r, length, scratch)
        time = pulses.pulse_s * together * speed_factor * width
        if physics.reference_length > 0.0:
            time *= physics.reference_length / length
        before = x
        kink = at_stencil(curve.kink, scratch.offsets, scratch.weights, count)
        x, unused = march(
            x, direction, time, curve.values, curve.x_first, kink, curve.x_last, curve.below,
            scratch.offsets, scratch.weights, count, stop, bound,
        )  # fmt: skip
        # Only a step that may have gone too far is read.
        if pulses.own_window and physics.steepest * abs(x - before) >= (w_end - w_before) * direction:
            x = _back_to_window(w_end, before, x, direction, physics, count, scratch)
        done = together if unused == 0.0 else together - int(together * unused / time)
        counters[counter] += done
        counters[SKIPPED] += together - done
        middle = 0.5 * (before + x)
        power = read_linear(
            curve.power, curve.x_first, kink, curve.x_last, curve.below, middle, scratch.offsets, scratch.weights, count
        )
        counters[ENERGY_J] += power * pulses.pulse_s * width * done
        left -= together
        state = _after_pulse(state, cells, cell, before, x, limit, pulses)
        stale = True
        if pulses.alone and (pulses.own_window or left <= 0):
            r, length = np.float64(_of(cells.walked[RADIUS], cell)), np.float64(_of(cells.walked[LENGTH], cell))
            count = _look_up(cells, cell, physics, 1.0, r, length, scratch)
            cells.weight[cell] = _tabled_weight(x, physics, count, scratch)
            stale = False
    cells.log_n[cell] = x
    if stale:
        # Where pulses differ this is rare: the last of them found the cell at its bound.
        if pulses.alone:
            cells.weight[cell] = _weight_now(cells, cell, x, physics, scratch)
        else:
            cells.weight[cell] = _tabled_weight(x, physics, count, scratch)
    return state


@kernel
def _weight_now(cells, cell, x, physics, scratch):
    r, length = np.float64(_of(cells.walked[RADIUS], cell)), np.float64(_of(cells.walked[LENGTH], cell))
    return _read(x, physics, _locate(cells, cell, physics, 1.0, r, length, scratch), scratch)


@kernel
def _back_to_window(w_end, before, x, direction, physics, count, scratch):
    """x, or where the cell's reading met the end of the window on its way from ``before`` to x."""
    if (_read(x, physics, count, scratch) - w_end) * direction > 0.0:
        return find_weight(w_end, min(before, x), max(before, x), x, physics, count, scratch)
    return x


@kernel
def pulse_by_strides(state, cells, cell, direction, fired, physics, pulses, scratch, counters):
    """:func:`pulse_cell` where r and l move within a pulse, or the equations are solved: stride by stride."""
    x = cells.log_n[cell]
    speed_factor = np.float64(_of(cells.rate, cell))
    boost = np.float64(_of(cells.boost, cell))
    if direction > 0:
        window, bounds, counter = _of(cells.high, cell), cells.walked[N_MAX], PULSES_SET
        speed_factor /= boost
    else:
        window, bounds, counter = _of(cells.low, cell), cells.walked[N_MIN], PULSES_RESET
        speed_factor *= boost
    left = fired
    together = 1 if pulses.alone else fired
    while left > 0:
        limit = np.float64(_of(bounds, cell))
        bound = math.log(limit)
        stop = min(window, bound) if direction > 0 else max(window, bound)
        w_before = w_end = 0.0
        if pulses.own_window:
            w_before = np.float64(cells.weight[cell])
            w_end = np.float64(_of(cells.w_high if direction > 0 else cells.w_low, cell))
            if (w_end - w_before) * direction <= 0.0:
                stop = x
        if (stop - x) * direction <= 0.0:
            counters[SKIPPED] += left
            break
        state, amplitude, width = _shape(state, pulses)
        r, length = np.float64(_of(cells.walked[RADIUS], cell)), np.float64(_of(cells.walked[LENGTH], cell))
        time = pulses.pulse_s * together * speed_factor * width
        before, target_r, target_l = x, r, length
        if pulses.moves:
            state = _renew(state, cells, cell, direction, pulses)
            if pulses.targets[0, SIGMA] > 0.0:
                target_r = np.float64(cells.targets[0, cell])
            if pulses.targets[1, SIGMA] > 0.0:
                target_l = np.float64(cells.targets[1, cell])
        x, unused, r, length = _stride(
            x, direction, time, cells, cell, physics, amplitude, r, length, target_r, target_l, stop, bound, scratch
        )
        if unused < 0.0:
            counters[INVALID] += left
            counters[SKIPPED] += left
            x = before
            break
        if pulses.moves:
            if pulses.targets[0, SIGMA] > 0.0:
                cells.walked[RADIUS][cell] = r
            if pulses.targets[1, SIGMA] > 0.0:
                cells.walked[LENGTH][cell] = length
        count = _locate(cells, cell, physics, amplitude, r, length, scratch)
        if pulses.own_window:
            x = _back_to_window(w_end, before, x, direction, physics, count, scratch)
        done = together if unused == 0.0 else together - int(together * unused / time)
        counters[counter] += done
        counters[SKIPPED] += together - done
        counters[ENERGY_J] += _power(0.5 * (before + x), direction, amplitude, physics, count, scratch) * (
            pulses.pulse_s * width * done
        )
        left -= together
        state = _after_pulse(state, cells, cell, before, x, limit, pulses)
        cells.weight[cell] = _weight_now(cells, cell, x, physics, scratch)
    cells.log_n[cell] = x
    return state


@kernel
def read_cells(cells, physics, scratch):
    """The weights of all cells from their ln N."""
    for cell in range(cells.log_n.shape[0]):
        r, length = np.float64(_of(cells.walked[RADIUS], cell)), np.float64(_of(cells.walked[LENGTH], cell))
        if physics.direct:
            count = _locate(cells, cell, physics, 1.0, r, length, scratch)
        else:
            count = _look_up(cells, cell, physics, 1.0, r, length, scratch)
        cells.weight[cell] = _read(cells.log_n[cell], physics, count, scratch)


@kernel
def solve_cells(cells, physics, scratch, target, low, high, out):
    """ln N at which each cell reads ``target``, within [low, high] of ln N; arrays of length 1 hold for every cell."""
    for cell in range(out.shape[0]):
        r, length = np.float64(_of(cells.walked[RADIUS], cell)), np.float64(_of(cells.walked[LENGTH], cell))
        if physics.direct:
            count = _locate(cells, cell, physics, 1.0, r, length, scratch)
        else:
            count = _look_up(cells, cell, physics, 1.0, r, length, scratch)
        a, b = np.float64(_of(low, cell)), np.float64(_of(high, cell))
        wanted = np.float64(_of(target, cell))
        x = find_weight(wanted, a, b, _first_guess(wanted, physics), physics, count, scratch)
        if x - a < 1e-12:
            x = a
        elif b - x < 1e-12:
            x = b
        out[cell] = x


@kernel
def step_cells(cells, physics, pulses, scratch, x, chosen, out):
    """Weights of the chosen cells at ln N ``x`` (of all cells), after one SET, and after one RESET pulse from there.

    Without noise, window or counting; out: (3, chosen).
    """
    for i in range(chosen.shape[0]):
        cell = chosen[i]
        r, length = np.float64(_of(cells.walked[RADIUS], cell)), np.float64(_of(cells.walked[LENGTH], cell))
        rate, boost = np.float64(_of(cells.rate, cell)), np.float64(_of(cells.boost, cell))
        for row in range(3):
            direction = 1 if row == 1 else -1
            after = x[cell]
            count = _locate(cells, cell, physics, 1.0, r, length, scratch)
            bound = math.log(np.float64(_of(cells.walked[N_MAX if direction > 0 else N_MIN], cell)))
            if row > 0 and (bound - after) * direction > 0.0:
                time = pulses.pulse_s * (rate / boost if direction > 0 else rate * boost)
                if physics.reference_length > 0.0:
                    time *= physics.reference_length / length
                if physics.direct:
                    after, _, _, _ = _stride(
                        after, direction, time, cells, cell, physics, 1.0, r, length, r, length, bound, bound, scratch
                    )
                else:
                    curve = physics.set if direction > 0 else physics.reset
                    kink = at_stencil(curve.kink, scratch.offsets, scratch.weights, count)
                    after, _ = march(
                        after, direction, time, curve.values, curve.x_first, kink, curve.x_last, curve.below,
                        scratch.offsets, scratch.weights, count, bound, bound,
                    )  # fmt: skip
            out[row, i] = _read(after, physics, count, scratch)
