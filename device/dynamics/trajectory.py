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
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.kinetics import log_speed
from vcm_sweep.device.physics.parameters import CellParameters

NODES = 193  # number of nodes of y, at which ln of the rate is linear to about 1e-3
KNOT_V = 5e-3  # spacing of the voltages along ramps, V
_Y_END = 1.0  # the last node of y, where N is within 1e-5 of its bound and the rate is constant
_FAR = 40.0  # at V = 0 ln of the rate is taken this much below that of the next voltage, so that nothing moves
_MOST_KNOTS = 600  # so that a table stays small whatever the voltages
_AT_ONCE = 32  # voltages whose rates are computed together

Array: TypeAlias = NDArray[np.float64]


def trajectory(  # noqa: PLR0913  (the waveform, the cells and the resolution)
    n: Array,
    start_v: Array,
    end_v: Array,
    duration_s: Array,
    parameters: CellParameters,
    model: str,
    nodes: int = NODES,
    knot_v: float = KNOT_V,
    compliance_a: tuple[float, float] = (math.inf, math.inf),
    known_n: tuple[NDArray[np.int64], Array] | None = None,
) -> Array:
    """N in 1e26/m3 after every step, (steps, cells); NaN where the field is beyond the hopping model.

    Under a compliance a cell that would carry more has the voltage at which it carries that, and its rate there.

    Args:
        n: concentration before the first step, (cells,), 1e26/m3; a cell outside [N_min, N_max] starts at the bound.
        start_v, end_v, duration_s: voltage (V) at the start and end of each step, and its length (s), (steps,) each;
            within a step the voltage is linear in time.
        parameters: the cells, whose fields are floats or (cells,).
        model: the current model.
        nodes, knot_v: resolution of the table: number of nodes of y, and spacing of voltages along ramps in V.
        compliance_a: the largest |I| at negative and at positive voltage, A.
        known_n: steps (k,), rising, after which the concentration is known, and what it is, (k, cells), 1e26/m3.
    """
    cells = len(n)
    low, high = (_per_cell(getattr(parameters, name), cells) for name in ("N_min", "N_max"))
    log_n = np.log(np.clip(n, low, high))
    after = np.empty((len(start_v), cells))
    sides = []
    for sign, bound, most_a in zip((-1.0, 1.0), (high, low), compliance_a, strict=True):
        knots = _knots(sign * start_v, sign * end_v, knot_v, math.isfinite(most_a))
        table = _table(sign, knots, np.log(low), np.log(high), parameters, model, nodes, most_a)
        sides.append((knots, *table, bound))
    steps = start_v, end_v, duration_s
    at, values = known_n or (np.zeros(0, dtype=np.int64), np.zeros((0, cells)))
    known = np.log(np.clip(values, low, high))
    for cell in range(cells):
        own = [
            (knots, table[:, :, cell], y[cell], step[cell], math.log(bound[cell]))
            for knots, table, y, step, bound in sides
        ]
        _walk(log_n[cell], steps, *own, at, known[:, cell], after[:, cell])
    return np.exp(after)


def _per_cell(value: float | torch.Tensor, cells: int) -> Array:
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (cells,))


def _knots(start: Array, end: Array, spacing: float, dense: bool) -> Array:
    """|V| at which the rates of one polarity are tabulated, from 0 up: each constant voltage, and a grid for ramps.

    There is a grid for constant voltages too if they are many, or if rates between them are asked for (``dense``).
    """
    constant = np.unique(start[(start == end) & (start > 0)])
    if dense or len(constant) > _MOST_KNOTS:
        top = max(np.max(start, initial=0.0), np.max(end, initial=0.0))
    else:
        top = max(np.max(start[start != end], initial=0.0), np.max(end[start != end], initial=0.0))
    count = min(math.ceil(top / spacing), _MOST_KNOTS)
    grid = np.linspace(0.0, top, count + 1) if top > 0 else np.zeros(1)
    return grid if len(constant) > _MOST_KNOTS else np.unique(np.concatenate((grid, constant)))


def _table(
    sign: float, knots: Array, log_low: Array, log_high: Array, parameters: CellParameters, model: str, nodes: int,
    most_a: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """ln(dy/dt) of one polarity, (knots, nodes, cells), and each cell's first node and step of y."""
    span = log_high - log_low
    first = -(span + np.log(-np.expm1(-BOUND_EXPONENT * span)) / BOUND_EXPONENT)
    step = (_Y_END - first) / (nodes - 1)
    y = torch.from_numpy(first + step * np.arange(nodes)[:, None])
    u = torch.nn.functional.softplus(-BOUND_EXPONENT * y, threshold=700.0) / BOUND_EXPONENT
    x = torch.from_numpy(log_high) - u if sign < 0 else torch.from_numpy(log_low) + u
    table = np.full((len(knots), nodes, len(first)), -np.inf)
    if len(knots) == 1:
        return table, first, step
    limited, below = np.zeros(x.shape, dtype=bool), np.zeros(x.shape)
    for begin in range(1, len(knots), _AT_ONCE):
        part = slice(begin, min(begin + _AT_ONCE, len(knots)))
        voltage = torch.from_numpy(sign * knots[part])[:, None, None].expand(-1, *x.shape)
        state = x.expand_as(voltage)
        n = torch.exp(state)
        with torch.no_grad():
            amperes = current_function(model)(voltage, n, parameters)
            table[part] = (log_speed(voltage, n, parameters, model, amperes) - state).numpy()
        if math.isfinite(most_a):
            _limit(table, np.abs(amperes.numpy()), part, most_a, limited, below)
    table[0] = table[1] - _FAR
    return table, first, step


def _limit(table: Array, size_a: Array, part: slice, most_a: float, limited: NDArray[np.bool_], below: Array) -> None:
    """Replaces the rates at voltages that would drive more than ``most_a`` by those at the voltage that drives it.

    ``limited``: (nodes, cells), where a voltage below did so already; ``below``: |I| at the voltage before.
    """
    for row, now in zip(range(part.start, part.stop), size_a, strict=True):
        crossing = (now > most_a) & ~limited
        # The voltage of the compliance lies between this knot and the one before; the rate is linear in it there.
        share = np.where(crossing, (most_a - below) / np.maximum(now - below, 1e-300), 0.0)
        before = table[row - 1] if row > 1 else table[row]
        table[row] = np.where(limited, before, np.where(crossing, before + share * (table[row] - before), table[row]))
        limited |= crossing
        below[...] = now


@compiled(error_model="numpy")
def _walk(x, steps, set_, reset, at, known, after):
    """Fills ``after`` with ln N at the end of every step; each side: knots, table, its first y and step, the bound.

    At the end of the steps ``at`` ln N is ``known``.
    """
    taken = 0
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
        if taken < len(at) and at[taken] == i:
            x = known[taken]
            taken += 1
        after[i] = x


@compiled(error_model="numpy")
def _ramp(y, v, last, time, knots, table, first, step):
    """y after |V| has gone from ``v`` to ``last`` in ``time``, from one tabulated voltage to the next."""
    k = min(max(np.searchsorted(knots, v, side="right") - 1, 0), len(knots) - 1)
    if v == last:
        above = k if v == knots[k] else k + 1
        at = 0.0 if above == k else (v - knots[k]) / (knots[above] - knots[k])
        return _patch(y, time, table[k], table[above], at, at, first, step)
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
