"""What the GPU kernels read of a stack of arrays: their cells, the tables of some trials, the equations of others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vcm_sweep.device.kernels.layout import PARAMETERS, Curve, Physics, Pulses


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
    w_low: Tensor  # (K, cells) or (K, 1) float32, the ends of the window as weights, of cells that read themselves
    w_high: Tensor
    targets: Tensor  # (K, 2, cells) or (K, 2, 1) float32, the values towards which r and l move
    polarity: Tensor  # (K, cells) or (K, 1) int8, direction of the last pulse


@dataclass(frozen=True)
class StackTables:
    """What the kernels read about each trial, on the device; built once for a stack.

    Attributes:
        nodes: float32, the values of all tables one after the other; a table that trials share is there once.
        layout: (K, 15) int64, for each trial: whether parameters walk, and whether the walk needs the way covered (2);
            for each curve (SET, RESET, reading) the places in ``nodes`` of values and power, the number of nodes, and
            the number of intervals below the kink (3 x 4); whether the trial's pulses are computed by tables.
        scalars: (K, 11) float64, for each trial: pulse_s and reference length (2); for each of three curves the first
            x, the kink and the last x (3 x 3).
        granularities: (K,) float64, dw_min of each trial.
        walks: (K, 4, 4) float64, the table Pulses.walk of each trial.
        walking: whether any trial has parameters that walk.
        tabled: whether any trial's pulses are computed by tables.
    """

    nodes: Tensor
    layout: Tensor
    scalars: Tensor
    granularities: Tensor
    walks: Tensor
    walking: bool
    tabled: bool

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
            for curve in (cells.set, cells.reset, cells.read):
                row += nodes.places(curve)
                numbers += [curve.x_first, float(curve.kink[0]), curve.x_last]
            row.append(int(not cells.direct))
            layout.append(row)
            scalars.append(numbers)
        return cls(
            nodes=torch.from_numpy(np.concatenate(nodes.parts).astype(np.float32)).to(device),
            layout=torch.tensor(layout, dtype=torch.int64).to(device),
            scalars=torch.tensor(scalars, dtype=torch.float64).to(device),
            granularities=torch.tensor(granularities, dtype=torch.float64).to(device),
            walks=torch.from_numpy(np.stack([pulse.walk for pulse in pulses])).to(device),
            walking=any(pulse.walks for pulse in pulses),
            tabled=any(not cells.direct for cells in physics),
        )


class Kinds(NamedTuple):
    """What any trial has of those whose equations are solved; a kernel is compiled without what none has."""

    full: bool  # the full model
    explicit: bool
    walking: bool  # parameters that walk
    shaped: bool  # errors of single pulses
    own: bool  # cells with windows of their own
    moving: bool  # targets of r and l
    euler: bool  # pulses of explicit Euler steps


@dataclass(frozen=True)
class StackEquations:
    """What the kernels read about trials whose equations are solved, on the device; built once for a stack.

    Attributes:
        starts: (K, (3 * 24 + 2) * nodes) float64, of each trial the nodes of its ``Starts``: for SET, RESET and reading
            ln of the drop, its slope in each of the 22 parameters, and in the voltage; then the bends of SET and RESET.
        places: (K, 33) int64, for each trial: whether its equations are solved, by the full model, whether a cell's own
            current is read, whether a cell has a window of its own, whether pulses are alone, whether parameters walk,
            and whether the walk needs the way covered (7); the nodes of its starts, the parameters that these depend on
            as bits; the Euler steps of a pulse or 0, and whether N is cut after each (2); of each parameter the row of
            ``StackCells.varied`` that holds it, or -1 (22).
        numbers: (K, 39) float64, for each trial: v_set, v_reset, w_dark, w_slope, steepest, the first node and the
            inverse step of its starts (7); the deviation of a pulse's voltage and length, and the clip of both (3); of
            the targets of r and l the deviation, the clip, and whether they last for a polarity (2 x 3); pulse_s; the
            nominal parameters (22).
        kinds: what any of these trials has.
    """

    starts: Tensor
    places: Tensor
    numbers: Tensor
    kinds: Kinds

    @classmethod
    def build(
        cls, physics: Sequence[Physics], pulses: Sequence[Pulses], device: torch.device | str
    ) -> "StackEquations":
        """Copy what the CPU's kernels read to ``device``; one entry per trial in each sequence."""
        starts, places, numbers = [], [], []
        solved = [(cells, pulse) for cells, pulse in zip(physics, pulses, strict=True) if cells.direct]
        nodes = max((cells.starts.bend.shape[1] for cells, _ in solved), default=2)
        for cells, pulse in zip(physics, pulses, strict=True):
            given = cells.starts
            rows = np.full(PARAMETERS, -1)
            for row, place in enumerate(cells.places):
                if place >= 0:
                    rows[place] = row
            curves = np.zeros((3, nodes, PARAMETERS + 2))
            bend = np.zeros((2, nodes))
            if cells.direct:
                curves[:, :, 0], curves[:, :, -1], bend = given.curves[..., 0], given.curves[..., -1], given.bend
                curves[:, :, 1 + given.places] = given.curves[..., 1:-1]
            starts.append(np.concatenate([curves.ravel(), bend.ravel()]))
            flags: list[int] = [
                cells.direct, cells.full, cells.reads_cell, pulse.own_window, pulse.alone, pulse.walks,
                pulse.needs_ratio,
            ]  # fmt: skip
            varying = sum(1 << int(place) for place in given.places)
            flags += [nodes, varying, pulse.steps, pulse.kept]
            places.append([*map(int, flags), *rows.tolist()])
            numbers.append([
                cells.v_set, cells.v_reset, cells.w_dark, cells.w_slope, cells.steepest, given.x_first,
                given.inverse_step, pulse.amplitude, pulse.width, pulse.clip, *pulse.targets.ravel().tolist(),
                pulse.pulse_s, *cells.nominal.tolist(),
            ])  # fmt: skip
        return cls(
            starts=torch.from_numpy(np.stack(starts)).to(device),
            places=torch.tensor(places, dtype=torch.int64).to(device),
            numbers=torch.tensor(numbers, dtype=torch.float64).to(device),
            kinds=Kinds(
                full=any(cells.full for cells, _ in solved),
                explicit=any(not cells.full for cells, _ in solved),
                walking=any(pulse.walks for _, pulse in solved),
                shaped=any(pulse.amplitude > 0 or pulse.width > 0 for _, pulse in solved),
                own=any(pulse.own_window for _, pulse in solved),
                moving=any(pulse.moves for _, pulse in solved),
                euler=any(pulse.steps > 0 for _, pulse in solved),
            ),
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
        """The four columns of ``StackTables.layout`` for a curve."""
        return [*map(self._place, (curve.values, curve.power)), len(curve.values), curve.below]
