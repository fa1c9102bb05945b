"""How far one pulse moves the weight of the nominal cell, and which pulse would move it as far as training needs."""

from __future__ import annotations

import math
from dataclasses import replace

from vcm_sweep.device.declared import declared
from vcm_sweep.device.dynamics.integration import integrate
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.vcm_device import VCMDevice

# Of the window: a pulse that trains moves a weight by a small part of it, and by more than next to nothing.
_LARGEST, _AIM, _SMALLEST = 1 / 20, 1 / 100, 1 / 3000
_HALVINGS = 14  # of an interval of voltages: to a tenth of a millivolt


def nominal_step(device: VCMDevice) -> tuple[float, float]:
    """How far one SET and one RESET pulse move the weight of the nominal cell, from 0 or from mid window.

    Both are above 0 where the pulse does what its name says; NaN where the model has no state after the pulse.

    >>> [round(step, 3) for step in nominal_step(VCMDevice(model="full"))]
    [0.025, 0.038]
    """
    return _step(device, device.set_voltage_v, 1.0), _step(device, device.reset_voltage_v, -1.0)


def mean_step(device: VCMDevice) -> float:
    """The geometric mean of both to four digits, for ``dw_min = "auto"``; NaN where a pulse does not do its work.

    Four digits, so that the last bits of a simulation, which differ between machines, enter no key.

    >>> mean_step(VCMDevice(model="full"))
    0.03072
    """
    up, down = nominal_step(device)
    return float(f"{math.sqrt(up * down):.4g}") if min(up, down) > 0.0 else math.nan


def _step(device: VCMDevice, voltage: float, sign: float) -> float:
    periphery, read = device.periphery, device.map
    middle = 0.0 if periphery.w_min < 0.0 < periphery.w_max else 0.5 * (periphery.w_min + periphery.w_max)
    n = read.concentration(torch.tensor([middle], dtype=torch.float64))
    after, _ = integrate(
        n, voltage, device.pulse_s, device.parameters, device.model, validity=True, on_invalid="record"
    )
    return sign * float(read.weight(after) - read.weight(n))


def fitting_pulse(device: VCMDevice) -> str:
    """A pulse that would train the nominal cell, as advice: another length, else other voltages, a search of a second.

    >>> fitting_pulse(VCMDevice(pulse_s=1e-3))
    'pulse_s = 1e-06 would do (SET 0.023, RESET 0.038 of weight)'
    """
    width = device.periphery.w_max - device.periphery.w_min
    limits = declared(VCMDevice)["pulse_s"]
    good, length = "", limits.low
    # From the shortest on, since a pulse that saturates a cell takes long to integrate.
    while length <= limits.high:
        small, large = sorted(steps := nominal_step(replace(device, pulse_s=length)))
        if math.isnan(small + large) or large > _LARGEST * width:
            break
        if small >= _SMALLEST * width:
            good = f"pulse_s = {length:g} would do (SET {steps[0]:.2g}, RESET {steps[1]:.2g} of weight)"
        length = float(f"{10 * length:.0e}")
    if good:
        return good
    voltages = []
    for name, sign in (("set_voltage_v", 1.0), ("reset_voltage_v", -1.0)):
        limits = declared(VCMDevice)[name]
        weak, strong = sorted((limits.low, limits.high), key=abs)
        for _ in range(_HALVINGS):
            middle = 0.5 * (weak + strong)
            moved = _step(device, middle, sign)
            weak, strong = (middle, strong) if moved < _AIM * width else (weak, middle)
        if not _SMALLEST * width <= _step(device, weak, sign) <= _LARGEST * width:
            return "no pulse of this length moves its weight by a hundredth of the window: take another cell"
        voltages.append(f"{name} = {weak:.3f}")
    return f"{' and '.join(voltages)} would do, each pulse a hundredth of the window"
