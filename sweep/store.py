"""The results folder of a study: immutable Parquet parts, one driver at a time.

    study.toml           the frozen study
    parts/*.parquet      records; each file is written beside, synced and renamed, and never changed
    lock                 held by the driver that writes

A part is complete or not there. Records are found again by key; where a key occurs twice, one that is ok wins.
"""

import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import StoreError
from .study import Study
from .trial import TrialRecord

SCHEMA_VERSION = 2  # 1 had no figures of the arrays
_UNITS = {
    "energy_j": "J", "peak_temperature_k": "K", "asymmetry_mean": "ln", "asymmetry_sd": "ln", "wall_s": "s",
    "cpu_s": "s", "accuracy": "share", "loss": "nat",
}  # fmt: skip


def schema(study: Study) -> pa.Schema:
    """The typed columns of a study's records, with units and the study's hash in the metadata."""

    def column(name: str, kind: pa.DataType, unit: str | None = None) -> pa.Field:
        unit = unit or _UNITS.get(name)
        return pa.field(name, kind, metadata={"unit": unit} if unit else None)

    factors = [column(f"x_{factor.name}", pa.float64(), factor.unit) for factor in study.factors]
    columns = [
        column("key", pa.string()),
        column("point", pa.int64()),
        column("replicate", pa.int32()),
        *factors,
        column("seed", pa.int64()),
        column("status", pa.string()),
        column("reason", pa.string()),
        column("accuracy", pa.float64()),
        column("loss", pa.float64()),
        column("history", pa.list_(pa.float64())),
        column("at_chance", pa.bool_()),
        column("frac_at_bound", pa.float64()),
        column("pulses_set", pa.int64()),
        column("pulses_reset", pa.int64()),
        column("energy_j", pa.float64()),
        column("asymmetry_mean", pa.float64()),
        column("asymmetry_sd", pa.float64()),
        column("levels", pa.float64()),
        column("peak_temperature_k", pa.float64()),
        column("frac_outside_validity", pa.float64()),
        column("reads", pa.int64()),
        column("wall_s", pa.float64()),
        column("cpu_s", pa.float64()),
        column("model_version", pa.int32()),
        column("versions", pa.string()),
    ]
    return pa.schema(columns, metadata={"vcm_sweep_schema": str(SCHEMA_VERSION), "vcm_sweep_study": study.digest})


_FROZEN = "study.toml"
# What the study of a folder only implies: see Study.frozen.
_NOTED = "frozen.json"


@contextmanager
def _reported(directory: Path, verb: str) -> Iterator[None]:
    """StoreError, in one line, where the system refuses what is done with a folder."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{directory} cannot be {verb} ({error.strerror or error}): give yourself the rights, or choose another "
            "--out"
        ) from None


def holds_study(directory: Path) -> bool:
    """Whether a folder is one of results; StoreError where the system does not say."""
    with _reported(directory, "read"):
        return (directory / _FROZEN).exists()


class Store:
    """A results folder, open for reading or, by one driver at a time, for writing."""

    def __init__(self, directory: Path, study: Study) -> None:
        self.directory, self.study = directory, study
        self._schema = schema(study)
        self._lock: IO[str] | None = None

    @classmethod
    def create(cls, study: Study, directory: Path) -> "Store":
        """Make the folder of a study, or open the one that holds the same study.

        Raises:
            StoreError: the folder holds another study (the difference is named), or cannot be written.
        """
        if holds_study(directory):
            store = cls.open(directory)
            if store.study.digest != study.digest:
                raise StoreError(
                    f"{directory} holds another study ({_difference(store.study, study)}): "
                    "choose another --out, or leave it out"
                )
            return cls(directory, study)
        with _reported(directory, "written"):
            if directory.exists() and not directory.is_dir():
                raise StoreError(f"{directory} is a file, and results are a folder: choose another --out")
            if directory.exists() and any(directory.iterdir()):
                raise StoreError(f"{directory} is not empty and holds no study: choose another --out")
            (directory / "parts").mkdir(parents=True, exist_ok=True)
            _write_durably(directory / _NOTED, json.dumps(study.frozen).encode())
            _write_durably(directory / _FROZEN, study.text.encode())
        return cls(directory, study)

    @classmethod
    def open(cls, directory: Path) -> "Store":
        """An existing results folder."""
        if not holds_study(directory):
            raise StoreError(f"{directory} is no results folder (no study.toml): give the folder that run printed")
        noted = directory / _NOTED
        try:
            # The first version noted nothing.
            known = json.loads(noted.read_text(encoding="utf-8")) if noted.exists() else {"model_version": 1}
            if not isinstance(known, dict):
                raise ValueError("no table")
        except (OSError, ValueError) as error:
            raise StoreError(f"{noted} cannot be read ({error}): restore it, or start a new folder") from None
        return cls(directory, Study.from_toml(directory / _FROZEN, known))

    def __enter__(self) -> "Store":
        """Take the driver's lock; StoreError if another driver holds it."""
        with _reported(self.directory, "written"):
            lock = open(self.directory / "lock", "w", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise StoreError(f"{self.directory} is in use by another run: wait for it, or stop it") from None
        self._lock = lock
        with _reported(self.directory, "written"):
            for leftover in (self.directory / "parts").glob(".*.tmp"):
                leftover.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def append(self, records: Sequence[TrialRecord]) -> None:
        """Write records as one part; when this returns they survive a crash of the machine."""
        if self._lock is None:
            raise StoreError("the store is open for reading only: use it in a with statement")
        if not records:
            return
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist([_row(r) for r in records], schema=self._schema), sink, compression="zstd")
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
        try:
            _write_durably(self.directory / "parts" / name, sink.getvalue())
        except OSError as error:
            raise StoreError(
                f"{self.directory / 'parts'} cannot be written ({error.strerror}): what was finished before is "
                "kept; make room and run again"
            ) from None

    def table(self) -> pa.Table:
        """All records, one per key: of equal keys the latest that is ok, else the latest."""
        tables = []
        for part in sorted((self.directory / "parts").glob("*.parquet")):
            try:
                table = pq.read_table(part)
            except (OSError, pa.ArrowInvalid) as error:
                raise StoreError(
                    f"{part} cannot be read ({str(error).splitlines()[0]}): remove it and run again"
                ) from None
            owner = (table.schema.metadata or {}).get(b"vcm_sweep_study", b"").decode()
            if owner != self.study.digest:
                raise StoreError(f"{part} belongs to another study: remove it from this folder")
            tables.append(table)
        if not tables:
            return self._schema.empty_table()
        # Parts of older versions lack columns: null there.
        table = pa.concat_tables([self._schema.empty_table(), *tables], promote_options="default")
        best: dict[str, int] = {}
        status = table["status"].to_pylist()
        for index, key in enumerate(table["key"].to_pylist()):
            if key not in best or status[index] == "ok" or status[best[key]] != "ok":
                best[key] = index
        return table.take(pa.array(sorted(best.values()), pa.int64()))


def _row(record: TrialRecord) -> dict[str, Any]:
    row = {name: value for name, value in vars(record).items() if name != "factors"}
    return row | {f"x_{name}": value for name, value in record.factors.items()}


def _write_durably(path: Path, content: bytes | pa.Buffer) -> None:
    """Write beside, sync, rename, sync the folder: the file is whole or not there."""
    beside = path.with_name(f".{path.name}.tmp")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _difference(there: Study, here: Study) -> str:
    """The first field in which two studies differ, in words."""
    a, b = _flat(there.canonical()), _flat(here.canonical())
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name):
            return f"{name} is {a.get(name, 'absent')} there and {b.get(name, 'absent')} here"
    return "the same fields"


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key, sub in value.items() for k, v in _flat(sub, f"{prefix}{key}.").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for i, sub in enumerate(value, 1) for k, v in _flat(sub, f"{prefix}{i}.").items()}
    return {prefix.rstrip("."): json.dumps(value)}
