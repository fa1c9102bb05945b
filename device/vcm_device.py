"""``VCMDevice``, the description of one array of cells, and ``Intervention``, which removes one effect from it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any

from vcm_sweep.device.declared import NEEDED, declared, number, word
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.periphery import N_HIGH, N_LOW, Periphery, ReadMap
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.variability import Variability
from vcm_sweep.device.variability.checked import check_kind

EULER = ("euler", "as-published")
EULER_STEP_S = 1e-8
MOST_EULER_STEPS = 1000

INTERVENTIONS = ("matched", "mismatch_only", "speed_matched", "speed_only")


@public
@dataclass(frozen=True)
class Intervention:
    """An experiment that separates the ways in which a disturbance acts: through SET/RESET mismatch or through speed.

    There are two devices: the disturbed one and the nominal one, which lacks the disturbance. Each cell of the array
    has a partner in the other device, and takes either its mismatch or its speed from that partner.

    Attributes:
        kind: ``"matched"``: disturbed cells with the nominal mismatch; ``"mismatch_only"``: nominal cells with the
            disturbed mismatch; ``"speed_matched"`` and ``"speed_only"``: the same for speed. See docs/physics.md.
        nominal: the device without the disturbance under study, with the same model, periphery and dw_min. What both
            devices have, such as read noise, is kept in every kind. None: the same device without any variability.

    Raises:
        DeviceError: an unknown kind, or (when it becomes part of a device) a nominal device that does not fit.

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
    nominal: VCMDevice | None = None

    def __post_init__(self) -> None:
        if problem := declared(Intervention)["kind"].problem(self.kind):
            raise DeviceError(f"intervention.kind {problem}")

    @property
    def takes_speed(self) -> bool:
        """Whether the acting cell takes its partner's speed, not its mismatch."""
        return self.kind.startswith("speed")

    def check(self, device: VCMDevice) -> None:
        """Raise DeviceError if weights or pulses mean different things to a device and to its nominal one."""
        if self.nominal is not None and not isinstance(self.nominal, type(device)):
            raise DeviceError(f"intervention.nominal = {self.nominal!r} must be a VCMDevice, or None")
        nominal = self.nominal_of(device)
        if nominal.intervention is not None:
            raise DeviceError("intervention.nominal has an intervention of its own: give a nominal device without one")
        for name in ("model", "periphery", "dw_min"):
            given, own = getattr(nominal, name), getattr(device, name)
            if given != own:
                raise DeviceError(
                    f"intervention.nominal has {name} = {given!r} and the device {own!r}: weights and pulses must mean "
                    f"the same in both, give both the same {name}"
                )
        for which in (device, nominal):
            if any(target.active for target in which.variability.targets.values()):
                raise DeviceError(
                    "an intervention cannot be combined with targets of r or l: use c2c walks, or leave it out"
                )

    def nominal_of(self, device: VCMDevice) -> VCMDevice:
        """The nominal device that belongs to the disturbed ``device``."""
        if self.nominal is not None:
            return self.nominal
        return dataclasses.replace(device, variability=Variability(), intervention=None)


@lru_cache(maxsize=1024)
def _solved_window(periphery: Periphery, model: str, nominal: tuple[float, ...]) -> tuple[float, float]:
    """ln N at which a nominal cell reads the window's ends: 0.1 s for all devices with its parameters."""
    parameters = CellParameters.of_numbers(nominal)
    ends = torch.tensor([periphery.w_min, periphery.w_max], dtype=torch.float64)
    low, high = torch.log(ReadMap(periphery, model, parameters).concentration(ends)).tolist()
    return low, high


def roles(device: VCMDevice) -> tuple[VCMDevice, VCMDevice | None]:
    """The device whose cells are used and its partner, both without intervention; (device, None) if it has none."""
    intervention = device.intervention
    if intervention is None:
        return device, None
    disturbed = dataclasses.replace(device, intervention=None)
    nominal = intervention.nominal_of(device)
    return (nominal, disturbed) if intervention.kind.endswith("only") else (disturbed, nominal)


@public
@dataclass(frozen=True)
class VCMDevice:
    """The cells of an array: physics, variability, periphery and the programming pulse.

    Attributes:
        parameters: the nominal cell; floats only.
        variability: what differs from cell to cell and from pulse to pulse.
        periphery: the map between read current and weight.
        set_voltage_v, reset_voltage_v, pulse_s: voltages and length of one programming pulse.
        dw_min: nominal weight step that aihwkit's pulse rule assumes when it turns a gradient into pulses.
        model: the current model, ``"explicit"`` or ``"full"``.
        method: ``"tabulated"`` reads rates from tables where that is faster, and on a GPU; ``"direct"`` always solves
            the equations for each cell and pulse. Both are exact pulses. ``"as-published"`` takes explicit Euler steps
            of 10 ns and cuts N to its bounds after the pulse alone, as the code published with arXiv 2403.06746 does:
            a fast cell that a step takes past N_min can be thrown to N_max. ``"euler"`` takes the same steps and cuts
            N after each of them. Those two are for the explicit model without targets and interventions.
        read_path: which current an array reads at a cell's N: the ``"cell"``'s own, or that of the ``"nominal"`` cell,
            as in the published code, so that variability acts on the motion of N but not on reading. None: the
            cell's own with the full model, the nominal one with the explicit model, whose current has no parameters.
        on_invalid: what happens to a cell whose state is no longer a number: ``"record"`` counts it, ``"error"``
            raises.
        intervention: SET/RESET mismatch or speed taken from the cells of another device; None: no intervention.

    Raises:
        DeviceError: a value outside its range, a spread that carries a cell out of the model's range, or an
            intervention that does not fit.
    """

    parameters: CellParameters = field(default_factory=CellParameters)
    variability: Variability = field(default_factory=Variability)
    periphery: Periphery = field(default_factory=Periphery)
    set_voltage_v: float = number(-0.342, -2.0, -1e-3, "V", "of one SET pulse")
    reset_voltage_v: float = number(0.7065, 1e-3, 2.0, "V", "of one RESET pulse")
    pulse_s: float = number(1e-6, 1e-12, 1.0, "s", "length of one pulse")
    dw_min: float = number(1e-4, 1e-9, 10.0, "", "weight step that the pulse rule assumes")
    model: str = "explicit"
    method: str = word(
        ("tabulated", "direct", "euler", "as-published"),
        "rates from tables where that is faster, or always solved for every cell and pulse; or Euler steps of 10 ns, "
        "with N cut to its bounds after each, or as in the published code after the pulse alone",
    )
    read_path: str | None = word(
        ("cell", "nominal"), "whose current is read: the cell's own, or the nominal cell's at its N", default=None
    )
    on_invalid: str = word(
        ("record", "error"), "cells above 2000 K or faster than 5 ns are a column of the record, or end the trial"
    )
    intervention: Intervention | None = None

    def __post_init__(self) -> None:
        for name, kind in (("parameters", CellParameters), ("variability", Variability), ("periphery", Periphery)):
            check_kind(name, getattr(self, name), kind)
        current_function(self.model)
        for name, declaration in declared(VCMDevice).items():
            if problem := declaration.problem(getattr(self, name)):
                raise DeviceError(f"{name} {problem}")
        for name in CellParameters.names():
            if not isinstance(getattr(self.parameters, name), float):
                raise DeviceError(f"parameters.{name} must be one number: what differs per cell goes into variability")
        self._check_pulses()
        if self.method in EULER:
            self._check_euler()
        self._check_spreads()
        self._check_window()
        if self.intervention is not None:
            if not isinstance(self.intervention, Intervention):
                raise DeviceError(f"intervention = {self.intervention!r} must be an Intervention, or None")
            self.intervention.check(self)

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone. Cached properties are left out, so that a saved layer names no class but public ones."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def euler_steps(self) -> int:
        """Explicit Euler steps of 10 ns in a pulse, rounded as in the published code; 0 where pulses are exact."""
        return round(self.pulse_s / EULER_STEP_S) if self.method in EULER else 0

    @property
    def reads_cell(self) -> bool:
        """Whether an array reads each cell's own current, rather than the nominal cell's current at the cell's N."""
        return self.model != "explicit" if self.read_path is None else self.read_path == "cell"

    @cached_property
    def map(self) -> ReadMap:
        """Between read current and weight, calibrated on the nominal cell."""
        return ReadMap(self.periphery, self.model, self.parameters)

    @cached_property
    def window(self) -> tuple[float, float]:
        """ln N (1e26/m3) at which programming the nominal cell stops; infinite where the window is not clamped."""
        if not self.periphery.clamped:
            return -math.inf, math.inf
        if self.model == "explicit" or CellParameters.default("T_0") == self.parameters.T_0:
            return math.log(N_LOW), math.log(N_HIGH)
        # The map is calibrated at the default ambient temperature. This cell has another one and reads a different
        # current at N_LOW and N_HIGH, so the N that give w_min and w_max are solved for.
        return _solved_window(self.periphery, self.model, self.parameters.numbers())

    @property
    def log_n_range(self) -> tuple[float, float]:
        """Smallest and largest ln N (1e26/m3) that any cell of an array can reach."""
        low, high = self._widest_window()
        reach = self.variability
        return (
            max(low, math.log(reach.limits("N_min", self.parameters)[0])),
            min(high, math.log(reach.limits("N_max", self.parameters)[1])),
        )

    def _widest_window(self) -> tuple[float, float]:
        """ln N between which the window keeps every cell; infinite where each cell's own reading decides that."""
        if self.reads_cell and self.model != "explicit":
            return -math.inf, math.inf
        if not self.variability.window.active:
            return self.window
        ends = torch.tensor(self.variability.window.limits(self.periphery.w_min, self.periphery.w_max))
        low, high = torch.log(self.map.concentration(ends)).tolist()
        return low, high

    def _check_pulses(self) -> None:
        for name in ("set_voltage_v", "reset_voltage_v"):
            low, high = declared(VCMDevice)[name].low, declared(VCMDevice)[name].high
            for factor in self.variability.pulse.limits("amplitude"):
                value = getattr(self, name) * factor
                if not low <= value <= high:
                    raise DeviceError(
                        f"{name} of a pulse can be {value:g} V with its error and must be from {low:g} to {high:g} V: "
                        "lower the pulse error's amplitude or clip"
                    )

    def _check_euler(self) -> None:
        """Raise DeviceError if Euler's steps do not suit the model, the pulse or the mechanisms."""
        wanted = f"method = {self.method!r}"
        if self.model != "explicit":
            raise DeviceError(f"{wanted} is for model = 'explicit', whose published code it follows: leave it out")
        if not 1 <= self.euler_steps <= MOST_EULER_STEPS:
            raise DeviceError(
                f"{wanted} takes steps of 10 ns, and pulse_s = {self.pulse_s:g} makes {self.euler_steps} of them: give "
                f"a pulse_s from 1e-08 to {MOST_EULER_STEPS * EULER_STEP_S:g} s, or method = 'direct'"
            )
        if self.intervention is not None or any(target.active for target in self.variability.targets.values()):
            what = "an intervention" if self.intervention is not None else "targets of r and l"
            raise DeviceError(f"{wanted} cannot be combined with {what}: leave it out")

    def _check_spreads(self) -> None:
        """Raise DeviceError if spread and walk can take a parameter of any cell out of its allowed range."""
        limits = {name: self.variability.limits(name, self.parameters) for name in CellParameters.names()}
        for name in self.variability.varying(self.parameters):
            (low, high), (least, most) = limits[name], CellParameters.bounds(name)
            if low < least or high > most:
                reached, end = (low, least) if low < least else (high, most)
                room, unit = abs(end / float(getattr(self.parameters, name)) - 1), CellParameters.unit(name)
                fix = f"lower its clips to {room:.3g} in all" if room > 1e-6 else f"move {name} away from that end"
                raise DeviceError(
                    f"{name} of a cell can be {reached:.4g} {unit} with its spread and walk, and must be from "
                    f"{least:g} to {most:g}: {fix}"
                )
        for small, large in (("l", "l_cell"), ("N_min", "N_max")):
            (_, lower), (upper, _) = limits[small], limits[large]
            if not lower < upper:
                raise DeviceError(
                    f"{small} of a cell can be {lower:.4g} {CellParameters.unit(small)} and must be below its {large}, "
                    f"which can be {upper:.4g}: lower the clip of {small} or {large}"
                )

    def _check_window(self) -> None:
        if self.variability.window.active:
            if not self.periphery.clamped:
                raise DeviceError("window differs from cell to cell, but periphery.clamped = False: set it to True")
            self.variability.window.limits(self.periphery.w_min, self.periphery.w_max)
        (low, high), reach = self.window, self.variability
        low = max(low, math.log(reach.limits("N_min", self.parameters)[0]))
        if not low < min(high, math.log(reach.limits("N_max", self.parameters)[1])):
            raise DeviceError(
                f"no cell reaches the window N = {N_LOW:g}..{N_HIGH:.4g} (1e26/m3): N_min = {self.parameters.N_min:g} "
                f"must be below {N_HIGH:.4g} and N_max = {self.parameters.N_max:g} above {N_LOW:g}, with their spread"
            )
