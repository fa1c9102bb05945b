"""Error-controlled steps of single cells, compiled: those of adaptive.py, without gradients and much quicker.

What a step costs there are the small tensors of one cell. The coordinate, the steps and their control are those of
adaptive.py, whose docstring derives them; the physics is the compiled one of kernels/cpu/equations.py.
"""

import math

import numpy as np

from vcm_sweep.device.dynamics.adaptive import ERROR_WEIGHTS, MAX_ROUNDS, RESOLUTION, STAGES, TIMES
from vcm_sweep.device.kernels.cpu.compiling import compiled
from vcm_sweep.device.kernels.cpu.equations import (
    ALPHA_LINE,
    N_MAX,
    N_MIN,
    R_0,
    R_NOMINAL,
    R_TH0,
    R_TH_LINE,
    R_THEFF,
    R_TIOX,
    T_0,
    log_rate,
)
from vcm_sweep.device.kernels.cpu.equations import R as RADIUS
from vcm_sweep.device.physics.constants import BOUND_EXPONENT

_COUNT = len(TIMES)
_STAGES = np.array([list(row) + [0.0] * (_COUNT - len(row)) for row in STAGES])
_TIMES, _WEIGHTS = np.array(TIMES), np.array(ERROR_WEIGHTS)


@compiled(error_model="numpy")
def follow(n, volts, times, p, full, rtol, states, worst):
    """Fills ``states`` with N at ``times``, where the voltage is ``volts``, linear between; returns how it went.

    n: N at the first time, 1e26/m3. p: the parameters in the order of ``CellParameters``. worst: (2,), the highest
    temperature in K and the highest ln(|dN/dt| / N), which are raised. Returns 0 if all went well, -k if the cell was
    held in its state because the model has no rate, first in interval k, and k if it did not come to its end.
    """
    how, states[0] = 0, n
    for k in range(1, len(times)):
        states[k], held = _interval(
            states[k - 1], volts[k - 1], volts[k], times[k] - times[k - 1], p, full, rtol, worst
        )
        if held > 0:
            return k
        if held < 0 and how == 0:
            how = -k
    return how


@compiled(error_model="numpy")
def _interval(n, start_v, end_v, duration, p, full, rtol, worst):
    """(N after a voltage that goes from ``start_v`` to ``end_v`` of one sign, how it went as in ``follow``)."""
    is_set = start_v + end_v < 0.0
    _see(abs(start_v), math.log(n), is_set, p, full, worst)
    inside = n < p[N_MAX] if is_set else n > p[N_MIN]
    if duration <= 0.0 or not inside or (start_v == 0.0 and end_v == 0.0):
        return n, 0
    sign = 1.0 if is_set else -1.0
    low, rise = abs(start_v), abs(end_v) - abs(start_v)
    start = math.log(n)
    log_ratio = BOUND_EXPONENT * (start - math.log(p[N_MAX]) if is_set else math.log(p[N_MIN]) - start)
    log_f = math.log(-math.expm1(log_ratio))
    slopes = np.zeros(_COUNT + 1)
    way, time = 0.0, 0.0
    slopes[0] = _slope(low, start, is_set, p, full)
    if not math.isfinite(slopes[0]):
        return n, -1
    step = min(0.05 / slopes[0], duration) if slopes[0] > 0.0 else duration
    for _ in range(MAX_ROUNDS):
        step = min(step, duration - time)
        for i in range(_COUNT):
            trial = way
            for j in range(i + 1):
                trial += step * _STAGES[i, j] * slopes[j]
            # A stage of a step that is far too long may lie far behind the start, at an N that no cell has.
            x = start + sign * _gone(max(trial, 0.0), log_ratio, log_f)
            v = low + rise * min((time + _TIMES[i] * step) / duration, 1.0)
            slopes[i + 1] = _slope(v, x, is_set, p, full)
        error = 0.0
        for i in range(_COUNT + 1):
            error += step * _WEIGHTS[i] * slopes[i]
        share = abs(error) / max(rtol * (trial - way), RESOLUTION)
        finite = math.isfinite(share) and math.isfinite(slopes[_COUNT])
        if not finite:
            share = 1e10
            if step * slopes[0] < 1e-9 and step < 1e-9 * duration:
                return math.exp(start + sign * _gone(way, log_ratio, log_f)), -1
        factor = min(max(0.9 * max(share, 1e-10) ** -0.25, 0.1), 5.0)
        if share <= 1.0:
            ended = step >= duration - time
            way, time, slopes[0] = trial, time + step, slopes[_COUNT]
            x = start + sign * _gone(way, log_ratio, log_f)
            _see(low + rise * min(time / duration, 1.0), x, is_set, p, full, worst)
            if ended:
                return math.exp(x), 0
        step *= factor
    return n, 1


@compiled(error_model="numpy")
def _slope(v, x, is_set, p, full):
    """|dN/dt| / N without the bound factor; 0 at V = 0, NaN outside the model."""
    return math.exp(log_rate(v, x, is_set, full, p)[0]) if v > 0.0 else 0.0


@compiled(error_model="numpy")
def _gone(way, log_ratio, log_f):
    """How far ln N has moved, from the way in the stretched coordinate."""
    other = log_f - BOUND_EXPONENT * way
    larger, smaller = max(log_ratio, other), min(log_ratio, other)
    return (larger + math.log1p(math.exp(smaller - larger))) / -BOUND_EXPONENT


@compiled(error_model="numpy")
def _see(v, x, is_set, p, full, worst):
    """Raises the highest temperature and rate that the cell has seen."""
    if v <= 0.0:
        worst[0] = max(worst[0], p[T_0])
        return
    rate, i = log_rate(v, x, is_set, full, p)
    series = p[R_TIOX] + p[R_0] * (1.0 + p[R_0] * p[ALPHA_LINE] * p[R_TH_LINE] * i * i)
    thermal = p[R_TH0] * (p[R_NOMINAL] / p[RADIUS]) ** 2 * (1.0 if is_set else p[R_THEFF])
    kelvin = p[T_0] + i * (v - i * series) * thermal
    if kelvin > worst[0]:
        worst[0] = kelvin
    ratio = x - math.log(p[N_MAX]) if is_set else math.log(p[N_MIN]) - x
    if ratio < 0.0:
        now = rate + math.log(-math.expm1(BOUND_EXPONENT * ratio))
        if now > worst[1]:
            worst[1] = now
