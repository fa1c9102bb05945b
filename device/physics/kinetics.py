"""Temperature of the filament and motion of its oxygen vacancies.

Equations (1-11) of Bengel et al., IEEE TCAS-I 67(12) 4618 (2020). A negative voltage is SET: N rises.
"""

from __future__ import annotations

import math

from vcm_sweep.device.physics.constants import BOUND_EXPONENT, CONCENTRATION_UNIT, VACANCY_CHARGE_NUMBER, constants_of
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.torch_later import torch


def signed_rate(
    v: torch.Tensor, n: torch.Tensor, parameters: CellParameters, model: str, i: torch.Tensor | None = None
) -> torch.Tensor:
    """dN/dt as in :func:`vcm_sweep.device.rate`, for a checked state; NaN where the model has no rate."""
    still = v == 0
    if bool(still.any()):
        # Nothing moves there, and the logarithm's gradient is no number: a voltage at which any cell has one stands in.
        v, i = torch.where(still, 0.1, v), None
    speed = torch.exp(log_speed(v, n, parameters, model, i)) * bound_factor(v, n, parameters)
    return torch.where(still, torch.zeros_like(speed), -torch.sign(v) * speed)


def log_speed(
    v: torch.Tensor, n: torch.Tensor, parameters: CellParameters, model: str, i: torch.Tensor | None = None
) -> torch.Tensor:
    """ln |dN/dt| without the bound factor F, dN/dt in 1e26/m3/s; -inf at V = 0.

    The bracket of equation (1), exp(-e dW-/kT) - exp(-e dW+/kT), is 2 exp(-e W/kT) sinh(e dW_A gamma pi/2 kT)
    with W = dW_A (sqrt(1 - gamma^2) + gamma asin gamma); its logarithm neither overflows nor cancels.
    ``i``: the current, if the caller knows it; otherwise it is computed.
    """
    p = parameters
    if i is None:
        i = current_function(model)(v, n, p)
    charge, boltzmann = constants_of(model)
    thermal_v = boltzmann * temperature_of(v, i, p)
    gamma = VACANCY_CHARGE_NUMBER * field_of(v, i, n, p, charge).abs() * p.a / (math.pi * p.dW_A)
    barrier = p.dW_A * (torch.sqrt(1 - gamma**2) + gamma * torch.asin(gamma))
    drive = p.dW_A * gamma * (math.pi / 2) / thermal_v
    log_prefactor = torch.log(0.5 * (p.N_plug + n) * p.a * p.nu_0 / p.l)
    # ln(2 sinh x) = x + ln(1 - exp(-2x))
    return log_prefactor - barrier / thermal_v + drive + torch.log(-torch.expm1(-2 * drive))


def bound_factor(v: torch.Tensor, n: torch.Tensor, parameters: CellParameters) -> torch.Tensor:
    """F of equation (4): 1 far from the bound of the direction of motion, 0 at and past it."""
    ratio = torch.where(v < 0, n / parameters.N_max, parameters.N_min / n)
    # torch.pow can differ in the last bit between positions of a tensor (vectorised or remainder loop); exp and log
    # do not, so a cell's result does not depend on its neighbours.
    return (-torch.expm1(BOUND_EXPONENT * torch.log(ratio))).clamp_min(0.0)


def _series_resistance(i: torch.Tensor, p: CellParameters) -> torch.Tensor:
    return p.R_TiOx + p.R_0 * (1 + p.R_0 * p.alpha_line * i**2 * p.R_th_line)  # (12)


def temperature_of(v: torch.Tensor, i: torch.Tensor, p: CellParameters) -> torch.Tensor:
    """T in K of a filament at voltage ``v`` that carries the current ``i``, equation (5)."""
    scaling = torch.where(v > 0, torch.as_tensor(p.R_theff_scaling, dtype=v.dtype, device=v.device), 1.0)
    thermal_resistance = p.R_th0 * (p.r_nominal / p.r) ** 2 * scaling  # (6)
    return p.T_0 + i * (v - i * _series_resistance(i, p)) * thermal_resistance


def field_of(v: torch.Tensor, i: torch.Tensor, n: torch.Tensor, p: CellParameters, charge: float) -> torch.Tensor:
    """The field in V/m that drives the vacancies: over the disc in SET, over the whole cell length in RESET.

    ``charge``: the elementary charge of the current model in use, in C.
    """
    area = math.pi * p.r**2
    # I R_disc / l, equations (10) and (13): the disc length cancels.
    disc = i / (n * CONCENTRATION_UNIT * VACANCY_CHARGE_NUMBER * charge * p.mu_n * area)
    whole = (v - i * _series_resistance(i, p)) / p.l_cell  # (11)
    return torch.where(v < 0, disc, whole)
