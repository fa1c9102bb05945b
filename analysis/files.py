"""Results on disk: JSON and Parquet, written beside and renamed, so that a reader never sees half of one."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_NUMBERS = ("value", "low", "high", "floor", "confidence", "range_low", "range_high")

_OTHERS = {"settled": pa.bool_(), "needs": pa.int64()}


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Plain values; NaN is refused, since it is no JSON."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    replace_file(Path(path), lambda beside: beside.write_text(text, encoding="utf-8"))


def write_parquet(
    path: str | os.PathLike[str], lines: Sequence[Mapping[str, Any]], metadata: Mapping[str, str]
) -> None:
    """One row per line; numbers as float64, all else as text but what is a count or a flag."""
    kinds = [(name, pa.float64() if name in _NUMBERS else _OTHERS.get(name, pa.string())) for name in lines[0]]
    table = pa.Table.from_pylist(list(lines), schema=pa.schema(kinds).with_metadata(dict(metadata)))
    replace_file(Path(path), lambda beside: pq.write_table(table, beside))


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside, then rename."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
