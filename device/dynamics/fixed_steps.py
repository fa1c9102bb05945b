"""Equal explicit steps of order 1, 2 and 4 in N, and one step of order 4 with an estimate of its error.

All of them clamp N to [N_min, N_max] within the pulse. The published code clamps only after the pulse, so that a step
can throw a fast cell past a bound and to the other end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from vcm_sweep.device.dynamics.adaptive import adaptive
from vcm_sweep.device.dynamics.lanes import Lanes, PulseEnd, known
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.kinetics import signed_rate
from vcm_sweep.device.physics.validity import Extremes
from vcm_sweep.device.torch_later import torch

MAX_STEPS = 4096

Slope: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"
Step: TypeAlias = "Callable[[torch.Tensor, float, Slope], torch.Tensor]"


def euler(n: torch.Tensor, dt: float, slope: Slope) -> torch.Tensor:
    """N after one explicit step of order 1."""
    return n + dt * slope(n)


def midpoint(n: torch.Tensor, dt: float, slope: Slope) -> torch.Tensor:
    """N after one explicit step of order 2."""
    return n + dt * slope(n + 0.5 * dt * slope(n))


def rk4(n: torch.Tensor, dt: float, slope: Slope) -> torch.Tensor:
    """N after one classical Runge-Kutta step, order 4."""
    k1 = slope(n)
    k2 = slope(n + 0.5 * dt * k1)
    k3 = slope(n + 0.5 * dt * k2)
    k4 = slope(n + dt * k3)
    return n + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def fixed(cells: Lanes, step: Step, steps: int, extremes: Extremes | None = None) -> PulseEnd:
    """The end state of moving cells after equal steps under a constant voltage."""
    return _steps(cells, step, steps, extremes)[0]


def _steps(cells: Lanes, step: Step, steps: int, extremes: Extremes | None) -> tuple[PulseEnd, torch.Tensor]:
    """(the end state, which cells a step would have taken past a bound that they were within, had it not been held)."""
    p, v = cells.parameters, cells.volts
    # A cell that starts outside [N_min, N_max] must not be moved to the bound by the clamp.
    low, high = cells.n.clamp_max(_as(p.N_min, v)), cells.n.clamp_min(_as(p.N_max, v))

    def clamp(state: torch.Tensor) -> torch.Tensor:
        return torch.minimum(torch.maximum(state, low), high)

    def slope(state: torch.Tensor) -> torch.Tensor:
        return known(rate, clamp(state), ~torch.isnan(state), cells.n)

    def rate(n: torch.Tensor) -> torch.Tensor:
        return signed_rate(v, n, p, cells.model)

    state, beyond = cells.n, torch.zeros_like(cells.n, dtype=torch.bool)
    overshot = torch.zeros_like(beyond)
    for _ in range(steps):
        moved = step(state, cells.duration_s / steps, slope)
        beyond = beyond | ~torch.isfinite(moved)
        held = clamp(moved)
        # A rounding beyond the bound is none.
        overshot = overshot | ((moved - held).abs() > 1e-9 * held) & (held != state)
        state = torch.where(beyond, state, held)
        _see(extremes, cells, state)
    count = len(cells.index)
    return PulseEnd(state.reshape(-1)[:count], beyond.reshape(-1)[:count]), overshot.reshape(-1)[:count]


def rk4_converged(cells: Lanes, extremes: Extremes | None = None) -> PulseEnd:
    """RK4 with its number of steps doubled until this changes no cell's change of N by more than 1e-6 of it.

    Cells that two numbers of steps hold at a bound agree, however far they should go: they must end where the adaptive
    method ends too.
    """
    start = cells.n.reshape(-1)[: len(cells.index)]
    steps, coarse = 2, fixed(cells, rk4, 1)
    ends: torch.Tensor | None = None
    while steps <= MAX_STEPS:
        fine, overshot = _steps(cells, rk4, steps, None)
        change = (fine.n - coarse.n).abs()
        apart = (change > 1e-6 * (fine.n - start).abs() + 1e-15 * start) | (fine.beyond != coarse.beyond)
        if bool(overshot.any()):
            if ends is None:
                with torch.no_grad():
                    ends = adaptive(cells, 1e-8).n
            apart = apart | overshot & ((fine.n - ends).abs() > 1e-6 * (ends - start).abs())
        if not bool(apart.any()):
            # Solved once more to record its states: those of the coarser attempts must not count.
            return fine if extremes is None else fixed(cells, rk4, steps, extremes)
        coarse, steps = fine, steps * 2
    worst = int(torch.where(apart, change / start, -1.0).argmax())
    volts = cells.volts.expand(cells.n.shape).reshape(-1)[worst].item()
    raise DeviceError(
        f"method = 'rk4' did not converge in {MAX_STEPS} steps for {int(apart.sum())} of {start.numel()} cells, the "
        f"worst from N = {start[worst].item():g} (1e26/m3) at {volts:g} V over {cells.duration_s:g} s: use "
        "method = 'adaptive'"
    )


def checked_rk4(cells: Lanes) -> tuple[torch.Tensor, torch.Tensor]:
    """N after one RK4 step, and an estimate of the step's relative error; (rows, LANES) each.

    The estimate is the largest of three numbers that a fifth evaluation of the slope, at the end, makes possible. Each
    of them alone passes through 0 somewhere between a gentle step and an avalanche, and misses errors of 100 % there.

    - The difference from the embedded method of order 3 (Dormand and Prince's RK4(3)): a tenth of the step's length
      times the difference of the last two slopes.
    - The backward error: the time that the way takes, the integral of dN / (dN/dt) by three points, less the step's
      length. It is an error of the result, since the equation does not depend on time.
    - The same up to the last stage, with the remaining time at that stage's slope.

    The estimate is NaN or infinite if a stage left the model or the end is past a bound.
    """
    p, v, dt, n = cells.parameters, cells.volts, cells.duration_s, cells.n

    def rate(state: torch.Tensor) -> torch.Tensor:
        return signed_rate(v, state, p, cells.model)

    # No stage may pass a bound; a cell that started past one is on its way back in, and its start is the limit.
    low, high = n.clamp_max(_as(p.N_min, n)), n.clamp_min(_as(p.N_max, n))

    def slope(state: torch.Tensor) -> torch.Tensor:
        return known(rate, state, (state >= low) & (state <= high), n)

    k1 = slope(n)
    k2 = slope(n + 0.5 * dt * k1)
    k3 = slope(n + 0.5 * dt * k2)
    k4 = slope(n + dt * k3)
    way = dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    end = n + way
    k5 = slope(end)
    middle, last = 0.5 * dt * k2, dt * k3
    embedded = 0.1 * dt * (k5 - k4)
    backward = (_duration(middle, way, k1, k3, k5) - dt) * k5
    stage = last + (dt - _duration(middle, last, k1, k3, k4)) * k4 - way
    error = torch.stack((embedded, backward, stage)).abs().amax(0) / way.abs()
    return end, error


def _duration(middle: torch.Tensor, whole: torch.Tensor, *slopes: torch.Tensor) -> torch.Tensor:
    """Time to go the way ``whole``: the integral of the parabola through 1/slope at 0, ``middle`` and ``whole``."""
    first, second, third = slopes
    t = middle / whole
    ends = (3 * t - 1) / (t * first) + (2 - 3 * t) / ((1 - t) * third)
    return whole / 6 * (ends + 1 / (t * (1 - t) * second))


def _as(value: float | torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


def _see(extremes: Extremes | None, cells: Lanes, n: torch.Tensor) -> None:
    if extremes is not None:
        extremes.see(cells.index, cells.volts, n, cells.parameters, cells.model)
