"""The parameters of one JART VCM v1b cell, with units, allowed ranges and cross-rules.

Source: Bengel et al., IEEE TCAS-I 67(12) 4618 (2020), table of the deterministic model.
"""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any, TypeAlias

from vcm_sweep.device.declared import Declared, declared, meant, number
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.public import public
from vcm_sweep.device.torch_later import torch

Value: TypeAlias = "float | torch.Tensor"


def _parameter(default: float, unit: str, low: float, high: float, meaning: str) -> Any:
    return number(default, low, high, unit, meaning)


@public
@dataclass(frozen=True, eq=False)
class CellParameters:
    """Physical parameters of a cell, or of an array of cells.

    Every field is a float or a tensor that broadcasts over the cells; tensors are converted to float64. SI units;
    concentrations in 1e26/m3. Values are checked when the object is built.

    Raises:
        DeviceError: a value is not finite, is outside its allowed range, or contradicts another one (l must be below
            l_cell, N_min below N_max). For a tensor the message says how many cells are wrong and gives the worst.

    Example:
        >>> CellParameters(r=40.5e-9).r
        4.05e-08
        >>> CellParameters(l=5e-9)
        Traceback (most recent call last):
        ...
        vcm_sweep.device.DeviceError: l = 5e-09 m must be below l_cell = 3e-09 m: lower l or raise l_cell
    """

    T_0: Value = _parameter(293.0, "K", 77.0, 1000.0, "ambient temperature")
    eps: Value = _parameter(17.0, "-", 10.0, 25.0, "static permittivity")
    eps_phiB: Value = _parameter(5.5, "-", 1.0, 100.0, "permittivity for barrier lowering")
    phi_Bn0: Value = _parameter(0.18, "eV", 0.1, 0.5, "Schottky barrier height")
    phi_n: Value = _parameter(0.1, "eV", 0.1, 0.3, "distance of conduction band and Fermi level")
    mu_n: Value = _parameter(4e-6, "m2/Vs", 1e-6, 1e-5, "electron mobility")
    N_max: Value = _parameter(20.0, "1e26/m3", 0.001, 1100.0, "largest vacancy concentration in the disc")
    N_min: Value = _parameter(0.008, "1e26/m3", 1e-4, 100.0, "smallest vacancy concentration in the disc")
    N_plug: Value = _parameter(20.0, "1e26/m3", 0.001, 100.0, "vacancy concentration in the plug")
    a: Value = _parameter(0.25e-9, "m", 0.1e-9, 1e-9, "ion hopping distance")
    nu_0: Value = _parameter(2e13, "Hz", 1e10, 1e14, "attempt frequency")
    dW_A: Value = _parameter(1.35, "eV", 0.8, 1.5, "activation energy of ion hopping")
    R_th0: Value = _parameter(15.72e6, "K/W", 1e6, 20e6, "thermal resistance at r_nominal")
    r: Value = _parameter(45e-9, "m", 5e-9, 100e-9, "filament radius")
    r_nominal: Value = _parameter(45e-9, "m", 1e-9, 1e-6, "radius at which R_th0 holds")
    l_cell: Value = _parameter(3e-9, "m", 2e-9, 5e-9, "length of disc and plug")
    l: Value = _parameter(0.4e-9, "m", 0.1e-9, 5e-9, "disc length")
    R_theff_scaling: Value = _parameter(0.27, "-", 0.1, 1.0, "factor on the thermal resistance in RESET")
    R_TiOx: Value = _parameter(650.0, "Ohm", 0.0, 5000.0, "series resistance")
    R_0: Value = _parameter(719.2437, "Ohm", 0.0, 1e6, "line resistance at zero current")
    R_th_line: Value = _parameter(90471.47, "K/W", 0.0, 1e9, "thermal resistance of the line")
    alpha_line: Value = _parameter(3.92e-3, "1/K", 0.0, 1.0, "temperature coefficient of the line")

    def __post_init__(self) -> None:
        wrong = []
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                value = float(value)
            elif isinstance(value, torch.Tensor):
                value = _widened(value.detach().clone() if not value.requires_grad else value, _DECLARED[spec.name])
            else:
                raise DeviceError(
                    f"{spec.name} = {value!r} must be a number in {_DECLARED[spec.name].unit} or a tensor of them"
                )
            object.__setattr__(self, spec.name, value)
            wrong += _beyond_range(spec.name, value, _DECLARED[spec.name])
        if wrong:
            raise DeviceError("; ".join(wrong))
        _check_below(self, "l", "l_cell", "m")
        _check_below(self, "N_min", "N_max", "1e26/m3")
        if not _is_below(self.phi_n, self.phi_Bn0) and _any(_tensor(self.phi_n) >= _tensor(self.phi_Bn0)):
            warnings.warn("phi_n >= phi_Bn0: the barrier is then not lowered in RESET; lower phi_n", stacklevel=3)

    def replace(self, **changes: Value) -> CellParameters:
        """A copy with some fields changed, checked again; an unknown name raises DeviceError."""
        unknown = set(changes) - set(self.names())
        if unknown:
            raise DeviceError(f"unknown cell parameter {sorted(unknown)[0]!r}: one of {', '.join(self.names())}")
        return dataclasses.replace(self, **changes)

    def replace_unchecked(self, **changes: Value) -> CellParameters:
        """A copy with some fields changed, without checks or conversion, for values that are known to be good."""
        copy = object.__new__(CellParameters)
        for name in self.names():
            object.__setattr__(copy, name, changes.get(name, getattr(self, name)))
        return copy

    def numbers(self) -> tuple[float, ...]:
        """The values in the order of the table: a key for what is cached of a cell that has one value for each."""
        return tuple(float(getattr(self, name)) for name in self.names())

    @classmethod
    def of_numbers(cls, numbers: tuple[float, ...]) -> CellParameters:
        """The cell whose ``numbers()`` these are, unchecked."""
        return _NOMINAL.replace_unchecked(**dict(zip(cls.names(), numbers, strict=True)))

    @classmethod
    def names(cls) -> list[str]:
        """The field names, in the order of the table."""
        return [spec.name for spec in dataclasses.fields(cls)]

    @classmethod
    def bounds(cls, name: str) -> tuple[float, float]:
        """Lowest and highest allowed value of one parameter, in its unit.

        >>> CellParameters.bounds("eps")
        (10.0, 25.0)
        """
        return _DECLARED[name].low, _DECLARED[name].high

    @classmethod
    def default(cls, name: str) -> float:
        """The nominal value of one parameter, in its unit."""
        return float(getattr(_NOMINAL, name))

    @classmethod
    def unit(cls, name: str) -> str:
        """The unit of one parameter."""
        return _DECLARED[name].unit

    @classmethod
    def allowed(cls, name: str) -> str:
        """The allowed range of one parameter in words, without its unit.

        >>> CellParameters.allowed("eps")
        'at least 10 and at most 25'
        """
        return _span(_DECLARED[name])

    @classmethod
    def meaning(cls, name: str) -> str:
        """What one parameter is, in a few words."""
        return _DECLARED[name].meaning


_DECLARED = declared(CellParameters)


def _tensor(value: Value) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def _widened(value: torch.Tensor, field: Declared) -> torch.Tensor:
    """In double precision; a bound that was given in a narrower one is that bound, on whichever side it was rounded."""
    wide = value.to(torch.float64)
    if value.dtype == torch.float64 or not value.is_floating_point():
        return wide
    for bound in (field.low, field.high):
        there = value == torch.tensor(bound, dtype=value.dtype, device=value.device)
        # Added, so that the value keeps its gradient.
        wide = wide + torch.where(there, bound - wide.detach(), 0.0)
    return wide


def _is_below(lower: Value, upper: Value) -> bool:
    """Whether two numbers are so, the common case without a tensor; False is no answer."""
    return isinstance(lower, float) and isinstance(upper, float) and lower < upper


def _any(mask: torch.Tensor) -> bool:
    return bool(mask.any())


def _span(field: Declared) -> str:
    return f"at least {field.low:g} and at most {field.high:g}"


def _beyond_range(name: str, value: Value, field: Declared) -> list[str]:
    """What is wrong with a value, in one line, if anything is."""
    low, high, unit = field.low, field.high, "" if field.unit == "-" else f" {field.unit}"
    if isinstance(value, float) and low <= value <= high:
        return []  # the common case, without a tensor
    cells = _tensor(value)
    if cells.numel() == 0:
        raise DeviceError(f"{name} is an empty tensor: give at least one cell")
    bad = ~((cells >= low) & (cells <= high))  # NaN fails every comparison
    if not _any(bad):
        return []
    span = _span(field)
    if cells.numel() == 1:
        return [f"{name} = {cells.item():g}{unit} must be {span}{unit}{meant(cells.item(), low, high, field.unit)}"]
    wrong = cells[bad]
    distance = torch.where(torch.isfinite(wrong), (wrong - 0.5 * (low + high)).abs(), torch.inf)
    worst = wrong[distance.argmax()].item()
    return [
        f"{name} must be {span}{unit}: {int(bad.sum())} of {cells.numel()} cells are not, the worst is {worst:g}{unit}"
    ]


def _check_below(parameters: CellParameters, small: str, large: str, unit: str) -> None:
    lower, upper = getattr(parameters, small), getattr(parameters, large)
    if _is_below(lower, upper):
        return
    bad = _tensor(lower) >= _tensor(upper)
    if not _any(bad):
        return
    fix = f"lower {small} or raise {large}"
    if bad.numel() == 1:
        raise DeviceError(
            f"{small} = {_tensor(lower).item():g} {unit} must be below "
            f"{large} = {_tensor(upper).item():g} {unit}: {fix}"
        )
    raise DeviceError(f"{small} must be below {large} in every cell: {int(bad.sum())} of {bad.numel()} are not; {fix}")


_NOMINAL = CellParameters()
