"""The steps of fresh cells at w = 0, by the compiled loops."""

from typing import Any

import numpy as np
import torch

from vcm_sweep.device.array.fabrication import log_bounds, solved
from vcm_sweep.device.kernels.cpu.lanes.arrays import step_cells
from vcm_sweep.device.kernels.layout import Cells, Physics, Pulses, Scratch


def steps_at_zero(cells: Cells, physics: Physics, pulses: Pulses, chosen: np.ndarray) -> torch.Tensor:
    """Weights of the chosen fresh cells where they read w = 0, after a SET, and after a RESET pulse from there.

    (3, chosen) float64, without noise and window. A cell that cannot be at w = 0 is as near as it gets.
    """
    cells, count = _only(cells, chosen), len(chosen)
    if _alike(cells):
        cells = _only(cells, slice(1))
    n_max, n_min, *_ = cells.base
    cells = cells._replace(walked=cells.base)
    x = solved(cells, physics, np.zeros(1, np.float32), log_bounds(torch.from_numpy(n_min), torch.from_numpy(n_max)))
    steps = np.empty((3, len(x)))
    step_cells(cells, physics, pulses, Scratch.new(), x.numpy(), np.arange(len(x)), steps)
    return torch.from_numpy(steps).expand(3, count)


def _only(cells: Cells, chosen: np.ndarray | slice) -> Cells:
    def picked(part: Any) -> Any:
        if isinstance(part, tuple):
            return tuple(map(picked, part))
        return np.ascontiguousarray(part[..., chosen]) if part.shape[-1] > 1 else part

    return Cells(*map(picked, cells))


def _alike(cells: Cells) -> bool:
    """Whether all cells step alike: nothing differs, also where there is a place for what differs elsewhere."""
    parts = (*cells.base, cells.varied, cells.boost, cells.rate)
    return all(bool((part == part[..., :1]).all()) for part in parts)
