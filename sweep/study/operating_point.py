"""How many pulses the nominal cell's window takes at the corners of a study's ranges; refuses those that take one."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple, TypeAlias

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.tables.jumps import refuse_nominal_jumps
from vcm_sweep.device.vcm_device import VCMDevice
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.catalogue import apply_factors
from vcm_sweep.sweep.study.factors import Factor
from vcm_sweep.sweep.study.tables.build_device import build_device
from vcm_sweep.sweep.study.tables.device import is_physical
from vcm_sweep.sweep.study.tables.window_check import window_pulses

Corner: TypeAlias = dict[str, float]
"""Values of some factors, each at an end of its range; all others are as [device] has them."""

_CHOSEN = ("set_voltage_v", "reset_voltage_v", "pulse_s", "periphery")
_ALL_TOGETHER = 8  # up to so many factors all corners are looked at: 256


class FastestCorner(NamedTuple):
    """Where the fewest pulses of one direction carry the nominal cell through its window.

    Attributes:
        direction: "SET" or "RESET". pulses: through 90 % of the window. most: at the slowest corner. corner: where.
    """

    direction: str
    pulses: float
    most: float
    corner: Corner


def acting_factors(device: dict[str, Any], factors: Sequence[Factor]) -> list[Factor]:
    """The factors that change the steps of the nominal cell; none in a study that varies no operating point."""
    found = step_factors(device, factors)
    return found if any(factor.path[1] in _CHOSEN for factor in found) else []


def step_factors(device: dict[str, Any], factors: Sequence[Factor]) -> list[Factor]:
    """The factors that change how far a pulse moves the nominal cell's weight: its pulses, window and parameters."""
    if not is_physical(device):
        return []
    own = [factor for factor in factors if factor.path[0] == "device"]
    return [factor for factor in own if factor.path[1] in _CHOSEN or factor.path[1:] in _whole_array()]


def _whole_array() -> set[tuple[str, ...]]:
    return {(name,) for name in CellParameters.names()}


def fastest_corners(device: dict[str, Any], factors: Sequence[Factor]) -> list[FastestCorner]:
    """The fastest corner of SET and that of RESET; none in a study that varies no operating point.

    With many factors it is the corner at which each of them is at the end that is the faster one alone.

    Args:
        device: canonical [device] table.
        factors: the study's factors.
    """
    acting = acting_factors(device, factors)
    if not acting:
        return []
    if len(acting) <= _ALL_TOGETHER:
        corners = [dict(ends) for ends in product(*_ends(acting))]
        pulses = _pulses(device, corners)
        return [
            FastestCorner(name, min(own), max(own), corners[own.index(min(own))])
            for name, own in (("SET", pulses[0]), ("RESET", pulses[1]))
        ]
    alone = [dict([end]) for ends in _ends(acting) for end in ends]
    found = []
    for row, (name, own) in enumerate(zip(("SET", "RESET"), _pulses(device, alone), strict=True)):
        fast: Corner = {}
        slow: Corner = {}
        for (one, other), (at_one, at_other) in zip(_pairs(alone), _pairs(own), strict=True):
            faster, slower = (one, other) if at_one <= at_other else (other, one)
            fast |= faster
            slow |= slower
        few, many = _pulses(device, [fast, slow])[row]
        found.append(FastestCorner(name, few, many, fast))
    return found


def check_operating_point(device: dict[str, Any], factors: Sequence[Factor]) -> None:
    """Raise StudyError for a corner at which one pulse carries the nominal cell across its window.

    The message names the fewest factors that do it together.

    Args:
        device: canonical [device] table, with which the cells can be trained.
        factors: the study's factors.
    """
    for single in (dict([end]) for ends in _ends(acting_factors(device, factors)) for end in ends):
        _at(single, refuse_nominal_jumps, _device(device, single))
    for row, fastest in enumerate(fastest_corners(device, factors)):
        if fastest.pulses >= 1:
            continue
        blamed = dict(fastest.corner)
        for name in fastest.corner:
            fewer = {key: value for key, value in blamed.items() if key != name}
            if fewer and _pulses(device, [fewer])[row][0] < 1:
                blamed = fewer
        ranges = "one of the ranges" if len(blamed) > 1 else "its range"
        raise StudyError(
            f"{in_words(blamed)}: one {fastest.direction} pulse crosses the nominal cell's window "
            f"({fastest.pulses:.2g} of its length would do) and saturates every cell: narrow {ranges} towards shorter "
            "pulses or lower voltages"
        )


def in_words(corner: Corner) -> str:
    """A corner as messages name it.

    >>> in_words({"device.set_voltage_v": -0.5, "device.pulse_s": 1e-5})
    'factors device.set_voltage_v at -0.5 and device.pulse_s at 1e-05'
    """
    where = " and ".join(f"{name} at {value:g}" for name, value in corner.items())
    return f"factor{'s' * (len(corner) > 1)} {where}"


def _ends(factors: Iterable[Factor]) -> list[tuple[tuple[str, float], tuple[str, float]]]:
    return [((factor.name, factor.low), (factor.name, factor.high)) for factor in factors]


def _pairs(values: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(values[::2], values[1::2], strict=True)


def _device(device: dict[str, Any], corner: Corner) -> VCMDevice:
    made: VCMDevice = _at(corner, build_device, apply_factors({"device": device}, corner)["device"])
    return made


def _pulses(device: dict[str, Any], corners: Sequence[Corner]) -> list[list[float]]:
    """The pulses through the window at each corner: [those of SET, those of RESET]."""
    pulses: list[list[float]] = window_pulses([_device(device, corner) for corner in corners]).T.tolist()
    return pulses


def _at(corner: Corner, check: Any, *given: Any) -> Any:
    """What ``check`` gives; its error is one of the corner."""
    try:
        return check(*given)
    except DeviceError as error:
        raise StudyError(f"{in_words(corner)}: {error}") from None
