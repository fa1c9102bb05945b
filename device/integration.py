"""The state of a cell after one rectangular pulse.

Three methods. ``euler`` is the published device's (100 explicit steps of 10 ns per microsecond), ``rk4`` the
classical fourth-order one, ``adaptive`` an error-controlled Dormand-Prince pair. All of them clamp to
[N_min, N_max] inside the pulse; the published code clamped only after it, so that a fast cell could be thrown
to the other end.

The adaptive method integrates a stretched coordinate, in which the bound factor F drops out exactly. With u the
distance of ln N to the bound of the direction of motion, F = 1 - exp(-10 u), and
y = -ln(exp(10 u) - 1) / 10 obeys dy/dt = |dN/dt without F| / N. In y there is no bound to overshoot and the
stiffness at the bound is gone.
"""

import math
from collections.abc import Callable

import torch

from .conduction import checked_state
from .errors import DeviceError
from .kinetics import BOUND_EXPONENT, log_speed, signed_rate
from .parameters import CellParameters, Value

METHODS = ("adaptive", "rk4", "euler")
PAPER_EULER_STEPS = 100
_MAX_RK4_STEPS = 4096
_MAX_ADAPTIVE_ROUNDS = 20_000


def integrate(
    n: Value,
    voltage_v: Value,
    duration_s: float,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    method: str = "adaptive",
    steps: int | None = None,
    rtol: float = 1e-7,
) -> torch.Tensor:
    """The vacancy concentration after a pulse, in 1e26/m3, without the window clamp.

    Args:
        n: concentration before the pulse, 1e26/m3, any shape.
        voltage_v: V, constant over the pulse; negative is SET. Broadcasts against ``n``.
        duration_s: length of the pulse, s, >= 0.
        parameters: of the cell or cells; default the nominal cell.
        model: of the current, see :func:`vcm_sweep.device.current`.
        method: ``"adaptive"`` (default), ``"rk4"`` or ``"euler"``.
        steps: number of equal steps of ``rk4`` and ``euler``. Default for ``euler`` the paper's 100; for
            ``rk4`` it is doubled until halving the step changes no cell by more than 1e-6 of its own step.
        rtol: relative error per step of ``adaptive``, in ln N.

    Returns:
        float64, of the broadcast shape, within [N_min, N_max] unless the cell started outside: a cell at or
        past a bound does not move further out.

    Raises:
        DeviceError: an argument out of range, or an integration that does not converge; never a silent NaN.

    Example:
        >>> after = integrate(0.3, -0.342, 1e-6)      # one SET pulse
        >>> bool(after > 0.3)
        True
    """
    parameters = parameters or CellParameters()
    if method not in METHODS:
        raise DeviceError(f"method = {method!r} must be one of {', '.join(map(repr, METHODS))}")
    if not (isinstance(duration_s, (int, float)) and math.isfinite(duration_s) and duration_s >= 0):
        raise DeviceError(f"duration_s = {duration_s!r} must be a finite number of seconds, at least 0")
    duration_s = float(duration_s)  # numpy's own floats do not mix with tensors
    if steps is not None and (method == "adaptive" or steps < 1):
        raise DeviceError(f"steps = {steps!r} must be at least 1, and needs method = 'rk4' or 'euler'")
    if not 0 < rtol <= 1e-2:
        raise DeviceError(f"rtol = {rtol!r} must be above 0 and at most 0.01")
    v, start = checked_state(voltage_v, n)
    shape = torch.broadcast_shapes(
        v.shape, *(torch.as_tensor(getattr(parameters, f)).shape for f in parameters.names())
    )
    v, start = v.expand(shape), start.expand(shape)
    if method == "adaptive":
        end = _adaptive(start, v, duration_s, parameters, model, rtol)
    elif method == "euler":
        end = _fixed(start, v, duration_s, parameters, model, _euler_step, steps or PAPER_EULER_STEPS)
    elif steps is not None:
        end = _fixed(start, v, duration_s, parameters, model, _rk4_step, steps)
    else:
        end = _rk4_converged(start, v, duration_s, parameters, model)
    if not bool(torch.isfinite(end).all()):
        raise _not_finite(end)
    return end


def _not_finite(end: torch.Tensor) -> DeviceError:
    bad = int((~torch.isfinite(end)).sum())
    return DeviceError(
        f"the rate is not finite in {bad} of {end.numel()} cells (|gamma| >= 1: the field is beyond the hopping "
        "model): lower |voltage_v| or raise r or dW_A"
    )


type _Step = Callable[[torch.Tensor, float, Callable[[torch.Tensor], torch.Tensor]], torch.Tensor]


def _euler_step(n: torch.Tensor, dt: float, slope: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    return n + dt * slope(n)


def _rk4_step(n: torch.Tensor, dt: float, slope: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    k1 = slope(n)
    k2 = slope(n + 0.5 * dt * k1)
    k3 = slope(n + 0.5 * dt * k2)
    k4 = slope(n + dt * k3)
    return n + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def _fixed(
    start: torch.Tensor, v: torch.Tensor, duration_s: float, p: CellParameters, model: str, step: _Step, steps: int
) -> torch.Tensor:
    # A cell that starts outside [N_min, N_max] may not be thrown back in by the clamp.
    low = torch.minimum(torch.as_tensor(p.N_min, dtype=start.dtype, device=start.device), start)
    high = torch.maximum(torch.as_tensor(p.N_max, dtype=start.dtype, device=start.device), start)

    def clamp(state: torch.Tensor) -> torch.Tensor:
        return torch.minimum(torch.maximum(state, low), high)

    def slope(state: torch.Tensor) -> torch.Tensor:
        return signed_rate(v, clamp(state), p, model)

    state = start
    for _ in range(steps):
        state = clamp(step(state, duration_s / steps, slope))
    return state


def _rk4_converged(
    start: torch.Tensor, v: torch.Tensor, duration_s: float, p: CellParameters, model: str
) -> torch.Tensor:
    steps, coarse = 2, _fixed(start, v, duration_s, p, model, _rk4_step, 1)
    while steps <= _MAX_RK4_STEPS:
        fine = _fixed(start, v, duration_s, p, model, _rk4_step, steps)
        if not bool(torch.isfinite(fine).all()):
            raise _not_finite(fine)
        if bool(((fine - coarse).abs() <= 1e-6 * (fine - start).abs() + 1e-15 * start).all()):
            return fine
        coarse, steps = fine, steps * 2
    raise DeviceError(f"method = 'rk4' did not converge in {_MAX_RK4_STEPS} steps: use method = 'adaptive'")


# Dormand-Prince 5(4), J. Comput. Appl. Math. 6 (1980) 19.
_A = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_E = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def _adaptive(
    start: torch.Tensor, v: torch.Tensor, duration_s: float, p: CellParameters, model: str, rtol: float
) -> torch.Tensor:
    """The end state, with a step size of its own for every cell."""
    is_set = v < 0
    log_low = torch.log(torch.as_tensor(p.N_min, dtype=start.dtype, device=start.device))
    log_high = torch.log(torch.as_tensor(p.N_max, dtype=start.dtype, device=start.device))
    log_start = torch.log(start)
    distance = torch.where(is_set, log_high - log_start, log_start - log_low)
    moving = (v != 0) & (distance > 0) & (duration_s > 0)

    # A cell's bits may not depend on its place in the tensor: softplus and pow do, exp and log do not.
    def log_n(y: torch.Tensor) -> torch.Tensor:
        z = -BOUND_EXPONENT * y
        u = (z.clamp_min(0.0) + torch.log1p(torch.exp(-z.abs()))) / BOUND_EXPONENT
        return torch.where(is_set, log_high - u, log_low + u)

    def slope(y: torch.Tensor) -> torch.Tensor:
        x = log_n(y)
        return torch.exp(log_speed(v, torch.exp(x), p, model) - x)

    u = torch.where(moving, distance, torch.ones_like(distance))
    y = -(u + torch.log(-torch.expm1(-BOUND_EXPONENT * u)) / BOUND_EXPONENT)  # -ln(exp(10 u) - 1) / 10
    time = torch.where(moving, 0.0, duration_s).to(start.dtype)
    k1 = slope(torch.where(moving, y, torch.ones_like(y)))
    if not bool(torch.isfinite(k1[moving]).all()):
        raise _not_finite(torch.where(moving, k1, 0.0))
    step = torch.clamp(0.05 / k1, max=duration_s)
    for _ in range(_MAX_ADAPTIVE_ROUNDS):
        active = time < duration_s
        if not bool(active.any()):
            break
        step = torch.minimum(step, duration_s - time)
        k = [k1]
        for row in _A:
            k.append(slope(y + step * sum(c * ki for c, ki in zip(row, k, strict=True))))
        trial = y + step * sum(c * ki for c, ki in zip(_A[-1], k, strict=False))
        error = (step * sum(c * ki for c, ki in zip(_E, k, strict=True))).abs() / rtol
        error = torch.where(torch.isfinite(error), error, torch.full_like(error, 1e10))
        accept = active & (error <= 1)
        # The last step ends exactly at duration_s, whatever the rounding of the sum.
        time = torch.where(accept, torch.where(step >= duration_s - time, duration_s, time + step), time)
        y = torch.where(accept, trial, y)
        k1 = torch.where(accept, k[-1], k1)
        factor = torch.clamp(0.9 * torch.exp(-0.2 * torch.log(error.clamp_min(1e-10))), 0.1, 5.0)
        step = torch.where(active, step * factor, step)
    else:
        raise DeviceError(f"the integration did not converge in {_MAX_ADAPTIVE_ROUNDS} steps: raise rtol")
    return torch.where(moving, torch.exp(log_n(y)), start)
