"""Measured cells: I-V sweeps and pulse responses, read from CSV files.

An I-V sweep has the columns ``voltage_v, current_a``, with rows in the order of time, and either a column ``time_s`` or
one ramp for the whole sweep, given by the caller. A pulse response has the columns ``pulse, voltage_v, width_s,
current_a``, where the current is read at 0.2 V after each pulse; a row with ``width_s`` 0 is a read without a pulse.
Lines that start with ``#`` are comments.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.public import public

COLUMNS = {"iv": ("voltage_v", "current_a"), "pulses": ("pulse", "voltage_v", "width_s", "current_a")}
OPTIONAL = {"iv": ("time_s",), "pulses": ()}
MIN_ROWS = 8

Array: TypeAlias = NDArray[np.float64]


@public
@dataclass(frozen=True, eq=False)
class Measurement:
    """What was applied to one cell and what was read, rows in the order of time.

    Attributes:
        kind: ``"iv"``: the current flows at the voltage of its row; ``"pulses"``: it is read at 0.2 V after the pulse
            of its row.
        voltage_v: (rows,) V.
        duration_s: (rows,) s. For ``"iv"`` the time since the row before, 0 in the first row; for ``"pulses"`` the
            width of the pulse.
        current_a: (rows,) A.
        source: where the rows come from, shown in reports.

    Raises:
        DeviceError: too few rows, shapes that differ, a value that is not finite, a negative duration.
    """

    kind: str
    voltage_v: Array
    duration_s: Array
    current_a: Array
    source: str = "a measurement"

    def __post_init__(self) -> None:
        if self.kind not in COLUMNS:
            raise DeviceError(f"kind = {self.kind!r} must be one of {', '.join(map(repr, COLUMNS))}")
        for name in ("voltage_v", "duration_s", "current_a"):
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.ndim != 1 or len(values) != len(self.voltage_v):
                raise DeviceError(f"{name} must have one value for each of the {len(self.voltage_v)} rows")
            if not np.isfinite(values).all():
                raise DeviceError(
                    f"{name} of row {int(np.argmin(np.isfinite(values))) + 1} must be finite: mend the row"
                )
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if len(self.voltage_v) < MIN_ROWS:
            raise DeviceError(f"{len(self.voltage_v)} rows are too few: a measurement has at least {MIN_ROWS}")
        if (self.duration_s < 0).any() or not (self.duration_s > 0).any():
            raise DeviceError("duration_s must be at least 0 in every row, and above 0 in some")

    def steps(self) -> tuple[Array, Array, Array]:
        """Voltage at the start and at the end of each row's step, V, and its duration, s; (rows,) each."""
        if self.kind == "pulses":
            return self.voltage_v, self.voltage_v, self.duration_s
        return np.concatenate((self.voltage_v[:1], self.voltage_v[:-1])), self.voltage_v, self.duration_s


def read_measurement(path: str | Path, ramp_v_per_s: float | None = None) -> Measurement:
    """The measurement in a CSV file; its columns say of which kind it is.

    Args:
        path: path of the file, which starts with a header line.
        ramp_v_per_s: speed of the ramp in V/s, > 0, for an I-V sweep without ``time_s``.

    Raises:
        DeviceError: one line with file, line number and fix.
    """
    try:
        return _read(Path(path), ramp_v_per_s)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DeviceError(f"{path}: cannot be read as CSV ({type(error).__name__}): give a text file") from None
    except DeviceError as error:
        raise DeviceError(f"{path}: {error}") from None


def _read(path: Path, ramp_v_per_s: float | None) -> Measurement:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = _content(file)
        _, header = next(lines, (0, []))
        kind = _kind(header)
        rows = [_numbers(number, cells, header) for number, cells in lines]
    if len(rows) < MIN_ROWS:
        raise DeviceError(f"{len(rows)} rows are too few: a measurement has at least {MIN_ROWS}")
    numbers = [number for number, _ in rows]
    columns = {name: np.array([row[name] for _, row in rows]) for name in header}
    if kind == "pulses":
        if ramp_v_per_s is not None:
            raise DeviceError("a ramp belongs to an I-V sweep, these are pulses: leave it out")
        _refuse(columns["width_s"] < 0, numbers, columns["width_s"], "width_s", "at least 0 s")
        _rising(columns["pulse"], numbers, "pulse")
        duration = columns["width_s"]
    elif "time_s" in columns:
        if ramp_v_per_s is not None:
            raise DeviceError("time_s and a ramp are both given: leave one out")
        _rising(columns["time_s"], numbers, "time_s")
        duration = np.diff(columns["time_s"], prepend=columns["time_s"][0])
    elif ramp_v_per_s is None:
        raise DeviceError("an I-V sweep needs a column time_s, or the speed of its ramp (--ramp, V/s)")
    elif not (math.isfinite(ramp_v_per_s) and ramp_v_per_s > 0):
        raise DeviceError(f"ramp = {ramp_v_per_s:g} V/s must be finite and above 0")
    else:
        duration = np.abs(np.diff(columns["voltage_v"], prepend=columns["voltage_v"][0])) / ramp_v_per_s
    return Measurement(kind, columns["voltage_v"], duration, columns["current_a"], path.name)


def _content(file: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """The values of each line that is neither empty nor a comment, with its number as an editor counts lines."""
    for number, line in enumerate(file, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, [cell.strip() for cell in next(csv.reader([line]))]


def _kind(header: list[str]) -> str:
    kind = "pulses" if "pulse" in header or "width_s" in header else "iv"
    allowed = COLUMNS[kind] + OPTIONAL[kind]
    shape = " or ".join(",".join(columns) + "".join(f"[,{c}]" for c in OPTIONAL[k]) for k, columns in COLUMNS.items())
    for name in header:
        if name not in allowed:
            raise DeviceError(f"unknown column {name!r}: the columns are {shape}")
        if header.count(name) > 1:
            raise DeviceError(f"column {name!r} is given {header.count(name)} times: keep one")
    for name in COLUMNS[kind]:
        if name not in header:
            raise DeviceError(f"column {name!r} is missing: the columns are {shape}")
    return kind


def _numbers(number: int, cells: list[str], header: list[str]) -> tuple[int, dict[str, float]]:
    if len(cells) != len(header):
        raise DeviceError(f"line {number} has {len(cells)} values, the header {len(header)}: separate them by commas")
    row = {}
    for name, cell in zip(header, cells, strict=True):
        try:
            row[name] = float(cell)
        except ValueError:
            raise DeviceError(f"line {number}: {name} = {cell!r} must be a number, with a decimal point") from None
        if not math.isfinite(row[name]):
            raise DeviceError(f"line {number}: {name} = {cell} must be finite: remove the line or mend the value")
    return number, row


def _refuse(bad: NDArray[np.bool_], numbers: list[int], values: Array, name: str, wanted: str) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        raise DeviceError(f"line {numbers[first]}: {name} = {values[first]:g} must be {wanted}")


def _rising(values: Array, numbers: list[int], name: str) -> None:
    bad = np.diff(values) <= 0
    if bad.any():
        first = int(np.argmax(bad)) + 1
        raise DeviceError(
            f"line {numbers[first]}: {name} = {values[first]:g} must be above {values[first - 1]:g} of the row before: "
            "put the rows in the order of time"
        )
