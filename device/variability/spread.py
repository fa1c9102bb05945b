"""The spread of a quantity from cell to cell: a distribution around the nominal value, cut on both sides."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vcm_sweep.device.declared import number, word
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability.checked import check_fields


@public
@dataclass(frozen=True)
class Spread:
    """Device-to-device spread of one quantity, relative to its nominal value.

    Each cell draws its own value once, when the array is made. Every field of ``CellParameters`` can spread, and
    the ends of the conductance window. Source: arXiv 2403.06746 for N_max, N_min, r and l, with the distribution
    ``"clipped"``. The default is a truncated normal, since a real filament has no reason to sit exactly on a bound.

    Attributes:
        sigma: relative standard deviation before the cut, 0 (no spread) to 10; for the lognormal that of ln(value).
        clip: half-width of the allowed range relative to nominal, above 0 and below 1.
        distribution: ``"truncated"``: a normal cut at the ends of the range; ``"clipped"``: that of the published
            code, which moves every draw outside the range to its end (with sigma = 1 and clip 0.3, 76 % of the cells);
            ``"lognormal"``: with its median at the nominal value, cut at the ends of the range; ``"uniform"``: with
            standard deviation sigma; its half-width sqrt(3) sigma must not exceed clip.

    Raises:
        DeviceError: a value outside its range.
    """

    sigma: float = number(0.0, 0.0, 10.0, "relative", "spread of X from cell to cell")
    clip: float = number(0.3, 1e-6, 0.99, "relative", "half-width of the range in which every cell stays")
    distribution: str = word(
        ("truncated", "clipped", "lognormal", "uniform"), "of the cells; clipped puts what lies outside on the ends"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        widest = self.clip / math.sqrt(3)
        if self.distribution == "uniform" and self.sigma > widest * (1 + 1e-12):
            raise DeviceError(
                f"Spread.sigma = {self.sigma:g} of a uniform spread must be at most clip / sqrt(3) = {widest:.4g}: "
                "lower sigma or raise clip"
            )

    def quantile(self, u: torch.Tensor) -> torch.Tensor:
        """Factors on the nominal value, float64, at the probabilities ``u`` (any shape) in [0, 1].

        >>> Spread(sigma=0.1).quantile(torch.tensor([0.0, 0.5, 1.0]))
        tensor([0.7000, 1.0000, 1.3000], dtype=torch.float64)
        """
        u = u.to(torch.float64)
        if self.sigma == 0:
            return torch.ones_like(u)
        return self._factor(u).clamp(1 - self.clip, 1 + self.clip)

    def _factor(self, u: torch.Tensor) -> torch.Tensor:
        if self.distribution == "uniform":
            return 1 + math.sqrt(3) * self.sigma * (2 * u - 1)
        if self.distribution == "clipped":
            shift: torch.Tensor = self.sigma * torch.special.ndtri(u)
            return 1 + shift
        if self.distribution == "lognormal":
            low, high = (_normal_cdf(math.log1p(end) / self.sigma) for end in (-self.clip, self.clip))
            return torch.exp(self.sigma * torch.special.ndtri(low + (high - low) * u))
        edge = math.erf(self.clip / (self.sigma * math.sqrt(2)))
        return 1 + self.sigma * math.sqrt(2) * torch.erfinv((2 * u - 1) * edge)

    def draw(self, nominal: float, count: int, generator: torch.Generator) -> torch.Tensor:
        """``count`` values around ``nominal``, (count,) float64 on the generator's device.

        >>> generator = torch.Generator().manual_seed(1)
        >>> r = Spread(sigma=0.1, clip=0.3).draw(45e-9, 1000, generator)
        >>> bool((r >= 31.5e-9).all() and (r <= 58.5e-9).all())
        True
        """
        u = torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device)
        return nominal * self.quantile(u)


def _normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))
