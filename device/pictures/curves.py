"""What the pictures of a cell show, as arrays: computed here, drawn in ``drawings.py``."""

import math
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from vcm_sweep.device.dynamics.integration import integrate
from vcm_sweep.device.dynamics.trajectory import trajectory
from vcm_sweep.device.periphery import N_HIGH, N_LOW
from vcm_sweep.device.physics.cell import current, temperature
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V
from vcm_sweep.device.physics.kinetics import bound_factor, log_speed
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.variability import Spread

SET_V, RESET_V, PULSE_S = -0.342, 0.7065, 1e-6  # the programming pulses of arXiv 2403.06746
W_MIN, W_MAX = -1.5, 1.5
SPREAD = {"r": Spread(sigma=0.01, clip=0.05), "l": Spread(sigma=0.01, clip=0.05)}

Array: TypeAlias = NDArray[np.float64]


class Sweep(NamedTuple):
    """The last cycle of a triangular sweep, (rows,) each: V, A, 1e26/m3."""

    voltage_v: Array
    current_a: Array
    n: Array


def hysteresis(
    cell: CellParameters, model: str, set_v: float, reset_v: float, ramp_v_per_s: float, step_v: float = 2.5e-3
) -> Sweep:
    """The sweep 0 -> set_v -> reset_v -> 0 at a constant ramp: the third cycle, by which the loop has closed."""
    down, up = (np.linspace(0, end, round(abs(end) / step_v) + 1) for end in (set_v, reset_v))
    cycle = np.concatenate((down, down[-2::-1], up[1:], up[-2::-1]))
    volts = np.concatenate((cycle, cycle[1:], cycle[1:]))
    time = np.abs(np.diff(volts)) / ramp_v_per_s
    n = trajectory(np.array([N_LOW]), volts[:-1], volts[1:], time, cell, model)[-len(cycle) :, 0]
    return Sweep(cycle, current(torch.from_numpy(cycle), torch.from_numpy(n), cell, model).numpy(), n)


def switching_time(cell: CellParameters, model: str, voltage_v: Array) -> Array:
    """Time in s to cross the weight window at a constant voltage, (voltages,): SET upwards, RESET downwards.

    The exact solution, t = integral of dN / |dN/dt|, by the trapezoidal rule in ln N.
    """
    x = torch.linspace(math.log(N_LOW), math.log(N_HIGH), 1601, dtype=torch.float64)
    v, state = torch.broadcast_tensors(torch.from_numpy(voltage_v)[:, None], torch.exp(x))
    slowness = torch.exp(x - log_speed(v, state, cell, model)) / bound_factor(v, state, cell)
    return np.asarray(torch.trapezoid(slowness, x, dim=1))


class Maps(NamedTuple):
    """(voltages, concentrations): N / |dN/dt| in s, T in K; NaN at V = 0 and beyond the hopping model."""

    voltage_v: Array
    n: Array
    time_constant_s: Array
    temperature_k: Array


def maps(cell: CellParameters, model: str, voltage_v: Array, n: Array) -> Maps:
    """How fast a cell moves, and how hot it is, in every state at every voltage; the bound factor F is left out."""
    v, state = torch.broadcast_tensors(torch.from_numpy(voltage_v)[:, None], torch.from_numpy(n))
    time = torch.exp(torch.log(state) - log_speed(v, state, cell, model))
    time = torch.where(torch.isfinite(time), time, torch.nan)
    return Maps(voltage_v, n, time.numpy(), temperature(v, state, cell, model).numpy())


def read_current(cell: CellParameters, model: str, n: Array) -> Array:
    """The current in A at the read voltage."""
    return np.asarray(current(READ_VOLTAGE_V, torch.from_numpy(n), cell, model))


class Steps(NamedTuple):
    """How far one pulse moves each weight, (weights,) each: both steps are positive, although RESET lowers it."""

    weight: Array
    set_step: Array
    reset_step: Array


def weight_steps(cell: CellParameters, model: str, weight: Array) -> Steps:
    """The steps of one SET and one RESET pulse of 1 us from each weight; the periphery is calibrated on ``cell``."""
    grid = np.exp(np.linspace(math.log(N_LOW), math.log(N_HIGH), 4001))
    amperes = read_current(cell, model, grid)
    low, high = amperes[0], amperes[-1]

    def read(n: Array) -> Array:
        weight: Array = W_MIN + (W_MAX - W_MIN) * (read_current(cell, model, n) - low) / (high - low)
        return weight

    n = np.exp(np.interp(weight, W_MIN + (W_MAX - W_MIN) * (amperes - low) / (high - low), np.log(grid)))
    start = torch.from_numpy(n)
    moved = [read(integrate(start, v, PULSE_S, cell, model).numpy()) - read(n) for v in (SET_V, RESET_V)]
    return Steps(read(n), moved[0], -moved[1])


class Response(NamedTuple):
    """Read currents in A before the first and after every pulse: (rows,) nominal, (rows, cells) of an array."""

    nominal_a: Array
    cells_a: Array


def pulse_response(cell: CellParameters, model: str, pulses: int, cells: int = 200) -> Response:
    """``pulses`` SET pulses from the low end of the window, then as many RESET pulses; row 0 is before the first.

    The cells of the array differ by ``SPREAD``; all start at N = 0.06.
    """
    generator = torch.Generator().manual_seed(1)
    drawn = {}
    for name, spread in SPREAD.items():
        nominal = torch.as_tensor(getattr(cell, name), dtype=torch.float64).reshape(1)
        drawn[name] = torch.cat((nominal, spread.draw(nominal.item(), cells, generator)))
    array = cell.replace(**drawn)
    volts = np.repeat([SET_V, RESET_V], pulses)
    n = np.vstack(
        (
            np.full((1, cells + 1), N_LOW),
            trajectory(np.full(cells + 1, N_LOW), volts, volts, np.full(2 * pulses, PULSE_S), array, model),
        )
    )
    amperes = current(READ_VOLTAGE_V, torch.from_numpy(n), array, model).numpy()
    return Response(amperes[:, 0], amperes[:, 1:])
