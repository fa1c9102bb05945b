"""Figures of fresh arrays: the SET/RESET asymmetry of their cells, levels, and cells outside the model's validity."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.kinetics import log_speed, temperature_of
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.physics.validity import FASTEST_S, HOTTEST_K, check_state
from vcm_sweep.device.public import public
from vcm_sweep.device.vcm_device import VCMDevice

if TYPE_CHECKING:
    from vcm_sweep.device.array.cell_arrays import CellArrays

MOST_CELLS = 512  # per array, whose temperature and speed are computed: more would take too long


@public
class ArrayFigures(NamedTuple):
    """Figures of all arrays of one trial together, right after they were made.

    Attributes:
        asymmetry_mean, asymmetry_sd: mean and standard deviation over cells of ln(|dw_RESET| / |dw_SET|) at w = 0, from
            one noise-free pulse each way; None if no cell steps both ways: all are stuck, too slow or never at w = 0.
        asymmetry_total: ln of the sum of the cells' |dw_RESET| over the sum of their |dw_SET|, in which cells count as
            they move; None likewise.
        levels: the window over twice the standard deviation of a reading at mid window; None without read noise.
        peak_temperature_k: highest quasi-static temperature in a programming pulse, over at most ``MOST_CELLS`` cells
            per array.
        frac_outside_validity: share of those cells that somewhere in a pulse are above 2000 K, switch faster than 5 ns
            or have no rate.
    """

    asymmetry_mean: float | None
    asymmetry_sd: float | None
    asymmetry_total: float | None
    levels: float | None
    peak_temperature_k: float
    frac_outside_validity: float


def array_figures(arrays: Sequence["CellArrays"], k: int) -> ArrayFigures:
    """The figures of trial k over all its arrays.

    Raises:
        DeviceError: cells are outside the model's validity, and the device has on_invalid = "error".
    """
    device = arrays[0].devices[k]
    up, down = map(torch.cat, zip(*(array.steps(k) for array in arrays), strict=True))
    hot, outside, looked_at = -math.inf, 0, 0
    for array in arrays:
        cells, count = array.cell_parameters(k, MOST_CELLS)
        worst, beyond = _extremes(device, cells, count)
        hot, outside, looked_at = max(hot, worst), outside + beyond, looked_at + count
    if outside and device.on_invalid == "error":
        raise DeviceError(
            f"{outside} of {looked_at} cells go above {HOTTEST_K:g} K, switch faster than {FASTEST_S:g} s or have no "
            f"rate (|gamma| >= 1) in a pulse, the hottest reaches {hot:.0f} K: lower |set_voltage_v| and "
            "reset_voltage_v or narrow the spreads, or set on_invalid = 'record'"
        )
    return ArrayFigures(*_asymmetries(up, down), levels(device), hot, outside / looked_at)


def _asymmetries(up: torch.Tensor, down: torch.Tensor) -> tuple[float | None, float | None, float | None]:
    if not len(up):
        return None, None, None
    each = torch.log(down / up)
    return float(each.mean()), float(each.std(correction=0)), float(torch.log(down.sum() / up.sum()))


def levels(device: VCMDevice) -> float | None:
    """Distinguishable levels: the window over twice the sd of a reading at mid window; None without read noise.

    >>> from vcm_sweep.device import Variability
    >>> round(levels(VCMDevice(variability=Variability(read_noise=0.02))), 1)
    35.6
    """
    noise, telegraph = device.variability.read_noise, device.variability.telegraph
    middle = 0.5 * (device.periphery.w_min + device.periphery.w_max)
    dark = device.map.line[0]
    ratio = (middle - dark) / (device.periphery.w_max - dark)
    jump = min(telegraph.amplitude * ratio**-telegraph.state_exponent, 1.0) / 2
    variance = noise.sigma**2 + noise.flicker**2 + telegraph.fraction * jump**2
    if variance == 0:
        return None
    return (device.periphery.w_max - device.periphery.w_min) / (2 * math.sqrt(variance) * (middle - dark))


def _extremes(device: VCMDevice, cells: CellParameters, count: int) -> tuple[float, int]:
    """Highest temperature of ``count`` cells over the N of their window, and how many leave the model's validity."""
    low, high = device.log_n_range
    if device.periphery.clamped:
        low, high = max(low, math.log(0.05)), min(high, math.log(3.0))
    pulses = device.model, (device.set_voltage_v, device.reset_voltage_v), low, high
    return _extremes_of_one(cells.numbers(), *pulses) if count == 1 else _extremes_of(cells, count, *pulses)


@lru_cache(maxsize=256)
def _extremes_of_one(
    numbers: tuple[float, ...], model: str, voltages: tuple[float, float], low: float, high: float
) -> tuple[float, int]:
    """Cached, since a cell that differs in nothing is the same in every layer and often in every trial."""
    return _extremes_of(CellParameters.of_numbers(numbers), 1, model, voltages, low, high)


def _extremes_of(
    cells: CellParameters, count: int, model: str, voltages: tuple[float, float], low: float, high: float
) -> tuple[float, int]:
    n = torch.exp(torch.linspace(low, high, 9, dtype=torch.float64))[:, None].expand(9, count)
    hot, outside = -math.inf, torch.zeros(count, dtype=torch.bool)
    for voltage in voltages:
        v = torch.full_like(n, voltage)
        i = current_function(model)(v, n, cells)
        found = check_state(temperature_of(v, i, cells), log_speed(v, n, cells, model, i) - torch.log(n))
        hot = max(hot, found.worst_temperature_k)
        outside |= found.outside.any(0)
    return hot, int(outside.sum())
