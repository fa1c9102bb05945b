"""Writing results as JSON and Parquet files, each replaced in one step, so that nobody reads a half-written one."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_NUMBERS = ("value", "low", "high", "floor", "confidence", "range_low", "range_high", "level", "p_holm", "one", "other")

_OTHERS = {"settled": pa.bool_(), "needs": pa.int64(), "trainings": pa.int64()}


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write plain values as JSON; NaN raises ValueError, because JSON has no NaN."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    replace_file(Path(path), lambda beside: beside.write_text(text, encoding="utf-8"))


def write_parquet(
    path: str | os.PathLike[str], lines: Sequence[Mapping[str, Any]], metadata: Mapping[str, str]
) -> None:
    """Write one row per line, as float64 for ``_NUMBERS``, in their own type for ``_OTHERS``, and all else as text."""
    kinds = [(name, pa.float64() if name in _NUMBERS else _OTHERS.get(name, pa.string())) for name in lines[0]]
    table = pa.Table.from_pylist(list(lines), schema=pa.schema(kinds).with_metadata(dict(metadata)))
    replace_file(Path(path), lambda beside: pq.write_table(table, beside))


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file in one step: ``write`` fills a temporary file in the same folder, which is then renamed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
