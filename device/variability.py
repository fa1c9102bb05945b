"""What differs from cell to cell (d2d) and from pulse to pulse (c2c).

Device to device, each cell draws its own N_max, N_min, r and l once. Cycle to cycle, the same four walk: after
every pulse p <- p (1 + direct U(-1, 1) + slope ratio U(-1, 1)), clipped to the cell's own value times
[1 - clip, 1 + clip]; ratio is the part of the way to the bound that the pulse covered. Source: arXiv 2403.06746.
"""

import math
from dataclasses import dataclass, field

import torch

from .errors import DeviceError
from .parameters import CellParameters

VARYING = ("N_max", "N_min", "r", "l")
DISTRIBUTIONS = ("truncated", "clipped")


def _check(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise DeviceError(f"{name} = {value!r} must be a number from {low:g} to {high:g}")


@dataclass(frozen=True)
class Spread:
    """Device-to-device spread of one parameter, relative to its nominal value.

    Attributes:
        sigma: relative standard deviation of the normal before the cut, 0 (none) to 10.
        clip: half-width of the allowed range relative to nominal, above 0 and below 1.
        distribution: ``"truncated"``, the proper normal within the range; or ``"clipped"``, the published
            code's, which puts every draw outside the range exactly on its end (with sigma = 1 and clip 0.3
            that is 76 % of the cells).
    """

    sigma: float = 0.0
    clip: float = 0.3
    distribution: str = "truncated"

    def __post_init__(self) -> None:
        _check("sigma", self.sigma, 0.0, 10.0)
        _check("clip", self.clip, 1e-6, 0.99)
        if self.distribution not in DISTRIBUTIONS:
            raise DeviceError(
                f"distribution = {self.distribution!r} must be one of {', '.join(map(repr, DISTRIBUTIONS))}"
            )

    def draw(self, nominal: float, count: int, generator: torch.Generator) -> torch.Tensor:
        """``count`` values around ``nominal``, (count,) float64 on the generator's device.

        >>> generator = torch.Generator().manual_seed(1)
        >>> r = Spread(sigma=0.1, clip=0.3).draw(45e-9, 1000, generator)
        >>> bool((r >= 31.5e-9).all() and (r <= 58.5e-9).all())
        True
        """
        if self.distribution == "clipped":
            normal = torch.randn(count, generator=generator, dtype=torch.float64, device=generator.device)
            relative = (self.sigma * normal).clamp(-self.clip, self.clip)
        else:
            # Inverse distribution function, exact for any cut.
            edge = math.erf(self.clip / (self.sigma * math.sqrt(2)))
            uniform = torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device)
            relative = self.sigma * math.sqrt(2) * torch.erfinv((2 * uniform - 1) * edge)
            relative = relative.clamp(-self.clip, self.clip)
        return nominal * (1 + relative)


@dataclass(frozen=True)
class Walk:
    """Cycle-to-cycle random walk of one parameter, relative steps after every pulse.

    Attributes:
        direct: amplitude s of the step that does not depend on the pulse, 0 (none) to 1.
        slope: amplitude q of the step in proportion to the way to the bound that the pulse covered, 0 to 1.
        clip: the walk stays within (1 +- clip) times the cell's own value, above 0 and below 1.
    """

    direct: float = 0.0
    slope: float = 0.0
    clip: float = 0.1

    def __post_init__(self) -> None:
        _check("direct", self.direct, 0.0, 1.0)
        _check("slope", self.slope, 0.0, 1.0)
        _check("clip", self.clip, 1e-6, 0.99)

    @property
    def active(self) -> bool:
        """Whether the parameter moves at all."""
        return self.direct > 0 or self.slope > 0


@dataclass(frozen=True)
class Mismatch:
    """SET/RESET mismatch m = change of ln(RESET/SET), per cell m = mean + sigma N(0, 1).

    The RESET rate is multiplied by e^(m/2), the SET rate by e^(-m/2).
    """

    mean: float = 0.0
    sigma: float = 0.0

    def __post_init__(self) -> None:
        _check("mean", self.mean, -5.0, 5.0)
        _check("sigma", self.sigma, 0.0, 5.0)

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """exp(m/2) of each cell, float32: (count,), or (1,) where all cells are equal."""
        if self.sigma == 0:
            return torch.full((1,), math.exp(0.5 * self.mean), dtype=torch.float32, device=generator.device)
        m = self.mean + self.sigma * torch.randn(count, generator=generator, device=generator.device)
        return torch.exp(0.5 * m)


@dataclass(frozen=True)
class Variability:
    """All that varies in an array, and how a read scatters.

    Attributes:
        d2d, c2c: by parameter name, of N_max, N_min, r and l; a missing name does not vary.
        mismatch: of the SET and RESET rates.
        read_noise: standard deviation of a cell's read current relative to that current, fresh for every
            vector of the forward and the backward pass, 0 to 1.
    """

    d2d: dict[str, Spread] = field(default_factory=dict)
    c2c: dict[str, Walk] = field(default_factory=dict)
    mismatch: Mismatch = field(default_factory=Mismatch)
    read_noise: float = 0.0

    def __post_init__(self) -> None:
        for kind, entries in (("d2d", self.d2d), ("c2c", self.c2c)):
            for name in entries:
                if name not in VARYING:
                    raise DeviceError(f"{kind}.{name}: one of {', '.join(VARYING)} can vary")
        _check("read_noise", self.read_noise, 0.0, 1.0)

    def limits(self, name: str, parameters: CellParameters) -> tuple[float, float]:
        """Smallest and largest value that any cell can reach over its life."""
        low = high = float(getattr(parameters, name))
        if name in self.d2d and self.d2d[name].sigma > 0:
            low, high = low * (1 - self.d2d[name].clip), high * (1 + self.d2d[name].clip)
        if name in self.c2c and self.c2c[name].active:
            low, high = low * (1 - self.c2c[name].clip), high * (1 + self.c2c[name].clip)
        return low, high
