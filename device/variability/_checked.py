"""Fields of a mechanism that carry their own allowed range, for the check here and for whoever reads a file."""

import dataclasses
from typing import Any

from ..errors import DeviceError


def number(default: float, low: float, high: float) -> Any:
    """A dataclass field for a number within [low, high]; a whole number where the default is an int."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high})


def word(default: str, *others: str) -> Any:
    """A dataclass field for one of some words, the default among them."""
    return dataclasses.field(default=default, metadata={"words": (default, *others)})


def bounds(mechanism: type, name: str) -> tuple[float, float]:
    """Lowest and highest allowed value of one of a mechanism's numbers.

    >>> from vcm_sweep.device.variability import Walk, bounds
    >>> bounds(Walk, "direct")
    (0.0, 1.0)
    """
    metadata = next(spec.metadata for spec in dataclasses.fields(mechanism) if spec.name == name)
    return float(metadata["low"]), float(metadata["high"])


def check_fields(mechanism: Any) -> None:
    """Raise DeviceError for the first field of a mechanism that is outside its range."""
    for spec in dataclasses.fields(mechanism):
        value, where = getattr(mechanism, spec.name), f"{type(mechanism).__name__}.{spec.name}"
        if "words" in spec.metadata:
            if value not in spec.metadata["words"]:
                allowed = ", ".join(map(repr, spec.metadata["words"]))
                raise DeviceError(f"{where} = {value!r} must be one of {allowed}")
        elif "low" in spec.metadata:
            low, high = spec.metadata["low"], spec.metadata["high"]
            whole = isinstance(spec.default, int)
            good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            if not good or not low <= value <= high:
                kind = "whole number" if whole else "number"
                raise DeviceError(f"{where} = {value!r} must be a {kind} from {low:g} to {high:g}")


def check_kind(where: str, value: Any, kind: type) -> None:
    """Raise DeviceError where a value is not of the mechanism's class."""
    if not isinstance(value, kind):
        raise DeviceError(f"{where} = {value!r} must be a {kind.__name__}")
