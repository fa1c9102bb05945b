"""The cells of an array as one specification; torch alone, no aihwkit."""

import math
from dataclasses import dataclass, field

import torch

from .conduction import current_function
from .errors import DeviceError
from .parameters import CellParameters
from .periphery import N_HIGH, N_LOW, Periphery
from .variability import Variability


@dataclass(frozen=True)
class VCMDevice:
    """The cells of an array: physics, spread, periphery and the programming pulse.

    Attributes:
        parameters: of the nominal cell; floats only.
        variability: what differs from cell to cell and from pulse to pulse.
        periphery: the map between read current and weight.
        set_voltage_v, reset_voltage_v, pulse_s: of one programming pulse.
        dw_min: nominal weight step that aihwkit's pulse rule assumes when it turns a gradient into pulses.
        model: of the current, ``"explicit"``.
    """

    parameters: CellParameters = field(default_factory=CellParameters)
    variability: Variability = field(default_factory=Variability)
    periphery: Periphery = field(default_factory=Periphery)
    set_voltage_v: float = -0.342
    reset_voltage_v: float = 0.7065
    pulse_s: float = 1e-6
    dw_min: float = 1e-4
    model: str = "explicit"

    def __post_init__(self) -> None:
        current_function(self.model)
        for name in CellParameters.names():
            if isinstance(getattr(self.parameters, name), torch.Tensor):
                raise DeviceError(f"parameters.{name} must be one number: what differs per cell goes into variability")
        for name, low, high in (
            ("set_voltage_v", -2.0, -1e-3),
            ("reset_voltage_v", 1e-3, 2.0),
            ("pulse_s", 1e-12, 1.0),
            ("dw_min", 1e-9, 10.0),
        ):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not low <= value <= high:
                raise DeviceError(f"{name} = {value!r} must be a number from {low:g} to {high:g}")
        low, high = self.log_n_range
        if not low < high:
            raise DeviceError(
                f"no cell reaches the window N = {N_LOW:g}..{N_HIGH:.4g} (1e26/m3): N_min = {self.parameters.N_min:g} "
                f"must be below {N_HIGH:.4g} and N_max = {self.parameters.N_max:g} above {N_LOW:g}, with their spread"
            )

    @property
    def window(self) -> tuple[float, float]:
        """ln N (1e26/m3) at which programming stops; infinite where the window is not clamped."""
        if not self.periphery.clamped:
            return -math.inf, math.inf
        return math.log(N_LOW), math.log(N_HIGH)

    @property
    def log_n_range(self) -> tuple[float, float]:
        """Smallest and largest ln N (1e26/m3) that any cell of an array can reach."""
        low, high = self.window
        reach = self.variability
        return (
            max(low, math.log(reach.limits("N_min", self.parameters)[0])),
            min(high, math.log(reach.limits("N_max", self.parameters)[1])),
        )
