"""Files that a study names: found beside the study file, else in the working directory; the small are written out."""

import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import tomlkit

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.library.library import is_path, load_cell
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.sweep.errors import StudyError, one_line
from vcm_sweep.sweep.networks.first_weights import FIELD
from vcm_sweep.sweep.study.conditions import laid_over, nested

_TABLES = ("network", "device")


def find_named(name: str, folder: Path, field: str) -> Path:
    """The file that a study names, beside the study file or in the working directory.

    Args:
        name: as the study has it; an absolute path is itself. folder: of the study file. field: as errors name it.

    Raises:
        StudyError: it is in neither place; one line that names both.
    """
    places = (folder, Path())
    for place in places:
        if (place / name).is_file():
            return place / name
    if Path(name).is_absolute():
        raise StudyError(f"{field} = {name!r} cannot be read: there is no such file: correct the path")
    where = " or ".join(dict.fromkeys(str(place.resolve()) for place in places))
    raise StudyError(
        f"{field} = {name!r} cannot be read: there is no such file in {where}: put it beside the study file, or into "
        "the folder where you start vcm-sweep, or give its path from one of them"
    )


def with_named_files(text: str, folder: Path) -> str:
    """The text of a study file with the contents of the files of conditions and cells that it names.

    A file of conditions becomes its [[condition]] tables, and a cell's file its numbers: a results folder keeps this
    text, which is then read anywhere. A file of conditions ends in .csv or .parquet and has a condition in each row. A
    column is a field of [[condition]], the name of a factor, or a field of [network] or [device] with dots:
    ``device.d2d.r.sigma``. An empty cell of the table gives nothing.

    Raises:
        StudyError: a named file is not there, or cannot be read; or there are [[condition]] tables besides.
    """
    document = tomlkit.parse(text)
    if _text(document, "design", "method") == "conditions":
        _write_conditions(document, folder)
    _write_cells(document, folder)
    return tomlkit.dumps(document)


def start_from_here(name: str, folder: Path) -> str:
    """The path of first weights from the working directory, below which they are, or else the absolute one.

    Raises:
        StudyError: they are neither beside the study, in ``folder``, nor in the working directory.
    """
    whole, here = find_named(name, folder, FIELD).resolve(), Path.cwd().resolve()
    return os.fspath(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def _text(table: Mapping[str, Any], name: str, key: str) -> str:
    """A text in a table, "" if there is none: what is wrong there is for the reader of the table to say."""
    inner = table.get(name)
    value = inner.get(key) if isinstance(inner, Mapping) else None
    return str(value) if isinstance(value, str) else ""


def _write_conditions(document: Any, folder: Path) -> None:
    """Put [[condition]] tables in place of ``[design] conditions``, if it is given."""
    name = _text(document, "design", "conditions")
    if not name:
        return
    if "condition" in document:
        raise StudyError(f"[design] conditions = {name!r} and [[condition]] both give conditions: keep one")
    tables = tomlkit.aot()
    for number, row in enumerate(_rows(name, folder), 1):
        try:
            tables.append(tomlkit.item(_table(row.items())))
        except (TypeError, ValueError):  # tomlkit's, of a decimal or bytes
            kinds = ", ".join(f"{column} ({type(value).__name__})" for column, value in row.items())
            raise StudyError(
                f"[design] conditions = {name!r}: row {number} holds what TOML has no word for, in one of {kinds}: "
                "write numbers, texts, lists, true or false"
            ) from None
    document["design"].remove("conditions")
    document["condition"] = tables


def _rows(name: str, folder: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import csv, parquet

    if not name.endswith((".csv", ".parquet")):
        raise StudyError(f"[design] conditions = {name!r} must end in .csv or .parquet")
    path = find_named(name, folder, "[design] conditions")
    try:
        if name.endswith(".parquet"):
            table = parquet.read_table(path)
        else:
            # An empty cell alone gives nothing: a condition may be called NA.
            options = csv.ConvertOptions(column_types={"name": pa.string()}, null_values=[""], strings_can_be_null=True)
            table = csv.read_csv(path, convert_options=options)
    except (OSError, pa.ArrowException) as error:
        raise StudyError(
            f"[design] conditions = {name!r} cannot be read as {path} ({one_line(error)}): write CSV with a header, "
            "or Parquet"
        ) from None
    for column in table.column_names:
        if table.column_names.count(column) > 1:
            raise StudyError(f"[design] conditions = {name!r} has {column!r} in two columns: keep one")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _table(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for column, value in cells:
        if value is not None:
            # A column of whole numbers with an empty cell is one of fractions where pandas has written it.
            value = int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
            root, *rest = column.split(".")
            table = laid_over(table, nested((root, *rest), value) if root in _TABLES else {column: value})
    return table


def _write_cells(document: Mapping[str, Any], folder: Path) -> None:
    """Put the parameters of cells in place of their names, if one of these is the path of a file."""
    holders = list(_naming_cells(document))
    if not any(is_path(holder["cell"]) for holder in holders):
        return
    study = document.get("device", {})
    given = set(study)  # before anything is written: what [device] itself says holds for every condition
    for holder in holders:
        name = str(holder["cell"])
        try:
            cell = load_cell(find_named(name, folder, "[device] cell") if is_path(name) else name)
        except DeviceError as error:
            raise StudyError(f"[device] cell: {error}") from None
        del holder["cell"]
        for parameter in CellParameters.names():
            if parameter not in holder and parameter not in given:
                item = tomlkit.item(float(getattr(cell, parameter)))
                holder[parameter] = item.comment(f"of the cell {name}")


def _naming_cells(document: Mapping[str, Any]) -> Iterator[MutableMapping[str, Any]]:
    """The [device] tables of the study and its conditions that name a cell."""
    rows = document.get("condition")
    for owner in (document, *(rows if isinstance(rows, list) else [])):
        if isinstance(owner, Mapping) and _text(owner, "device", "cell"):
            yield owner["device"]
