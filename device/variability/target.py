"""Variation from pulse to pulse as in the variability model of JART VCM v1b: motion towards random targets."""

from __future__ import annotations

from dataclasses import dataclass

from vcm_sweep.device.declared import number, word
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability.checked import check_fields
from vcm_sweep.device.variability.spread import Spread

TARGETS = ("r", "l")
"""Parameters that may have targets."""


@public
@dataclass(frozen=True)
class TargetWalk:
    """Cycle-to-cycle variation of r or l: in each pulse the value moves towards a random target.

    Targets are drawn around the cell's own value. Within a pulse the value covers the same fraction of its way to the
    target as N covers of its way to the bound, so a pulse that hardly switches the cell hardly moves it. Source:
    Bengel et al., IEEE TCAS-I 67(12) 4618 (2020), equations (21-24), for r and l alone. The paper does not say when
    new targets are drawn (its model gets them from outside), so ``renew`` is an option here.

    Attributes:
        sigma: relative standard deviation of the targets around the cell's own value, 0 (none) to 1; the distribution
            is a truncated normal.
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
        """New targets around the cells' own values ``own`` (any shape), float64 of the same shape.

        >>> target = TargetWalk(sigma=0.05).draw(torch.tensor([45e-9]), torch.Generator().manual_seed(1))
        >>> bool(40.5e-9 <= target <= 49.5e-9)
        True
        """
        u = torch.rand(own.shape, generator=generator, dtype=torch.float64, device=generator.device)
        return own.to(torch.float64) * Spread(self.sigma, self.clip).quantile(u)
