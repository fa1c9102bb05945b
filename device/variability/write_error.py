"""What write-verify leaves of an error when weights are programmed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vcm_sweep.device.declared import number
from vcm_sweep.device.public import public
from vcm_sweep.device.variability.checked import check_fields


@public
@dataclass(frozen=True)
class WriteError:
    """Error of the weights that are programmed at once (first weights, transferred weights), not by pulses.

    A program-and-verify loop ends within a tolerance of its target; what is left is taken as normal and independent
    of the target. The achieved weight is cut to what the cell reaches. Ours, a definition: it holds where the loop's
    tolerance, not the cell's last step, limits the result.

    Attributes:
        sigma: standard deviation of the achieved weight in parts of the window w_max - w_min, 0 to 1.
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
