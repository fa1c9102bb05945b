# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Marching, the third GPU kernel of an update: the pulses of a batch on the listed cells, as cpu/pulse.py does.

The lanes need not be at the same sample: each goes on to the next sample that pulses its cell as soon as it is done
with one. On each cell the samples act in their order.
"""

from vcm_sweep.device.kernels.gpu.find import coincide, coincidences
from vcm_sweep.device.kernels.gpu.march import march
from vcm_sweep.device.kernels.gpu.random import CELLS, GOLDEN, key_of_call, popcount, stream, symmetric_uniform
from vcm_sweep.device.kernels.gpu.stencil import at_stencil, axis_at, read_cubic, read_linear
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import LENGTH, RADIUS

_RADIUS, _LENGTH, _VARIED = tl.constexpr(RADIUS), tl.constexpr(LENGTH), tl.constexpr(4)
# Numbers of columns of StackTables.layout and StackTables.scalars (update.py says what each holds).
LAYOUT, SCALARS = tl.constexpr(26), tl.constexpr(14)
# How many samples are looked at together: whether each of them pulses a cell is one bit of a word.
_WORD = tl.constexpr(64)


@triton.jit
def _parameter(values, trial, cell, cells, stride, live):
    """Load a parameter: one value for all cells of a trial (stride 0), or one per cell (stride 1)."""
    return tl.load(values + trial * (1 + (cells - 1) * stride) + cell * stride, mask=live, other=1.0)


@triton.jit
def _keep(values, trial, cell, cells, stride, live, value):
    """Store a parameter that has one value per cell; one that all cells share does not change."""
    tl.store(values + trial * (1 + (cells - 1) * stride) + cell * stride, value, mask=live & (stride > 0))


@triton.jit
def _walk(state, value, base, walk, ratio, going):
    """(new random state, parameter after one step of its bounded random walk)."""
    direct, slope = tl.load(walk), tl.load(walk + 1)
    if (direct != 0.0) | (slope != 0.0):
        change = 1.0 + direct * symmetric_uniform(state + GOLDEN)
        state += GOLDEN
        change = change + slope * ratio * symmetric_uniform(state + GOLDEN)
        state += GOLDEN
        own = base.to(tl.float64)
        moved = value.to(tl.float64) * change
        moved = tl.minimum(tl.maximum(moved, own * (1.0 + tl.load(walk + 2))), own * (1.0 + tl.load(walk + 3)))
        value = tl.where(going, moved.to(tl.float32), value)
    return state, value


@triton.jit
def _curve(places, ends, stencil, nodes, lanes, AXES: tl.constexpr):
    """A curve of one trial as described in stencil.py, with each lane's kink, and with power after its values."""
    values, power, kinks = nodes + tl.load(places), nodes + tl.load(places + 1), nodes + tl.load(places + 2)
    count, below, width = tl.load(places + 3).to(tl.int32), tl.load(places + 4).to(tl.int32), tl.load(places + 5)
    width = width.to(tl.int32)
    kink = at_stencil(kinks + lanes * 0, width, stencil, AXES)
    return values, power, count, below, tl.load(ends), kink, tl.load(ends + 1), width


@triton.jit
def _towards(up, rising, falling):
    """The curve of each lane's direction, and the same with power as its values."""
    values, power = tl.where(up, rising[0], falling[0]), tl.where(up, rising[1], falling[1])
    count, below = tl.where(up, rising[2], falling[2]), tl.where(up, rising[3], falling[3])
    x_first, kink = tl.where(up, rising[4], falling[4]), tl.where(up, rising[5], falling[5])
    x_last = tl.where(up, rising[6], falling[6])
    # The same for SET and RESET, since both tables have the same axes.
    width = rising[7]
    return (values, count, below, x_first, kink, x_last, width), (power, count, below, x_first, kink, x_last, width)


@triton.jit
def _axis_value(code, varied, trial, cell, cells, rows, stride, live):
    """Each lane's value on an axis of ``varied``; not defined for axes of r and l, which may change with each pulse."""
    row = trial * rows + tl.maximum(code - _VARIED, 0)
    return _parameter(varied, row, cell, cells, stride, live & (code >= _VARIED)).to(tl.float64)


@triton.jit
def _axis(layout, scalars, fixed, radius, disc, distance):
    """The axis of a trial at each lane's value."""
    code, count = tl.load(layout), tl.load(layout + 1).to(tl.int32)
    value = tl.where(code == _RADIUS, radius.to(tl.float64), tl.where(code == _LENGTH, disc.to(tl.float64), fixed))
    return axis_at(value, tl.load(scalars), tl.load(scalars + 1), count, distance)


@triton.jit
def _stencil(layout, scalars, fixed, radius, disc):
    """The three axes of a trial at each lane's parameters; nodes of the last one are next to each other in memory."""
    inner = tl.load(layout + 5).to(tl.int32)
    return (
        _axis(layout, scalars, fixed[0], radius, disc, inner * tl.load(layout + 3).to(tl.int32)),
        _axis(layout + 2, scalars + 2, fixed[1], radius, disc, inner),
        _axis(layout + 4, scalars + 4, fixed[2], radius, disc, 1),
    )


@triton.jit
def _locate(layout, scalars, nodes, fixed, radius, disc, lanes, AXES: tl.constexpr):
    """(stencil, SET curve, RESET curve) of each lane at its radius and length."""
    stencil = _stencil(layout + 2, scalars + 2, fixed, radius, disc)
    rising = _curve(layout + 8, scalars + 8, stencil, nodes, lanes, AXES)
    return stencil, rising, _curve(layout + 14, scalars + 10, stencil, nodes, lanes, AXES)


@triton.jit
def _read(layout, scalars, nodes, fixed, radius, disc, state_x, AXES: tl.constexpr):
    """The weight of each lane's cell at ln N = ``state_x``."""
    stencil = _stencil(layout + 2, scalars + 2, fixed, radius, disc)
    lanes = tl.zeros_like(state_x).to(tl.int32)
    values, _, count, below, x_first, kink, x_last, width = _curve(
        layout + 20, scalars + 12, stencil, nodes, lanes, AXES
    )
    return read_cubic((values, count, below, x_first, kink, x_last, width), state_x, stencil, AXES).to(tl.float32)


# See draw_lines for what is not specialised.
@triton.jit(do_not_specialize=["call"])
def pulse_cells(
    x, d, streams, call, rows, columns, slots_of, listed, counts, nodes, layout, scalars, walks, log_n, weight,
    base_n_max, base_n_min, base_r, base_l, walked_n_max, walked_n_min, walked_r, walked_l, varied, boosts, rates,
    lows, highs, n_max_stride, n_min_stride, r_stride, l_stride, varied_stride, boost_stride, rate_stride, low_stride,
    high_stride, added, batch, inputs, outputs, blocks, varied_rows,
    WALKING: tl.constexpr, AXES: tl.constexpr, KIND: tl.constexpr, LISTED: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """One program per (trial, block of cells): applies the pulses of the whole batch to the listed cells."""
    program = tl.program_id(0).to(tl.int64)
    trial = program // blocks
    cells = inputs * outputs
    x += trial * batch * inputs
    d += trial * batch * outputs
    rows += trial * batch * outputs
    columns += trial * batch * inputs
    slots_of += trial * batch
    key = key_of_call(tl.load(streams + trial), call)
    layout += trial * LAYOUT
    walking, need_ratio = tl.load(layout) != 0, tl.load(layout + 1) != 0
    scalars += trial * SCALARS
    pulse_s, reference_length = tl.load(scalars), tl.load(scalars + 1)
    walk = walks + trial * 16
    sets, resets = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    energy, skipped = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    count = tl.load(counts + program)
    for start in range(0, count, LANES):
        place = start + tl.arange(0, LANES)
        live = place < count
        cell = tl.load(listed + program * LISTED + place, mask=live, other=0)
        row, column = cell // inputs, cell % inputs
        at = trial * cells + cell
        state_x = tl.load(log_n + at, mask=live, other=0.0)
        n_max = _parameter(walked_n_max, trial, cell, cells, n_max_stride, live)
        n_min = _parameter(walked_n_min, trial, cell, cells, n_min_stride, live)
        radius = _parameter(walked_r, trial, cell, cells, r_stride, live)
        disc = _parameter(walked_l, trial, cell, cells, l_stride, live)
        boost = _parameter(boosts, trial, cell, cells, boost_stride, live).to(tl.float64)
        rate = _parameter(rates, trial, cell, cells, rate_stride, live).to(tl.float64)
        lowest = _parameter(lows, trial, cell, cells, low_stride, live)
        highest = _parameter(highs, trial, cell, cells, high_stride, live)
        fixed = (
            _axis_value(tl.load(layout + 2), varied, trial, cell, cells, varied_rows, varied_stride, live),
            _axis_value(tl.load(layout + 4), varied, trial, cell, cells, varied_rows, varied_stride, live),
            _axis_value(tl.load(layout + 6), varied, trial, cell, cells, varied_rows, varied_stride, live),
        )
        fixed_stencil, fixed_rising, fixed_falling = _locate(layout, scalars, nodes, fixed, radius, disc, cell, AXES)
        up = live
        left = tl.zeros([LANES], tl.float64)
        random = cell.to(tl.uint64)
        for first in range(0, batch, _WORD):
            hits = tl.zeros([LANES], tl.int64)
            for sample in range(first, tl.minimum(first + _WORD, batch)):
                row_part = tl.load(rows + sample * outputs + row, mask=live, other=0)
                column_part = tl.load(columns + sample * inputs + column, mask=live, other=0)
                hit = coincide(row_part, column_part, tl.load(slots_of + sample), KIND)
                hits |= hit.to(tl.int64) << (sample - first)
            while tl.max(((hits != 0) | (left > 0.0)).to(tl.int32), 0) > 0:
                # Lanes that are done with a sample take the next one that pulses their cell: the lowest bit of hits.
                takes = (left == 0.0) & (hits != 0)
                sample_of = first + popcount(~hits & (hits - 1)).to(tl.int32)
                hits = tl.where(takes, hits & (hits - 1), hits)
                row_at, column_at = sample_of * outputs + row, sample_of * inputs + column
                row_part = tl.load(rows + row_at, mask=takes, other=0)
                column_part = tl.load(columns + column_at, mask=takes, other=0)
                slots = tl.load(slots_of + sample_of, mask=takes, other=0.0)
                left = tl.where(takes, coincidences(row_part, column_part, slots, KIND), left)
                # Descent: a positive product of x and d lowers the weight.
                rises = tl.load(d + row_at, mask=takes, other=0.0) < 0.0
                rises = rises == (tl.load(x + column_at, mask=takes, other=0.0) > 0.0)
                up = (takes & rises) | (~takes & up)
                if WALKING:
                    fresh = stream(key, CELLS, sample_of.to(tl.int64) * cells + cell + 1)
                    random = tl.where(takes, fresh, random)
                # From here on as in one round of the loop of pulse_cell, cpu/pulse.py.
                limit = tl.where(up, n_max, n_min).to(tl.float64)
                bound = tl.log(limit)
                stop = tl.where(up, tl.minimum(highest, bound), tl.maximum(lowest, bound))
                short = tl.where(up, stop - state_x, state_x - stop) > 0.0
                skipped += tl.where(short, 0.0, left)
                left = tl.where(short, left, 0.0)
                going = left > 0.0
                together = left
                if WALKING:
                    together = tl.where(walking, tl.minimum(left, 1.0), left)
                time = pulse_s * together * tl.where(up, rate / boost, rate * boost)
                time = tl.where(reference_length > 0.0, time * (reference_length / disc.to(tl.float64)), time)
                if WALKING:
                    stencil, rising, falling = _locate(layout, scalars, nodes, fixed, radius, disc, cell, AXES)
                else:
                    stencil, rising, falling = fixed_stencil, fixed_rising, fixed_falling
                curve, power = _towards(up, rising, falling)
                before = state_x
                state_x, unused = march(going, state_x, up, time, curve, stencil, stop, bound, AXES)
                spared = (together * unused / tl.where(going, time, 1.0)).to(tl.int32).to(tl.float64)
                fired = together - spared
                sets += tl.where(up, fired, 0.0)
                resets += tl.where(up, 0.0, fired)
                skipped += spared
                energy += read_linear(power, 0.5 * (before + state_x), stencil, AXES) * pulse_s * fired
                left -= together
                if WALKING:
                    ratio = tl.zeros([LANES], tl.float64)
                    if need_ratio:
                        n_before = tl.exp(before)
                        covered = (tl.exp(state_x) - n_before) / tl.where(going, limit - n_before, 1.0)
                        ratio = tl.where(going, covered, 0.0)
                    own = _parameter(base_n_max, trial, cell, cells, n_max_stride, live)
                    random, n_max = _walk(random, n_max, own, walk, ratio, going)
                    own = _parameter(base_n_min, trial, cell, cells, n_min_stride, live)
                    random, n_min = _walk(random, n_min, own, walk + 4, ratio, going)
                    own = _parameter(base_r, trial, cell, cells, r_stride, live)
                    random, radius = _walk(random, radius, own, walk + 8, ratio, going)
                    own = _parameter(base_l, trial, cell, cells, l_stride, live)
                    random, disc = _walk(random, disc, own, walk + 12, ratio, going)
        tl.store(log_n + at, state_x, mask=live)
        read = _read(layout, scalars, nodes, fixed, radius, disc, state_x, AXES)
        tl.store(weight + at, read, mask=live)
        if WALKING:
            _keep(walked_n_max, trial, cell, cells, n_max_stride, live, n_max)
            _keep(walked_n_min, trial, cell, cells, n_min_stride, live, n_min)
            _keep(walked_r, trial, cell, cells, r_stride, live, radius)
            _keep(walked_l, trial, cell, cells, l_stride, live, disc)
    added += program * 4
    tl.store(added, tl.sum(sets, 0))
    tl.store(added + 1, tl.sum(resets, 0))
    tl.store(added + 2, tl.sum(energy, 0))
    tl.store(added + 3, tl.sum(skipped, 0))
