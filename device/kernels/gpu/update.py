"""Update of stacked arrays on a CUDA device, in three Triton kernels that the host never waits for.

The kernels draw the pulses of each line (draw.py), find the cells that get any (find.py), and compute what these do
(pulse.py). They follow update.py, pulse.py and march.py of cpu/ and read the same tables. Every line and every cell has
a random stream of its own.

Without Triton this module can be imported, but :func:`update_stack` raises DeviceError. What the kernels do not support
is listed in array/gpu_support.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.kernels.gpu.draw import draw_lines
from vcm_sweep.device.kernels.gpu.find import find_cells
from vcm_sweep.device.kernels.gpu.pulse import pulse_cells
from vcm_sweep.device.kernels.gpu.triton_or_none import PRESENT
from vcm_sweep.device.kernels.layout import MAX_AXES, RADIUS, STOCHASTIC, Curve, Physics, Pulses, Train

# How many lines or cells one program of each kernel works on. 32 marched cells are one warp: its lanes wait only for
# each other at the end of a loop.
LINES_AT_ONCE, CELLS_SEARCHED, CELLS_MARCHED = 256, 512, 32


class StackCells(NamedTuple):
    """State and parameters of K arrays on the device. A parameter of width 1 is the same for all cells of a trial."""

    log_n: Tensor  # (K, cells) float64, ln of N in 1e26/m3
    weight: Tensor  # (K, out, in) float32, read by the periphery
    base: tuple[Tensor, Tensor, Tensor, Tensor]  # N_max, N_min, r, l of the cell, (K, cells) or (K, 1) float32
    walked: tuple[Tensor, Tensor, Tensor, Tensor]  # the same after the pulses so far; (K, cells) if it walks
    varied: Tensor  # (K, n, cells) or (K, n, 1) float32, the other parameters that spread
    boost: Tensor  # (K, cells) or (K, 1) float32, exp(m/2) of the mismatch m
    rate: Tensor  # (K, cells) or (K, 1) float32, factor on both speeds
    low: Tensor  # (K, cells) or (K, 1) float64, ln N at the ends of the window; low > high for cells that are stuck
    high: Tensor


@dataclass(frozen=True)
class StackTables:
    """What the kernels read about each trial, on the device; built once for a stack.

    Attributes:
        nodes: float64, the values of all tables one after the other; a table that trials share is there once.
        layout: (K, 26) int64, for each trial: whether parameters walk, and whether the walk needs the way covered (2);
            for each of three axes the code of the cell's value and the number of nodes, 1 if there is no such axis
            (3 x 2); for each curve (SET, RESET, reading) the places in ``nodes`` of values, power and kinks, the
            number of nodes of x, the number of intervals below the kink, and the nodes of the parameters (3 x 6).
        scalars: (K, 14) float64, for each trial: pulse_s and reference length (2); for each of three axes the first
            node and the inverse step (3 x 2); for each of three curves the ends of x (3 x 2).
        granularities: (K,) float64, dw_min of each trial.
        walks: (K, 4, 4) float64, the table Pulses.walk of each trial.
        walking: whether any trial has parameters that walk.
        axes: the largest number of axes of any trial.
    """

    nodes: Tensor
    layout: Tensor
    scalars: Tensor
    granularities: Tensor
    walks: Tensor
    walking: bool
    axes: int

    @classmethod
    def build(
        cls,
        physics: Sequence[Physics],
        pulses: Sequence[Pulses],
        granularities: Sequence[float],
        device: torch.device | str,
    ) -> "StackTables":
        """Copy what the CPU's kernels read to ``device``; one entry per trial in each sequence."""
        nodes = _Nodes()
        layout, scalars = [], []
        for cells, pulse in zip(physics, pulses, strict=True):
            row, numbers = [int(pulse.walks), int(pulse.needs_ratio)], [pulse.pulse_s, cells.reference_length]
            for axis in range(MAX_AXES):
                present = axis < len(cells.codes)
                row += [int(cells.codes[axis]), int(cells.axes[axis, 2])] if present else [RADIUS, 1]
                numbers += cells.axes[axis, :2].tolist() if present else [0.0, 1.0]
            for curve in (cells.set, cells.reset, cells.read):
                row += nodes.places(curve)
                numbers += [curve.x_first, curve.x_last]
            layout.append(row)
            scalars.append(numbers)
        return cls(
            nodes=torch.from_numpy(np.concatenate(nodes.parts)).to(device),
            layout=torch.tensor(layout, dtype=torch.int64).to(device),
            scalars=torch.tensor(scalars, dtype=torch.float64).to(device),
            granularities=torch.tensor(granularities, dtype=torch.float64).to(device),
            walks=torch.from_numpy(np.stack([pulse.walk for pulse in pulses])).to(device),
            walking=any(pulse.walks for pulse in pulses),
            axes=max(len(cells.codes) for cells in physics),
        )


class _Nodes:
    """Concatenates arrays, each of them only once, and remembers where each begins."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []
        self._places: dict[int, int] = {}
        self._end = 0

    def _place(self, part: np.ndarray) -> int:
        if id(part) not in self._places:
            self._places[id(part)] = self._end
            self.parts.append(part.ravel())
            self._end += part.size
        return self._places[id(part)]

    def places(self, curve: Curve) -> list[int]:
        """The six columns of ``StackTables.layout`` for a curve."""
        parts = [self._place(part) for part in (curve.values, curve.power, curve.kink)]
        return [*parts, len(curve.values), curve.below, curve.kink.size]


class Keys(NamedTuple):
    """The random keys of one call: the kernels mix the number of the call into each trial's stream."""

    streams: Tensor  # (K,) uint64, the key of each trial's stream
    call: int


class Lines(NamedTuple):
    """What each row and column contributes to the pulses of each sample."""

    rows: Tensor  # (K, batch, out): the slots in which it fires, as the bits of an int64, or its float64 share
    columns: Tensor  # (K, batch, in)
    slots: Tensor  # (K, batch) float64, how many slots there are


class Pulsed(NamedTuple):
    """Which cells get a pulse from any sample of the batch, block by block of ``CELLS_SEARCHED``."""

    cells: Tensor  # (K, blocks, CELLS_SEARCHED) int32, of which the first are used
    counts: Tensor  # (K, blocks) int32, how many


# The compiler specialises kernels for a stack, and may then fuse multiplications and additions in other places, which
# changes last bits. Without fusing, a trial gives the same bits in every stack.
_EXACT = {"enable_fp_fusion": False}


def update_stack(
    x: Tensor, d: Tensor, keys: Keys, learning_rates: Tensor, lengths: Tensor, train: Train,
    cells: StackCells, tables: StackTables, counters: Tensor,
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
        tables: the tables of the stack.
        counters: (K, 5) float64, which are added to: SET pulses, RESET pulses, energy in J, skipped pulses. The fifth,
            pulses outside the model, does not change, since tables contain no such states.

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
    pulse(x, d, keys, lines, find(lines, train), train, cells, tables, counters)


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
        train.kind, LINES_AT_ONCE, num_warps=4, **_EXACT,
    )  # fmt: skip
    return lines


def find(lines: Lines, train: Train) -> Pulsed:
    """List the cells that the lines pulse."""
    trials, batch, outputs = lines.rows.shape
    inputs = lines.columns.shape[2]
    blocks = -(-inputs * outputs // CELLS_SEARCHED)
    pulsed = Pulsed(
        torch.empty(trials, blocks, CELLS_SEARCHED, dtype=torch.int32, device=lines.rows.device),
        torch.empty(trials, blocks, dtype=torch.int32, device=lines.rows.device),
    )
    find_cells[(trials * blocks,)](
        *lines, *pulsed, batch, inputs, outputs, blocks, train.kind, CELLS_SEARCHED, num_warps=4, **_EXACT
    )
    return pulsed


def pulse(
    x: Tensor, d: Tensor, keys: Keys, lines: Lines, pulsed: Pulsed, train: Train,
    cells: StackCells, tables: StackTables, counters: Tensor,
) -> None:  # fmt: skip
    """Pulse the listed cells; arguments as of :func:`update_stack`, x and d contiguous."""
    trials, batch, inputs = x.shape
    outputs, blocks = d.shape[2], pulsed.counts.shape[1]
    added = torch.empty(trials, blocks, 4, dtype=torch.float64, device=x.device)
    per_cell = (*cells.walked, cells.varied, cells.boost, cells.rate, cells.low, cells.high)
    strides = [int(values.shape[-1] > 1) for values in per_cell]
    pulse_cells[(trials * blocks,)](
        x, d, *keys, *lines, *pulsed, tables.nodes, tables.layout, tables.scalars, tables.walks,
        cells.log_n, cells.weight, *cells.base, *per_cell, *strides, added,
        batch, inputs, outputs, blocks, cells.varied.shape[1],
        tables.walking, tables.axes, train.kind, CELLS_SEARCHED, CELLS_MARCHED, num_warps=1, **_EXACT,
    )  # fmt: skip
    counters[:, :4] += added.sum(1)
