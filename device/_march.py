"""Compiled scalar core: one cell through one pulse, in closed form, by tables.

At a fixed pulse voltage the state equation is autonomous and scalar. With x = ln N, the tables hold
g(x, r) = ln(|dN/dt| / N) without the bound factor, for the reference disc length. Between two nodes of x, g is
taken as linear, so that dx/dt = exp(g0 + s (x - x0)) has the solution x = x0 - ln(1 - s exp(g0) t) / s: a pulse
walks from segment to segment with one exponential and one logarithm each, hits a bound exactly and needs no
step control, also when the cell avalanches within the pulse.

Near N_min and N_max the factor F of equation (4) matters; the stretched coordinate of ``integration.py``
absorbs it, and the same closed form holds there.
"""

import math

import numba as nb

# F differs from 1 by less than 3e-7 when ln N is further than this from the bound.
F_RANGE = 1.5
_F_EXPONENT = 10.0


@nb.njit(cache=True, inline="always", error_model="numpy")
def stencil(r, r_first, r_inverse_step, count):
    """First node and the four Lagrange weights of a cubic through equidistant nodes of the radius."""
    if count == 1:
        return 0, 1.0, 0.0, 0.0, 0.0
    t = (r - r_first) * r_inverse_step
    j = min(max(int(t) - 1, 0), count - 4)
    t -= j
    a, b, c, d = t, t - 1.0, t - 2.0, t - 3.0
    return j, -b * c * d / 6.0, a * c * d / 2.0, -a * b * d / 2.0, a * b * c / 6.0


@nb.njit(cache=True, inline="always", error_model="numpy")
def node(table, k, j, c0, c1, c2, c3):
    if table.shape[1] == 1:
        return table[k, 0]
    return c0 * table[k, j] + c1 * table[k, j + 1] + c2 * table[k, j + 2] + c3 * table[k, j + 3]


@nb.njit(cache=True, inline="always", error_model="numpy")
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


@nb.njit(cache=True, inline="always", error_model="numpy")
def _effort(y, s):
    """(1 - exp(-s y)) / s, the time for a way y in units of 1 / exp(g0); a Taylor series where s y is small."""
    z = s * y
    if abs(z) < 0.25:
        even = 1.0 + z * z * (1 / 6 + z * z * (1 / 120 + z * z * (1 / 5040)))
        odd = 0.5 + z * z * (1 / 24 + z * z * (1 / 720 + z * z * (1 / 40320)))
        return y * (even - z * odd)
    return -math.expm1(-z) / s


@nb.njit(cache=True, inline="always", error_model="numpy")
def _stretched(u):
    """-ln(exp(10 u) - 1) / 10: the coordinate in which the bound factor drops out; grows toward the bound."""
    return -(u + math.log(-math.expm1(-_F_EXPONENT * u)) / _F_EXPONENT)


@nb.njit(cache=True, inline="always", error_model="numpy")
def _from_stretched(y):
    z = -_F_EXPONENT * y
    if z > 30.0:
        return z / _F_EXPONENT
    return math.log1p(math.exp(z)) / _F_EXPONENT


@nb.njit(cache=True, error_model="numpy")
def march(x, direction, time, table, x_first, step, j, c0, c1, c2, c3, stop, bound):
    """State x after ``time`` and the time left when ``stop`` was reached first.

    direction: +1 SET, -1 RESET. stop: where the cell stops (ln N). bound: ln N_max or ln N_min, of F.
    The caller has checked that the cell is short of both.
    """
    last = table.shape[0] - 2
    k = min(max(int((x - x_first) / step), 0), last)
    if direction < 0 and k > 0 and x <= x_first + k * step:
        k -= 1
    if direction > 0 and k < last and x >= x_first + (k + 1) * step:
        k += 1
    speed = -1.0
    while True:
        low = node(table, k, j, c0, c1, c2, c3)
        slope = (node(table, k + 1, j, c0, c1, c2, c3) - low) / step
        if speed < 0.0:
            speed = math.exp(low + slope * (x - (x_first + k * step)))
        edge = x_first + (k + 1) * step if direction > 0 else x_first + k * step
        at_end = k == (last if direction > 0 else 0)
        if at_end or (stop - edge) * direction <= 0.0:
            edge = stop
        way = (edge - x) * direction
        u = (bound - x) * direction
        if u < F_RANGE:
            # Take the approach to the bound in halves: the linear g holds on each of them.
            if u - way < 0.5 * u and u > 1e-4 * step:
                way = 0.5 * u
                edge = x + direction * way
            y0 = _stretched(u)
            rest = u - way
            if rest <= 0.0:
                y = y0 + speed * time
                return bound - direction * _from_stretched(y), 0.0
            length = _stretched(rest) - y0
            s = slope * direction * way / length
            gone = _distance(speed * time, s)
            if gone < length:
                return bound - direction * _from_stretched(y0 + gone), 0.0
            effort = _effort(length, s)
        else:
            s = slope * direction
            gone = _distance(speed * time, s)
            if gone < way:
                return x + direction * gone, 0.0
            effort = _effort(way, s)
        time -= effort / speed
        # exp(g) at the edge, without another exponential: exp(-s y) = 1 - s effort.
        speed /= 1.0 - s * effort
        x = edge
        if x == stop or time <= 0.0:
            return x, max(time, 0.0)
        if x == x_first + (k + 1) * step and direction > 0:
            k += 1
        elif x == x_first + k * step and direction < 0:
            k -= 1
