"""Interventions in the pulses of an array: SET/RESET mismatch or speed taken from another cell at the same weight.

Of a cell at a weight w, S and R are the steps of the weight by one SET and one RESET pulse, sigma = (ln S + ln R)/2 is
its speed and mu = ln R - ln S its mismatch. Every weight has two cells: the *disturbed* one of the device, and one of
the *nominal* device, drawn from the same random numbers, which is always at the same w. One of them acts: it is pulsed
and read. Of the other, its partner, it takes either the mismatch or the speed, so that four arrays come of two rules:

| kind | acts | takes | steps at w |
|---|---|---|---|
| matched | disturbed | the mismatch | speed disturbed, mismatch nominal |
| mismatch_only | nominal | the mismatch | speed nominal, mismatch disturbed |
| speed_matched | disturbed | the speed | speed nominal, mismatch disturbed |
| speed_only | nominal | the speed | speed disturbed, mismatch nominal |

docs/physics.md has the factors on the pulses' time that do this, and what becomes of walks and errors of pulses.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .declared import NEEDED, declared, word
from .errors import DeviceError
from .public import public
from .variability import Variability

if TYPE_CHECKING:
    from .vcm_device import VCMDevice

INTERVENTIONS = ("matched", "mismatch_only", "speed_matched", "speed_only")


@public
@dataclass(frozen=True)
class Intervention:
    """Which array of the two that a factor and its absence make, and with whose mismatch and speed.

    Attributes:
        kind: one of ``INTERVENTIONS``, see above.
        nominal: the device without what is under study, of the same model, periphery and pulse rule. What both devices
            have, read noise say, stays in every kind; what only the disturbed one has is the factor's. None: the same
            device without any variability.

    Raises:
        DeviceError: another word, or (when it becomes part of a device) a nominal device that does not fit.

    Example:
        >>> from vcm_sweep.device import Spread, Variability, VCMDevice
        >>> spread = Variability(d2d={"r": Spread(0.05)})
        >>> acting, partner = roles(VCMDevice(variability=spread, intervention=Intervention("mismatch_only")))
        >>> acting.variability == Variability(), partner.variability == spread
        (True, True)
    """

    kind: str = word(
        INTERVENTIONS, "which cells act, and what they take of the others; docs/physics.md", default=NEEDED
    )
    nominal: "VCMDevice | None" = None

    def __post_init__(self) -> None:
        if problem := declared(Intervention)["kind"].problem(self.kind):
            raise DeviceError(f"intervention.kind {problem}")

    @property
    def takes_speed(self) -> bool:
        """Whether the acting cell takes its partner's speed, not its mismatch."""
        return self.kind.startswith("speed")

    def check(self, device: "VCMDevice") -> None:
        """Raise DeviceError where a device and its nominal one have no weights or pulses in common."""
        if self.nominal is not None and not isinstance(self.nominal, type(device)):
            raise DeviceError(f"intervention.nominal = {self.nominal!r} must be a VCMDevice, or None")
        nominal = self.nominal_of(device)
        if nominal.intervention is not None:
            raise DeviceError("intervention.nominal has an intervention itself: leave that one out")
        for name in ("model", "periphery", "dw_min"):
            given, own = getattr(nominal, name), getattr(device, name)
            if given != own:
                raise DeviceError(
                    f"intervention.nominal has {name} = {given!r} and the device {own!r}: weights and pulses of both "
                    "must mean the same, give them one"
                )
        for which in (device, nominal):
            if any(target.active for target in which.variability.targets.values()):
                raise DeviceError("targets of r and l have no intervention: use c2c walks, or leave intervention out")

    def nominal_of(self, device: "VCMDevice") -> "VCMDevice":
        """The nominal device of a disturbed one."""
        if self.nominal is not None:
            return self.nominal
        return dataclasses.replace(device, variability=Variability(), intervention=None)


def roles(device: "VCMDevice") -> "tuple[VCMDevice, VCMDevice | None]":
    """The device that acts and its partner, neither with an intervention; no partner where the device has none."""
    intervention = device.intervention
    if intervention is None:
        return device, None
    disturbed = dataclasses.replace(device, intervention=None)
    nominal = intervention.nominal_of(device)
    return (nominal, disturbed) if intervention.kind.endswith("only") else (disturbed, nominal)
