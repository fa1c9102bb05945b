"""The current through a cell: the choice of a model, and the check of a state.

``full`` is the implicit model, see full_current.py: every parameter of the cell acts on it.

``explicit`` is the fit of Ntinas et al., IEEE TCAS-II (2022), used by arXiv 2403.06746: a function of voltage
and vacancy concentration alone, at the nominal geometry. It ignores radius, length, barrier and mobility, so
a study that uses it cannot see what these do through the current. For N in 0.06..2 it agrees with the full model
within 3.3 % at -0.342 V, 3.8 % at 0.7065 V and 5.7 % at 0.2 V.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.explicit_current import explicit
from vcm_sweep.device.physics.full_current import full_current
from vcm_sweep.device.physics.parameters import CellParameters, Value
from vcm_sweep.device.torch_later import torch

CurrentFunction: TypeAlias = "Callable[[torch.Tensor, torch.Tensor, CellParameters], torch.Tensor]"


def current_function(model: str) -> CurrentFunction:
    """The current function of a model, without checks: for callers that have checked their state."""
    try:
        return _MODELS[model]
    except KeyError:
        raise DeviceError(f"model = {model!r} must be one of {', '.join(map(repr, _MODELS))}") from None


_LARGEST_V = 100.0  # what is larger is a slip of the unit, or overflows in the currents


def checked_state(
    voltage_v: Value, n: Value, parameters: CellParameters | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Voltage and concentration as float64 tensors of one shape on one device; ``parameters`` must broadcast to them.

    >>> checked_state("0.2", 0.3)
    Traceback (most recent call last):
    ...
    vcm_sweep.device.DeviceError: voltage_v = '0.2' must be a number in V or a tensor of them
    """
    if not isinstance(parameters, CellParameters | None):
        raise DeviceError(f"parameters = {parameters!r} must be a CellParameters, or None for the nominal cell")
    device = next((v.device for v in (voltage_v, n) if isinstance(v, torch.Tensor)), None)
    voltage, concentration = _numbers("voltage_v", voltage_v, "V", device), _numbers("n", n, "1e26/m3", device)
    far = ~(voltage.abs() <= _LARGEST_V)  # NaN fails every comparison
    _refuse("voltage_v", f"must be finite (V) and within +-{_LARGEST_V:g}: 1 mV is 1e-3", voltage, far)
    usable = torch.isfinite(concentration) & (concentration > 0)
    _refuse("n", "must be finite and > 0 (1e26/m3)", concentration, ~usable)
    varying = [x for x in (voltage, concentration) if x.dim()]
    if parameters is not None:
        varying += [x for name in parameters.names() if isinstance(x := getattr(parameters, name), torch.Tensor)]
    try:
        torch.broadcast_shapes(*(x.shape for x in varying))
    except RuntimeError:
        shapes = ", ".join(str(tuple(x.shape)) for x in varying)
        raise DeviceError(f"voltage_v, n and parameters of shapes {shapes} must broadcast to one shape") from None
    voltage, concentration = torch.broadcast_tensors(voltage, concentration)
    return voltage, concentration


def _numbers(name: str, value: Value, unit: str, device: torch.device | None) -> torch.Tensor:
    try:
        return torch.as_tensor(value, dtype=torch.float64, device=device)
    except (TypeError, ValueError, RuntimeError):
        raise DeviceError(f"{name} = {value!r} must be a number in {unit} or a tensor of them") from None


def _refuse(name: str, rule: str, values: torch.Tensor, bad: torch.Tensor) -> None:
    if not bool(bad.any()):
        return
    first = values[bad].reshape(-1)[0].item()
    if values.numel() == 1:
        raise DeviceError(f"{name} = {first:g} {rule}")
    raise DeviceError(f"{name} {rule}: {int(bad.sum())} of {bad.numel()} values are not, the first is {first:g}")


_MODELS: dict[str, CurrentFunction] = {"explicit": explicit, "full": full_current}
MODELS = tuple(_MODELS)
