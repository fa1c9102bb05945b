"""The nominal periphery: the map from a cell's read current to a weight.

w(I) = w_min + (w_max - w_min) (I - I_low) / (I_high - I_low), with I_low and I_high the read currents of the
nominal cell at N_low and N_high and the nominal ambient temperature, computed with the model in use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from vcm_sweep.device.declared import flag, number
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.explicit_current import (
    READ_EXPONENT,
    READ_REFERENCE_N,
    READ_ROOT,
    explicit_read_coefficients,
)
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch

N_LOW, N_HIGH = 0.06, 1.98974521274400865  # 1e26/m3, the ends of the published device's window (arXiv 2403.06746)


@public
@dataclass(frozen=True)
class Periphery:
    """The window of weights that the periphery maps the nominal cell's read currents to.

    Attributes:
        w_min, w_max: weights at N_low and N_high of the nominal cell.
        clamped: whether programming stops where the read current reaches w_min or w_max. False is the
            published code, in which N moves freely in [N_min, N_max].
    """

    w_min: float = number(-1.5, -100, 100, "", "weight at the low end of the nominal cell's window")
    w_max: float = number(1.5, -100, 100, "", "weight at the high end of the nominal cell's window")
    clamped: bool = flag("programming stops at these weights; false: N moves freely, as in the published code", True)

    def __post_init__(self) -> None:
        if not -100 <= self.w_min < self.w_max <= 100:
            raise DeviceError(f"w_min = {self.w_min!r} must be below w_max = {self.w_max!r}, both within -100..100")


MAPPINGS: Mapping[str, Periphery] = {
    "as-described": Periphery(),
    "as-published": Periphery(-0.6, 0.6, clamped=False),
}
"""The map of arXiv 2403.06746: as its text describes it, and as its published code ran. That code sets the range of
weights on another level than it is read from: cells keep +-0.6, their default, and bounds for +-1.5 lie outside of any
current that a cell can carry, so that nothing stops N between N_min and N_max."""


@dataclass(frozen=True)
class ReadMap:
    """Map between read currents and weights, calibrated on a nominal cell.

    Attributes:
        periphery: the window of weights.
        model: the current model, ``"explicit"`` or ``"full"``.
        nominal: the cell on which the map is calibrated. Its ambient temperature is ignored: the calibration is
            always at the default 293 K.

    Example:
        >>> round(ReadMap().weight(torch.tensor(0.06, dtype=torch.float64)).item(), 12)
        -1.5
        >>> thin = CellParameters(r=40.5e-9)
        >>> round(ReadMap(model="full").weight(torch.tensor(0.06, dtype=torch.float64), thin).item(), 2)
        -1.61
    """

    periphery: Periphery = field(default_factory=Periphery)
    model: str = "explicit"
    nominal: CellParameters = field(default_factory=CellParameters)

    @cached_property
    def currents(self) -> tuple[float, float]:
        """I_low and I_high, A."""
        calibration = self.nominal.replace_unchecked(T_0=CellParameters.default("T_0"))
        return _end_currents(self.model, calibration.numbers())

    @cached_property
    def line(self) -> tuple[float, float]:
        """The map as a straight line: (weight at zero read current, weight per A)."""
        low, high = self.currents
        slope = (self.periphery.w_max - self.periphery.w_min) / (high - low)
        return self.periphery.w_min - slope * low, slope

    def _current(self, n: torch.Tensor, cells: CellParameters) -> torch.Tensor:
        return current_function(self.model)(torch.full_like(n, READ_VOLTAGE_V), n, cells)

    def weight(self, n: torch.Tensor, cells: CellParameters | None = None) -> torch.Tensor:
        """The weight that ``cells`` (default: the nominal cell) read at ``n`` (1e26/m3); float64, broadcast shape."""
        dark, slope = self.line
        return dark + slope * self._current(n, cells or self.nominal)

    def concentration(self, weight: torch.Tensor) -> torch.Tensor:
        """The N (1e26/m3) at which the nominal cell reads ``weight``; the inverse of :meth:`weight`.

        A weight that no concentration can carry gives 0 (too low) or infinity (too high).
        """
        dark, slope = self.line
        i = (weight.to(torch.float64) - dark) / slope
        if self.model == "explicit":
            g, h = explicit_read_coefficients(torch.tensor(READ_VOLTAGE_V, dtype=torch.float64))
            inner = ((g / i.clamp_min(1e-300)) ** READ_ROOT - 1) / h
            n = READ_REFERENCE_N * inner.clamp_min(0.0) ** (1 / READ_EXPONENT)
            return torch.where(i <= 0, torch.zeros_like(n), n)
        low, high = (torch.full_like(i, math.log(end)) for end in (1e-4, 1100.0))
        inside = (i > self._current(torch.exp(low), self.nominal)) & (i < self._current(torch.exp(high), self.nominal))
        for _ in range(60):
            middle = 0.5 * (low + high)
            below = self._current(torch.exp(middle), self.nominal) < i
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        outside = torch.where(i > self.currents[0], torch.inf, 0.0).to(i)
        return torch.where(inside, torch.exp(0.5 * (low + high)), outside)


@lru_cache(maxsize=256)
def _end_currents(model: str, cell: tuple[float, ...]) -> tuple[float, float]:
    """Read currents at N_low and N_high, A; cached, for trials and layers often share their nominal cell."""
    n = torch.tensor([N_LOW, N_HIGH], dtype=torch.float64)
    low, high = current_function(model)(torch.full_like(n, READ_VOLTAGE_V), n, CellParameters.of_numbers(cell)).tolist()
    return low, high
