"""Where a results folder may be copied to: an empty folder, a copy of its study, or of a shorter one."""

import json
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.foreign import parse_json
from vcm_sweep.sweep.store.frozen import FROZEN, LINEAGE, STUDY
from vcm_sweep.sweep.study.study import Study

Read = Callable[[str], bytes | None]
"""The content of a file of a results folder; None where there is none."""

# A copy that is not complete has the two files that say of which study it is under names that no list shows.
_UNFINISHED = "."


def begin_copy(read: Read, target: Folder) -> None:
    """Mark a folder as a copy that has begun; a copy that was interrupted is gone on with.

    Args:
        read: of the results folder that is copied. target: where to, on this machine.

    Raises:
        StoreError: it is a file, or holds another study or something else. OSError: it cannot be written.
    """
    local = Path(target.path)
    if local.exists() and not local.is_dir():
        raise StoreError(f"{target} is a file: name a folder")
    source = {name: read(name) or b"" for name in (FROZEN, STUDY)}
    if not source[STUDY]:
        raise StoreError("there is no study.toml in what is to be copied: it is no results folder, or is being deleted")
    held = next((found for mark in ("", _UNFINISHED) if (found := _held(target, mark))), None)
    if held is None:
        if local.exists() and any(not path.name.startswith(".") for path in local.iterdir()):
            raise StoreError(f"{target} is not empty and holds no study: name another folder")
        local.mkdir(parents=True, exist_ok=True)
    elif held != source and not _same(held, source, json.loads(read(LINEAGE) or b"[]")):
        raise StoreError(f"{target} holds another study: name another folder, or an empty one")
    if not target.exists(STUDY):
        # The study comes last, and completes the mark.
        for name, content in source.items():
            target.write(f"{_UNFINISHED}{name}", content)


def end_copy(target: Folder) -> None:
    """Take the mark away: all is there."""
    for name in (STUDY, FROZEN):
        target.delete(f"{_UNFINISHED}{name}")


def _held(target: Folder, mark: str) -> dict[str, bytes] | None:
    """The files that say of which study a folder is, or with a mark, becomes a copy; None where there are none."""
    if not target.exists(f"{mark}{STUDY}"):
        return None
    return {name: target.read(f"{mark}{name}") if target.exists(f"{mark}{name}") else b"" for name in (STUDY, FROZEN)}


def _same(held: dict[str, bytes], source: dict[str, bytes], lineage: Collection[str]) -> bool:
    """Whether two have the same study, by whatever text, or one that the other was extended from."""
    with suppress(ValueError, VcmSweepError):
        there, here = (
            Study.from_text(own[STUDY].decode(), parse_json(own[FROZEN] or b'{"model_version": 1}'))
            for own in (held, source)
        )
        return there.digest in {here.digest, *lineage}
    return False
