# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""One pulse in closed form for many cells at a time: cpu/march.py with the same names, which explains the method.

A cell's place, ln N, is in double precision, and ways and times along it are in single: a way then has a relative error
of some 1e-6, where tables have 5e-4, and small ways still add up. Nothing here takes the logarithm of a number near 1,
of which single precision knows few digits.
"""

from vcm_sweep.device.kernels.gpu.tables import interval, step_and_start
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import F_RANGE
from vcm_sweep.device.physics.constants import BOUND_EXPONENT

_F_RANGE = tl.constexpr(F_RANGE)
# On the right of a product: on the left, Triton's interpreter takes the product for a constant, too.
_EXPONENT = tl.constexpr(BOUND_EXPONENT)


@triton.jit
def _two_atanh(v):
    """2 atanh(v) for |v| <= 1/7, by its series; -ln(1 - p) is that of p / (2 - p)."""
    w = v * v
    return v * (2.0 + w * (2 / 3 + w * (2 / 5 + w * (2 / 7 + w * (2 / 9)))))


@triton.jit
def _log1p(z):
    """ln(1 + z) for z >= 0."""
    small = z < 0.25
    v = tl.where(small, z, 0.0)
    return tl.where(small, _two_atanh(v / (2.0 + v)), tl.log(1.0 + z))


@triton.jit
def _minus_expm1(z):
    """1 - exp(-z) for z >= 0; a Taylor series where z is small."""
    small = z < 0.5
    v = tl.where(small, z, 0.0)
    series = 1.0 - v * (1 / 6) * (1.0 - v * (1 / 7) * (1.0 - v * (1 / 8)))
    series = 1.0 - v * (1 / 3) * (1.0 - v * (1 / 4) * (1.0 - v * (1 / 5) * series))
    return tl.where(small, v * (1.0 - v * 0.5 * series), 1.0 - tl.exp(-z))


@triton.jit
def _distance(q, s):
    """Way y covered when (1 - exp(-s y)) / s = q; infinite where the speed diverges before."""
    z = s * q
    small = tl.abs(z) < 0.25
    # The series of 2 atanh for small z; for others 1 - z loses no digits.
    v = tl.where(small, z, 0.0)
    w = v / (2.0 - v)
    w *= w
    series = 2.0 * q / (2.0 - v) * (1.0 + w * (1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9)))))
    u = tl.where(small | (z >= 1.0), 0.5, z)
    way = tl.where(small, series, -tl.log(1.0 - u) / tl.where(small, 1.0, s))
    return tl.where(z >= 1.0, float("inf"), way)


@triton.jit
def _effort(y, s):
    """(1 - exp(-s y)) / s, the time for a way y in units of 1 / exp(g0); a Taylor series where s y is small."""
    z = s * y
    small = tl.abs(z) < 0.25
    v = tl.where(small, z, 0.0)
    even = 1.0 + v * v * (1 / 6 + v * v * (1 / 120 + v * v * (1 / 5040)))
    odd = 0.5 + v * v * (1 / 24 + v * v * (1 / 720 + v * v * (1 / 40320)))
    return tl.where(small, y * (even - v * odd), (1.0 - tl.exp(-z)) / tl.where(small, 1.0, s))


@triton.jit
def _stretched(u):
    """-ln(exp(10 u) - 1) / 10: the coordinate in which the bound factor drops out; grows toward the bound."""
    return -(u + tl.log(_minus_expm1(u * _EXPONENT)) / _EXPONENT)


@triton.jit
def _from_stretched(y):
    z = y * -_EXPONENT
    return tl.where(z > 30.0, z / _EXPONENT, _log1p(tl.exp(tl.minimum(z, 30.0))) / _EXPONENT)


@triton.jit
def cross(x, direction, time, speed, slope, edge, bound, step, going):
    """(state, time left, whether the time ended first) on the way to ``edge`` with g linear in x.

    x, edge and bound are float64, all others float32. Near the bound of F the approach is taken in halves, and the
    state returned is short of the edge. Lanes that are not ``going`` stay as they are.
    """
    way = (edge - x).to(tl.float32) * direction
    u = (bound - x).to(tl.float32) * direction
    near = going & (u < _F_RANGE)
    # The way is measured in the stretched coordinate near the bound, in ln N elsewhere.
    s = slope * direction
    length = way
    y0, part = tl.zeros_like(way), tl.zeros_like(way)
    arriving = near & (way >= u)
    some_near = tl.max(near.to(tl.int32), 0) > 0
    if some_near:
        # Take the approach to the bound in halves: the linear g holds on each of them.
        halved = near & (u - way < 0.5 * u) & (u > 1e-4 * step)
        way = tl.where(halved, 0.5 * u, way)
        edge = tl.where(halved, x + (direction * way).to(tl.float64), edge)
        rest = u - way
        arriving = near & (rest <= 0.0)
        linear = near & ~arriving
        y0 = tl.where(near, _stretched(tl.where(near, u, 1.0)), 0.0)
        # A short way is 1 - exp(-10 way) = (1 - exp(-10 u)) (1 - exp(-10 length)) there: in y it would be lost.
        part = _minus_expm1(tl.where(near, u, 1.0) * _EXPONENT)
        p = _minus_expm1(tl.where(linear, way, 0.0) * _EXPONENT) / part
        short = p < 0.2
        p = tl.where(short, p, 0.0)
        longer = _stretched(tl.where(linear, rest, 1.0)) - y0
        length = tl.where(near, tl.where(short, _two_atanh(p / (2.0 - p)) / _EXPONENT, longer), way)
        s = tl.where(linear, s * way / tl.where(length > 0.0, length, 1.0), s)
    gone = tl.where(arriving, speed * time, _distance(speed * time, s))
    ends = going & (arriving | (gone < length))
    landing = x + (direction * gone).to(tl.float64)
    if some_near:
        p = _minus_expm1(tl.where(near & (gone > 0.0), gone, 0.0) * _EXPONENT)
        short = p < 0.2
        p = tl.where(short, part * p, 0.0)
        nearby = x + (direction * _two_atanh(p / (2.0 - p)) / _EXPONENT).to(tl.float64)
        landing = tl.where(near & short, nearby, landing)
        farther = bound - (direction * _from_stretched(y0 + gone)).to(tl.float64)
        landing = tl.where(near & ~short, farther, landing)
    passes = going & ~ends
    x = tl.where(ends, landing, tl.where(passes, edge, x))
    return x, tl.where(passes, time - _effort(length, s) / speed, time), ends


@triton.jit
def march(going, x, up, time, curve, stop, bound):
    """State x after ``time`` and the time left when ``stop`` was reached first, for the lanes that are ``going``.

    up: whether a lane's pulse is SET. curve: the table of each lane's direction. x, stop and bound are float64, times
    float32. The caller has checked that the cells have reached neither ``stop`` nor ``bound``.
    """
    direction = tl.where(up, 1.0, -1.0)
    last = curve[1] - 2
    end = tl.where(up, last, 0)
    k = interval(curve, x)
    step, start = step_and_start(curve, k)
    k = tl.where((k > 0) & ~up & (x <= start), k - 1, k)
    k = tl.where((k < last) & up & (x >= start + step), k + 1, k)
    unused = tl.zeros_like(time)
    while tl.max(going.to(tl.int32), 0) > 0:
        step, start = step_and_start(curve, k)
        low = tl.load(curve[0] + k)
        width = step.to(tl.float32)
        slope = (tl.load(curve[0] + k + 1) - low) / width
        border = tl.where(up, start + step, start)
        edge = tl.where((k == end) | tl.where(up, stop <= border, stop >= border), stop, border)
        speed = tl.exp(low + slope * (x - start).to(tl.float32))
        x, time, ends = cross(x, direction, time, speed, slope, edge, bound, width, going)
        passes = going & ~ends
        stops = passes & ((x == stop) | (time <= 0.0))
        unused = tl.where(stops, tl.maximum(time, 0.0), unused)
        k = tl.where(passes & ~stops & (x == border), tl.where(up, k + 1, k - 1), k)
        going = passes & ~stops
    return x, unused
