"""Reading a measured file: from an instrument's text to a `Measurement`.

An I-V sweep has a voltage and a current in each row, rows in the order of time, and a time or one ramp for the whole
sweep. A pulse response has for each pulse its voltage, its width and the current that is read after it; a row of width
0 is a read without a pulse.
"""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.measured.clock import durations_of
from vcm_sweep.device.measured.columns import OPTIONAL, Column, columns_of, wanted_columns
from vcm_sweep.device.measured.compliance import limited
from vcm_sweep.device.measured.cycles import cycles_of, too_short
from vcm_sweep.device.measured.measurement import MIN_ROWS, Array, Measurement
from vcm_sweep.device.measured.signs import POLARITIES, refuse_active, refuse_polarity
from vcm_sweep.device.measured.table import Table, is_number, table_of
from vcm_sweep.device.measured.text import text_of
from vcm_sweep.device.measured.thinning import thinned
from vcm_sweep.device.measured.units import has_no_unit
from vcm_sweep.device.measured.values import numbers_of, without_numbers
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V


def read_measurement(
    path: str | Path,
    ramp_v_per_s: float | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    polarity: str = "set-negative",
    magnitude: bool = False,
    compliance_a: float | None = None,
    read_voltage_v: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Measurement:
    """The measurement in a file as instruments and programs write them; its columns say of which kind it is.

    Separator, decimal mark, encoding, comments, header, names and units of columns are recognised; what was assumed or
    left out is in the ``notes`` of the result.

    Args:
        path: path of the file.
        ramp_v_per_s: speed of the ramp in V/s, > 0, for an I-V sweep without times.
        columns: ours (``voltage_v``, ``current_a``, ``time_s``, ``programmed_v``, ``cycle``, ``width_s``, ``pulse``,
            ``read_voltage_v``) to the name in the file, with a unit if it has none or another: ``{"current_a":
            "Ids:uA"}``. The number of a column does too, from 1; a minus before it turns the sign.
        polarity: of the SET in the file: ``"set-negative"``, as in this package, or ``"set-positive"``, which turns the
            signs of all voltages and currents.
        magnitude: the currents are magnitudes: they get the sign of their voltage.
        compliance_a: the instrument's compliance, A; default as it shows in the data, 0: none.
        read_voltage_v: the voltage at which pulses were read, V, in the signs of the file; default 0.2, or a column.
        progress: told now and then what has been read.

    Raises:
        DeviceError: one line with file, line number and fix.
    """
    try:
        _check_options(ramp_v_per_s, polarity, compliance_a)
        table = table_of(text_of(Path(path)), progress)
        kind, where = columns_of(table.headers, len(table.rows[0]), columns or {})
        notes: list[str] = []
        if table.behind:
            notes.append(f"the table ends before line {table.behind[0]} ({table.behind[1].strip()[:40]!r})")
        spare = {*OPTIONAL[kind]} - {*(columns or ()), *(("time_s",) if ramp_v_per_s is None else ())}
        for ours in sorted(spare & where.keys()):
            if (word := without_numbers(table, where[ours])) is not None:
                notes.append(f"the column {where[ours].name!r} has no numbers ({word!r}): it is left out as {ours}")
                del where[ours]
        values = {ours: numbers_of(table, ours, column, notes) for ours, column in where.items()}
        if "time_s" in values and "time_s" not in (columns or {}):
            _say_unit_of_time(where["time_s"], table, values["time_s"], notes)
        if len(table.rows) < MIN_ROWS:
            raise DeviceError(f"{len(table.rows)} rows are too few: a measurement has at least {MIN_ROWS}")
        if magnitude:
            name = "voltage_v" if kind == "iv" else "read_voltage_v"
            at = _between(values[name]) if name in values else np.asarray(read_voltage_v or READ_VOLTAGE_V)
            values["current_a"] = np.abs(values["current_a"]) * np.where(at < 0, -1.0, 1.0)
        if kind == "iv":
            if ramp_v_per_s is not None and "time_s" in values and "time_s" not in (columns or {}):
                notes.append(f"the times are those of the ramp, not of the column {where['time_s'].name!r}")
                del values["time_s"]
            if read_voltage_v is not None:
                raise DeviceError("a read voltage belongs to pulses, this is an I-V sweep: leave it out")
            data = _sweep(table, values, ramp_v_per_s, polarity, compliance_a, notes, Path(path).name)
        else:
            for name, number in (("ramp", ramp_v_per_s), ("compliance", compliance_a)):
                if number is not None:
                    raise DeviceError(f"a {name} belongs to an I-V sweep, these are pulses: leave it out")
            data = _pulses(table, values, read_voltage_v, polarity, notes, Path(path).name)
        return thinned(data)
    except DeviceError as error:
        raise DeviceError(f"{path}: {error}") from None


def columns_in(path: str | Path, wanted: Sequence[str], given: Mapping[str, str]) -> tuple[list[int], list[Array]]:
    """Line numbers and some of our quantities, (rows,) each, of a file in which every row must have them all.

    Args:
        path: path of the file.
        wanted: the quantities, as ``("time_s", "voltage_v")``.
        given: as ``columns`` of :func:`read_measurement`.

    Raises:
        DeviceError: no table, a column that is missing, or a row without one of them.
    """
    table, notes, found = table_of(text_of(Path(path))), list[str](), []
    where = wanted_columns(table.headers, len(table.rows[0]), given, wanted)
    for ours in wanted:
        values = numbers_of(table, ours, where[ours], notes)
        if np.isnan(values).any():
            line = table.lines[int(np.argmax(np.isnan(values)))]
            raise DeviceError(f"line {line}: {ours} must be finite: correct or remove it")
        found.append(values)
    return table.lines, found


def _say_unit_of_time(column: Column, table: Table, times: Array, notes: list[str]) -> None:
    """A note where a header does not give the unit of the times: a slower cell would fit as well."""
    if has_no_unit(column.name) and is_number(table.rows[0][column.place]):
        otherwise = shlex.quote(f"time_s={column.name}:ms")
        notes.append(
            f"the column {column.name!r} has no unit: it is taken in s, from {np.nanmin(times):g} to "
            f"{np.nanmax(times):g} s (--columns {otherwise} says otherwise)"
        )


def _check_options(ramp: float | None, polarity: str, compliance: float | None) -> None:
    if polarity not in POLARITIES:
        raise DeviceError(f"polarity = {polarity!r} must be one of {', '.join(map(repr, POLARITIES))}")
    if compliance is not None and not (math.isfinite(compliance) and compliance >= 0):
        raise DeviceError(f"compliance = {compliance:g} A must be finite and at least 0")
    if ramp is not None and not (math.isfinite(ramp) and ramp > 0):
        raise DeviceError(f"ramp = {ramp:g} V/s must be finite and above 0")


def _sweep(
    table: Table, values: dict[str, Array], ramp: float | None, polarity: str, compliance: float | None,
    notes: list[str], source: str,
) -> Measurement:  # fmt: skip
    volts, amperes = _between(values["voltage_v"]), values["current_a"]
    programmed = _between(values["programmed_v"]) if "programmed_v" in values else None
    refuse_active(volts, amperes, table.lines)
    if polarity == "set-positive":
        volts, amperes, programmed = -volts, -amperes, None if programmed is None else -programmed
    refuse_polarity("iv", volts, amperes)
    breaks = list(table.breaks)
    if "time_s" in values:
        if ramp is not None:
            raise DeviceError("--columns time_s and a ramp are both given: leave one out")
        duration, again = durations_of(_between(values["time_s"]), table.lines, notes)
        breaks = again or breaks
    elif ramp is None:
        raise DeviceError(
            f"an I-V sweep needs a column time_s, or the speed of its ramp (--ramp, V/s); the file has "
            f"{table.names()}: if one is the time, say --columns time_s=NAME:s"
        )
    else:
        duration = np.ones(len(volts))  # until the voltages that were asked for are known
    found = limited(volts, amperes, np.cumsum(duration), programmed, compliance)
    if "time_s" not in values:
        duration = np.abs(np.diff(found.asked_v, prepend=found.asked_v[0])) / float(ramp or 1.0)
    if found.runs:
        level = " and ".join(
            f"{1e6 * a:.4g} uA at {side} voltage"
            for a, side in zip(found.compliance_a, ("negative", "positive"), strict=True)
            if math.isfinite(a)
        )
        count, line = sum(last - first + 1 for first, last in found.runs), table.lines[found.runs[0][0]]
        notes.append(
            f"{count} rows from line {line} stand at {level}: the instrument's compliance, under which the cell is "
            "integrated; its state then is taken from the rows that follow (--compliance 0: there is none)"
        )
    number = values.get("cycle")
    if number is not None and (rows := too_short((np.flatnonzero(np.diff(number)) + 1).tolist(), len(volts))):
        notes.append(_no_count("cycle", rows))
        number = None
    cycles = cycles_of(volts, number, breaks)
    if len(cycles) > 1:
        notes.append(f"{len(cycles)} cycles, the second from line {table.lines[cycles[1]]} on")
    return Measurement(
        "iv", found.asked_v, duration, amperes, source, READ_VOLTAGE_V, found.compliance_a, found.runs, cycles, notes
    )


def _pulses(
    table: Table, values: dict[str, Array], read_voltage: float | None, polarity: str, notes: list[str], source: str
) -> Measurement:
    volts, amperes, width = values["voltage_v"], values["current_a"], values["width_s"]
    for name in ("voltage_v", "width_s"):
        missing = np.isnan(values[name]) | ((values[name] < 0) & (name == "width_s"))
        if missing.any():
            row = int(np.argmax(missing))
            raise DeviceError(f"line {table.lines[row]}: {name} = {values[name][row]:g} must be a number, at least 0 s")
    again = _starts_again(values["pulse"], table, notes) if "pulse" in values else []
    cycles = cycles_of(volts, None, again) if again else (0,)
    if "read_voltage_v" in values:
        if read_voltage is not None:
            raise DeviceError("the read voltage is a column and an option: leave the option out")
        read_v: float | Array = _between(values["read_voltage_v"])
    elif read_voltage is None:
        read_v = math.copysign(READ_VOLTAGE_V, float(np.nanmedian(amperes)))
        notes.append(f"the pulses are taken as read at {read_v:g} V: --read-voltage says otherwise")
    else:
        read_v = read_voltage
    refuse_active(np.broadcast_to(read_v, volts.shape), amperes, table.lines)
    refuse_polarity("pulses", -volts if polarity == "set-positive" else volts, amperes)
    if polarity == "set-positive":
        volts, amperes, read_v = -volts, -amperes, -read_v
    return Measurement("pulses", volts, width, amperes, source, read_v, cycles=cycles, notes=notes)


def _starts_again(pulse: Array, table: Table, notes: list[str]) -> list[int]:
    """The rows at which the count of pulses begins again; it may not fall otherwise. None where it is no count."""
    rows = (np.flatnonzero(np.diff(pulse) <= 0) + 1).tolist()
    for row in rows:
        if pulse[row] > pulse[0]:
            raise DeviceError(
                f"line {table.lines[row]}: pulse = {pulse[row]:g} must be above {pulse[row - 1]:g} of the row before: "
                "put the rows in the order of time"
            )
    if short := too_short(rows, len(pulse)):
        notes.append(_no_count("pulse", short))
        return []
    return rows


def _no_count(ours: str, rows: float) -> str:
    return (
        f"the column of {ours} would begin a cycle every {rows:g} rows, and one has {MIN_ROWS} or more: it is left out"
    )


def _between(values: Array) -> Array:
    """The values with those of neighbours between where there is none."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    row = np.arange(len(values))
    return np.interp(row, row[~missing], values[~missing])
