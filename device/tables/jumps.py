"""Refuses cells whose current jumps as N changes.

The equation of the current can have three roots (full_current.py). At the N where they become one, the physical branch
ends and the current drops to the other one. This does not happen with the default barrier, but can with others. A cell
that jumps inside its window cannot serve as a weight: it cannot take the readings in between, and its rate jumps too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import product

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.torch_later import torch
from vcm_sweep.device.vcm_device import VCMDevice

_STEEPEST = 3.0  # a slope |d ln I / d ln N| above this is suspicious: on a branch it is below 2
_SMALLEST = 0.05  # a smaller change of ln I is not counted as a jump


def refuse_jumps(
    voltage_v: float, x: torch.Tensor, log_i: torch.Tensor, solve: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> None:
    """Raise DeviceError where ln|I| jumps between neighbours of ``x``.

    Args:
        x, log_i: ln N, rising along the first axis, and ln|I| there; (X, P).
        solve: ln|I| at (1, n) values of ln N, for the columns (n,) of the second argument.
    """
    gap, step = log_i.diff(dim=0).abs(), x.diff(dim=0)
    suspect = (gap > _SMALLEST + _STEEPEST * step).nonzero()
    if len(suspect) == 0:
        return
    row, column = suspect[:, 0], suspect[:, 1]
    low, high = x[row, column], x[row + 1, column]
    at_low, at_high = log_i[row, column], log_i[row + 1, column]
    for _ in range(24):  # halve the step to 1e-9 of ln N: a change of ln I that is still there is not a slope
        middle = 0.5 * (low + high)
        value = solve(middle[None], column)[0]
        first = (value - at_low).abs() > (at_high - value).abs()
        low, at_low = torch.where(first, low, middle), torch.where(first, at_low, value)
        high, at_high = torch.where(first, middle, high), torch.where(first, value, at_high)
    jump = (at_high - at_low).abs()
    if not bool((jump > _SMALLEST).any()):
        return
    worst = int(jump.argmax())
    raise DeviceError(
        f"the current at {voltage_v:g} V jumps by a factor {math.exp(float(jump[worst])):.3g} at N = "
        f"{math.exp(float(low[worst])):.4g} (1e26/m3), inside the window, where a weight must change smoothly: move "
        "phi_Bn0 or phi_n towards their defaults, 0.18 and 0.1 eV, or narrow their spread"
    )


def refuse_nominal_jumps(device: VCMDevice) -> None:
    """:func:`refuse_jumps` for the nominal cell of a device, over its window, at the read voltage and both pulses.

    >>> refuse_nominal_jumps(VCMDevice(model="full"))
    """
    _refuse_jumps_of(device, device.parameters)


def refuse_jumps_of_spreads(device: VCMDevice) -> None:
    """:func:`refuse_nominal_jumps` for cells at the ends of the spreads of phi_Bn0 and phi_n, which make jumps.

    >>> refuse_jumps_of_spreads(VCMDevice(model="full"))
    """
    nominal, variability = device.parameters, device.variability
    names = [name for name in ("phi_Bn0", "phi_n") if name in variability.varying(nominal)]
    for values in product(*(variability.limits(name, nominal) for name in names)):
        _refuse_jumps_of(device, nominal.replace_unchecked(**dict(zip(names, values, strict=True))))


def _refuse_jumps_of(device: VCMDevice, cell: CellParameters) -> None:
    if device.model != "full":
        return
    low, high = device.log_n_range
    if device.periphery.clamped:
        low, high = max(low, device.window[0]), min(high, device.window[1])
    _refuse_within(cell.numbers(), low, high, (READ_VOLTAGE_V, device.set_voltage_v, device.reset_voltage_v))


@lru_cache(maxsize=256)
def _refuse_within(numbers: tuple[float, ...], low: float, high: float, voltages: tuple[float, ...]) -> None:
    """For a cell with these parameters. Cached, since every layer of every trial with this physics asks."""
    cell = CellParameters.of_numbers(numbers)
    x = torch.linspace(low, high, 128, dtype=torch.float64)[:, None]
    for voltage in voltages:

        def log_i(at: torch.Tensor, _: object = None, v: float = voltage) -> torch.Tensor:
            n = torch.exp(at)
            return torch.log(current_function("full")(torch.full_like(n, v), n, cell).abs())

        refuse_jumps(voltage, x, log_i(x), log_i)
