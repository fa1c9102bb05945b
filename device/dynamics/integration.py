"""The state of a cell after one rectangular pulse.

The methods are ``euler``, that of the published device (100 explicit steps of 10 ns per microsecond); ``midpoint`` and
``rk4``, equal steps of order 2 and 4; ``adaptive``, an error-controlled Dormand-Prince pair that never overshoots a
bound; and ``auto``, one RK4 step for cells whose estimated error is small and ``adaptive`` for the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, overload

from vcm_sweep.device.dynamics.adaptive import adaptive
from vcm_sweep.device.dynamics.fixed_steps import checked_rk4, euler, fixed, midpoint, rk4, rk4_converged
from vcm_sweep.device.dynamics.lanes import LANES, Lanes, PulseEnd, padded
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.currents import checked_state, current_function
from vcm_sweep.device.physics.kinetics import temperature_of
from vcm_sweep.device.physics.parameters import CellParameters, Value
from vcm_sweep.device.physics.validity import Extremes, Validity, field_ratio, refuse_cold
from vcm_sweep.device.torch_later import torch

METHODS = ("adaptive", "auto", "rk4", "midpoint", "euler")
ON_INVALID = ("error", "record")
PAPER_EULER_STEPS = 100
DEFAULT_RTOL = {"adaptive": 1e-7, "auto": 1e-3}
# With larger tolerances the error estimates are unreliable: adaptive steps with rtol = 3e-4 end an avalanche wrong by
# 0.2 %, with 1e-3 by 26 %.
MAX_RTOL = {"adaptive": 1e-4, "auto": 1e-3}
# Safety factors of ``auto``. Over 43,000 pulses of the explicit model the true error was at most 2.1 times the estimate
# of checked_rk4; that of adaptive steps was at most 8 times their tolerance at 1e-4, and below the tolerance at 3e-5.
_ESTIMATE_SAFETY, _ADAPTIVE_SAFETY = 3.0, 30.0


@overload
def integrate(
    n: Value,
    voltage_v: Value,
    duration_s: float,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    method: str = "adaptive",
    steps: int | None = None,
    rtol: float | None = None,
    *,
    validity: Literal[False] = False,
    on_invalid: str = "error",
) -> torch.Tensor: ...
@overload
def integrate(
    n: Value,
    voltage_v: Value,
    duration_s: float,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    method: str = "adaptive",
    steps: int | None = None,
    rtol: float | None = None,
    *,
    validity: Literal[True],
    on_invalid: str = "error",
) -> tuple[torch.Tensor, Validity]: ...
def integrate(  # noqa: PLR0913  (each is an option that users name)
    n: Value,
    voltage_v: Value,
    duration_s: float,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    method: str = "adaptive",
    steps: int | None = None,
    rtol: float | None = None,
    *,
    validity: bool = False,
    on_invalid: str = "error",
) -> torch.Tensor | tuple[torch.Tensor, Validity]:
    """The vacancy concentration after a pulse, in 1e26/m3, without the window clamp.

    Args:
        n: concentration before the pulse, 1e26/m3, any shape.
        voltage_v: V, constant over the pulse; negative is SET. Broadcasts against ``n``.
        duration_s: length of the pulse, s, >= 0.
        parameters: the parameters of the cell or cells; default the nominal cell.
        model: the current model, see :func:`vcm_sweep.device.current`.
        method: ``"adaptive"`` (default), ``"auto"``, ``"rk4"``, ``"midpoint"`` or ``"euler"``.
        steps: number of equal steps of ``rk4``, ``midpoint`` and ``euler``. The default is the paper's 100; for ``rk4``
            the number is doubled until this changes no cell's change of N by more than 1e-6 of it.
        rtol: relative tolerance of ``adaptive`` and ``auto``: the result is the exact one of a pulse that is longer or
            shorter by about this fraction. For a cell that does not avalanche that is the relative error of its change
            of N. ``adaptive``: default 1e-7, at most 1e-4; ``auto``: default and largest value 1e-3.
        validity: also return whether the cells stayed within the model's validity, see
            :class:`vcm_sweep.device.Validity`; it is checked at the start and after every step that was taken.
        on_invalid: what happens to a cell whose field is too strong for the hopping model (|gamma| >= 1).
            ``"error"`` raises; ``"record"``, with ``validity``, leaves the cell in its last valid state and marks it.

    Returns:
        float64, of the broadcast shape, within [N_min, N_max] unless the cell started outside: a cell at or
        past a bound does not move further out. With ``validity`` a pair of that and the Validity.

    Raises:
        DeviceError: an argument out of range, a field beyond the model, or an integration that does not converge.
            The result never contains NaN.

    Example:
        >>> after = integrate(0.3, -0.342, 1e-6)      # one SET pulse
        >>> bool(after > 0.3)
        True
        >>> _, validity = integrate(0.3, -0.8, 1e-9, validity=True)
        >>> bool(validity.outside)
        True
    """
    if not (isinstance(duration_s, (int, float)) and math.isfinite(duration_s) and duration_s >= 0):
        raise DeviceError(f"duration_s = {duration_s!r} must be a finite number of seconds, at least 0")
    rtol = _checked_options(method, steps, rtol, validity, on_invalid)
    checked_state(voltage_v, n, parameters)
    parameters = parameters or CellParameters()
    device = next((x.device for x in (n, voltage_v) if isinstance(x, torch.Tensor)), None)
    start, volts = (torch.as_tensor(x, dtype=torch.float64, device=device) for x in (n, voltage_v))
    cells, shape = Lanes.of(start, volts, float(duration_s), parameters, model)
    extremes = Extremes(shape.numel(), cells.n.device) if validity else None
    end = run(cells, lambda block: _pulse(block, method, steps, rtol, extremes), extremes)
    if on_invalid == "error":
        refuse_beyond(cells, end)
    if extremes is None:
        return end.n.reshape(shape)
    return end.n.reshape(shape), extremes.validity(shape, end.beyond)


def _checked_options(method: str, steps: int | None, rtol: float | None, validity: bool, on_invalid: str) -> float:
    """The tolerance in use; raises DeviceError for options that are wrong or contradict each other."""
    if method not in METHODS:
        raise DeviceError(f"method = {method!r} must be one of {', '.join(map(repr, METHODS))}")
    whole = isinstance(steps, int) and not isinstance(steps, bool)
    if steps is not None and (method in DEFAULT_RTOL or not whole or steps < 1):
        raise DeviceError(
            f"steps = {steps!r} must be a whole number of at least 1, and needs method = 'rk4', 'midpoint' or 'euler'"
        )
    if rtol is not None and not 0 < rtol <= MAX_RTOL.get(method, 0.0):
        limits = " or ".join(f"{high:g} with method = {name!r}" for name, high in MAX_RTOL.items())
        raise DeviceError(f"rtol = {rtol!r} must be above 0 and at most {limits}; other methods have none")
    if on_invalid not in ON_INVALID:
        raise DeviceError(f"on_invalid = {on_invalid!r} must be one of {', '.join(map(repr, ON_INVALID))}")
    if on_invalid == "record" and not validity:
        raise DeviceError("on_invalid = 'record' needs validity = True, which returns the cells that were marked")
    return DEFAULT_RTOL.get(method, 0.0) if rtol is None else rtol


def _pulse(cells: Lanes, method: str, steps: int | None, rtol: float, extremes: Extremes | None) -> PulseEnd:
    if method == "adaptive":
        return adaptive(cells, rtol, extremes)
    if method == "auto":
        return _auto(cells, rtol, extremes)
    if method == "rk4" and steps is None:
        return rk4_converged(cells, extremes)
    step = {"euler": euler, "midpoint": midpoint, "rk4": rk4}[method]
    return fixed(cells, step, steps or PAPER_EULER_STEPS, extremes)


def _auto(cells: Lanes, rtol: float, extremes: Extremes | None) -> PulseEnd:
    """One RK4 step for each cell whose estimated error allows it, and ``adaptive`` for the others."""
    count = len(cells.index)
    end, error = checked_rk4(cells)
    rest = (~(error.detach() <= rtol / _ESTIMATE_SAFETY)).reshape(-1)[:count].nonzero().reshape(-1)
    if extremes is not None:
        # Cells whose step was rejected show their start instead, so that a state never reached is not counted.
        good = torch.where(error.detach() <= rtol / _ESTIMATE_SAFETY, end.detach(), cells.n.detach())
        extremes.see(cells.index, cells.volts, good, cells.parameters, cells.model)
    n, beyond = end.reshape(-1)[:count], torch.zeros(count, dtype=torch.bool, device=cells.n.device)
    if len(rest):
        redone = adaptive(cells.take(rest), rtol / _ADAPTIVE_SAFETY, extremes)
        n, beyond = n.index_put((rest,), redone.n), beyond.index_put((rest,), redone.beyond)
    return PulseEnd(n, beyond)


def run(cells: Lanes, solve: Callable[[Lanes], PulseEnd], extremes: Extremes | None) -> PulseEnd:
    """The end of all cells: those that move are solved block by block with ``solve``, the others stay as they are."""
    count = len(cells.index)
    n, beyond = cells.n.reshape(-1)[:count], torch.zeros(count, dtype=torch.bool, device=cells.n.device)
    if count and extremes is not None:
        for block in cells.blocks(cells.index):
            extremes.see(block.index, block.volts, block.n, block.parameters, block.model)
    moving = cells.moving()
    if len(moving):
        blocks = list(cells.blocks(moving))
        ends = [solve(block) for block in blocks]
        n = n.index_put((moving,), torch.cat([end.n for end in ends]))
        beyond[moving] = torch.cat([end.beyond for end in ends])
    return PulseEnd(n, beyond)


def refuse_beyond(cells: Lanes, end: PulseEnd, instead: str = "validity = True, on_invalid = 'record'") -> None:
    """Raise DeviceError if cells stopped because the hopping model has no answer; ``instead``: what marks them."""
    bad = end.beyond.nonzero().reshape(-1)
    if len(bad) == 0:
        return
    left = cells.take(bad)
    volts = left.volts
    if left.end_volts is not None:
        volts = torch.where(volts.abs() > left.end_volts.abs(), volts, left.end_volts)
    n = end.n.detach()[padded(bad)].reshape(-1, LANES)
    i = current_function(left.model)(volts, n, left.parameters)
    kelvin = temperature_of(volts, i, left.parameters).expand(n.shape).reshape(-1)[: len(bad)]
    refuse_cold(kelvin, instead)
    gamma = field_ratio(volts, n, left.parameters, left.model, i)
    raise DeviceError(
        f"the field is beyond the hopping model (|gamma| >= 1, worst {gamma.nan_to_num().max().item():.3g}) in "
        f"{len(bad)} of {len(cells.index)} cells: lower |voltage_v| or raise r, mu_n or dW_A, or have them marked with "
        f"{instead}"
    )
