"""The columns of a study's records in Parquet: types, units, and how records become rows.

Files say in their metadata by which version of the columns they were written and to which study they belong. Columns
are only ever added; what an older file lacks is null when it is read.
"""

from collections.abc import Sequence
from operator import attrgetter

import pyarrow as pa
import pyarrow.parquet as pq

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.study.study import Study
from vcm_sweep.sweep.trial import RECORD_COLUMNS, TrialRecord

SCHEMA_VERSION = 4
"""1 had no figures of the arrays (asymmetry, levels, temperature, validity); 2 no node and no attempts; 3 no
asymmetry_total."""

VERSION_NOTE, STUDY_NOTE = b"vcm_sweep_schema", b"vcm_sweep_study"
FACTOR = "x_"
# The text of an error has 500 characters, of four bytes at most.
_TEXT_BYTES = 3000

_KINDS = {
    "text": pa.string(), "int32": pa.int32(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(),
    "list of float64": pa.list_(pa.float64()),
}  # fmt: skip
# Few different values: a dictionary makes them small. Of keys no two are equal.
_REPEATED = tuple(column.name for column in RECORD_COLUMNS.values() if column.repeated)


def schema(study: Study) -> pa.Schema:
    """The typed columns of a study's records, with units and the study's hash in the metadata."""

    def field(name: str, kind: pa.DataType, unit: str | None) -> pa.Field:
        return pa.field(name, kind, metadata={"unit": unit} if unit else None)

    columns: list[pa.Field] = []
    for column in RECORD_COLUMNS.values():
        if column.name == "factors":
            columns += [field(f"{FACTOR}{factor.name}", pa.float64(), factor.unit) for factor in study.factors]
        else:
            columns.append(field(column.name, _KINDS[column.kind], column.unit))
    return pa.schema(columns, metadata={VERSION_NOTE: str(SCHEMA_VERSION), STUDY_NOTE: study.digest})


def row_bytes(study: Study) -> int:
    """What a record of a study takes in memory at most: its texts are cut where they are made."""
    varied = [factor.high for factor in study.factors if factor.name == "network.epochs"]
    epochs = max(*varied, *(own.network.epochs for own in study.settings), 0)
    return _TEXT_BYTES + 8 * (len(RECORD_COLUMNS) + len(study.factors) + round(epochs))


def to_table(records: Sequence[TrialRecord], columns: pa.Schema) -> pa.Table:
    """Records as rows, column by column.

    Raises:
        StoreError: a value that its column cannot hold.
    """
    arrays = []
    for field in columns:
        if field.name.startswith(FACTOR):
            name = field.name.removeprefix(FACTOR)
            values = [record.factors.get(name) for record in records]
        else:
            values = list(map(attrgetter(field.name), records))
        try:
            arrays.append(pa.array(values, field.type))
        except UnicodeEncodeError:
            # The text of an error may hold bytes of a file's name that are no text.
            arrays.append(pa.array([str(value).encode(errors="replace").decode() for value in values], field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise StoreError(
                f"a record's {field.name} does not fit into {field.type} ({error}): this is a bug"
            ) from None
    return pa.Table.from_arrays(arrays, schema=columns)


def conform(table: pa.Table, columns: pa.Schema) -> pa.Table:
    """A table with exactly these columns, in this order; null where it has none."""
    names = set(table.column_names)
    arrays = []
    for field in columns:
        if field.name in names:
            array = table[field.name]
            arrays.append(array if array.type == field.type else array.cast(field.type))
        else:
            arrays.append(pa.nulls(table.num_rows, field.type))
    return pa.Table.from_arrays(arrays, schema=columns)


def encode(table: pa.Table, row_group: int = 1 << 17) -> pa.Buffer:
    """A table as the bytes of a Parquet file: zstd, each page with a checksum."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table, sink, row_group_size=row_group, compression="zstd", write_page_checksum=True,
        use_dictionary=[name for name in _REPEATED if name in table.column_names],
    )  # fmt: skip
    return sink.getvalue()
