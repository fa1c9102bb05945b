# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Finding, the second GPU kernel of an update: lists the cells that get a pulse from any sample of the batch.

A batch pulses only a few per cent of the cells. With a list, every lane of a warp of the third kernel has work.
"""

from vcm_sweep.device.kernels.gpu.random import popcount
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import STOCHASTIC

_STOCHASTIC = tl.constexpr(STOCHASTIC)


@triton.jit
def coincide(row, column, slots, KIND: tl.constexpr):
    """Whether a cell gets any pulse, from what its row and its column contribute."""
    return (row & column) != 0 if KIND == _STOCHASTIC else row * column * slots + 0.5 >= 1.0


@triton.jit
def coincidences(row, column, slots, KIND: tl.constexpr):
    """The number of pulses of a cell, float64, from what its row and its column contribute."""
    return popcount(row & column).to(tl.float64) if KIND == _STOCHASTIC else tl.floor(row * column * slots + 0.5)


@triton.jit
def find_cells(
    rows, columns, slots_of, listed, counts, batch, inputs, outputs, blocks,
    KIND: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """One program per (trial, block of cells): list those that any sample pulses."""
    program = tl.program_id(0).to(tl.int64)
    trial = program // blocks
    cell = (program % blocks).to(tl.int32) * LANES + tl.arange(0, LANES)
    live = cell < inputs * outputs
    row, column = cell // inputs, cell % inputs
    rows += trial * batch * outputs
    columns += trial * batch * inputs
    hit = cell < 0
    for sample in range(batch):
        row_part = tl.load(rows + sample * outputs + row, mask=live, other=0)
        column_part = tl.load(columns + sample * inputs + column, mask=live, other=0)
        hit |= coincide(row_part, column_part, tl.load(slots_of + trial * batch + sample), KIND)
    one = hit.to(tl.int32)
    tl.store(listed + program * LANES + tl.cumsum(one, 0) - one, cell, mask=hit)
    tl.store(counts + program, tl.sum(one, 0))
