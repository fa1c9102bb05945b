"""Copying results to this machine: whole files under their final names; what is there already is kept."""

from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from vcm_sweep.cluster.terminal.waiting import bar
from vcm_sweep.sweep.errors import StoreError, one_line
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store.copies import begin_copy, end_copy

# Not copied, because only the running study needs them: checkpoints of trainings, and the locks of the folder.
_LEFT_OUT = ("checkpoints", "lock", "lease")
_ATTEMPTS = 5


class _Gone(Exception):
    """A file that was listed is no longer there."""


@dataclass(frozen=True)
class Copied:
    """How many files were copied, how many were there already, and how many megabytes were copied."""

    files: int
    kept: int
    megabytes: float


def fetch(source: Folder, local: Path, quiet: bool = False) -> Copied:
    """Copy a results folder; after an interruption the same call continues.

    Files of records never change, so one with the same name and size is kept. All other files are small and are read
    again, and written where they are others; those that say which records count come last.

    Raises:
        StoreError: ``local`` holds another study or something else, or a file does not arrive whole.
    """
    target = Folder(local)
    if source.path == target.path and source.local is not None:
        raise StoreError(f"{target} is the results folder itself: name another one")
    for _ in range(_ATTEMPTS):
        try:
            begin_copy(lambda name: source.read(name) if source.exists(name) else None, target)
            copied = _copy_all(source, target, quiet)
            end_copy(target)
            return copied
        except _Gone:
            # The folder was compacted in the meantime: the records that were listed are in another file now.
            continue
        except OSError as error:
            raise StoreError(
                f"{source} cannot be copied to {local} ({one_line(error)}): run it again to go on"
            ) from None
    raise StoreError(f"{source} changes faster than it can be copied: wait until it is compacted, and run it again")


def _copy_all(source: Folder, target: Folder, quiet: bool) -> Copied:
    selector = fs.FileSelector(source.path, recursive=True)
    listed = {
        info.path.removeprefix(source.path).lstrip("/"): info.size
        for info in source.filesystem.get_file_info(selector)
        if info.type == fs.FileType.File
    }
    names = [n for n in listed if not n.split("/")[0].startswith((*_LEFT_OUT, ".")) and "/." not in n]
    # Records come first, so that the files which refer to them never refer to something that is not there.
    names.sort(key=lambda name: (not name.endswith(".parquet"), name))
    kept, size = 0, 0
    with bar("fetch", len(names), quiet) as step:
        for name in names:
            there = Path(target.path) / name
            same = name.endswith(".parquet") and there.is_file() and there.stat().st_size == listed[name]
            copied = None if same else _copy(source, target, name, listed[name])
            kept += copied is None
            size += copied or 0
            step(name)
    return Copied(len(names) - kept, kept, round(size / 1e6, 2))


def _copy(source: Folder, target: Folder, name: str, size: int) -> int | None:
    """Copy one file and return its size, or None if it is there already; StoreError if a part is not of its length."""
    try:
        content = source.read(name)
    except FileNotFoundError:
        raise _Gone from None
    if name.endswith(".parquet") and len(content) != size:
        raise StoreError(f"{source}/{name} came with {len(content)} of {size} bytes: run it again to go on")
    there = Path(target.path) / name
    if there.is_file() and there.read_bytes() == content:
        return None
    there.parent.mkdir(parents=True, exist_ok=True)
    target.write(name, content)
    return len(content)
