"""Compiled update of one array by aihwkit's pulse trains, each pulse a step of the cell.

The samples of a batch act one after the other. With stochastic trains, rows and columns fire in up to 64 time slots,
and a cell whose row and column fire in the same slot gets one pulse. With deterministic trains the number of pulses is
the rounded product of the row's and the column's share. If nothing changes from pulse to pulse, the pulses of one
sample on one cell are computed as one longer pulse.
"""

import math

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.cpu.lanes.pulses import pulse_block
from vcm_sweep.device.kernels.cpu.lanes.rows import LANES, work_space
from vcm_sweep.device.kernels.cpu.magnitude import largest_magnitude
from vcm_sweep.device.kernels.cpu.pulse import pulse_by_strides, pulse_cell
from vcm_sweep.device.kernels.cpu.pulse_with_partner import pulse_beside
from vcm_sweep.device.kernels.cpu.random import advance, bernoulli_mask, bits64, popcount, uniform
from vcm_sweep.device.kernels.layout import (
    MEAN_COUNT,
    STOCHASTIC,
    Block,
    Cells,
    Partner,
    Physics,
    Pulses,
    Scratch,
    Train,
)
from vcm_sweep.device.seeds import GOLDEN

_GOLDEN = np.uint64(GOLDEN)


@kernel
def pulse_budget(x_max, d_max, train):
    """(slots, factor of the rows, factor of the columns) of one sample, as aihwkit's update management sets them.

    A line's firing probability is its magnitude times the factor; ``x_max`` and ``d_max`` are the largest magnitudes.
    """
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
        # If even the longest train is too short, the compiled engine of aihwkit 1.2 clips the gradient alone
        # (its older source, and the paper's protocol, clip both sides).
        needed = lr * x_max * d_max / granularity
        if needed > slots:
            d_max *= slots / needed
        ratio = math.sqrt(x_max / d_max)
        return slots, scale * ratio, scale / ratio
    return slots, scale, scale


@inlined
def _rounded(value, resolution):
    """``value`` >= 0 rounded to a multiple of the resolution, halves up as C's round does; unchanged at 0."""
    return math.floor(value / resolution + 0.5) * resolution if resolution > 0.0 else value


@kernel
def _fire(state, values, factor, resolution, slots, index, masks):
    """Draw the slots in which each line fires; (new random state, how many lines fire at all).

    The first entries of ``index`` and ``masks`` are set to those lines and to their slots, one bit per slot.
    """
    # Every line has a stream of its own. Most do not fire, as their first words show: the compiler asks many at a time.
    for line in range(values.shape[0]):
        word = bits64(state + np.uint64(line + 1) * _GOLDEN)
        p = _rounded(np.float64(abs(values[line])) * factor, resolution)
        masks[line] = word | np.uint64(1) if uniform(word) < p * slots else np.uint64(0)
    count = 0
    for line in range(values.shape[0]):
        if masks[line]:
            p = _rounded(np.float64(abs(values[line])) * factor, resolution)
            mask = bernoulli_mask(masks[line], p, slots)
            if mask:
                index[count] = line
                masks[count] = mask
                count += 1
    return state + np.uint64(values.shape[0]) * _GOLDEN, count


@kernel
def _share(values, factor, resolution, slots, kind, index, shares):
    """How many lines have a share of the pulses above 0; the first entries of ``index`` and ``shares`` name them.

    A cell gets the product of its row's and its column's share times the number of slots, rounded.
    """
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


@kernel
def budget_of_sample(x, d, train):
    """:func:`pulse_budget` of a sample; 0 slots if nothing fires or a value is not finite."""
    x_max, d_max = np.float64(largest_magnitude(x)), np.float64(largest_magnitude(d))
    if not (0.0 < x_max < math.inf and 0.0 < d_max < math.inf):
        return 0, 0.0, 0.0
    return pulse_budget(x_max, d_max, train)


@kernel
def draw_sample(state, x, d, train, columns, column_masks, rows, row_masks):
    """(new random state, number of rows and of columns that fire) for one sample with stochastic trains.

    The first entries of the four buffers are set to these lines and their slots, see :func:`_fire`.
    """
    slots, row_factor, column_factor = budget_of_sample(x, d, train)
    if slots == 0:
        return state, 0, 0
    state, row_count = _fire(state, d, row_factor, train.d_resolution, slots, rows, row_masks)
    if row_count == 0:
        return state, 0, 0
    state, column_count = _fire(state, x, column_factor, train.x_resolution, slots, columns, column_masks)
    return state, row_count, column_count


@kernel
def share_sample(x, d, train, columns, column_shares, rows, row_shares):
    """(number of rows, number of columns, slots) for one sample with deterministic trains.

    The first entries of the four buffers are set to these lines and their shares, see :func:`_share`.
    """
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
    physics: Physics,
    train: Train,
    pulses: Pulses,
    counters: np.ndarray,
    partner: Partner | None = None,
) -> None:
    """Pulse one array for a batch; changes ``cells`` and adds to ``counters``.

    Args:
        x: (batch, in) float32, inputs.
        d: (batch, out) float32, gradients with respect to the outputs.
        key: key of the random stream.
        cells, physics, train, pulses: the array, see layout.py; cell row * in + column is the weight (row, column).
        counters: (5,) float64: SET pulses, RESET pulses, energy in J, skipped pulses, pulses outside the model.
        partner: the partners of the cells in an intervention, or None.
    """
    lines: list[np.ndarray] = []
    for count in (x.shape[1], d.shape[1]):
        lines += [np.empty(count, np.int64), np.empty(count, np.uint64), np.empty(count)]
    shape = 2, LANES
    block = Block(
        np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.uint64), np.zeros(2, np.int64),
        np.zeros(cells.log_n.size, np.bool_), work_space(physics.nominal),
    )  # fmt: skip
    _update(x, d, key, cells, physics, train, pulses, Scratch.new(), block, counters, tuple(lines), partner)


@kernel
def _update(x, d, key, cells, physics, train, pulses, scratch, block, counters, lines, partner):
    inputs = x.shape[1]
    columns, column_masks, column_shares, rows, row_masks, row_shares = lines
    state = np.uint64(key)
    stochastic = train.kind == STOCHASTIC
    in_lanes = physics.direct and not pulses.moves
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
                    fired = popcount(both) if both else 0
                else:
                    fired = int(row_shares[row] * column_shares[column] * slots + 0.5)
                if fired:
                    # Descent: a positive product of x and d lowers the weight.
                    up = rising == (x[sample, columns[column]] > 0.0)
                    cell = first + columns[column]
                    direction = 1 if up else -1
                    # Each visit of a cell draws from a stream of its own, so that how often one draws moves no other.
                    state = advance(state)
                    own = bits64(state)
                    # numba compiles a version of this function for each type of ``partner``: in that for None this
                    # branch is left out.
                    if partner is not None:
                        pulse_beside(own, cells, cell, direction, fired, physics, pulses, partner, scratch, counters)
                    elif in_lanes:
                        which = 0 if up else 1
                        # Cells wait until a block is full, beyond the sample, but no cell for two visits.
                        again = block.waits[cell]
                        if again or block.waiting[which] == LANES:
                            begin, end, most = (0, 1, 0) if again else (which, which, LANES - 1)
                            pulse_block(begin, end, most, cells, physics, pulses, block, scratch, counters)
                        place = block.waiting[which]
                        block.cell[which, place], block.left[which, place] = cell, fired
                        block.state[which, place] = own
                        block.waiting[which] += 1
                        block.waits[cell] = True
                    elif pulses.moves:
                        pulse_by_strides(own, cells, cell, direction, fired, physics, pulses, scratch, counters)
                    else:
                        pulse_cell(own, cells, cell, direction, fired, physics, pulses, scratch, counters)
    if in_lanes:
        pulse_block(0, 1, 0, cells, physics, pulses, block, scratch, counters)
