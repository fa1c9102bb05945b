"""Update of stacked arrays on a CUDA device, in Triton kernels that the host never waits for.

The kernels draw the pulses of each line (draw.py), find the cells that get any (find.py), and compute what these do: by
the tables of a trial (pulse.py), or by its equations (pulse_by_equations.py), as a CPU does. They read the same tables
as cpu/, and solve the same equations. Every line and every cell has a random stream of its own.

Without Triton this module can be imported, but :func:`update_stack` raises DeviceError. The kernels know no partners of
cells: array/cell_arrays.py brings cells with an intervention to the CPU, as it does without Triton.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.kernels.gpu.draw import draw_lines
from vcm_sweep.device.kernels.gpu.find import SAMPLES, find_cells
from vcm_sweep.device.kernels.gpu.pulse import pulse_cells
from vcm_sweep.device.kernels.gpu.pulse_by_equations import solve_pulses
from vcm_sweep.device.kernels.gpu.stack import StackCells, StackEquations, StackTables
from vcm_sweep.device.kernels.gpu.triton_or_none import PRESENT
from vcm_sweep.device.kernels.layout import STOCHASTIC, Train

# How many lines or cells a program, one warp, works on at a time. 32 marched cells are one for each lane,
# which waits only for the others at the end of a loop.
LINES_AT_ONCE, COLUMNS_SEARCHED, CELLS_MARCHED = 64, 256, 32
# Into how many groups the rows of an array are divided, at most: cells are listed and pulsed by a program per group.
# Few rows of a large array fire, most of a small one.
GROUPS = 64


class Keys(NamedTuple):
    """The random keys of one call: the kernels mix the number of the call into each trial's stream."""

    streams: Tensor  # (K,) uint64, the key of each trial's stream
    call: Tensor  # (1,) int64, the number of the call, on the device, where a replayed step counts it


class Lines(NamedTuple):
    """What each row and column contributes to the pulses of each sample."""

    rows: Tensor  # (K, batch, out): the slots in which it fires, as the bits of an int64, or its float64 share
    columns: Tensor  # (K, batch, in); not set in samples in which no row fires
    slots: Tensor  # (K, batch) float64, how many slots there are


class Pulsed(NamedTuple):
    """Which cells get a pulse from any sample of the batch, by groups of rows."""

    cells: Tensor  # (K, groups, rows of a group * in) int32, of which the first are used
    counts: Tensor  # (K, groups) int32, how many
    firing: Tensor  # (K, groups, batch / 64) int64, the samples in which any of the rows fires, as bits


# The compiler specialises kernels for a stack, and may then fuse multiplications and additions in other places, which
# changes last bits. Without fusing, a trial gives the same bits in every stack.
_EXACT = {"enable_fp_fusion": False}


def update_stack(
    x: Tensor, d: Tensor, keys: Keys, learning_rates: Tensor, lengths: Tensor, train: Train,
    cells: StackCells, tables: StackTables, equations: StackEquations, counters: Tensor,
) -> None:  # fmt: skip
    """Pulse K stacked arrays for a batch. The work is only put into the device's queue; the host does not wait.

    Args:
        x, d: (K, batch, in) inputs and (K, batch, out) gradients, float32.
        keys: of this call.
        learning_rates: (K,) float64; a trial at 0 or below gets no pulses.
        lengths: (K,) int64, desired_bl of each trial.
        train: the settings of the trial with the longest; only those that all trials share are used, from
            ``fixed_bl`` on.
        cells: changed in place; its tensors must be contiguous.
        tables, equations: those of the stack.
        counters: (K, 5) float64, which are added to: SET pulses, RESET pulses, energy in J, skipped pulses, pulses
            outside the model.

    Raises:
        DeviceError: Triton is missing, or a stochastic train could exceed the 64 slots of a word.
    """
    if not PRESENT:
        raise DeviceError("the CUDA update needs Triton: install torch's CUDA build, or keep the arrays on the CPU")
    if train.kind == STOCHASTIC and not (_bounded(train) and 1 <= train.desired_bl <= 64):
        raise DeviceError(
            f"desired_bl = {train.desired_bl!r} must be from 1 to 64, and fixed_bl or update_bl_management on: "
            "the slots of a stochastic train are the bits of one word"
        )
    if 0 in (*x.shape, *d.shape):
        return
    x, d = x.contiguous(), d.contiguous()
    lines = draw(x, d, keys, learning_rates, lengths, train, tables)
    pulsed = find(lines, train)
    if tables.tabled:
        pulse(x, d, keys, lines, pulsed, train, cells, tables, counters)
    if equations.kinds.full or equations.kinds.explicit:
        pulse_by_equations(x, d, keys, lines, pulsed, train, cells, equations, tables.walks, counters)


def _bounded(train: Train) -> bool:
    return train.fixed_bl or train.update_bl_management


def draw(
    x: Tensor, d: Tensor, keys: Keys, learning_rates: Tensor, lengths: Tensor, train: Train, tables: StackTables
) -> Lines:
    """Draw the pulses of each line; arguments as of :func:`update_stack`, x and d contiguous."""
    trials, batch, inputs = x.shape
    outputs = d.shape[2]
    kind = torch.int64 if train.kind == STOCHASTIC else torch.float64
    lines = Lines(
        torch.empty(trials, batch, outputs, dtype=kind, device=x.device),
        torch.empty(trials, batch, inputs, dtype=kind, device=x.device),
        torch.empty(trials, batch, dtype=torch.float64, device=x.device),
    )
    management = bool(train.update_management or train.update_bl_management)
    draw_lines[(trials * batch,)](
        x, d, *keys, learning_rates, lengths, tables.granularities, *lines, batch, inputs, outputs,
        train.d_resolution, train.x_resolution, bool(_bounded(train)), bool(train.update_bl_management), management,
        train.kind, LINES_AT_ONCE, num_warps=1, **_EXACT,
    )  # fmt: skip
    return lines


def find(lines: Lines, train: Train) -> Pulsed:
    """List the cells that the lines pulse."""
    trials, batch, outputs = lines.rows.shape
    inputs = lines.columns.shape[2]
    together = -(-outputs // GROUPS)
    groups = -(-outputs // together)
    device = lines.rows.device
    pulsed = Pulsed(
        torch.empty(trials, groups, together * inputs, dtype=torch.int32, device=device),
        torch.empty(trials, groups, dtype=torch.int32, device=device),
        torch.empty(trials, groups, -(-batch // SAMPLES), dtype=torch.int64, device=device),
    )
    find_cells[(trials * groups,)](
        *lines, *pulsed, batch, inputs, outputs, groups, together, train.kind, COLUMNS_SEARCHED, num_warps=1, **_EXACT
    )
    return pulsed


def pulse(
    x: Tensor, d: Tensor, keys: Keys, lines: Lines, pulsed: Pulsed, train: Train,
    cells: StackCells, tables: StackTables, counters: Tensor,
) -> None:  # fmt: skip
    """Pulse the listed cells; arguments as of :func:`update_stack`, x and d contiguous."""
    trials, batch, inputs = x.shape
    outputs, groups, capacity = d.shape[2], *pulsed.cells.shape[1:]
    added = torch.empty(trials, groups, 4, dtype=torch.float64, device=x.device)
    per_cell = (*cells.walked, cells.boost, cells.rate, cells.low, cells.high)
    strides = [int(values.shape[-1] > 1) for values in per_cell]
    pulse_cells[(trials * groups,)](
        x, d, *keys, *lines, *pulsed, tables.nodes, tables.layout, tables.scalars, tables.walks,
        cells.log_n, cells.weight, *cells.base, *per_cell, *strides, added,
        batch, inputs, outputs, groups, capacity, tables.walking, train.kind, CELLS_MARCHED, num_warps=1, **_EXACT,
    )  # fmt: skip
    counters[:, :4] += added.sum(1)


def pulse_by_equations(
    x: Tensor, d: Tensor, keys: Keys, lines: Lines, pulsed: Pulsed, train: Train,
    cells: StackCells, equations: StackEquations, walks: Tensor, counters: Tensor,
) -> None:  # fmt: skip
    """:func:`pulse` for the trials whose equations are solved."""
    trials, batch, inputs = x.shape
    outputs, groups, capacity = d.shape[2], *pulsed.cells.shape[1:]
    added = torch.empty(trials, groups, 5, dtype=torch.float64, device=x.device)
    per_cell = (*cells.walked, cells.varied, cells.boost, cells.rate, cells.low, cells.high, cells.w_low, cells.w_high)
    strides = [int(values.shape[-1] > 1) for values in per_cell]
    solve_pulses[(trials * groups,)](
        x, d, *keys, *lines, *pulsed, equations.starts, equations.places, equations.numbers, walks,
        cells.log_n, cells.weight, *cells.base, *per_cell, cells.targets, cells.polarity, *strides, added,
        batch, inputs, outputs, groups, capacity, cells.varied.shape[1],
        *equations.kinds, train.kind, CELLS_MARCHED, num_warps=1, **_EXACT,
    )  # fmt: skip
    counters += added.sum(1)
