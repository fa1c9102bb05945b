"""Random telegraph noise of the read current."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vcm_sweep.device.declared import number
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability.checked import check_fields


@public
@dataclass(frozen=True)
class TelegraphNoise:
    """A trap beside the filament that is filled or empty: the read current jumps between two values.

    Filled and empty are equally likely, so a cell with a trap reads I (1 - A/2) or I (1 + A/2) and its mean stays I.
    A = amplitude (I / I_high)^(-state_exponent), at most 1: a thin or depleted filament is hindered more by one
    trap, so A grows towards the high-resistance state. Source: Ielmini, Nardi, Cagli, Appl. Phys. Lett. 96, 053503
    (2010), who find this growth with the resistance, and a saturation; they and Ambrogio et al., IEEE TED 62, 3805
    (2015), explain it by the size of the filament. All numbers differ between materials and traps, so there are no
    typical defaults.

    Attributes:
        amplitude: Delta I / I at I_high, 0 (none) to 1.
        fraction: share of the cells that have a trap, 0 to 1.
        switching: probability that a trap changes its state from one batch to the next, 0 to 1.
        state_exponent: growth of the relative amplitude towards low currents, 0 (none) to 3.
    """

    amplitude: float = number(0.0, 0.0, 1.0, "relative", "jump of the read current by a trap")
    fraction: float = number(1.0, 0.0, 1.0, "", "share of the cells that have a trap")
    switching: float = number(0.01, 0.0, 1.0, "", "probability that a trap changes its state from batch to batch")
    state_exponent: float = number(0.0, 0.0, 3.0, "", "growth of the relative jump towards low currents")

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def active(self) -> bool:
        """Whether any cell's current jumps."""
        return self.amplitude > 0 and self.fraction > 0

    def start(self, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
        """The traps of cells of any shape, int8 on the generator's device: -1 filled, +1 empty, 0 no trap."""
        u = torch.rand(tuple(shape), generator=generator, device=generator.device)
        # One random number per cell decides both whether it has a trap and whether the trap starts filled.
        return (u < self.fraction).to(torch.int8) * torch.where(u < 0.5 * self.fraction, -1, 1).to(torch.int8)

    def step(self, state: torch.Tensor, generator: torch.Generator) -> None:
        """Advance the traps by one batch, in place."""
        flips = torch.rand(state.shape, generator=generator, device=generator.device) < self.switching
        state.mul_(1 - 2 * flips.to(torch.int8))

    def relative(self, state: torch.Tensor, current_ratio: torch.Tensor | None = None) -> torch.Tensor:
        """The present deviation in parts of the read current, float32 of the state's shape.

        Args:
            state: the traps, as :meth:`start` gives them.
            current_ratio: I / I_high of each cell; None: all cells are at I_high.

        Example:
            >>> noise = TelegraphNoise(amplitude=0.2, state_exponent=1.0)
            >>> noise.relative(torch.tensor([-1, 0, 1]), torch.tensor([1.0, 1.0, 0.5])).tolist()
            [-0.1..., 0.0, 0.2...]
        """
        if current_ratio is None or self.state_exponent == 0:
            return 0.5 * self.amplitude * state.float()
        depth = self.amplitude * current_ratio.float().clamp_min(1e-12) ** -self.state_exponent
        return 0.5 * depth.clamp_max(1.0) * state.float()
