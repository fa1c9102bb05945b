"""The published way to step a cell, compiled: 100 explicit Euler steps of the rate for every pulse of 1 us.

It is written from the equations of docs/physics.md (JART VCM v1b with the explicit current) and shares no code with
vcm_sweep.device; :func:`check` compares the two. Terms that depend only on the voltage are computed once, which favours
this method in a comparison of times. It handles only nominal cells without noise.
"""

import math
from typing import Any, NamedTuple

import numba as nb
import numpy as np

from vcm_sweep.device import CellParameters, VCMDevice, integrate, rate
from vcm_sweep.device.kernels.cpu.random import advance, popcount
from vcm_sweep.device.kernels.cpu.update import draw_sample
from vcm_sweep.device.kernels.layout import PULSES_RESET, PULSES_SET, SKIPPED
from vcm_sweep.device.periphery import ReadMap

STEPS = 100
_CHARGE, _KELVIN_V, _Z, _UNIT = 1.602e-19, 8.61860174781523e-5, 2.0, 1e26


class Cell(NamedTuple):
    """The constants of the nominal cell at the voltage of one pulse."""

    voltage: float
    # I(N): SET -alpha - beta / (1 + (c/N)^d)^f, RESET g / (1 + h (N/0.008)^-1.054)^(1/1.0526)
    alpha: float
    beta: float
    c: float
    d: float
    f: float
    g: float
    h: float
    # Series resistance at zero current, its coefficient of I^2, and the thermal resistance of this polarity.
    series: float
    series_square: float
    thermal: float
    ambient: float
    # The electric field, divided by I/N for SET, and by the voltage behind the series resistance for RESET.
    field_set: float
    field_reset: float
    gamma_per_field: float
    barrier: float
    prefactor: float
    n_plug: float
    n_min: float
    n_max: float


class Reading(NamedTuple):
    """The nominal periphery: coefficients of I(N) at 0.2 V, the line from current to weight, and the window in N."""

    g: float
    h: float
    w_min: float
    per_ampere: float
    i_low: float
    n_low: float
    n_high: float


def cell_at(v: float, p: CellParameters) -> Cell:
    """The constants of a pulse of v volts."""
    alpha = beta = c = d = f = g = h = 0.0
    if v < 0:
        a1 = 4.81951e-5 * math.exp(-1.03685 / 0.34567)
        alpha = (a1 + 4.81951e-5) / (1 + math.exp(-(v + 1.03685) / 0.34567)) - 4.81951e-5
        beta = 4.2383e-5 * (1 - math.exp(-v)) - 7.0526e-4 * v
        c = 4.2125 * math.exp(-v / 1.4134) + 2.8646 * v - 4.004
        d = 7.4235 * math.exp(-v / 4.0585) + 1.4524 * v - 6.6103
        f = 6.326e-4 + (1.4711 - 6.326e-4) / (1 + (-v / 0.5199) ** 1.561)
    else:
        g, h = _read_coefficients(v)
    return Cell(
        voltage=v, alpha=alpha, beta=beta, c=c, d=d, f=f, g=g, h=h,
        series=p.R_TiOx + p.R_0,
        series_square=p.R_0**2 * p.alpha_line * p.R_th_line,
        thermal=p.R_th0 * (p.r_nominal / p.r) ** 2 * (p.R_theff_scaling if v > 0 else 1.0),
        ambient=p.T_0,
        field_set=1 / (_UNIT * _Z * _CHARGE * p.mu_n * math.pi * p.r**2),
        field_reset=1 / p.l_cell,
        gamma_per_field=_Z * p.a / (math.pi * p.dW_A),
        barrier=p.dW_A,
        prefactor=p.a * p.nu_0 / (2 * p.l),
        n_plug=p.N_plug, n_min=p.N_min, n_max=p.N_max,
    )  # fmt: skip


def _read_coefficients(v: float) -> tuple[float, float]:
    return 4.84e-3 * (1 - math.exp(-0.1353 * v)), 5.548 + 6.8648 * v + 51.586 * math.exp(-0.36 * v)


def reading(read: ReadMap, window: tuple[float, float]) -> Reading:
    """The constants with which weights are read; window: the two values of ln N at which programming stops."""
    g, h = _read_coefficients(0.2)
    low, _ = read.currents
    _, per_ampere = read.line
    return Reading(g, h, read.periphery.w_min, per_ampere, low, math.exp(window[0]), math.exp(window[1]))


@nb.njit(inline="always", error_model="numpy")
def _positive_current(n, g, h):
    return g / (1 + h * (n / 0.008) ** -1.054) ** (1 / 1.0526)


@nb.njit(inline="always", error_model="numpy")
def euler_rate(n, cell):
    """dN/dt in 1e26/m3/s."""
    if cell.voltage < 0:
        bound = 1 - (n / cell.n_max) ** 10
        i = -cell.alpha - cell.beta / (1 + (cell.c / n) ** cell.d) ** cell.f
    else:
        bound = 1 - (cell.n_min / n) ** 10
        i = _positive_current(n, cell.g, cell.h)
    if bound <= 0:
        return 0.0
    drop = cell.voltage - i * (cell.series + cell.series_square * i * i)
    kt = _KELVIN_V * (cell.ambient + i * drop * cell.thermal)
    field = i / n * cell.field_set if cell.voltage < 0 else drop * cell.field_reset
    gamma = field * cell.gamma_per_field
    even = cell.barrier * (math.sqrt(1 - gamma * gamma) + gamma * math.asin(gamma))
    odd = cell.barrier * gamma * (math.pi / 2)
    hops = math.exp(-(even - odd) / kt) - math.exp(-(even + odd) / kt)
    return -(cell.n_plug + n) * cell.prefactor * hops * bound


@nb.njit(error_model="numpy")
def euler_pulse(n, cell, pulse_s):
    """N after one pulse."""
    for _ in range(STEPS):
        n += pulse_s / STEPS * euler_rate(n, cell)
        n = min(max(n, cell.n_min), cell.n_max)
    return n


@nb.njit(error_model="numpy")
def euler_update(x, d, key, cells, train, pulse_s, law, counters):
    """The loop of device/kernels/cpu/update.py over the same pulses, with :func:`euler_pulse` for each of them."""
    set_cell, reset_cell, read = law
    inputs, outputs = x.shape[1], d.shape[1]
    columns, column_masks = np.empty(inputs, np.int64), np.empty(inputs, np.uint64)
    rows, row_masks = np.empty(outputs, np.int64), np.empty(outputs, np.uint64)
    state = np.uint64(key)
    for sample in range(x.shape[0]):
        state, row_count, column_count = draw_sample(
            state, x[sample], d[sample], train, columns, column_masks, rows, row_masks
        )
        for row in range(row_count):
            first = rows[row] * inputs
            rising = d[sample, rows[row]] < 0.0
            for column in range(column_count):
                both = row_masks[row] & column_masks[column]
                if not both:
                    continue
                state = advance(state)  # the start of the visit's own stream, which a cell without noise does not use
                up = rising == (x[sample, columns[column]] > 0.0)
                index = first + columns[column]
                n = math.exp(cells.log_n[index])
                left = popcount(both)
                while left and (n < read.n_high if up else n > read.n_low):
                    n = euler_pulse(n, set_cell if up else reset_cell, pulse_s)
                    n = min(max(n, read.n_low), read.n_high)
                    counters[PULSES_SET if up else PULSES_RESET] += 1
                    left -= 1
                counters[SKIPPED] += left
                cells.log_n[index] = math.log(n)
                i = _positive_current(n, read.g, read.h)
                cells.weight[index] = read.w_min + (i - read.i_low) * read.per_ampere


class EulerUpdate:
    """A replacement for ``update_array`` of vcm_sweep.device.array.pulsing, for noise-free cells of one device."""

    def __init__(self, device: VCMDevice) -> None:
        check(device)
        cells = (cell_at(v, device.parameters) for v in (device.set_voltage_v, device.reset_voltage_v))
        self._law = (*cells, reading(device.map, device.window))

    def __call__(self, *given: Any) -> None:
        """Pulse one array for a batch, with the arguments of ``update_array``."""
        x, d, key, cells, physics, train, pulses, counters, partner = given
        same = len(cells.boost) == len(cells.rate) == 1 and all(len(values) == 1 for values in cells.base)
        if partner is not None or pulses.alone or physics.full or cells.varied.size or not same:
            raise ValueError("Euler stepping is for cells without noise: give a VCMDevice without variability")
        euler_update(x, d, key, cells, train, pulses.pulse_s, self._law, counters)


def check(device: VCMDevice) -> None:
    """Compare rate and pulse with vcm_sweep.device over the window, to 1e-6; a difference ends the benchmark."""
    p, n = device.parameters, np.linspace(0.06, 1.98, 97)
    for v in (device.set_voltage_v, device.reset_voltage_v):
        cell = cell_at(v, p)
        mine = np.array([euler_rate(value, cell) for value in n])
        np.testing.assert_allclose(mine, rate(v, n, p).numpy(), rtol=1e-6)
        steps = np.array([euler_pulse(value, cell, device.pulse_s) for value in n]) - n
        theirs = integrate(n, v, device.pulse_s, p, method="euler", steps=STEPS).numpy() - n
        np.testing.assert_allclose(steps, theirs, rtol=1e-6)
