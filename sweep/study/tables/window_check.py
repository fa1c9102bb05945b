"""Checks that a device can be trained: one pulse must not carry its nominal cell across the whole window."""

import math
from typing import Any

import torch

from vcm_sweep.device.dynamics.integration import integrate
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.cell import rate
from vcm_sweep.device.tables.jumps import refuse_nominal_jumps
from vcm_sweep.device.vcm_device import VCMDevice
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.tables.aihwkit_device import check_compiled
from vcm_sweep.sweep.study.tables.build_device import aihwkit_config, build_device
from vcm_sweep.sweep.study.tables.device import is_physical


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
        if share > 0.9:
            raise DeviceError(
                f"one {what.upper()} pulse of pulse_s = {device.pulse_s:g} s at {what}_voltage_v = {voltage:g} V "
                f"crosses {min(share, 1):.0%} of the nominal cell's window and saturates every cell: "
                "shorten the pulse or lower the voltage"
            )


def _nominal_window(device: VCMDevice) -> tuple[float, float]:
    """Lowest and highest N of the nominal cell: the ends of its window, but never beyond N_min and N_max."""
    low, high = (math.exp(x) for x in device.window)
    nominal = device.parameters
    return max(low, float(nominal.N_min)), min(high, float(nominal.N_max))
