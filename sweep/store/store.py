"""The results folder of a study: immutable Parquet parts, one driver at a time.

    study.toml           the frozen study; frozen.json, lineage.json what belongs to it
    parts/*.parquet      records; each file is whole or not there, and never changed
    manifest.json        what parts there should be
    lock, lease.json     held by the driver that writes

Records are found again by key; where a key occurs twice, one that is ok wins. See docs/results.md.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store.committer import Committer
from vcm_sweep.sweep.store.compaction import Compaction, compact, delete_replaced
from vcm_sweep.sweep.store.difference import difference
from vcm_sweep.sweep.store.frozen import FROZEN, LINEAGE, STUDY, read_frozen, replace_frozen, reported, write_frozen
from vcm_sweep.sweep.store.lock import LOCK, Lock, made_alone, take_lock
from vcm_sweep.sweep.store.manifest import PARTS, Listing, Part, digest, part_name
from vcm_sweep.sweep.store.parts import PartReader
from vcm_sweep.sweep.store.rescue import rescue
from vcm_sweep.sweep.store.schema import encode, row_bytes, schema, to_table
from vcm_sweep.sweep.store.take_over import LeftBehind, in_place, wanted
from vcm_sweep.sweep.study.study import Study
from vcm_sweep.sweep.trial import Trial, TrialRecord

_log = logging.getLogger("vcm_sweep")
# What a folder may hold that has no study yet.
_BEGUN = {FROZEN, LINEAGE, LOCK}


def holds_study(where: str | Path | Folder) -> bool:
    """Whether a folder is one of results; StoreError where the system does not say."""
    folder = Folder(where)
    with reported(folder, "read"):
        return folder.exists(STUDY)


class Store:
    """A results folder, open for reading or, by one driver at a time, for writing.

    Attributes:
        folder: where it is. study: what it holds the results of.
        on_durable: hears of records once they survive a crash, on the store's own thread. What it raises comes out
            of the next append or flush.
        patience_s: how long writing may fail (a full disk, an object store that is down) before it is given up.
        lease_s: on an object store, silence after which another driver counts as gone.

    Example:
        >>> import tempfile
        >>> from vcm_sweep.sweep import SobolDesign, Study
        >>> study = Study.from_toml("studies/demo.toml")
        >>> trial = next(iter(SobolDesign(study).trials()))
        >>> with Store.create(study, tempfile.mkdtemp()) as store:
        ...     store.append([TrialRecord.failed(trial, "timeout", "too slow")])
        ...     store.flush()
        ...     store.counts()
        {'timeout': 1}
    """

    def __init__(self, folder: str | Path | Folder, study: Study, lineage: Collection[str] = ()) -> None:
        self.folder, self.study = Folder(folder), study
        self.on_durable: Callable[[Sequence[TrialRecord]], None] | None = None
        self.patience_s, self.lease_s = 600.0, 30.0
        self._become(study, lineage)
        self._lock: Lock | None = None
        self._committer: Committer | None = None
        self._session, self._next = "", 1
        self._one_part = threading.Lock()
        self._written: dict[str, Part] = {}

    @classmethod
    def create(cls, study: Study, where: str | Path | Folder, lineage: Collection[str] = ()) -> "Store":
        """Make the folder of a study, or open the one that holds the same study.

        Args:
            study: what it is to hold. where: path or URI.
            lineage: for a new folder, digests of the studies that this one was extended from.

        Raises:
            StoreError: the folder holds another study (the difference is named), or cannot be written.
            StudyError: a new folder's study cannot be trained, see ``Study.check``.
        """
        folder = Folder(where)
        if not holds_study(folder):
            study.check()
            with reported(folder, "written"):
                _make(folder, study, lineage)
        store = cls.open(folder)
        if store.study.digest != study.digest:
            raise StoreError(
                f"{folder} holds another study ({difference(store.study, study)}): "
                "choose another --out, or leave it out"
            )
        return cls(folder, study, store.digests)

    @classmethod
    def open(cls, where: str | Path | Folder) -> "Store":
        """An existing results folder."""
        folder = Folder(where)
        return cls(folder, *read_frozen(folder))

    @property
    def directory(self) -> Path:
        """The folder on this machine's disk; StoreError for one in an object store."""
        if self.folder.local is None:
            raise StoreError(f"{self.folder} is in an object store: this needs a folder on a disk")
        return self.folder.local

    @property
    def digests(self) -> frozenset[str]:
        """Digests of the study and of those that it was extended from: whose parts count here."""
        return self._reader.digests

    def __enter__(self) -> "Store":
        """Take the driver's lock; StoreError if another driver holds it, or the folder has got another study."""
        self._session = uuid.uuid4().hex[:8]
        with reported(self.folder, "written"):
            self._lock = take_lock(self.folder, self._session, self.lease_s)
            try:
                self._refuse_changed()
                if self.folder.local is not None:
                    for leftover in (self.folder.local / PARTS).glob(".*.tmp"):
                        leftover.unlink(missing_ok=True)
                delete_replaced(self.folder)
                self._next = Listing.of(self.folder).next_number
            except BaseException:
                self._lock.release()
                self._lock = None
                raise
        return self

    def __exit__(self, *_: object) -> None:
        """Make durable what was appended, note what parts there are, give the lock back."""
        lock, committer = self._driving(), self._committer
        try:
            if committer is not None:
                self._committer = None
                committer.close()
            if not lock.lost:
                self._reader.note(self._written)
        except OSError as error:
            _log.warning("%s: no list of its parts was written (%s); they are all there", self.folder, error)
        finally:
            self._lock = None
            lock.release()

    def append(self, records: Sequence[TrialRecord]) -> None:
        """Take records; within a second they survive a crash of the machine, and ``on_durable`` hears of them.

        Waits where more are waiting than fit, as when the disk is full.

        Raises:
            StoreError: the store is not open for writing, or could not be written for ``patience_s``; then the
                message names the file that holds what is not in the store.
        """
        self._driving()
        if records:
            self._committing().append(records)

    def hasten(self) -> None:
        """Wait for no disk from now on: ``flush`` leaves elsewhere at once what cannot be written at once."""
        self._committing().hasten()

    def flush(self) -> None:
        """All that was appended survives a crash when this returns.

        Raises:
            StoreError: as for :meth:`append`; or the folder that is written was deleted, or cannot be looked at.
        """
        if self._committer is not None:
            self._committer.flush()
        if self._lock is not None:
            try:
                self._refuse_deleted()
            except OSError as error:
                raise StoreError(
                    f"{self.folder} cannot be looked at ({error.strerror or error}): what is finished was written "
                    "there; see to the disk, and run the same command again"
                ) from None

    def table(self, columns: Sequence[str] | None = None, skip_bad: bool = False) -> pa.Table:
        """All records, one per key: of equal keys the latest that is ok, else the latest.

        Args:
            columns: names of those to read, in this order; all by default.
            skip_bad: pass over parts that :meth:`problems` names.

        Raises:
            StoreError: a part is torn, foreign or missing, or there is no such column.
        """
        self.flush()
        for name in columns or ():
            if name not in self._schema.names:
                raise StoreError(f"{name!r} is no column of the records; there are {', '.join(self._schema.names)}")
        with reported(self.folder, "read"):
            return self._reader.latest(self._schema, columns, skip_bad)[0]

    def counts(self) -> dict[str, int]:
        """Number of records by status."""
        found = pc.value_counts(self.table(["status"])["status"])
        return {entry["values"]: entry["counts"] for entry in found.to_pylist()}

    def keys(self, statuses: Collection[str] | None = None) -> set[str]:
        """Keys that have a record, or one with these statuses."""
        table = self.table(["key", "status"])
        if statuses is not None:
            table = table.filter(pc.is_in(table["status"], pa.array(list(statuses), pa.string())))
        return set(table["key"].to_pylist())

    def problems(self) -> list[str]:
        """What is torn, foreign or missing, one line each; every byte of the parts is read."""
        with reported(self.folder, "read"):
            found = self._reader.problems(self._schema)
        return [f"{self.folder}/{PARTS}/{name} {reason}" for name, reason in found.items()]

    def compact(self, skip_bad: bool = False) -> Compaction:
        """Merge all parts into few large ones, sorted by replicate and point, one row per key.

        Readers may go on meanwhile. ``skip_bad`` moves what is torn or foreign to ``aside/`` and forgets what is
        missing; the trainings that were in there are run again by the next run.

        Raises:
            StoreError: the store is not open for writing, or a part is torn, foreign or missing.
        """
        self._driving()
        self.flush()
        with reported(self.folder, "written"):
            table, listing, bad = self._reader.latest(self._schema, None, skip_bad)
            report = compact(self.folder, table, listing, self._session, self._reader.rows, bad)
            self._next = Listing.of(self.folder).next_number
        return report

    def take_over(
        self,
        other: "Store | LeftBehind | str | Path | Folder",
        keys: Collection[str] | Mapping[str, Trial] | None = None,
        statuses: Collection[str] | None = None,
    ) -> int:
        """Copy records of equal work from another folder, or from a file that a store left behind; how many.

        A record is taken where there is none of its key, or a failed one and this one is ok.

        Args:
            other: the folder, or the Parquet file.
            keys: which ones; all by default. A mapping also says which trial of this study has the key. It is made
                from the design where the other study is not this one (or one that this was extended from), since
                equal work may be another point there.
            statuses: only those with these; all by default.

        Raises:
            StoreError: the store is not open for writing, or the other cannot be read.
        """
        self._driving()
        self.flush()
        source = other if isinstance(other, Store | LeftBehind) else open_source(other)
        digest = source.study.digest if isinstance(source, Store) else source.digest
        if not isinstance(keys, Mapping) and digest not in self.digests:
            from vcm_sweep.sweep.designs.build import build_design

            trials = {trial.key: trial for trial in build_design(self.study).trials()}
            keys = {key: trials[key] for key in (trials if keys is None else keys) if key in trials}
        table = wanted(source.table(), self.table(["key", "status"]), keys, statuses)
        table = in_place(table, keys if isinstance(keys, Mapping) else None, self._schema)
        with reported(self.folder, "written"):
            for start in range(0, table.num_rows, 1 << 18):
                self._write_table(table.slice(start, 1 << 18))
        return int(table.num_rows)

    def become(self, study: Study) -> None:
        """Let the folder hold a longer version of its study; what it holds stays valid.

        Raises:
            StoreError: the store is not open for writing, or the study differs in more than its design.
        """
        self._driving()
        self.flush()
        if study.digest == self.study.digest:
            return
        lineage = self.digests | {study.digest}
        with reported(self.folder, "written"):
            replace_frozen(self.folder, self.study, study, lineage)
        self.study = study
        self._become(study, lineage)

    def _become(self, study: Study, lineage: Collection[str]) -> None:
        self._schema = schema(study)
        self._reader = PartReader(self.folder, {study.digest, *lineage}, self._trainings, row_bytes(study))

    def _trainings(self) -> int:
        from vcm_sweep.sweep.designs.build import build_design

        return len(build_design(self.study))

    def _driving(self) -> Lock:
        if self._lock is None:
            raise StoreError("the store is open for reading only: use it in a with statement")
        return self._lock

    def _committing(self) -> Committer:
        if self._committer is None:
            self._committer = Committer(
                f"{self.folder}/{PARTS}", self._write_records, self._rescue, self._told, self.patience_s
            )
        return self._committer

    def _write_records(self, records: Sequence[TrialRecord]) -> None:
        self._write_table(to_table(records, self._schema))

    def _write_table(self, table: pa.Table) -> None:
        content = encode(table)
        with self._one_part:
            lost = self._lock.lost if self._lock is not None else "it was closed"
            if lost:
                raise StoreError(lost)
            self._refuse_deleted()
            # The number is used up by success alone, so that there is no gap.
            name = part_name(self._next, self._session)
            self.folder.write(f"{PARTS}/{name}", content)
            self._next += 1
            self._written[name] = Part(table.num_rows, content.size, digest(content))

    def _refuse_changed(self) -> None:
        held = read_frozen(self.folder)[0]
        if held.digest != self.study.digest:
            raise StoreError(
                f"{self.folder} has got another study meanwhile ({difference(held, self.study)}): another command "
                "wrote it, or extended its own; run this one again"
            )

    def _refuse_deleted(self) -> None:
        if not self.folder.exists(STUDY):
            raise StoreError(f"{self.folder} was deleted while it was written (no {STUDY}): nothing more is trained")

    def _told(self, records: Sequence[TrialRecord]) -> None:
        if self.on_durable is not None:
            self.on_durable(records)

    def _rescue(self, records: Sequence[TrialRecord]) -> str:
        return rescue(self.study, f"vcm-sweep-{self.study.name}-{uuid.uuid4().hex[:8]}", records)


def _make(folder: Folder, study: Study, lineage: Collection[str]) -> None:
    """Make the folder of a study; on a disk one process does, and another one finds what that made."""
    local = folder.local
    if local is not None and local.exists() and not local.is_dir():
        raise StoreError(
            f"{folder} is a file, and results are a folder: choose another --out, or move it out of the way"
        )
    if holds_study(folder):
        return
    # A folder that was begun and has no study yet is ours.
    if set(folder.names()) - _BEGUN or set(folder.folders()) - {PARTS} or folder.names(PARTS):
        raise StoreError(f"{folder} is not empty and holds no study: choose another --out, or move it out of the way")
    if local is None:
        write_frozen(folder, study, lineage)
        return
    (local / PARTS).mkdir(parents=True, exist_ok=True)
    with made_alone(folder):
        if not holds_study(folder):
            write_frozen(folder, study, lineage)


def open_source(where: str | Path | Folder) -> Store | LeftBehind:
    """What records can be taken over from: a results folder, or a Parquet file that a store left behind."""
    if not isinstance(where, Folder) and str(where).endswith(".parquet"):
        return LeftBehind(where)
    return Store.open(where)
