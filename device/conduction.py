"""The current through a cell.

``full`` is the implicit model, see full_current.py: every parameter of the cell acts on it.

``explicit`` is the fit of Ntinas et al., IEEE TCAS-II (2022), used by arXiv 2403.06746: a function of voltage
and vacancy concentration alone, at the nominal geometry. It ignores radius, length, barrier and mobility, so
what a study says about those through the current is the fit's. Against the full model it is within 3.3 % at
-0.342 V, 3.8 % at 0.7065 V and 5.7 % at 0.2 V for N in 0.06..2.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, overload

import torch

from .errors import DeviceError
from .full_current import full_current
from .parameters import CellParameters, Value

if TYPE_CHECKING:
    from .validity import Validity

type CurrentFunction = Callable[[torch.Tensor, torch.Tensor, CellParameters], torch.Tensor]


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
) -> "tuple[torch.Tensor, Validity]": ...
def current(
    voltage_v: Value,
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    *,
    validity: bool = False,
) -> "torch.Tensor | tuple[torch.Tensor, Validity]":
    """The current in A, negative for a negative (SET) voltage.

    Args:
        voltage_v: applied between active and ohmic electrode, V; broadcasts against ``n``.
        n: vacancy concentration of the disc, 1e26/m3, > 0.
        parameters: of the cell or cells, tensors broadcast against ``n``; default the nominal one. The explicit
            model does not read it.
        model: ``"explicit"`` or ``"full"``.
        validity: return also whether the cells are within the model's validity in this state, see
            :class:`vcm_sweep.device.Validity`.

    Returns:
        float64, of the broadcast shape. Gradients flow, those of the full model by implicit differentiation.
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
    if not validity:
        return i
    from .validity import validity_of  # which imports this module

    return i, validity_of(v, concentration, parameters, model, i)


def current_function(model: str) -> CurrentFunction:
    """The unchecked current of a model, for callers that have checked their state."""
    try:
        return _MODELS[model]
    except KeyError:
        raise DeviceError(f"model = {model!r} must be one of {', '.join(map(repr, _MODELS))}") from None


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
    _refuse("voltage_v", "must be finite (V)", voltage, ~torch.isfinite(voltage))
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


# Coefficients of Ntinas et al. as arXiv 2403.06746 uses them; the compiled loops take them from here.
A0, A2, A3 = 4.81951e-5, 1.03685, 0.34567
B0, B1 = 7.0526e-4, 4.2383e-5
C0, C1, C2, C3 = 4.004, 2.8646, 4.2125, 1.4134
D0, D1, D2, D3 = 6.6103, 1.4524, 7.4235, 4.0585
F0, F1, F2, F3 = 6.326e-4, 1.4711, 0.5199, 1.561
G0, G1 = 4.84e-3, 0.1353
H0, H1, H2, H3 = 5.548, 6.8648, 51.586, 0.36
READ_EXPONENT, READ_ROOT, READ_REFERENCE_N = -1.054, 1.0526, 0.008


def _explicit_set(v: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    a1 = A0 * torch.exp(torch.tensor(-A2 / A3, dtype=torch.float64)).item()
    alpha = (a1 + A0) / (1 + torch.exp(-(v + A2) / A3)) - A0
    beta = B1 * (1 - torch.exp(-v)) - B0 * v
    c = C2 * torch.exp(-v / C3) + C1 * v - C0
    d = D2 * torch.exp(-v / D3) + D1 * v - D0
    f = F0 + (F1 - F0) / (1 + (-v / F2) ** F3)
    return -alpha - beta / (1 + (c / n) ** d) ** f


def explicit_read_coefficients(voltage_v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """g (A) and h of the explicit branch V > 0: I = g / (1 + h (N/0.008)^-1.054)^(1/1.0526)."""
    g = -G0 * torch.expm1(-G1 * voltage_v)
    h = H0 + H1 * voltage_v + H2 * torch.exp(-H3 * voltage_v)
    return g, h


def _explicit_reset(v: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    g, h = explicit_read_coefficients(v)
    return g / (1 + h * (n / READ_REFERENCE_N) ** READ_EXPONENT) ** (1 / READ_ROOT)


def _explicit(v: torch.Tensor, n: torch.Tensor, parameters: CellParameters) -> torch.Tensor:
    # Cells of one polarity, the common case, need one branch.
    if bool((v < 0).all()):
        return _explicit_set(v, n)
    if bool((v > 0).all()):
        return _explicit_reset(v, n)
    # Each branch is kept inside its own domain, so that gradients of the branch not taken stay finite.
    zero = torch.zeros_like(v)
    negative = _explicit_set(torch.where(v < 0, v, torch.full_like(v, -0.1)), n)
    positive = _explicit_reset(torch.where(v > 0, v, torch.full_like(v, 0.1)), n)
    return torch.where(v < 0, negative, torch.where(v > 0, positive, zero))


_MODELS: dict[str, CurrentFunction] = {"explicit": _explicit, "full": full_current}
MODELS = tuple(_MODELS)
