"""Compiled: about the current of a cell, from which its equations are soon solved."""

import math

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.cpu.equations import current_of, drop_over_interface, linear_resistance, rate_along
from vcm_sweep.device.kernels.layout import Starts

_LITTLE = 2e-3  # of ln N, for a second derivative
_TOO_BENT = 30.0  # where a kink lies within it


@inlined
def about_log_drop(which, x, stronger, starts, p, nominal, step):
    """About ln of the drop over the interface in V of a cell; which: 0 SET, 1 RESET, 2 read.

    p, nominal: the parameters of the cell and of the nominal one, of which the i-th is at the place i * step. stronger:
    the change of the voltage, relative to the one that the starts were made for.
    """
    t = (x - starts.x_first) * starts.inverse_step
    node = min(max(int(t), 0), starts.curves.shape[1] - 2)
    t -= node
    low, high = starts.curves[which, node], starts.curves[which, node + 1]
    log_drop = low[0] + t * (high[0] - low[0])
    for i in range(starts.places.shape[0]):
        place = starts.places[i] * step
        log_drop += (low[i + 1] + t * (high[i + 1] - low[i + 1])) * (p[place] - nominal[place])
    last = starts.places.shape[0] + 1
    return log_drop + (low[last] + t * (high[last] - low[last])) * stronger


@inlined
def about_current(which, x, v, amplitude, full, starts, p, nominal):
    """About |I| of a cell with the parameters p at |V| = v; which: 0 SET, 1 RESET, 2 read."""
    if not full:
        return 0.0
    log_drop = about_log_drop(which, x, amplitude - 1.0, starts, p, nominal, 1)
    linear, cubic = linear_resistance(math.exp(x), p)
    return current_of(v - math.exp(log_drop), linear, cubic)


@inlined
def bend_at(which, x, starts):
    """The second derivative in ln N of ln of the nominal cell's rate; which: 0 SET, 1 RESET."""
    t = (x - starts.x_first) * starts.inverse_step
    return starts.bend[which, min(max(int(t + 0.5), 0), starts.bend.shape[1] - 1)]


@kernel
def _fill(curves, bend, first, step, voltages, full, nominal, p, places, low, high):
    # The explicit model needs no start.
    for which in range(3 if full else 0):
        v, is_set = voltages[which], which == 0
        for node in range(curves.shape[1]):
            x = first + node * step
            n = math.exp(x)
            curves[which, node, 0] = math.log(drop_over_interface(v, n, is_set, nominal))
            for i in range(places.shape[0]):
                for k in range(p.shape[0]):
                    p[k] = nominal[k]
                p[places[i]] = low[i]
                below = math.log(drop_over_interface(v, n, is_set, p))
                p[places[i]] = high[i]
                curves[which, node, i + 1] = (math.log(drop_over_interface(v, n, is_set, p)) - below) / (
                    high[i] - low[i]
                )
            below = math.log(drop_over_interface(0.99 * v, n, is_set, nominal))
            curves[which, node, places.shape[0] + 1] = (
                math.log(drop_over_interface(1.01 * v, n, is_set, nominal)) - below
            ) / 0.02
    for which in range(2):
        for node in range(curves.shape[1]):
            x = first + node * step
            i = rate_along(voltages[which], x, which == 0, full, nominal, 0.0)[2]
            above = rate_along(voltages[which], x + _LITTLE, which == 0, full, nominal, i)[1]
            bend[which, node] = (above - rate_along(voltages[which], x - _LITTLE, which == 0, full, nominal, i)[1]) / (
                2 * _LITTLE
            )


def find_starts(
    x_range: tuple[float, float], voltages: tuple[float, float, float], full: bool, nominal: np.ndarray,
    places: np.ndarray, low: np.ndarray, high: np.ndarray, nodes: int = 64,
) -> Starts:  # fmt: skip
    """The starts of cells over a range of ln N.

    Args:
        x_range: of ln N.
        voltages: magnitudes of the SET, RESET and read voltages.
        full: the full current model, not the explicit one.
        nominal: (PARAMETERS,) float64, the nominal cell.
        places: (K,) int64, places of what varies.
        low, high: (K,) two values of each, between which its slope is taken.
        nodes: at equal steps of ln N.
    """
    curves, bend = np.zeros((3, nodes, len(places) + 2)), np.zeros((2, nodes))
    step = (x_range[1] - x_range[0]) / (nodes - 1)
    _fill(curves, bend, x_range[0], step, voltages, full, nominal, nominal.copy(), places, low, high)
    bend[~(np.abs(bend) < _TOO_BENT)] = 0.0
    return Starts(x_range[0], 1 / step, places, np.nan_to_num(curves), bend)
