"""Translates a device into the inputs of the compiled pulse loops: its tables or equations, and its pulses."""

from functools import lru_cache

import numpy as np
import torch

from vcm_sweep.device.kernels.cpu.starts import find_starts
from vcm_sweep.device.kernels.layout import (
    CLIP,
    CLIP_HIGH,
    CLIP_LOW,
    DIRECT,
    LENGTH,
    PER_POLARITY,
    PULSE_AMPLITUDE,
    RADIUS,
    SIGMA,
    SLOPE,
    Curve,
    Physics,
    Pulses,
    Starts,
)
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.tables.axes import AMPLITUDE
from vcm_sweep.device.tables.tables import Curves, RateTables
from vcm_sweep.device.variability import TARGETS, VARYING
from vcm_sweep.device.vcm_device import VCMDevice

_NOT_IN_THE_CURRENT = ("N_max", "N_min", "nu_0", "dW_A", "a")
_NO_STARTS = Starts(0.0, 1.0, np.zeros(0, np.int64), np.zeros((3, 2, 2)), np.zeros((2, 2)))


def kernel_physics(device: VCMDevice, tables: RateTables | None, varied: tuple[str, ...]) -> Physics:
    """How the cells of an array move and are read.

    Args:
        device: whose cells they are.
        tables: the device's tables; None if its equations are solved for each pulse.
        varied: names of the parameters in the rows of the array's ``varied``.
    """
    names = CellParameters.names()
    dark, slope = device.map.line
    codes = {AMPLITUDE: PULSE_AMPLITUDE, "r": RADIUS, "l": LENGTH, **{name: 4 + i for i, name in enumerate(varied)}}
    axes = tables.axes if tables is not None else ()
    own = device.variability.varying(device.parameters)
    nominal = np.array(device.parameters.numbers())
    x, current = _read_currents(device.model, device.log_n_range, device.parameters.numbers())
    weight = dark + slope * current
    guess_first, guess_inverse_step, guess = _guesses(x, weight)
    return Physics(
        axes=tables.axis_array if tables is not None else np.zeros((0, 3)),
        codes=np.array([codes[axis.name] for axis in axes], dtype=np.int64),
        set=_curve(tables.set if tables is not None else None),
        reset=_curve(tables.reset if tables is not None else None),
        read=_curve(tables.read if tables is not None else None),
        direct=tables is None,
        full=device.model == "full",
        nominal=nominal,
        places=np.array([names.index(name) if name in own else -1 for name in varied], dtype=np.int64),
        v_set=abs(device.set_voltage_v),
        v_reset=device.reset_voltage_v,
        w_dark=dark,
        w_slope=slope,
        reads_cell=device.reads_cell,
        steepest=tables.steepest if tables is not None else _steepest(x, weight),
        guess_first=guess_first,
        guess_inverse_step=guess_inverse_step,
        guess=guess,
        starts=_starts(device, nominal) if tables is None else _NO_STARTS,
        reference_length=float(device.parameters.l) if device.model == "explicit" and tables is not None else 0.0,
    )


@lru_cache(maxsize=256)
def _read_currents(
    model: str, x_range: tuple[float, float], numbers: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """(ln N at equal steps, read current in A there) of a cell; cached, since trials often share the nominal one."""
    x = torch.linspace(*x_range, 256, dtype=torch.float64)
    cell = CellParameters.of_numbers(numbers)
    voltage_v = torch.full_like(x, READ_VOLTAGE_V)
    return x.numpy(), current_function(model)(voltage_v, torch.exp(x), cell).numpy()


def _guesses(x: np.ndarray, weight: np.ndarray) -> tuple[float, float, np.ndarray]:
    """First guesses of ln N for a weight: first weight, inverse step, and ln N of the nominal cell at equal steps."""
    rising = np.maximum.accumulate(weight)
    even = np.linspace(rising[0], rising[-1], 256)
    return float(even[0]), 255 / float(even[-1] - even[0]), np.interp(even, rising, x)


def _steepest(x: np.ndarray, weight: np.ndarray) -> float:
    """Three times the largest slope of the nominal cell's weight over ln N: more than cells were found to have."""
    return 3.0 * float(np.abs(np.diff(weight) / np.diff(x)).max())


def _starts(device: VCMDevice, nominal: np.ndarray) -> Starts:
    """Starts with the slopes of what varies over half of each range."""
    names, variability = CellParameters.names(), device.variability
    varying = [name for name in variability.varying(device.parameters) if name not in _NOT_IN_THE_CURRENT]
    places = np.array([names.index(name) for name in varying], dtype=np.int64)
    ends = np.array([variability.limits(name, device.parameters) for name in varying]).reshape(-1, 2).T
    own = nominal[places]
    low, high = own + 0.25 * (ends - own)
    voltages = abs(device.set_voltage_v), device.reset_voltage_v, READ_VOLTAGE_V
    return find_starts(device.log_n_range, voltages, device.model == "full", nominal, places, low, high)


def _curve(curves: Curves | None) -> Curve:
    if curves is None:
        return Curve(0.0, 1.0, 0, np.zeros(1), np.zeros((2, 1)), np.zeros((2, 1)))
    return Curve(curves.x_first, curves.x_last, curves.below, curves.kink, curves.values, curves.power)


def kernel_pulses(device: VCMDevice) -> Pulses:
    """The pulses of an array, and what changes from pulse to pulse."""
    variability = device.variability
    walk, targets = np.zeros((len(VARYING), 4)), np.zeros((len(TARGETS), 3))
    for row, name in enumerate(VARYING):
        if name in variability.c2c:
            own = variability.c2c[name]
            walk[row, DIRECT], walk[row, SLOPE] = own.direct, own.slope
            walk[row, CLIP_LOW], walk[row, CLIP_HIGH] = -own.clip, own.clip
    for row, name in enumerate(TARGETS):
        if name in variability.targets:
            target = variability.targets[name]
            targets[row, SIGMA], targets[row, CLIP] = target.sigma, target.clip
            targets[row, PER_POLARITY] = target.renew == "polarity"
    walks, moves = bool(walk[:, : SLOPE + 1].any()), bool(targets[:, SIGMA].any())
    shape = bool(walk[RADIUS : LENGTH + 1, : SLOPE + 1].any()) or moves
    return Pulses(
        pulse_s=device.pulse_s,
        walk=walk,
        targets=targets,
        amplitude=variability.pulse.amplitude,
        width=variability.pulse.width,
        clip=variability.pulse.clip,
        walks=walks,
        needs_ratio=bool(walk[:, SLOPE].any()),
        moves=moves,
        alone=walks or moves or variability.pulse.active or device.euler_steps > 0,
        own_window=shape and device.periphery.clamped and device.reads_cell and device.model == "full",
        steps=device.euler_steps,
        kept=device.method == "euler",
    )
