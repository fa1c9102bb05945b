"""Taking records over from another results folder: which ones, and as which trials of this study."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.store.duplicates import chosen
from vcm_sweep.sweep.store.schema import FACTOR, STUDY_NOTE, conform
from vcm_sweep.sweep.trial import Trial


class LeftBehind:
    """The records in a Parquet file that a store left behind when its folder could not be written.

    Attributes:
        digest: of their study.

    Raises:
        StoreError: it cannot be read.
    """

    def __init__(self, where: str | Path) -> None:
        self.where = where
        try:
            table = pq.read_table(where, page_checksum_verification=True)
        except (OSError, pa.ArrowException) as error:
            first = (str(error).splitlines() or [""])[0]
            raise StoreError(f"{where} cannot be read ({first}): give the file that the message named") from None
        self.digest = (table.schema.metadata or {}).get(STUDY_NOTE, b"").decode()
        if not self.digest:
            raise StoreError(f"{where} holds no records: give a results folder, or the file that a message named")
        rows = chosen(table["key"], table["status"])
        self._table = table if rows is None else table.take(rows)

    def __str__(self) -> str:
        """Path of the file."""
        return str(self.where)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """One row per key, with these columns."""
        return self._table if columns is None else self._table.select(list(columns))


def wanted(table: pa.Table, mine: pa.Table, keys: Collection[str] | None, statuses: Collection[str] | None) -> pa.Table:
    """The rows to take: of these keys and statuses (None is all), and better than what is mine already."""

    def among(column: str, values: Collection[str]) -> pa.ChunkedArray:
        return pc.is_in(table[column], pa.array(list(values), pa.string()))

    if keys is not None:
        table = table.filter(among("key", keys))
    if statuses is not None:
        table = table.filter(among("status", statuses))
    mine_ok = mine.filter(pc.equal(mine["status"], "ok"))["key"].combine_chunks()
    there = pc.is_in(table["key"], mine["key"].combine_chunks())
    better = pc.and_(pc.equal(table["status"], "ok"), pc.invert(pc.is_in(table["key"], mine_ok)))
    return table.filter(pc.or_(pc.invert(there), better))


def in_place(table: pa.Table, trials: Mapping[str, Trial] | None, columns: pa.Schema) -> pa.Table:
    """The rows with these columns; point, replicate and factors are those of the trials, where they are given."""
    table = conform(table, columns)
    if trials is None:
        return table
    mine = [trials[key] for key in table["key"].to_pylist()]
    for index, field in enumerate(columns):
        if field.name.startswith(FACTOR):
            values: list[float] = [trial.factors[field.name.removeprefix(FACTOR)] for trial in mine]
        elif field.name in ("point", "replicate"):
            values = [getattr(trial, field.name) for trial in mine]
        else:
            continue
        table = table.set_column(index, field, pa.array(values, field.type))
    return table
