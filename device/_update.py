"""Compiled update of one array by aihwkit's pulse trains, each pulse a step of the cell.

The samples of a batch act one after the other. With stochastic trains, rows and columns fire in up to 64 slots, and
a coincidence is one pulse; with deterministic trains the number of pulses of a cell is a rounded product. Without a
cycle-to-cycle walk, the pulses of one sample on one cell are one longer pulse.
"""

import math
from typing import NamedTuple

import numba as nb
import numpy as np

from ._march import march, stencil
from ._random import advance, bernoulli_mask, popcount, symmetric_uniform

# Rows of a walk table, in the order in which a pulse changes the parameters.
N_MAX, N_MIN, RADIUS, LENGTH = 0, 1, 2, 3
# Columns of a walk table.
DIRECT, SLOPE, CLIP_LOW, CLIP_HIGH = 0, 1, 2, 3
# How trains are made. A cell gets pulses of one sign per sample, so aihwkit's two-pass STOCHASTIC is the same to it.
STOCHASTIC, DETERMINISTIC_IMPLICIT, MEAN_COUNT = 0, 1, 2
# Entries of the counters that an update adds to.
PULSES_SET, PULSES_RESET, ENERGY_J, SKIPPED = 0, 1, 2, 3


class Cells(NamedTuple):
    """State and parameters of one array, flattened. Arrays of length 1 hold for every cell."""

    log_n: np.ndarray  # float64, ln of N in 1e26/m3
    weight: np.ndarray  # float32, read by the periphery
    base: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # N_max, N_min, r, l of the cell, float32
    walked: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # the same after the pulses so far
    boost: np.ndarray  # float32, exp(m/2): RESET speed times it, SET speed over it
    low: np.ndarray  # float64, ln N at which the window ends
    high: np.ndarray


class Tables(NamedTuple):
    """Look-up tables of one array over nodes of x = ln N (and of the radius)."""

    x_first: float
    x_step: float
    r_first: float
    r_inverse_step: float
    g_set: np.ndarray  # (x, r): ln(|dN/dt| / N) in 1/s at the reference length, without the bound factor
    g_reset: np.ndarray
    power_set: np.ndarray  # (x,): |V I| in W
    power_reset: np.ndarray
    weight: np.ndarray  # (x,): weight read by the nominal periphery


class Train(NamedTuple):
    """How x and d become pulses, for one array."""

    pulse_s: float
    reference_length: float
    learning_rate: float
    dw_min: float
    desired_bl: int
    fixed_bl: bool
    update_bl_management: bool
    update_management: bool
    kind: int  # STOCHASTIC, DETERMINISTIC_IMPLICIT or MEAN_COUNT
    x_resolution: float  # of the firing probability of a column, of a row; 0 is off
    d_resolution: float


@nb.njit(cache=True, inline="always", error_model="numpy")
def _cubic(table, x_first, x_step, x):
    t = (x - x_first) / x_step
    j = min(max(int(t) - 1, 0), table.shape[0] - 4)
    t -= j
    a, b, c, d = t, t - 1.0, t - 2.0, t - 3.0
    return (
        -b * c * d / 6.0 * table[j]
        + a * c * d / 2.0 * table[j + 1]
        - a * b * d / 2.0 * table[j + 2]
        + a * b * c / 6.0 * table[j + 3]
    )


@nb.njit(cache=True, inline="always", error_model="numpy")
def _linear(table, x_first, x_step, x):
    t = (x - x_first) / x_step
    k = min(max(int(t), 0), table.shape[0] - 2)
    return table[k] + (t - k) * (table[k + 1] - table[k])


@nb.njit(cache=True, inline="always", error_model="numpy")
def _of(values, cell):
    return values[cell] if values.shape[0] > 1 else values[0]


@nb.njit(cache=True, error_model="numpy")
def pulse_budget(x_max, d_max, train):
    """(slots, factor of the rows, factor of the columns) of one sample; aihwkit's update management."""
    lr, granularity, slots = train.learning_rate, train.dw_min, train.desired_bl
    if lr <= 0.0:
        return 0, 0.0, 0.0
    floor = granularity * granularity
    x_max, d_max = max(x_max, floor), max(d_max, floor)
    if train.update_bl_management:
        slots = int(min(math.ceil(lr * x_max * d_max / granularity), train.desired_bl))
    elif not train.fixed_bl and granularity * train.desired_bl < lr:
        return int(max(math.ceil(lr / granularity), 1)), 1.0, 1.0
    scale = math.sqrt(lr / (granularity * slots))
    if train.update_management or train.update_bl_management:
        # Where the longest train is too short, the compiled engine of aihwkit 1.2 clips the gradient alone
        # (its older source, and the paper's protocol, clip both sides).
        needed = lr * x_max * d_max / granularity
        if needed > slots:
            d_max *= slots / needed
        ratio = math.sqrt(x_max / d_max)
        return slots, scale * ratio, scale / ratio
    return slots, scale, scale


@nb.njit(cache=True, inline="always", error_model="numpy")
def _rounded(value, resolution):
    """To the nearest multiple of the resolution, halves away from 0 as C does; value >= 0."""
    return math.floor(value / resolution + 0.5) * resolution if resolution > 0.0 else value


@nb.njit(cache=True, error_model="numpy")
def _fire(state, values, factor, resolution, slots, index, masks):
    """Draw the slots in which each line fires; keep the lines that fire at all."""
    count = 0
    for line in range(values.shape[0]):
        p = _rounded(abs(values[line]) * factor, resolution)
        if p > 0.0:
            state, mask = bernoulli_mask(state, p, slots)
            if mask:
                index[count] = line
                masks[count] = mask
                count += 1
    return state, count


@nb.njit(cache=True, error_model="numpy")
def _share(values, factor, resolution, slots, kind, index, shares):
    """What each line adds to the pulses of a cell: the product of its row's and its column's share, rounded."""
    count = 0
    for line in range(values.shape[0]):
        share = min(_rounded(abs(values[line]) * factor, resolution), 1.0)
        if kind == MEAN_COUNT:
            share = math.floor(share * slots + 0.5) / slots
        if share > 0.0:
            index[count] = line
            shares[count] = share
            count += 1
    return count


@nb.njit(cache=True, inline="always", error_model="numpy")
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


@nb.njit(cache=True, inline="always", error_model="numpy")
def pulse_cell(state, cells, cell, direction, pulses, tables, train, walk, walking, need_ratio, counters):
    """Apply ``pulses`` pulses of one direction to one cell; returns the new random state."""
    x = cells.log_n[cell]
    boost = np.float64(_of(cells.boost, cell))
    if direction > 0:
        table, power, window, bounds = tables.g_set, tables.power_set, _of(cells.high, cell), cells.walked[N_MAX]
        unit_time, fired_at = train.pulse_s * train.reference_length / boost, PULSES_SET
    else:
        table, power, window, bounds = tables.g_reset, tables.power_reset, _of(cells.low, cell), cells.walked[N_MIN]
        unit_time, fired_at = train.pulse_s * train.reference_length * boost, PULSES_RESET
    lengths, radii = cells.walked[LENGTH], cells.walked[RADIUS]
    left = pulses
    together = 1 if walking else pulses
    while left > 0:
        limit = np.float64(_of(bounds, cell))
        bound = math.log(limit)
        stop = min(window, bound) if direction > 0 else max(window, bound)
        if (stop - x) * direction <= 0.0:
            counters[SKIPPED] += left
            break
        time = unit_time * together / np.float64(_of(lengths, cell))
        j, c0, c1, c2, c3 = stencil(np.float64(_of(radii, cell)), tables.r_first, tables.r_inverse_step, table.shape[1])
        before = x
        x, unused = march(x, direction, time, table, tables.x_first, tables.x_step, j, c0, c1, c2, c3, stop, bound)
        fired = together if unused == 0.0 else together - int(together * unused / time)
        counters[fired_at] += fired
        counters[SKIPPED] += together - fired
        counters[ENERGY_J] += _linear(power, tables.x_first, tables.x_step, 0.5 * (before + x)) * train.pulse_s * fired
        left -= together
        if walking:
            ratio = 0.0
            if need_ratio:
                n_before = math.exp(before)
                ratio = (math.exp(x) - n_before) / (limit - n_before)
            state = _walk(state, cells, cell, walk, ratio)
    cells.log_n[cell] = x
    cells.weight[cell] = _cubic(tables.weight, tables.x_first, tables.x_step, x)
    return state


@nb.njit(cache=True, error_model="numpy")
def _largest(values):
    """The largest magnitude; NaN if any value is not finite."""
    largest = 0.0
    for value in values:
        magnitude = abs(np.float64(value))
        if not magnitude < math.inf:
            return math.nan
        largest = max(largest, magnitude)
    return largest


@nb.njit(cache=True, error_model="numpy")
def budget_of_sample(x, d, train):
    """:func:`pulse_budget` of a sample; no slots where nothing fires or a value is not finite."""
    x_max, d_max = _largest(x), _largest(d)
    if not (x_max > 0.0 and d_max > 0.0):
        return 0, 0.0, 0.0
    return pulse_budget(x_max, d_max, train)


@nb.njit(cache=True, error_model="numpy")
def draw_sample(state, x, d, train, columns, column_masks, rows, row_masks):
    """(new state, rows, columns that fire) of one sample; the first entries of the four buffers name them."""
    slots, row_factor, column_factor = budget_of_sample(x, d, train)
    if slots == 0:
        return state, 0, 0
    state, row_count = _fire(state, d, row_factor, train.d_resolution, slots, rows, row_masks)
    if row_count == 0:
        return state, 0, 0
    state, column_count = _fire(state, x, column_factor, train.x_resolution, slots, columns, column_masks)
    return state, row_count, column_count


@nb.njit(cache=True, error_model="numpy")
def share_sample(x, d, train, columns, column_shares, rows, row_shares):
    """(rows, columns, slots) of one sample with deterministic trains; the first entries of the buffers name them."""
    slots, row_factor, column_factor = budget_of_sample(x, d, train)
    if slots == 0:
        return 0, 0, 0
    row_count = _share(d, row_factor, train.d_resolution, slots, train.kind, rows, row_shares)
    column_count = _share(x, column_factor, train.x_resolution, slots, train.kind, columns, column_shares)
    return row_count, column_count, slots


def update_array(
    x: np.ndarray,
    d: np.ndarray,
    key: np.uint64,
    cells: Cells,
    tables: Tables,
    train: Train,
    walk: np.ndarray,
    counters: np.ndarray,
) -> None:
    """Pulse one array for a batch.

    x: (batch, in) float32, d: (batch, out) float32 gradients, key: of the random stream, walk: (4, 4) float64,
    counters: (4,) float64, added to. Cell (row, column) of the weight matrix is row * in + column.
    """
    lines: list[np.ndarray] = []
    for count in (x.shape[1], d.shape[1]):
        lines += [np.empty(count, np.int64), np.empty(count, np.uint64), np.empty(count)]
    _update(x, d, key, cells, tables, train, walk, counters, tuple(lines))


# Without numba's runtime, which counts references: a tuple of arrays that is unpacked in the innermost loop would cost
# three times what the pulse itself does. Nothing in here may allocate.
@nb.njit(cache=True, error_model="numpy", _nrt=False)
def _update(x, d, key, cells, tables, train, walk, counters, lines):
    inputs = x.shape[1]
    columns, column_masks, column_shares, rows, row_masks, row_shares = lines
    state = np.uint64(key)
    walking, need_ratio = False, False
    for p in range(4):
        walking |= walk[p, DIRECT] != 0.0 or walk[p, SLOPE] != 0.0
        need_ratio |= walk[p, SLOPE] != 0.0
    stochastic = train.kind == STOCHASTIC
    slots = 0
    for sample in range(x.shape[0]):
        if stochastic:
            state, row_count, column_count = draw_sample(
                state, x[sample], d[sample], train, columns, column_masks, rows, row_masks
            )
        else:
            row_count, column_count, slots = share_sample(
                x[sample], d[sample], train, columns, column_shares, rows, row_shares
            )
        for row in range(row_count):
            first = rows[row] * inputs
            rising = d[sample, rows[row]] < 0.0
            for column in range(column_count):
                if stochastic:
                    both = row_masks[row] & column_masks[column]
                    pulses = popcount(both) if both else 0
                else:
                    pulses = int(row_shares[row] * column_shares[column] * slots + 0.5)
                if pulses:
                    # Descent: a positive product of x and d lowers the weight.
                    up = rising == (x[sample, columns[column]] > 0.0)
                    state = pulse_cell(
                        state,
                        cells,
                        first + columns[column],
                        1 if up else -1,
                        pulses,
                        tables,
                        train,
                        walk,
                        walking,
                        need_ratio,
                        counters,
                    )
