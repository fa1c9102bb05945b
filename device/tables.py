"""Look-up tables that make a pulse cheap: g(ln N, r) = ln(|dN/dt| / N), the power and the read weight.

The rate without its bound factor is smooth in ln N and r for the explicit model; nu_0, the disc length, the
mismatch and F multiply it analytically. A table is checked against the direct rate when it is built and refined
until the largest error of the rate is below ``TOLERANCE``.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from .conduction import current
from .errors import DeviceError
from .kinetics import log_speed
from .parameters import CellParameters
from .periphery import Periphery

TOLERANCE = 3e-4
_MAX_NODES = 1 << 18


@dataclass(frozen=True)
class RateTables:
    """Tables over equidistant nodes of x = ln N and, where the radius varies, of r. All float64.

    Attributes:
        x_first, x_step, r_first, r_inverse_step: the nodes.
        g_set, g_reset: (nodes of x, nodes of r), ln(|dN/dt| / N) in 1/s without the bound factor.
        power_set, power_reset: (nodes of x,), |V I| in W.
        weight: (nodes of x,), what the periphery reads.
        error: largest relative error of the rate, measured between the nodes.
    """

    x_first: float
    x_step: float
    r_first: float
    r_inverse_step: float
    g_set: np.ndarray
    g_reset: np.ndarray
    power_set: np.ndarray
    power_reset: np.ndarray
    weight: np.ndarray
    error: float


def build_tables(
    parameters: CellParameters,
    periphery: Periphery,
    log_n: tuple[float, float],
    radius: tuple[float, float],
    set_voltage_v: float,
    reset_voltage_v: float,
    model: str = "explicit",
) -> RateTables:
    """Tables of one array over the given ranges of ln N and radius.

    Args:
        parameters: nominal, floats only.
        log_n, radius: smallest and largest value that a cell of the array can reach.
        set_voltage_v, reset_voltage_v: of the pulses, V; SET below 0, RESET above.

    Raises:
        DeviceError: the rate is not finite in the range, or no table of reasonable size is accurate.

    Example:
        >>> from vcm_sweep.device.periphery import Periphery
        >>> tables = build_tables(CellParameters(), Periphery(), (-2.8, 0.7), (45e-9, 45e-9), -0.342, 0.7065)
        >>> tables.error <= TOLERANCE
        True
    """
    if not set_voltage_v < 0 < reset_voltage_v:
        raise DeviceError(
            f"set_voltage_v = {set_voltage_v!r} must be below 0 and reset_voltage_v = {reset_voltage_v!r} above"
        )
    fixed_radius = radius[1] - radius[0] < 1e-6 * radius[1]
    x_nodes, r_nodes = 193, 1 if fixed_radius else 8
    while True:
        x = torch.linspace(*log_n, x_nodes, dtype=torch.float64)
        r = torch.linspace(*radius, r_nodes, dtype=torch.float64)
        g_set = _log_speed_over_n(x, r, set_voltage_v, parameters, model)
        g_reset = _log_speed_over_n(x, r, reset_voltage_v, parameters, model)
        x_error = r_error = 0.0
        for g, voltage in ((g_set, set_voltage_v), (g_reset, reset_voltage_v)):
            x_error = max(x_error, _middle_error_x(g, x, r, voltage, parameters, model))
            if not fixed_radius:
                r_error = max(r_error, _middle_error_r(g, x, r, voltage, parameters, model))
        if max(x_error, r_error) <= TOLERANCE:
            break
        if x_error > TOLERANCE / 2:
            x_nodes = 2 * x_nodes - 1
        if r_error > TOLERANCE / 2:
            r_nodes = 2 * r_nodes
        if x_nodes * r_nodes > _MAX_NODES:
            raise DeviceError(
                f"no rate table is accurate over r = {radius[0]:.3g}..{radius[1]:.3g} m: narrow the range of r (clip)"
            )
    n = torch.exp(x)
    return RateTables(
        x_first=log_n[0],
        x_step=(log_n[1] - log_n[0]) / (x_nodes - 1),
        r_first=radius[0],
        r_inverse_step=0.0 if fixed_radius else (r_nodes - 1) / (radius[1] - radius[0]),
        g_set=g_set.numpy(),
        g_reset=g_reset.numpy(),
        power_set=(set_voltage_v * current(set_voltage_v, n, parameters, model)).abs().numpy(),
        power_reset=(reset_voltage_v * current(reset_voltage_v, n, parameters, model)).abs().numpy(),
        weight=periphery.weight(n).numpy(),
        error=max(x_error, r_error),
    )


def _log_speed_over_n(
    x: torch.Tensor, r: torch.Tensor, voltage_v: float, parameters: CellParameters, model: str
) -> torch.Tensor:
    """g on the grid of x and r, (x, r)."""
    grid = torch.exp(x)[:, None].expand(len(x), len(r)).contiguous()
    cells = parameters.replace(r=r[None, :])
    g = log_speed(torch.full_like(grid, voltage_v), grid, cells, model) - x[:, None]
    if not bool(torch.isfinite(g).all()):
        bad = r[(~torch.isfinite(g)).any(0)]
        raise DeviceError(
            f"the rate is not finite at r = {bad[0].item():.3g} m, {voltage_v} V (|gamma| >= 1: the field is "
            "beyond the hopping model): raise r or narrow its range (clip)"
        )
    return g


def _middle_error_x(
    g: torch.Tensor, x: torch.Tensor, r: torch.Tensor, voltage_v: float, parameters: CellParameters, model: str
) -> float:
    middle = 0.5 * (x[1:] + x[:-1])
    exact = _log_speed_over_n(middle, r, voltage_v, parameters, model)
    return torch.expm1(exact - 0.5 * (g[1:] + g[:-1])).abs().max().item()


def _middle_error_r(
    g: torch.Tensor, x: torch.Tensor, r: torch.Tensor, voltage_v: float, parameters: CellParameters, model: str
) -> float:
    middle = 0.5 * (r[1:] + r[:-1])
    exact = _log_speed_over_n(x, middle, voltage_v, parameters, model)
    worst = 0.0
    for k in range(len(middle)):
        j = min(max(k - 1, 0), len(r) - 4)
        t = k + 0.5 - j
        weights = [math.prod((t - b) / (a - b) for b in range(4) if b != a) for a in range(4)]
        cubic = sum(weight * g[:, j + i] for i, weight in enumerate(weights))
        worst = max(worst, torch.expm1(exact[:, k] - cubic).abs().max().item())
    return worst
