"""Rows in which the instrument, not the cell, set the current: its compliance.

Two kinds of files show it. Where the file holds the voltage that was asked for, the current stands at one value while
the voltage goes on. Where it holds the voltage that the instrument lowered it to, the voltage falls as the current
jumps to its largest value, and the current then stands there. What was asked for is then what the ramps before and
after come to when they go straight on. In both the cell is integrated under the voltage that lets the compliance flow.

A current that does not follow the voltage is no response of a cell in SET, where a filament that grows conducts more at
more voltage, and less at less. In RESET a current can stand for a while by itself, so there it must stand for longer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.measured.measurement import Array

_NEAR = 0.85  # a row belongs to a plateau if its current is this part of the largest one
_ROWS = 3  # rows that a plateau has at least
_GAP = 2  # rows within one that may be too low by noise
_FLAT = 0.25  # largest d ln|I| / d ln|V| of a plateau; the currents of a cell have 0.8 and more
_BEND = 0.06  # largest ln of the current in the middle of a plateau over that at its ends; a peak has 0.1 and more
_RANGE = {-1.0: 0.12, 1.0: 0.4}  # ln of the largest over the smallest |V| of a plateau at least, in SET and RESET
_EXACT = 2e-3  # an instrument that regulates this well stands exactly
_JUMP = 1.2  # a SET makes the current this much larger at least while the voltage falls


@dataclass(frozen=True)
class Limited:
    """The compliance of a sweep.

    ``compliance_a``: at negative and at positive voltage, A, infinite where there is none. ``runs``: first and last row
    of each stay at it. ``asked_v``: (rows,), the voltage that was asked for, V.
    """

    compliance_a: tuple[float, float]
    runs: list[tuple[int, int]]
    asked_v: Array


def limited(
    voltage_v: Array, current_a: Array, time_s: Array, programmed_v: Array | None, given_a: float | None
) -> Limited:
    """Where a sweep was limited, as far as it shows, or as ``given_a`` says (A; 0: nowhere).

    Raises:
        DeviceError: no row stands at the given compliance.
    """
    asked = voltage_v.copy()
    level, stays = [np.inf, np.inf], []
    for place, sign in enumerate((-1.0, 1.0)):
        size, current = sign * voltage_v, np.where(sign * voltage_v > 0, sign * current_a, np.nan)
        top = _third(current)
        if given_a == 0 or not top > 0 or (given_a is not None and not 0.97 * given_a <= top <= 1.2 * given_a):
            continue
        at = voltage_v if programmed_v is None else programmed_v
        runs = []
        for run in _runs(current >= (0.97 * given_a if given_a else _NEAR * top)):
            first, end = _inner(current, *run)
            begin = first
            while begin and size[begin - 1] > 0 and np.isnan(current[begin - 1]):
                begin -= 1  # no reading, as an instrument has none while it begins to limit
            follows = _follows(size[begin:end], current[begin:end])
            lowered = (_jumps(size, current, begin, first) and not follows) or (sign < 0 and _sinks(size[begin:end]))
            stands = end - begin >= _ROWS and (lowered or _stands(np.abs(at[begin:end]), current[begin:end], sign))
            # What is given limits SET; a RESET may reach it by itself.
            if stands or (given_a and sign < 0):
                runs.append((begin, end, lowered))
        if not runs:
            continue
        level[place] = given_a or float(np.nanmedian(np.concatenate([current[b:e] for b, e, _ in runs])))
        for begin, end, lowered in runs:
            stays.append((begin, end - 1))
            if programmed_v is not None:
                asked[begin:end] = programmed_v[begin:end]
            elif lowered:
                asked[begin:end] = sign * _straight_on(size, time_s, begin, end)
    if given_a and not stays:
        raise DeviceError(
            f"compliance = {given_a:g} A: no rows stand at it on a side that it limits (largest |I| "
            f"{np.nanmax(np.abs(current_a)):.3g} A): check its unit, or leave it out"
        )
    return Limited((level[0], level[1]), sorted(stays), asked)


def _inner(current: Array, begin: int, end: int) -> tuple[int, int]:
    """A run, first row and the row after the last, without the rows that lead to its level and away from it."""
    own = np.log(current[begin:end] / np.nanmedian(current[begin:end]))
    scatter = 1.4826 * float(np.nanmedian(np.abs(own)))
    inside = np.flatnonzero(np.abs(own) <= max(4 * scatter, 5e-3))
    return begin + int(inside[0]), begin + int(inside[-1]) + 1


def _third(current: Array) -> float:
    """The third largest value, which noise moves less than the largest."""
    known = np.sort(current[~np.isnan(current)])
    return float(known[-_ROWS]) if len(known) >= _ROWS else 0.0


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First row and the row after the last of each run of rows; gaps of two rows, by noise, do not end one."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(int), [0]))))
    runs: list[tuple[int, int]] = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if runs and begin - runs[-1][1] <= _GAP:
            runs[-1] = runs[-1][0], end
        else:
            runs.append((begin, end))
    return runs


def _jumps(size: Array, current: Array, begin: int, first: int) -> bool:
    """Whether the voltage fell as the current rose to the plateau, as where an instrument lowers it.

    ``begin``: the plateau's first row; ``first``: its first one with a reading.
    """
    return begin > 0 and size[begin] < 0.98 * size[begin - 1] and bool(current[first] > _JUMP * current[begin - 1])


def _follows(size: Array, current: Array) -> bool:
    """Whether the current of some rows follows their voltage, beyond its noise, as after a SET at a sweep's turn."""
    known = ~np.isnan(current)
    x, y = np.log(size[known]), np.log(current[known])
    if len(x) < _ROWS or not np.ptp(x) > 0:
        return False
    # By ranks, since the outermost rows may lie beside the plateau.
    return bool(stats.theilslopes(y, x, 0.99).low_slope >= _FLAT)


def _sinks(size: Array) -> bool:
    """Whether the voltage falls slowly from row to row, as an instrument lowers it under a filament that grows."""
    step = np.diff(size)
    step = step[step != 0]
    return len(step) >= _ROWS and float((step < 0).mean()) >= 0.9 and float(np.ptp(size)) < 0.1 * float(size[0])


def _stands(size: Array, current: Array, sign: float) -> bool:
    """Whether the current of some rows does not follow their voltage."""
    known = ~np.isnan(current)
    x, y = np.log(size[known]), np.log(current[known])
    span = float(np.ptp(x))
    slope = float(np.polyfit(x, y, 1)[0]) if span > 0 else 1.0
    if span > 0.03 and np.std(y) < _EXACT and abs(slope) < _FLAT / 5:
        return True
    if len(x) < 2 * _ROWS or span < _RANGE[sign] or abs(slope) >= _FLAT or float(np.std(y)) >= 0.3 * span:
        return False
    bend = float(np.polyfit(x - x.mean(), y, 2)[0]) * (span / 2) ** 2
    return abs(bend) < _BEND


def _straight_on(size: Array, time: Array, begin: int, end: int) -> Array:
    """|V| from row ``begin`` to before ``end`` if the ramps before and after went on: the smaller of the two."""
    at = time[begin:end]
    before = slice(max(begin - 5, 0), begin)
    asked = np.full(end - begin, np.inf)
    if begin >= 2:
        slope = max(float(np.median(np.diff(size[before]) / np.diff(time[before]))), 0.0)
        asked = size[begin - 1] + slope * (at - time[begin - 1])
    after = slice(end, end + 5)
    if len(size[after]) >= 2:
        slope = min(float(np.median(np.diff(size[after]) / np.diff(time[after]))), 0.0)
        asked = np.minimum(asked, size[end] + slope * (at - time[end]))
    higher: Array = np.maximum(asked, size[begin:end])
    return higher
