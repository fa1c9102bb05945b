"""Merging many small parts into few large ones, sorted and without duplicates.

The order of steps makes it safe: first the new parts are written, then the manifest that replaces the old ones by them,
and only then are the old ones deleted. If it is cut short before the manifest, the new parts repeat the old ones, and
of equal keys one record counts; after it, the manifest names what remains to be deleted, which the next driver does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store.manifest import PARTS, Listing, Manifest, Part, digest, part_name
from vcm_sweep.sweep.store.schema import encode

_ROWS = 1 << 20  # per part
_ASIDE = "aside"


@dataclass(frozen=True)
class Compaction:
    """What a compaction did: parts and bytes before and after, rows kept, files set aside."""

    rows: int
    parts_before: int
    parts_after: int
    bytes_before: int
    bytes_after: int
    set_aside: tuple[str, ...] = ()


def compact(
    folder: Folder, table: pa.Table, listing: Listing, session: str, rows_of: Callable[[str], int],
    bad: Mapping[str, str],
) -> Compaction:  # fmt: skip
    """Put a table in the place of all parts.

    Args:
        table: the records that count, one per key; listing: the parts that they came from.
        session: in the new parts' names. rows_of: counts the rows of a part that was written.
        bad: parts that were passed over, by name; their files are moved to ``aside/``.

    The caller holds the driver's lock.
    """
    before = folder.sizes(PARTS, ".parquet")
    table = table.sort_by([("replicate", "ascending"), ("point", "ascending")]).combine_chunks()
    first = listing.next_number
    parts: dict[str, Part] = {}
    for start in range(0, table.num_rows, _ROWS):
        name = part_name(first + len(parts), session)
        piece = table.slice(start, _ROWS)
        content = encode(piece)
        folder.write(f"{PARTS}/{name}", content)
        if rows_of(name) != piece.num_rows:
            raise StoreError(f"{folder}/{PARTS}/{name} is not what was written: nothing was deleted; check the disk")
        parts[name] = Part(piece.num_rows, content.size, digest(content))
    aside = tuple(name for name in bad if name in before)
    for name in aside:
        folder.write(f"{_ASIDE}/{name}", folder.read(f"{PARTS}/{name}"))
    # Not whatever is there: on an object store another driver may have taken the lease and written meanwhile.
    replaced = listing.sizes.keys() | (listing.manifest.replaced & before.keys())
    Manifest(parts, first, frozenset(replaced), frozenset(parts)).write(folder)
    delete_replaced(folder)
    return Compaction(
        table.num_rows, len(before), len(parts), sum(before.values()), sum(p.bytes for p in parts.values()), aside
    )


def delete_replaced(folder: Folder) -> None:
    """Delete the parts that the manifest calls replaced. The caller holds the driver's lock."""
    manifest = Manifest.read(folder)
    if manifest.replaced:
        for name in sorted(manifest.replaced):
            folder.delete(f"{PARTS}/{name}")
        Manifest(manifest.parts, manifest.first, frozenset(), manifest.unique).write(folder)
