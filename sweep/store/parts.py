"""Reads the parts of a results folder, and reports those that are torn, foreign or missing."""

import os
import shlex
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import NativeFile

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.parquet_pages import pages
from vcm_sweep.sweep.store.duplicates import chosen
from vcm_sweep.sweep.store.manifest import MISSING, PARTS, Listing, Part, digest
from vcm_sweep.sweep.store.schema import SCHEMA_VERSION, STUDY_NOTE, VERSION_NOTE, conform

T = TypeVar("T")

_FOREIGN = "belongs to another study"
# While a driver writes or compacts, a listing may be outdated: it is repeated before a part is reported as missing.
_LOOKS, _LOOK_AGAIN_S = 5, 0.1
# A search may have more rows than the design that it starts from, and a training may have been run again.
_SURE_ROWS, _MOST_TIMES = 200_000, 10
# What all parts together may take in memory beyond what so many rows need: texts and lists may be of any length.
_SURE_BYTES = 64_000_000
# On an object store each file takes long, so more are read at once.
_LOCAL_THREADS, _REMOTE_THREADS = 4, 16


class BadPart(Exception):
    """Why a part cannot be used, in a few words."""


class PartReader:
    """Reads the parts of one study.

    Args:
        folder: of the results.
        digests: of the studies whose parts count: the folder's, and those that it was extended from.
        trainings: counts those of the study's design; a large part has no more than several times as many rows.
        row_bytes: that a record takes at most.
    """

    def __init__(self, folder: Folder, digests: Collection[str], trainings: Callable[[], int], row_bytes: int) -> None:
        self.folder, self.digests, self._trainings = folder, frozenset(digests), trainings
        self._row_bytes = row_bytes

    def latest(
        self, columns: pa.Schema, names: Sequence[str] | None, skip_bad: bool
    ) -> tuple[pa.Table, Listing, dict[str, str]]:
        """(records, where they came from, what is wrong by name): one row per key, with the columns of these names.

        Raises:
            StoreError: a part is torn, foreign or missing, and ``skip_bad`` is false.
        """
        names = columns.names if names is None else list(names)
        judged = [name for name in ("key", "status") if name not in names]
        # After a compaction no key occurs twice, so keys need not be read.
        alone = bool(judged) and Listing.of(self.folder).unique
        picked = pa.schema([columns.field(name) for name in (*names, *judged * (not alone))], columns.metadata)
        tables, listing, bad = self.read(picked, skip_bad)
        if alone and not listing.unique:
            return self.latest(columns, names, skip_bad)
        table = pa.concat_tables([picked.empty_table(), *tables])
        rows = None if listing.unique else chosen(table["key"], table["status"])
        table = table.select(list(names))
        return (table if rows is None else table.take(rows)), listing, bad

    def note(self, written: Mapping[str, Part]) -> None:
        """Write the manifest of all that is there; what it misses already stays missing. The caller holds the lock.

        Args:
            written: parts that the caller wrote, which are not looked into again: there may be thousands.
        """

        def part(name: str) -> Part | None:
            with suppress(BadPart):
                return written.get(name) or self._found(name)
            return None

        listing = Listing.of(self.folder)
        known = listing.manifest.parts
        new = [name for name in listing.names if name not in known]
        found = {name: made for name, made in zip(new, self._threads(part, new), strict=True) if made is not None}
        if found:
            replace(listing.manifest, parts=known | found).write(self.folder)

    def read(self, columns: pa.Schema, skip_bad: bool) -> tuple[list[pa.Table], Listing, dict[str, str]]:
        """(tables, listing, what is wrong by name) of all parts in order, with these columns.

        Raises:
            StoreError: a part is torn, foreign or missing, and ``skip_bad`` is false.
        """
        for look in range(1, _LOOKS + 1):
            listing = Listing.of(self.folder)
            read = self._read_all(listing, columns)
            bad = {name: str(r) for name, r in read.items() if isinstance(r, BadPart)} | listing.problems
            if look == _LOOKS or not any(reason.startswith(MISSING) for reason in bad.values()):
                break
            time.sleep(_LOOK_AGAIN_S)
        if bad and not skip_bad:
            if set(listing.names) <= {name for name, reason in bad.items() if reason == _FOREIGN} and listing.names:
                raise StoreError(
                    f"none of the records in {self.folder}/{PARTS} is of {self.folder}/study.toml: if that or "
                    "frozen.json was edited, put it back as it was, and run the edited study from a file of its own"
                )
            name, reason = next(iter(bad.items()))
            more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
            raise StoreError(
                f"{self.folder}/{PARTS}/{name} {reason}{more}: restore it, or set it aside with `vcm-sweep compact "
                f"{shlex.quote(str(self.folder))} --skip-bad` and run again"
            )
        tables = [table for name, table in read.items() if name not in bad and isinstance(table, pa.Table)]
        return tables, listing, bad

    def problems(self, columns: pa.Schema) -> dict[str, str]:
        """Name of a part and what is wrong with it; every page of every part is read."""
        for look in range(1, _LOOKS + 1):
            listing = Listing.of(self.folder)
            checked = self._threads(partial(self._checked, listing, columns), listing.names)
            bad = dict(pair for pair in zip(listing.names, checked, strict=True) if pair[1]) | listing.problems
            if look == _LOOKS or not any(reason.startswith(MISSING) for reason in bad.values()):
                break
            time.sleep(_LOOK_AGAIN_S)
        return bad

    def rows(self, name: str) -> int:
        """Records in a part, by its last bytes alone; BadPart where it cannot be used."""
        return self._part(name, lambda _, file: int(file.metadata.num_rows))

    def _found(self, name: str) -> Part:
        content = self.folder.read(f"{PARTS}/{name}")
        return Part(self.rows(name), len(content), digest(content))

    def _checked(self, listing: Listing, columns: pa.Schema, name: str) -> str:
        found = self._one(listing, columns, False, True, _Room(self._trainings, self._row_bytes), name)
        return str(found) if isinstance(found, BadPart) else ""

    def _read_all(self, listing: Listing, columns: pa.Schema) -> "dict[str, pa.Table | BadPart]":
        # With a few large files, columns are read in parallel; with many small ones, files.
        few = len(listing.names) < _LOCAL_THREADS
        # Of an object store only the columns that are asked for are fetched; it has checksums of its own.
        whole = self.folder.local is not None
        room = _Room(self._trainings, self._row_bytes)
        read = self._threads(partial(self._one, listing, columns, few, whole, room), listing.names)
        return dict(zip(listing.names, read, strict=True))

    def _threads(self, work: Callable[[str], T], names: Sequence[str]) -> list[T]:
        most = _REMOTE_THREADS if self.folder.local is None else min(_LOCAL_THREADS, os.cpu_count() or 1)
        if self.folder.local is not None and len(names) < _LOCAL_THREADS:
            return [work(name) for name in names]
        with ThreadPoolExecutor(most) as pool:
            return list(pool.map(work, names))

    def _one(
        self, listing: Listing, columns: pa.Schema, threads: bool, whole: bool, room: "_Room", name: str
    ) -> "pa.Table | BadPart":
        def use(source: NativeFile, file: pq.ParquetFile) -> pa.Table:
            has = set(file.schema_arrow.names)
            there = [field.name for field in columns if field.name in has]
            texts = [field.name for field in columns if field.type == pa.string()]
            for index in range(len(file.schema)):
                leaf = file.schema.column(index)
                text = leaf.physical_type.endswith("BYTE_ARRAY")
                if leaf.path.partition(".")[0] in there and text and (leaf.path not in texts or leaf.length > 0):
                    raise BadPart(f"has {leaf.path[:80]} as no vcm-sweep writes it")
            room.add_rows(file.metadata.num_rows)
            # Texts by number stay so until it is known how long they are: equal ones take no room in a file.
            numbered = set()
            # Looking at each page takes half as long as reading it: it is done where a folder may be a stranger's.
            believed = self.folder.local is None or self.folder.links
            for page in pages(file, source, there, believed):
                room.add(page.bytes)
                if page.dictionary and page.column in texts:
                    numbered.add(page.column)
            if numbered:
                file = pq.ParquetFile(
                    source, metadata=file.metadata, read_dictionary=list(numbered), page_checksum_verification=True
                )
            table = file.read(columns=there, use_threads=threads)
            for text in numbered:
                room.add(sum(map(_text_bytes, table[text].chunks)))
            return conform(table, columns)

        noted = listing.manifest.parts.get(name)
        try:
            table = self._part(name, use, noted.digest if noted is not None and whole else "")
        except BadPart as bad:
            return bad
        if noted is not None and noted.rows != table.num_rows:
            return BadPart(f"has {table.num_rows} records and should have {noted.rows}")
        return table

    def _part(self, name: str, use: Callable[[NativeFile, pq.ParquetFile], T], expected: str = "") -> T:
        """What ``use`` makes of a part; BadPart where it cannot be used, or its digest is not what is ``expected``."""

        def checked(source: NativeFile) -> T:
            if expected:
                content = source.read_buffer()
                if digest(content) != expected:
                    raise BadPart("is not what was written (its bytes have another digest)")
                source = pa.BufferReader(content)
            file = pq.ParquetFile(source, page_checksum_verification=True)
            notes = file.schema_arrow.metadata or {}
            if notes.get(STUDY_NOTE, b"").decode() not in self.digests:
                raise BadPart(_FOREIGN)
            version = int(notes.get(VERSION_NOTE, b"0"))
            if version > SCHEMA_VERSION:
                raise StoreError(
                    f"{self.folder}/{PARTS}/{name} was written by a newer vcm-sweep (its records are of version "
                    f"{version}, known are 1 to {SCHEMA_VERSION}): update vcm-sweep"
                )
            try:
                return use(source, file)
            except OSError as error:
                # Other errors of an object store are tried again; after this one it would give the same bytes.
                if "CRC checksum" in str(error):
                    raise BadPart("cannot be read (its checksum is wrong)") from None
                raise

        try:
            return self.folder.open(f"{PARTS}/{name}", checked)
        except FileNotFoundError:
            raise BadPart(MISSING) from None
        except (OSError, pa.ArrowException, ValueError) as error:
            first = (str(error).splitlines() or [""])[0]
            raise BadPart(f"cannot be read ({first[:200]})") from None


class _Room:
    """Counts what the parts of a folder take in memory; BadPart where that is more than its records can need.

    Args:
        trainings: counts those of the study. row_bytes: that a record takes at most.
    """

    def __init__(self, trainings: Callable[[], int], row_bytes: int) -> None:
        self._trainings, self._row_bytes = cache(trainings), row_bytes
        self._rows = self._bytes = 0
        self._mutex = threading.Lock()

    def add_rows(self, rows: int) -> None:
        """Count records. Equal ones take no room in a file, and all of it in memory."""
        with self._mutex:
            self._rows += rows
            if self._rows > _SURE_ROWS and self._rows > _MOST_TIMES * self._trainings():
                also = ", with those before it," if self._rows > rows else ","
                raise BadPart(f"has {self._rows:,} records{also} many times as many as its study has trainings")

    def add(self, count: int) -> None:
        """Count what is about to be read."""
        with self._mutex:
            self._bytes += count
            most = _SURE_BYTES + self._rows * self._row_bytes
            if self._bytes > most:
                raise BadPart(
                    "has texts or lists that are longer than records of this study can have: with those before it "
                    f"they take more than {most / 1e6:,.0f} MB"
                )


def _text_bytes(chunk: pa.Array) -> int:
    """What texts take that are held by number, once each is written out."""
    if not pa.types.is_dictionary(chunk.type):
        return 0
    lengths = pc.binary_length(chunk.dictionary)
    return pc.sum(lengths.take(chunk.indices)).as_py() or 0
