"""The signs of voltage and current: a cell is passive, and SET is at negative voltage."""

from collections.abc import Sequence

import numpy as np

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.measured.measurement import Array

POLARITIES = ("set-negative", "set-positive")
_OFFSET = 1e-3  # an offset of the instrument may be this part of the largest current
_GROWN = 0.3  # ln of the ratio of currents on the ways back and out from which a polarity counts as SET (or -RESET)


def refuse_active(at_v: Array, current_a: Array, lines: Sequence[int]) -> None:
    """Raise DeviceError where current and voltage have opposite signs, beyond an offset near 0."""
    volts, amperes = np.nan_to_num(at_v), np.nan_to_num(current_a)
    largest = np.abs(amperes).max(initial=0.0)
    clear = (np.abs(amperes) > _OFFSET * largest) & (np.abs(volts) > 0)
    against = clear & (volts * amperes < 0)
    # A hundredth of the rows may be wrong by noise; in a row without offset one would be too many.
    if against.sum() <= 0.01 * clear.sum() + 1:
        return
    first = int(np.argmax(against))
    head = (
        f"line {lines[first]}: {amperes[first]:.4g} A at {volts[first]:g} V: in {int(against.sum())} of "
        f"{int(clear.sum())} rows current and voltage have opposite signs, and a cell is passive: "
    )
    if against.sum() > 0.9 * clear.sum():
        raise DeviceError(head + "the current counts the other way: turn it with a minus, --columns current_a=-NAME")
    if (amperes[clear] > 0).all() or (amperes[clear] < 0).all():
        raise DeviceError(
            head + "the current is a magnitude, without its sign: give the signed current, or --magnitude, which gives "
            "it the sign of the voltage"
        )
    raise DeviceError(head + "check the columns and their signs")


def refuse_polarity(kind: str, voltage_v: Array, current_a: Array) -> None:
    """Raise DeviceError if the cell is SET by positive voltage, which is negative here."""
    grown = _over_a_sweep(voltage_v, current_a) if kind == "iv" else _over_pulses(voltage_v, current_a)
    if grown[1] > max(_GROWN, grown[0]) or -grown[0] > max(_GROWN, -grown[1]):
        raise DeviceError(
            f"the current rises over the {'sweep' if kind == 'iv' else 'pulses'} at positive voltage and falls at "
            "negative: SET is positive in this file, and negative here: turn all signs with --polarity set-positive"
        )


def _over_a_sweep(volts: Array, amperes: Array) -> tuple[float, float]:
    """ln of the current on the way back over that on the way out at equal voltage, at negative and positive voltage."""
    found = []
    # A missing reading ends no sweep.
    known = volts * amperes > 0
    volts, amperes = volts[known], amperes[known]
    for sign in (-1.0, 1.0):
        differences: list[float] = []
        side = sign * volts > 0
        edges = np.flatnonzero(np.diff(np.concatenate(([0], side.astype(int), [0]))))
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            size, current = sign * volts[begin:end], np.log(sign * amperes[begin:end])
            top = int(np.argmax(size))
            out, back = slice(0, top + 1), slice(top, None)
            if top < 2 or len(size) - top < 3:
                continue
            both = max(size[out].min(), size[back].min())
            at = np.linspace(max(0.2 * size[top], both), 0.8 * size[top], 7)
            if both > at[-1]:
                continue
            rising, falling = np.argsort(size[out]), np.argsort(size[back])
            differences += list(
                np.interp(at, size[back][falling], current[back][falling])
                - np.interp(at, size[out][rising], current[out][rising])
            )
        found.append(float(np.median(differences)) if differences else 0.0)
    return found[0], found[1]


def _over_pulses(volts: Array, amperes: Array) -> tuple[float, float]:
    """ln of the growth of the read current over all pulses at negative and at positive voltage."""
    size = np.log(np.maximum(np.abs(np.where(np.isnan(amperes), 1.0, amperes)), 1e-15))
    change = np.diff(size)
    known = ~np.isnan(amperes[1:]) & ~np.isnan(amperes[:-1])
    negative, positive = (float(change[known & (np.sign(volts[1:]) == sign)].sum()) for sign in (-1.0, 1.0))
    return negative, positive
