"""Error-controlled Dormand-Prince steps, a step size of its own for every cell.

They integrate a stretched coordinate, in which the bound factor F drops out exactly. With u the distance of ln N to
the bound of the direction of motion, F = 1 - exp(-10 u), and y = -ln(exp(10 u) - 1) / 10 obeys
dy/dt = |dN/dt without F| / N. In y there is no bound to overshoot and the stiffness at the bound is gone. What is
stored is the way s = y - y(start): ln N has then gone -ln(exp(-10 u0) + F0 exp(-10 s)) / 10, which keeps all digits
of a small way as well as of the approach to the bound.

The error of a step is held below ``rtol`` of its own way. As the equation is autonomous, a relative error of a way is
one of the time that it takes: the result is the exact one of a pulse longer or shorter by at most ``rtol``, also
for a cell that avalanches.
"""

import math
from typing import NamedTuple

import torch

from vcm_sweep.device.dynamics.lanes import Lanes, PulseEnd, known, padded, take_lanes
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.constants import BOUND_EXPONENT
from vcm_sweep.device.physics.kinetics import log_speed
from vcm_sweep.device.physics.validity import Extremes

MAX_ROUNDS = 20_000
# A way that ln N cannot tell from none: no smaller error is asked for, so that a jump of the current is crossed.
_RESOLUTION = 1e-12

# Dormand-Prince 5(4), J. Comput. Appl. Math. 6 (1980) 19.
_C = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_A = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_E = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


class _State(NamedTuple):
    """Of the cells under way, (rows, LANES) each."""

    way: torch.Tensor
    slope: torch.Tensor
    time: torch.Tensor
    step: torch.Tensor
    beyond: torch.Tensor


class _Stretched:
    """The stretched coordinate of some cells."""

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
            n = self.n(way)
            return torch.exp(log_speed(self.volts(time), n, self.cells.parameters, self.cells.model)) / n

        return known(answer, way, ~torch.isnan(way), torch.zeros_like(way))


def adaptive(cells: Lanes, rtol: float, extremes: Extremes | None = None) -> PulseEnd:
    """The end state of cells that move."""
    count, whole = len(cells.index), cells
    positions = torch.arange(count, device=cells.n.device)
    done: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    line = _Stretched(cells)
    zero = torch.zeros_like(cells.n)
    slope = line.slope(zero, zero)
    # At V = 0, where a ramp begins, nothing moves: the whole ramp is tried, and shortened.
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
    """One step of every cell, taken where its error allows."""
    way, slope, time, step, beyond = state
    duration = line.cells.duration_s
    active = time < duration
    step = torch.minimum(step, duration - time)
    k = [slope]
    for row, c in zip(_A, _C, strict=True):
        trial = way + step * sum(a * ki for a, ki in zip(row, k, strict=True))
        k.append(line.slope(trial, time + c * step))
    gone = (trial - way).detach()
    error = (step * sum(e * ki for e, ki in zip(_E, k, strict=True))).detach().abs()
    share = error / (rtol * gone).clamp_min(_RESOLUTION)
    finite = torch.isfinite(share) & torch.isfinite(k[-1].detach())
    share = torch.where(finite, share, 1e10)
    accept = active & (share <= 1)
    factor = torch.clamp(0.9 * share.clamp_min(1e-10) ** -0.25, 0.1, 5.0)
    # However short the step, the model has no answer at its end.
    stuck = active & ~finite & (step * slope.detach() < 1e-9) & (step < 1e-9 * duration)
    # The last step ends exactly at the end, whatever the rounding of the sum.
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
