"""The manifest of a results folder: the parts that it should hold, so that missing and torn ones are noticed.

    manifest.json
        parts       every part there was when it was written: name, rows, bytes
        digests     CRC-32 of the bytes of each, which finds the bit that Parquet's own checksums of pages do not cover
        first       number of the first part that counts; those below were merged into others by compaction
        replaced    names of files that others have replaced, and that may be deleted
        unique      names of parts among which no key is twice

It is written at the end of a run and by compaction, whole or not at all. Parts that are newer are found by their
names: ``<number>-<session>.parquet``, where numbers go up by one, whatever the clock says.
"""

import json
import re
from dataclasses import dataclass, field
from zlib import crc32

from pyarrow import Buffer

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.foreign import whole

PARTS = "parts"
MISSING = "is missing"
_MANIFEST = "manifest.json"
_LAST = 99_999_999
_NUMBERED = re.compile(r"(\d{8})-[0-9a-f]{8}\.parquet")


@dataclass(frozen=True)
class Part:
    """Rows and bytes of one file, and the digest of its bytes: "" in manifests from before there were any."""

    rows: int
    bytes: int
    digest: str = ""


@dataclass(frozen=True)
class Manifest:
    """The parts that a folder should hold; see this module."""

    parts: dict[str, Part] = field(default_factory=dict)
    first: int = 1
    replaced: frozenset[str] = frozenset()
    unique: frozenset[str] = frozenset()

    @classmethod
    def read(cls, folder: Folder) -> "Manifest":
        """The folder's manifest; an empty one if it has none yet. StoreError if it is not valid."""
        try:
            plain = folder.read_json(_MANIFEST)
            digests = plain.get("digests", {})
            return cls(
                {
                    _file(name): Part(whole(n), whole(size), str(digests.get(name, "")))
                    for name, n, size in plain["parts"]
                },
                whole(plain["first"], 1),
                frozenset(map(_file, plain["replaced"])),
                frozenset(map(_file, plain["unique"])),
            )
        except FileNotFoundError:
            return cls()
        except (ValueError, KeyError, TypeError, OverflowError, AttributeError) as error:
            raise StoreError(
                f"{folder}/{_MANIFEST} cannot be read ({error}): restore it, or delete it if all of {PARTS}/ is there"
            ) from None

    def write(self, folder: Folder) -> None:
        """Write this manifest into the folder, in place of the one there."""
        plain = {
            "first": self.first,
            "unique": sorted(self.unique),
            "replaced": sorted(self.replaced),
            "parts": [[name, part.rows, part.bytes] for name, part in sorted(self.parts.items(), key=_by_number)],
            "digests": {name: part.digest for name, part in self.parts.items() if part.digest},
        }
        folder.write(_MANIFEST, json.dumps(plain, indent=0).encode())


@dataclass(frozen=True)
class Listing:
    """What is in a folder, and what should be.

    Attributes:
        sizes: bytes of the parts that count, by name, oldest first. manifest: what they are held against.
        problems: by name, what can be seen of a part without reading it.
    """

    sizes: dict[str, int]
    manifest: Manifest
    problems: dict[str, str]

    @classmethod
    def of(cls, folder: Folder) -> "Listing":
        """The folder as it is now."""
        manifest = Manifest.read(folder)
        sizes = folder.sizes(PARTS, ".parquet")
        names = sorted(sizes.keys() - manifest.replaced, key=lambda name: (number(name), name))
        problems = {}
        for name, part in manifest.parts.items():
            if name not in sizes:
                problems[name] = f"{MISSING} ({part.rows} records)"
            elif sizes[name] != part.bytes:
                problems[name] = f"has {sizes[name]} bytes and should have {part.bytes}"
        before = manifest.first - 1
        for known in sorted({number(name) for name in (*names, *manifest.parts)}):
            # One line for all of a gap: whatever a foreign name has for a number, it may be millions wide.
            if known > before + 1:
                to = f", and all before {known:08d}" if known > before + 2 else ""
                problems[f"{before + 1:08d}-*.parquet"] = MISSING + to
            before = max(before, known)
        return cls({name: sizes[name] for name in names}, manifest, problems)

    @property
    def names(self) -> list[str]:
        """Parts that count, oldest first."""
        return list(self.sizes)

    @property
    def next_number(self) -> int:
        """The number of the next part; StoreError where the last one of all is taken."""
        names = (*self.names, *self.manifest.parts, *self.manifest.replaced)
        found = max((number(name) for name in names), default=self.manifest.first - 1) + 1
        if found > _LAST:
            raise StoreError(f"{PARTS}/ has a part numbered {found - 1}, after which there is no other: move it out")
        return found

    @property
    def unique(self) -> bool:
        """Whether it is certain that no key occurs twice."""
        return set(self.names) <= self.manifest.unique


def digest(content: "bytes | memoryview | Buffer") -> str:
    """Eight hex digits that are others where any bit is."""
    return f"{crc32(content):08x}"


def part_name(sequence: int, session: str) -> str:
    """Name of a part: its number, and 8 hex digits of who wrote it."""
    return f"{sequence:08d}-{session}.parquet"


def _file(name: object) -> str:
    """A file's name, if it is one: what is replaced is deleted, and nothing outside ``parts/`` ever is."""
    if not isinstance(name, str) or not re.fullmatch(r"[^./\\][^/\\]*\.parquet", name):
        raise ValueError(f"{name!r} is no name of a part")
    return name


def number(name: str) -> int:
    """A part's number; 0 for a name of the first two versions, which the clock gave."""
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match else 0


def _by_number(item: tuple[str, Part]) -> tuple[int, str]:
    return number(item[0]), item[0]
