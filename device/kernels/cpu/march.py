"""Compiled scalar core: one cell through one pulse, in closed form, by tables.

At a fixed pulse voltage the state equation is autonomous and scalar. With x = ln N, the tables hold
g(x, r) = ln(|dN/dt| / N) without the bound factor, for the reference disc length. Between two nodes of x, g is
taken as linear, so that dx/dt = exp(g0 + s (x - x0)) has the solution x = x0 - ln(1 - s exp(g0) t) / s: a pulse
walks from segment to segment with one exponential and one logarithm each, hits a bound exactly and needs no
step control, also when the cell avalanches within the pulse.

Near N_min and N_max the factor F of equation (4) matters; the stretched coordinate of dynamics/adaptive.py
absorbs it, and the same closed form holds there.
"""

import math

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.layout import F_RANGE
from vcm_sweep.device.physics.constants import BOUND_EXPONENT


@inlined
def read_node(table, k, offsets, weights, count):
    """A table's value at node k of x, interpolated between its nodes of the cell's parameters; see stencil.py."""
    if count == 1:
        return table[k, 0]
    value = 0.0
    for i in range(count):
        value += weights[i] * table[k, offsets[i]]
    return value


@inlined
def _distance(q, s):
    """Way y covered when (1 - exp(-s y)) / s = q; infinite where the speed diverges before.

    For small s q, -ln(1 - z) = 2 atanh(z / (2 - z)) by its series, to 1e-11.
    """
    z = s * q
    if z >= 1.0:
        return math.inf
    if abs(z) < 0.25:
        w = z / (2.0 - z)
        w *= w
        return 2.0 * q / (2.0 - z) * (1.0 + w * (1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9)))))
    return -math.log1p(-z) / s


@inlined
def _effort(y, s):
    """(1 - exp(-s y)) / s, the time for a way y in units of 1 / exp(g0); a Taylor series where s y is small."""
    z = s * y
    if abs(z) < 0.25:
        even = 1.0 + z * z * (1 / 6 + z * z * (1 / 120 + z * z * (1 / 5040)))
        odd = 0.5 + z * z * (1 / 24 + z * z * (1 / 720 + z * z * (1 / 40320)))
        return y * (even - z * odd)
    return -math.expm1(-z) / s


@inlined
def _stretched(u):
    """-ln(exp(10 u) - 1) / 10: the coordinate in which the bound factor drops out; grows toward the bound."""
    return -(u + math.log(-math.expm1(-BOUND_EXPONENT * u)) / BOUND_EXPONENT)


@inlined
def _from_stretched(y):
    z = -BOUND_EXPONENT * y
    if z > 30.0:
        return z / BOUND_EXPONENT
    return math.log1p(math.exp(z)) / BOUND_EXPONENT


@kernel
def march(x, direction, time, curve, kink, offsets, weights, count, stop, bound):
    """State x after ``time`` and the time left when ``stop`` was reached first.

    direction: +1 SET, -1 RESET. curve: its values are (nodes of x, nodes of the parameters), and its first ``below``
    intervals of x are equal ones up to ``kink``, the cell's own, the others from there. stop: where the cell stops
    (ln N). bound: ln N_max or ln N_min, of F. The caller has checked that the cell is short of both.
    """
    table, x_first, x_last, below = curve.values, curve.x_first, curve.x_last, curve.below
    last = table.shape[0] - 2
    lower_step = (kink - x_first) / below if below > 0 else 1.0
    upper_step = (x_last - kink) / (last + 1 - below) if last >= below else 1.0
    if x < kink and below > 0:
        k = min(max(int((x - x_first) / lower_step), 0), below - 1)
    else:
        k = min(below + max(int((x - kink) / upper_step), 0), last)
    step = lower_step if k < below else upper_step
    start = x_first + k * lower_step if k < below else kink + (k - below) * upper_step
    if direction < 0 and k > 0 and x <= start:
        k -= 1
    if direction > 0 and k < last and x >= start + step:
        k += 1
    speed = -1.0
    while True:
        step = lower_step if k < below else upper_step
        start = x_first + k * lower_step if k < below else kink + (k - below) * upper_step
        low = read_node(table, k, offsets, weights, count)
        slope = (read_node(table, k + 1, offsets, weights, count) - low) / step
        if speed < 0.0:
            speed = math.exp(low + slope * (x - start))
        edge = start + step if direction > 0 else start
        at_end = k == (last if direction > 0 else 0)
        if at_end or (stop - edge) * direction <= 0.0:
            edge = stop
        x_new, time, speed, within = cross(x, direction, time, speed, slope, edge, bound, step)
        if within:
            return x_new, 0.0
        full = x_new == edge
        x = x_new
        if x == stop or time <= 0.0:
            return x, max(time, 0.0)
        if full:
            k += direction


@inlined
def cross(x, direction, time, speed, slope, edge, bound, step):
    """(state, time left, speed there, whether the time ended first) on the way to ``edge`` with g linear in x.

    Near the bound of F the approach is taken in halves, and the state returned is short of the edge.
    """
    way = (edge - x) * direction
    u = (bound - x) * direction
    if u < F_RANGE:
        # The linear g holds on each of the halves.
        if u - way < 0.5 * u and u > 1e-4 * step:
            way = 0.5 * u
            edge = x + direction * way
        y0 = _stretched(u)
        rest = u - way
        if rest <= 0.0:
            y = y0 + speed * time
            return bound - direction * _from_stretched(y), 0.0, speed, True
        length = _stretched(rest) - y0
        s = slope * direction * way / length
        gone = _distance(speed * time, s)
        if gone < length:
            return bound - direction * _from_stretched(y0 + gone), 0.0, speed, True
        effort = _effort(length, s)
    else:
        s = slope * direction
        gone = _distance(speed * time, s)
        if gone < way:
            return x + direction * gone, 0.0, speed, True
        effort = _effort(way, s)
    # exp(g) at the edge, without another exponential: exp(-s y) = 1 - s effort.
    return edge, time - effort / speed, speed / (1.0 - s * effort), False
