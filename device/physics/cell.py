"""What a cell does in one state: its current, its temperature, and how fast it moves."""

from __future__ import annotations

from typing import Literal, overload

from vcm_sweep.device.physics.currents import checked_state, current_function
from vcm_sweep.device.physics.kinetics import signed_rate, temperature_of
from vcm_sweep.device.physics.parameters import CellParameters, Value
from vcm_sweep.device.physics.validity import Validity, refuse_cold, refuse_without_rate, validity_of
from vcm_sweep.device.torch_later import torch


@overload
def current(
    voltage_v: Value,
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    *,
    validity: Literal[False] = False,
) -> torch.Tensor: ...


@overload
def current(
    voltage_v: Value,
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    *,
    validity: Literal[True],
) -> tuple[torch.Tensor, Validity]: ...


def current(
    voltage_v: Value,
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    *,
    validity: bool = False,
) -> torch.Tensor | tuple[torch.Tensor, Validity]:
    """The current in A, negative for a negative (SET) voltage.

    Args:
        voltage_v: applied between active and ohmic electrode, V; broadcasts against ``n``.
        n: vacancy concentration of the disc, 1e26/m3, > 0.
        parameters: the parameters of the cell or cells, tensors broadcast against ``n``; default: the nominal cell.
            The explicit model does not use them.
        model: ``"explicit"`` or ``"full"``.
        validity: also return whether the cells are within the model's validity in this state, see
            :class:`vcm_sweep.device.Validity`.

    Returns:
        float64, of the broadcast shape. It is differentiable; the full model uses implicit differentiation.
        With ``validity`` a pair of that and the Validity.

    Raises:
        DeviceError: a voltage or concentration is not finite, n <= 0, shapes that do not broadcast, or an unknown
            model.

    Example:
        >>> print(f"{current(0.2, 0.06).item():.5e}")
        1.88906e-05
        >>> print(f"{current(0.2, 0.06, model='full').item():.5e}")
        2.00320e-05
        >>> current(-0.9, 0.3, model="full", validity=True)[1].outside
        tensor(True)
    """
    v, concentration = checked_state(voltage_v, n, parameters)
    parameters = parameters or CellParameters()
    i = current_function(model)(v, concentration, parameters)
    return (i, validity_of(v, concentration, parameters, model, i)) if validity else i


@overload
def temperature(
    voltage_v: Value,
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    *,
    validity: Literal[False] = False,
) -> torch.Tensor: ...


@overload
def temperature(
    voltage_v: Value,
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    *,
    validity: Literal[True],
) -> tuple[torch.Tensor, Validity]: ...


def temperature(
    voltage_v: Value,
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    *,
    validity: bool = False,
) -> torch.Tensor | tuple[torch.Tensor, Validity]:
    """The quasi-static temperature of the filament in K, equation (5).

    The arguments are those of :func:`vcm_sweep.device.current`.

    Returns:
        float64, of the broadcast shape. With ``validity`` a pair of that and the Validity, whatever the temperature.

    Raises:
        DeviceError: as in :func:`vcm_sweep.device.current`; without ``validity`` also a cell at or below 0 K, which can
            happen with the explicit current far outside the range of its fit.

    >>> round(temperature(-0.342, 1.98974521).item())
    551
    """
    v, concentration = checked_state(voltage_v, n, parameters)
    parameters = parameters or CellParameters()
    i = current_function(model)(v, concentration, parameters)
    kelvin = temperature_of(v, i, parameters)

    if validity:
        return kelvin, validity_of(v, concentration, parameters, model, i)
    refuse_cold(kelvin)
    return kelvin


@overload
def rate(
    voltage_v: Value,
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    *,
    validity: Literal[False] = False,
) -> torch.Tensor: ...


@overload
def rate(
    voltage_v: Value,
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    *,
    validity: Literal[True],
) -> tuple[torch.Tensor, Validity]: ...


def rate(
    voltage_v: Value,
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    *,
    validity: bool = False,
) -> torch.Tensor | tuple[torch.Tensor, Validity]:
    """dN/dt in 1e26/m3/s, equations (1-4): positive in SET (V < 0), negative in RESET, 0 at V = 0.

    The rate is 0 for a cell that is at or past N_max in SET, or N_min in RESET.
    The arguments are those of :func:`vcm_sweep.device.current`.

    Returns:
        float64, of the broadcast shape. With ``validity`` a pair of that and the Validity: cells for which the hopping
        model has no rate are NaN and marked ``outside``.

    Raises:
        DeviceError: as in :func:`vcm_sweep.device.current`; without ``validity`` also a cell without a rate: its field
            is too strong for the hopping model (|gamma| >= 1), or its temperature is not above 0 K.

    >>> rate(-0.342, 0.3).item() > 0 > rate(0.7065, 0.3).item()
    True
    """
    v, concentration = checked_state(voltage_v, n, parameters)
    parameters = parameters or CellParameters()
    i = current_function(model)(v, concentration, parameters)
    speed = signed_rate(v, concentration, parameters, model, i)

    if validity:
        return speed, validity_of(v, concentration, parameters, model, i)
    refuse_without_rate(speed, v, concentration, parameters, model, i)
    return speed
