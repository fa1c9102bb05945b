"""Checks of a mechanism's fields against their declarations."""

from typing import Any

from vcm_sweep.device.declared import declared
from vcm_sweep.device.errors import DeviceError


def bounds(mechanism: type, name: str) -> tuple[float, float]:
    """Lowest and highest allowed value of one of a mechanism's numbers.

    >>> from vcm_sweep.device.variability import Walk, bounds
    >>> bounds(Walk, "direct")
    (0.0, 1.0)
    """
    field = declared(mechanism)[name]
    return float(field.low), float(field.high)


def check_fields(mechanism: Any) -> None:
    """Raise DeviceError for the first field of a mechanism that is outside its range."""
    for name, field in declared(type(mechanism)).items():
        if problem := field.problem(getattr(mechanism, name)):
            raise DeviceError(f"{type(mechanism).__name__}.{name} {problem}")


def check_kind(where: str, value: Any, kind: type) -> None:
    """Raise DeviceError if a value is not of the class ``kind``; ``where`` is its name in the message."""
    if not isinstance(value, kind):
        made = f": make one, {kind.__name__}()" if value is kind else ""
        raise DeviceError(f"{where} = {value!r} must be a {kind.__name__}{made}")
