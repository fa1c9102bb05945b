# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Finding, the second GPU kernel of an update: lists the cells that get a pulse from any sample of the batch.

A batch pulses only a few per cent of the cells, those of few rows. With a list, every lane of a warp of the third
kernel has work.
"""

from vcm_sweep.device.kernels.gpu.random import popcount
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import STOCHASTIC

_STOCHASTIC = tl.constexpr(STOCHASTIC)
# How many samples are looked at together: whether each of them has something is one bit of a word.
SAMPLES = 64
WORD = tl.constexpr(SAMPLES)


@triton.jit
def coincide(row, column, slots, KIND: tl.constexpr):
    """Whether a cell gets any pulse, from what its row and its column contribute."""
    return (row & column) != 0 if KIND == _STOCHASTIC else row * column * slots + 0.5 >= 1.0


@triton.jit
def coincidences(row, column, slots, KIND: tl.constexpr):
    """The number of pulses of a cell, float64, from what its row and its column contribute."""
    return popcount(row & column).to(tl.float64) if KIND == _STOCHASTIC else tl.floor(row * column * slots + 0.5)


@triton.jit
def lowest(bits):
    """The place of the lowest bit that is 1."""
    return popcount(~bits & (bits - 1)).to(tl.int32)


@triton.jit
def _fires_in(rows, row, word, batch, outputs):
    """The samples from ``word`` on in which a row fires, as the bits of an int64."""
    place = tl.arange(0, WORD)
    part = tl.load(rows + (word + place) * outputs + row, mask=word + place < batch, other=0)
    return tl.sum((part != 0).to(tl.int64) << place.to(tl.int64), 0)


@triton.jit
def find_cells(
    rows, columns, slots_of, listed, counts, firing, batch, inputs, outputs, groups, together,
    KIND: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """One program per (trial, group of ``together`` rows): list the cells that any sample pulses, row after row.

    Most rows fire in no sample, and are done with at once; of the others, the samples in which they fire are looked at.
    """
    program = tl.program_id(0).to(tl.int64)
    trial = program // groups
    first = (program % groups).to(tl.int32) * together
    last = tl.minimum(first + together, outputs)
    rows += trial * batch * outputs
    columns += trial * batch * inputs
    slots_of += trial * batch
    listed += program * together * inputs
    firing += program * ((batch + WORD - 1) // WORD)
    for word in range(0, batch, WORD):
        of_group = first.to(tl.int64) * 0
        for row in range(first, last):
            of_group |= _fires_in(rows, row, word, batch, outputs)
        tl.store(firing + word // WORD, of_group)
    count = 0
    for row in range(first, last):
        fires = 0
        for word in range(0, batch, WORD):
            fires = tl.where(_fires_in(rows, row, word, batch, outputs) != 0, 1, fires)
        for start in range(0, inputs * fires, LANES):
            column = start + tl.arange(0, LANES)
            live = column < inputs
            hit = column < 0
            for word in range(0, batch, WORD):
                samples = _fires_in(rows, row, word, batch, outputs)
                while samples != 0:
                    sample = word + lowest(samples)
                    part = tl.load(columns + sample * inputs + column, mask=live, other=0)
                    hit |= coincide(tl.load(rows + sample * outputs + row), part, tl.load(slots_of + sample), KIND)
                    samples &= samples - 1
            one = hit.to(tl.int32)
            tl.store(listed + count + tl.cumsum(one, 0) - one, row * inputs + column, mask=hit)
            count += tl.sum(one, 0)
    tl.store(counts + program, count)
