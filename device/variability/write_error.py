"""The error that a program-and-verify loop leaves when weights are programmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vcm_sweep.device.declared import number
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability.checked import check_fields


@public
@dataclass(frozen=True)
class WriteError:
    """Error of weights that are programmed to a target (first weights, transferred weights), not by training pulses.

    A program-and-verify loop ends within a tolerance of its target. The remaining error is taken as normal and
    independent of the target, and the weight is cut to the cell's window. This is our own definition, without a
    source; it holds if the tolerance of the loop limits the result, rather than the size of the cell's last step.

    Attributes:
        sigma: standard deviation of the achieved weight, as a fraction of the window w_max - w_min, 0 to 1.
    """

    sigma: float = number(0.0, 0.0, 1.0, "window", "error of programmed weights, in parts of the window")

    def __post_init__(self) -> None:
        check_fields(self)

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """Errors in parts of the window, float32 on the generator's device.

        >>> WriteError(0.01).draw((2, 3), torch.Generator().manual_seed(1)).shape
        torch.Size([2, 3])
        """
        return self.sigma * torch.randn(tuple(shape), generator=generator, device=generator.device)
