"""``Variability``: all mechanisms of one array together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.public import public
from vcm_sweep.device.variability.checked import check_kind
from vcm_sweep.device.variability.correlation import Correlation
from vcm_sweep.device.variability.mismatch import Mismatch
from vcm_sweep.device.variability.pulse_error import PulseError
from vcm_sweep.device.variability.read_noise import ReadNoise
from vcm_sweep.device.variability.spread import Spread
from vcm_sweep.device.variability.stuck import StuckCells
from vcm_sweep.device.variability.target import TARGETS, TargetWalk
from vcm_sweep.device.variability.telegraph import TelegraphNoise
from vcm_sweep.device.variability.walk import VARYING, Walk
from vcm_sweep.device.variability.window import Window
from vcm_sweep.device.variability.write_error import WriteError

_ALONE: dict[str, type] = {
    "mismatch": Mismatch,
    "window": Window,
    "read_noise": ReadNoise,
    "telegraph": TelegraphNoise,
    "write": WriteError,
    "stuck": StuckCells,
    "pulse": PulseError,
}


@public
@dataclass(frozen=True)
class Variability:
    """All that differs from cell to cell, from pulse to pulse and from read to read. By default nothing varies.

    Attributes:
        d2d: spread from cell to cell, by the name of any cell parameter.
        correlation: between the parameters in d2d; None: they are independent.
        c2c: bounded random walk of N_max, N_min, r or l, by name.
        targets: variation of r or l towards targets, by name; not together with a walk of the same parameter.
        mismatch: between the SET and RESET rates.
        window: ends of the conductance window that differ from cell to cell.
        read_noise: white and 1/f noise of the read current; a plain number is taken as the sigma of its white part.
        telegraph: random telegraph noise of the read current.
        write: error of weights that are programmed at once, without training pulses.
        stuck: cells that no pulse moves.
        pulse: error of the programming pulses.

    Raises:
        DeviceError: a parameter that cannot vary in that way, or a value of the wrong class.

    Example:
        >>> varied = Variability(d2d={"r": Spread(0.05)}, c2c={"r": Walk(0.01, clip=0.1)}, read_noise=0.02)
        >>> varied.read_noise.sigma, varied.varying(CellParameters())
        (0.02, ('r',))
    """

    d2d: Mapping[str, Spread] = field(default_factory=dict)
    correlation: Correlation | None = None
    c2c: Mapping[str, Walk] = field(default_factory=dict)
    targets: Mapping[str, TargetWalk] = field(default_factory=dict)
    mismatch: Mismatch = Mismatch()
    window: Window = Window()
    read_noise: ReadNoise = ReadNoise()
    telegraph: TelegraphNoise = TelegraphNoise()
    write: WriteError = WriteError()
    stuck: StuckCells = StuckCells()
    pulse: PulseError = PulseError()

    def __post_init__(self) -> None:
        if isinstance(self.read_noise, (int, float)):
            object.__setattr__(self, "read_noise", ReadNoise(self.read_noise))
        for attribute, kind in _ALONE.items():
            check_kind(attribute, getattr(self, attribute), kind)
        if self.correlation is not None:
            check_kind("correlation", self.correlation, Correlation)
        by_name: tuple[tuple[str, type, tuple[str, ...]], ...] = (
            ("d2d", Spread, tuple(CellParameters.names())), ("c2c", Walk, VARYING), ("targets", TargetWalk, TARGETS),
        )  # fmt: skip
        for attribute, kind, known in by_name:
            for name, value in getattr(self, attribute).items():
                if name not in known:
                    raise DeviceError(f"{attribute}.{name} is unknown: only {', '.join(known)} can vary this way")
                check_kind(f"{attribute}.{name}", value, kind)
        for name, target in self.targets.items():
            if target.active and name in self.c2c and self.c2c[name].active:
                raise DeviceError(f"{name} has both a random walk (c2c) and targets: keep one")

    @property
    def slow_reads(self) -> bool:
        """Whether reads have noise that is constant within a batch: telegraph or 1/f noise."""
        return self.telegraph.active or self.read_noise.flicker > 0

    def limits(self, name: str, parameters: CellParameters) -> tuple[float, float]:
        """Smallest and largest value that a parameter can have in any cell at any time."""
        low = high = float(getattr(parameters, name))
        for mechanism in self._of(name):
            low, high = low * (1 - mechanism.clip), high * (1 + mechanism.clip)
        return low, high

    def varying(self, parameters: CellParameters) -> tuple[str, ...]:
        """Names of the parameters that differ between cells or pulses, in CellParameters' order."""
        return tuple(name for name in parameters.names() if self._of(name))

    def _of(self, name: str) -> list[Spread | Walk | TargetWalk]:
        """The active mechanisms of a parameter."""
        found: list[Spread | Walk | TargetWalk] = []
        if name in self.d2d and self.d2d[name].sigma > 0:
            found.append(self.d2d[name])
        if name in self.c2c and self.c2c[name].active:
            found.append(self.c2c[name])
        if name in self.targets and self.targets[name].active:
            found.append(self.targets[name])
        return found
