"""The numbers of a column, and what stands in it where the instrument had no reading.

Instruments write a number that cannot be one: 9.91E37 (SCPI: not a number), 9.9E37 (overflow), a dummy such as 9999 or
1e30, or a word. Such a reading is left out, and its row keeps its time. What no cell can carry in many rows is a
mistaken unit and refused.
"""

import re
import shlex
from collections.abc import Sequence
from datetime import date

import numpy as np

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.measured.columns import BASE, Column
from vcm_sweep.device.measured.measurement import Array
from vcm_sweep.device.measured.table import NO_READING, Table, is_number

CODE = 9e36  # SCPI writes 9.9E37 and 9.91E37, some programs 1e37 or 1e38
LARGEST = {"voltage_v": 10.0, "programmed_v": 10.0, "read_voltage_v": 10.0, "current_a": 0.1}
_CLOCK = re.compile(r"(?:(\d{4}-\d\d-\d\d)[T ])?(\d{1,2}):(\d\d):(\d\d(?:\.\d*)?)")  # 2024-05-01 10:00:00.25
_DAY_0 = date(2000, 1, 1).toordinal()
_FEW = 0.1  # the largest part of the rows that may be without a reading


def numbers_of(table: Table, ours: str, column: Column, notes: list[str]) -> Array:
    """The values of one of our quantities in its unit, (rows,), NaN where there was no reading; these are noted.

    Raises:
        DeviceError: a cell that is no number, more than a tenth of the rows without a reading, or values that no cell
            has, with the unit that was probably meant.
    """
    raw = np.empty(len(table.rows))
    for row, cells in enumerate(table.rows):
        cell = cells[column.place]
        try:
            raw[row] = float(cell)
        except ValueError:
            raw[row] = _word(cell, ours, table.lines[row])
    values = np.where(np.abs(raw) >= CODE, np.nan, raw) * column.factor
    values[~np.isfinite(raw)] = np.nan
    bound = LARGEST.get(ours)
    if bound is not None:
        beyond = np.abs(values) > bound
        if beyond.any():
            _refuse_unit(beyond, values, ours, column, table.lines, bound)
            values[beyond] = np.nan
    missing = np.flatnonzero(np.isnan(values))
    if len(missing) > _FEW * len(values):
        raise DeviceError(
            f"{len(missing)} of {len(values)} rows have no reading of {ours} (from line {table.lines[missing[0]]}): "
            "measure again, or remove these rows"
        )
    if len(missing):
        first = missing[0]
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        notes.append(
            f"line {table.lines[first]}{more}: {ours} = {table.rows[first][column.place] or 'nothing'} is an "
            "instrument's code for no reading: it is left out, its row keeps its time"
        )
    return values


def without_numbers(table: Table, column: Column) -> str | None:
    """The first cell of a column without a number, as of labels; None for one that has a number."""
    cells = [row[column.place] for row in table.rows]
    return None if any(map(is_number, cells)) else cells[0]


def _word(cell: str, ours: str, line: int) -> float:
    if cell.lower() in NO_READING:
        return np.nan
    if ours == "time_s" and (clock := _CLOCK.fullmatch(cell)):
        days = date.fromisoformat(clock[1]).toordinal() - _DAY_0 if clock[1] else 0
        return 86400.0 * days + 3600.0 * float(clock[2]) + 60.0 * float(clock[3]) + float(clock[4])
    try:
        return float(cell.replace("D", "E").replace("d", "e"))  # as Fortran writes
    except ValueError:
        raise DeviceError(
            f"line {line}: {ours} = {cell!r} must be a number; a unit belongs into the header or into --columns"
        ) from None


def _refuse_unit(
    beyond: np.ndarray, values: Array, ours: str, column: Column, lines: Sequence[int], bound: float
) -> None:
    """Values that no cell has are a unit, unless they are few and one and the same: then they are a code."""
    wrong = np.abs(values[beyond])
    if len(wrong) <= _FEW * len(values) and np.ptp(wrong) <= 1e-6 * wrong[0]:
        return
    base, largest = BASE[ours], float(wrong.max())
    unit = next((f"{p}{base}" for p, f in (("m", 1e-3), ("u", 1e-6), ("n", 1e-9)) if largest * f < bound / 5), None)
    first = int(np.argmax(beyond))
    # The option's list has commas, and a number is a column by its place.
    name = column.place + 1 if "," in column.name or not column.name else column.name
    ask = f": in {unit}? say --columns {shlex.quote(f'{ours}={name}:{unit}')}" if unit else ": check the column"
    raise DeviceError(
        f"line {lines[first]}: {ours} = {values[first]:g} {base}, and {largest:g} {base} at most, is above {bound:g} "
        f"{base}, as in no cell, in {len(wrong)} of {len(values)} rows{ask}"
    )
