# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Marching, the third GPU kernel of an update: the pulses of a batch on the listed cells, as cpu/pulse.py does.

The lanes need not be at the same sample: each goes on to the next sample that pulses its cell as soon as it is done
with one. On each cell the samples act in their order.
"""

from vcm_sweep.device.kernels.gpu.cells import keep_own, load_own, samples_of, take_sample, walk_on
from vcm_sweep.device.kernels.gpu.find import WORD
from vcm_sweep.device.kernels.gpu.march import march
from vcm_sweep.device.kernels.gpu.random import CELLS, key_of_more, stream
from vcm_sweep.device.kernels.gpu.tables import read_cubic, read_linear
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton

# Numbers of columns of StackTables.layout and StackTables.scalars (stack.py says what each holds).
LAYOUT, SCALARS = tl.constexpr(15), tl.constexpr(11)


@triton.jit
def _curve(places, numbers, nodes):
    """(a table of one trial as described in tables.py, the values of its power)."""
    values, power = nodes + tl.load(places), nodes + tl.load(places + 1)
    count, below = tl.load(places + 2).to(tl.int32), tl.load(places + 3).to(tl.int32)
    first, kink, last = tl.load(numbers), tl.load(numbers + 1), tl.load(numbers + 2)
    lower = tl.where(below > 0, (kink - first) / tl.maximum(below, 1), 1.0)
    return (values, count, below, first, kink, lower, (last - kink) / (count - 1 - below)), power


@triton.jit
def _towards(up, rising, falling):
    """The table of each lane's direction, and the same with power as its values."""
    set_values, set_count, set_below, set_first, set_kink, set_lower, set_upper = rising[0]
    values, count, below, first, kink, lower, upper = falling[0]
    count, below = tl.where(up, set_count, count), tl.where(up, set_below, below)
    first, kink = tl.where(up, set_first, first), tl.where(up, set_kink, kink)
    lower, upper = tl.where(up, set_lower, lower), tl.where(up, set_upper, upper)
    values, power = tl.where(up, set_values, values), tl.where(up, rising[1], falling[1])
    return (values, count, below, first, kink, lower, upper), (power, count, below, first, kink, lower, upper)


# See draw_lines for what is not specialised.
@triton.jit
def pulse_cells(
    x, d, streams, call, rows, columns, slots_of, listed, counts, firing, nodes, layout, scalars, walks, log_n, weight,
    base_n_max, base_n_min, base_r, base_l, walked_n_max, walked_n_min, walked_r, walked_l, boosts, rates,
    lows, highs, n_max_stride, n_min_stride, r_stride, l_stride, boost_stride, rate_stride, low_stride, high_stride,
    added, batch, inputs, outputs, groups, capacity,
    WALKING: tl.constexpr, KIND: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """One program per (trial, group of rows): applies the pulses of the whole batch to the listed cells."""
    program = tl.program_id(0).to(tl.int64)
    trial = program // groups
    cells = inputs * outputs
    x += trial * batch * inputs
    d += trial * batch * outputs
    rows += trial * batch * outputs
    columns += trial * batch * inputs
    slots_of += trial * batch
    lines = (rows, columns, slots_of, firing + program * ((batch + WORD - 1) // WORD), outputs, inputs)
    key = key_of_more(tl.load(streams + trial), tl.load(call))
    layout += trial * LAYOUT
    walking, need_ratio = tl.load(layout) != 0, tl.load(layout + 1) != 0
    scalars += trial * SCALARS
    pulse_s, reference_length = tl.load(scalars).to(tl.float32), tl.load(scalars + 1).to(tl.float32)
    walk = walks + trial * 16
    rising, falling = _curve(layout + 2, scalars + 2, nodes), _curve(layout + 6, scalars + 5, nodes)
    reading = _curve(layout + 10, scalars + 8, nodes)[0]
    sets, resets = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    energy, skipped = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    # The equations of other trials are solved, see pulse_by_equations.py.
    count = tl.where(tl.load(layout + 14) != 0, tl.load(counts + program), 0)
    for start in range(0, count, LANES):
        place = start + tl.arange(0, LANES)
        live = place < count
        cell = tl.load(listed + program * capacity + place, mask=live, other=0)
        row, column = cell // inputs, cell % inputs
        at = trial * cells + cell
        state_x = tl.load(log_n + at, mask=live, other=0.0)
        n_max = load_own(walked_n_max, trial, cell, cells, n_max_stride, live)
        n_min = load_own(walked_n_min, trial, cell, cells, n_min_stride, live)
        radius = load_own(walked_r, trial, cell, cells, r_stride, live)
        disc = load_own(walked_l, trial, cell, cells, l_stride, live)
        boost = load_own(boosts, trial, cell, cells, boost_stride, live)
        rate = load_own(rates, trial, cell, cells, rate_stride, live)
        most, least = tl.log(n_max.to(tl.float64)), tl.log(n_min.to(tl.float64))
        lowest = load_own(lows, trial, cell, cells, low_stride, live)
        highest = load_own(highs, trial, cell, cells, high_stride, live)
        up = live
        left = tl.zeros([LANES], tl.float64)
        random = cell.to(tl.uint64)
        for first in range(0, batch, WORD):
            hits = samples_of(first, lines, row, column, live, KIND, LANES)
            while tl.max(((hits != 0) | (left > 0.0)).to(tl.int32), 0) > 0:
                # Lanes that are done with a sample take the next one that pulses their cell.
                takes = (left == 0.0) & (hits != 0)
                hits, left, up, sample_of = take_sample(takes, first, hits, left, up, x, d, lines, row, column, KIND)
                if WALKING:
                    fresh = stream(key, CELLS, sample_of.to(tl.int64) * cells + cell + 1)
                    random = tl.where(takes, fresh, random)
                # From here on as in one round of the loop of pulse_cell, cpu/pulse.py.
                bound = tl.where(up, most, least)
                stop = tl.where(up, tl.minimum(highest, bound), tl.maximum(lowest, bound))
                short = tl.where(up, stop - state_x, state_x - stop) > 0.0
                skipped += tl.where(short, 0.0, left)
                left = tl.where(short, left, 0.0)
                going = left > 0.0
                together = left
                if WALKING:
                    together = tl.where(walking, tl.minimum(left, 1.0), left)
                time = pulse_s * together.to(tl.float32) * tl.where(up, rate / boost, rate * boost)
                time = tl.where(reference_length > 0.0, time * (reference_length / disc), time)
                curve, power = _towards(up, rising, falling)
                before = state_x
                state_x, unused = march(going, state_x, up, time, curve, stop, bound)
                spared = (together * (unused / tl.where(going, time, 1.0))).to(tl.int32).to(tl.float64)
                # The pulse that arrives counts, however short its way is.
                spared = tl.maximum(tl.minimum(spared, together - 1.0), 0.0)
                fired = together - spared
                sets += tl.where(up, fired, 0.0)
                resets += tl.where(up, 0.0, fired)
                skipped += spared
                energy += (read_linear(power, 0.5 * (before + state_x)) * pulse_s).to(tl.float64) * fired
                left -= together
                if WALKING:
                    ratio = tl.zeros([LANES], tl.float64)
                    if need_ratio:
                        n_before, limit = tl.exp(before), tl.where(up, n_max, n_min).to(tl.float64)
                        covered = (tl.exp(state_x) - n_before) / tl.where(going, limit - n_before, 1.0)
                        ratio = tl.where(going, covered, 0.0)
                    own = load_own(base_n_max, trial, cell, cells, n_max_stride, live)
                    random, n_max = walk_on(random, n_max, own, walk, ratio, going)
                    own = load_own(base_n_min, trial, cell, cells, n_min_stride, live)
                    random, n_min = walk_on(random, n_min, own, walk + 4, ratio, going)
                    own = load_own(base_r, trial, cell, cells, r_stride, live)
                    random, radius = walk_on(random, radius, own, walk + 8, ratio, going)
                    own = load_own(base_l, trial, cell, cells, l_stride, live)
                    random, disc = walk_on(random, disc, own, walk + 12, ratio, going)
                    most, least = tl.log(n_max.to(tl.float64)), tl.log(n_min.to(tl.float64))
        tl.store(log_n + at, state_x, mask=live)
        tl.store(weight + at, read_cubic(reading, state_x), mask=live)
        if WALKING:
            keep_own(walked_n_max, trial, cell, cells, n_max_stride, live, n_max)
            keep_own(walked_n_min, trial, cell, cells, n_min_stride, live, n_min)
            keep_own(walked_r, trial, cell, cells, r_stride, live, radius)
            keep_own(walked_l, trial, cell, cells, l_stride, live, disc)
    added += program * 4
    tl.store(added, tl.sum(sets, 0))
    tl.store(added + 1, tl.sum(resets, 0))
    tl.store(added + 2, tl.sum(energy, 0))
    tl.store(added + 3, tl.sum(skipped, 0))
