"""Compiled: the way of one cell through one pulse, in strides of ln N, where no table gives the nodes."""

import math

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel, lane
from vcm_sweep.device.kernels.cpu.equations import log_rate, magnitude, rate_along
from vcm_sweep.device.kernels.cpu.functions import exp, log
from vcm_sweep.device.kernels.cpu.march import cross
from vcm_sweep.device.kernels.cpu.reading import locate
from vcm_sweep.device.kernels.cpu.starts import about_current, bend_at
from vcm_sweep.device.kernels.cpu.stencil import at_stencil, read_linear
from vcm_sweep.device.kernels.layout import F_RANGE, LONG, PAST_KINK, SHORT, SHORTEST, STRIDE


@lane
def stride(rate, slope, bend, time):
    """(way in ln N after a time, whether it is a short one) with ln of the rate a parabola along the way."""
    gone = exp(rate) * time
    z = slope * gone
    w = z / (2.0 - z)
    w *= w
    # -ln(1 - z) / z, by its series where z is small; see march.py.
    series = 2.0 / (2.0 - z) * (1.0 + w * (1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9)))))
    inside = z < 0.99
    small = abs(z) < 0.25
    closed = -log(1.0 - z if inside else 1.0) / (1.0 if small else z)
    way = gone * (series if small else closed)
    # What the parabola's curvature adds, to first order: exp(s y) times the integral of exp(-s y) b y^2 / 2.
    z = slope * way
    way += bend * (way * way * way) * (1 / 6 + z * (1 / 24 + z * (1 / 120 + z * (1 / 720 + z * (1 / 5040)))))
    return way, inside & (gone < SHORT) & (way < SHORT)


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
def power_of(x, direction, amplitude, physics, count, scratch):
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
def stride_by_stride(
    x, direction, time, cells, cell, physics, amplitude, r, length, target_r, target_l, stop, bound, scratch
):
    """(x after the pulse, time left, r, l): strides of ln N with the rate taken anew at each, r and l on their way."""
    n_old = math.exp(x)
    way = math.exp(bound) - n_old
    r_now, l_now = r, length
    count = locate(cells, cell, physics, amplitude, r, length, scratch)
    low = _log_rate(x, direction, amplitude, physics, count, scratch) + _log_length(physics, length)
    while time > 0.0 and (stop - x) * direction > 0.0:
        edge = x + direction * STRIDE
        if (stop - edge) * direction < 0.0:
            edge = stop
        part = (math.exp(edge) - n_old) / way
        r_edge, l_edge = r + (target_r - r) * part, length + (target_l - length) * part
        if r_edge != r_now or l_edge != l_now:
            count = locate(cells, cell, physics, amplitude, r_edge, l_edge, scratch)
        high = _log_rate(edge, direction, amplitude, physics, count, scratch) + _log_length(physics, l_edge)
        if not (low == low and high == high):
            return x, -1.0, r_now, l_now
        slope = (high - low) / (edge - x)
        speed = math.exp(low)
        while True:
            x_new, time, speed, within = cross(x, direction, time, speed, slope, edge, bound, STRIDE)
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


@kernel
def _along(x, direction, time, v, amplitude, is_set, full, starts, nominal, stop, bound, p):
    """(x after the pulse, time left, |I| and its slope where it was last solved, that place); time < 0: outside.

    A short way is one stride along a parabola of ln of the rate. A longer one is strided along cubics between two
    solutions. A stride ends where the barrier vanishes, since the rate has a kink there.
    """
    which = 0 if is_set else 1
    guess = about_current(which, x, v, amplitude, full, starts, p, nominal)
    rate, slope, i, i_x, barrier, barrier_x = rate_along(v, x, is_set, full, p, guess)
    if rate != rate:
        return x, -1.0, i, i_x, x
    way, short = stride(rate, slope * direction, bend_at(which, x, starts), time)
    room = min((stop - x) * direction, (bound - x) * direction - F_RANGE)
    if short and way <= room and barrier * (barrier + barrier_x * direction * way) > 0.0:
        return x + direction * way, 0.0, i, i_x, x
    speed = math.exp(rate)
    longest = LONG
    while True:
        at = x
        edge = x + direction * longest
        kinked = False
        kink = x - barrier / barrier_x if barrier_x != 0.0 else edge
        if (kink - x) * direction > 0.0 and (edge - kink) * direction > 0.0:
            edge = kink + direction * PAST_KINK
            kinked = True
        if (stop - edge) * direction < 0.0:
            edge = stop
        way = edge - x
        guess = about_current(which, edge, v, amplitude, full, starts, p, nominal)
        end_rate, end_slope, end_i, end_i_x, barrier, barrier_x = rate_along(v, edge, is_set, full, p, guess)
        if end_rate != end_rate:
            # The model may end beyond what the pulse reaches.
            longest *= 0.5
            if longest < SHORTEST:
                return x, -1.0, i, i_x, x
            continue
        # The slope beyond a kink is no slope of the way up to it.
        up_to = 2.0 * (end_rate - rate) / way - slope if kinked else end_slope
        pieces = int(abs(way) / STRIDE) + 1
        part = way / pieces
        low = rate
        for piece in range(pieces):
            t = (piece + 1) / pieces
            high = (
                rate + t * (way * slope)
                + t * t * ((3.0 - 2.0 * t) * (end_rate - rate) - way * ((2.0 - t) * slope + (1.0 - t) * up_to))
            )  # fmt: skip
            tangent = (high - low) / part
            low = high
            to = at + part * (piece + 1) if piece + 1 < pieces else edge
            while True:
                x_new, time, speed, within = cross(x, direction, time, speed, tangent, to, bound, STRIDE)
                done = within or x_new == to or time <= 0.0
                x = x_new
                if done:
                    break
            if within or time <= 0.0 or (stop - x) * direction <= 0.0:
                return x, 0.0 if within else max(time, 0.0), i, i_x, at
        rate, slope, i, i_x = end_rate, end_slope, end_i, end_i_x
        speed = math.exp(rate)


@inlined
def along_equations(x, direction, time, physics, amplitude, stop, bound, scratch):
    """(x after the pulse, time left, |V I| in the middle of the way) of a located cell, from its equations."""
    is_set = direction > 0
    v = amplitude * (physics.v_set if is_set else physics.v_reset)
    p = scratch.parameters
    after, left, i, i_x, at = _along(
        x, direction, time, v, amplitude, is_set, physics.full, physics.starts, physics.nominal, stop, bound, p
    )
    return after, left, v * i * math.exp(i_x * (0.5 * (x + after) - at))
