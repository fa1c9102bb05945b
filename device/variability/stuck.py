"""Cells that no pulse moves."""

from __future__ import annotations

from dataclasses import dataclass

from vcm_sweep.device.declared import number
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability.checked import check_fields


@public
@dataclass(frozen=True, eq=False)
class StuckCells:
    """Cells whose read current stays at one end of the window: low if never formed or broken, high if shorted.

    Attributes:
        low, high: probability that a cell is stuck at the low or at the high end, together at most 1.
        mask: which cells are stuck, instead of probabilities: int8, -1 (low), 0 (works) or +1 (high), one per cell.

    Raises:
        DeviceError: low + high above 1, both shares and a mask, or other numbers in the mask.
    """

    low: float = number(0.0, 0.0, 1.0, "relative", "share of cells stuck at the low end")
    high: float = number(0.0, 0.0, 1.0, "relative", "share of cells stuck at the high end")
    mask: torch.Tensor | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.low + self.high > 1 + 1e-12:
            raise DeviceError(
                f"StuckCells.low + high = {self.low + self.high:g} must be at most 1: lower one of the shares"
            )
        if self.mask is None:
            return
        if self.low or self.high:
            raise DeviceError("StuckCells.mask and the shares low, high exclude each other: keep one")
        if not isinstance(self.mask, torch.Tensor) or self.mask.dtype != torch.int8:
            raise DeviceError("StuckCells.mask must be an int8 tensor of -1, 0 and 1")
        if bool((self.mask.abs() > 1).any()):
            raise DeviceError(f"StuckCells.mask has {int(self.mask.abs().max())}: only -1, 0 and 1 are allowed")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StuckCells):
            return NotImplemented
        return (self.low, self.high, self._cells()) == (other.low, other.high, other._cells())

    def __hash__(self) -> int:
        return hash((self.low, self.high, self._cells()))

    def _cells(self) -> tuple[int, ...] | None:
        return None if self.mask is None else (*self.mask.shape, *self.mask.reshape(-1).tolist())

    @property
    def active(self) -> bool:
        """Whether any cell can be stuck."""
        return self.low > 0 or self.high > 0 or (self.mask is not None and bool(self.mask.any()))

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Which cells are stuck, (count,) int8 on the generator's device: -1 low, +1 high, 0 works.

        >>> StuckCells(mask=torch.tensor([[0, -1], [1, 0]], dtype=torch.int8)).draw(4, torch.Generator()).tolist()
        [0, -1, 1, 0]
        """
        if self.mask is not None:
            if self.mask.numel() != count:
                raise DeviceError(
                    f"StuckCells.mask has {self.mask.numel()} cells and the array {count}: give one number per cell"
                )
            return self.mask.reshape(-1).to(generator.device, copy=True)
        # In double precision: single-precision random numbers are multiples of 6e-8, and smaller shares would be lost.
        u = torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device)
        return (u >= 1 - self.high).to(torch.int8) - (u < self.low).to(torch.int8)
