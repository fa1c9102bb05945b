"""The steps of fresh cells at w = 0, one pulse each way, by the compiled loops."""

from typing import Any

import numpy as np
import torch

from vcm_sweep.device.array.fabrication import log_bounds, solved
from vcm_sweep.device.kernels.cpu.lanes.arrays import step_cells
from vcm_sweep.device.kernels.layout import Cells, Physics, Pulses, Scratch


def fresh_steps(
    cells: Cells, physics: Physics, pulses: Pulses, chosen: np.ndarray, stuck: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(dw_SET, -dw_RESET) of the chosen fresh cells at w = 0, one pulse each, without noise and window.

    Each (chosen,) float64; NaN for a cell that is stuck, is never at w = 0, or does not step both ways.
    """
    cells, count = _only(cells, chosen), len(chosen)
    if _alike(cells):
        cells = _only(cells, slice(1))
    n_max, n_min, *_ = cells.base
    cells = cells._replace(walked=cells.base)
    x = solved(cells, physics, np.zeros(1, np.float32), log_bounds(torch.from_numpy(n_min), torch.from_numpy(n_max)))
    weights = np.empty((3, len(x)))
    step_cells(cells, physics, pulses, Scratch.new(), x.numpy(), np.arange(len(x)), weights)
    at_zero, after_set, after_reset = torch.from_numpy(weights).expand(3, count)
    up, down = after_set - at_zero, at_zero - after_reset
    bad = stuck | (at_zero.abs() >= 1e-3) | (up <= 0) | (down <= 0)
    return up.masked_fill(bad, torch.nan), down.masked_fill(bad, torch.nan)


def exchanged(
    own: tuple[torch.Tensor, torch.Tensor], other: tuple[torch.Tensor, torch.Tensor], takes_speed: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """(dw_SET, -dw_RESET) with the match of SET and RESET, or the speed, of other cells, each as :func:`fresh_steps`.

    Speed is the geometric mean of both steps, match the ratio of them.
    """
    speed, match = (other, own) if takes_speed else (own, other)
    mean, half = (speed[0] * speed[1]).sqrt(), (match[1] / match[0]).sqrt()
    return mean / half, mean * half


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
