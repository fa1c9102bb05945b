"""The states of a few cells along a waveform of thousands of steps, quick enough for a fit.

An integrator computes the rate stage by stage, one step after the other. Here all rates that a waveform can need are
computed at once, in a table over voltage and the stretched coordinate y of ``adaptive.py`` (dy/dt = |dN/dt| / N
without F), and each cell then walks through the table. Within one patch of it ln(dy/dt) = L + b (y - y0) + c t, an
equation that can be solved by separation: (1 - exp(-b dy)) / b = exp(L) (exp(c t) - 1) / c. So ramps and constant
pulses need no separate code, bounds are not overshot, and an avalanche costs one logarithm per node.
"""

import math
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from vcm_sweep.device.kernels.cpu.compiling import compiled
from vcm_sweep.device.physics.constants import BOUND_EXPONENT
from vcm_sweep.device.physics.kinetics import log_speed
from vcm_sweep.device.physics.parameters import CellParameters

NODES = 193  # number of nodes of y, at which ln of the rate is linear to about 1e-3
KNOT_V = 5e-3  # spacing of the voltages along ramps, V
_Y_END = 1.0  # the last node of y, where N is within 1e-5 of its bound and the rate is constant
_FAR = 40.0  # at V = 0 ln of the rate is taken this much below that of the next voltage, so that nothing moves

Array: TypeAlias = NDArray[np.float64]


def trajectory(
    n: Array,
    start_v: Array,
    end_v: Array,
    duration_s: Array,
    parameters: CellParameters,
    model: str,
    nodes: int = NODES,
    knot_v: float = KNOT_V,
) -> Array:
    """N in 1e26/m3 after every step, (steps, cells); NaN where the field is beyond the hopping model.

    Args:
        n: concentration before the first step, (cells,), 1e26/m3; a cell outside [N_min, N_max] starts at the bound.
        start_v, end_v, duration_s: voltage (V) at the start and end of each step, and its length (s), (steps,) each;
            within a step the voltage is linear in time.
        parameters: the cells, whose fields are floats or (cells,).
        model: the current model.
        nodes, knot_v: resolution of the table: number of nodes of y, and spacing of voltages along ramps in V.
    """
    cells = len(n)
    low, high = (_per_cell(getattr(parameters, name), cells) for name in ("N_min", "N_max"))
    log_n = np.log(np.clip(n, low, high))
    after = np.empty((len(start_v), cells))
    sides = []
    for sign, bound in ((-1.0, high), (1.0, low)):
        knots = _knots(sign * start_v, sign * end_v, knot_v)
        sides.append((knots, *_table(sign, knots, np.log(low), np.log(high), parameters, model, nodes), bound))
    steps = start_v, end_v, duration_s
    for cell in range(cells):
        own = [
            (knots, table[:, :, cell], y[cell], step[cell], math.log(bound[cell]))
            for knots, table, y, step, bound in sides
        ]
        _walk(log_n[cell], steps, *own, after[:, cell])
    return np.exp(after)


def _per_cell(value: float | torch.Tensor, cells: int) -> Array:
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (cells,))


def _knots(start: Array, end: Array, spacing: float) -> Array:
    """|V| at which the rates of one polarity are tabulated, from 0 up: each constant voltage, and a grid for ramps."""
    constant = start[(start == end) & (start > 0)]
    ramps = start != end
    top = max(np.max(start[ramps], initial=0.0), np.max(end[ramps], initial=0.0))
    grid = np.linspace(0.0, top, math.ceil(top / spacing) + 1) if top > 0 else np.zeros(1)
    return np.unique(np.concatenate((grid, constant)))


def _table(
    sign: float, knots: Array, log_low: Array, log_high: Array, parameters: CellParameters, model: str, nodes: int
) -> tuple[Array, Array, Array]:
    """ln(dy/dt) of one polarity, (knots, nodes, cells), and each cell's first node and step of y."""
    span = log_high - log_low
    first = -(span + np.log(-np.expm1(-BOUND_EXPONENT * span)) / BOUND_EXPONENT)
    step = (_Y_END - first) / (nodes - 1)
    y = torch.from_numpy(first + step * np.arange(nodes)[:, None])
    u = torch.nn.functional.softplus(-BOUND_EXPONENT * y, threshold=700.0) / BOUND_EXPONENT
    x = torch.from_numpy(log_high) - u if sign < 0 else torch.from_numpy(log_low) + u
    table = np.full((len(knots), nodes, len(first)), -np.inf)
    if len(knots) > 1:
        voltage = torch.from_numpy(sign * knots[1:])[:, None, None].expand(-1, *x.shape)
        state = x.expand_as(voltage)
        with torch.no_grad():
            table[1:] = (log_speed(voltage, torch.exp(state), parameters, model) - state).numpy()
        table[0] = table[1] - _FAR
    return table, first, step


@compiled(error_model="numpy")
def _walk(x, steps, set_, reset, after):
    """Fills ``after`` with ln N at the end of every step; each side: knots, table, its first y and step, the bound."""
    start_v, end_v, duration_s = steps
    knots_s, table_s, y_s, step_s, high = set_
    knots_r, table_r, y_r, step_r, low = reset
    for i in range(len(start_v)):
        v, last = start_v[i], end_v[i]
        for half in range(2):
            # A step that crosses V = 0 is done in two halves, one per polarity, in the order of time.
            side = -1.0 if (v < 0.0) == (half == 0) else 1.0
            a, b = max(side * v, 0.0), max(side * last, 0.0)
            if duration_s[i] == 0.0 or (a == 0.0 and b == 0.0):
                continue
            time = duration_s[i] if v == last else duration_s[i] * abs((b - a) / (last - v))
            if side < 0.0:
                x = high - _from_stretched(_ramp(_stretched(high - x), a, b, time, knots_s, table_s, y_s, step_s))
            else:
                x = low + _from_stretched(_ramp(_stretched(x - low), a, b, time, knots_r, table_r, y_r, step_r))
        after[i] = x


@compiled(error_model="numpy")
def _ramp(y, v, last, time, knots, table, first, step):
    """y after |V| has gone from ``v`` to ``last`` in ``time``, from one tabulated voltage to the next."""
    k = min(max(np.searchsorted(knots, v, side="right") - 1, 0), len(knots) - 1)
    if v == last:
        return _patch(y, time, table[k], table[k], 0.0, 0.0, first, step)
    rising = last > v
    if not rising and v == knots[k]:
        k -= 1
    speed = (last - v) / time
    while v != last:
        edge = min(knots[k + 1], last) if rising else max(knots[k], last)
        width = knots[k + 1] - knots[k]
        begin, end = (v - knots[k]) / width, (edge - knots[k]) / width
        y = _patch(y, (edge - v) / speed, table[k], table[k + 1], begin, end, first, step)
        v = edge
        k += 1 if rising else -1
    return y


@compiled(error_model="numpy")
def _patch(y, time, below, above, begin, end, first, step):
    """y after ``time``, during which the voltage moves between two knots.

    ``below`` and ``above`` are the table's rows at the two knots, ``begin`` and ``end`` the weight of ``above`` in the
    interpolation between them at the start and at the end.
    """
    last = len(below) - 1
    j = last if y >= first + last * step else max(int((y - first) / step), 0)
    left = time
    while True:
        weight = begin + (end - begin) * (1.0 - left / time)
        low = below[j] + weight * (above[j] - below[j])
        if j == last:
            slope, way, part = 0.0, math.inf, 0.0
            drift = above[j] - below[j]
        else:
            slope = (below[j + 1] + weight * (above[j + 1] - below[j + 1]) - low) / step
            part = y - (first + j * step)
            way = step - part
            drift = (above[j] - below[j]) * (1.0 - part / step) + (above[j + 1] - below[j + 1]) * part / step
        rate = math.exp(low + slope * part)
        c = 0.0 if begin == end else drift * (end - begin) / time
        if not (math.isfinite(rate) and math.isfinite(slope) and math.isfinite(c)):
            return math.nan
        reach = rate * (left if abs(c * left) < 1e-12 else math.expm1(c * left) / c)
        if j == last:
            return y + reach
        effort = way if abs(slope * way) < 1e-12 else -math.expm1(-slope * way) / slope
        if reach < effort:
            return y + (reach if abs(slope * reach) < 1e-12 else -math.log1p(-slope * reach) / slope)
        spent = effort / rate
        left -= spent if abs(c * spent) < 1e-12 else math.log1p(c * spent) / c
        j += 1
        y = first + j * step
        if left <= 0.0:
            return y


@compiled(error_model="numpy")
def _stretched(u):
    """-ln(exp(10 u) - 1) / 10 of the distance u to the bound; infinite at the bound."""
    return -(u + math.log(-math.expm1(-BOUND_EXPONENT * u)) / BOUND_EXPONENT) if u > 0.0 else math.inf


@compiled(error_model="numpy")
def _from_stretched(y):
    """The distance u to the bound at ``y``: the inverse of :func:`_stretched`."""
    z = -BOUND_EXPONENT * y
    return z / BOUND_EXPONENT if z > 30.0 else math.log1p(math.exp(z)) / BOUND_EXPONENT
