"""Checks that a device can be trained: one pulse must not carry its nominal cell across the whole window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vcm_sweep.device.dynamics.integration import integrate
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.cell import rate
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.tables.jumps import refuse_nominal_jumps
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.vcm_device import VCMDevice
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.tables.aihwkit_device import check_compiled
from vcm_sweep.sweep.study.tables.build_device import aihwkit_config, build_device
from vcm_sweep.sweep.study.tables.device import is_physical
from vcm_sweep.sweep.study.tables.nominal_step import fitting_pulse

_SATURATED = 0.9  # the share of its window through which one pulse may carry a nominal cell
_NODES = 257


def check_device(plain: dict[str, Any]) -> None:
    """Raise StudyError if the cells of a canonical [device] table cannot be trained; simulates a few pulses.

    For a device of aihwkit's own, it checks that aihwkit can make it.
    """
    if not is_physical(plain):
        check_compiled(aihwkit_config(plain))
        return
    if "intervention" in plain:
        try:
            check_device(plain["intervention"]["nominal"])
        except StudyError as error:
            raise StudyError(f"intervention.nominal: {error}") from None
    try:
        check_window(build_device(plain))
    except DeviceError as error:
        raise StudyError(f"[device] {error}") from None


def check_window(device: VCMDevice) -> None:
    """Raise DeviceError if one pulse carries the nominal cell across its whole window, or out of the model.

    Such a cell has only two states, or one, and cannot be trained at any learning rate.
    """
    refuse_nominal_jumps(device)
    low, high = _nominal_window(device)
    nominal = device.parameters
    for what, start, voltage in (("set", low, device.set_voltage_v), ("reset", high, device.reset_voltage_v)):
        n = torch.tensor([start], dtype=torch.float64)
        if bool(torch.isnan(rate(voltage, n, nominal, device.model, validity=True)[0])):
            raise DeviceError(
                f"{what}_voltage_v = {voltage:g} V takes the nominal cell at N = {start:.3g} (1e26/m3) out of the "
                "hopping model (|gamma| >= 1, or a temperature not above 0 K), so that it has no rate: lower the "
                "voltage, or bring the cell's parameters nearer to the default cell's"
            )
        # A cell that leaves the model later in the pulse is not refused here: the device's on_invalid decides on it.
        end, _ = integrate(n, voltage, device.pulse_s, nominal, device.model, validity=True, on_invalid="record")
        after = float(end[0])
        share = abs(after - start) / (high - low)
        if share > _SATURATED:
            raise DeviceError(
                f"one {what.upper()} pulse of pulse_s = {device.pulse_s:g} s at {what}_voltage_v = {voltage:g} V "
                f"crosses {min(share, 1):.0%} of the nominal cell's window and saturates every cell: "
                f"shorten the pulse or lower the voltage; {fitting_pulse(device)}"
            )


def window_pulses(devices: Sequence[VCMDevice]) -> torch.Tensor:
    """Pulses that carry each nominal cell through 90 % of its window from its start there; below 1 it saturates.

    The time is an integral over the way, so it takes milliseconds for many devices, avalanches included; where the
    hopping model has no rate it counts as 0.

    Args:
        devices: n devices of one model.

    Returns:
        (n, 2) float64, of SET and RESET; infinite where a cell cannot go all the way.

    >>> [round(pulses) for pulses in window_pulses([VCMDevice(pulse_s=1e-5)])[0].tolist()]
    [790, 474]
    """
    low, high = torch.tensor([_nominal_window(device) for device in devices]).double().unbind(1)
    far = _SATURATED * (high - low)
    set_s = _way_s(devices, "set_voltage_v", low, low + far)
    reset_s = _way_s(devices, "reset_voltage_v", high, high - far)
    return torch.stack([set_s, reset_s], 1) / torch.tensor([[device.pulse_s] for device in devices]).double()


def _way_s(devices: Sequence[VCMDevice], pulse: str, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Seconds that each nominal cell takes from one N to another at the voltage of its pulse, (n,)."""

    def flat(values: Sequence[Any]) -> torch.Tensor:
        return torch.tensor([float(value) for value in values]).double().repeat_interleave(_NODES)

    x = torch.lerp(start.log()[:, None], end.log()[:, None], torch.linspace(0, 1, _NODES, dtype=torch.float64))
    own = {name: flat([getattr(device.parameters, name) for device in devices]) for name in CellParameters.names()}
    cells = devices[0].parameters.replace_unchecked(**own)
    volts = flat([getattr(device, pulse) for device in devices])
    speed = rate(volts, torch.exp(x).flatten(), cells, devices[0].model, validity=True)[0].abs().view_as(x)
    # Of the integrand N / speed over ln N straight pieces of its logarithm are integrated, for it spans decades.
    log_s = torch.where(speed.isnan(), -torch.inf, x - torch.log(speed))
    largest, fall = torch.maximum(log_s[:, 1:], log_s[:, :-1]), log_s.diff(dim=1).abs()
    mean = torch.where(fall < 1e-6, 1.0, -torch.expm1(-fall) / fall)
    pieces = torch.where(fall.isfinite(), torch.exp(largest) * mean, torch.where(largest == torch.inf, torch.inf, 0.0))
    return (pieces * x.diff(dim=1).abs()).sum(1)


def _nominal_window(device: VCMDevice) -> tuple[float, float]:
    """Lowest and highest N of the nominal cell: the ends of its window, but never beyond N_min and N_max."""
    low, high = (math.exp(x) for x in device.window)
    nominal = device.parameters
    return max(low, float(nominal.N_min)), min(high, float(nominal.N_max))
