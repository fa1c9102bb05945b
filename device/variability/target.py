"""What moves from pulse to pulse, the way of the variability model of JART VCM v1b: towards drawn targets."""

from dataclasses import dataclass

import torch

from vcm_sweep.device.declared import number, word
from vcm_sweep.device.public import public
from vcm_sweep.device.variability.checked import check_fields
from vcm_sweep.device.variability.spread import Spread

TARGETS = ("r", "l")
"""Parameters that may have targets."""


@public
@dataclass(frozen=True)
class TargetWalk:
    """Cycle-to-cycle variation of r or l: in each pulse the value moves towards a target drawn for it.

    Targets are drawn around the cell's own value; within a pulse the value covers the same part of its way to the
    target as N of its way to the bound, so a pulse that hardly switches hardly moves it. Source: Bengel et al.,
    IEEE TCAS-I 67(12) 4618 (2020), equations (21-24). The source draws targets outside the model, so ``renew`` is
    an option; it holds for r and l alone.

    Attributes:
        sigma: standard deviation of the targets relative to the cell's own value, a truncated normal, 0 (none) to 1.
        clip: targets lie within (1 +- clip) times the cell's own value, above 0 and below 1.
        renew: a new target for every ``"pulse"``, or whenever the ``"polarity"`` changes.
    """

    sigma: float = number(0.0, 0.0, 1.0, "relative", "spread of the targets to which X moves during pulses")
    clip: float = number(0.1, 1e-6, 0.99, "relative", "targets lie within so much of the cell's own value")
    renew: str = word(("pulse", "polarity"), "when a new target is drawn: every pulse, or when the polarity changes")

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def active(self) -> bool:
        """Whether the parameter moves at all."""
        return self.sigma > 0

    def draw(self, own: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """New targets around the cells' own values ``own`` (any shape), float64.

        >>> target = TargetWalk(sigma=0.05).draw(torch.tensor([45e-9]), torch.Generator().manual_seed(1))
        >>> bool(40.5e-9 <= target <= 49.5e-9)
        True
        """
        u = torch.rand(own.shape, generator=generator, dtype=torch.float64, device=generator.device)
        return own.to(torch.float64) * Spread(self.sigma, self.clip).quantile(u)
