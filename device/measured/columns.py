"""Which column of a table is which of ours, by its name or as the caller says."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.measured.units import factor_of, split_name, unit_is_sure

COLUMNS = {"iv": ("voltage_v", "current_a"), "pulses": ("voltage_v", "width_s", "current_a")}
OPTIONAL = {"iv": ("time_s", "programmed_v", "cycle"), "pulses": ("pulse", "read_voltage_v")}
BASE = {
    "voltage_v": "V", "current_a": "A", "time_s": "s", "width_s": "s", "read_voltage_v": "V", "programmed_v": "V",
    "pulse": "", "cycle": "",
}  # fmt: skip
# What programs and laboratories write, in small letters and without blanks and signs; the first of a table's names that
# stands here counts, so what was measured comes before what was set.
_NAMES: dict[str, tuple[str, ...]] = {
    "voltage_v": (
        "voltage", "measuredvoltage", "voltagemeasured", "vmeas", "vmeasured", "measv", "v", "u", "volt", "volts",
        "bias", "biasvoltage", "appliedvoltage", "vapplied", "vapp", "vbias", "vcell", "cellvoltage", "vdevice", "av",
        "anodev", "anodevoltage", "vte", "vds", "vd", "v1", "voltage1", "ch1v", "ch1voltage", "smu1v", "smu1voltage",
        "smuv", "va", "topelectrodevoltage", "potential", "pulsevoltage", "amplitude", "pulseamplitude", "vpulse",
        "vforce", "vsource", "sourcev", "sourcevoltage", "forcev", "setvoltage", "voltageset", "programmedvoltage",
        "vprog", "vprogrammed", "source", "spannung", "tension",
    ),
    "current_a": (
        "current", "curr", "measuredcurrent", "currentmeasured", "imeas", "imeasured", "measi", "i", "amp", "amps",
        "ampere", "icell", "cellcurrent", "idevice", "ai", "anodei", "anodecurrent", "ite", "ids", "id", "i1",
        "current1", "ch1i", "ch1current", "smu1i", "smu1current", "smui", "ia", "readcurrent", "iread", "currentread",
        "reading", "a", "strom", "courant",
    ),
    "time_s": (
        "time", "t", "timestamp", "elapsed", "elapsedtime", "relativetime", "reltime", "time1", "times", "ch1time",
        "smu1time", "seconds", "sec", "s", "t1", "zeit", "temps",
    ),
    "width_s": (
        "width", "pulsewidth", "twidth", "tpulse", "pw", "pulselength", "pulseduration",
    ),
    "read_voltage_v": (
        "readvoltage", "vread", "readv", "readbias",
    ),
    "programmed_v": (
        "programmedvoltage", "programmed", "vprog", "vprogrammed", "vforce", "forcev", "setvoltage",
    ),
    "pulse": (
        "pulse", "pulseno", "pulsenumber", "pulseindex", "pulsecount", "npulse",
    ),
    "cycle": (
        "cycle", "cycleno", "cyclenumber", "cycleindex", "loop", "sweep", "repeat", "run", "iteration",
    ),
}  # fmt: skip

_WORDS = ("voltage", "current", "time")  # that a longer name may hold, unless it is of a setting or another quantity
_OTHER = re.compile("range|limit|compl|density", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """Where one of our quantities stands: the column's place, its name in the file, and the factor to our unit."""

    place: int
    name: str
    factor: float


def columns_of(headers: Sequence[Sequence[str]], width: int, given: Mapping[str, str]) -> tuple[str, dict[str, Column]]:
    """Kind of the measurement and where each of its quantities stands.

    Args:
        headers: what may be the names in the file, the likeliest first; the first that holds what is needed is taken.
        width: number of columns.
        given: what the caller says: ours to ``NAME`` or ``NAME:UNIT``, where NAME is a name of the header or the number
            of a column, from 1; a minus before it turns the sign.

    Raises:
        DeviceError: a name that is not in the header, a unit that is none, two columns that could be one quantity, or a
            quantity that is missing; of the likeliest header.
    """
    return _first_that_fits(headers, lambda header: _columns(header, width, given))


def wanted_columns(
    headers: Sequence[Sequence[str]], width: int, given: Mapping[str, str], wanted: Sequence[str]
) -> dict[str, Column]:
    """Where some of our quantities stand; arguments and errors are those of :func:`columns_of`."""

    def found(header: Sequence[str]) -> dict[str, Column]:
        columns = _found(header, width, given)
        for ours in wanted:
            if ours not in columns:
                raise DeviceError(_missing(ours, "a waveform", header, width))
        return columns

    return _first_that_fits(headers, found)


Found = TypeVar("Found")


def _first_that_fits(headers: Sequence[Sequence[str]], find: Callable[[Sequence[str]], Found]) -> Found:
    failures = []
    for header in headers or [()]:
        try:
            return find(header)
        except DeviceError as error:
            failures.append(error)
    raise failures[0]


def _columns(header: Sequence[str], width: int, given: Mapping[str, str]) -> tuple[str, dict[str, Column]]:
    found = _found(header, width, given)
    kind = "pulses" if "pulse" in found or "width_s" in found else "iv"
    words = "an I-V sweep" if kind == "iv" else "a pulse response"
    for ours in COLUMNS[kind]:
        if ours not in found:
            raise DeviceError(_missing(ours, words, header, width))
    wanted = COLUMNS[kind] + OPTIONAL[kind]
    for ours in given:
        if ours not in wanted:
            raise DeviceError(f"--columns: {ours} does not belong to {words}: leave it out")
    return kind, {ours: column for ours, column in found.items() if ours in wanted}


def _found(header: Sequence[str], width: int, given: Mapping[str, str]) -> dict[str, Column]:
    found = {ours: _given(ours, spec, header, width) for ours, spec in given.items()}
    taken = {column.place for column in found.values()}
    parts = [split_name(name) for name in header]
    for ours in BASE:
        if ours not in found:
            column = _known(ours, parts, header, taken)
            if column is not None:
                found[ours] = column
                if ours != "programmed_v":
                    taken.add(column.place)
    if "programmed_v" in found and found["programmed_v"].place == found.get("voltage_v", Column(-1, "", 1.0)).place:
        del found["programmed_v"]
    return found


def _given(ours: str, spec: str, header: Sequence[str], width: int) -> Column:
    if ours not in BASE:
        raise DeviceError(f"--columns: {ours!r} is no column of ours: one of {', '.join(BASE)}")
    name, _, unit = spec.strip().rpartition(":") if ":" in spec else (spec.strip(), "", "")
    places = [place for place, text in enumerate(header) if text == name or split_name(text)[0] == name]
    sign = 1.0
    if not places and name.startswith("-"):
        sign, name = -1.0, name[1:]
        places = [place for place, text in enumerate(header) if text == name or split_name(text)[0] == name]
    if not places and name.isdigit() and 1 <= int(name) <= width:
        places = [int(name) - 1]
    if not places:
        names = ", ".join(header) or "none, so give numbers from 1"
        raise DeviceError(f"--columns {ours}={spec}: no column {name!r}; the file has {names}")
    place = places[0]
    unit = unit or (_own_unit(ours, header[place]) if header else "")
    return Column(place, header[place] if header else f"column {place + 1}", sign * _factor(ours, unit))


def _own_unit(ours: str, header: str) -> str:
    """The unit in a column's header; "" where it has none, or ends in what is none of this quantity: ``V_S``."""
    unit = split_name(header)[1] or ""
    fits = factor_of(unit, BASE[ours]) is not None if BASE[ours] else True
    return unit if fits or unit_is_sure(header) else ""


def _factor(ours: str, unit: str) -> float:
    base = BASE[ours]
    if not unit or not base:
        return 1.0
    factor = factor_of(unit, base)
    if factor is None:
        raise DeviceError(f"--columns {ours}: {unit!r} is no unit of it: write {base}, m{base} or u{base}")
    return factor


def _known(ours: str, parts: Sequence[tuple[str, str | None]], header: Sequence[str], taken: set[int]) -> Column | None:
    """The column whose name comes first in the list of known ones; our own name comes before all."""
    base, names = BASE[ours], _NAMES[ours]
    places: dict[int, list[int]] = {}
    for place, (name, unit) in enumerate(parts):
        if place in taken:
            continue
        if unit and base and factor_of(unit, base) is None:
            if unit_is_sure(header[place]):
                continue
            name, unit = header[place], None  # V_S and V_A are voltages, of a source and of channel A
        written = (name, split_name(name)[0], header[place])
        ranks = [names.index(plain) for plain in map(_plain, written) if plain in names]
        if header[place] == ours:
            ranks = [-1]
        elif not ranks and not unit and base and factor_of(name, base) is not None:  # it is called by its unit alone
            ranks = [len(names)]
        elif not ranks and names[0] in _WORDS and names[0] in _plain(name) and not _OTHER.search(name):
            ranks = [len(names) + 1]
        elif not ranks and unit and base in "VA" and ours in COLUMNS["iv"]:  # its unit says what it is
            ranks = [len(names) + 2]
        if ranks:
            places.setdefault(min(ranks), []).append(place)
    if not places:
        return None
    first = places[min(places)]
    if len(first) > 1:
        which = " and ".join(repr(header[place]) for place in first)
        raise DeviceError(f"columns {which} could both be {ours}: say which, as --columns {ours}={first[0] + 1}")
    name, unit = parts[first[0]]
    factor = (factor_of(unit, base) if unit else None) or factor_of(name, base) or 1.0
    return Column(first[0], header[first[0]], factor if base else 1.0)


def _plain(name: str) -> str:
    """A name in small letters, without blanks and signs."""
    return re.sub(r"[^0-9a-z]", "", name.lower())


def _missing(ours: str, kind: str, header: Sequence[str], width: int) -> str:
    names = ", ".join(map(repr, header)) if header else f"no header, {width} columns"
    unit = {"V": "mV", "A": "uA", "s": "ms"}[BASE[ours]]
    other = next((name for name in header if re.search("conductance|resistance", name, re.IGNORECASE)), None)
    if ours == "current_a" and other is not None:
        return (
            f"column current_a of {kind} is not found, and {other!r} is no current: write a column of it, the "
            "voltage it was read at times the conductance, or divided by the resistance"
        )
    return (
        f"column {ours} of {kind} is not found; the file has {names}: say which it is, as "
        f"--columns {ours}={'NAME' if header else '1'}:{unit}"
    )
