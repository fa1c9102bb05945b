"""Error-controlled Dormand-Prince steps, with a step size of its own for every cell.

They integrate a stretched coordinate y instead of N, in which the bound factor F drops out exactly. Let u be the
distance of ln N from the bound towards which the cell moves. Then F = 1 - exp(-10 u), and y = -ln(exp(10 u) - 1) / 10
obeys dy/dt = |dN/dt without F| / N. In y the bound is at infinity, so it cannot be overshot, and the equation is not
stiff near it. The code stores the way s = y - y(start). ln N has then moved by -ln(exp(-10 u0) + F0 exp(-10 s)) / 10
(the index 0: at the start), a form that loses no digits for small ways or near the bound.

The error of a step is kept below ``rtol`` times the step's own way. Since the equation does not depend on time, a
relative error of a way equals one of the time that it takes: the result is the exact one of a pulse that is longer or
shorter by at most ``rtol``, even for a cell that avalanches.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from vcm_sweep.device.dynamics.lanes import Lanes, PulseEnd, known, padded, take_lanes
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.constants import BOUND_EXPONENT
from vcm_sweep.device.physics.kinetics import log_speed
from vcm_sweep.device.physics.validity import Extremes
from vcm_sweep.device.torch_later import torch

MAX_ROUNDS = 20_000
# The smallest absolute error of a way that is ever demanded, since ln N cannot resolve less. Without this limit the
# steps would shrink without end at a jump of the current.
RESOLUTION = 1e-12

# Dormand-Prince 5(4), J. Comput. Appl. Math. 6 (1980) 19.
TIMES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR_WEIGHTS = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


class _State(NamedTuple):
    """How far each cell has come, (rows, LANES) each: way, slope and time so far, and the next step's length in s."""

    way: torch.Tensor
    slope: torch.Tensor
    time: torch.Tensor
    step: torch.Tensor
    beyond: torch.Tensor


class _Stretched:
    """The stretched coordinate of some cells: N, voltage and slope as functions of their way and time."""

    def __init__(self, cells: Lanes) -> None:
        self.cells, p = cells, cells.parameters
        ratio = torch.where(cells.is_set, cells.n / p.N_max, p.N_min / cells.n)
        self.log_ratio = BOUND_EXPONENT * torch.log(ratio)  # -10 u0
        self.log_f = torch.log(-torch.expm1(self.log_ratio))
        self.sign = torch.where(cells.is_set, 1.0, -1.0).to(cells.n.dtype)

    def n(self, way: torch.Tensor) -> torch.Tensor:
        gone = torch.logaddexp(self.log_ratio, self.log_f - BOUND_EXPONENT * way) / -BOUND_EXPONENT
        return self.cells.n * torch.exp(self.sign * gone)

    def volts(self, time: torch.Tensor) -> torch.Tensor:
        cells = self.cells
        if cells.end_volts is None:
            return cells.volts
        return cells.volts + (cells.end_volts - cells.volts) * (time / cells.duration_s).clamp_max(1.0)

    def slope(self, way: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        def answer(way: torch.Tensor) -> torch.Tensor:
            # A stage of a step that is far too long may lie far behind the start, at an N that no cell has.
            n = self.n(way.clamp_min(0.0))
            return torch.exp(log_speed(self.volts(time), n, self.cells.parameters, self.cells.model)) / n

        return known(answer, way, ~torch.isnan(way), torch.zeros_like(way))


def adaptive(cells: Lanes, rtol: float, extremes: Extremes | None = None) -> PulseEnd:
    """The end state of cells, all of which can move."""
    count, whole = len(cells.index), cells
    positions = torch.arange(count, device=cells.n.device)
    done: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    line = _Stretched(cells)
    zero = torch.zeros_like(cells.n)
    slope = line.slope(zero, zero)
    # At V = 0, where a ramp may begin, the slope is 0 and says nothing about the step: the whole pulse is tried first.
    step = torch.clamp(0.05 / slope.detach(), max=cells.duration_s)
    beyond = ~torch.isfinite(slope)
    state = _State(zero, slope, torch.where(beyond, cells.duration_s, zero), step, beyond)
    for _ in range(MAX_ROUNDS):
        active = (state.time < cells.duration_s).reshape(-1)[: len(positions)]
        left = int(active.sum())
        if left == 0:
            break
        if 2 * left <= active.numel() and active.numel() > 64:
            done.append((positions, line.n(state.way).reshape(-1), state.beyond.reshape(-1)))
            keep = active.nonzero().reshape(-1)
            positions, cells = positions[keep], cells.take(keep)
            state = _State(*(take_lanes(x, padded(keep)) for x in state))
            line = _Stretched(cells)
        state = _round(line, state, rtol)
        _see(extremes, line, state)
    else:
        raise _not_converged(line, state, left, count)
    done.append((positions, line.n(state.way).reshape(-1), state.beyond.reshape(-1)))
    n = whole.n.reshape(-1)[:count]
    end_beyond = torch.zeros(count, dtype=torch.bool, device=n.device)
    for where, ends, flags in done:
        n = n.index_put((where,), ends[: len(where)])
        end_beyond[where] = flags[: len(where)]
    return PulseEnd(n, end_beyond)


def _round(line: _Stretched, state: _State, rtol: float) -> _State:
    """One step of every cell, taken if its error is small enough; otherwise the next one is shorter."""
    way, slope, time, step, beyond = state
    duration = line.cells.duration_s
    active = time < duration
    step = torch.minimum(step, duration - time)
    k = [slope]
    for row, c in zip(STAGES, TIMES, strict=True):
        trial = way + step * sum(a * ki for a, ki in zip(row, k, strict=True))
        k.append(line.slope(trial, time + c * step))
    gone = (trial - way).detach()
    error = (step * sum(e * ki for e, ki in zip(ERROR_WEIGHTS, k, strict=True))).detach().abs()
    share = error / (rtol * gone).clamp_min(RESOLUTION)
    finite = torch.isfinite(share) & torch.isfinite(k[-1].detach())
    share = torch.where(finite, share, 1e10)
    accept = active & (share <= 1)
    factor = torch.clamp(0.9 * share.clamp_min(1e-10) ** -0.25, 0.1, 5.0)
    # The model has no answer at the end of a step even if it is this short: the cell stays here.
    stuck = active & ~finite & (step * slope.detach() < 1e-9) & (step < 1e-9 * duration)
    # The last step ends exactly at the pulse's end: the sum of times and steps would only do so up to rounding.
    moved_on = torch.where(accept, torch.where(step >= duration - time, duration, time + step), time)
    return _State(
        torch.where(accept, trial, way),
        torch.where(accept, k[-1], slope),
        torch.where(stuck, duration, moved_on),
        torch.where(active, step * factor, step),
        beyond | stuck,
    )


def _see(extremes: Extremes | None, line: _Stretched, state: _State) -> None:
    if extremes is not None:
        n = line.n(state.way)
        extremes.see(line.cells.index, line.volts(state.time), n, line.cells.parameters, line.cells.model)


def _not_converged(line: _Stretched, state: _State, left: int, count: int) -> DeviceError:
    cells = line.cells
    time = torch.where(state.time < cells.duration_s, state.time, math.inf)
    worst = int(time.reshape(-1)[: len(cells.index)].argmin())
    n, v = line.n(state.way), line.volts(state.time)
    at = [x.expand(cells.n.shape).reshape(-1)[worst].item() for x in (n, v, state.time)]
    return DeviceError(
        f"{left} of {count} cells did not reach the end of the pulse in {MAX_ROUNDS} steps, the worst with "
        f"N = {at[0]:g} (1e26/m3) at {at[1]:g} V after {at[2]:g} of {cells.duration_s:g} s: raise rtol or "
        "shorten the pulse"
    )
