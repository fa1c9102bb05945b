"""Where the model's own assumptions end.

The temperature is taken as quasi-static, which holds while a cell switches slowly compared with its thermal time
constant of about 1 ns. A filament hotter than 2000 K is no longer the material that the parameters describe. Outside
these limits a result is still computed, and marked. At ``|gamma| >= 1`` (equation 9: the field removes the whole
barrier) the hopping model has no answer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.constants import VACANCY_CHARGE_NUMBER, constants_of
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.kinetics import bound_factor, field_of, log_speed, temperature_of
from vcm_sweep.device.physics.parameters import CellParameters, Value
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import no_grad, torch

HOTTEST_K = 2000.0
FASTEST_S = 5e-9  # several thermal time constants of the filament, which are 0.8 ns in SET and 0.2 ns in RESET


@public
class Validity(NamedTuple):
    """Which cells left the range in which the model holds, and by how much at worst.

    ``outside``: bool, of the cells' shape. ``worst_temperature_k``: the highest temperature of any cell.
    ``fastest_switching_s``: the shortest time constant N/|dN/dt| of any cell; inf where nothing moves.
    """

    outside: torch.Tensor
    worst_temperature_k: float
    fastest_switching_s: float


def check_state(temperature_k: Value, log_rate_over_n: Value) -> Validity:
    """The validity of cells in a given state.

    Args:
        temperature_k: of the filaments, K.
        log_rate_over_n: ln of |dN/dt| / N in 1/s; -inf for a cell at rest. Broadcasts against the temperature.

    Returns:
        ``outside`` where the temperature is above 2000 K, the time constant N/|dN/dt| is below 5 ns, or either is
        not a number.

    Example:
        >>> check_state(2100.0, math.log(1 / 50e-9))
        Validity(outside=tensor(True), worst_temperature_k=2100.0, fastest_switching_s=5.0...e-08)
    """
    device = next((x.device for x in (temperature_k, log_rate_over_n) if isinstance(x, torch.Tensor)), None)
    hot, fast = (
        torch.as_tensor(x, dtype=torch.float64, device=device).detach() for x in (temperature_k, log_rate_over_n)
    )
    outside = ~((hot <= HOTTEST_K) & (fast <= -math.log(FASTEST_S)))
    if outside.numel() == 0:
        return Validity(outside, -math.inf, math.inf)
    worst = torch.where(torch.isnan(hot), -torch.inf, hot).max().item()
    fastest = torch.where(torch.isnan(fast), -torch.inf, fast).max().item()
    return Validity(outside, worst, math.exp(-fastest) if fastest > -math.inf else math.inf)


def validity_of(v: torch.Tensor, n: torch.Tensor, parameters: CellParameters, model: str, i: torch.Tensor) -> Validity:
    """The validity of cells in a given state, with ``i`` the current in that state; of the broadcast shape."""
    with torch.no_grad():
        fast = log_speed(v, n, parameters, model, i) + torch.log(bound_factor(v, n, parameters)) - torch.log(n)
        hot, fast = torch.broadcast_tensors(temperature_of(v, i, parameters), fast)
        found = check_state(hot, fast)
        return found._replace(outside=found.outside | ~(hot > 0))


def refuse_cold(kelvin: torch.Tensor, see: str = "validity = True") -> None:
    """Raise DeviceError for temperatures that are not above 0 K; ``see`` names the option that marks them instead."""
    bad = ~(kelvin > 0)
    if bool(bad.any()):
        raise DeviceError(
            f"the temperature must be above 0 K: {int(bad.sum())} of {bad.numel()} cells are not, the worst at "
            f"{kelvin[bad].min().item():.3g} K, as the current is used outside its range: lower |voltage_v|, raise n "
            f"or try model = 'full', or have them marked with {see}"
        )


def refuse_without_rate(
    rate: torch.Tensor, v: torch.Tensor, n: torch.Tensor, parameters: CellParameters, model: str, i: torch.Tensor
) -> None:
    """Raise DeviceError for cells whose rate is not a number, because of their temperature or of their field."""
    bad = torch.isnan(rate)
    if not bool(bad.any()):
        return
    refuse_cold(temperature_of(v, i, parameters))
    gamma = field_ratio(v, n, parameters, model, i).expand(bad.shape)[bad]
    raise DeviceError(
        f"the field must be within the hopping model (|gamma| < 1): {int(bad.sum())} of {bad.numel()} cells are beyond "
        f"it, the worst at {gamma.max().item():.3g}: lower |voltage_v| or raise r, mu_n or dW_A, or have them "
        "marked with validity = True"
    )


def field_ratio(
    v: torch.Tensor, n: torch.Tensor, parameters: CellParameters, model: str, i: torch.Tensor | None = None
) -> torch.Tensor:
    """|gamma| of equation (9); the hopping model holds below 1. ``i``: the current, if the caller knows it."""
    if i is None:
        i = current_function(model)(v, n, parameters)
    field = field_of(v, i, n, parameters, constants_of(model).elementary_charge).abs()
    return VACANCY_CHARGE_NUMBER * field * parameters.a / (math.pi * parameters.dW_A)


class Extremes:
    """The highest temperature and rate that each cell has reached so far."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.temperature_k = torch.full((count,), -torch.inf, dtype=torch.float64, device=device)
        self.log_rate = torch.full_like(self.temperature_k, -torch.inf)

    @no_grad
    def see(
        self, index: torch.Tensor, v: torch.Tensor, n: torch.Tensor, parameters: CellParameters, model: str
    ) -> None:
        """Take in a state of the cells at ``index``, which are the first ``len(index)`` entries of ``n``."""
        hot = temperature_of(v, current_function(model)(v, n, parameters), parameters)
        fast = log_speed(v, n, parameters, model) + torch.log(bound_factor(v, n, parameters)) - torch.log(n)
        for worst, now in ((self.temperature_k, hot), (self.log_rate, fast)):
            now = now.expand(n.shape).reshape(-1)[: len(index)]
            worst[index] = torch.fmax(worst[index], now)

    def validity(self, shape: torch.Size, beyond: torch.Tensor) -> Validity:
        """The validity of all cells; those ``beyond`` the hopping model are outside as well."""
        found = check_state(self.temperature_k, self.log_rate)
        return found._replace(outside=(found.outside | beyond).reshape(shape))
