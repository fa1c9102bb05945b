# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""The parameters of the cells that a GPU pulses: loaded, kept, walked; and which samples pulse a cell."""

from vcm_sweep.device.kernels.gpu.find import WORD, coincide, coincidences, lowest
from vcm_sweep.device.kernels.gpu.random import GOLDEN, symmetric_uniform
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton


@triton.jit
def load_own(values, trial, cell, cells, stride, live):
    """Load a parameter: one value for all cells of a trial (stride 0), or one per cell (stride 1)."""
    return tl.load(values + trial * (1 + (cells - 1) * stride) + cell * stride, mask=live, other=1.0)


@triton.jit
def keep_own(values, trial, cell, cells, stride, live, value):
    """Store a parameter that has one value per cell; one that all cells share does not change."""
    tl.store(values + trial * (1 + (cells - 1) * stride) + cell * stride, value, mask=live & (stride > 0))


@triton.jit
def walk_on(state, value, base, walk, ratio, going):
    """(new random state, parameter after one step of its bounded random walk)."""
    direct, slope = tl.load(walk), tl.load(walk + 1)
    if (direct != 0.0) | (slope != 0.0):
        second_state = state + GOLDEN + GOLDEN
        change = 1.0 + direct * symmetric_uniform(state + GOLDEN) + slope * ratio * symmetric_uniform(second_state)
        state = tl.where(going, second_state, state)
        own = base.to(tl.float64)
        moved = value.to(tl.float64) * change
        moved = tl.minimum(tl.maximum(moved, own * (1.0 + tl.load(walk + 2))), own * (1.0 + tl.load(walk + 3)))
        value = tl.where(going, moved.to(tl.float32), value)
    return state, value


@triton.jit
def samples_of(word, lines, row, column, live, KIND: tl.constexpr, LANES: tl.constexpr):
    """Which samples from ``word`` on pulse each lane's cell, as the bits of an int64.

    ``lines``: (what rows and columns contribute, slots, the samples in which any of the program's rows fires, numbers
    of rows and of columns) of a trial.
    """
    rows, columns, slots_of, firing, outputs, inputs = lines
    hits = tl.zeros([LANES], tl.int64)
    samples = tl.load(firing + word // WORD)
    while samples != 0:
        place = lowest(samples)
        sample = word + place
        row_part = tl.load(rows + sample * outputs + row, mask=live, other=0)
        # Columns of a sample are there if any row of the array fires in it.
        column_part = tl.load(columns + sample * inputs + column, mask=live, other=0)
        hit = coincide(row_part, column_part, tl.load(slots_of + sample), KIND)
        hits |= hit.to(tl.int64) << place
        samples &= samples - 1
    return hits


@triton.jit
def take_sample(takes, word, hits, left, up, x, d, lines, row, column, KIND: tl.constexpr):
    """(hits, pulses left, whether they are SET, sample): lanes that take one begin the next sample that pulses them."""
    rows, columns, slots_of, _, outputs, inputs = lines
    sample = word + lowest(hits)
    row_at, column_at = sample * outputs + row, sample * inputs + column
    row_part = tl.load(rows + row_at, mask=takes, other=0)
    column_part = tl.load(columns + column_at, mask=takes, other=0)
    slots = tl.load(slots_of + sample, mask=takes, other=0.0)
    left = tl.where(takes, coincidences(row_part, column_part, slots, KIND), left)
    # Descent: a positive product of x and d lowers the weight.
    rises = tl.load(d + row_at, mask=takes, other=0.0) < 0.0
    rises = rises == (tl.load(x + column_at, mask=takes, other=0.0) > 0.0)
    return tl.where(takes, hits & (hits - 1), hits), left, (takes & rises) | (~takes & up), sample
