"""Named parameter sets of cells, one TOML file each.

The files in ``cells/`` are the library; a file anywhere else is named by its path. A file says where its numbers
come from and where they hold:

    name = "my-cell"
    source = "Author et al., journal (year), table 2"
    [validity]                      # [lowest, highest] of voltage_v (V), n (1e26/m3), temperature_k (K); or {}
    voltage_v = [-0.5, 0.9]
    [parameters]                    # numbers in the units of CellParameters; what is left out is the default's
    r = 30e-9
    l = "0.5e-9 m"                  # a unit may be written out; it must be the one of the table
    [fit]                           # in the file of a fitted cell: data, rms, noise, errors; for the reader
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.public import public

CELLS = Path(__file__).parent / "cells"
VALIDITY = {"voltage_v": "V", "n": "1e26/m3", "temperature_k": "K"}


@public
@dataclass(frozen=True)
class LibraryCell:
    """A parameter set with its origin.

    Attributes:
        name: letters, digits, '-', '_' and '.'.
        source: paper with table or figure, or the measurement it was fitted to.
        parameters: the cell's parameters, floats.
        validity: the ranges in which the numbers hold, ``{quantity: (lowest, highest)}`` for any of ``voltage_v`` (V),
            ``n`` (1e26/m3) and ``temperature_k`` (K). They are information for the reader; nothing enforces them.
        fit: of a fitted cell how good the fit is: numbers, words, truth values, or tables of numbers by parameter.
        defaults: the parameters that its file does not give, which are the default cell's.

    Raises:
        DeviceError: a name that is empty or has other characters, no source, an unknown or reversed range.
    """

    name: str
    source: str
    parameters: CellParameters
    validity: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    defaults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or set(self.name) - _NAME_CHARACTERS:
            raise DeviceError(f"name = {self.name!r} must be letters, digits, '-', '_' and '.'")
        if not isinstance(self.source, str) or not self.source.strip():
            raise DeviceError(f"source = {self.source!r} must say where the numbers come from: paper and table")
        for key, ends in self.validity.items():
            if key not in VALIDITY:
                raise DeviceError(f"validity.{key} is unknown: it must be one of {', '.join(VALIDITY)}")
            if len(ends) != 2 or not all(map(_is_number, ends)) or not ends[0] <= ends[1]:
                raise DeviceError(f"validity.{key} = {list(ends)!r} must be [lowest, highest] in {VALIDITY[key]}")

    def to_toml(self) -> str:
        """The text of a cell file that :func:`library_cell` reads back to the same numbers.

        >>> cell = library_cell("default")
        >>> "r = 4.5e-08" in cell.to_toml()
        True
        """
        lines = [f"name = {_quoted(self.name)}", f"source = {_quoted(self.source)}", "", "[validity]"]
        lines += [f"{key} = [{_written(low)}, {_written(high)}]" for key, (low, high) in self.validity.items()]
        lines += ["", "[parameters]"]
        lines += [f"{name} = {_written(float(getattr(self.parameters, name)))}" for name in CellParameters.names()]
        tables = {"fit": {key: value for key, value in self.fit.items() if not isinstance(value, Mapping)}}
        tables |= {f"fit.{key}": dict(value) for key, value in self.fit.items() if isinstance(value, Mapping)}
        for title, table in tables.items():
            if table:
                lines += ["", f"[{title}]", *(f"{key} = {_written(value)}" for key, value in table.items())]
        return "\n".join(lines) + "\n"


def cell_names() -> list[str]:
    """The names in the library, ``default`` first.

    >>> cell_names()[0]
    'default'
    """
    return sorted((path.stem for path in CELLS.glob("*.toml")), key=lambda name: (name != "default", name))


def load_cell(name_or_path: str | Path) -> CellParameters:
    """The parameters of a cell of the library, or of a TOML file.

    Args:
        name_or_path: a name of :func:`cell_names`, or a path: anything with a slash or the ending ``.toml``.

    Raises:
        DeviceError: one line with the file and what is wrong in it.

    Example:
        >>> load_cell("default").r
        4.5e-08
    """
    return library_cell(name_or_path).parameters


def library_cell(name_or_path: str | Path) -> LibraryCell:
    """A cell with its source and validity; arguments and errors are those of :func:`load_cell`.

    >>> library_cell("default").validity["n"]
    (0.008, 20.0)
    """
    text = str(name_or_path)
    if not is_path(name_or_path):
        if text not in cell_names():
            raise DeviceError(f"cell = {text!r} must be one of {', '.join(cell_names())}, or the path of a .toml file")
        return _from_library(text)
    return _read(Path(name_or_path))


def is_path(name_or_path: str | Path) -> bool:
    """Whether a cell is named by the path of its file, not by its name in the library.

    >>> is_path("default"), is_path("mine.toml")
    (False, True)
    """
    text = str(name_or_path)
    return isinstance(name_or_path, Path) or "/" in text or text.endswith(".toml")


@cache
def _from_library(name: str) -> LibraryCell:
    return _read(CELLS / f"{name}.toml")


def _read(path: Path) -> LibraryCell:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DeviceError(f"{path}: cannot be read ({type(error).__name__}): give the path of a cell file") from None
    except tomllib.TOMLDecodeError as error:
        raise DeviceError(f"{path}: not TOML: {error}") from None
    try:
        return _cell(table)
    except DeviceError as error:
        raise DeviceError(f"{path}: {error}") from None


_KEYS = ("name", "source", "validity", "parameters")
_OPTIONAL = ("fit",)
_NAME_CHARACTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def _cell(table: dict[str, Any]) -> LibraryCell:
    for key in table:
        if key not in _KEYS + _OPTIONAL:
            hint = ": put it under [parameters]" if key in CellParameters.names() else ""
            raise DeviceError(f"unknown key {key!r}{hint or ', must be one of ' + ', '.join(_KEYS + _OPTIONAL)}")
    for key in _KEYS:
        if key not in table:
            raise DeviceError(f"{key} is missing: a cell file has {', '.join(_KEYS)}")
    for key in ("validity", "parameters", *(key for key in _OPTIONAL if key in table)):
        if not isinstance(table[key], dict):
            raise DeviceError(f"{key} = {table[key]!r} must be a table: write [{key}]")
    validity = {}
    for key, ends in table["validity"].items():
        if not isinstance(ends, list):
            raise DeviceError(f"validity.{key} = {ends!r} must be [lowest, highest] in {VALIDITY.get(key, 'its unit')}")
        validity[key] = tuple(ends)
    values = {name: _value(name, value) for name, value in table["parameters"].items()}
    defaults = tuple(name for name in CellParameters.names() if name not in values)
    return LibraryCell(
        table["name"], table["source"], CellParameters(**values), validity, table.get("fit", {}), defaults
    )


def _value(name: str, value: Any) -> float:
    if name not in CellParameters.names():
        raise DeviceError(f"unknown cell parameter {name!r}: one of {', '.join(CellParameters.names())}")
    unit = CellParameters.unit(name)
    if isinstance(value, str):
        number, _, written = value.partition(" ")
        if written.strip() != unit:
            raise DeviceError(f"{name} = {value!r} must be in {unit}: write a number, alone or followed by '{unit}'")
        try:
            return float(number)
        except ValueError:
            raise DeviceError(f"{name} = {value!r} must be a number in {unit}") from None
    if not _is_number(value):
        raise DeviceError(f"{name} = {value!r} must be a finite number in {unit}")
    return float(value)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _written(value: Any) -> str:
    """A number, a truth value or a text as TOML."""
    if isinstance(value, str):
        return _quoted(value)
    if not isinstance(value, float):
        return str(value).lower()
    short = f"{value:.15g}"
    return repr(value) if float(short) != value or short.isdigit() else short


def _quoted(text: str) -> str:
    """The text as a TOML basic string, in double quotes."""
    escaped = "".join(c if c.isprintable() and c not in '"\\' else _escape(c) for c in text)
    return f'"{escaped}"'


def _escape(character: str) -> str:
    return "\\" + character if character in '"\\' else f"\\U{ord(character):08x}"
