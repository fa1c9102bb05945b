"""Checks that a study's device can be trained, and that the ends of its factors' ranges make valid devices."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, product
from typing import Any, TypeAlias

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.catalogue import apply_factors
from vcm_sweep.sweep.study.factors import Factor
from vcm_sweep.sweep.study.operating_point import check_operating_point, in_words
from vcm_sweep.sweep.study.tables.build_device import build_device, check_layer
from vcm_sweep.sweep.study.tables.device import canonical_device, is_physical
from vcm_sweep.sweep.study.tables.window_check import check_device

_LAYER = ("io", "update")
_ALL_TOGETHER = 8  # with at most this many factors, all combinations of ends are checked too: 256 devices


def rates_in_words(device: dict[str, Any], factors: Sequence[Factor]) -> str:
    """How trials get the rates of their cells if all factors act, in words for ``vcm-sweep plan``."""
    made = apply_factors({"device": device, "network": {}}, {f.name: f.high for f in factors if f.path[0] == "device"})
    if not is_physical(made["device"]):
        return f"those of aihwkit's {made['device']['aihwkit']}"
    from vcm_sweep.device.tables.axes import axis_names, is_direct

    cells = build_device(made["device"])
    names = axis_names(cells)
    if cells.euler_steps:
        return f"{cells.model} model, {cells.euler_steps} Euler steps for each pulse"
    if not is_direct(cells, beside=cells.intervention is not None):
        return f"{cells.model} model, tables over {', '.join(('N', *names))}"
    if not names:
        return f"{cells.model} model, equations solved for each pulse, as asked"
    return f"{cells.model} model, equations solved for each pulse of cells that differ in {', '.join(names)}"


def check_devices(device: dict[str, Any], factors: Sequence[Factor]) -> None:
    """Raise StudyError if a device cannot be trained, or if ends of ranges make a device that cannot be built.

    Args:
        device: canonical [device] table.
        factors: the study's factors.
    """
    # Cached, since it takes seconds with many factors and a run calls it several times.
    _checked(json.dumps(device), tuple(factors))


@lru_cache(maxsize=64)
def _checked(device: str, factors: tuple[Factor, ...]) -> None:
    check_device(json.loads(device))
    check_corners(json.loads(device), factors)
    check_operating_point(json.loads(device), factors)


def check_corners(device: dict[str, Any], factors: Sequence[Factor]) -> None:
    """Raise StudyError if ends of ranges make no valid device: of single factors, pairs, and all if they are few.

    The rules of a device concern one field, or few fields together, and a range breaks them at its ends first. So
    these combinations find the broken ones.

    Args:
        device: canonical [device] table.
        factors: the study's factors.
    """
    own = [factor for factor in factors if factor.path[0] == "device"]
    if not is_physical(device):
        _check_each(device, own, lambda made: check_device(canonical_device(made)))
        return
    check_layer(device)
    of_layer = [factor for factor in own if factor.path[1] in _LAYER]
    _check_each(device, of_layer, check_layer)
    _check_each(device, [factor for factor in own if factor not in of_layer], build_device)


_Corner: TypeAlias = tuple[tuple[Factor, float], ...]


def _check_each(device: dict[str, Any], factors: Sequence[Factor], check: Callable[[dict[str, Any]], object]) -> None:
    for ends in _corners(factors):
        values = {factor.name: value for factor, value in ends}
        try:
            check(apply_factors({"device": device}, values)["device"])
        except (DeviceError, StudyError) as error:
            fix = ": narrow one of the ranges" if len(values) > 1 else ""
            raise StudyError(f"{in_words(values)}: {error}{fix}") from None


def _corners(factors: Sequence[Factor]) -> Iterator[_Corner]:
    sizes = {1, min(2, len(factors)), len(factors) if len(factors) <= _ALL_TOGETHER else 1}
    for size in sorted(sizes - {0}):
        for chosen in combinations(factors, size):
            yield from product(*([(factor, value) for value in factor.law.corners] for factor in chosen))
