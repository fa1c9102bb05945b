"""An extra mismatch between the rates of SET and RESET, on top of that of the cell model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vcm_sweep.device.declared import number
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability.checked import check_fields


@public
@dataclass(frozen=True)
class Mismatch:
    """SET/RESET mismatch m, the change of ln(RESET rate / SET rate); each cell draws m = mean + sigma N(0, 1).

    The RESET rate is multiplied by e^(m/2) and the SET rate by e^(-m/2), on top of what the model itself gives at
    these pulses. This is our own definition, without a source: it stands for whatever shifts one rate against the
    other (pulse voltages, barrier, temperature), provided that the shape of the steps over the window does not change.

    Attributes:
        mean: mean of m over the cells, -5 to 5.
        sigma: standard deviation of m from cell to cell, 0 to 5.
    """

    mean: float = number(0.0, -5.0, 5.0, "ln", "change of ln(RESET/SET) in every cell")
    sigma: float = number(0.0, 0.0, 5.0, "ln", "spread of ln(RESET/SET) from cell to cell")

    def __post_init__(self) -> None:
        check_fields(self)

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """exp(m/2) of each cell, float32: (count,), or (1,) where all cells are equal.

        >>> Mismatch(mean=2.0).draw(3, torch.Generator())
        tensor([2.7183])
        """
        if self.sigma == 0:
            return torch.full((1,), math.exp(0.5 * self.mean), dtype=torch.float32, device=generator.device)
        m = self.mean + self.sigma * torch.randn(count, generator=generator, device=generator.device)
        return torch.exp(0.5 * m)
