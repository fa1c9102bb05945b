"""Conditions from a CSV or Parquet file: its rows become the [[condition]] tables of the study's text."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomlkit

from vcm_sweep.sweep.errors import StudyError, one_line
from vcm_sweep.sweep.study.conditions import laid_over, nested

_TABLES = ("network", "device")


def with_rows(text: str, name: str, beside: str) -> str:
    """The text of a study file with its conditions written out, and without ``[design] conditions``.

    A results folder keeps this text, so that it needs no other file.

    Args:
        text: of the study file, which names the file.
        name: of a file that ends in .csv or .parquet, a condition in each row. A column is a field of [[condition]],
            the name of a factor, or a field of [network] or [device] with dots: ``device.d2d.r.sigma``. An empty cell
            gives nothing.
        beside: the study file, in whose folder the other is looked for; "" for the folder one is in.

    Raises:
        StudyError: the file cannot be read, or the study has [[condition]] tables of its own.
    """
    document = tomlkit.parse(text)
    if "condition" in document:
        raise StudyError(f"[design] conditions = {name!r} and [[condition]] both give conditions: keep one")
    path = Path(beside).parent / name
    tables = tomlkit.aot()
    for row in _rows(path, name):
        tables.append(tomlkit.item(_table(row.items())))
    document["design"].remove("conditions")
    document["condition"] = tables
    return tomlkit.dumps(document)


def _rows(path: Path, name: str) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        if name.endswith(".parquet"):
            table = parquet.read_table(path)
        elif name.endswith(".csv"):
            options = csv.ConvertOptions(column_types={"name": pa.string()}, strings_can_be_null=True)
            table = csv.read_csv(path, convert_options=options)
        else:
            raise StudyError(f"[design] conditions = {name!r} must end in .csv or .parquet")
    except (OSError, pa.ArrowException) as error:
        raise StudyError(
            f"[design] conditions = {name!r} cannot be read as {path} ({one_line(error)}): it is looked for beside the "
            "study file"
        ) from None
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _table(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for column, value in cells:
        if value is not None:
            root, *rest = column.split(".")
            table = laid_over(table, nested((root, *rest), value) if root in _TABLES else {column: value})
    return table
