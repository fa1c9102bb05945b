"""Compiled: how far sixteen cells go in a pulse, from the rate and its slope at the ends of strides of ln N.

A lane that does not fit, as near its bound, is marked: strides.py follows such a cell alone.
"""

import math

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import kernel, lane
from vcm_sweep.device.kernels.cpu.functions import exp, log
from vcm_sweep.device.kernels.cpu.lanes.rows import (
    AFTER,
    AT,
    AT_KINK,
    BARRIER,
    BARRIER_X,
    BEFORE,
    BEND,
    BOUND,
    CURRENT,
    CURRENT_X,
    LANES,
    POWER,
    RATE,
    RATE_BEFORE,
    SLOPE,
    SLOPE_BEFORE,
    STOP,
    TIME,
    VOLTAGE,
    X,
)
from vcm_sweep.device.kernels.cpu.strides import stride
from vcm_sweep.device.kernels.layout import F_RANGE, LONG, PAST_KINK

ALONE = math.inf  # AFTER of a lane that is to be followed alone
# Gauss and Legendre's four nodes on 0 .. 1, and their weights.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
(_T_1, _T_2, _T_3, _T_4), (_P_1, _P_2, _P_3, _P_4) = (0.5 - 0.5 * _NODES).tolist(), (0.5 * _WEIGHTS).tolist()


@kernel
def short_ways(rows, direction):
    """AFTER, ln N after each lane's pulse, and POWER, from the solution at X; NaN where the way is not a short one."""
    for k in range(LANES):
        x, i_x = rows[X * LANES + k], rows[CURRENT_X * LANES + k]
        way, short = stride(
            rows[RATE * LANES + k], rows[SLOPE * LANES + k], rows[BEND * LANES + k], rows[TIME * LANES + k]
        )
        barrier = rows[BARRIER * LANES + k]
        # The barrier after the stride has the sign that it has before: no kink of the rate is passed.
        later = barrier + rows[BARRIER_X * LANES + k] * direction * way
        stop, bound = (rows[STOP * LANES + k] - x) * direction, (rows[BOUND * LANES + k] - x) * direction
        fits = short & (barrier * later > 0.0) & (way <= stop) & (way <= bound - F_RANGE)
        rows[AFTER * LANES + k] = x + direction * way if fits else math.nan
        rows[TIME * LANES + k] = 0.0 if fits else rows[TIME * LANES + k]
        rows[POWER * LANES + k] = (
            rows[VOLTAGE * LANES + k] * rows[CURRENT * LANES + k] * exp(0.5 * direction * i_x * way)
        )


@kernel
def set_out(rows, direction):
    """The next place to solve at, AT, on the way of the lanes that have not arrived."""
    for k in range(LANES):
        x = rows[X * LANES + k]
        way = min(LONG, (rows[STOP * LANES + k] - x) * direction)
        barrier, steep = rows[BARRIER * LANES + k], rows[BARRIER_X * LANES + k] * direction
        kink = -barrier / (steep if steep != 0.0 else 1.0) + PAST_KINK
        kinked = (kink > PAST_KINK) & (kink < way) & (steep != 0.0)
        way = kink if kinked else way
        rows[AT_KINK * LANES + k] = 1.0 if kinked else 0.0
        rows[AT * LANES + k] = x + direction * way


@lane
def _effort(y, rate, first, second, third):
    """Time for the way y where ln of the rate is a cubic in y."""
    a, b, c, d = _T_1 * y, _T_2 * y, _T_3 * y, _T_4 * y
    return y * exp(-rate) * (
        _P_1 * exp(-a * (first + a * (second + a * third))) + _P_2 * exp(-b * (first + b * (second + b * third)))
        + _P_3 * exp(-c * (first + c * (second + c * third))) + _P_4 * exp(-d * (first + d * (second + d * third)))
    )  # fmt: skip


@kernel
def long_ways(rows, direction):
    """Let the lanes that have not arrived go from X to AT, where they were solved, or as far as their time lasts.

    Those that arrive at STOP have time left. AFTER is ALONE where a lane does not fit, as near its bound or outside the
    model.
    """
    for k in range(LANES):
        x, at, stop = rows[X * LANES + k], rows[AT * LANES + k], rows[STOP * LANES + k]
        time, after = rows[TIME * LANES + k], rows[AFTER * LANES + k]
        rate, slope, end, end_slope = (
            rows[RATE_BEFORE * LANES + k], rows[SLOPE_BEFORE * LANES + k], rows[RATE * LANES + k],
            rows[SLOPE * LANES + k],
        )  # fmt: skip
        way = (at - x) * direction
        per_way = 1.0 / way
        mean = (end - rate) * per_way
        # The slope beyond a kink is no slope of the way up to it.
        end_slope = end_slope if rows[AT_KINK * LANES + k] == 0.0 else 2.0 * mean - slope
        second = (3.0 * mean - 2.0 * slope - end_slope) * per_way
        third = (slope + end_slope - 2.0 * mean) * per_way * per_way
        whole = _effort(way, rate, slope, second, third)
        # From the way with a linear ln of the rate, Newton's steps in the way.
        part = time / whole
        part = part if part < 1.0 else 1.0
        z = mean * way
        y = way * (part if abs(z) < 1e-3 else -log(1.0 - part * (1.0 - exp(-z))) / (z if z != 0.0 else 1.0))
        for _ in range(2):
            gap = _effort(y, rate, slope, second, third) - time
            y -= gap * exp(rate + y * (slope + y * (second + y * third)))
            y = min(max(y, 0.0), way)
        arrives = time <= whole
        under_way = after != after
        fits = under_way & (whole == whole) & (way > 0.0) & ((rows[BOUND * LANES + k] - at) * direction >= F_RANGE)
        goes_on = fits & (not arrives)
        new = x + direction * y if arrives else (stop if at == stop else math.nan)
        rows[AFTER * LANES + k] = (new if fits else ALONE) if under_way else after
        rows[TIME * LANES + k] = time - whole if goes_on else (0.0 if fits else time)
        rows[X * LANES + k] = at if goes_on else x
        i, v, i_x = rows[CURRENT * LANES + k], rows[VOLTAGE * LANES + k], rows[CURRENT_X * LANES + k]
        middle = 0.5 * (rows[BEFORE * LANES + k] + new)
        rows[POWER * LANES + k] = v * i * exp(i_x * (middle - at)) if under_way else rows[POWER * LANES + k]
