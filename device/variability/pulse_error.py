"""Errors of the programming pulses: voltage and length that differ from pulse to pulse."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vcm_sweep.device.declared import number
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability.checked import check_fields


@public
@dataclass(frozen=True)
class PulseError:
    """Errors of each pulse's voltage and length: truncated normals, drawn anew for every pulse and cell.

    They come from drivers and lines, not from the cell. What a pulse moves is proportional to its length but
    exponential in its voltage, so the amplitude matters more. This is our own definition, without a source; it holds
    if the errors of pulses are independent, so it does not describe a slow drift of the supply.

    Attributes:
        amplitude: standard deviation of the voltage relative to its nominal value, 0 (none) to 0.3.
        width: standard deviation of the length relative to its nominal value, 0 (none) to 0.3.
        clip: errors stay within this many standard deviations, 0.1 to 8; the largest error must be at most 0.99.

    Raises:
        DeviceError: a value outside its range, or an error so large that it could change the sign of a pulse.
    """

    amplitude: float = number(0.0, 0.0, 0.3, "relative", "error of each pulse's voltage")
    width: float = number(0.0, 0.0, 0.3, "relative", "error of each pulse's length")
    clip: float = number(3.0, 0.1, 8.0, "sigma", "errors stay within so many standard deviations")

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("amplitude", "width"):
            largest = getattr(self, name) * self.clip
            if largest > 0.99:
                raise DeviceError(f"PulseError.{name} * clip = {largest:g} must be at most 0.99: lower {name} or clip")

    @property
    def active(self) -> bool:
        """Whether pulses differ at all."""
        return self.amplitude > 0 or self.width > 0

    def limits(self, name: str) -> tuple[float, float]:
        """Smallest and largest factor on the ``"amplitude"`` or the ``"width"``.

        >>> PulseError(amplitude=0.01).limits("amplitude")
        (0.97, 1.03)
        """
        half = self.clip * float(getattr(self, name))
        return 1 - half, 1 + half

    def draw(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors on voltage and length of ``count`` pulses, (count,) float64 each."""
        u = torch.rand((2, count), generator=generator, dtype=torch.float64, device=generator.device)
        normal = math.sqrt(2) * torch.erfinv((2 * u - 1) * math.erf(self.clip / math.sqrt(2)))
        normal = normal.clamp(-self.clip, self.clip)
        return 1 + self.amplitude * normal[0], 1 + self.width * normal[1]
