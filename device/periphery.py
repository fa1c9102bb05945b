"""The nominal periphery: which weight a read current means.

w(I) = w_min + (w_max - w_min) (I - I_low) / (I_high - I_low), with I_low and I_high the read currents of the
nominal cell at N_low and N_high, computed with the model in use.
"""

from dataclasses import dataclass
from functools import cached_property

import torch

from .conduction import READ_EXPONENT, READ_REFERENCE_N, READ_ROOT, current, explicit_read_coefficients
from .errors import DeviceError

N_LOW, N_HIGH = 0.06, 1.98974521274400865
READ_VOLTAGE_V = 0.2


@dataclass(frozen=True)
class Periphery:
    """Map between the read current of a cell and its weight.

    Attributes:
        w_min, w_max: weights at N_low and N_high of the nominal cell.
        clamped: whether programming stops where the read current reaches w_min or w_max. False is the
            published code, in which N moves freely in [N_min, N_max].

    Example:
        >>> round(Periphery().weight(torch.tensor(0.06, dtype=torch.float64)).item(), 12)
        -1.5
    """

    w_min: float = -1.5
    w_max: float = 1.5
    clamped: bool = True

    def __post_init__(self) -> None:
        if not -100 <= self.w_min < self.w_max <= 100:
            raise DeviceError(f"w_min = {self.w_min!r} must be below w_max = {self.w_max!r}, both within -100..100")

    @cached_property
    def currents(self) -> tuple[float, float]:
        """I_low and I_high, A."""
        return current(READ_VOLTAGE_V, N_LOW).item(), current(READ_VOLTAGE_V, N_HIGH).item()

    @cached_property
    def weight_at_zero_current(self) -> float:
        """The weight that a cell without read current would have; w minus it is proportional to the current."""
        low, high = self.currents
        return self.w_min - (self.w_max - self.w_min) * low / (high - low)

    def weight(self, n: torch.Tensor) -> torch.Tensor:
        """The weight of cells at concentration ``n`` (1e26/m3), float64, same shape."""
        low, high = self.currents
        return self.w_min + (self.w_max - self.w_min) * (current(READ_VOLTAGE_V, n) - low) / (high - low)

    def concentration(self, weight: torch.Tensor) -> torch.Tensor:
        """The N (1e26/m3) at which the nominal cell reads ``weight``; the exact inverse of :meth:`weight`.

        A weight that no concentration can carry gives 0 (too low) or infinity (too high).
        """
        low, high = self.currents
        i = low + (weight.to(torch.float64) - self.w_min) / (self.w_max - self.w_min) * (high - low)
        g, h = explicit_read_coefficients(torch.tensor(READ_VOLTAGE_V, dtype=torch.float64))
        inner = ((g / i.clamp_min(1e-300)) ** READ_ROOT - 1) / h
        n = READ_REFERENCE_N * inner.clamp_min(0.0) ** (1 / READ_EXPONENT)
        return torch.where(i <= 0, torch.zeros_like(n), n)
